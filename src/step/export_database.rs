//! Export database: before a rollback touches anything, what the database holds is dumped and read back in full.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dump::{finished, server, take};
use super::{RunTag, Say, World};
use crate::adapter::docker::Docker;
use crate::adapter::postgres::{Database, Postgres};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExportDatabase {
    /// Compose project.
    pub project: String,
    /// Which database.
    pub database: Database,
    /// Where exports go.
    pub directory: PathBuf,
    /// The longest it may take, seconds.
    pub deadline_s: u64,
}

impl ExportDatabase {
    fn file(&self, run: u32) -> String {
        format!("{run:04}-{}.dump", self.database.name)
    }

    /// Whether this run's export is there with its digest.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn check(&self, run: &RunTag) -> Result<World> {
        finished(&self.directory, &self.file(run.number))
    }

    /// Dumps and reads back.
    ///
    /// # Errors
    /// When the server is not there, the dump fails, or it cannot be read back.
    pub async fn run(&self, docker: &Docker, postgres: &Postgres, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let container = server(docker, &self.project, &self.database).await?;
        let path = self.directory.join(self.file(run.number));
        let dump = take(postgres, &container, &self.database, &path, run, self.deadline_s, say).await?;
        serde_json::to_value(dump).context("cannot put the dump's facts into JSON")
    }
}
