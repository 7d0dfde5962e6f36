//! The holder: a session that keeps every table locked in SHARE mode for as long as it lives.

use anyhow::{Context, Result, bail};

use super::{Frozen, guard};
use crate::adapter::database::{Place, Session};

/// While it lives, nobody writes to the tables, changes them, or takes their triggers away. Dropping it lets go.
/// It dies with the process: after that, the lasting layers of the freeze stand alone.
pub struct Holder {
    session: Session,
    pid: i32,
    locked: usize,
}

/// Locks every guarded table of a frozen database that the role may lock; the transaction it holds is a read-only one.
///
/// # Errors
/// When a table cannot be locked within the session's `lock_timeout`.
pub async fn hold(place: &Place, frozen: &Frozen, name: &str) -> Result<Holder> {
    if frozen.place != place.shown() {
        bail!("the freeze is of {}, this is {}", frozen.place, place.shown());
    }
    let session = place.connect(name).await?;
    let tables = guard::tables(&session).await?;
    let names: Vec<String> =
        tables.iter().filter(|table| table.is_guarded && table.is_lockable).map(|table| table.name.sql()).collect();
    session.batch_execute("BEGIN READ ONLY").await.context("cannot begin the transaction that holds the locks")?;
    if !names.is_empty() {
        let sql = format!("LOCK TABLE {} IN SHARE MODE", names.join(", "));
        session.batch_execute(&sql).await.context("the tables cannot be locked against writing")?;
    }
    let pid = session.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).await?.try_get(0)?;
    let locked = locks(&session, pid).await?;
    Ok(Holder { session, pid, locked })
}

impl Holder {
    /// Whether every lock is still held; asked of the server, not of memory. A session that
    /// does not answer holds nothing.
    pub async fn is_held(&self) -> bool {
        matches!(locks(&self.session, self.pid).await, Ok(locked) if locked == self.locked)
    }

    /// How many locks it holds.
    pub fn locked(&self) -> usize {
        self.locked
    }
}

async fn locks(session: &Session, pid: i32) -> Result<usize> {
    let sql = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks \
               WHERE pid = $1 AND locktype = 'relation' AND mode = 'ShareLock' AND granted";
    let count: i64 = session.query_one(sql, &[&pid]).await?.try_get(0)?;
    Ok(usize::try_from(count).unwrap_or(0))
}
