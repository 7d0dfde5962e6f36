//! Build images: the services' images are built from the sources of today. Undoing gives the references back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{RunTag, Say, Undone, World};
use crate::adapter::compose::{Compose, Sources};
use crate::adapter::docker::Docker;
use crate::adapter::files;

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct BuildImages {
    /// Compose project.
    pub project: String,
    /// Directory of the project.
    pub directory: PathBuf,
    /// Service and the reference it is built under.
    pub images: BTreeMap<String, String>,
    /// What each reference named before.
    pub from: BTreeMap<String, String>,
    /// The longest it may take, seconds.
    pub deadline_s: u64,
}

impl BuildImages {
    /// Whether this run has built, and the references still name what it built.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn check(&self, docker: &Docker, run: &RunTag) -> Result<World> {
        let path = run.side.join("built.json");
        if !path.exists() {
            return Ok(World::Before("not built yet".into()));
        }
        let built: BTreeMap<String, String> = files::read_json(&path)?;
        for (reference, id) in &built {
            if docker.image_id(reference).await?.as_ref() != Some(id) {
                return Ok(World::Between(format!("{reference} does not name what this run built")));
            }
        }
        Ok(World::After(format!("built {}", self.images.keys().cloned().collect::<Vec<_>>().join(", "))))
    }

    /// Builds, then writes down what was built.
    ///
    /// # Errors
    /// The builder's own words.
    pub async fn run(&self, docker: &Docker, compose: &Compose, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let sources = Sources::rendered(&self.project, &self.directory, &run.side.join("model.json"));
        let services: Vec<String> = self.images.keys().cloned().collect();
        let deadline = Duration::from_secs(self.deadline_s);
        compose.build(&sources, &services, deadline, &|line| say(line.trim().to_owned())).await?;
        let mut built = BTreeMap::new();
        for reference in self.images.values() {
            let id =
                docker.image_id(reference).await?.with_context(|| format!("the build made no image {reference}"))?;
            built.insert(reference.clone(), id);
        }
        files::write_json(&run.side.join("built.json"), &built, 0o600)?;
        Ok(json!({ "built": built }))
    }

    /// Lets the references name what they named before.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn undo(&self, docker: &Docker, run: &RunTag) -> Result<Undone> {
        let path = run.side.join("built.json");
        if path.exists() {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        docker.give_back(&self.from).await.map(Undone::Stays)
    }
}
