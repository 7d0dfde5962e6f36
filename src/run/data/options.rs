//! From the configuration to what steps of rows are told. One place, so that import, copy, verify and diff mean the same.

use std::path::PathBuf;

use anyhow::Result;

use crate::config::Config;
use crate::data::patterns::table_name;
use crate::rows::backup::{BackupOptions, Format};
use crate::rows::client_tools::{ToolPlaces, host_directories};
use crate::rows::export;
use crate::rows::filling::Filling;
use crate::rows::users::MAPPING_FILE;
use crate::run::Refusal;
use crate::step::compared::{Against, Compared};
use crate::step::expect_same_rows::ExpectSameRows;

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
    let compared = Compared { tables: wishes.tables, ..compared(config, against, target) };
    ExpectSameRows {
        compared,
        asserts: data.assertions.iter().map(|one| (one.name.clone(), one.sql.clone())).collect(),
        is_counting_only: wishes.is_counting_only,
        fails_fast: wishes.fails_fast,
        sample_percent: wishes.sample_percent,
        report: wishes.report.unwrap_or_else(|| data.directory.join("verification-report.json")),
    }
}

/// All tables that the configuration names, of a target and what it is compared with.
pub fn compared(config: &Config, against: Against, target: &str) -> Compared {
    let data = &config.data;
    Compared {
        against,
        target: target.to_owned(),
        include: data.include.clone(),
        exclude: data.exclude.clone(),
        tables: Vec::new(),
        user_columns: data.user_columns.clone(),
        unmapped: data.unmapped.clone(),
        users_table: data.users_table.clone(),
        mapping: mapping(config),
        workers: data.workers as usize,
    }
}

/// What a person may ask for beside the configuration, when a target is filled.
#[derive(Clone, Debug, Default)]
pub struct FillWishes {
    /// Only these tables.
    pub tables: Vec<String>,
    /// User columns in which an id without an account may stay, as `TABLE.COLUMN`.
    pub unmapped: Vec<String>,
    /// Ids are not mapped, although accounts are configured.
    pub is_without_mapping: bool,
    /// `--disable-fk`.
    pub is_disabling_foreign_keys: bool,
    /// The verified backup under which the target's tables are emptied first.
    pub backup: Option<String>,
}

/// How a target is filled, by import or by copy.
pub fn filling(config: &Config, target: &str, wishes: &FillWishes) -> Filling {
    let data = &config.data;
    let mut unmapped = data.unmapped.clone();
    for (table, column) in wishes.unmapped.iter().filter_map(|name| name.rsplit_once('.')) {
        unmapped.entry(table.to_owned()).or_default().push(column.to_owned());
    }
    // Where accounts or columns of ids are configured, ids are to change: without the mapping nothing is filled in.
    let has_mapping = config.users.is_some() || !data.user_columns.is_empty() || mapping(config).is_some();
    Filling {
        include: data.include.clone(),
        exclude: data.exclude.clone(),
        tables: wishes.tables.clone(),
        users_table: data.users_table.clone(),
        user_columns: data.user_columns.clone(),
        unmapped,
        mapping: (has_mapping && !wishes.is_without_mapping).then(|| data.directory.join(MAPPING_FILE)),
        workers: data.workers as usize,
        state: config.state.directory.join("data").join("set-aside"),
        baselines: Some(super::changes::baselines(config, target)),
        is_truncating_first: wishes.backup.is_some(),
        backup_token: wishes.backup.clone(),
        is_disabling_foreign_keys: wishes.is_disabling_foreign_keys,
        is_dry_run: false,
        session: "cutover".into(),
    }
}

/// What a person may ask for beside the configuration, when rows are exported.
#[derive(Clone, Debug, Default)]
pub struct ExportWishes {
    /// Only these tables.
    pub tables: Vec<String>,
    /// Large tables are left out.
    pub skips_large: bool,
    /// Another directory than the configured one, absolute.
    pub directory: Option<PathBuf>,
    /// Whether the files are compressed, where it is not as configured.
    pub is_compressed: Option<bool>,
    /// Users, passwords and identities stay where they are.
    pub is_without_users: bool,
}

/// How rows are exported.
///
/// # Errors
/// When the users' table is named wrongly.
pub fn export(config: &Config, wishes: &ExportWishes) -> Result<export::Options> {
    let data = &config.data;
    let users_table =
        table_name(&data.users_table).map_err(|why| Refusal::Usage(format!("data.users_table: {why}")))?;
    Ok(export::Options {
        directory: wishes.directory.clone().unwrap_or_else(|| data.directory.clone()),
        include: data.include.clone(),
        exclude: data.exclude.clone(),
        tables: wishes.tables.clone(),
        users_table,
        has_users: !wishes.is_without_users,
        skip_large: wishes.skips_large.then(|| data.large.bytes()),
        is_compressed: wishes.is_compressed.unwrap_or(data.is_compressed),
        workers: data.workers as usize,
        is_frozen: false,
        session: "cutover".into(),
    })
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
