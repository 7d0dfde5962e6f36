//! A runbook as it is used: typed, every default filled in. Plain data.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::config::choices::{OnExpiry, OnFailure, Part, RowsFrom, SectionPlace};

/// A checked runbook.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// The file, as the caller named it.
    pub path: PathBuf,
    /// Its directory, absolute; relative paths in it start here.
    pub directory: PathBuf,
    /// `name`
    pub name: String,
    /// `title`
    pub title: String,
    /// `text`
    pub text: Option<String>,
    /// `depends_on`: other runbooks.
    pub depends_on: Vec<String>,
    /// `on_failure`
    pub on_failure: OnFailure,
    /// `earliest` and `latest`
    pub window: Window,
    /// `[[section]]`
    pub sections: Vec<Section>,
    /// `[[phase]]`, in the order of the file
    pub phases: Vec<Phase>,
}

impl Runbook {
    /// Every entry, in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.phases.iter().flat_map(|phase| &phase.entries)
    }
}

/// A maintenance window, as RFC 3339.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Not before.
    pub earliest: Option<String>,
    /// Not after.
    pub latest: Option<String>,
}

/// Words of the rendered page that belong to no phase.
#[derive(Debug, Clone)]
pub struct Section {
    /// `title`
    pub title: String,
    /// `text`
    pub text: String,
    /// `place`
    pub place: SectionPlace,
}

/// A part of the night.
#[derive(Debug, Clone)]
pub struct Phase {
    /// `name`
    pub name: String,
    /// `title`
    pub title: String,
    /// `text`
    pub text: Option<String>,
    /// `earliest` and `latest`
    pub window: Window,
    /// `[[phase.entry]]`
    pub entries: Vec<Entry>,
}

/// An entry of the list.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `name`, or the name of the step, gate or signal.
    pub name: String,
    /// `title`
    pub title: Option<String>,
    /// `text`
    pub text: Option<String>,
    /// `on_failure`
    pub on_failure: Option<OnFailure>,
    /// `deadline`
    pub deadline: Option<Duration>,
    /// What it is.
    pub deed: Deed,
}

/// The four kinds of entries.
#[derive(Debug, Clone)]
pub enum Deed {
    /// A built-in step or gate.
    BuiltIn {
        /// Its name.
        name: String,
        /// What it is told.
        settings: Box<Settings>,
    },
    /// A program of the user's own.
    Command(CommandEntry),
    /// A person's word.
    Checkpoint(Checkpoint),
}

/// A program of the user's own.
#[derive(Debug, Clone)]
pub struct CommandEntry {
    /// `command`
    pub run: Vec<String>,
    /// `undo`
    pub undo: Option<Vec<String>>,
    /// `check`
    pub check: Option<Vec<String>>,
    /// `dry_run`
    pub dry_run: Option<Vec<String>>,
    /// `log`
    pub log: Option<PathBuf>,
    /// `environment`
    pub environment: Vec<String>,
    /// `directory`
    pub directory: Option<PathBuf>,
    /// `timeout`
    pub timeout: Option<Duration>,
}

/// A gate that only a person can pass.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// `checkpoint`: what is typed.
    pub signal: String,
    /// `built`
    pub built: Option<String>,
    /// `people`
    pub people: u32,
    /// `valid`
    pub valid: Option<Duration>,
    /// `on_expiry`
    pub on_expiry: OnExpiry,
    /// `recheck`
    pub recheck: Option<Duration>,
    /// `[[phase.entry.item]]`
    pub items: Vec<CheckItem>,
}

/// An item of a checkpoint's list.
#[derive(Debug, Clone)]
pub enum CheckItem {
    /// Asked by cutover itself.
    Gate {
        /// `name`
        name: String,
        /// `title`
        title: Option<String>,
        /// `gate`
        gate: String,
        /// `deadline`
        deadline: Option<Duration>,
        /// What the gate is told.
        settings: Box<Settings>,
    },
    /// Confirmed by a person.
    Statement {
        /// `name`
        name: String,
        /// `confirm`
        words: String,
    },
}

/// What a built-in may be told.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is documented where its key is declared")]
pub struct Settings {
    pub url: Option<Url>,
    pub status: Option<u32>,
    pub json: BTreeMap<String, serde_json::Value>,
    pub contains: Option<String>,
    pub pointers: Vec<String>,
    pub files: Vec<PathBuf>,
    pub successes: Option<u32>,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub checks: Vec<String>,
    pub of: Part,
    pub from: RowsFrom,
    pub counts_only: bool,
    pub tables: Vec<String>,
    pub skip_users: bool,
    pub message: Option<String>,
    pub notice: Option<String>,
    pub keep_first: bool,
    pub link_existing: bool,
    pub command: Option<Vec<String>>,
    pub environment: Vec<String>,
    pub directory: Option<PathBuf>,
}
