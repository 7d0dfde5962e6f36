//! Pull images: every reference is on this host. Undoing gives each reference back to the image it named before.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RunTag, Say, Undone, World};
use crate::adapter::compose::{Compose, Sources};
use crate::adapter::docker::Docker;
use crate::data::plural::{counted, verb};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct PullImages {
    /// Compose project.
    pub project: String,
    /// Directory of the project.
    pub directory: PathBuf,
    /// Service and reference.
    pub images: BTreeMap<String, String>,
    /// What each reference named before.
    pub from: BTreeMap<String, String>,
    /// Digest that the registry told when the plan was made; absent where it was not asked.
    pub wanted: BTreeMap<String, String>,
    /// The longest it may take, seconds.
    pub deadline_s: u64,
}

impl PullImages {
    /// Whether every reference is here, with the digest that was planned where one was.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn check(&self, docker: &Docker) -> Result<World> {
        let mut missing = Vec::new();
        for reference in self.images.values() {
            let image = docker.image(reference).await?;
            let digests = image.and_then(|image| image.repo_digests.or(Some(Vec::new())));
            let is_here = match (&digests, self.wanted.get(reference)) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(digests), Some(wanted)) => digests.iter().any(|digest| digest.ends_with(wanted.as_str())),
            };
            if !is_here {
                missing.push(reference.clone());
            }
        }
        missing.dedup();
        Ok(if missing.is_empty() {
            let count = self.images.len();
            World::After(format!("{} {} here", counted(count, "image"), verb(count, "is", "are")))
        } else {
            World::Before(format!("not here: {}", missing.join(", ")))
        })
    }

    /// Pulls.
    ///
    /// # Errors
    /// The registry's own words.
    pub async fn run(&self, compose: &Compose, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let sources = Sources::rendered(&self.project, &self.directory, &run.side.join("model.json"));
        let services: Vec<String> = self.images.keys().cloned().collect();
        compose
            .pull(&sources, &services, Duration::from_secs(self.deadline_s), &|line| say(line.trim().to_owned()))
            .await?;
        Ok(Value::Null)
    }

    /// Lets the references name what they named before.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn undo(&self, docker: &Docker) -> Result<Undone> {
        docker.give_back(&self.from).await.map(Undone::Stays)
    }
}
