//! End side: the services of a release that nobody is led to any more are taken away. The release stays kept.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::beside::{Beside, Stand};
use super::{RunTag, Say, Undone, World};
use crate::adapter::compose::Compose;
use crate::adapter::docker::Docker;
use crate::release::Store;

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct EndSide {
    /// The side.
    pub side: Beside,
    /// Whether the run's own way back leads to it: then undoing starts it again.
    pub is_way_back: bool,
}

impl EndSide {
    /// Whether it is gone.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn check(&self, docker: &Docker) -> Result<World> {
        Ok(match self.side.look(docker).await? {
            Stand::Absent => World::After(format!("{} is let go", self.side.project())),
            Stand::Up(words) => World::Before(words),
            Stand::Partly(words) => World::Between(words),
            Stand::Foreign(words) => World::Foreign(words),
        })
    }

    /// Takes it away.
    ///
    /// # Errors
    /// Compose's own words.
    pub async fn run(&self, docker: &Docker, compose: &Compose, say: Say<'_>) -> Result<Value> {
        self.side.take_away(docker, compose, say).await?;
        Ok(json!({ "project": self.side.project() }))
    }

    /// Starts it again, where the way back leads to it.
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
        if !self.is_way_back {
            return Ok(Undone::Stays(format!("r{} is kept, and can be started again", self.side.release)));
        }
        self.side.bring_up(docker, compose, store, run, say).await?;
        Ok(Undone::Back)
    }
}
