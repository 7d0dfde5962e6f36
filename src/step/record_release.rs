//! Record release: the release that was just proven is kept and named the current one. Undoing names the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{RunTag, Say, Undone, World};
use crate::adapter::clock;
use crate::adapter::compose::Compose;
use crate::adapter::docker::{Container, Docker, label};
use crate::adapter::files;
use crate::release::freeze::Fingerprints;
use crate::release::keep::{self, Keep, KeptService};
use crate::release::{Origin, Release, ReleaseSide, Store};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct RecordRelease {
    /// Number of the new release.
    pub release: u32,
    /// Release that was current before.
    pub before: Option<u32>,
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Directory of the project.
    pub directory: PathBuf,
    /// Service, its image reference, its digest, its replicas.
    pub services: BTreeMap<String, (String, String, usize)>,
    /// Whether the release was recorded before (an older one is brought back).
    pub is_known: bool,
    /// How many releases are kept beside the current one.
    pub keep_releases: u32,
    /// Its services that run as a project of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<ReleaseSide>,
}

impl RecordRelease {
    /// Whether it is current, and its record is whole.
    ///
    /// # Errors
    /// When the store or the engine cannot be read.
    pub async fn check(&self, docker: &Docker, store: &Store, run: &RunTag) -> Result<World> {
        let record = store.read(self.release)?;
        let current = store.current()?;
        let words =
            format!("current release: {}", current.map_or_else(|| "none".into(), |number| format!("r{number}")));
        let is_kept_in_part = record.is_none()
            && !self.is_known
            && !keep::pieces(docker, &self.project, self.services.keys(), self.release).await?.is_empty();
        Ok(match record {
            Some(record) if current == Some(self.release) && keep::missing(docker, &record).await?.is_empty() => {
                // Clearing up comes last and belongs to the step: a run can be killed before it.
                if self.one_shots(docker, run).await?.is_empty() && self.surplus(store)?.is_empty() {
                    World::After(words)
                } else {
                    World::Between(format!("{words}; what is not needed any more is still there"))
                }
            }
            _ if is_kept_in_part => World::Between(format!("{words}; r{} is kept in part", self.release)),
            _ if current == self.before => World::Before(words),
            _ if current == Some(self.release) => World::Between(words),
            _ => World::Foreign(words),
        })
    }

    /// Keeps the release as it runs now, names it the current one, and lets the oldest go.
    ///
    /// # Errors
    /// When a service has no container, or the record cannot be written.
    pub async fn run(
        &self,
        docker: &Docker,
        compose: &Compose,
        store: &Store,
        state: &Path,
        run: &RunTag,
        say: Say<'_>,
    ) -> Result<Value> {
        if !self.is_known {
            self.record(docker, compose, store, state, run).await?;
        }
        store.set_current(Some(self.release))?;
        self.clear_one_shots(docker, run).await?;
        let gone = self.let_old_ones_go(docker, store, say).await?;
        Ok(json!({ "release": self.release, "let_go": gone }))
    }

    async fn record(
        &self,
        docker: &Docker,
        compose: &Compose,
        store: &Store,
        state: &Path,
        run: &RunTag,
    ) -> Result<()> {
        let mut containers = docker.containers(&self.project).await?;
        if let Some(side) = &self.side {
            containers.retain(|one| !side.services.contains(&one.service));
            containers.extend(docker.containers(&side.project).await?);
        }
        let mut services = BTreeMap::new();
        for (service, (image, hash, replicas)) in &self.services {
            if *replicas == 0 {
                continue;
            }
            let Some(container) = containers.iter().find(|container| container.plain_service() == service) else {
                bail!("the service {service} has no container any more; somebody removed it while the run was at work");
            };
            let kept = KeptService {
                image: image.clone(),
                image_id: container.image_id.clone(),
                hash: hash.clone(),
                replicas: *replicas,
            };
            services.insert(service.clone(), kept);
        }
        let model: Value = files::read_json(&run.side.join("model.json"))?;
        let wanted = Keep {
            number: self.release,
            project: &self.project,
            environment: &self.environment,
            directory: self.directory.clone(),
            origin: Origin::Deployed,
            run: run.number,
            recorded_at: clock::now(),
            model: &model,
            services: &services,
            side: self.side.clone(),
        };
        keep::keep(docker, compose, store, &Fingerprints::read_or_make(state)?, &wanted).await?;
        Ok(())
    }

    /// One-shot containers are kept until here, because they are the proof that they ended well.
    async fn clear_one_shots(&self, docker: &Docker, run: &RunTag) -> Result<()> {
        for shot in self.one_shots(docker, run).await? {
            docker.remove(&shot.id).await?;
        }
        Ok(())
    }

    async fn one_shots(&self, docker: &Docker, run: &RunTag) -> Result<Vec<Container>> {
        let mark = format!("{}={}", label::RUN, run.number);
        docker.labelled(&[format!("{}={}", label::PROJECT, self.project), mark]).await
    }

