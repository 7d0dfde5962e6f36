//! What a freeze wrote down: on disk before each layer, and a copy in `_cutover.freeze`. By it everything is put back.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Counters, FreezeOptions, settings};
use crate::adapter::clock;
use crate::adapter::database::{Place, Session};
use crate::adapter::files;

/// How far a freeze went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// What was there is written down; nothing is changed.
    Begun,
    /// The defaults of the database and of roles are being changed.
    Settings,
    /// Other sessions are being ended.
    Sessions,
    /// Triggers are being put up.
    Guards,
    /// Every layer stands.
    Frozen,
    /// The layers are being taken away.
    Undoing,
    /// Everything is as it was.
    Undone,
}

/// A role's own setting that said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSetting {
    /// The role.
    pub role: String,
    /// Its value for this database before; none where it had none.
    pub before: Option<String>,
}

/// Something that a layer could not reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// `role`, `session` or `table`.
    pub kind: String,
    /// Which one.
    pub about: String,
    /// Why, and what covers it.
    pub words: String,
}

/// A freeze.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Frozen {
    /// `cutover/v1`.
    pub schema: String,
    /// Who froze.
    pub id: String,
    /// `user@host:port/database`.
    pub place: String,
    /// The database.
    pub database: String,
    /// How far it went.
    pub phase: Phase,
    /// When it began, RFC 3339.
    pub begun_at: String,
    /// Since when nothing is written, RFC 3339.
    pub frozen_at: Option<String>,
    /// Position in the server's log behind the last write.
    pub lsn: Option<String>,
    /// The database's own default before; none where it had none.
    pub default_before: Option<String>,
    /// Roles whose setting for this database was changed.
    pub roles: Vec<RoleSetting>,
    /// Whether the schema `_cutover` was made by this freeze.
    pub is_schema_ours: bool,
    /// How many tables refuse writes.
    pub guarded: usize,
    /// How many sessions were ended.
    pub ended: usize,
    /// What the layers could not reach.
    pub gaps: Vec<Gap>,
    /// The counters right after.
    pub counters: Option<Counters>,
    /// When it was undone, RFC 3339.
    pub undone_at: Option<String>,
}

impl Frozen {
    pub(super) async fn new(session: &Session, place: &Place, options: &FreezeOptions) -> Result<Self> {
        let sql = "SELECT pg_catalog.current_database()::text, \
                   EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '_cutover')";
        let row = session.query_one(sql, &[]).await.context("cannot read the database's name")?;
        Ok(Self {
            schema: "cutover/v1".into(),
            id: options.id.clone(),
            place: place.shown().to_owned(),
            database: row.try_get(0)?,
            phase: Phase::Begun,
            begun_at: clock::now(),
            frozen_at: None,
            lsn: None,
            default_before: settings::read(session).await?.database,
            roles: Vec::new(),
            is_schema_ours: !row.try_get::<_, bool>(1)? || crate::rows::import::has_made_schema(session).await?,
            guarded: 0,
            ended: 0,
            gaps: Vec::new(),
            counters: None,
            undone_at: None,
        })
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        if let Some(directory) = path.parent() {
            files::make_private_directory(directory)?;
        }
        files::write_json(path, self, 0o600).context("the freeze cannot be written down, so it does not go on")
    }

    /// Writes down what is about to be done; on disk first.
    pub(super) async fn enter(&mut self, phase: Phase, options: &FreezeOptions, session: &Session) -> Result<()> {
        self.phase = phase;
        self.write(&options.record)?;
        copy(session, self).await
    }

    pub(super) fn must_be_of(&self, place: &Place, options: &FreezeOptions) -> Result<()> {
        if self.place != place.shown() || self.id != options.id {
            bail!(
                "{} records a freeze of {} by {}, this is {} by {}; use another record",
                options.record.display(),
                self.place,
                self.id,
                place.shown(),
                options.id
            );
        }
        Ok(())
    }

    /// Notes a gap once.
    pub(super) fn gap(&mut self, kind: &str, about: impl Into<String>, words: impl Into<String>) {
        note(&mut self.gaps, kind, about.into(), words.into());
    }

    pub(super) fn is_gap(&self, kind: &str, about: &str) -> bool {
        self.gaps.iter().any(|gap| gap.kind == kind && gap.about == about)
    }
}

pub(super) fn note(gaps: &mut Vec<Gap>, kind: &str, about: String, words: String) {
    gaps.retain(|gap| gap.kind != kind || gap.about != about);
    gaps.push(Gap { kind: kind.into(), about, words });
}

/// The record on disk, when there is one.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_record(path: &Path) -> Result<Option<Frozen>> {
    if path.exists() { files::read_json(path).map(Some) } else { Ok(None) }
}

/// The copy of the record that the frozen database holds, when there is one.
///
/// # Errors
/// When it cannot be read.
pub async fn recorded_in_the_database(session: &Session) -> Result<Option<Frozen>> {
    let sql = "SELECT pg_catalog.to_regclass('_cutover.freeze') IS NOT NULL";
    if !session.query_one(sql, &[]).await.context("cannot look for a freeze")?.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let rows = session.query("SELECT record FROM _cutover.freeze", &[]).await.context("cannot read _cutover.freeze")?;
    let Some(row) = rows.first() else { return Ok(None) };
    serde_json::from_str(row.try_get(0)?).map(Some).context("_cutover.freeze is not what cutover wrote")
}

/// Makes `_cutover.freeze`.
pub(super) async fn create(session: &Session, frozen: &Frozen) -> Result<()> {
    let sql = "CREATE SCHEMA IF NOT EXISTS _cutover; CREATE TABLE IF NOT EXISTS _cutover.freeze (record text NOT NULL)";
    session.batch_execute(sql).await.with_context(|| {
        format!("cannot make the schema _cutover in {}: the role needs CREATE on the database", frozen.place)
    })?;
    copy(session, frozen).await
}

/// Replaces the copy, where the table is.
async fn copy(session: &Session, frozen: &Frozen) -> Result<()> {
    let is_there = "SELECT pg_catalog.to_regclass('_cutover.freeze') IS NOT NULL";
    if !session.query_one(is_there, &[]).await.context("cannot look for a freeze")?.try_get::<_, bool>(0)? {
        return Ok(());
    }
    let record = serde_json::to_string(frozen).context("cannot put the record into JSON")?;
    let sql = "WITH gone AS (DELETE FROM _cutover.freeze) INSERT INTO _cutover.freeze VALUES ($1)";
    session.execute(sql, &[&record]).await.context("cannot write the record to _cutover.freeze")?;
    Ok(())
}

/// Takes `_cutover.freeze` away, and the schema where the freeze made it and nobody else put anything there.
pub(super) async fn remove(session: &Session, frozen: &Frozen) -> Result<()> {
    session.batch_execute("DROP TABLE IF EXISTS _cutover.freeze").await.context("cannot drop _cutover.freeze")?;
    if !frozen.is_schema_ours {
        return Ok(());
    }
    let sql = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
               ON n.oid = c.relnamespace WHERE n.nspname = '_cutover'";
    if session.query_one(sql, &[]).await?.try_get::<_, i64>(0)? == 0 {
        session.batch_execute("DROP SCHEMA IF EXISTS _cutover").await.context("cannot drop the schema _cutover")?;
    }
    Ok(())
}
