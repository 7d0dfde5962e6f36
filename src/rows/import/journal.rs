//! What the target itself knows of an import: `_cutover.import` (one line), `_cutover.chunk`, `_cutover.set_aside`.
//!
//! Law: a chunk's rows and its line commit together, so that after any kill each row is there exactly once. The tables
//! are made with the first line and removed with the last, so that a target that was put back is as it was.

use std::collections::HashMap;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Transaction};

use super::{Imported, ballast};
use crate::data::catalog::{Catalog, ForeignKey, Key, Table, TableName};
use crate::data::digest::Sum;
use crate::rows::sequences::Position;

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Rows are coming in, or things are coming back.
    Loading,
    /// It is being taken back.
    Undoing,
    /// Done.
    Complete,
}

impl Phase {
    fn text(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Undoing => "undoing",
            Self::Complete => "complete",
        }
    }
}

impl FromStr for Phase {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "loading" => Ok(Self::Loading),
            "undoing" => Ok(Self::Undoing),
            "complete" => Ok(Self::Complete),
            other => bail!("the target's record of an import says {other:?}: it was written by another version"),
        }
    }
}

/// What must be known to take an import back, whatever became of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    /// The tables that it fills.
    pub tables: Vec<TableName>,
    /// Where the target's sequences stood.
    pub sequences: Vec<Position>,
    /// Whether the schema of ours was there before.
    pub had_schema: bool,
    /// The keys of the tables, which are not there while they are set aside. An older record has none.
    #[serde(default)]
    pub keys: Vec<Keys>,
    /// When it began, RFC 3339, by the clock of the host that fills. An older record has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<String>,
}

/// What tells the rows of a table apart, and what they point to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keys {
    table: TableName,
    own: Vec<Key>,
    foreign: Vec<ForeignKey>,
}

impl Keys {
    /// Those of a table that nothing was taken from yet.
    pub fn of(table: &Table) -> Self {
        Self { table: table.name.clone(), own: table.keys.clone(), foreign: table.foreign_keys.clone() }
    }
}

/// A catalog that was read while an import is under way lacks what is set aside: it gets its keys back, so that the import
/// goes on with the tables that it began with.
///
/// # Errors
/// When the target cannot be asked.
pub(crate) async fn as_before(session: &Client, catalog: &mut Catalog) -> Result<()> {
    let Some(line) = read(session).await?.filter(|line| line.phase == Phase::Loading) else { return Ok(()) };
    for table in &mut catalog.tables {
        if let Some(keys) = line.before.keys.iter().find(|keys| keys.table == table.name) {
            table.keys.clone_from(&keys.own);
            table.foreign_keys.clone_from(&keys.foreign);
        }
    }
    Ok(())
}

/// The one line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What is imported: equal where files, mapping and columns are equal.
    pub identity: String,
    /// How far it is.
    pub phase: Phase,
    /// For the way back.
    pub before: Before,
    /// What was done, once it is complete.
    pub summary: Option<Imported>,
}

const MAKE: &str = "CREATE SCHEMA IF NOT EXISTS _cutover; \
    CREATE TABLE _cutover.import (only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one), identity text NOT NULL, \
      phase text NOT NULL, before text NOT NULL, summary text); \
    CREATE TABLE _cutover.set_aside (number int PRIMARY KEY, item text NOT NULL); \
    CREATE TABLE _cutover.chunk (stem text, part bigint, rows bigint NOT NULL, bytes bigint NOT NULL, \
      digest text NOT NULL, PRIMARY KEY (stem, part))";

/// Whether the schema of ours is there.
pub(crate) async fn has_schema(session: &Client) -> Result<bool> {
    let query = "SELECT pg_catalog.to_regnamespace('_cutover') IS NOT NULL";
    Ok(session.query_one(query, &[]).await?.get(0))
}

/// The line; none where no import ever began here, or the last one was taken back.
pub(crate) async fn read(session: &Client) -> Result<Option<Line>> {
    let query = "SELECT pg_catalog.to_regclass('_cutover.import') IS NOT NULL";
    if !session.query_one(query, &[]).await.context("cannot look for an import's record")?.get::<_, bool>(0) {
        return Ok(None);
    }
    let query = "SELECT identity, phase, before, summary FROM _cutover.import";
    let Some(row) = session.query_opt(query, &[]).await.context("cannot read an import's record")? else {
        return Ok(None);
    };
    let unreadable = "the target's record of an import cannot be read";
    let summary: Option<String> = row.get(3);
    Ok(Some(Line {
        identity: row.get(0),
        phase: row.get::<_, &str>(1).parse()?,
        before: serde_json::from_str(row.get(2)).context(unreadable)?,
        summary: summary.map(|text| serde_json::from_str(&text)).transpose().context(unreadable)?,
    }))
}