    /// Releases that are more than are kept, oldest first.
    fn surplus(&self, store: &Store) -> Result<Vec<Release>> {
        let mut others = Vec::new();
        for number in store.numbers()? {
            if number != self.release
                && Some(number) != self.before
                && let Some(release) = store.read(number)?
                && release.project == self.project
            {
                others.push(release);
            }
        }
        // The release before counts as one of those that are kept.
        let beside = usize::try_from(self.keep_releases).unwrap_or(usize::MAX).saturating_sub(1);
        let newest = [self.before, Some(self.release)].into_iter().flatten();
        let newest = newest.map(|number| store.read(number)).collect::<Result<Vec<_>>>()?;
        Ok(surplus_of(others, &newest.into_iter().flatten().collect::<Vec<_>>(), beside))
    }

    async fn let_old_ones_go(&self, docker: &Docker, store: &Store, say: Say<'_>) -> Result<Vec<u32>> {
        let mut gone = Vec::new();
        for release in &self.surplus(store)? {
            say(format!("letting {} go", release.name()));
            keep::let_go(docker, store, release).await?;
            gone.push(release.number);
        }
        Ok(gone)
    }

    /// Names the release before the current one again; the record of the newer one stays, where there is one.
    ///
    /// # Errors
    /// When the pointer cannot be written, or the engine refuses.
    pub async fn undo(&self, docker: &Docker, store: &Store) -> Result<Undone> {
        store.set_current(self.before)?;
        if store.read(self.release)?.is_none() && !self.is_known {
            keep::drop_pieces(docker, &self.project, self.services.keys(), self.release).await?;
        }
        Ok(Undone::Back)
    }
}

/// What goes where so many may stay, oldest first. What a newer release holds as well goes before anything else: no way
/// back is lost with it.
fn surplus_of(others: Vec<Release>, newest: &[Release], most: usize) -> Vec<Release> {
    let excess = others.len().saturating_sub(most);
    let is_held_twice = |index: usize| {
        let mut newer = others[index + 1..].iter().chain(newest);
        newer.any(|newer| is_same(newer, &others[index]))
    };
    let mut order: Vec<usize> = (0..others.len()).collect();
    order.sort_by_key(|index| (!is_held_twice(*index), *index));
    order.truncate(excess);
    order.sort_unstable();
    let all = others.into_iter().enumerate();
    all.filter(|(index, _)| order.contains(index)).map(|(_, release)| release).collect()
}

/// Whether two releases are the same images, the same configuration and the same files.
fn is_same(one: &Release, other: &Release) -> bool {
    let services = |release: &Release| -> BTreeMap<String, (String, String, usize)> {
        let held = release.services.iter();
        held.map(|(name, one)| (name.clone(), (one.image_id.clone(), one.hash.clone(), one.replicas))).collect()
    };
    let files = |release: &Release| -> BTreeSet<(String, String, String)> {
        let held = release.files.iter();
        held.map(|file| (file.service.clone(), file.path.clone(), file.fingerprint.clone())).collect()
    };
    one.side.is_some() == other.side.is_some() && services(one) == services(other) && files(one) == files(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(number: u32, image: &str) -> Release {
        serde_json::from_value(json!({
            "format": 1, "number": number, "project": "shop", "environment": "test", "origin": "deployed",
            "recorded_at": "", "run": number,
            "services": { "app": { "image": "app", "image_id": image, "pinned": "", "hash": "h", "pinned_hash": "p",
                "replicas": 1 } },
            "files": [],
        }))
        .unwrap()
    }

    fn goes(others: &[(u32, &str)], newest: &[(u32, &str)], most: usize) -> Vec<u32> {
        let all = |list: &[(u32, &str)]| list.iter().map(|(number, image)| release(*number, image)).collect::<Vec<_>>();
        surplus_of(all(others), &all(newest), most).iter().map(|one| one.number).collect()
    }

    #[test]
    fn the_oldest_goes_and_before_it_what_is_held_twice() {
        assert_eq!(goes(&[(1, "a"), (2, "b")], &[(3, "c"), (4, "d")], 2), [] as [u32; 0]);
        assert_eq!(goes(&[(1, "a"), (2, "b"), (3, "c")], &[(4, "d"), (5, "e")], 2), [1]);
        assert_eq!(goes(&[(1, "a"), (2, "b"), (3, "c")], &[(4, "c"), (5, "c")], 2), [3]);
        assert_eq!(goes(&[(1, "a"), (2, "b"), (3, "b"), (4, "c")], &[(5, "c"), (6, "c")], 1), [1, 2, 4]);
        assert_eq!(
            goes(&[(1, "a"), (2, "a")], &[(3, "a"), (4, "b")], 2),
            [] as [u32; 0],
            "while there is room, all stay"
        );
    }
}
