//! Layer c: sessions that began before the default was read-only are ended, and seen to be gone.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_postgres::error::SqlState;

use super::record::{Gap, note};
use super::waiting::{self, Other, Waiting};
use crate::adapter::clock::Stopwatch;
use crate::adapter::database::Session;
use crate::rows::Say;

/// How often the list of sessions is looked at while some of them end.
const LOOK: Duration = Duration::from_millis(50);
/// Sessions that take longer than this to end are named.
const SLOW: Duration = Duration::from_secs(2);

/// Everybody else in this database. A session's start stays hidden from roles without `pg_read_all_stats`; it then
/// counts as old.
const OTHERS: &str = concat!(
    "SELECT a.pid, ",
    waiting::traits!(),
    ", coalesce(a.backend_type, 'client backend') FROM pg_catalog.pg_stat_activity a \
    WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() \
    AND application_name <> 'cutover' AND application_name NOT LIKE 'cutover run %' \
    AND coalesce(backend_type, 'client backend') NOT IN ('parallel worker', 'autovacuum worker') \
    AND (backend_start IS NULL OR backend_start <= $1::text::timestamptz)"
);

/// Ends everybody who connected until now, except our own sessions, and gives how many; who may not be ended, and who
/// streams the log, is noted.
pub(super) async fn end_others(
    session: &Session,
    gaps: &mut Vec<Gap>,
    deadline: Duration,
    say: Say<'_>,
) -> Result<usize> {
    let row = session.query_one("SELECT pg_catalog.clock_timestamp()::text", &[]).await?;
    let until: String = row.try_get(0)?;
    gaps.retain(|gap| gap.kind != "session");
    let watch = Stopwatch::start();
    let (mut asked, mut spared) = (BTreeSet::new(), BTreeSet::new());
    // A session can show itself a moment after it read the old default, so one empty look is not enough.
    let mut empty_looks = 0;
    let mut waiting = Waiting::default();
    while empty_looks < 2 {
        let mut others = others(session, &until).await?;
        others.retain(|(other, _)| !spared.contains(&other.pid));
        empty_looks = if others.is_empty() { empty_looks + 1 } else { 0 };
        let is_late = watch.left(deadline).is_none();
        let asked_before: Vec<Other> = others.iter().map(|(other, _)| other.clone()).collect();
        if watch.elapsed() > SLOW && asked_before.iter().all(|other| asked.contains(&other.pid)) {
            waiting.look(&asked_before, "sessions that were asked to end", watch.left(deadline), say);
        }
        for (other, kind) in others {
            if kind != "client backend" {
                spared.insert(other.pid);
                note(gaps, "session", other.name, format!("a {kind} is left alone"));
            } else if is_late {
                spared.insert(other.pid);
                note(gaps, "session", other.name, "it did not end in time; the triggers stop it all the same".into());
            } else if !end(session, other.pid).await? {
                spared.insert(other.pid);
                let words = "this role may not end it (pg_signal_backend); the triggers stop it all the same";
                note(gaps, "session", other.name, words.into());
            } else if asked.insert(other.pid) {
                say(format!("ending the session of {}", other.name));
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(asked.len())
}

/// Each with its kind.
async fn others(session: &Session, until: &str) -> Result<Vec<(Other, String)>> {
    let rows = session.query(OTHERS, &[&until]).await.context("cannot list the sessions of the database")?;
    rows.iter().map(|row| Ok((Other::of(row)?, row.try_get(6)?))).collect()
}

/// Whether it could be asked to end; one that is already gone counts as ended.
async fn end(session: &Session, pid: i32) -> Result<bool> {
    match session.query_one("SELECT pg_catalog.pg_terminate_backend($1)", &[&pid]).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(false),
        Err(error) => Err(error).context("cannot end a session"),
    }
}

/// Ends whoever holds a lock on a table with which rows are being written; gives those who may not be ended.
pub(super) async fn end_lockers(session: &Session, say: Say<'_>) -> Result<Vec<Other>> {
    let mut left = Vec::new();
    for other in waiting::lockers(session, false).await? {
        if end(session, other.pid).await? {
            say(format!("ending {}, who was writing", other.words()));
        } else {
            left.push(other);
        }
    }
    Ok(left)
}
