//! End one-shots: a migration that an interrupted run left at work is ended before anything is read or undone. It would
//! hold its locks under an export, and go on writing under a rollback: at most one of us changes a host.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Say, World};
use crate::adapter::docker::Docker;

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct EndOneShots {
    /// Compose project.
    pub project: String,
}

impl EndOneShots {
    /// Whether none is at work.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn check(&self, docker: &Docker) -> Result<World> {
        let names = self.names(docker).await?;
        Ok(if names.is_empty() {
            World::After("nothing that an interrupted run left is at work".into())
        } else {
            World::Before(format!("still at work: {}", names.join(", ")))
        })
    }

    /// Stops them; they stay, so that the undoing of their step sees how they ended.
    ///
    /// # Errors
    /// The engine's own words.
    pub async fn run(&self, docker: &Docker, say: Say<'_>) -> Result<Value> {
        let names = self.names(docker).await?;
        for name in &names {
            say(format!("stopping {name}"));
            docker.stop(name).await?;
        }
        Ok(json!({ "stopped": names }))
    }

    async fn names(&self, docker: &Docker) -> Result<Vec<String>> {
        let shots = docker.one_shots_at_work(&self.project).await?;
        Ok(shots.into_iter().map(|shot| shot.name).collect())
    }
}
