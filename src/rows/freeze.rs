//! Freeze: nobody writes to a database any more, provably; and everything back exactly as it was.
//!
//! Managed servers have no read-only switch, so a freeze is made of layers. What each of them stops, and what not:
//!
//! | layer | stops | does not stop | lasts |
//! |---|---|---|---|
//! | a: `ALTER DATABASE … SET default_transaction_read_only = on` | whoever connects from now on and asks for nothing else: rows, sequences, DDL | sessions that are already there; `BEGIN READ WRITE`; roles with a setting of their own | until undone |
//! | b: the same for each role whose own setting says otherwise | those roles | as above | until undone |
//! | c: ending the sessions that were there before a | whoever connected while writing was the default | who may not be ended (said), and whoever asks for a writing transaction | the moment |
//! | d: a trigger on every table that refuses each statement that writes rows | everyone, the tables' owners, superusers and `BEGIN READ WRITE` included: INSERT, UPDATE, DELETE, TRUNCATE, MERGE, COPY, functions, writable views | large objects, `nextval`, DDL of an owner who says `BEGIN READ WRITE`: those are seen by the counters of [`prove`] | until undone |
//! | the [`Holder`]: every table locked in SHARE mode by a session of ours | what d does, and DDL on the tables, so that d cannot be taken away | as d for large objects and sequences | while that session lives: a command ends, so it serves the critical window only |
//!
//! Revoking privileges was weighed as the durable layer and left: it does not stop owners, and it changes what every
//! role may do in ways that others notice. The triggers need no superuser: creating them needs ownership (or the
//! TRIGGER privilege), and one `DROP FUNCTION … CASCADE` takes all of them away in one transaction. They fire in every
//! replication role where the table is ours (`ENABLE ALWAYS`).
//!
//! Creating a trigger waits for every transaction that wrote to its table, so once layer d stands there is no write
//! under way: the position in the log that is recorded then lies behind the last row that was ever committed.
//!
//! **After a kill**: the record on disk is written before each layer and a copy of it is kept in `_cutover.freeze`, so
//! [`freeze`] called again goes on, and [`unfreeze`] undoes whatever part is there.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Say;
use crate::adapter::clock::{self, Stopwatch};
use crate::adapter::database::{Place, Session};
use crate::data::catalog::TableName;
use crate::data::plural::{counted, verb};

mod guard;
mod hold;
mod proof;
mod record;
mod sessions;
mod settings;
mod since;
mod state;
mod waiting;

pub(in crate::rows) use guard::TRIGGER;
pub use hold::{Holder, hold};
pub use proof::{Counters, Moved, Proof, counters, prove};
pub use record::{Frozen, Gap, Phase, RoleSetting, read_record, recorded_in_the_database};
pub use since::{frozen_since, is_frozen_since, is_not_after};
pub use state::{FreezeState, state};

/// What a freeze needs to know.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FreezeOptions {
    /// Who freezes, such as `run 7`: a freeze of another name is foreign and is not touched.
    pub id: String,
    /// The record on disk; written before each layer, 0600.
    pub record: PathBuf,
    /// Tables that must refuse writes; the freeze fails when one of them cannot. Others are guarded where the role may,
    /// and are listed in [`Frozen::gaps`] where it may not.
    pub required: Vec<TableName>,
    /// The longest it may wait for others' transactions and sessions, seconds.
    pub deadline_s: u64,
    /// `application_name` of its sessions: `cutover`, or `cutover run N epoch E`.
    pub session: String,
}

impl FreezeOptions {
    fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_s)
    }
}

/// Makes a database refuse every write. Called again it goes on where it was left; a finished freeze stays as it is.
///
/// # Errors
/// When somebody else froze it, a subscription or a prepared transaction writes to it, the role does not own the
/// database or a required table, or a writer cannot be ended in time. What stands by then is in the record:
/// call it again, or [`unfreeze`].
pub async fn freeze(place: &Place, options: &FreezeOptions, say: Say<'_>) -> Result<Frozen> {
    let watch = Stopwatch::start();
    let session = writing_session(place, &options.session).await?;
    let mut frozen = begin(&session, place, options).await?;
    if frozen.phase == Phase::Frozen && state(place, Some(&frozen)).await? == FreezeState::Frozen {
        say(format!("{} is frozen since {}", place.shown(), frozen.frozen_at.as_deref().unwrap_or("?")));
        return Ok(frozen);
    }
    refuse_what_writes_by_itself(&session).await?;
    record::create(&session, &frozen).await?;

    frozen.enter(Phase::Settings, options, &session).await?;
    settings::apply(&session, &mut frozen, options).await?;
    say(format!("{} is read-only by default", frozen.database));

    frozen.enter(Phase::Sessions, options, &session).await?;
    frozen.ended += sessions::end_others(&session, &mut frozen.gaps, options.deadline(), say).await?;

    frozen.enter(Phase::Guards, options, &session).await?;
    guard::put_up(&session, &mut frozen, options, &watch, say).await?;
    guard::must_stand(&session, options, &frozen).await?;
    say(format!("{} {} writes", counted(frozen.guarded, "table"), verb(frozen.guarded, "refuses", "refuse")));

    let row = session.query_one("SELECT pg_catalog.pg_current_wal_lsn()::text", &[]).await?;
    frozen.lsn = Some(row.try_get(0)?);
    frozen.frozen_at = Some(clock::now());
    frozen.counters = Some(counters(&session).await?);
    frozen.enter(Phase::Frozen, options, &session).await?;
    Ok(frozen)
}

