//! The chosen tables with their columns, keys, indexes and triggers: seven questions, asked at once.

use std::collections::HashMap;

use anyhow::Result;
use tokio_postgres::Row;

use super::{Relation, ask_about, concern, statements};
use crate::adapter::database::Session;
use crate::data::catalog::{Column, Concern, ForeignKey, Identity, Index, Key, Kind, Storage, Table, TableName};

/// What was found.
pub(super) struct Found {
    /// The tables, in no order yet.
    pub tables: Vec<Table>,
    /// Pairs of tables of which the first points to the second by a foreign key that one partition has for itself.
    pub more: Vec<(TableName, TableName)>,
    /// What was noticed.
    pub concerns: Vec<Concern>,
}

pub(super) async fn read(session: &Session, chosen: &[&Relation], block_size: u64) -> Result<Found> {
    let oids: Vec<u32> = chosen.iter().map(|relation| relation.oid).collect();
    let ask = |statement| ask_about(session, statement, &oids);
    let (sizes, columns, keys, foreign, indexes, triggers, oddities) = tokio::try_join!(
        ask(statements::SIZES),
        ask(statements::COLUMNS),
        ask(statements::KEYS),
        ask(statements::FOREIGN_KEYS),
        ask(statements::INDEXES),
        ask(statements::TRIGGERS),
        ask(statements::ODDITIES),
    )?;
    let mut tables: HashMap<u32, Table> = chosen.iter().map(|relation| (relation.oid, bare(relation))).collect();
    let mut found = Found { tables: Vec::new(), more: Vec::new(), concerns: Vec::new() };
    each(&mut tables, &sizes, |table, row| found.concerns.extend(size(table, row, block_size)));
    each(&mut tables, &columns, |table, row| table.columns.push(column(row)));
    each(&mut tables, &keys, key);
    each(&mut tables, &foreign, |table, row| foreign_key(table, row, &mut found));
    each(&mut tables, &indexes, |table, row| found.concerns.extend(index(table, row)));
    each(&mut tables, &triggers, |table, row| found.concerns.extend(trigger(table, row)));
    each(&mut tables, &oddities, |table, row| found.concerns.extend(oddity(table, row)));
    for relation in chosen {
        let Some(table) = tables.remove(&relation.oid) else { continue };
        if table.moved().next().is_none() {
            let words = "has no column whose values could move; it is left out";
            found.concerns.push(concern(false, format!("table {}", table.name), words));
        } else {
            found.tables.push(table);
        }
    }
    Ok(found)
}

/// Hands each row to the table that it is about.
fn each(tables: &mut HashMap<u32, Table>, rows: &[Row], mut take: impl FnMut(&mut Table, &Row)) {
    for row in rows {
        if let Some(table) = tables.get_mut(&row.get::<_, u32>(0)) {
            take(table, row);
        }
    }
}

fn bare(relation: &Relation) -> Table {
    Table {
        name: relation.name.clone(),
        storage: if relation.kind == 'p' { Storage::Partitioned } else { Storage::Ordinary },
        columns: Vec::new(),
        keys: Vec::new(),
        foreign_keys: Vec::new(),
        indexes: Vec::new(),
        triggers: Vec::new(),
        has_row_security: relation.has_row_security,
        is_owned: relation.is_owned,
        has_children: relation.has_children,
        // What stays so where a partitioned table has no partition.
        rows_estimate: 0,
        bytes: 0,
        blocks: 0,
    }
}

fn size(table: &mut Table, row: &Row, block_size: u64) -> Vec<Concern> {
    let number = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or_default();
    (table.bytes, table.blocks, table.rows_estimate) = (number(1), number(2).div_ceil(block_size), row.get(3));
    let mut concerns = Vec::new();
    if row.get(4) {
        let words = "is unlogged: its rows move, but the server empties it after a crash and standbys do not have it";
        concerns.push(concern(false, format!("table {}", table.name), words));
    }
    if row.get(5) {
        let words = "has a partition that is a foreign table: its rows are read from the other server and move too";
        concerns.push(concern(false, format!("table {}", table.name), words));
    }
    concerns
}

