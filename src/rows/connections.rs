//! One look at a database before anything moves: reached or why not, what it is, what this role may do, what is in the way.
//!
//! Law: nothing is changed, and a right that was not asked for is not claimed.

mod between;

use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

pub use self::between::between;
use super::{catalog, freeze, import};
use crate::adapter::clock::Stopwatch;
use crate::adapter::database::{Assurance, ConnectError, Place, Session};
use crate::data::catalog::{Catalog, Concern, TableName};
use crate::data::patterns::Patterns;

/// Fewer free connections than this are said.
const FEW_CONNECTIONS: i64 = 12;

/// Which side a database is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It is being left: rows are read, and it is frozen.
    Source,
    /// It is moved to: rows are written.
    Target,
}

impl Side {
    /// Its table in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

/// A database, looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Connection {
    /// Which side.
    pub side: Side,
    /// `user@host:port/database`.
    pub shown: String,
    /// Whether a session was opened.
    pub is_reached: bool,
    /// What the server told, where it was reached.
    pub server: Option<Server>,
    /// Tables whose rows move, in the order in which they can be filled.
    pub tables: Vec<TableSize>,
    /// Extensions and their versions.
    pub extensions: Vec<(String, String)>,
    /// What stands in the way, and what is to be known; the blocking ones first.
    pub concerns: Vec<Concern>,
    /// The whole catalog, for who goes on with it.
    #[serde(skip)]
    pub catalog: Option<Catalog>,
}

impl Connection {
    /// Whether nothing stands in the way as far as this side alone is looked at.
    pub fn is_fit(&self) -> bool {
        self.is_reached && !self.concerns.iter().any(|concern| concern.is_blocking)
    }
}

/// The rows of a table.
#[derive(Clone, Debug, Serialize)]
pub struct TableSize {
    /// Its name, `public` left out.
    pub name: String,
    /// The planner's estimate; none where it was never made.
    pub rows_estimate: Option<i64>,
    /// Bytes, without indexes.
    pub bytes: u64,
}

/// What the server told.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// Its version, in its words.
    pub version: String,
    /// Its version as it counts it, 150018 for 15.18.
    pub version_number: i32,
    /// The database's encoding.
    pub encoding: String,
    /// Size of the database, in bytes, with everything.
    pub bytes: i64,
    /// Whether it follows another server and takes no writes.
    pub is_standby: bool,
    /// Whether sessions begin read-only.
    pub is_read_only: bool,
    /// Milliseconds until the session was open.
    pub connect_ms: f64,
    /// Milliseconds of a question and its answer, the shortest of three.
    pub round_trip_ms: f64,
    /// The connection's encryption.
    pub encryption: Encryption,
    /// What this role may do.
    pub role: Role,
    /// Connections that others have left; none where it is not known.
    pub free_connections: Option<i64>,
    /// Tells this database of this running server apart from every other.
    #[serde(skip)]
    pub identity: String,
}

/// The connection's encryption.
#[derive(Clone, Debug, Serialize)]
pub struct Encryption {
    /// Such as `TLSv1.3`; none where it is not encrypted.
    pub version: Option<String>,
    /// Such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: Option<String>,
    /// `verified`, `authority only`, or `unverified`.
    pub assurance: String,
    /// libpq's word for what was asked for.
    pub sslmode: String,
}

/// What a role may do; each asked of the server.
#[derive(Clone, Debug, Serialize)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Whether nothing is forbidden to it.
    pub is_superuser: bool,
    /// Whether row security never hides a row from it.
    pub can_bypass_row_security: bool,
    /// Whether it may replicate.
    pub can_replicate: bool,
    /// Whether it may create databases.
    pub can_create_databases: bool,
    /// Whether it may create schemas in this database.
    pub can_create_schemas: bool,
    /// Whether it may end other roles' sessions.
    pub can_signal_backends: bool,
    /// Whether it may set the database's defaults.
    pub is_database_owner: bool,
}

const ASKED: &str = "
SELECT current_setting('server_version'), current_setting('server_version_num')::int,
  pg_encoding_to_char(d.encoding)::text, pg_database_size(d.oid), pg_is_in_recovery(),
  current_setting('default_transaction_read_only') = 'on', s.ssl, s.version, s.cipher,
  current_user::text, current_setting('is_superuser') = 'on', r.rolbypassrls, r.rolreplication, r.rolcreatedb,
  has_database_privilege(d.oid, 'CREATE'), pg_has_role('pg_signal_backend', 'USAGE'), pg_has_role(d.datdba, 'USAGE'),
  current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8
    - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  extract(epoch FROM pg_postmaster_start_time())::text || '/' || d.oid::text || '/' || current_setting('port')
