//! A side as plain data: the services of a release that run as a project of their own. Bringing it up, and taking it away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::containers::{self, ModelAt};
use super::drain::Drain;
use super::{RunTag, Say};
use crate::adapter::compose::{Compose, Sources, Up};
use crate::adapter::docker::{Container, Docker, label};
use crate::adapter::files;
use crate::release::{Store, side};

/// A service of a side.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct SideService {
    /// Image: an identifier (`sha256:…`), or a reference that is resolved when it is judged.
    pub image: String,
    /// How many containers.
    pub replicas: usize,
}

/// A side.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Beside {
    /// The project beside which it runs.
    pub base: String,
    /// Its release.
    pub release: u32,
    /// Whether it is no side, but the services of the project itself, which served before there was one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_in_place: bool,
    /// Directory that relative paths start from.
    pub directory: PathBuf,
    /// Its services, as the project's own model names them.
    pub services: BTreeMap<String, SideService>,
    /// Where its model stands: `side.json` beside a journal, or a release's pinned model, from which it is rendered.
    pub model: ModelAt,
    /// The longest that starting may take, seconds.
    pub deadline_s: u64,
    /// Seconds a container gets to stop; the model's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout_s: Option<u64>,
    /// Project and service of the proxy, whose calls are waited for before it is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<(String, String)>,
    /// The longest wait for them, seconds.
    pub drain_s: u64,
}

/// How a side stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Nothing of it is there.
    Absent,
    /// All of it runs.
    Up(String),
    /// Some of it is there.
    Partly(String),
    /// Something is there that we did not make.
    Foreign(String),
}

impl Beside {
    /// Its compose project.
    pub fn project(&self) -> String {
        if self.is_in_place {
            return self.base.clone();
        }
        side::project(&self.base, self.release)
    }

    /// Its services' names in its own model, with their number.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.services.iter().map(|(name, one)| (side::key(name, self.release), one.replicas)).collect()
    }

    /// Whose connections tell that it is idle.
    pub fn drain(&self) -> Drain {
        Drain {
            project: self.project(),
            services: self.services.keys().cloned().collect(),
            proxy: self.proxy.clone(),
            timeout_s: self.drain_s,
        }
    }

    /// Looks how it stands.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn look(&self, docker: &Docker) -> Result<Stand> {
        let project = self.project();
        let mut all = docker.containers(&project).await?;
        if self.is_in_place {
            all.retain(|one| self.services.contains_key(&one.service));
        }
        if all.is_empty() && self.is_in_place {
            return Ok(Stand::Absent);
        }
        if all.is_empty() {
            let networks = docker.networks(&project).await?;
            return Ok(match networks.is_empty() {
                true => Stand::Absent,
                false => Stand::Partly(format!("{project} has no container, but its network is there")),
            });
        }
        let mut images = BTreeMap::new();
        for one in self.services.values() {
            let id = if one.image.starts_with("sha256:") { None } else { docker.image_id(&one.image).await? };
            images.insert(one.image.as_str(), id.unwrap_or_else(|| one.image.clone()));
        }
        Ok(self.judge(&all, &images))
    }

    fn judge(&self, all: &[Container], images: &BTreeMap<&str, String>) -> Stand {
        let is_ours = |one: &Container| {
            (self.is_in_place || one.labels.get(label::SIDE_OF) == Some(&self.base))
                && self.services.contains_key(one.plain_service())
        };
        let names: BTreeSet<String> = all.iter().map(|one| one.service.clone()).collect();
        let words: Vec<String> = names.iter().map(|name| containers::describe(name, all)).collect();
        let words = words.join("; ");
        if !all.iter().all(is_ours) {
            return Stand::Foreign(words);
        }
        let is_up = self.services.iter().all(|(name, wanted)| {
            let own: Vec<&Container> = all.iter().filter(|one| one.plain_service() == name).collect();
            let is_wanted = |one: &&Container| {
                images.get(wanted.image.as_str()) == Some(&one.image_id)
                    && containers::is_up(one)
                    && !containers::is_half_made(one)
            };
            own.len() == wanted.replicas && own.iter().all(is_wanted)
        });
        if is_up { Stand::Up(words) } else { Stand::Partly(words) }
    }

    /// Brings it up.
    ///
    /// # Errors
    /// Compose's own words.
    pub async fn bring_up(
        &self,
        docker: &Docker,
        compose: &Compose,
        store: &Store,
        run: &RunTag,
        say: Say<'_>,
    ) -> Result<()> {
        let project = self.project();
        // What runs of it already keeps its marks: others would make other containers of them.
        let there = docker.containers(&project).await?;
        let mark = |key: &str| there.iter().find_map(|one| one.labels.get(key)?.parse::<u32>().ok());
        let (number, epoch) = (mark(label::RUN).unwrap_or(run.number), mark(label::EPOCH).unwrap_or(run.epoch));
        let model = side::marked(&self.model(store, run)?, number, epoch);
        let sources = Sources::in_memory(&project, &self.directory, &model);
        let services = self.counts().into_iter().filter(|(_, count)| *count > 0).map(|(name, _)| name).collect();
        let stop_timeout = self.stop_timeout_s.map(Duration::from_secs);
        let up = Up { services, is_forced: false, stop_timeout, deadline: Duration::from_secs(self.deadline_s) };
        compose.up(&sources, &up, &|line| say(line.split_whitespace().collect::<Vec<_>>().join(" "))).await
    }

    fn model(&self, store: &Store, run: &RunTag) -> Result<Value> {
        let beside = match self.model {
            ModelAt::Run(None) => run.side.join("side.json"),
            ModelAt::Run(Some(number)) => run.beside(number).join("side.json"),
            ModelAt::Release(number) => {
                let chosen: Vec<String> = self.services.keys().cloned().collect();
                let pinned = store.model(number).with_context(|| format!("r{number} cannot be started again"))?;
                return Ok(side::render(&pinned, &self.base, self.release, &chosen).model);
            }
            ModelAt::Nothing => anyhow::bail!("the side of r{} has no model", self.release),
        };
        files::read_json(&beside)
    }

    /// Waits for those who call it, then takes it away; volumes stay.
    ///
    /// # Errors
    /// Compose's own words.
    pub async fn take_away(&self, docker: &Docker, compose: &Compose, say: Say<'_>) -> Result<()> {
        match self.drain().wait(docker, say).await {
            Ok(drained) => say(format!("{}: {}", self.project(), drained.words())),
            // It goes all the same: whoever asked for that was told of the time.
            Err(error) => say(format!("{}: {error:#}", self.project())),
        }
        if self.is_in_place {
            for one in docker.containers(&self.base).await? {
                if self.services.contains_key(&one.service) {
                    say(format!("stopping {}", one.name));
                    docker.stop_service(&one.id).await?;
                    docker.remove(&one.id).await?;
                }
            }
            return Ok(());
        }
        let deadline = Duration::from_secs(self.deadline_s);
        let stop_timeout = self.stop_timeout_s.map(Duration::from_secs);
        compose
            .down(&self.project(), &self.directory, stop_timeout, deadline, &|line| {
                say(line.split_whitespace().collect::<Vec<_>>().join(" "));
            })
            .await
    }
}
