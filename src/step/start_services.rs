//! Start services: their containers are those of one side's model, or of the other's. Volumes are never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::containers::{self, ModelAt, Place, Side, Touched};
use super::expect_services::last_lines_of_failed;
use super::{RunTag, Say, Undone, World, patchwork};
use crate::adapter::compose::{Compose, Sources, Up};
use crate::adapter::docker::{Container, Docker};
use crate::adapter::files;
use crate::release::{Store, side};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct StartServices {
    /// Compose project.
    pub project: String,
    /// Directory that the project's relative paths start from.
    pub directory: PathBuf,
    /// The services, in the order they start.
    pub services: Vec<Touched>,
    /// What runs before.
    pub from: Side,
    /// What runs after.
    pub to: Side,
    /// The longest that starting may take, seconds.
    pub deadline_s: u64,
    /// Seconds a container gets to stop; the model's own where absent.
    pub stop_timeout_s: Option<u64>,
    /// Whether others stand on these services: then they come back first on the way home, for nothing that depends on
    /// them can come up before them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_ground: bool,
    /// Services that run in a project of their own: whatever model is brought up, they are taken out of it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<String>,
}

impl StartServices {
    /// Looks at every container of the services.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn check(&self, docker: &Docker) -> Result<World> {
        let all = docker.containers(&self.project).await?;
        let images = self.resolve(docker).await?;
        let places = self.places(&all, &images);
        let foreign = places.contains(&Place::Foreign);
        // Where somebody else was at work, only what he did is named.
        let said = self.services.iter().zip(&places).filter(|(_, place)| !foreign || **place == Place::Foreign);
        let said: Vec<String> = said.map(|(touched, _)| containers::describe(&touched.service, &all)).collect();
        let words = said.join("; ");
        let every = |wanted: Place| places.iter().all(|place| *place == wanted || *place == Place::Both);
        Ok(if foreign {
            World::Foreign(words)
        } else if every(Place::After) {
            World::After(words)
        } else if every(Place::Before) {
            World::Before(words)
        } else {
            World::Between(words)
        })
    }

    fn places(&self, all: &[Container], images: &BTreeMap<String, String>) -> Vec<Place> {
        let judge = |touched: &Touched| {
            let (from, to) = (self.from.services.get(&touched.service), self.to.services.get(&touched.service));
            containers::place(touched, from, to, all, images)
        };
        self.services.iter().map(judge).collect()
    }

    async fn resolve(&self, docker: &Docker) -> Result<BTreeMap<String, String>> {
        let mut images = BTreeMap::new();
        for side in self.to.services.values().filter(|side| !side.image.starts_with("sha256:")) {
            if let Some(id) = docker.image_id(&side.image).await? {
                images.insert(side.image.clone(), id);
            }
        }
        Ok(images)
    }

    /// Brings up the wanted side.
    ///
    /// # Errors
    /// Compose's own words.
    pub async fn run(
        &self,
        docker: &Docker,
        compose: &Compose,
        store: &Store,
        run: &RunTag,
        say: Say<'_>,
    ) -> Result<Value> {
        let images = self.resolve(docker).await?;
        self.bring(&self.to, &self.from, Place::After, &images, (docker, compose, store, run), say).await?;
        Ok(json!({ "containers": self.now(docker).await? }))
    }

    /// Brings back the side before: from the release's own model, not from today's files.
    ///
    /// # Errors
    /// Compose's own words.
    pub async fn undo(
        &self,
        docker: &Docker,
        compose: &Compose,
        store: &Store,
        run: &RunTag,
        say: Say<'_>,
    ) -> Result<Undone> {
        let images = self.resolve(docker).await?;
        self.bring(&self.from, &self.to, Place::Before, &images, (docker, compose, store, run), say).await?;
        Ok(Undone::Back)
    }

    async fn now(&self, docker: &Docker) -> Result<BTreeMap<String, Value>> {
        let all = docker.containers(&self.project).await?;
        let own = all
            .into_iter()
            .filter(|container| self.services.iter().any(|touched| touched.service == container.service));
        Ok(own.map(|container| (container.name, json!({ "id": container.id, "image": container.image_id }))).collect())
    }

    async fn bring(
        &self,
        wanted: &Side,
        other: &Side,
        goal: Place,
        images: &BTreeMap<String, String>,
        (docker, compose, store, run): (&Docker, &Compose, &Store, &RunTag),
        say: Say<'_>,
    ) -> Result<()> {
        let (all, half_made) = self.put_half_made_right(docker, wanted, say).await?;
        let places = self.places(&all, images);
        let pending = self.services.iter().zip(&places).filter(|(touched, place)| {
            (**place != goal && **place != Place::Both) || half_made.contains(&touched.service)
        });
        let (mut plain, mut forced, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (touched, _) in pending {
            if !wanted.services.contains_key(&touched.service) {
                gone.push(touched.service.clone());
            } else if touched.is_forced && goal == Place::After {
                forced.push(touched.service.clone());
            } else {
                plain.push(touched.service.clone());
            }
        }
        let listen = |line: &str| say(plain_words(line));
        let deadline = Duration::from_secs(self.deadline_s);
        if !gone.is_empty() {
            // The model that still knows the services to be removed is the other side's.
            let sources = Sources::rendered(&self.project, &self.directory, &self.path(other, store, run));
            compose.remove(&sources, &gone, deadline, &listen).await?;
        }
        if plain.is_empty() && forced.is_empty() {
            return Ok(());
        }
        let named: Vec<&String> = plain.iter().chain(&forced).collect();
        let model = self.model(wanted, other, &named, &all, (compose, store, run)).await?;
        let sources = match model {
            Some(model) => Sources::in_memory(&self.project, &self.directory, &model),
            None => Sources::rendered(&self.project, &self.directory, &self.path(wanted, store, run)),
        };
        for (services, is_forced) in [(plain, false), (forced, true)] {
            if !services.is_empty() {
                let stop_timeout = self.stop_timeout_s.map(Duration::from_secs);
                let up = Up { services, is_forced, stop_timeout, deadline };
                if let Err(error) = compose.up(&sources, &up, &listen).await {
                    return Err(self.with_last_lines(docker, error).await);
                }
            }
        }
        Ok(())
    }

    /// Compose tells which container failed, and not why; it is gone once the way back has been gone. An engine that is away
    /// is told as it was: what it is decides what comes next.
    async fn with_last_lines(&self, docker: &Docker, error: anyhow::Error) -> anyhow::Error {
        let said = format!("{error:#}");
        let docker = docker.with_patience(Duration::ZERO);
        let lines = last_lines_of_failed(&docker, &self.project, &said).await;
        if lines.is_empty() { error } else { anyhow::anyhow!("{said}{lines}") }
    }

    /// The model that is brought up, where it is not the wanted one as it stands in its file. What is not to be touched must stand in it as it runs, or compose would replace
    /// it along with those that depend on it.
    async fn model(
        &self,
        wanted: &Side,
        other: &Side,
        named: &[&String],
        all: &[Container],
        (compose, store, run): (&Compose, &Store, &RunTag),
    ) -> Result<Option<Value>> {
        let path = self.path(wanted, store, run);
        let mut places = vec![self.path(other, store, run)];
        let releases = [wanted.release, other.release].into_iter().flatten();
        places.extend(releases.flat_map(|number| [store.deployed_model_path(number), store.model_path(number)]));
        places.retain(|place| place.is_file());
        let read = |path: &Path| -> Result<Value> {
            let model = files::read_json(path)?;
            Ok(if self.without.is_empty() { model } else { side::without(&model, &self.without) })
        };
        let wanted = read(&path)?;
        let mut model = patchwork::Patchwork::new(wanted.clone(), named, all);
        for place in std::iter::once(&path).chain(&places) {
            if model.is_settled() {
                break;
            }
            let candidate = read(place)?;
            let hashes = compose.hashes(&self.project, &self.directory, &candidate).await?;
            model.offer(&candidate, &hashes);
        }
        let patched = model.finish()?;
        Ok(patched.or_else(|| (!self.without.is_empty()).then_some(wanted)))
    }

    /// A recreation that was killed leaves a container under a passing name: `up` would keep that name. Gives the
    /// containers as they are then, and the services where there was one: they are not up.
    async fn put_half_made_right(
        &self,
        docker: &Docker,
        wanted: &Side,
        say: Say<'_>,
    ) -> Result<(Vec<Container>, BTreeSet<String>)> {
        let all = docker.containers(&self.project).await?;
        let own = |container: &&Container| self.services.iter().any(|touched| touched.service == container.service);
        let half: Vec<&Container> = all.iter().filter(own).filter(|one| containers::is_half_made(one)).collect();
        if half.is_empty() {
            return Ok((all, BTreeSet::new()));
        }
        let services = half.iter().map(|half| half.service.clone()).collect();
        for half in half {
            let name = containers::wanted_name(half);
            let Some(replaced) = all.iter().find(|container| container.name == name) else {
                // The one before is gone, and its nameless volumes live on in this one alone.
                say(format!("{} gets the name {name}, which an interrupted run did not give it", half.name));
                docker.rename(&half.id, name).await?;
                continue;
            };
            let side = wanted.services.get(&replaced.service);
            if side.is_some_and(|side| side.ids.contains(&replaced.id) || side.hashes.contains(&replaced.hash)) {
                // The engine may still be stopping it, as it was asked to: what comes back must not go down after.
                say(format!("stopping {}, which an interrupted run was about to replace", replaced.name));
                docker.stop_service(&replaced.id).await?;
            }
            say(format!("removing {}, which an interrupted run left half-made", half.name));
            docker.remove(&half.id).await?;
        }
        Ok((docker.containers(&self.project).await?, services))
    }

    fn path(&self, side: &Side, store: &Store, run: &RunTag) -> PathBuf {
        match side.model {
            ModelAt::Nothing => PathBuf::from("/dev/null"),
            ModelAt::Run(None) => run.side.join("model.json"),
            ModelAt::Run(Some(number)) => run.beside(number).join("model.json"),
            ModelAt::Release(number) => store.model_path(number),
        }
    }
}

/// What compose says, without its padding.
fn plain_words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
