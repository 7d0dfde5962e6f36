//! Copy rows: from the source into the target without files, everything or nothing; undone, the target is as before.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compared::Against;
use super::filling::{Sides, moved, patiently};
use super::save_changes::SaveChanges;
use super::{Databases, Reversal, RunTag, Say, Undone, World};
use crate::rows::copy::{self, Options};
use crate::rows::filling::Filling;
use crate::rows::freeze;

/// What it is called beside the journal.
const KIND: &str = "copy_rows";

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct CopyRows {
    /// The source, as it is shown.
    pub source: String,
    /// Both sides of the target.
    pub sides: Sides,
    /// How the target is filled.
    pub filling: Filling,
    /// The record of a freeze of the source: while it stands, a killed copy goes on with what is in the target.
    pub freeze: PathBuf,
}

impl CopyRows {
    fn options(&self, run: &RunTag) -> Options {
        let filling = Filling { session: run.session(), ..self.filling.clone() };
        Options { filling, is_source_frozen: false }
    }

    /// Looks at the record of the copy in the target itself.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub async fn check(&self, databases: &Databases, run: &RunTag) -> Result<World> {
        let (source, target) = (databases.shown(&self.source)?, databases.shown(&self.sides.target)?);
        let begun = self.sides.begun(run, KIND)?;
        let now = async || copy::identity(source, &self.options(run));
        self.sides.world(target, &self.filling, begun.as_ref(), now).await
    }

    /// Copies. After a kill or a lost connection it goes on where the source stood still meanwhile, else it begins anew.
    ///
    /// # Errors
    /// In the words of the copy; the target is as it was then.
    pub async fn run(&self, databases: &Databases, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let (source, target) = (databases.shown(&self.source)?, databases.shown(&self.sides.target)?);
        let mut options = self.options(run);
        let identity = copy::identity(source, &options)?;
        let was_begun = self.sides.begun(run, KIND)?.is_some();
        let mut is_first = !was_begun;
        let begun = self.sides.begin(target, &options.filling, run, KIND, identity, say).await?;
        let work = async || {
            // What another run left unfinished may be of another snapshot: the first call never goes on with it.
            let has_own_chunks = !std::mem::take(&mut is_first);
            options.is_source_frozen =
                has_own_chunks && freeze::is_frozen_since(source, &self.freeze, &begun.at).await?;
            copy::copy(source, target, &options, say).await
        };
        let done = patiently(&[source, target], &run.session(), say, work).await;
        Ok(moved(&self.sides.ended(run, KIND, was_begun, done)?).for_journal())
    }

    /// Takes back what was copied.
    ///
    /// # Errors
    /// In the words of the copy.
    pub async fn undo(&self, databases: &Databases, run: &RunTag, say: Say<'_>) -> Result<Undone> {
        let target = databases.shown(&self.sides.target)?;
        // As for an import: what was written since must not go with the rows.
        if self.sides.run.is_none() {
            self.changes(run.side.clone()).expect_nothing(databases, run, say).await?;
        }
        let begun = self.sides.begun(run, KIND)?;
        self.sides.undo(target, &self.filling, begun.as_ref(), run, say).await
    }

    /// What was written to the target since; it would be saved under this directory.
    pub fn changes(&self, directory: PathBuf) -> SaveChanges {
        let source = Against::Place(self.source.clone());
        let still = self.filling.baselines.is_none().then(|| self.freeze.clone());
        SaveChanges { still, ..SaveChanges::of(source, &self.filling, &self.sides.target, directory) }
    }

    /// Everything, unless rows were removed first.
    pub fn reversal(&self) -> Reversal {
        super::import_rows::reversal(&self.filling)
    }
}
