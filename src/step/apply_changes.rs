//! Apply changes: what was written to the target since it was filled is written to the source, ids mapped back.
//!
//! Law: all of it in one transaction or nothing, and only onto rows that are as they were before. Undone, the old rows
//! come back.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::compared::mapping;
use super::save_changes::{ChangesAt, counted};
use super::{Databases, RunTag, Say, Undone, World};
use crate::data::change_file::Head;
use crate::data::patterns;
use crate::rows::apply::{self, ApplyOptions, State};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ApplyChanges {
    /// The change file.
    pub changes: ChangesAt,
    /// The digest of its lines, where it was there when the plan was made: another file is another world.
    pub sha256: Option<String>,
    /// The source, as it is shown.
    pub source: String,
    /// The target that the changes were told apart on, as it is shown.
    pub target: String,
    /// `user-mapping.json`, where ids were mapped.
    pub mapping: Option<PathBuf>,
    /// `data.users_table`.
    pub users_table: String,
    /// Whether ids of accounts that only the new service knows stay as they are.
    pub keeps_new_accounts: bool,
}

impl ApplyChanges {
    /// The first line of the change file, which was read to its end.
    ///
    /// # Errors
    /// When it is not whole, or is not the one that was planned.
    pub fn head(&self, run: &RunTag) -> Result<Head> {
        let path = self.changes.path(run);
        let head = apply::read(&path, |_, _| Ok(()))?;
        if self.sha256.as_ref().is_some_and(|sha256| *sha256 != head.sha256) {
            bail!("{} is another file than the one that was planned; bring that one back", path.display());
        }
        if head.target != self.target {
            bail!(
                "{} holds changes of {}, and not of {}, which this is about",
                path.display(),
                head.target,
                self.target
            );
        }
        Ok(head)
    }

    /// How the changes are applied, or taken back.
    ///
    /// # Errors
    /// When the mapping cannot be read.
    pub fn options(&self, run: &RunTag, is_undo: bool) -> Result<ApplyOptions> {
        Ok(ApplyOptions {
            file: self.changes.path(run),
            mapping: mapping(self.mapping.as_deref())?,
            users_table: patterns::table_name(&self.users_table).map_err(|why| anyhow!(why)).context("users_table")?,
            // What stood in the source before may stand there again.
            keeps_new_accounts: self.keeps_new_accounts || is_undo,
            is_undo,
            session_name: run.session(),
        })
    }

    /// Reads how each changed row stands on the source.
    ///
    /// # Errors
    /// When the change file or the source cannot be read.
    pub async fn check(&self, databases: &Databases, run: &RunTag) -> Result<World> {
        let head = self.head(run)?;
        let state = apply::state(databases.shown(&self.source)?, &self.options(run, false)?).await?;
        let (source, all) = (&self.source, counted(&head));
        Ok(match state {
            State::After if head.all() == 0 => World::After(format!("there is no change to carry to {source}")),
            State::After => World::After(match self.aside(databases, run).await? {
                0 => format!("{all} counted in {source}, each row as on the target"),
                aside => format!(
                    "{} of {all} counted in {source}, each row as on the target; {aside} of accounts that it does not have \
                     stay in {}",
                    head.all().saturating_sub(aside),
                    self.changes.path(run).display()
                ),
            }),
            State::Before => World::Before(format!("{source} has none of {all}")),
            State::Between => World::Between(format!("{source} has some of {all}")),
            State::Neither(conflicts) => World::Foreign(format!(
                "rows of {source} are neither as before the changes nor as after them: {}",
                conflicts.iter().take(5).cloned().collect::<Vec<_>>().join("; ")
            )),
        })
    }

    /// How many changes stay in the file, because the source does not have their accounts.
    async fn aside(&self, databases: &Databases, run: &RunTag) -> Result<u64> {
        let found = apply::new_accounts(databases.shown(&self.source)?, &self.options(run, false)?).await?;
        Ok(found.1.len())
    }

    /// Applies them.
    ///
    /// # Errors
    /// When a row stands otherwise, or the source refuses: then nothing is applied.
    pub async fn run(&self, databases: &Databases, run: &RunTag, say: Say<'_>) -> Result<Value> {
        self.head(run)?;
        let source = databases.shown(&self.source)?;
        let applied = apply::apply(source, &self.options(run, false)?, say).await?;
        Ok(json!({
            "changes": applied.changes, "written": applied.written, "already": applied.already,
            "keptAccounts": applied.kept_accounts, "sequences": applied.sequences,
            "aside": json!({
                "changes": applied.aside.len(), "accounts": applied.aside.accounts,
                "tables": applied.aside.tables.iter().map(|(table, count)| (table.to_string(), count)).collect::<Vec<_>>(),
            }),
        }))
    }

    /// Brings the old rows back.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn undo(&self, databases: &Databases, run: &RunTag, say: Say<'_>) -> Result<Undone> {
        self.head(run)?;
        apply::apply(databases.shown(&self.source)?, &self.options(run, true)?, say).await?;
        Ok(Undone::Back)
    }
}
