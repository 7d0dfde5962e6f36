//! Flip: two databases exchange names in one transaction, while nobody is connected. The old one is kept.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use super::{Place, Say, databases};
use crate::adapter::clock::{self, Stopwatch, spoken};
use crate::adapter::database::Session;
use crate::data::catalog::{literal, quoted};

/// How often sessions are ended while the names wait to be exchanged.
const PACE: Duration = Duration::from_millis(20);

/// An exchange of names; [`unflip`] takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flip {
    /// The name that the applications know.
    pub live: String,
    /// The name that the new database had.
    pub restored: String,
    /// The name that the old database has now.
    pub aside: String,
    /// When, RFC 3339.
    pub at: String,
}

/// Gives the database `restored` the name of the live one, which is kept as `aside`. Sessions of both are ended; whoever
/// connects meanwhile waits at the lock and then finds the new one. A kill leaves the names as they were, or exchanged.
///
/// # Errors
/// When a name is missing or taken, or sessions cannot be ended within `deadline`; nothing is changed then.
pub async fn flip(
    live: &Place,
    restored: &str,
    aside: &str,
    session: &str,
    deadline: Duration,
    say: Say<'_>,
) -> Result<Flip> {
    let flip =
        Flip { live: live.database().to_owned(), restored: restored.into(), aside: aside.into(), at: clock::now() };
    exchange(live, &flip.live, restored, aside, session, deadline, say).await?;
    say(format!("{} is now what was restored; the old one is kept as {aside}", flip.live));
    Ok(flip)
}

/// Takes an exchange back: the old database gets its name again, the new one is kept under its own.
///
/// # Errors
/// As those of [`flip`].
pub async fn unflip(live: &Place, flip: &Flip, session: &str, deadline: Duration, say: Say<'_>) -> Result<()> {
    exchange(live, &flip.live, &flip.aside, &flip.restored, session, deadline, say).await?;
    say(format!("{} is again what it was; what was restored is kept as {}", flip.live, flip.restored));
    Ok(())
}

/// `live` becomes `away`, `fresh` becomes `live`. Done already is no error.
async fn exchange(
    place: &Place,
    live: &str,
    fresh: &str,
    away: &str,
    session: &str,
    deadline: Duration,
    say: Say<'_>,
) -> Result<()> {
    let outside = outside(place, &[live, fresh, away], session).await?;
    let comments = [
        databases::comment_of(&outside, live).await?,
        databases::comment_of(&outside, fresh).await?,
        databases::comment_of(&outside, away).await?,
    ];
    let (old, new) = match &comments {
        [Some(_), None, Some(_)] => return Ok(()),
        [Some(old), Some(new), None] => (old, new),
        _ => {
            let names = [live, fresh, away].into_iter().zip(&comments).filter(|(_, comment)| comment.is_some());
            let names: Vec<&str> = names.map(|(name, _)| name).collect();
            bail!(
                "cannot exchange {live} and {fresh}: both must be there and {away} must not; there: {}",
                names.join(", ")
            );
        }
    };
    // What was restored bears our mark until now, and the live one's comment from here on.
    let comment = if new.starts_with(databases::OURS) { old } else { new };
    let watch = Stopwatch::start();
    let sql = format!(
        "BEGIN; ALTER DATABASE {} RENAME TO {}; ALTER DATABASE {} RENAME TO {}; \
         COMMENT ON DATABASE {} IS {}; COMMIT",
        quoted(live),
        quoted(away),
        quoted(fresh),
        quoted(live),
        quoted(live),
        literal(comment)
    );
    let second = outside_of(place, &outside, session).await?;
    loop {
        let renaming = outside.batch_execute(&sql);
        tokio::pin!(renaming);
        // The first change of a name takes a lock at which new sessions wait, then waits for the old ones to leave.
        let outcome = loop {
            match tokio::time::timeout(PACE, &mut renaming).await {
                Ok(outcome) => break outcome,
                Err(_) => end_sessions(&second, &[live, fresh]).await?,
            }
        };
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) if is_busy(&error) && watch.left(deadline).is_some() => {
                outside.batch_execute("ROLLBACK").await.context("cannot give up the exchange")?;
                say(format!("sessions still use {live}; trying again"));
            }
            Err(error) if is_busy(&error) => {
                bail!("sessions use {live} or {fresh} and could not be ended within {}: {error:#}", spoken(deadline))
            }
            Err(error) => return Err(error).context("the databases could not exchange their names"),
        }
    }
}

fn is_busy(error: &tokio_postgres::Error) -> bool {
    [SqlState::OBJECT_IN_USE, SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED]
        .iter()
        .any(|code| error.code() == Some(code))
}

async fn end_sessions(session: &Session, databases: &[&str]) -> Result<()> {
    let sql = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
               WHERE datname = ANY($1::text[]) AND pid <> pg_catalog.pg_backend_pid()";
    session.query(sql, &[&databases]).await.map(|_| ()).context("sessions of the database cannot be ended")
}

/// A session in a database that keeps its name.
async fn outside(place: &Place, busy: &[&str], session: &str) -> Result<Session> {
    let mut said = Vec::new();
    for name in ["postgres", "template1"] {
        if busy.contains(&name) {
            continue;
        }
        match databases::admin(&place.with_database(name), session).await {
            Ok(session) => return Ok(session),
            Err(error) => said.push(format!("{name}: {error:#}")),
        }
    }
    bail!("names can only be exchanged from a third database, and none can be reached ({})", said.join("; "))
}

async fn outside_of(place: &Place, first: &Session, session: &str) -> Result<Session> {
    let name: String = first.query_one("SELECT pg_catalog.current_database()::text", &[]).await?.try_get(0)?;
    databases::admin(&place.with_database(&name), session).await
}
