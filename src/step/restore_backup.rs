//! Restore backup: into a new database, compared with the token, then the two exchange names. The old one is kept aside.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::create_backup::tools;
use super::{Databases, RunTag, Say, Undone, World};
use crate::adapter::clock;
use crate::adapter::process::Process;
use crate::rows::backup::{self, Flip, RestoreOptions};
use crate::rows::client_tools::ToolPlaces;

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct RestoreBackup {
    /// The live database, as it is shown.
    pub place: String,
    /// Its name.
    pub live: String,
    /// The name under which it is kept.
    pub aside: String,
    /// Which backup, and how.
    pub options: RestoreOptions,
    /// Where the client programs may be.
    pub tools: ToolPlaces,
    /// The longest that sessions may stand in the way of the exchange, seconds.
    pub flip_deadline_s: u64,
}

impl RestoreBackup {
    fn restored(&self) -> String {
        format!("{}_restored_{}", self.live, self.options.backup.id)
    }

    fn options(&self, run: &RunTag) -> RestoreOptions {
        let mut options = self.options.clone();
        options.backup.session = run.session();
        options
    }

    /// Looks which databases there are.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn check(&self, databases: &Databases) -> Result<World> {
        let session = databases.shown(&self.place)?.connect("cutover").await?;
        let restored = self.restored();
        let names = [self.live.as_str(), &self.aside, &restored];
        let rows = session
            .query("SELECT datname::text FROM pg_catalog.pg_database WHERE datname = ANY($1)", &[&names.as_slice()])
            .await
            .context("cannot list the databases")?;
        let there: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let is_there = |name: &str| there.iter().any(|one| one == name);
        Ok(match (is_there(&self.aside), is_there(&restored)) {
            (true, _) => World::After(format!("{} is what was restored; the old one is {}", self.live, self.aside)),
            (false, true) => World::Between(format!("{restored} is there and not in use")),
            (false, false) => World::Before(format!("{} is as it was", self.live)),
        })
    }

    /// Restores, compares, exchanges the names.
    ///
    /// # Errors
    /// In the words of the restore; the live database is untouched then.
    pub async fn run(&self, databases: &Databases, process: &Process, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let place = databases.shown(&self.place)?;
        let tools = tools(place, process, &self.tools, &run.session()).await?;
        let restored = backup::restore(place, &tools, &self.options(run), say).await?;
        let deadline = Duration::from_secs(self.flip_deadline_s);
        backup::flip(place, &restored.database, &self.aside, &run.session(), deadline, say).await?;
        serde_json::to_value(&restored).context("cannot put what was restored into JSON")
    }

    /// Exchanges the names back; what was restored is kept under its own name.
    ///
    /// # Errors
    /// When sessions stand in the way for too long.
    pub async fn undo(&self, databases: &Databases, run: &RunTag, say: Say<'_>) -> Result<Undone> {
        let place = databases.shown(&self.place)?;
        let flip =
            Flip { live: self.live.clone(), restored: self.restored(), aside: self.aside.clone(), at: clock::now() };
        if matches!(self.check(databases).await?, World::After(_)) {
            let deadline = Duration::from_secs(self.flip_deadline_s);
            backup::unflip(place, &flip, &run.session(), deadline, say).await?;
        }
        if let World::After(seen) = self.check(databases).await? {
            bail!("the names were exchanged back, and then it was found that {seen}");
        }
        Ok(Undone::Stays(format!("{} is again what it was; what was restored stays as {}", self.live, flip.restored)))
    }
}
