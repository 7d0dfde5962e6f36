//! One snapshot for everybody: held by one session, entered by the workers. The tables are locked before it is taken, so
//! that none is emptied, dropped or changed in between.

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use tokio_postgres::error::SqlState;

use super::Options;
use crate::adapter::database::{Place, Session};
use crate::data::catalog::{Catalog, Column, Storage, Table, TableName};
use crate::data::patterns::Patterns;
use crate::rows::{Say, catalog};

/// How often the tables may change between looking and locking.
const ATTEMPTS: usize = 3;
/// Plans must be plain scans: cutting a table by blocks relies on it, and compiling them costs more than it gives.
const PLAIN: &str = "SET jit = off; SET max_parallel_workers_per_gather = 0; SET synchronize_seqscans = off";

const LOCKED: &str =
    "cannot lock the tables against changes of their shape; is a migration or a VACUUM FULL at work there?";

/// The users' table and what stands beside it.
pub(crate) struct Users {
    /// The table.
    pub table: Table,
    /// `identities` in the same schema, where there is one.
    pub identities: Option<Table>,
}

/// A snapshot, and what was seen in it.
pub(super) struct Snapshot {
    /// The session that holds it.
    pub session: Session,
    /// Its name in the server.
    pub id: String,
    /// The end of the write-ahead log shortly before.
    pub lsn: Option<String>,
    /// The tables as they are in it.
    pub catalog: Catalog,
    /// The users' table.
    pub users: Option<Users>,
    /// Whether text must be checked to be UTF-8: the server does not know what it holds.
    pub is_checked: bool,
}

impl Snapshot {
    /// Locks the tables against changes of their shape and takes the snapshot.
    pub(super) async fn take(place: &Place, options: &Options) -> Result<Self> {
        let session = place.connect(&options.session).await?;
        session.batch_execute(PLAIN).await.context("cannot set up the session")?;
        let encoding: String = session.query_one("SELECT current_setting('server_encoding')", &[]).await?.get(0);
        let lsn =
            "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text";
        // Some services keep it from their users; it is good to know, and nothing depends on it.
        let lsn = session.query_one(lsn, &[]).await.ok().and_then(|row| row.get(0));
        let patterns = options.patterns()?;
        let mut seen = look(&session, &patterns, options).await?;
        for _ in 0..ATTEMPTS {
            session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
            lock(&session, &seen).await?;
            let id =
                session.query_one("SELECT pg_export_snapshot()", &[]).await.context("cannot take a snapshot")?.get(0);
            let now = look(&session, &patterns, options).await?;
            if is_same_shape(&seen, &now) {
                let Seen { catalog, users } = now;
                return Ok(Self { session, id, lsn, catalog, users, is_checked: encoding == "SQL_ASCII" });
            }
            session.batch_execute("ROLLBACK").await?;
            seen = now;
        }
        bail!("the tables of {} are being changed (DDL) again and again; wait until that is over", place.shown())
    }

    /// Fails with everything that stands in the way; says the rest.
    pub(super) fn refuse_what_blocks(&self, options: &Options, say: Say<'_>) -> Result<()> {
        let mut blocking = Vec::new();
        for concern in &self.catalog.concerns {
            let text = format!("{}: {}", concern.about, concern.words);
            // A table that was asked for by name and is not there must not be missing in silence.
            let is_asked = options.tables.iter().any(|name| concern.about == format!("pattern {name}"));
            if concern.is_blocking || is_asked { blocking.push(text) } else { say(text) }
        }
        if !blocking.is_empty() {
            bail!("the rows cannot be exported whole:\n{}", blocking.join("\n"));
        }
        Ok(())
    }

    /// So many sessions in this snapshot.
    pub(super) async fn workers(&self, place: &Place, options: &Options, count: usize) -> Result<Vec<Session>> {
        let begin =
            format!("{PLAIN}; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{}'", self.id);
        let begin = &begin;
        let one = || async move {
            let session = place.connect(&options.session).await?;
            session.batch_execute(begin).await.context("cannot enter the snapshot")?;
            Ok::<_, anyhow::Error>(session)
        };
        try_join_all((0..count).map(|_| one())).await
    }
}

struct Seen {
    catalog: Catalog,
    users: Option<Users>,
}

async fn look(session: &Session, patterns: &Patterns, options: &Options) -> Result<Seen> {
    let look = async {
        let catalog = catalog::read(session, patterns, &options.users_table).await?;
        let users = if options.has_users { users(session, &options.users_table).await? } else { None };
        Ok(Seen { catalog, users })
    };
    look.await.map_err(|error: anyhow::Error| {
        let is_locked = |cause: &tokio_postgres::Error| cause.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
        if error.chain().any(|cause| cause.downcast_ref().is_some_and(is_locked)) {
            error.context(LOCKED)
        } else {
            error
        }
    })
}

async fn users(session: &Session, name: &TableName) -> Result<Option<Users>> {
    let identities = TableName::new(&name.schema, "identities");
    let exact = |name: &TableName| name.sql();
    let patterns = Patterns::parse(&[exact(name), exact(&identities)], &[""; 0]).map_err(anyhow::Error::msg)?;
    let catalog = catalog::read(session, &patterns, name).await?;
    let abouts = [format!("table {name}"), format!("table {identities}")];
    let Some(table) = catalog.table(name).cloned() else { return Ok(None) };
    for concern in catalog.concerns.iter().filter(|concern| concern.is_blocking) {
        if abouts.contains(&concern.about) {
            bail!("the users cannot be exported: {}: {}", concern.about, concern.words);
        }
    }
    let identities = catalog.table(&identities).filter(|table| has_column(table, "user_id")).cloned();
    Ok(Some(Users { table, identities }))
}

fn has_column(table: &Table, name: &str) -> bool {
    table.columns.iter().any(|column| column.name == name)
}

async fn lock(session: &Session, seen: &Seen) -> Result<()> {
    let users = seen.users.iter().flat_map(|users| std::iter::once(&users.table).chain(&users.identities));
    let tables: Vec<String> = seen.catalog.tables.iter().chain(users).map(Table::source).collect();
    if tables.is_empty() || has_blocking(seen) {
        return Ok(());
    }
    let statement = format!("LOCK TABLE {} IN ACCESS SHARE MODE", tables.join(", "));
    session.batch_execute(&statement).await.context(LOCKED)
}

/// Tables that may not be read cannot be locked either; the reason is said in better words elsewhere.
fn has_blocking(seen: &Seen) -> bool {
    seen.catalog.concerns.iter().any(|concern| concern.is_blocking)
}

fn is_same_shape(before: &Seen, now: &Seen) -> bool {
    let shape = |seen: &Seen| -> Vec<(TableName, Storage, Vec<Column>)> {
        let users = seen.users.iter().flat_map(|users| std::iter::once(&users.table).chain(&users.identities));
        let tables = seen.catalog.tables.iter().chain(users);
        tables.map(|table| (table.name.clone(), table.storage, table.columns.clone())).collect()
    };
    let (mut before, mut now) = (shape(before), shape(now));
    before.sort_by(|a, b| a.0.cmp(&b.0));
    now.sort_by(|a, b| a.0.cmp(&b.0));
    before == now
}
