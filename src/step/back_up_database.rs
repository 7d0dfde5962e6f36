//! Back up database: a dump that was read back in full, with its digest beside it, before anything is changed.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dump::{abandon, finished, manifest_of, server, take};
use super::{RunTag, Say, Undone, World};
use crate::adapter::docker::Docker;
use crate::adapter::files;
use crate::adapter::postgres::{Database, Postgres};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct BackUpDatabase {
    /// Compose project.
    pub project: String,
    /// Which database.
    pub database: Database,
    /// Where backups go.
    pub directory: PathBuf,
    /// How many are kept.
    pub keep: u32,
    /// The longest it may take, seconds.
    pub deadline_s: u64,
}

impl BackUpDatabase {
    /// Name of the dump that a run makes.
    pub fn file(&self, run: u32) -> String {
        format!("{run:04}-{}.dump", self.database.name)
    }

    /// Whether this run's dump is there with its digest.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn check(&self, run: &RunTag) -> Result<World> {
        finished(&self.directory, &self.file(run.number))
    }

    /// Dumps, reads back, writes the digest, lets the oldest backups go.
    ///
    /// # Errors
    /// When the server is not there, the dump fails, or it cannot be read back.
    pub async fn run(&self, docker: &Docker, postgres: &Postgres, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let container = server(docker, &self.project, &self.database).await?;
        let path = self.directory.join(self.file(run.number));
        let dump = take(postgres, &container, &self.database, &path, run, self.deadline_s, say).await?;
        self.let_old_ones_go(run.number)?;
        serde_json::to_value(dump).context("cannot put the dump's facts into JSON")
    }

    /// A finished backup stays; an unfinished one is taken away.
    ///
    /// # Errors
    /// When a file cannot be removed, or whoever writes it cannot be ended.
    pub async fn undo(&self, docker: &Docker, postgres: &Postgres, run: &RunTag) -> Result<Undone> {
        if matches!(self.check(run)?, World::After(_)) {
            return Ok(Undone::Stays("the backup stays".into()));
        }
        let path = self.directory.join(self.file(run.number));
        abandon(docker, postgres, &self.project, &self.database, &path, run).await?;
        Ok(Undone::Back)
    }

    fn let_old_ones_go(&self, run: u32) -> Result<()> {
        let suffix = format!("-{}.dump", self.database.name);
        let entries =
            std::fs::read_dir(&self.directory).with_context(|| format!("cannot read {}", self.directory.display()))?;
        let mut numbers: Vec<u32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(&suffix)?.parse().ok())
            .filter(|number| *number != run)
            .collect();
        numbers.sort_unstable();
        let surplus = numbers.len().saturating_sub(usize::try_from(self.keep).unwrap_or(usize::MAX).saturating_sub(1));
        for number in &numbers[..surplus] {
            let path = self.directory.join(self.file(*number));
            for path in [manifest_of(&path), path] {
                // A run that was killed in here has removed one of the two.
                files::remove_if_there(&path).context("an old backup cannot be let go")?;
            }
        }
        Ok(())
    }
}
