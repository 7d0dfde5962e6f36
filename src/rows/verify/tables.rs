//! Which tables of two sides belong together, and how their rows become comparable.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::files::Exported;
use super::folds::Way;
use super::scan::Reading;
use crate::data::catalog::{Catalog, Table, TableName};
use crate::data::mapping::Mapping;
use crate::data::metadata::Metadata;
use crate::data::patterns;
use crate::data::sidecar_shape::Shape;
use crate::rows::plain_types::is_plain;

/// Buckets of key hashes, as a power of two: few enough that the sums of all workers stay in the processor's cache, many
/// enough that a table of a million rows with one wrong row names it from some hundred.
const MOST_BITS: u32 = 12;

/// Where user ids stand, as the configuration says it.
#[derive(Clone, Debug, Default)]
pub struct Users {
    /// The columns, by table.
    pub columns: BTreeMap<TableName, Vec<String>>,
    /// Those in which an id without an account may stay as it is.
    pub unmapped: BTreeMap<TableName, Vec<String>>,
    /// The source's table of users: foreign keys to it are user columns.
    pub table: Option<TableName>,
}

impl Users {
    /// From `data.user_columns`, `data.unmapped` and `data.users_table`.
    ///
    /// # Errors
    /// When a table's name cannot be read.
    pub fn parse(
        columns: &BTreeMap<String, Vec<String>>,
        unmapped: &BTreeMap<String, Vec<String>>,
        table: &str,
    ) -> Result<Self> {
        let named = |lists: &BTreeMap<String, Vec<String>>| {
            let one = |(name, columns): (&String, &Vec<String>)| {
                Ok((patterns::table_name(name).map_err(|error| anyhow!(error))?, columns.clone()))
            };
            lists.iter().map(one).collect::<Result<BTreeMap<_, _>>>()
        };
        let table = patterns::table_name(table).map_err(|error| anyhow!(error))?;
        Ok(Self { columns: named(columns)?, unmapped: named(unmapped)?, table: Some(table) })
    }

    /// Takes the user columns that an export wrote down: the target's tables no longer point to the source's users.
    pub fn learn(&mut self, metadata: &Metadata) {
        for entry in metadata.tables.values().filter(|entry| entry.is_ours()) {
            let Some(table) = &entry.table else { continue };
            let columns = self.columns.entry(table.clone()).or_default();
            let new = entry.user_columns.iter().filter(|column| !columns.contains(column)).cloned();
            let new: Vec<String> = new.collect();
            columns.extend(new);
        }
    }

    /// The user columns of a table: the configured ones, and those of foreign keys to the table of users.
    pub fn of(&self, table: &Table) -> Vec<String> {
        let mut columns = self.columns.get(&table.name).cloned().unwrap_or_default();
        let keys = table.foreign_keys.iter().filter(|key| Some(&key.to) == self.table.as_ref());
        for column in keys.filter(|key| key.columns.len() == 1).flat_map(|key| &key.columns) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        columns
    }

    /// Whether an id without an account may stay as it is.
    pub fn may_stay(&self, table: &TableName, column: &str) -> bool {
        self.unmapped.get(table).is_some_and(|columns| columns.iter().any(|name| name == column))
    }
}

/// A table of both sides.
#[derive(Clone, Debug)]
pub struct Both {
    /// Name.
    pub name: TableName,
    /// How the source is read.
    pub source: Reading,
    /// How the target is read.
    pub target: Reading,
    /// The columns that tell rows apart; none where content alone does.
    pub key: Vec<String>,
    /// The columns that hold user ids.
    pub users: Vec<String>,
    /// What is to be known about how it is compared.
    pub notes: Vec<String>,
    /// Bits of the number of its buckets.
    pub bits: u32,
}

/// A table that cannot be compared, and why.
#[derive(Clone, Debug)]
pub struct Apart {
    /// Name.
    pub name: TableName,
    /// Why.
    pub why: String,
}

impl Both {
    /// Puts the tables of two catalogs together by name.
    pub fn of(source: &Catalog, target: &Catalog, users: &Users) -> (Vec<Self>, Vec<Apart>) {
        let (mut both, mut apart) = (Vec::new(), Vec::new());
        for table in &source.tables {
            let other = target.table(&table.name).ok_or_else(|| "the target has no such table".to_owned());
            match other.and_then(|other| Self::one(both.len(), table, other, users.of(table))) {
                Ok(one) => both.push(one),
                Err(why) => apart.push(Apart { name: table.name.clone(), why }),
            }
        }
        (both, apart)
    }

