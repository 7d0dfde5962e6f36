//! The token of a backup: what it holds and how it was proven. `import` demands one before it touches rows.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{Contents, Format, Shape, contents};
use crate::adapter::database::Place;
use crate::rows::Say;

/// How a backup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// By pg_dump.
    Database,
    /// By a configured command.
    Command,
    /// Of a named volume, by tar.
    Volume,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its path inside the backup's directory.
    pub path: String,
    /// As `sha256sum` prints it.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

/// When and where a backup was last restored and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// RFC 3339.
    pub at: String,
    /// How many rows were compared.
    pub rows: u64,
    /// The server, as it may be shown.
    pub scratch: String,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// `cutover/v1`.
    pub schema: String,
    /// Name of its directory.
    pub id: String,
    /// How it was made.
    pub kind: Kind,
    /// What it is of: `user@host:port/database`, or what the configuration calls it.
    pub place: String,
    /// The database's name; empty where it is none.
    pub database: String,
    /// The moment of its snapshot, RFC 3339.
    pub taken_at: String,
    /// Position in the server's log at that moment.
    pub lsn: Option<String>,
    /// The server's version.
    pub server_version: Option<String>,
    /// How the dump is stored.
    pub format: Option<Format>,
    /// Encoding and locale of the database.
    pub shape: Shape,
    /// Schemas that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// Digest of every table in the snapshot, and sequences as the dump restores them.
    pub contents: Contents,
    /// Its files.
    pub files: Vec<StoredFile>,
    /// Their length together.
    pub bytes: u64,
    /// What made it.
    pub tool: String,
    /// The command that brings it back, where it was made by a command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restore: Vec<String>,
    /// None when it was never restored on trial: then it is a file, not a proof.
    pub verified: Option<Verified>,
}

/// Whether a backup still is what the database holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "freshness", content = "why")]
pub enum Freshness {
    /// Every row is in it.
    Fresh,
    /// It is not; says why.
    Stale(String),
}

/// Whether a backup was proven and holds every row that the place holds now. It is looked at, not guessed from times:
/// every row is digested (about two seconds per gigabyte).
///
/// # Errors
/// When the place cannot be read: then nothing is known, and nobody may go on.
pub async fn is_fresh(token: &Token, place: &Place, workers: usize, session: &str, say: Say<'_>) -> Result<Freshness> {
    let stale = |why: String| Ok(Freshness::Stale(format!("the backup {} {why}; take a new one", token.id)));
    if token.place != place.shown() {
        return stale(format!("is of {}, not of {}", token.place, place.shown()));
    }
    if token.kind != Kind::Database || token.verified.is_none() {
        return stale("was never restored on trial".into());
    }
    say(format!("comparing what {} holds with the backup {}", place.shown(), token.id));
    let now = contents(place, None, workers, session, &token.excluded, say).await?;
    let found = token.contents.differences(&now);
    if found.is_empty() {
        return Ok(Freshness::Fresh);
    }
    let shown: Vec<&str> = found.iter().map(String::as_str).take(5).collect();
    stale(format!("of {} no longer holds what is there now: {}", token.taken_at, shown.join(", ")))
}
