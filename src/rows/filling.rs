//! How a target is filled, whether from files or from a source: which tables, which user columns, under which conditions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::adapter::files;
use crate::data::catalog::{Catalog, Column, Table, TableName};
use crate::data::mapping::{Mapping, MappingFile};
use crate::data::passage::{Passage, UserColumn};
use crate::data::patterns::{self, Patterns};

/// How a target is filled. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filling {
    /// `data.include`.
    pub include: Vec<String>,
    /// `data.exclude`.
    pub exclude: Vec<String>,
    /// Only these of them (`--table`); all where it is empty.
    pub tables: Vec<String>,
    /// `data.users_table`: foreign keys to it are user columns.
    pub users_table: String,
    /// `data.user_columns`.
    pub user_columns: BTreeMap<String, Vec<String>>,
    /// `data.unmapped`: user columns in which an id without an account may stay.
    pub unmapped: BTreeMap<String, Vec<String>>,
    /// `user-mapping.json`; without it no id is mapped.
    pub mapping: Option<PathBuf>,
    /// How many connections work side by side.
    pub workers: usize,
    /// A directory of this host in which the record of what is set aside is kept; it must outlive a kill.
    pub state: PathBuf,
    /// Where the baseline of a later comparison goes (`STEM.sidecar`); none is written without it.
    pub baselines: Option<PathBuf>,
    /// Whether rows that the target holds are removed first. The phrase for it is the caller's to ask.
    pub is_truncating_first: bool,
    /// The token of a verified backup of the target, checked by the caller; without one no row is removed.
    pub backup_token: Option<String>,
    /// `--disable-fk`: accepted for those who know it; foreign keys are set aside and validated whether it is given or not.
    pub is_disabling_foreign_keys: bool,
    /// Whether everything is read and checked and nothing is changed.
    pub is_dry_run: bool,
    /// `application_name` of the sessions.
    pub session: String,
}

impl Default for Filling {
    fn default() -> Self {
        Self {
            include: vec!["public.*".into()],
            exclude: Vec::new(),
            tables: Vec::new(),
            users_table: "auth.users".into(),
            user_columns: BTreeMap::new(),
            unmapped: BTreeMap::new(),
            mapping: None,
            workers: 4,
            state: PathBuf::new(),
            baselines: None,
            is_truncating_first: false,
            backup_token: None,
            is_disabling_foreign_keys: false,
            is_dry_run: false,
            session: "cutover".into(),
        }
    }
}

/// A table that would be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// The table.
    pub table: TableName,
    /// Its rows, as far as they are known: counted in an export, estimated by a source.
    pub rows: Option<u64>,
    /// Its size, in bytes.
    pub bytes: u64,
}

/// What a filling would find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The tables.
    pub tables: Vec<Coming>,
    /// What is to be known about it, in words.
    pub concerns: Vec<String>,
    /// A table of the target, of these, that holds rows.
    pub full: Option<TableName>,
    /// Why its tables cannot be emptied first, where they are to be: another table's rows point to them.
    pub outsider: Option<String>,
}

impl Filling {
    /// What a filling that empties tables is known by beside the rest: the same rows filled in anew, after another
    /// backup, are another filling.
    pub(crate) fn emptied_under(&self) -> Option<&str> {
        self.backup_token.as_deref().filter(|_| self.is_truncating_first)
    }

    pub(crate) fn patterns(&self) -> Result<Patterns> {
        let patterns = Patterns::parse(&self.include, &self.exclude).map_err(|why| anyhow!(why))?;
        patterns.narrowed(&self.tables).map_err(|why| anyhow!(why))
    }

    pub(crate) fn users_table(&self) -> Result<TableName> {
        patterns::table_name(&self.users_table).map_err(|why| anyhow!(why)).context("data.users_table")
    }

