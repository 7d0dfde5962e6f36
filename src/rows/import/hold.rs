//! Who fills a target: one at a time, and nothing of a dead one goes on beside the next.
//!
//! Law: the holder has an advisory lock, each of its workers shares a second one. A worker whose holder is gone was left
//! behind by a killed program; it is ended before anything else is done.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::adapter::clock::Stopwatch;
use crate::adapter::database::{ConnectError, Place, Session, Trouble};

/// The first half of our locks' numbers: "cuto" in ASCII.
const CLASS: i32 = 0x6375_746f;
const HOLDER: i32 = 1;
const WORKER: i32 = 2;
/// How long a worker left behind may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

const WRITES: &str = "SET default_transaction_read_only = off";

/// Sessions that have one of our locks in this database.
const HOLDERS: &str = "SELECT l.pid, coalesce(a.application_name, ''), coalesce(a.client_addr::text, 'the same host'), \
      coalesce(a.backend_start::text, '?') \
    FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a USING (pid) \
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.pid <> pg_catalog.pg_backend_pid() \
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
      AND l.classid::bigint = $1::bigint AND l.objid::bigint = $2::bigint";

/// Another one fills the target.
#[derive(Debug, thiserror::Error)]
#[error("another import or copy into {target} is under way: {who}; wait for its end")]
pub struct Held {
    /// The target, as it is shown.
    pub target: String,
    /// Who it is.
    pub who: String,
}

/// Who fills a target now, if somebody does.
///
/// # Errors
/// When the target cannot be asked.
pub async fn holder(place: &Place, name: &str) -> Result<Option<Held>> {
    let who = holders(&place.connect(name).await?).await?;
    Ok(who.map(|who| Held { target: place.shown().to_owned(), who }))
}

async fn holders(session: &Session) -> Result<Option<String>> {
    let rows = session.query(HOLDERS, &[&i64::from(CLASS), &i64::from(HOLDER)]).await;
    let rows = rows.context("cannot see who fills the target")?;
    let who = rows.iter().map(|row| {
        let (pid, name): (i32, &str) = (row.get(0), row.get(1));
        let (host, since): (&str, &str) = (row.get(2), row.get(3));
        format!("{name:?} from {host}, since {since} (server process {pid})")
    });
    let who: Vec<String> = who.collect();
    Ok((!who.is_empty()).then(|| who.join("; ")))
}

/// The right to fill a target. It ends with its session.
pub(crate) struct Hold {
    /// The session that has it.
    pub session: Session,
    place: Place,
    name: String,
    is_passing_a_freeze: bool,
}

impl Hold {
    /// Takes the right, ending what a killed program left behind.
    ///
    /// # Errors
    /// When another one has it: says who.
    pub async fn take(place: &Place, name: &str) -> Result<Self> {
        let session = place.connect(name).await?;
        let query = "SELECT pg_catalog.pg_try_advisory_lock($1, $2)";
        let is_ours: bool = session.query_one(query, &[&CLASS, &HOLDER]).await?.get(0);
        if !is_ours {
            let who = holders(&session).await?.unwrap_or_else(|| "one that has just ended".into());
            return Err(Held { target: place.shown().to_owned(), who }.into());
        }
        let hold = Self { session, place: place.clone(), name: name.to_owned(), is_passing_a_freeze: false };
        hold.end_workers().await?;
        Ok(hold)
    }

    /// Lets this session, and workers from now on, write although a freeze makes sessions begin read-only: a target that
    /// refuses others' writes can be taken back.
    pub async fn pass_a_freeze(&mut self) -> Result<()> {
        self.is_passing_a_freeze = true;
        self.session.batch_execute(WRITES).await.context("cannot prepare a session that writes")
    }

    /// Ends every worker that is still there: of a killed program, or of this one after a failure.
    pub async fn end_workers(&self) -> Result<()> {
        let watch = Stopwatch::start();
        loop {
            let rows = self.session.query(HOLDERS, &[&i64::from(CLASS), &i64::from(WORKER)]).await;
            let rows = rows.context("cannot look for workers that were left behind")?;
            if rows.is_empty() {
                return Ok(());
            }
            if watch.left(PATIENCE).is_none() {
                let pids: Vec<String> = rows.iter().map(|row| row.get::<_, i32>(0).to_string()).collect();
                let pids = pids.join(", ");
                bail!("the server processes {pids} of an earlier import do not end; end them, then start again");
            }
            for row in rows {
                let pid: i32 = row.get(0);
                let end = "SELECT pg_catalog.pg_terminate_backend($1)";
                self.session.execute(end, &[&pid]).await.context("cannot end a worker that was left behind")?;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A further session, known as a worker of this holder.
    pub async fn worker(&self) -> Result<Session> {
        let session = self.place.connect(&self.name).await?;
        let query = "SELECT pg_catalog.pg_advisory_lock_shared($1, $2)";
        session.execute(query, &[&CLASS, &WORKER]).await.context("cannot mark a worker's session")?;
        if self.is_passing_a_freeze {
            session.batch_execute(WRITES).await.context("cannot prepare a session that writes")?;
        }
        // What a chunk wrote is durable with the last commit, which waits; a crash before takes a chunk and its line.
        session.batch_execute("SET synchronous_commit = off").await?;
        Ok(session)
    }
}

/// Whether an error is that of a connection that ended (killed, cut, server restarted), so that a second call goes on.
pub fn is_interrupted(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        if let Some(ConnectError { trouble, .. }) = cause.downcast_ref() {
            use Trouble::{NotReady, Refused, TimedOut, TooMany, Unreachable};
            return matches!(trouble, NotReady | Refused | TimedOut | TooMany | Unreachable);
        }
        let Some(error) = cause.downcast_ref::<tokio_postgres::Error>() else {
            return cause.downcast_ref::<std::io::Error>().is_some_and(is_of_the_network);
        };
        match error.code().map(tokio_postgres::error::SqlState::code) {
            Some(code) => code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P05"),
            None => error.is_closed(),
        }
    })
}

fn is_of_the_network(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected, TimedOut,
    };
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | NotConnected | TimedOut
    )
}
