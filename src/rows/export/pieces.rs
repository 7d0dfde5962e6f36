//! Cutting tables into pieces that are read side by side and written in order: ranges of blocks, small enough to be kept.

use std::collections::VecDeque;

use anyhow::{Context, Result};
use tokio::sync::mpsc;

use super::Options;
use super::worker::Block;
use crate::adapter::database::Session;
use crate::data::catalog::{Storage, Table, TableName};

/// What all workers together may hold that is read and not yet written, in bytes of the server, roughly.
const HELD: u64 = 16 << 20;
/// The smallest piece, in bytes.
const LEAST: u64 = 512 << 10;
/// From this server on a range of blocks is read without reading the rest of the table: 14.
const RANGES: u32 = 140_000;
/// How many blocks of output of one piece wait for their turn.
const WAITING: usize = 32;

/// A table that is to be read.
#[derive(Clone)]
pub(super) struct Planned {
    /// Its place in the meter.
    pub at: usize,
    /// The table.
    pub table: Table,
}

/// A part of a table.
pub(super) struct Piece {
    /// Its table's place in the plan.
    pub index: usize,
    /// What reads it.
    pub statement: String,
    /// Where what is read goes.
    pub output: mpsc::Sender<Block>,
}

/// Everything that is to be read: pieces in order, and the other ends of their outputs by table.
pub(super) struct Plan {
    /// The tables, large ones first.
    pub tables: Vec<Planned>,
    /// Their pieces, in order.
    pub pieces: VecDeque<Piece>,
    /// For each table what its pieces give, in order.
    pub outputs: Vec<Vec<mpsc::Receiver<Block>>>,
}

impl Plan {
    /// Plans the tables: large ones first, so that no long one is begun last.
    pub(super) async fn make(session: &Session, tables: Vec<(usize, Table)>, options: &Options) -> Result<Self> {
        let version: i32 = session.query_one("SELECT current_setting('server_version_num')::int", &[]).await?.get(0);
        let can_range = u32::try_from(version).is_ok_and(|version| version >= RANGES);
        let size = (HELD / options.workers.max(1) as u64).max(LEAST);
        let mut tables: Vec<Planned> = tables.into_iter().map(|(at, table)| Planned { at, table }).collect();
        tables.sort_by_key(|planned| std::cmp::Reverse(planned.table.bytes));
        let (mut pieces, mut outputs) = (VecDeque::new(), Vec::new());
        for (index, Planned { table, .. }) in tables.iter().enumerate() {
            let statements = match table.storage {
                Storage::Ordinary => {
                    let size = if can_range { size } else { u64::MAX };
                    statements(table, &table.source(), table.bytes, table.blocks, size)
                }
                Storage::Partitioned => partitions(session, table, if can_range { size } else { u64::MAX }).await?,
            };
            let mut of_table = Vec::with_capacity(statements.len());
            for statement in statements {
                let (output, input) = mpsc::channel(WAITING);
                pieces.push_back(Piece { index, statement, output });
                of_table.push(input);
            }
            outputs.push(of_table);
        }
        Ok(Self { tables, pieces, outputs })
    }
}

/// The statements that read `source` once: the last one is open at its end, because the table may have grown since it was
/// measured.
fn statements(table: &Table, source: &str, bytes: u64, blocks: u64, size: u64) -> Vec<String> {
    let columns = table.column_list();
    let count = bytes.div_ceil(size).clamp(1, blocks.max(1));
    let step = blocks.div_ceil(count).max(1);
    let count = blocks.div_ceil(step).max(1);
    let one = |at: u64| {
        let mut limits = Vec::new();
        if at > 0 {
            limits.push(format!("ctid >= '({},0)'::tid", at * step));
        }
        if at + 1 < count {
            limits.push(format!("ctid < '({},0)'::tid", (at + 1) * step));
        }
        let limits = if limits.is_empty() { String::new() } else { format!(" WHERE {}", limits.join(" AND ")) };
        format!("COPY (SELECT {columns} FROM {source}{limits}) TO STDOUT")
    };
    (0..count).map(one).collect()
}

/// A partitioned table is read by its partitions where each of them may be read by itself, else whole through its parent.
async fn partitions(session: &Session, table: &Table, size: u64) -> Result<Vec<String>> {
    const LEAVES: &str = "SELECT n.nspname::text, c.relname::text, pg_table_size(c.oid), \
        pg_relation_size(c.oid) / current_setting('block_size')::int8, \
        c.relkind = 'r' AND NOT c.relrowsecurity AND has_table_privilege(c.oid, 'SELECT') \
          AND has_schema_privilege(n.oid, 'USAGE') \
        FROM pg_partition_tree($1::text::regclass) p JOIN pg_class c ON c.oid = p.relid \
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.isleaf AND c.relkind <> 'p' ORDER BY c.oid";
    let leaves = session.query(LEAVES, &[&table.name.sql()]).await;
    let leaves = leaves.with_context(|| format!("cannot list the partitions of {}", table.name))?;
    if leaves.is_empty() || leaves.iter().any(|leaf| !leaf.get::<_, bool>(4)) {
        return Ok(statements(table, &table.source(), 0, 0, u64::MAX));
    }
    let of_leaf = leaves.iter().flat_map(|leaf| {
        let name = TableName::new(leaf.get::<_, String>(0), leaf.get::<_, String>(1));
        let (bytes, blocks) = (leaf.get::<_, i64>(2), leaf.get::<_, i64>(3));
        let source = format!("ONLY {}", name.sql());
        statements(table, &source, u64::try_from(bytes).unwrap_or(0), u64::try_from(blocks).unwrap_or(0), size)
    });
    Ok(of_leaf.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        serde_json::from_value(serde_json::json!({
            "name": {"schema": "public", "name": "t"}, "storage": "ordinary",
            "columns": [{"name": "a", "type_name": "text", "kind": "text", "is_required": false, "is_generated": false,
                "identity": null, "default": null}],
            "keys": [], "foreign_keys": [], "indexes": [], "triggers": [], "has_row_security": false, "is_owned": true,
            "has_children": false, "rows_estimate": 0, "bytes": 0, "blocks": 0
        }))
        .unwrap()
    }

    #[test]
    fn ranges_cover_every_block_once_and_the_last_is_open() {
        let made = statements(&table(), "ONLY t", 100, 10, 30);
        assert_eq!(
            made,
            [
                "COPY (SELECT \"a\" FROM ONLY t WHERE ctid < '(3,0)'::tid) TO STDOUT",
                "COPY (SELECT \"a\" FROM ONLY t WHERE ctid >= '(3,0)'::tid AND ctid < '(6,0)'::tid) TO STDOUT",
                "COPY (SELECT \"a\" FROM ONLY t WHERE ctid >= '(6,0)'::tid AND ctid < '(9,0)'::tid) TO STDOUT",
                "COPY (SELECT \"a\" FROM ONLY t WHERE ctid >= '(9,0)'::tid) TO STDOUT",
            ]
        );
        assert_eq!(statements(&table(), "ONLY t", 0, 0, 30), ["COPY (SELECT \"a\" FROM ONLY t) TO STDOUT"]);
        assert_eq!(statements(&table(), "ONLY t", 1 << 40, 2, 30).len(), 2, "a block is never cut");
        assert_eq!(statements(&table(), "ONLY t", 1 << 40, 1 << 20, u64::MAX).len(), 1);
    }
}
