//! Import rows: files into the target, everything or nothing; undone, the target holds what it held before.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compared::Against;
use super::filling::{Sides, moved, patiently};
use super::save_changes::SaveChanges;
use super::{Databases, Reversal, RunTag, Say, Undone, World};
use crate::adapter::files;
use crate::data::metadata::{self, Metadata};
use crate::rows::filling::Filling;
use crate::rows::freeze::{Phase, is_not_after, read_record};
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
    /// The record of the source's freeze, where files that are older than it are refused.
    #[serde(default)]
    pub freeze: Option<PathBuf>,
}

/// What was written between an export and a freeze is in no file: says so, where the export is the older one.
///
/// # Errors
/// When `metadata.json` cannot be read.
pub fn older_than(directory: &Path, frozen: &str) -> Result<Option<String>> {
    let path = directory.join(metadata::FILE);
    if !path.exists() {
        return Ok(None);
    }
    let found: Metadata = files::read_json(&path)?;
    let Some(exported) = found.exported_at else { return Ok(None) };
    // What another tool calls a moment may be none; then it says nothing.
    if is_not_after(frozen, &exported).unwrap_or(true) {
        return Ok(None);
    }
    Ok(Some(format!(
        "the export in {} was begun at {exported}, before the source was frozen at {frozen}: what was written in between \
         is not in it; export again (cutover data export)",
        directory.display()
    )))
}

impl ImportRows {
    /// Looks at the record of the import in the target itself.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub async fn check(&self, databases: &Databases, run: &RunTag) -> Result<World> {
        let target = databases.shown(&self.sides.target)?;
        let begun = self.sides.begun(run, KIND)?;
        // Asked only before the run began; it says how far it is when it begins.
        let now = async || import::identity(&self.options, &|_| ()).await;
        self.sides.world(target, &self.options.filling, begun.as_ref(), now).await
    }

    /// Imports; after a kill or a lost connection it goes on with what is not in the target yet.
    ///
    /// # Errors
    /// In the words of the import; the target is as it was then.
    pub async fn run(&self, databases: &Databases, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let target = databases.shown(&self.sides.target)?;
        let filling = Filling { session: run.session(), ..self.options.filling.clone() };
        let options = Options { filling, ..self.options.clone() };
        let identity = import::identity(&options, say).await?;
        let was_begun = self.sides.begun(run, KIND)?.is_some();
        self.refuse_older(was_begun)?;
        self.sides.begin(target, &options.filling, run, KIND, identity, say).await?;
        let work = async || import::import(target, &options, say).await;
        let done = patiently(&[target], &run.session(), say, work).await;
        Ok(moved(&self.sides.ended(run, KIND, was_begun, done)?).for_journal())
    }

    /// The plan may have been made before both the files and the freeze.
    fn refuse_older(&self, was_begun: bool) -> Result<()> {
        let Some(record) = self.freeze.as_ref().filter(|_| !was_begun) else { return Ok(()) };
        let frozen = read_record(record)?.filter(|frozen| frozen.phase == Phase::Frozen);
        let Some(moment) = frozen.and_then(|frozen| frozen.frozen_at) else { return Ok(()) };
        match older_than(&self.options.directory, &moment)? {
            Some(why) => bail!("{why}"),
            None => Ok(()),
        }
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
            "the rows that the target's tables held before the import are removed for it; a rollback leaves the tables empty, and `cutover backup restore {id}` gives those rows back"
        )),
        _ => Reversal::Exact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_that_was_begun_before_the_freeze_is_the_older_one() {
        let directory = tempfile::tempdir().unwrap();
        let of = |frozen: &str| older_than(directory.path(), frozen).unwrap();
        assert_eq!(of("2026-11-21T08:00:00Z"), None, "nothing is known of no files");
        let metadata = r#"{"schema":"cutover/v1","exportedAt":"2026-11-21T07:59:59.9Z","tables":{}}"#;
        std::fs::write(directory.path().join(metadata::FILE), metadata).unwrap();
        assert!(of("2026-11-21T08:00:00Z").unwrap().contains("before the source was frozen at 2026-11-21T08:00:00Z"));
        assert_eq!(of("2026-11-21T07:59:59Z"), None);
        std::fs::write(directory.path().join(metadata::FILE), r#"{"exportedAt":"yesterday"}"#).unwrap();
        assert_eq!(of("2026-11-21T08:00:00Z"), None, "another tool's word for a moment says nothing");
    }
}
