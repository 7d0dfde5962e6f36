//! Sequences: those that belong to a chosen table, that its defaults ask, or that a pattern names.

use anyhow::{Context, Result};
use tokio_postgres::Row;

use super::{Relation, ask, concern, statements};
use crate::adapter::database::Session;
use crate::data::catalog::{Concern, Sequence, TableName};
use crate::data::patterns::Patterns;

pub(super) async fn read(
    session: &Session,
    patterns: &Patterns,
    chosen: &[&Relation],
    role: &str,
) -> Result<(Vec<Sequence>, Vec<Concern>)> {
    let rows = ask(session, statements::SEQUENCES).await?;
    let mut found: Vec<(u32, Sequence)> = rows.iter().filter_map(|row| sequence(row, patterns, chosen)).collect();
    let hidden: Vec<u32> = rows.iter().filter(|row| !row.get::<_, bool>(5)).map(|row| row.get(0)).collect();
    let values = values(session, found.iter().filter(|(oid, _)| !hidden.contains(oid))).await?;
    let mut concerns = Vec::new();
    for (oid, sequence) in &mut found {
        match values.iter().find(|row| row.get::<_, u32>(0) == *oid) {
            // After RESTART or setval(…, false) the next value is not the declared start.
            Some(row) if row.get(2) => sequence.last_value = Some(row.get(1)),
            Some(row) => sequence.start = row.get(1),
            None => {
                let words = format!(
                    "its value cannot be read by the role {role}; GRANT SELECT ON SEQUENCE {} TO it",
                    sequence.name.sql()
                );
                concerns.push(concern(true, format!("sequence {}", sequence.name), words));
            }
        }
    }
    Ok((found.into_iter().map(|(_, sequence)| sequence).collect(), concerns))
}

/// A sequence itself is the only place that tells a value that was given from one that will be.
async fn values(session: &Session, sequences: impl Iterator<Item = &(u32, Sequence)>) -> Result<Vec<Row>> {
    let one = |(oid, sequence): &(u32, Sequence)| {
        format!("SELECT {oid}::oid, last_value, is_called FROM {}", sequence.name.sql())
    };
    let statements: Vec<String> = sequences.map(one).collect();
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    session.query_typed(&statements.join(" UNION ALL "), &[]).await.context("cannot read the sequences")
}

fn sequence(row: &Row, patterns: &Patterns, chosen: &[&Relation]) -> Option<(u32, Sequence)> {
    let name = TableName::new(row.get::<_, String>(1), row.get::<_, String>(2));
    let (owner, column): (Option<u32>, Option<String>) = (row.get(6), row.get(7));
    let table = |oid: u32| chosen.iter().find(|relation| relation.oid == oid);
    let askers: Vec<u32> = row.get(8);
    let is_asked = askers.into_iter().any(|oid| table(oid).is_some());
    let owned = owner.and_then(table).map(|relation| relation.name.clone()).zip(column);
    if owned.is_none() && !is_asked && (owner.is_some() || !patterns.is_chosen(&name)) {
        return None;
    }
    let sequence = Sequence { name, owner: owned, last_value: None, start: row.get(3), increment: row.get(4) };
    Some((row.get(0), sequence))
}
