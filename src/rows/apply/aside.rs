//! Changes that the source cannot take: rows of accounts that it does not have, where its foreign keys ask for them.
//!
//! Law: what others wrote is not held up by them, and they are not lost: they stay in the change file, are counted and
//! named, and are written by a later call once those users are there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use anyhow::Result;

use super::open;
use crate::data::catalog::{Catalog, ForeignKey, TableName};
use crate::data::change_file::{Head, TableChanges};
use crate::data::copy_text;
use crate::data::difference::Change;

/// What stays in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    changes: BTreeSet<(usize, usize)>,
    /// How many changes of each table.
    pub tables: BTreeMap<TableName, u64>,
    /// Ids of the accounts that are missing.
    pub accounts: BTreeSet<String>,
}

impl Aside {
    /// How many changes.
    pub fn len(&self) -> u64 {
        self.changes.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether a change stays, by the number of its table and its own number there.
    pub(super) fn holds(&self, table: usize, number: usize) -> bool {
        self.changes.contains(&(table, number))
    }

    /// `profiles: 2, orders: 1`.
    pub fn words(&self) -> String {
        let words: Vec<String> = self.tables.iter().map(|(table, count)| format!("{table}: {count}")).collect();
        words.join(", ")
    }
}

/// The columns of a changed table that its foreign keys tie to the source's users.
pub(super) fn tied<'c>(catalog: &'c Catalog, table: &TableName, users_table: &TableName) -> Vec<&'c str> {
    let keys = catalog.table(table).into_iter().flat_map(|table| &table.foreign_keys);
    let keys = keys.filter(|key| &key.to == users_table && key.columns.len() == 1);
    keys.map(|key| key.columns[0].as_str()).collect()
}

/// Values of some columns of a row; none where one of them is null or not in the file.
fn values(columns: &[String], row: &[u8], wanted: &[String]) -> Option<Vec<Vec<u8>>> {
    let fields: Vec<&[u8]> = copy_text::fields(row).collect();
    let value = |name: &String| {
        let at = columns.iter().position(|column| column == name)?;
        fields.get(at).filter(|field| !copy_text::is_null(field)).map(|field| field.to_vec())
    };
    wanted.iter().map(value).collect()
}

struct Search<'a> {
    file: &'a Path,
    head: &'a Head,
    catalog: &'a Catalog,
    found: Aside,
    /// What rows point to that stay away: table, its columns, and their values.
    missing: Missing,
}

type Missing = BTreeMap<(TableName, Vec<String>), HashSet<Vec<Vec<u8>>>>;

/// Finds them: rows with such an id in a tied column, then rows that point to rows which stay away, and so on.
pub(super) fn find(
    file: &Path,
    head: &Head,
    catalog: &Catalog,
    users_table: &TableName,
    unknown: &HashSet<Vec<u8>>,
) -> Result<Aside> {
    let mut search = Search { file, head, catalog, found: Aside::default(), missing: BTreeMap::new() };
    if unknown.is_empty() {
        return Ok(search.found);
    }
    let mut accounts = BTreeSet::new();
    search.pass(|table, new, _| {
        let mut is_tied = false;
        for column in tied(catalog, &table.table, users_table) {
            let id = values(&table.columns, new, &[column.to_owned()]).and_then(|values| values.into_iter().next());
            if let Some(id) = id.filter(|id| unknown.contains(id)) {
                accounts.insert(String::from_utf8_lossy(&id).into_owned());
                is_tied = true;
            }
        }
        is_tied
    })?;
    search.found.accounts = accounts;
    loop {
        let before = search.found.len();
        if before == 0 || search.missing.is_empty() {
            break;
        }
        search.pass(|table, new, missing| {
            let keys = catalog.table(&table.table).into_iter().flat_map(|table| &table.foreign_keys);
            keys.into_iter().any(|key| {
                let gone = missing.get(&(key.to.clone(), key.to_columns.clone()));
                let points_to = || values(&table.columns, new, &key.columns);
                gone.is_some_and(|gone| points_to().is_some_and(|values| gone.contains(&values)))
            })
        })?;
        if search.found.len() == before {
            break;
        }
    }
    Ok(search.found)
}

impl Search<'_> {
    /// Reads the file once, and puts aside the new rows of which `is_aside` says so.
    fn pass(&mut self, mut is_aside: impl FnMut(&TableChanges, &[u8], &Missing) -> bool) -> Result<()> {
        let mut reader = open(self.file)?;
        let (mut last, mut number) = (usize::MAX, 0);
        while let Some((table, change)) = reader.next_change()? {
            number = if table == last { number + 1 } else { 0 };
            last = table;
            let changes = &self.head.tables[table];
            let Some(new) = &change.new else { continue };
            if self.found.holds(table, number) || !is_aside(changes, new, &self.missing) {
                continue;
            }
            self.put(table, number, &change);
        }
        Ok(())
    }

    fn put(&mut self, table: usize, number: usize, change: &Change) {
        let changes = &self.head.tables[table];
        self.found.changes.insert((table, number));
        *self.found.tables.entry(changes.table.clone()).or_default() += 1;
        let keys: Vec<&ForeignKey> = self
            .catalog
            .tables
            .iter()
            .flat_map(|table| &table.foreign_keys)
            .filter(|key| key.to == changes.table)
            .collect();
        for key in keys {
            let of = |row: &Option<Vec<u8>>| values(&changes.columns, row.as_deref()?, &key.to_columns);
            let (old, new) = (of(&change.old), of(&change.new));
            // What others point to is missing only where the row that is there already does not have it.
            if let Some(new) = new.filter(|new| old.as_ref() != Some(new)) {
                self.missing.entry((key.to.clone(), key.to_columns.clone())).or_default().insert(new);
            }
        }
    }
}
