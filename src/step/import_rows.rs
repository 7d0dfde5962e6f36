//! Import rows: files into the target, everything or nothing; undone, the target holds what it held before.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::expect_same_rows::Against;
use super::filling::{Sides, moved, patiently};
use super::save_changes::SaveChanges;
use super::{Databases, Reversal, RunTag, Say, Undone, World};
use crate::rows::filling::Filling;
use crate::rows::import::{self, Options};

/// What it is called beside the journal.
const KIND: &str = "import_rows";

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ImportRows {
    /// Both sides.
    pub sides: Sides,
    /// Which files, and how the target is filled.
    pub options: Options,
}

impl ImportRows {
    /// Looks at the record of the import in the target itself.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub async fn check(&self, databases: &Databases, run: &RunTag) -> Result<World> {
        let target = databases.shown(&self.sides.target)?;
        let begun = self.sides.begun(run, KIND)?;
        self.sides.world(target, &self.options.filling, begun.as_ref(), || import::identity(&self.options)).await
    }

    /// Imports; after a kill or a lost connection it goes on with what is not in the target yet.
    ///
    /// # Errors
    /// In the words of the import; the target is as it was then.
    pub async fn run(&self, databases: &Databases, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let target = databases.shown(&self.sides.target)?;
        let filling = Filling { session: run.session(), ..self.options.filling.clone() };
        let options = Options { filling, ..self.options.clone() };
        let identity = import::identity(&options)?;
        let was_begun = self.sides.begun(run, KIND)?.is_some();
        self.sides.begin(target, &options.filling, run, KIND, identity).await?;
        let work = async || import::import(target, &options, say).await;
        let done = patiently(&[target], &run.session(), say, work).await;
        Ok(moved(&self.sides.ended(run, KIND, was_begun, done)?).for_journal())
    }

    /// Takes back what was imported.
    ///
    /// # Errors
    /// In the words of the import.
    pub async fn undo(&self, databases: &Databases, run: &RunTag, say: Say<'_>) -> Result<Undone> {
        let target = databases.shown(&self.sides.target)?;
        // A rollback has saved what was written; a run that goes back by itself has not.
        if self.sides.run.is_none() {
            self.changes(run.side.clone()).expect_nothing(databases, run, say).await?;
        }
        let begun = self.sides.begun(run, KIND)?;
        self.sides.undo(target, &self.options.filling, begun.as_ref(), run, say).await
    }

    /// What was written to the target since; it would be saved under this directory.
    pub fn changes(&self, directory: PathBuf) -> SaveChanges {
        let files = Against::Files(self.options.directory.clone());
        SaveChanges::of(files, &self.options.filling, &self.sides.target, directory)
    }

    /// Everything, unless rows were removed first.
    pub fn reversal(&self) -> Reversal {
        reversal(&self.options.filling)
    }
}

/// What undoing a filling gives back.
pub(super) fn reversal(filling: &Filling) -> Reversal {
    match &filling.backup_token {
        Some(id) if filling.is_truncating_first => Reversal::Lossy(format!(
            "the rows that the target's tables hold now are removed; they are in the backup {id} alone"
        )),
        _ => Reversal::Exact,
    }
}
