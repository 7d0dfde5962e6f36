//! Everything of the target that is not rows: foreign keys hold, constraints and indexes are valid, sequences are ahead,
//! and what the configuration asserts is true. Law: a question that could not be asked is a failure.

use anyhow::Result;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::rows::list;
use super::snapshot::Snapshot;
use crate::data::catalog::{Catalog, ForeignKey, Storage, Table, TableName, quoted};
use crate::data::plural::{counted, verb};
use crate::data::verification::{Check, Status, shortened};

/// How many wrong rows are shown.
const SHOWN: usize = 5;
/// Types and functions of extensions are found by these; statements of people are written with them in mind.
const SEARCH: &str = "SAVEPOINT question; SET LOCAL search_path = \"$user\", public, extensions";

/// A statement about the target that must be true: its query gives rows only where something is wrong.
#[derive(Clone, Debug)]
pub struct Assert {
    /// What it says.
    pub name: String,
    /// The query.
    pub sql: String,
}

fn check(name: impl Into<String>, status: Status, words: impl Into<String>) -> Check {
    Check { name: name.into(), status, words: words.into(), seen: Vec::new() }
}

/// What a query gives, as text: at most [`SHOWN`] rows, and how many there were in all.
async fn ask(session: &Client, sql: &str) -> Result<(Vec<String>, u64)> {
    session.batch_execute(SEARCH).await?;
    let asked = async {
        let stream = session.simple_query_raw(sql).await?;
        let mut stream = std::pin::pin!(stream);
        let (mut seen, mut count) = (Vec::new(), 0);
        while let Some(message) = futures_util::TryStreamExt::try_next(&mut stream).await? {
            let SimpleQueryMessage::Row(row) = message else { continue };
            count += 1;
            if seen.len() < SHOWN {
                let value = |at: usize| row.get(at).map_or("null".to_owned(), |value| shortened(value.as_bytes(), 0));
                let columns = row.columns().iter().enumerate();
                seen.push(
                    columns
                        .map(|(at, column)| format!("{}={}", column.name(), value(at)))
                        .collect::<Vec<_>>()
                        .join(" "),
                );
            }
        }
        Ok::<_, tokio_postgres::Error>((seen, count))
    };
    let answer = asked.await;
    session.batch_execute("ROLLBACK TO SAVEPOINT question; RELEASE SAVEPOINT question").await?;
    Ok(answer?)
}

fn not_asked(name: String, error: &anyhow::Error) -> Check {
    let server = error.downcast_ref::<tokio_postgres::Error>().and_then(|error| error.as_db_error());
    let words = server.map_or_else(|| format!("{error:#}"), |error| error.message().to_owned());
    check(name, Status::Fail, format!("could not be asked: {words}"))
}

/// Whether every row finds what its foreign keys point to; keys that are not validated are asked like the others.
///
/// # Errors
/// When the connection is lost.
pub async fn foreign_keys(snapshot: &Snapshot, target: &Catalog) -> Result<Vec<Check>> {
    let keys: Vec<(&Table, &ForeignKey)> =
        target.tables.iter().flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key))).collect();
    let lanes = snapshot.workers.len().max(1);
    let lane = |lane: usize| {
        let keys = &keys;
        async move {
            let mut checks = Vec::new();
            for (at, (table, key)) in keys.iter().enumerate().filter(|(at, _)| at % lanes == lane) {
                checks.push((at, foreign_key(&snapshot.workers[lane], target, table, key).await?));
            }
            Ok::<_, anyhow::Error>(checks)
        }
    };
    let checks = futures_util::future::try_join_all((0..lanes).map(lane)).await?;
    let mut checks: Vec<(usize, Check)> = checks.into_iter().flatten().collect();
    checks.sort_by_key(|(at, _)| *at);
    Ok(checks.into_iter().map(|(_, check)| check).collect())
}

async fn foreign_key(session: &Client, catalog: &Catalog, table: &Table, key: &ForeignKey) -> Result<Check> {
    let name = format!("foreign key {} of {}", key.name, table.name);
    let to = catalog.table(&key.to).map_or_else(|| key.to.sql(), Table::source);
    let is_set: Vec<String> = key.columns.iter().map(|column| format!("c.{} IS NOT NULL", quoted(column))).collect();
    let pairs = key.columns.iter().zip(&key.to_columns);
    let meets: Vec<String> = pairs.map(|(from, to)| format!("p.{} = c.{}", quoted(to), quoted(from))).collect();
    let orphans = format!(
        "FROM {} c WHERE {} AND NOT EXISTS (SELECT FROM {to} p WHERE {})",
        table.source(),
        is_set.join(" AND "),
        meets.join(" AND ")
    );
    // One count first: naming them all would be as long as the table.
    let asked = async {
        let (count, _) =
            ask(session, &format!("SELECT pg_catalog.count(*) {orphans} HAVING pg_catalog.count(*) > 0")).await?;
        let count = count.first().and_then(|text| text.split('=').nth(1)).unwrap_or("0").to_owned();
        if count == "0" {
            return Ok(None);
        }
        let shown = if table.identity().is_empty() { list(&key.columns) } else { list(table.identity()) };
        let (seen, _) = ask(session, &format!("SELECT {shown} {orphans} ORDER BY {shown} LIMIT {SHOWN}")).await?;
        Ok::<_, anyhow::Error>(Some((count, seen)))
    };
    Ok(match asked.await {
        Err(error) if session.is_closed() => return Err(error),
        Err(error) => not_asked(name, &error),
        Ok(None) => check(name, Status::Pass, "every row finds what it points to"),
        Ok(Some((count, seen))) => {
            let (rows, point) = match count.as_str() {
                "1" => ("1 row".to_owned(), "points"),
                _ => (format!("{count} rows"), "point"),
            };
            let words = format!("{rows} of {} {point} to rows of {} that are not there", table.name, key.to);
            Check { seen, ..check(name, Status::Fail, words) }
        }
    })
}