FROM pg_database d, pg_roles r, pg_stat_ssl s
WHERE d.datname = current_database() AND r.rolname = current_user AND s.pid = pg_backend_pid()";

/// Looks at a database. Never fails: what goes wrong is a concern that blocks.
pub async fn look(place: &Place, side: Side, patterns: &Patterns, users_table: &TableName) -> Connection {
    let mut found = Connection {
        side,
        shown: place.shown().to_owned(),
        is_reached: false,
        server: None,
        tables: Vec::new(),
        extensions: Vec::new(),
        concerns: Vec::new(),
        catalog: None,
    };
    let watch = Stopwatch::start();
    let session = match place.connect("cutover").await {
        Ok(session) => session,
        Err(error) => {
            found.concerns.push(blocking("connection", unreached(&error)));
            return found;
        }
    };
    found.is_reached = true;
    let connect = watch.elapsed();
    match server(&session, place, connect).await {
        Ok(server) => {
            found.concerns.extend(of_connection(&server, place));
            found.concerns.extend(of_side(&server, side));
            if side == Side::Target && server.is_read_only && !server.is_standby {
                found.concerns.push(closed(&session).await);
            }
            found.server = Some(server);
        }
        Err(error) => found.concerns.push(blocking("server", format!("{error:#}"))),
    }
    match catalog::read(&session, patterns, users_table).await {
        Ok(catalog) => {
            found.tables = catalog.tables.iter().map(size).collect();
            found.extensions.clone_from(&catalog.extensions);
            found.concerns.extend(catalog.concerns.iter().filter(|concern| counts(concern, side)).cloned());
            if side == Side::Target {
                found.concerns.extend(filled(&session, &catalog).await);
            }
            found.catalog = Some(catalog);
        }
        Err(error) => found.concerns.push(blocking("catalog", format!("{error:#}"))),
    }
    found.concerns.sort_by_key(|concern| !concern.is_blocking);
    found
}

/// Why a target refuses writes. A freeze of ours stands in nobody's way: an import or a copy ends it first.
async fn closed(session: &Session) -> Concern {
    match freeze::recorded_in_the_database(session).await {
        Ok(Some(frozen)) => known(
            "server",
            format!(
                "refuses writes since {}, frozen by {}, as a rollback does; the next import or copy from there ends that, and \
                 so does cutover data unfreeze --of target",
                frozen.frozen_at.as_ref().unwrap_or(&frozen.begun_at),
                frozen.id
            ),
        ),
        Ok(None) => {
            let words = "sessions begin read-only (default_transaction_read_only = on), and no freeze of cutover is recorded \
                         here; is it the source?";
            blocking("server", words.into())
        }
        Err(error) => blocking("server", format!("sessions begin read-only, and why cannot be seen: {error:#}")),
    }
}

/// What an import would find in the target's tables.
async fn filled(session: &Session, catalog: &Catalog) -> Option<Concern> {
    let asked = async {
        let recorded = import::recorded(session).await?;
        Ok::<_, anyhow::Error>((recorded, import::first_full(session, &catalog.tables).await?))
    };
    match asked.await {
        Ok((Some(import::Recorded { is_complete: false, .. }), _)) => {
            let words = "an unfinished import stands here: cutover resume, or cutover rollback, where it was begun";
            Some(known("rows", words))
        }
        Ok((Some(_), Some(_))) => Some(known("rows", "are here, of an import or a copy that is recorded as complete")),
        Ok((None, Some(table))) => {
            let words = format!(
                "{table} holds some, and only empty tables are filled: data import --truncate-first replaces them under a \
                 verified backup (cutover backup create)"
            );
            Some(known("rows", words))
        }
        Ok((_, None)) => None,
        Err(error) => Some(known("rows", format!("whether tables hold some cannot be seen: {error:#}"))),
    }
}

/// The words alone: which place it is stands beside them.
fn unreached(error: &anyhow::Error) -> String {
    error.downcast_ref::<ConnectError>().map_or_else(|| format!("{error:#}"), |error| error.what.clone())
}

fn size(table: &crate::data::catalog::Table) -> TableSize {
    TableSize {
        name: table.name.to_string(),
        rows_estimate: (table.rows_estimate >= 0).then_some(table.rows_estimate),
        bytes: table.bytes,
    }
}