    /// Rows that are there are removed only by somebody who can bring them back.
    pub(crate) fn refuse_loss(&self) -> Result<()> {
        if self.is_truncating_first && self.backup_token.as_deref().is_none_or(str::is_empty) {
            bail!(
                "removing the target's rows first wants the token of a verified backup of it (cutover backup create)"
            );
        }
        Ok(())
    }

    /// The mapping, and what it is known by.
    pub(crate) fn mapping(&self) -> Result<(Arc<Mapping>, String)> {
        let Some(path) = &self.mapping else { return Ok((Arc::default(), "none".into())) };
        let (sha256, _) = files::sha256_of_file(path)?;
        Ok((Arc::new(read_mapping(path)?), sha256))
    }

    /// The user columns of a table: the configured ones and those whose foreign key points to the users. Without a
    /// mapping there are none: ids stay what they are.
    ///
    /// # Errors
    /// When a configured one is not there.
    pub(crate) fn users(&self, table: &TableName, columns: &[Column], known: &[&str]) -> Result<Vec<UserColumn>> {
        if self.mapping.is_none() {
            return Ok(Vec::new());
        }
        let configured = named(&self.user_columns, table)?;
        let allowed = named(&self.unmapped, table)?;
        let is_there = |name: &&String| columns.iter().any(|column| column.name == **name);
        if let Some(missing) = configured.iter().chain(&allowed).find(|name| !is_there(name)) {
            bail!("{table} has no column {missing}, which data.user_columns or data.unmapped names");
        }
        let users = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| configured.contains(&column.name) || known.contains(&column.name.as_str()));
        let user = |(at, column): (usize, &Column)| UserColumn {
            at,
            name: column.name.clone(),
            is_unmapped_allowed: allowed.contains(&column.name),
        };
        Ok(users.map(user).collect())
    }

    pub(crate) fn passage(
        &self,
        table: &Table,
        columns: &[Column],
        known: &[&str],
        mapping: &Arc<Mapping>,
    ) -> Result<Passage> {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        // A key is of use only where all its columns arrive.
        let key = if table.identity().iter().all(|name| names.contains(name)) { table.identity() } else { &[] };
        let users = self.users(&table.name, columns, known)?;
        Passage::new(&names, key, users, Arc::clone(mapping)).map_err(|why| anyhow!("{}: {why}", table.name))
    }
}

/// Columns of a table whose foreign key points to the users.
pub(crate) fn pointing<'a>(table: &'a Table, users_table: &TableName) -> Vec<&'a str> {
    let keys = table.foreign_keys.iter().filter(|key| &key.to == users_table && key.columns.len() == 1);
    keys.map(|key| key.columns[0].as_str()).collect()
}

fn read_mapping(path: &Path) -> Result<Mapping> {
    let file: MappingFile = files::read_json(path)?;
    Mapping::forward(&file).map_err(|why| anyhow!(why)).with_context(|| path.display().to_string())
}

/// What is said of a table by its name as a person writes it.
fn named(lists: &BTreeMap<String, Vec<String>>, table: &TableName) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for (name, columns) in lists {
        if patterns::table_name(name).map_err(|why| anyhow!(why))? == *table {
            all.extend(columns.iter().cloned());
        }
    }
    Ok(all)
}

/// Every concern in words; an error where one stands in the way.
pub(crate) fn concerns(catalogs: &[&Catalog], more: Vec<crate::data::catalog::Concern>) -> Result<Vec<String>> {
    let all: Vec<_> = catalogs.iter().flat_map(|catalog| catalog.concerns.iter().cloned()).chain(more).collect();
    let words = |is_blocking: bool| {
        let some = all.iter().filter(move |concern| concern.is_blocking == is_blocking);
        some.map(|concern| format!("{}: {}", concern.about, concern.words)).collect::<Vec<_>>()
    };
    let blocking = words(true);
    if !blocking.is_empty() {
        bail!("{}", blocking.join("\n"));
    }
    Ok(words(false))
}