/// Whether constraints and indexes of the chosen tables are valid. One that is not valid in the source either is only told.
///
/// # Errors
/// When a catalog cannot be read.
pub async fn validity(snapshot: &Snapshot, source: Option<&Snapshot>, target: &Catalog) -> Result<Vec<Check>> {
    let here = invalid(&snapshot.holder).await?;
    let there = match source {
        Some(source) => invalid(&source.holder).await?,
        None => Vec::new(),
    };
    let chosen = |(table, ..): &&(TableName, String, String)| target.table(table).is_some();
    let found: Vec<Check> = here
        .iter()
        .filter(chosen)
        .map(|one| {
            let (table, kind, name) = one;
            let what = format!("{kind} {name} of {table}");
            if there.contains(one) {
                return check(what, Status::Warn, "is not valid, and is not in the source either");
            }
            let words = if kind == "index" {
                "is not valid: REINDEX it".to_owned()
            } else {
                format!("is not validated: ALTER TABLE {} VALIDATE CONSTRAINT {}", table.sql(), quoted(name))
            };
            check(what, Status::Fail, words)
        })
        .collect();
    if found.is_empty() {
        return Ok(vec![check("constraints and indexes", Status::Pass, "all are valid")]);
    }
    Ok(found)
}

async fn invalid(session: &Client) -> Result<Vec<(TableName, String, String)>> {
    const INVALID: &str = "SELECT n.nspname::text, c.relname::text, 'constraint', k.conname::text \
        FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT k.convalidated \
        UNION ALL SELECT n.nspname::text, c.relname::text, 'index', i.relname::text \
        FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid \
        JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE NOT (x.indisvalid AND x.indisready AND x.indislive) ORDER BY 1, 2, 3, 4";
    let rows = session.query(INVALID, &[]).await?;
    let one = |row: &tokio_postgres::Row| {
        Ok::<_, tokio_postgres::Error>((
            TableName::new(row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?),
            row.try_get(2)?,
            row.try_get(3)?,
        ))
    };
    Ok(rows.iter().map(one).collect::<Result<_, _>>()?)
}

/// Whether the next value of each sequence is beyond every value of its column, and not behind the source's.
///
/// # Errors
/// When a question fails.
pub async fn sequences(snapshot: &Snapshot, source: Option<&Catalog>, target: &Catalog) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for sequence in &target.sequences {
        let name = format!("sequence {}", sequence.name);
        let next = sequence.last_value.map_or(sequence.start, |last| last.saturating_add(sequence.increment));
        let is_upward = sequence.increment >= 0;
        let mut words = vec![format!("next value {next}")];
        let mut status = Status::Pass;
        if let Some((table, column)) = &sequence.owner {
            let (what, from) = (if is_upward { "max" } else { "min" }, owner(target, table));
            let column = quoted(column);
            let (seen, _) = match ask(
                &snapshot.holder,
                &format!("SELECT pg_catalog.{what}({column})::pg_catalog.int8 AS most FROM {from}"),
            )
            .await
            {
                Ok(answer) => answer,
                Err(error) if snapshot.holder.is_closed() => return Err(error),
                Err(error) => {
                    checks.push(not_asked(name, &error));
                    continue;
                }
            };
            let most =
                seen.first().and_then(|text| text.strip_prefix("most=")).and_then(|text| text.parse::<i64>().ok());
            if let Some(most) = most.filter(|most| if is_upward { next <= *most } else { next >= *most }) {
                status = Status::Fail;
                words.push(format!("but {table} already holds {most}: the next insert would collide; set it beyond"));
            }
        }
        if let Some(source) = source {
            match source.sequences.iter().find(|other| other.name == sequence.name) {
                Some(other) if other.last_value == sequence.last_value => {
                    words.push("the same as in the source".into())
                }
                Some(other) => {
                    let before = other.last_value.map_or(other.start, |last| last.saturating_add(other.increment));
                    let is_behind = if is_upward { next < before } else { next > before };
                    status = status.max(if is_behind { Status::Fail } else { Status::Warn });
                    let how = if is_behind { "behind" } else { "ahead of" };
                    words.push(format!("{how} the source's, which gives {before} next"));
                }
                None => words.push("the source has none of this name".into()),
            }
        }
        checks.push(check(name, status, words.join("; ")));
    }
    Ok(checks)
}

fn owner(target: &Catalog, table: &TableName) -> String {
    target.table(table).map_or_else(
        || table.sql(),
        |table| match table.storage {
            // Children by inheritance draw from the same sequence: they count too.
            Storage::Ordinary | Storage::Partitioned => table.name.sql(),
        },
    )
}

/// Asks what must be true; each in a transaction that cannot write.
///
/// # Errors
/// When the connection is lost.
pub async fn asserts(snapshot: &Snapshot, asserts: &[Assert]) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for one in asserts {
        let name = format!("assertion {}", one.name);
        checks.push(match ask(&snapshot.holder, &one.sql).await {
            Err(error) if snapshot.holder.is_closed() => return Err(error),
            Err(error) => not_asked(name, &error),
            Ok((_, 0)) => check(name, Status::Pass, "no row says otherwise"),
            Ok((seen, count)) => {
                let words = format!("{} {} otherwise", counted(count, "row"), verb(count, "says", "say"));
                Check { seen, ..check(name, Status::Fail, words) }
            }
        });
    }
    Ok(checks)
}