/// Takes every layer away and puts back what was there before, exactly; sessions that began while the database was
/// read-only are ended, because they would stay read-only. Nothing to undo is no error.
///
/// # Errors
/// When the freeze is somebody else's, or a table stays locked by others for longer than the deadline; calling it
/// again goes on.
pub async fn unfreeze(place: &Place, options: &FreezeOptions, say: Say<'_>) -> Result<()> {
    let session = writing_session(place, &options.session).await?;
    let kept = recorded_in_the_database(&session).await?;
    let on_disk = read_record(&options.record)?;
    if let Some(kept) = &kept
        && kept.id != options.id
    {
        bail!("{} was frozen by {} at {}; unfreeze it there", place.shown(), kept.id, kept.begun_at);
    }
    let Some(mut frozen) = on_disk.filter(|frozen| frozen.phase != Phase::Undone).or(kept) else {
        say(format!("{} was not frozen by {}", place.shown(), options.id));
        return Ok(());
    };
    frozen.must_be_of(place, options)?;
    frozen.enter(Phase::Undoing, options, &session).await?;
    settings::put_back(&session, &frozen).await?;
    // Long readers would hold up the end of the triggers, and whoever stays would stay read-only.
    sessions::end_others(&session, &mut frozen.gaps, options.deadline(), say).await?;
    guard::take_down(&session, options.deadline(), say).await?;
    say(format!("{} takes writes again", frozen.database));
    record::remove(&session, &frozen).await?;
    frozen.phase = Phase::Undone;
    frozen.undone_at = Some(clock::now());
    frozen.write(&options.record)?;
    match state(place, None).await? {
        FreezeState::Open => Ok(()),
        other => bail!("{} was unfrozen, and then it was found {other}", place.shown()),
    }
}

/// A session in which the freeze itself may write.
async fn writing_session(place: &Place, name: &str) -> Result<Session> {
    let session = place.connect(name).await?;
    session
        .batch_execute("SET default_transaction_read_only = off")
        .await
        .with_context(|| format!("cannot prepare a session on {}", place.shown()))?;
    Ok(session)
}

/// The record to go on with, from disk, else from the database, else a new one that holds what is there now.
async fn begin(session: &Session, place: &Place, options: &FreezeOptions) -> Result<Frozen> {
    let kept = recorded_in_the_database(session).await?;
    if let Some(kept) = &kept
        && kept.id != options.id
    {
        bail!("{} is already frozen by {} since {}; unfreeze it there first", place.shown(), kept.id, kept.begun_at);
    }
    if let Some(frozen) = read_record(&options.record)?.filter(|frozen| frozen.phase != Phase::Undone).or(kept) {
        frozen.must_be_of(place, options)?;
        return Ok(frozen);
    }
    if guard::is_any_left(session).await? {
        bail!(
            "{} holds triggers of a freeze whose record is gone; if nothing else froze it, \
             drop them: DROP FUNCTION _cutover.refuse_writes() CASCADE",
            place.shown()
        );
    }
    let frozen = Frozen::new(session, place, options).await?;
    frozen.write(&options.record)?;
    Ok(frozen)
}

/// What triggers do not stop: rows that a subscription applies, and transactions that were prepared before.
async fn refuse_what_writes_by_itself(session: &Session) -> Result<()> {
    let subscriptions = "SELECT subname::text FROM pg_catalog.pg_subscription WHERE subenabled AND subdbid = \
         (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";
    let prepared = "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()";
    let names = |rows: Vec<tokio_postgres::Row>| -> Result<String> {
        let names: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        Ok(names?.join(", "))
    };
    let found = names(session.query(subscriptions, &[]).await.context("cannot look for subscriptions")?)?;
    if !found.is_empty() {
        bail!("the subscription {found} writes to this database; stop it first: ALTER SUBSCRIPTION … DISABLE");
    }
    let found = names(session.query(prepared, &[]).await.context("cannot look for prepared transactions")?)?;
    if !found.is_empty() {
        bail!("prepared transactions wait to be committed ({found}); COMMIT PREPARED or ROLLBACK PREPARED them first");
    }
    Ok(())
}
