//! Where sequences stand: read, set, and read again. Law: a sequence counts as set once it was seen to stand there.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use crate::data::catalog::{Sequence, TableName, literal, quoted};

/// Where a sequence stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Its name.
    pub name: TableName,
    /// Its value.
    pub value: i64,
    /// Whether it gave that value already.
    pub is_called: bool,
}

impl Position {
    /// Where the catalog says that it stands.
    pub fn of(sequence: &Sequence) -> Self {
        let name = sequence.name.clone();
        Self { name, value: sequence.last_value.unwrap_or(sequence.start), is_called: sequence.last_value.is_some() }
    }
}

/// Reads where these sequences stand, in one round trip each 500.
///
/// # Errors
/// When one is not there, or may not be read.
pub async fn read(session: &Client, names: &[TableName]) -> Result<Vec<Position>> {
    let mut positions = Vec::new();
    for names in names.chunks(500) {
        let parts = names
            .iter()
            .enumerate()
            .map(|(at, name)| format!("SELECT {at}::int AS at, last_value::bigint, is_called FROM {}", name.sql()));
        let query = parts.collect::<Vec<_>>().join(" UNION ALL ") + " ORDER BY at";
        let rows = session.query(&query, &[]).await.context("cannot read the sequences")?;
        positions.extend(rows.iter().zip(names).map(|(row, name)| Position {
            name: name.clone(),
            value: row.get(1),
            is_called: row.get(2),
        }));
    }
    Ok(positions)
}

/// Sets sequences, and looks whether they stand there.
///
/// # Errors
/// When one cannot be set, or stands elsewhere afterwards.
pub async fn set(session: &Client, positions: &[Position]) -> Result<()> {
    for position in positions {
        let Position { name, value, is_called } = position;
        let set = format!("SELECT pg_catalog.setval({}, {value}, {is_called})", literal(&name.sql()));
        session.query_one(&set, &[]).await.with_context(|| format!("cannot set the sequence {name} to {value}"))?;
    }
    let names: Vec<TableName> = positions.iter().map(|position| position.name.clone()).collect();
    let seen = read(session, &names).await?;
    if let Some((wanted, seen)) = positions.iter().zip(&seen).find(|(wanted, seen)| wanted != seen) {
        bail!(
            "the sequence {} was set to {} but stands at {}; is somebody else using it?",
            wanted.name,
            wanted.value,
            seen.value
        );
    }
    Ok(())
}

/// Where sequences must stand so that they give none of the values that their columns hold; those of empty columns stay.
///
/// # Errors
/// When a column cannot be read.
pub async fn behind(session: &Client, sequences: &[Sequence]) -> Result<Vec<Position>> {
    let mut positions = Vec::new();
    for sequence in sequences {
        let Some((table, column)) = &sequence.owner else { continue };
        let last = if sequence.increment < 0 { "min" } else { "max" };
        let query = format!("SELECT pg_catalog.{last}({})::bigint FROM {}", quoted(column), table.sql());
        let row = session.query_one(&query, &[]).await.with_context(|| format!("cannot read {table}.{column}"))?;
        positions.extend(row.get::<_, Option<i64>>(0).map(|value| Position {
            name: sequence.name.clone(),
            value,
            is_called: true,
        }));
    }
    Ok(positions)
}

/// The target's sequence for one of the source: of the same name, else the one of the same column.
pub fn partner<'a>(of: &Sequence, among: &'a [Sequence]) -> Option<&'a Sequence> {
    let same_name = among.iter().find(|sequence| sequence.name == of.name);
    same_name.or_else(|| among.iter().find(|sequence| sequence.owner.is_some() && sequence.owner == of.owner))
}