/// What does not move with the source's rows is no matter of the target.
fn counts(concern: &Concern, side: Side) -> bool {
    side == Side::Source || concern.is_blocking
}

fn blocking(about: &str, words: String) -> Concern {
    Concern { is_blocking: true, about: about.to_owned(), words }
}

fn known(about: &str, words: impl Into<String>) -> Concern {
    Concern { is_blocking: false, about: about.to_owned(), words: words.into() }
}

async fn server(session: &Session, place: &Place, connect: Duration) -> Result<Server> {
    let rows = session.query_typed(ASKED, &[]).await.context("the server does not say what it is")?;
    let row = rows.first().context("the server does not say what it is")?;
    let mut round_trip = Duration::MAX;
    for _ in 0..3 {
        let watch = Stopwatch::start();
        session.batch_execute("SELECT 1").await.context("the server stopped answering")?;
        round_trip = round_trip.min(watch.elapsed());
    }
    Ok(told(row, session, place, connect, round_trip))
}

fn told(row: &Row, session: &Session, place: &Place, connect: Duration, round_trip: Duration) -> Server {
    let is_encrypted: bool = row.get(6);
    let assurance = match session.assurance() {
        Assurance::Full => "verified",
        Assurance::Chain => "authority only",
        Assurance::Nothing => "unverified",
    };
    Server {
        version: row.get(0),
        version_number: row.get(1),
        encoding: row.get(2),
        bytes: row.get(3),
        is_standby: row.get(4),
        is_read_only: row.get(5),
        connect_ms: milliseconds(connect),
        round_trip_ms: milliseconds(round_trip),
        encryption: Encryption {
            version: row.get::<_, Option<String>>(7).filter(|_| is_encrypted),
            cipher: row.get::<_, Option<String>>(8).filter(|_| is_encrypted),
            assurance: if is_encrypted { assurance } else { "unverified" }.to_owned(),
            sslmode: place.sslmode().to_owned(),
        },
        role: Role {
            name: row.get(9),
            is_superuser: row.get(10),
            can_bypass_row_security: row.get::<_, bool>(10) || row.get(11),
            can_replicate: row.get::<_, bool>(10) || row.get(12),
            can_create_databases: row.get::<_, bool>(10) || row.get(13),
            can_create_schemas: row.get(14),
            can_signal_backends: row.get(15),
            is_database_owner: row.get(16),
        },
        free_connections: row.get(17),
        identity: row.get(18),
    }
}

/// To the microsecond.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

fn of_connection(server: &Server, place: &Place) -> Vec<Concern> {
    let mut found = Vec::new();
    let is_near = place.is_near();
    if server.encryption.version.is_none() && !is_near {
        let words = "is not encrypted: passwords are safe (SCRAM), rows are not; write sslmode=verify-full";
        found.push(known("connection", words));
    } else if server.encryption.assurance == "unverified" && !is_near {
        let words =
            "is encrypted, but it is not known with whom; write sslmode=verify-full and name the authority's file";
        found.push(known("connection", words));
    }
    if let Some(free) = server.free_connections.filter(|free| *free < FEW_CONNECTIONS) {
        found.push(known(
            "connections",
            format!("{free} are left on the server; data.workers take one each, and some more"),
        ));
    }
    if server.encoding == "SQL_ASCII" {
        let words = "SQL_ASCII: the server does not know what its texts are; those that are not UTF-8 are refused by the target";
        found.push(known("encoding", words));
    }
    found
}

fn of_side(server: &Server, side: Side) -> Vec<Concern> {
    let mut found = Vec::new();
    let role = &server.role;
    match side {
        Side::Source => {
            if server.is_standby {
                let words = "is a standby: rows can be read, but a freeze is done on the primary; connect there";
                found.push(known("server", words));
            }
            if !role.is_database_owner {
                let words = format!("{} does not own the database: data freeze cannot set its defaults", role.name);
                found.push(known("role", words));
            }
            if !role.can_signal_backends {
                let words = format!(
                    "{} cannot end other roles' sessions, as data freeze must; GRANT pg_signal_backend TO it",
                    role.name
                );
                found.push(known("role", words));
            }
        }
        Side::Target => {
            if server.is_standby {
                found.push(blocking("server", "is a standby and takes no writes; connect to the primary".into()));
            }
            if !role.can_create_schemas {
                let words = format!(
                    "{} may not create the schema _cutover, where an import keeps what it did; GRANT CREATE ON DATABASE to it",
                    role.name
                );
                found.push(blocking("role", words));
            }
        }
    }
    found
}