/// Makes the tables and writes the line.
pub(crate) async fn begin(transaction: &Transaction<'_>, identity: &str, before: &Before) -> Result<()> {
    let hint = "cannot make the schema _cutover in the target (its role needs CREATE on the database)";
    transaction.batch_execute(MAKE).await.context(hint)?;
    let insert = "INSERT INTO _cutover.import (identity, phase, before) VALUES ($1, $2, $3)";
    let before = serde_json::to_string(before)?;
    transaction.execute(insert, &[&identity, &Phase::Loading.text(), &before]).await?;
    Ok(())
}

/// Writes how far it is.
pub(crate) async fn set_phase(transaction: &Transaction<'_>, phase: Phase) -> Result<()> {
    transaction.execute("UPDATE _cutover.import SET phase = $1", &[&phase.text()]).await?;
    Ok(())
}

/// Writes that it is done, in a commit that waits until it, and with it every commit before, is on the disk.
pub(crate) async fn complete(session: &mut Client, imported: &Imported) -> Result<()> {
    let transaction = session.transaction().await?;
    transaction.batch_execute("SET LOCAL synchronous_commit = on; TRUNCATE _cutover.chunk").await?;
    let summary = serde_json::to_string(imported)?;
    ballast::drop(transaction.client()).await?;
    let update = "UPDATE _cutover.import SET phase = $1, summary = $2";
    transaction.execute(update, &[&Phase::Complete.text(), &summary]).await?;
    transaction.commit().await.context("cannot write that the import is complete")
}

/// Removes everything of ours.
pub(crate) async fn remove(session: &mut Client, before: &Before) -> Result<()> {
    let transaction = session.transaction().await?;
    drop_tables(&transaction).await?;
    if !before.had_schema {
        let query = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class \
                     WHERE relnamespace = pg_catalog.to_regnamespace('_cutover')";
        if transaction.query_one(query, &[]).await?.get::<_, i64>(0) == 0 {
            transaction.batch_execute("DROP SCHEMA _cutover").await?;
        }
    }
    transaction.commit().await.context("cannot remove the import's record")
}

/// Removes the tables of ours.
pub(crate) async fn drop_tables(transaction: &Transaction<'_>) -> Result<()> {
    let drop = "SET LOCAL synchronous_commit = on; DROP TABLE _cutover.import, _cutover.chunk, _cutover.set_aside";
    ballast::drop(transaction.client()).await?;
    transaction.batch_execute(drop).await.context("cannot remove the import's record")
}

/// A chunk that is in the target.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chunk {
    /// Count and digest of its rows; the sum is 0 where rows passed unread.
    pub sum: Sum,
    /// Bytes sent.
    pub bytes: u64,
}

/// Writes the line of a chunk, in the transaction of its rows.
pub(crate) async fn add_chunk(transaction: &Transaction<'_>, stem: &str, part: i64, chunk: &Chunk) -> Result<()> {
    let insert = "INSERT INTO _cutover.chunk VALUES ($1, $2, $3, $4, $5)";
    let (rows, bytes) = (i64::try_from(chunk.sum.rows)?, i64::try_from(chunk.bytes)?);
    let digest = chunk.sum.to_string();
    transaction.execute(insert, &[&stem, &part, &rows, &bytes, &digest]).await.context("cannot record a chunk")?;
    Ok(())
}

/// The chunks that are in the target, by file and part.
pub(crate) async fn chunks(session: &Client) -> Result<HashMap<(String, i64), Chunk>> {
    let query = "SELECT stem, part, digest, bytes FROM _cutover.chunk";
    let rows = session.query(query, &[]).await.context("cannot read the import's chunks")?;
    rows.iter()
        .map(|row| {
            let sum = serde_json::from_value(serde_json::Value::from(row.get::<_, &str>(2)))?;
            let bytes = u64::try_from(row.get::<_, i64>(3))?;
            Ok(((row.get(0), row.get(1)), Chunk { sum, bytes }))
        })
        .collect()
}