fn column(row: &Row) -> Column {
    let kind = match row.get::<_, String>(3).as_str() {
        "json" => Kind::Json,
        "bool" => Kind::Bool,
        "bytes" => Kind::Bytes,
        "array" => Kind::Array,
        "number" => Kind::Number,
        _ => Kind::Text,
    };
    let identity = match row.get::<_, String>(6).as_str() {
        "a" => Some(Identity::Always),
        "d" => Some(Identity::ByDefault),
        _ => None,
    };
    Column {
        name: row.get(1),
        type_name: row.get(2),
        kind,
        is_required: row.get(4),
        is_generated: row.get(5),
        identity,
        default: row.get(7),
    }
}

fn key(table: &mut Table, row: &Row) {
    let key = Key { name: row.get(1), is_primary: row.get(2), columns: row.get(3) };
    let tells_apart = |name: &String| {
        let column = table.columns.iter().find(|column| &column.name == name);
        column.is_some_and(|column| column.is_required && !column.is_generated)
    };
    if !key.columns.is_empty() && key.columns.iter().all(tells_apart) {
        table.keys.push(key);
    }
}

fn foreign_key(table: &mut Table, row: &Row, found: &mut Found) {
    let key = ForeignKey {
        name: row.get(1),
        columns: row.get(6),
        to: TableName::new(row.get::<_, String>(2), row.get::<_, String>(3)),
        to_columns: row.get(7),
        definition: row.get(4),
        is_valid: row.get(5),
    };
    let partition: Option<String> = row.get(8);
    let Some(partition) = partition else {
        if !key.is_valid {
            let words = format!(
                "the foreign key {} was never validated: rows may point to nothing, and it cannot be made valid again",
                key.name
            );
            found.concerns.push(concern(false, format!("table {}", table.name), words));
        }
        table.foreign_keys.push(key);
        return;
    };
    let words = format!(
        "the foreign key {} is of the partition {partition} alone: it stays while rows are filled in",
        key.name
    );
    found.concerns.push(concern(false, format!("table {}", table.name), words));
    found.more.push((table.name.clone(), key.to));
}

fn index(table: &mut Table, row: &Row) -> Option<Concern> {
    let (name, definition): (String, String) = (row.get(1), row.get(2));
    if !row.get::<_, bool>(4) {
        let words =
            format!("the index {name} is not valid (a CREATE INDEX CONCURRENTLY that failed?); it stays as it is");
        return Some(concern(false, format!("table {}", table.name), words));
    }
    if row.get(6) {
        // Of a partitioned table's index the server writes `ON ONLY`, which would leave the partitions without one.
        let front: String = row.get(5);
        let whole = definition.strip_prefix(&format!("{front}ONLY ")).map(|rest| format!("{front}{rest}"));
        table.indexes.push(Index { name, definition: whole.unwrap_or(definition), is_unique: row.get(3) });
    }
    None
}

fn trigger(table: &mut Table, row: &Row) -> Option<Concern> {
    let (name, partition): (String, Option<String>) = (row.get(1), row.get(2));
    let Some(partition) = partition else {
        table.triggers.push(name);
        return None;
    };
    let words = format!("the trigger {name} is of the partition {partition} alone: it fires while rows are filled in");
    Some(concern(false, format!("table {}", table.name), words))
}

fn oddity(table: &Table, row: &Row) -> Option<Concern> {
    let (kind, name): (String, String) = (row.get(1), row.get(2));
    let words = match kind.as_str() {
        "rule" => format!("the rule {name} is passed by when rows are filled in, but not when changes are applied"),
        "exclusion" => format!("the exclusion constraint {name} stays while rows are filled in, which takes longer"),
        _ => format!("the key {name} is deferrable: changes cannot be applied by it (ON CONFLICT does not take it)"),
    };
    Some(concern(false, format!("table {}", table.name), words))
}
