//! Start side: a release's services run beside those that serve, as a project of their own. Nobody is led to them yet.

use std::collections::BTreeMap;

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
pub struct StartSide {
    /// The side.
    pub side: Beside,
}

impl StartSide {
    /// Whether it runs.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn check(&self, docker: &Docker) -> Result<World> {
        Ok(match self.side.look(docker).await? {
            Stand::Absent => World::Before(format!("{} is not there", self.side.project())),
            Stand::Up(words) => World::After(words),
            Stand::Partly(words) => World::Between(words),
            Stand::Foreign(words) => World::Foreign(words),
        })
    }

    /// Brings it up.
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
        self.side.bring_up(docker, compose, store, run, say).await?;
        let all = docker.containers(&self.side.project()).await?;
        let named = all.iter().map(|one| (one.plain_service(), json!({ "id": one.id, "image": one.image_id })));
        let containers: BTreeMap<&str, Value> = named.collect();
        Ok(json!({ "project": self.side.project(), "containers": containers }))
    }

    /// Takes it away, after those who still call it have been waited for.
    ///
    /// # Errors
    /// Compose's own words.
    pub async fn undo(&self, docker: &Docker, compose: &Compose, say: Say<'_>) -> Result<Undone> {
        self.side.take_away(docker, compose, say).await?;
        Ok(Undone::Back)
    }
}
