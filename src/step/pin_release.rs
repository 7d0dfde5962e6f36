//! Pin release: what runs now is kept, images and files, before anything can take it away.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{RunTag, Undone, World};
use crate::adapter::clock;
use crate::adapter::compose::Compose;
use crate::adapter::docker::Docker;
use crate::adapter::files;
use crate::data::plural::counted;
use crate::release::freeze::Fingerprints;
use crate::release::keep::{self, Keep, KeptService};
use crate::release::{Origin, Store};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct PinRelease {
    /// Number of the release.
    pub release: u32,
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Directory of the project.
    pub directory: PathBuf,
    /// How its model is known.
    pub origin: Origin,
    /// Its services as they run now.
    pub services: BTreeMap<String, KeptService>,
}

impl PinRelease {
    /// Whether the release is recorded and all its images are kept.
    ///
    /// # Errors
    /// When the engine or the store cannot be asked.
    pub async fn check(&self, docker: &Docker, store: &Store) -> Result<World> {
        let Some(release) = store.read(self.release)? else {
            let pieces = keep::pieces(docker, &self.project, self.services.keys(), self.release).await?;
            return Ok(if pieces.is_empty() {
                World::Before(format!("r{} is not recorded yet", self.release))
            } else {
                World::Between(format!("r{} is kept in part: {}", self.release, pieces.join(", ")))
            });
        };
        // Recorded last, named current after that: a run can be killed in between.
        if store.current()? != Some(self.release) {
            return Ok(World::Between(format!("r{} is recorded, but not named the current one", self.release)));
        }
        let missing = keep::missing(docker, &release).await?;
        Ok(if missing.is_empty() {
            World::After(format!("r{} is kept, {}", self.release, counted(release.services.len(), "image")))
        } else {
            World::Between(format!("r{} is recorded, but not kept: {}", self.release, missing.join(", ")))
        })
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When an image is gone or the record cannot be written.
    pub async fn run(
        &self,
        docker: &Docker,
        compose: &Compose,
        store: &Store,
        state: &std::path::Path,
        run: &RunTag,
    ) -> Result<Value> {
        let beside = run.side.join("before.json");
        let model: Value = match (store.read(self.release)?, beside.exists()) {
            (Some(release), _) => return self.keep_again(docker, store, &release).await,
            (None, true) => files::read_json(&beside)?,
            (None, false) => bail!("{} is missing; it was written when the run began", beside.display()),
        };
        let fingerprints = Fingerprints::read_or_make(state)?;
        let wanted = Keep {
            number: self.release,
            project: &self.project,
            environment: &self.environment,
            directory: self.directory.clone(),
            origin: self.origin,
            run: run.number,
            recorded_at: clock::now(),
            model: &model,
            services: &self.services,
            side: None,
        };
        keep::keep(docker, compose, store, &fingerprints, &wanted).await?;
        store.set_current(Some(self.release))?;
        Ok(json!({ "release": self.release }))
    }

    /// Tags and holds again what somebody let go while the containers still run.
    async fn keep_again(&self, docker: &Docker, store: &Store, release: &crate::release::Release) -> Result<Value> {
        for (service, record) in &release.services {
            let (repository, tag) = record.pinned.rsplit_once(':').unwrap_or((&record.pinned, "kept"));
            docker.tag(&record.image_id, repository, tag).await?;
            let holder = keep::holder_name(&self.project, service, self.release);
            docker.hold(&holder, &record.pinned, &format!("{}/r{}", self.project, self.release)).await?;
        }
        store.set_current(Some(self.release))?;
        Ok(json!({ "release": self.release }))
    }

    /// What is kept stays kept; what was kept in part, without a record, is let go.
    ///
    /// # Errors
    /// When the engine refuses or the pointer cannot be written.
    pub async fn undo(&self, docker: &Docker, store: &Store) -> Result<Undone> {
        if store.read(self.release)?.is_none() {
            keep::drop_pieces(docker, &self.project, self.services.keys(), self.release).await?;
            return Ok(Undone::Back);
        }
        // It runs, whether it was kept in this run or before.
        store.set_current(Some(self.release))?;
        Ok(Undone::Stays("the images stay kept".into()))
    }
}
