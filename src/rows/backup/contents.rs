//! What a database holds, as digests: every row of every table that a dump holds, its large objects, its sequences.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, future};
use serde::{Deserialize, Serialize};

use crate::adapter::database::{Place, Session};
use crate::data::catalog::{TableName, quoted};
use crate::data::copy_text::Rows;
use crate::data::digest::{Sum, of_row};
use crate::data::plural::counted;
use crate::rows::Say;
use crate::rows::progress::Meter;

/// Digests by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// For each table, as the name of its file would be ([`TableName::stem`]). Partitions stand for themselves.
    pub tables: BTreeMap<String, Sum>,
    /// The last value of each sequence; none where it was never asked.
    pub sequences: BTreeMap<String, Option<i64>>,
}

/// The name under which large objects stand among the tables; no table has it, because `*` is never in a stem.
const LARGE_OBJECTS: &str = "*large objects";

impl Contents {
    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|sum| sum.rows).sum()
    }

    /// Where the rows differ from `other`, in words; nothing when they are the same.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for (table, here) in &self.tables {
            match other.tables.get(table) {
                None => found.push(format!("{table} is missing")),
                Some(there) if here.rows != there.rows => {
                    found.push(format!("{table} has {}, expected {}", counted(there.rows, "row"), here.rows));
                }
                Some(there) if here != there => found.push(format!("{table} has rows that differ")),
                Some(_) => {}
            }
        }
        let more = other.tables.keys().filter(|table| !self.tables.contains_key(*table));
        found.extend(more.map(|table| format!("{table} should not be there")));
        found
    }

    /// Where sequences differ from `other`, in words.
    pub fn sequence_differences(&self, other: &Self) -> Vec<String> {
        let said = |value: Option<&Option<i64>>| match value {
            None => "missing".to_owned(),
            Some(None) => "never asked".to_owned(),
            Some(Some(value)) => value.to_string(),
        };
        let names =
            self.sequences.keys().chain(other.sequences.keys().filter(|name| !self.sequences.contains_key(*name)));
        names
            .filter(|name| self.sequences.get(*name) != other.sequences.get(*name))
            .map(|name| {
                let (here, there) = (said(self.sequences.get(name)), said(other.sequences.get(name)));
                format!("sequence {name} is {there}, expected {here}")
            })
            .collect()
    }
}

/// Reads every row, by `workers` sessions under one snapshot: the given one, or one of their own. Schemas of `excluded`
/// are left out. It is said how far it is.
///
/// # Errors
/// When a table cannot be read, row security hides rows, or the connection is lost.
pub async fn contents(
    place: &Place,
    snapshot: Option<&str>,
    workers: usize,
    session: &str,
    excluded: &[String],
    say: Say<'_>,
) -> Result<Contents> {
    let first = begin(place, snapshot, session).await?;
    let exported: String;
    let snapshot = match snapshot {
        Some(name) => name,
        None => {
            exported = first.query_one("SELECT pg_catalog.pg_export_snapshot()", &[]).await?.try_get(0)?;
            &exported
        }
    };
    let mut jobs = tables(&first, excluded).await?;
    if has_large_objects(&first).await? {
        let query = "SELECT oid, pg_catalog.lo_get(oid) FROM pg_catalog.pg_largeobject_metadata".into();
        jobs.push(Job { name: LARGE_OBJECTS.into(), query, bytes: 0 });
    }
    let sequences = sequences(&first, excluded).await?;
    let meter = Meter::new("read", jobs.iter().map(|job| (job.name.clone(), job.bytes)));
    let jobs = std::sync::Mutex::new(jobs.into_iter().enumerate().collect::<Vec<_>>());
    let next = || jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
    let meter = &meter;
    let work = |own: Option<Session>| async move {
        let session = match own {
            Some(session) => session,
            None => begin(place, Some(snapshot), session).await?,
        };
        let mut done = Vec::new();
        while let Some((at, Job { name, query, .. })) = next() {
            let count = |rows, bytes| meter.add(at, rows, bytes);
            let sum = digest(&session, &query, count).await.with_context(|| format!("cannot read {name}"))?;
            done.push((name, sum));
        }
        Ok::<_, anyhow::Error>((done, session))
    };
    let others = (1..workers.max(1)).map(|_| work(None));
    let all = async { tokio::try_join!(work(Some(first)), future::try_join_all(others)) };
    let (own, others) = meter.watch(say, all).await?;
    let tables = others.into_iter().chain([own]).flat_map(|(done, _)| done).collect();
    Ok(Contents { tables, sequences })
}

