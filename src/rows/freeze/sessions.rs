//! Layer c: sessions that began before the default was read-only are ended, and seen to be gone.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_postgres::error::SqlState;

use super::record::{Gap, note};
use crate::adapter::clock::Stopwatch;
use crate::adapter::database::Session;
use crate::rows::Say;

/// How often the list of sessions is looked at while some of them end.
const LOOK: Duration = Duration::from_millis(50);

/// Everybody else in this database. A session's start stays hidden from roles without `pg_read_all_stats`; it then
/// counts as old.
const OTHERS: &str = "SELECT pid, coalesce(usename::text, '?'), application_name, \
    coalesce(backend_type, 'client backend') FROM pg_catalog.pg_stat_activity \
    WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() \
    AND application_name <> 'cutover' AND application_name NOT LIKE 'cutover run %' \
    AND coalesce(backend_type, 'client backend') NOT IN ('parallel worker', 'autovacuum worker') \
    AND (backend_start IS NULL OR backend_start <= $1::text::timestamptz)";

struct Other {
    pid: i32,
    name: String,
    kind: String,
}

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
    while empty_looks < 2 {
        let mut others = others(session, &until).await?;
        others.retain(|other| !spared.contains(&other.pid));
        empty_looks = if others.is_empty() { empty_looks + 1 } else { 0 };
        let is_late = watch.left(deadline).is_none();
        for other in others {
            if other.kind != "client backend" {
                spared.insert(other.pid);
                note(gaps, "session", other.name, format!("a {} is left alone", other.kind));
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

async fn others(session: &Session, until: &str) -> Result<Vec<Other>> {
    let rows = session.query(OTHERS, &[&until]).await.context("cannot list the sessions of the database")?;
    let other = |row: &tokio_postgres::Row| -> Result<Other> {
        let (pid, user, application): (i32, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let application = if application.is_empty() { "unnamed".into() } else { application };
        Ok(Other { pid, name: format!("{user} ({application}, pid {pid})"), kind: row.try_get(3)? })
    };
    rows.iter().map(other).collect()
}

/// Whether it could be asked to end; one that is already gone counts as ended.
async fn end(session: &Session, pid: i32) -> Result<bool> {
    match session.query_one("SELECT pg_catalog.pg_terminate_backend($1)", &[&pid]).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(false),
        Err(error) => Err(error).context("cannot end a session"),
    }
}

/// Ends whoever holds a lock on a table with which rows are being written, and names those who may not be ended.
pub(super) async fn end_lockers(session: &Session, say: Say<'_>) -> Result<Vec<String>> {
    let sql = "SELECT DISTINCT a.pid, coalesce(a.usename::text, '?'), a.application_name \
        FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
        WHERE l.locktype = 'relation' AND l.granted AND a.pid <> pg_catalog.pg_backend_pid() \
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
        AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') AND coalesce(a.backend_type, '') <> 'autovacuum worker' \
        AND l.relation >= 16384";
    let mut left = Vec::new();
    for row in session.query(sql, &[]).await.context("cannot read who holds locks")? {
        let (pid, user, application): (i32, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let name = format!("{user} ({application}, pid {pid})");
        if end(session, pid).await? {
            say(format!("ending {name}, who was writing"));
        } else {
            left.push(name);
        }
    }
    Ok(left)
}
