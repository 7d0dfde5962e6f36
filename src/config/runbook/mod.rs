//! A runbook: the file in which a night is written down. Checked as the configuration is, every problem at once.
//!
//! Which built-in steps and gates there are is told by the caller: the one table of them stands where their lists are made.

mod build;
mod rules;
mod types;

use std::path::Path;

use super::file;
use super::keys::RUNBOOK;
use super::problem::Problems;
use super::read::Reader;

pub use types::{CheckItem, Checkpoint, CommandEntry, Deed, Entry, Phase, Runbook, Section, Settings, Window};

/// A built-in step or gate that an entry may name.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// Whether it only asks.
    pub is_gate: bool,
    /// The keys by which it may be told more.
    pub settings: &'static [&'static str],
    /// Those of them that must be there.
    pub needs: &'static [&'static str],
    /// What it does, in one line.
    pub doc: &'static str,
}

/// Reads and checks a runbook; `known` are the built-in steps and gates.
///
/// # Errors
/// Every problem, in the order of the file.
pub fn load_runbook(path: &Path, known: &[Known]) -> Result<Runbook, Problems> {
    let missing = "`cutover init` writes a first one, and the repository's runbooks/ holds whole ones";
    parse_text(&file::read_as(path, "a runbook", missing)?, path, known)
}

/// Checks text as if it stood in a file at `path`.
///
/// # Errors
/// As [`load_runbook`].
pub fn parse_runbook(text: &str, path: &Path, known: &[Known]) -> Result<Runbook, Problems> {
    parse_text(&file::Text::new(path, text), path, known)
}

fn parse_text(text: &file::Text, path: &Path, known: &[Known]) -> Result<Runbook, Problems> {
    let mut reader = Reader::file(text, RUNBOOK);
    reader.complete();
    rules::check(&mut reader, known);
    let built = build::build(&reader, path);
    match built {
        Some(runbook) if reader.problems.is_empty() => Ok(runbook),
        _ => {
            if reader.problems.is_empty() {
                reader.push(0, "", "values that do not fit together", "a complete file", Some("please report this"));
            }
            let mut problems = reader.problems;
            problems.sort_by_key(|problem| (problem.line, problem.column));
            problems.dedup();
            Err(Problems(problems))
        }
    }
}
