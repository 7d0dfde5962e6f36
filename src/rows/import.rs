//! Filling the target: everything, with keys, foreign keys, sequences and statistics as they must be, or nothing.
//!
//! Law: a target that failed to be filled is what it was before. What a kill leaves behind is recorded in the target
//! itself (`_cutover`), chunk by chunk, each with its rows in one transaction: a second call goes on from there, or
//! `undo` takes everything back.

mod ballast;
mod baseline;
mod board;
mod course;
mod deed;
mod floor;
mod from_files;
mod hold;
mod journal;
mod load;
mod outside;

use serde::{Deserialize, Serialize};

pub use self::from_files::{Checked, Options, checked, identity, import, outlook};
pub use self::hold::{Held, holder, is_interrupted};
use self::journal::{Line, Phase};
pub(super) use self::{
    baseline::taker,
    course::{Course, first_full, follow},
    floor::{Floor, Producer},
    hold::Hold,
    journal::as_before,
    load::{Expected, Lane, Rows, Unit},
    outside::in_the_way,
};
use super::catalog;
use super::filling::Filling;
use crate::adapter::database::Place;
use crate::data::catalog::TableName;
use crate::data::digest::Sum;

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// The tables, the largest first.
    pub tables: Vec<ImportedTable>,
    /// How many sequences were set, and seen to stand where they must.
    pub sequences: usize,
    /// What is to be known about it, in words.
    pub concerns: Vec<String>,
    /// From the first row to the last check. A call that went on after a kill counts from its own beginning.
    pub seconds: f64,
}

/// What was done with a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedTable {
    /// Its name.
    pub table: TableName,
    /// The columns that were filled, in the order of the digest.
    pub columns: Vec<String>,
    /// Rows in the target.
    pub rows: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// From its first chunk to its last.
    pub seconds: f64,
    /// Digest of the rows as they were sent (mapped); none where they passed unread.
    pub digest: Option<Sum>,
    /// Whether its rows were read on the way.
    pub is_read: bool,
}

/// How a target stands towards an import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum ImportState {
    /// None is recorded there.
    Untouched,
    /// One began and did not end: call again to go on, or take it back.
    Partial,
    /// This one is done.
    Complete {
        /// What was done.
        imported: Imported,
        /// When it began, RFC 3339, by the clock of the host that filled it; an older record has none.
        began_at: Option<String>,
    },
    /// Something else stands there.
    Foreign {
        /// What.
        why: String,
        /// What that one is known by.
        identity: String,
        /// Whether it came to its end.
        is_complete: bool,
    },
}

/// An import or copy that a target records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What it is known by.
    pub identity: String,
    /// Whether it came to its end.
    pub is_complete: bool,
    /// When it began, RFC 3339, by the clock of the host that filled it; an older record has none.
    pub began_at: Option<String>,
}

/// The import or copy that a target records, whatever it is of.
///
/// # Errors
/// When the target cannot be asked.
pub async fn recorded(session: &tokio_postgres::Client) -> anyhow::Result<Option<Recorded>> {
    let line = journal::read(session).await?;
    Ok(line.map(|line| Recorded {
        identity: line.identity,
        is_complete: line.phase == Phase::Complete,
        began_at: line.before.began_at,
    }))
}

/// The first table of the target that would be filled and holds rows already; of those that the source has, where one is
/// asked. What is not there yet holds none.
///
/// # Errors
/// When a database cannot be asked.
pub async fn first_filled(
    target: &Place,
    source: Option<&Place>,
    filling: &Filling,
) -> anyhow::Result<Option<TableName>> {
    let (patterns, users_table) = (filling.patterns()?, filling.users_table()?);
    let session = target.connect(&filling.session).await?;
    let mut tables = catalog::read(&session, &patterns, &users_table).await?.tables;
    if let Some(source) = source {
        let session = source.connect(&filling.session).await?;
        let from = catalog::read(&session, &patterns, &users_table).await?;
        tables.retain(|table| from.table(&table.name).is_some());
    }
    first_full(&session, &tables).await
}

/// Tables that the complete import which a target records filled, and that still hold rows.
///
/// # Errors
/// When the target cannot be asked.
pub async fn filled_tables(target: &Place, session: &str) -> anyhow::Result<Vec<TableName>> {
    let session = target.connect(session).await?;
    let line = journal::read(&session).await?.filter(|line| line.phase == Phase::Complete);
    let mut filled = Vec::new();
    for table in line.and_then(|line| line.summary).into_iter().flat_map(|summary| summary.tables) {
        let name = table.table.sql();
        let there = session.query_one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[&name]).await?;
        if table.rows > 0
            && there.try_get(0)?
            && session.query_one(&format!("SELECT EXISTS (SELECT 1 FROM {name})"), &[]).await?.try_get(0)?
        {
            filled.push(table.table);
        }
    }
    Ok(filled)
}

/// Whether the import that a database records made the schema of ours there.
pub(in crate::rows) async fn has_made_schema(session: &tokio_postgres::Client) -> anyhow::Result<bool> {
    Ok(journal::read(session).await?.is_some_and(|line| !line.before.had_schema))
}

/// How the target stands towards the import that is known by `identity` (of `identity` here or in `copy`).
/// Changes nothing, and asks for no lock.
///
/// # Errors
/// When the target cannot be asked.
pub async fn state(target: &Place, filling: &Filling, identity: &str) -> anyhow::Result<ImportState> {
    let session = target.connect(&filling.session).await?;
    Ok(match journal::read(&session).await? {
        None => ImportState::Untouched,
        Some(line) if line.identity != identity => {
            let is_complete = line.phase == Phase::Complete;
            let how = if is_complete { "a complete" } else { "an unfinished" };
            let why = format!("{how} import of something else is recorded in the target");
            ImportState::Foreign { why, identity: line.identity, is_complete }
        }
        Some(Line { phase: Phase::Complete, summary: Some(imported), before, .. }) => {
            ImportState::Complete { imported, began_at: before.began_at }
        }
        Some(_) => ImportState::Partial,
    })
}

/// Takes back whatever an import or a copy did, from any point: its tables are emptied in one statement, sequences stand
/// where they stood, what was set aside is back, and nothing of ours is left in the target. Nothing happens where none is
/// recorded. A kill in between is no harm: a second call goes on. A freeze of the target is passed, and stands afterwards.
///
/// # Errors
/// When another import is under way, a table points into the emptied ones from outside, or the server refuses.
pub async fn undo(target: &Place, filling: &Filling, say: &(dyn Fn(String) + Sync)) -> anyhow::Result<()> {
    let mut hold = Hold::take(target, &filling.session).await?;
    hold.pass_a_freeze().await?;
    course::undo(&mut hold, target, &filling.state, filling.workers.max(1), say).await
}
