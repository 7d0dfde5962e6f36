//! Backups that were restored on trial before they count: dump, digest, checksum, trial, and only then a token.
//!
//! A backup is a directory `backups/ID/` with its files and `token.json`. It is made under another name and gets its
//! own by one rename, so whatever is there under its name is whole. The rows of every table are digested under the
//! very snapshot that pg_dump reads, the dump is restored into a scratch database, and its rows are digested again:
//! equal digests are the proof. (`pg_restore --list` accepts a truncated dump; a restore does not.)
//!
//! **After a kill**: [`create`] called again with the same id begins anew and first takes away the unfinished
//! directory and the scratch database of its own id; a finished backup is given as it is. [`restore`] begins anew, too,
//! until the names were exchanged; the exchange itself is one transaction.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Say;
use super::client_tools::{Call, Tools};
use crate::adapter::clock;
use crate::adapter::database::{Place, Session};
use crate::adapter::files::{self, spoken_size};
use crate::data::catalog::quoted;
use crate::data::plural::counted;

mod by_command;
mod by_volume;
mod contents;
mod databases;
mod flip;
mod restoring;
mod scratch;
mod shelf;
mod token;

pub use by_command::{CommandBackup, create_by_command, restore_by_command};
pub use by_volume::{VolumeShelf, create_of_volume, restore_of_volume, verify_volume};
pub use contents::{Contents, contents};
pub use databases::{Shape, may_be_made};
pub use flip::{Flip, flip, unflip};
pub use restoring::{RestoreOptions, Restored, restore};
pub use scratch::{sweep_scratch, verify};
pub use shelf::{Listed, let_go, list, read_token, sweep_unfinished};
pub use token::{Freshness, Kind, StoredFile, Token, Verified, is_fresh};

/// How a dump is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One file.
    Custom,
    /// A directory with a file for each table, written by several connections.
    Directory,
}

/// What a backup needs to know.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BackupOptions {
    /// Name of the backup's directory, and part of the name of its scratch database: letters, digits, `-` and `_`.
    pub id: String,
    /// Where backups are kept.
    pub directory: PathBuf,
    /// How the dump is stored.
    pub format: Format,
    /// How many connections work side by side.
    pub jobs: usize,
    /// Schemas that are left out: those of a managed service, which no role of ours could restore.
    #[serde(default)]
    pub exclude_schemas: Vec<String>,
    /// The longest each of dump and restore may take, seconds.
    pub deadline_s: u64,
    /// `application_name` of its sessions.
    pub session: String,
}

impl BackupOptions {
    pub(super) fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_s)
    }

    fn unfinished(&self) -> PathBuf {
        self.directory.join(format!("{}{}", shelf::UNFINISHED, self.id))
    }
}

/// Backs a database up and proves it. `scratch` is a server where a database may be made for the trial; without one it
/// is the same server, which needs the right CREATEDB and room for the database a second time.
///
/// # Errors
/// When the dump, the trial or the comparison fails: then nothing is left that could be taken for a backup.
pub async fn create(
    place: &Place,
    scratch: Option<&Place>,
    tools: &Tools,
    options: &BackupOptions,
    say: Say<'_>,
) -> Result<Token> {
    shelf::must_be_a_name(&options.id)?;
    if options.directory.join(&options.id).exists() {
        let token = read_token(&options.directory, &options.id)?;
        if token.place != place.shown() {
            bail!("the backup {} is of {}, not of {}; take another id", options.id, token.place, place.shown());
        }
        say(format!("the backup {} is there since {}", options.id, token.taken_at));
        return Ok(token);
    }
    files::make_private_directory(&options.directory)?;
    let unfinished = options.unfinished();
    shelf::remove_directory(&unfinished)?;
    files::make_private_directory(&unfinished)?;
    let outcome = make(place, scratch, tools, options, &unfinished, say).await;
    shelf::place(&options.directory, &options.id, &unfinished, outcome)
}

