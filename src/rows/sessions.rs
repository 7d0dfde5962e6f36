//! Sessions of ours that a killed process left in a server. At most one of us works on a database: the others are ended first.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::adapter::clock::Stopwatch;
use crate::adapter::database::Place;
use crate::data::plural::{counted, verb};

/// How long the server may take to end them: a session that builds an index ends between two blocks.
const DEADLINE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(50);

const OURS: &str = "FROM pg_catalog.pg_stat_activity WHERE application_name LIKE $1 \
    AND pid <> pg_backend_pid() AND usename = current_user AND datname = current_database()";

/// Ends every session of ours but this one, and waits until each is gone. Gives how many there were.
///
/// # Errors
/// When the database cannot be reached, or a session does not end in time.
pub async fn end_ours(place: &Place) -> Result<u64> {
    end_named(place, "cutover%").await
}

/// The same for sessions whose name is like this one, a pattern of the server's.
///
/// # Errors
/// As [`end_ours`].
pub async fn end_named(place: &Place, name: &str) -> Result<u64> {
    let session = place.connect("cutover").await?;
    let ended = session
        .query(&format!("SELECT pg_terminate_backend(pid) {OURS}"), &[&name])
        .await
        .with_context(|| format!("cannot end the sessions that a killed run left on {}", place.shown()))?;
    let watch = Stopwatch::start();
    loop {
        let left: i64 = session.query_one(&format!("SELECT count(*) {OURS}"), &[&name]).await?.get(0);
        if left == 0 {
            return Ok(ended.len() as u64);
        }
        if watch.left(DEADLINE).is_none() {
            bail!(
                "{} that a killed run left on {} {} not end; look at pg_stat_activity there (application_name like \
                 'cutover%') and end what is left",
                counted(left, "session"),
                place.shown(),
                verb(left, "does", "do")
            );
        }
        tokio::time::sleep(PACE).await;
    }
}
