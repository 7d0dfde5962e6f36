//! The directory of runs: `0007-deploy.jsonl` is the journal of run 7, `0007/` holds what it keeps beside it.

use std::io;
use std::path::{Path, PathBuf};

use super::entry::{Entry, Outcome};
use super::file::{JournalError, read};
use super::state::{RunState, fold};

/// A run's place on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunFile {
    /// Number.
    pub number: u32,
    /// Kind, as the file name has it.
    pub kind: String,
    /// The journal.
    pub path: PathBuf,
}

impl RunFile {
    /// Reads and folds the journal.
    ///
    /// # Errors
    /// When it cannot be read or its chain is broken.
    pub fn state(&self) -> Result<RunState, JournalError> {
        self.entries().map(|entries| fold(self.number, &self.kind, &entries))
    }

    /// Reads the journal.
    ///
    /// # Errors
    /// When it cannot be read or its chain is broken.
    pub fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        read(&self.path)
    }
}

/// All runs of a state directory, oldest first. A directory that is not there has none.
///
/// # Errors
/// When the directory is there but cannot be read.
pub fn list(runs: &Path) -> io::Result<Vec<RunFile>> {
    let entries = match std::fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some((number, kind)) = name.strip_suffix(".jsonl").and_then(|stem| stem.split_once('-'))
            && let Ok(number) = number.parse()
        {
            found.push(RunFile { number, kind: kind.to_owned(), path: path.clone() });
        }
    }
    found.sort();
    Ok(found)
}

/// The runs since the last one that began which were killed before their first line was durable, newest first. Only the
/// newest journals are read: a damaged old one must not stand in the way home.
///
/// # Errors
/// When the directory or a journal cannot be read.
pub fn unbegun(runs: &Path) -> Result<Vec<RunFile>, JournalError> {
    let io = |source| JournalError::Io { act: "list", path: runs.to_owned(), source };
    let mut found = Vec::new();
    for file in list(runs).map_err(io)?.into_iter().rev() {
        if !file.entries()?.is_empty() {
            break;
        }
        found.push(file);
    }
    Ok(found)
}

/// Clears away a run that began nothing: what it kept beside its journal, then the journal.
///
/// # Errors
/// When a file cannot be removed.
pub fn clear(file: &RunFile) -> io::Result<()> {
    let directory = file.path.parent().unwrap_or_else(|| Path::new("."));
    match std::fs::remove_dir_all(side_directory(directory, file.number)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::fs::remove_file(&file.path),
    }
}

/// The run that says how things stand: the last one, or the one before it that is still open, where the last was a
/// rollback that failed before it changed anything.
///
/// # Errors
/// When the directory or a journal cannot be read.
pub fn last(runs: &Path) -> Result<Option<RunState>, JournalError> {
    let io = |source| JournalError::Io { act: "list", path: runs.to_owned(), source };
    let mut last: Option<RunState> = None;
    for file in list(runs).map_err(io)?.iter().rev() {
        let run = file.state()?;
        if run.header.is_none() {
            continue;
        }
        if run.kind == "rollback" && matches!(run.outcome, Some((Outcome::Unchanged, _))) {
            last.get_or_insert(run);
            continue;
        }
        return Ok(if run.is_open() { Some(run) } else { last.or(Some(run)) });
    }
    Ok(last)
}

/// Where the journal of a run stands.
pub fn journal_path(runs: &Path, number: u32, kind: &str) -> PathBuf {
    runs.join(format!("{number:04}-{kind}.jsonl"))
}

/// Where a run keeps what it needs beside its journal: the rendered model, logs, the state of an incident.
pub fn side_directory(runs: &Path, number: u32) -> PathBuf {
    runs.join(format!("{number:04}"))
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Fact, Header};
    use super::super::file::Journal;
    use super::*;

    /// Writes the journal of a run; without an outcome it was interrupted.
    fn write(runs: &Path, number: u32, kind: &str, outcome: Option<Outcome>) {
        let clock = || "2026-01-23T10:02:05Z".to_owned();
        let mut journal = Journal::create(&journal_path(runs, number, kind), "boot".into(), clock).unwrap();
        let header = Header::of_test(number, kind);
        journal.append(Fact::Planned { header, plan: serde_json::Value::Null }).unwrap();
        if let Some(outcome) = outcome {
            journal.append(Fact::Finished { outcome, exit: 0, said: String::new() }).unwrap();
        }
    }

    #[test]
    fn a_rollback_that_changed_nothing_leaves_the_run_before_it_open() {
        let runs = tempfile::tempdir().unwrap();
        write(runs.path(), 1, "deploy", None);
        write(runs.path(), 2, "rollback", Some(Outcome::Unchanged));
        let run = last(runs.path()).unwrap().unwrap();
        assert_eq!((run.number, run.is_open()), (1, true));
    }

    #[test]
    fn where_nothing_is_open_the_last_run_is_the_last() {
        let runs = tempfile::tempdir().unwrap();
        write(runs.path(), 1, "deploy", Some(Outcome::Done));
        write(runs.path(), 2, "rollback", Some(Outcome::Unchanged));
        assert_eq!(last(runs.path()).unwrap().unwrap().number, 2);
        write(runs.path(), 3, "rollback", Some(Outcome::Done));
        assert_eq!(last(runs.path()).unwrap().unwrap().number, 3, "it undid what stood open, if anything did");
    }

    #[test]
    fn a_run_without_a_whole_line_began_nothing_and_is_cleared_away() {
        let runs = tempfile::tempdir().unwrap();
        write(runs.path(), 1, "deploy", None);
        std::fs::write(journal_path(runs.path(), 2, "deploy"), "{\"seq\":0,\"at").unwrap();
        std::fs::create_dir(side_directory(runs.path(), 2)).unwrap();
        assert_eq!(last(runs.path()).unwrap().unwrap().number, 1);
        let found = unbegun(runs.path()).unwrap();
        assert_eq!(found.iter().map(|file| file.number).collect::<Vec<_>>(), [2]);
        clear(&found[0]).unwrap();
        assert_eq!(std::fs::read_dir(runs.path()).unwrap().count(), 1);
    }
}
