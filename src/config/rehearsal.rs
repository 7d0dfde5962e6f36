//! `[rehearsal]`, as it is used.

use std::path::PathBuf;
use std::time::Duration;

use super::table::Table;

/// `[rehearsal]`
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// The configuration of the isolated copy, absolute.
    pub config: Option<PathBuf>,
    /// How old a rehearsal may be.
    pub max_age: Duration,
    /// What may differ between rehearsal and run, by name.
    pub differs: Vec<String>,
}

pub(super) fn rehearsal(table: &Table<'_>) -> Option<Rehearsal> {
    Some(Rehearsal {
        config: table.path("config"),
        max_age: table.duration("max_age")?,
        differs: table.list("differs").unwrap_or_default(),
    })
}
