//! Several sessions that see one moment of a database. Law: they read, and nothing else; whoever writes is not disturbed.

use anyhow::{Context, Result};

use crate::adapter::database::{Place, Session};

/// One moment of a database, and the sessions that see it.
pub struct Snapshot {
    /// The session that holds the moment, for single questions.
    pub holder: Session,
    /// Sessions for streams.
    pub workers: Vec<Session>,
    /// `user@host:port/database`.
    pub shown: String,
    /// Where the server's log stood just before: whatever was committed up to there is seen.
    pub lsn: String,
}

/// Where the log stands; on a standby, how far it was replayed.
pub(in crate::rows) const LSN: &str = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() \
    THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END::pg_catalog.text";

impl Snapshot {
    /// Opens one session that holds the moment, and as many workers.
    ///
    /// # Errors
    /// When a session cannot be had, or the server gives no snapshot away.
    pub async fn open(place: &Place, name: &str, workers: usize) -> Result<Self> {
        let holder = place.connect(name).await?;
        let shown = place.shown().to_owned();
        let lsn =
            holder.query_one(LSN, &[]).await.with_context(|| format!("{shown} does not tell its log's position"))?;
        let lsn = lsn.try_get::<_, Option<String>>(0)?.unwrap_or_default();
        holder.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let id: String = holder
            .query_one("SELECT pg_catalog.pg_export_snapshot()", &[])
            .await
            .with_context(|| format!("{shown} gives no snapshot for further sessions"))?
            .try_get(0)?;
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{id}'");
        let opened = (0..workers.max(1)).map(|_| async {
            let session = place.connect(name).await?;
            session.batch_execute(&begin).await.with_context(|| format!("{shown} does not share its snapshot"))?;
            Ok::<_, anyhow::Error>(session)
        });
        let workers = futures_util::future::try_join_all(opened).await?;
        Ok(Self { holder, workers, shown, lsn })
    }

    /// Ends the transactions: from then on nobody waits for them. A snapshot that is dropped without it ends too, but
    /// the server learns of it a moment later.
    ///
    /// # Errors
    /// When a connection is lost.
    pub async fn close(self) -> Result<()> {
        let sessions = self.workers.iter().chain(std::iter::once(&self.holder));
        let ended = sessions.map(|session| session.batch_execute("ROLLBACK"));
        futures_util::future::try_join_all(ended).await.with_context(|| format!("lost {}", self.shown))?;
        Ok(())
    }
}
