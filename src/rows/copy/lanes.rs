//! How each table's rows come out of the source: in ranges of blocks, read or unread, as text or binary.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::StreamExt;

use super::binary;
use crate::adapter::database::Session;
use crate::data::catalog::{Catalog, Column, Storage, Table, TableName, quoted};
use crate::data::copy_text::{self, Rows};
use crate::data::mapping::Mapping;
use crate::data::passage::{self, Unmapped};
use crate::rows::filling::{self, Filling};
use crate::rows::import::{self, Expected, Imported, ImportedTable, Lane};

/// Bytes of a range, about.
const RANGE: u64 = 32 << 20;
const BLOCK: u64 = 8192;
/// Since this version the server reads a range of blocks without looking at the others.
const RANGES_SINCE: u32 = 140_000;

/// A table's way, and the statements that read its parts.
pub(super) struct Way {
    lane: Lane,
    selects: Vec<String>,
    source: Table,
}

impl Way {
    /// What loads it, and what reads it.
    pub(super) fn parted(self) -> (Lane, Vec<String>) {
        (self.lane, self.selects)
    }
}

/// The ways of all tables of the source.
pub(super) async fn ways(
    session: &Session,
    from: &Catalog,
    to: &Catalog,
    filling: &Filling,
    users_table: &TableName,
    mapping: &Arc<Mapping>,
) -> Result<Vec<Way>> {
    let is_same_server = from.server_version / 10_000 == to.server_version / 10_000;
    let mut ways = Vec::new();
    for table in &from.tables {
        let target = to.table(&table.name).with_context(|| format!("the target has no table {}", table.name))?;
        let columns: Vec<Column> = table.moved().cloned().collect();
        let partner = |column: &Column| target.moved().find(|other| other.name == column.name).cloned();
        let partners: Vec<Column> = columns.iter().filter_map(partner).collect();
        let passage = filling.passage(target, &columns, &filling::pointing(table, users_table), mapping)?;
        let is_read = !passage.users.is_empty() || filling.baselines.is_some();
        let is_binary = !is_read && is_same_server && binary::is_binary(&columns, &partners);
        let format = if is_binary { " WITH (FORMAT binary)" } else { "" };
        let list = table.column_list();
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let sidecar = filling.baselines.as_deref().map(|directory| import::taker(target, &names, directory));
        let lane = Lane {
            copy_in: format!("COPY {} ({list}) FROM STDIN{format}", table.name.sql()),
            table: target.clone(),
            stem: table.name.stem(),
            origin: format!("{} of the source", table.name),
            columns,
            passage: is_read.then_some(passage),
            decoder: None,
            sidecar: sidecar.transpose()?,
            expected: Expected::default(),
            bytes: table.bytes,
        };
        let parts = parts(session, table, from.server_version).await?;
        let selects = parts.iter().map(|part| format!("COPY (SELECT {list} FROM {part}) TO STDOUT{format}"));
        ways.push(Way { lane, selects: selects.collect(), source: table.clone() });
    }
    Ok(ways)
}

/// The parts of a table, each as what stands behind FROM.
async fn parts(session: &Session, table: &Table, version: u32) -> Result<Vec<String>> {
    if version < RANGES_SINCE {
        return Ok(vec![table.source()]);
    }
    if table.storage == Storage::Ordinary {
        return Ok(ranges(&table.source(), table.blocks, table.bytes));
    }
    let query = "SELECT s.nspname, c.relname, c.relkind = 'r', pg_catalog.pg_relation_size(c.oid), \
        pg_catalog.pg_table_size(c.oid) \
      FROM pg_catalog.pg_partition_tree($1::text::regclass) t JOIN pg_catalog.pg_class c ON c.oid = t.relid \
      JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace WHERE t.isleaf ORDER BY 2";
    let rows = session.query(query, &[&table.name.sql()]).await;
    let rows = rows.with_context(|| format!("cannot read the partitions of {}", table.name))?;
    if rows.iter().any(|row| !row.get::<_, bool>(2)) {
        return Ok(vec![table.source()]);
    }
    let mut parts = Vec::new();
    for row in rows {
        let name = TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        let (heap, all) = (u64::try_from(row.get::<_, i64>(3))?, u64::try_from(row.get::<_, i64>(4))?);
        parts.extend(ranges(&format!("ONLY {}", name.sql()), heap / BLOCK, all));
    }
    Ok(parts)
}

