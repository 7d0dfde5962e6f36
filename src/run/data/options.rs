//! From the configuration to what steps of rows are told. One place, so that import, copy, verify and diff mean the same.

use std::path::PathBuf;

use crate::config::Config;
use crate::rows::backup::{BackupOptions, Format};
use crate::rows::client_tools::{ToolPlaces, host_directories};
use crate::rows::users::MAPPING_FILE;
use crate::step::expect_same_rows::{Against, ExpectSameRows};

/// What a person may ask for beside the configuration, when rows are compared.
#[derive(Clone, Debug)]
pub struct CompareWishes {
    /// Only these tables.
    pub tables: Vec<String>,
    /// Rows are only counted.
    pub is_counting_only: bool,
    /// End at the first table that fails.
    pub fails_fast: bool,
    /// Percent of the keys.
    pub sample_percent: u8,
    /// Where the report goes instead of the data directory.
    pub report: Option<PathBuf>,
}

impl Default for CompareWishes {
    fn default() -> Self {
        Self { tables: Vec::new(), is_counting_only: false, fails_fast: false, sample_percent: 100, report: None }
    }
}

/// The comparison of a target with what it was filled from.
pub fn same_rows(config: &Config, against: Against, target: &str, wishes: CompareWishes) -> ExpectSameRows {
    let data = &config.data;
    ExpectSameRows {
        against,
        target: target.to_owned(),
        include: data.include.clone(),
        exclude: data.exclude.clone(),
        tables: wishes.tables,
        user_columns: data.user_columns.clone(),
        unmapped: data.unmapped.clone(),
        users_table: data.users_table.clone(),
        mapping: mapping(config),
        asserts: data.assertions.iter().map(|one| (one.name.clone(), one.sql.clone())).collect(),
        workers: data.workers as usize,
        is_counting_only: wishes.is_counting_only,
        fails_fast: wishes.fails_fast,
        sample_percent: wishes.sample_percent,
        report: wishes.report.unwrap_or_else(|| data.directory.join("verification-report.json")),
    }
}

/// How a database is backed up.
pub fn backup(config: &Config, id: &str) -> BackupOptions {
    BackupOptions {
        id: id.to_owned(),
        directory: backups(config),
        format: Format::Directory,
        jobs: config.data.workers as usize,
        exclude_schemas: Vec::new(),
        deadline_s: config.backup.deadline.as_secs(),
        session: "cutover".into(),
    }
}

/// Where backups are kept.
pub fn backups(config: &Config) -> PathBuf {
    config.backup.directory.clone().unwrap_or_else(|| config.state.directory.join("backups"))
}

/// Where client programs may be; `path` is the variable PATH.
pub fn tools(path: &str, docker: Option<PathBuf>) -> ToolPlaces {
    ToolPlaces { directories: host_directories(path), docker, image: None }
}

/// The mapping of user ids, where one was written.
pub fn mapping(config: &Config) -> Option<PathBuf> {
    Some(config.data.directory.join(MAPPING_FILE)).filter(|path| path.exists())
}