/// A table that is to be read.
struct Job {
    name: String,
    query: String,
    /// Its size in the server.
    bytes: u64,
}

async fn begin(place: &Place, snapshot: Option<&str>, name: &str) -> Result<Session> {
    let session = place.connect(name).await?;
    session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    if let Some(snapshot) = snapshot {
        let sql = format!("SET TRANSACTION SNAPSHOT '{snapshot}'");
        session.batch_execute(&sql).await.context("the snapshot is gone")?;
    }
    Ok(session)
}

/// Every table with rows of its own that a dump holds, and how it is read; the largest last. Those of extensions come
/// with their extension.
async fn tables(session: &Session, excluded: &[String]) -> Result<Vec<Job>> {
    let sql = "SELECT n.nspname::text, c.relname::text, \
        array(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 \
            AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum), pg_catalog.pg_table_size(c.oid) \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
        AND n.nspname NOT LIKE 'pg\\_t%' AND n.nspname <> ALL ($1::text[]) AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') \
        ORDER BY pg_catalog.pg_relation_size(c.oid), 1, 2";
    let rows = session.query(sql, &[&excluded]).await.context("cannot list the tables")?;
    let table = |row: &tokio_postgres::Row| -> Result<Job> {
        let name = TableName::new(row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?);
        let columns: Vec<String> = row.try_get(2)?;
        let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        let query = format!("SELECT {} FROM ONLY {}", columns.join(", "), name.sql());
        let bytes: i64 = row.try_get(3)?;
        Ok(Job { name: name.stem(), query, bytes: bytes.unsigned_abs() })
    };
    rows.iter().map(table).collect()
}

async fn has_large_objects(session: &Session) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)";
    Ok(session.query_one(sql, &[]).await.context("cannot look for large objects")?.try_get(0)?)
}

async fn sequences(session: &Session, excluded: &[String]) -> Result<BTreeMap<String, Option<i64>>> {
    let sql = "SELECT schemaname::text, sequencename::text, last_value FROM pg_catalog.pg_sequences \
               WHERE schemaname NOT LIKE 'pg\\_t%' AND schemaname <> ALL ($1::text[])";
    let rows = session.query(sql, &[&excluded]).await.context("cannot read the sequences")?;
    let sequence = |row: &tokio_postgres::Row| -> Result<(String, Option<i64>)> {
        let name = TableName::new(row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?);
        Ok((name.stem(), row.try_get(2)?))
    };
    rows.iter().map(sequence).collect()
}

async fn digest(session: &Session, query: &str, count: impl Fn(u64, u64)) -> Result<Sum> {
    let stream = session.copy_out(&format!("COPY ({query}) TO STDOUT")).await?;
    let (mut stream, mut rows, mut sum) = (Box::pin(stream), Rows::default(), Sum::default());
    while let Some(piece) = stream.next().await {
        let (piece, before) = (piece?, sum.rows);
        rows.feed(&piece, |row| {
            sum.add(of_row(row));
            Ok::<(), std::convert::Infallible>(())
        })?;
        count(sum.rows - before, piece.len() as u64);
    }
    if !rows.is_at_a_boundary() {
        bail!("the server stopped in the middle of a row");
    }
    Ok(sum)
}