/// Ranges of blocks of about the same size, what is stored beside the rows included; the last one has no end.
fn ranges(from: &str, blocks: u64, bytes: u64) -> Vec<String> {
    let count = bytes.div_ceil(RANGE).clamp(1, blocks.max(1));
    let step = blocks.div_ceil(count).max(1);
    let starts: Vec<u64> = (0..count).map(|number| number * step).filter(|start| *start < blocks.max(1)).collect();
    if starts.len() == 1 {
        return vec![from.to_owned()];
    }
    let range = |(number, start): (usize, &u64)| match starts.get(number + 1) {
        Some(end) => format!("{from} WHERE ctid >= '({start},0)'::tid AND ctid < '({end},0)'::tid"),
        None => format!("{from} WHERE ctid >= '({start},0)'::tid"),
    };
    starts.iter().enumerate().map(range).collect()
}

/// Looks at every user id of the source before anything is changed.
pub(super) async fn refuse_unmapped(session: &Session, ways: &[Way]) -> Result<()> {
    let mut refused = Vec::new();
    for way in ways {
        let Some(passage) = &way.lane.passage else { continue };
        let mut found: BTreeMap<String, Unmapped> = BTreeMap::new();
        for user in passage.users.iter().filter(|user| !user.is_unmapped_allowed) {
            let (column, from) = (quoted(&user.name), way.source.source());
            let query = format!(
                "COPY (SELECT {column}::text, pg_catalog.count(*) FROM {from} WHERE {column} IS NOT NULL GROUP BY 1) TO STDOUT"
            );
            let context = || format!("cannot read the ids of {}.{}", way.source.name, user.name);
            let mut stream = std::pin::pin!(session.copy_out(&query).await.with_context(context)?);
            let mut rows = Rows::default();
            while let Some(piece) = stream.next().await {
                rows.feed(&piece.with_context(context)?, |row| {
                    let mut fields = copy_text::fields(row);
                    let (id, count) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
                    let count = std::str::from_utf8(count)?.parse()?;
                    if passage.partner(id).is_none() {
                        found.entry(user.name.clone()).or_default().add(id, count);
                    }
                    Ok::<(), anyhow::Error>(())
                })?;
            }
        }
        refused.extend(passage::refused(&passage.users, &found).map(|words| format!("{}: {words}", way.source.name)));
    }
    if !refused.is_empty() {
        let words = "map the users first, or allow such ids by column in data.unmapped";
        bail!(anyhow!("{}; {words}", refused.join("; ")));
    }
    Ok(())
}

/// What a dry run tells: the tables with the planner's estimates.
pub(super) fn planned(ways: &[Way], sequences: usize, concerns: Vec<String>) -> Imported {
    let table = |way: &Way| ImportedTable {
        table: way.source.name.clone(),
        columns: way.lane.columns.iter().map(|column| column.name.clone()).collect(),
        rows: u64::try_from(way.source.rows_estimate).unwrap_or(0),
        bytes: way.source.bytes,
        seconds: 0.0,
        digest: None,
        is_read: way.lane.passage.is_some(),
    };
    Imported { tables: ways.iter().map(table).collect(), sequences, concerns, seconds: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_leave_no_block_out_and_take_none_twice() {
        assert_eq!(ranges("t", 0, 0), ["t"]);
        assert_eq!(ranges("t", 10, 80_000), ["t"]);
        let of = ranges("t", 9000, 9000 * BLOCK);
        assert_eq!(of.len(), 3);
        assert_eq!(of[0], "t WHERE ctid >= '(0,0)'::tid AND ctid < '(3000,0)'::tid");
        assert_eq!(of[2], "t WHERE ctid >= '(6000,0)'::tid");
        // Few blocks of rows whose values are stored beside them: never more ranges than blocks.
        assert_eq!(ranges("t", 2, 100 * RANGE).len(), 2);
    }
}