async fn make(
    place: &Place,
    scratch: Option<&Place>,
    tools: &Tools,
    options: &BackupOptions,
    unfinished: &Path,
    say: Say<'_>,
) -> Result<Token> {
    // Whether the trial can be made is asked before the long dump.
    let trial = scratch.unwrap_or(place);
    may_be_made(trial, &options.session).await?;
    let holder = Snapshot::take(place, &options.session).await?;
    say(format!("dumping {} with pg_dump {}", place.shown(), tools.shown()));
    let dump = dump(place, tools, options, &holder.name, unfinished);
    // The size of the dump is said meanwhile.
    let still: Say<'_> = &|_| ();
    let excluded = &options.exclude_schemas;
    let digests = contents(place, Some(&holder.name), options.jobs, &options.session, excluded, still);
    let both = async { tokio::try_join!(dump, digests) };
    let ((), read) = with_size("dumping", &unfinished.join(shelf::DUMP), say, both).await?;
    holder.must_still_stand().await?;
    let stored = shelf::seal(unfinished, options.format, say).await?;
    let bytes = stored.iter().map(|file| file.bytes).sum();
    let (rows, tables) = (counted(read.rows(), "row"), counted(read.tables.len(), "table"));
    say(format!("{} dumped, {rows} in {tables}", spoken_size(bytes)));
    let mut token = Token {
        schema: "cutover/v1".into(),
        id: options.id.clone(),
        kind: Kind::Database,
        place: place.shown().to_owned(),
        database: place.database().to_owned(),
        taken_at: holder.at,
        lsn: Some(holder.lsn),
        server_version: Some(holder.version),
        format: Some(options.format),
        shape: holder.shape,
        excluded: options.exclude_schemas.clone(),
        contents: read,
        files: stored,
        bytes,
        tool: format!("pg_dump {}", tools.shown()),
        restore: Vec::new(),
        verified: None,
    };
    let restored = scratch::try_out(trial, tools, options, unfinished, &token, say).await?;
    token.contents.sequences = restored.sequences;
    token.verified = Some(Verified { at: clock::now(), rows: token.contents.rows(), scratch: trial.shown().into() });
    shelf::write_token(unfinished, &token)?;
    say(format!("restored on trial: every row of {} is the same", counted(token.contents.tables.len(), "table")));
    Ok(token)
}

async fn dump(place: &Place, tools: &Tools, options: &BackupOptions, snapshot: &str, to: &Path) -> Result<()> {
    let mut arguments = vec![format!("--snapshot={snapshot}"), "--lock-wait-timeout=60000".into()];
    arguments.extend(match options.format {
        Format::Custom => vec!["--format=custom".to_owned()],
        Format::Directory => vec!["--format=directory".to_owned(), format!("--jobs={}", options.jobs.max(1))],
    });
    // Quoted, because it is a pattern.
    arguments.extend(options.exclude_schemas.iter().map(|schema| format!("--exclude-schema={}", quoted(schema))));
    arguments.push(format!("--file={}", to.join(shelf::DUMP).display()));
    let call =
        Call { program: "pg_dump", arguments, directory: to, session: &options.session, deadline: options.deadline() };
    tools.run(place, call, &|_| ()).await.context("the dump failed")
}

/// Says every few seconds how large a database has become that is being restored.
async fn with_growth<T>(place: &Place, session: &str, say: Say<'_>, work: impl Future<Output = T>) -> Result<T> {
    let session = place.connect(session).await?;
    tokio::pin!(work);
    loop {
        match tokio::time::timeout(Duration::from_secs(2), &mut work).await {
            Ok(done) => return Ok(done),
            Err(_) => {
                let asked = session.query_one("SELECT pg_catalog.pg_database_size(current_database())", &[]).await;
                // The restore tells by itself what is wrong with the server.
                if let Some(bytes) = asked.ok().and_then(|row| row.try_get::<_, i64>(0).ok()) {
                    say(format!("restoring: {} in {}", spoken_size(bytes.unsigned_abs()), place.shown()));
                }
            }
        }
    }
}

/// Says every few seconds how large a file or directory has become; `verb` is what is done (`dumping`).
pub(in crate::rows) async fn with_size<T>(verb: &str, dump: &Path, say: Say<'_>, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        match tokio::time::timeout(Duration::from_secs(2), &mut work).await {
            Ok(done) => return done,
            Err(_) => say(format!("{verb}: {}", spoken_size(shelf::size(dump)))),
        }
    }
}

/// A session that keeps a snapshot for as long as it lives.
struct Snapshot {
    session: Session,
    name: String,
    lsn: String,
    version: String,
    shape: Shape,
    at: String,
}

impl Snapshot {
    async fn take(place: &Place, session: &str) -> Result<Self> {
        let session = place.connect(session).await?;
        session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let sql = "SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_current_wal_lsn()::text, \
                   pg_catalog.current_setting('server_version')";
        let row = session.query_one(sql, &[]).await.context("cannot take a snapshot")?;
        let (name, lsn, version) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let shape = Shape::read(&session).await?;
        Ok(Self { session, name, lsn, version, shape, at: clock::now() })
    }

    async fn must_still_stand(&self) -> Result<()> {
        self.session.query_one("SELECT 1", &[]).await.map(|_| ()).context("the session of the snapshot was lost")
    }
}