    fn one(number: usize, source: &Table, target: &Table, users: Vec<String>) -> Result<Self, String> {
        let columns: Vec<String> = source.moved().map(|column| column.name.clone()).collect();
        let has = |name: &String| target.columns.iter().any(|column| column.name == *name);
        let missing: Vec<&str> = columns.iter().filter(|name| !has(name)).map(String::as_str).collect();
        if !missing.is_empty() {
            return Err(format!("the target's table has no column {}", missing.join(", ")));
        }
        let mut notes = Vec::new();
        let extra = |name: &String| !source.columns.iter().any(|column| column.name == *name);
        let extra: Vec<&str> =
            target.moved().map(|column| &column.name).filter(|name| extra(name)).map(String::as_str).collect();
        if !extra.is_empty() {
            notes.push(format!(
                "only the target has the column {}: there is nothing to compare it with",
                extra.join(", ")
            ));
        }
        let identities = [source.identity(), target.identity()];
        let is_whole = |key: &&[String]| !key.is_empty() && key.iter().all(|name| columns.contains(name));
        let key = identities.into_iter().find(is_whole).unwrap_or_default().to_vec();
        let rows = source.rows_estimate.max(target.rows_estimate).max(0).unsigned_abs();
        let rows = rows.max(source.bytes.max(target.bytes) / 256);
        let bits = (rows / 64).next_power_of_two().trailing_zeros().clamp(4, MOST_BITS);
        let reading =
            |table: &Table| Reading { number, table: table.clone(), columns: columns.clone(), is_binary: false };
        let both = Self {
            name: source.name.clone(),
            source: reading(source),
            target: reading(target),
            key,
            users,
            notes,
            bits,
        };
        both.shape().map(|_| both)
    }

    /// How its rows become pairs.
    ///
    /// # Errors
    /// When a configured column is not there.
    pub fn shape(&self) -> Result<Shape, String> {
        Shape::new(&self.source.columns, &self.key, &self.users)
    }

    /// The way of the source's rows (mapped), and that of the target's (as they are).
    ///
    /// # Errors
    /// When a configured column is not there.
    pub fn ways(&self, mapping: Option<&Arc<Mapping>>) -> Result<(Way, Way)> {
        let shape = Arc::new(self.shape().map_err(|error| anyhow!("{}: {error}", self.name))?);
        let is_binary = self.source.is_binary;
        let source = Way { shape: Arc::clone(&shape), mapping: mapping.cloned(), is_binary };
        Ok((source, Way { shape, mapping: None, is_binary }))
    }

    /// Whether equal rows of both sides are equal bytes in the binary format too: columns of the same built-in types, and
    /// no id to be mapped.
    pub fn is_plain(&self, has_mapping: bool) -> bool {
        let type_of = |table: &Table, name: &String| {
            table.columns.iter().find(|column| column.name == *name).map(|column| column.type_name.clone())
        };
        let is_same = |name: &String| {
            let here = type_of(&self.source.table, name);
            here.as_deref().is_some_and(is_plain) && here == type_of(&self.target.table, name)
        };
        (self.users.is_empty() || !has_mapping)
            && !self.source.columns.is_empty()
            && self.source.columns.iter().all(is_same)
    }

    /// The same, read in the binary format or as text.
    #[must_use]
    pub fn read_as(&self, is_binary: bool) -> Self {
        let mut both = self.clone();
        (both.source.is_binary, both.target.is_binary) = (is_binary, is_binary);
        both
    }
}

/// The catalog of an export: its tables as the target has them, with the columns that the files hold.
///
/// # Errors
/// When the target's table lacks a column of the file.
pub fn of_files(files: &Exported, target: &Catalog, is_chosen: &dyn Fn(&TableName) -> bool) -> Result<Catalog> {
    let sequences = files.metadata().sequences.clone();
    let mut catalog = Catalog { server_version: target.server_version, sequences, ..Catalog::default() };
    let mut known = Vec::new();
    for table in &target.tables {
        let Some(entry) = files.entry(&table.name) else { continue };
        known.push(table.name.stem());
        let mut table = table.clone();
        if !entry.columns.is_empty() {
            let column = |name: &String| {
                let found = table.columns.iter().find(|column| column.name == *name).cloned();
                found.ok_or_else(|| anyhow!("{}: the target's table has no column {name}", table.name))
            };
            table.columns = entry.columns.iter().map(column).collect::<Result<_>>()?;
        }
        table.rows_estimate = entry.row_count.and_then(|rows| i64::try_from(rows).ok()).unwrap_or(table.rows_estimate);
        catalog.tables.push(table);
    }
    let missing = files.names().into_iter().filter(|name| is_chosen(name) && !known.contains(&name.stem()));
    catalog.tables.extend(missing.map(nothing));
    Ok(catalog)
}

/// A table of which only the name is known: the target has none like it, and it is reported so.
fn nothing(name: TableName) -> Table {
    Table {
        name,
        storage: crate::data::catalog::Storage::Ordinary,
        columns: Vec::new(),
        keys: Vec::new(),
        foreign_keys: Vec::new(),
        indexes: Vec::new(),
        triggers: Vec::new(),
        has_row_security: false,
        is_owned: false,
        has_children: false,
        rows_estimate: 0,
        bytes: 0,
        blocks: 0,
    }
}
