//! Let release go: a kept release that no rollback needs any more. Its images stay while anything else holds them.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Reversal, Say, World};
use crate::adapter::docker::Docker;
use crate::release::{Store, keep};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct LetReleaseGo {
    /// Its number.
    pub release: u32,
}

impl LetReleaseGo {
    /// Whether it is gone. Its record goes last, so one that was let go in part is still there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn check(&self, store: &Store) -> Result<World> {
        let name = format!("r{}", self.release);
        Ok(match store.read(self.release)? {
            None => World::After(format!("{name} is not kept")),
            Some(_) if store.current()? == Some(self.release) => {
                World::Foreign(format!("{name} is the current release now"))
            }
            Some(_) => World::Before(format!("{name} is kept")),
        })
    }

    /// Takes our tags and holders away, then the record.
    ///
    /// # Errors
    /// When the engine refuses; the record then stays.
    pub async fn run(&self, docker: &Docker, store: &Store, say: Say<'_>) -> Result<Value> {
        if let Some(release) = store.read(self.release)? {
            say(format!("letting {} go", release.name()));
            keep::let_go(docker, store, &release).await?;
        }
        Ok(json!({ "release": self.release }))
    }

    /// What was let go is not kept again.
    pub fn reversal(&self) -> Reversal {
        Reversal::Nothing(format!("r{} cannot be brought back any more", self.release))
    }
}
