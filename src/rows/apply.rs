//! A change file carried out on the source: what was written to the target since the import, so that nothing is lost when
//! the source serves again.
//!
//! Law: everything in one transaction, and only where each row is as it was before or as it is after its change; else
//! nothing. Before it commits, and again after it, the rows are read and must be those of the target, ids mapped back.
//! A call that was killed has changed nothing, or everything; a second one sees which, and goes on or has nothing to do.

mod accounts;
mod aside;
mod keyless;
mod quiet;
mod table;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

pub use self::aside::Aside;
pub use self::table::Standing;

use self::table::Target;
use super::catalog;
use super::verify::folds::Way;
use super::verify::forward;
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::database::{Place, Session};
use crate::data::catalog::{Catalog, TableName};
use crate::data::change_file::{Head, Reader, SequenceValue, TableChanges};
use crate::data::difference::Change;
use crate::data::digest::{self, Sum};
use crate::data::mapping::{Mapping, MappingFile};
use crate::data::patterns::Patterns;
use crate::data::plural::{counted, verb};
use crate::data::sidecar_shape::Shape;

/// How long others may hold the tables.
const PATIENCE: Duration = Duration::from_secs(60);

/// How changes are applied.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// The change file.
    pub file: PathBuf,
    /// What user ids became in the import; they are mapped back.
    pub mapping: Option<MappingFile>,
    /// The source's table of users.
    pub users_table: TableName,
    /// Whether ids of accounts that only the new service knows stay as they are; else they are in the way. Rows that the
    /// source cannot take without those users stay in the file.
    pub keeps_new_accounts: bool,
    /// Whether it is undone: the old rows come back.
    pub is_undo: bool,
    /// `application_name` of the session.
    pub session_name: String,
}

/// How the source stands to a change file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No change is applied.
    Before,
    /// Every change is applied.
    After,
    /// Some are applied, and the others are not: applying goes on.
    Between,
    /// Some row is neither: nothing can be applied.
    Neither(Vec<String>),
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Changes in the file.
    pub changes: u64,
    /// Changes that were written now.
    pub written: u64,
    /// Changes that had been written before.
    pub already: u64,
    /// Ids of accounts that only the new service knows, kept as they are.
    pub kept_accounts: Vec<String>,
    /// Changes that stay in the file, because the source's foreign keys ask for accounts that it does not have.
    pub aside: Aside,
    /// Sequences that were set forward.
    pub sequences: Vec<TableName>,
}

/// How the source stands to a change file. Changes nothing.
///
/// # Errors
/// When the file is not whole, or the source cannot be read.
pub async fn state(source: &Place, options: &ApplyOptions) -> Result<State> {
    let work = Work::open(source, options).await?;
    work.session.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
    let standing = work.standing().await?;
    let is_behind = !options.is_undo && !behind(&work.session, &work.head.sequences).await?.is_empty();
    work.session.batch_execute("ROLLBACK").await?;
    Ok(match standing {
        Standing { neither: 1.., conflicts, .. } => State::Neither(conflicts),
        // Every row is there, but numbers that the target gave would be given again.
        Standing { before: 0, .. } if is_behind => State::Between,
        Standing { before: 0, .. } => State::After,
        Standing { after: 0, .. } => State::Before,
        Standing { .. } => State::Between,
    })
}

/// Ids in the file's new rows that have no old partner and that the source's table of users has not: accounts that were
/// made since the import. They cannot be mapped back: make them in the old service, or keep the ids as they are. Then those
/// changes that the source's foreign keys do not let in without them.
///
/// # Errors
/// When the file is not whole, or the source cannot be read.
pub async fn new_accounts(source: &Place, options: &ApplyOptions) -> Result<(Vec<String>, Aside)> {
    let work = Work::open(source, options).await?;
    Ok((work.accounts, work.aside))
}

/// Applies the changes to the source. Others that write to the source must be kept away by the caller (a freeze may
/// stand: its triggers are quiet for this transaction alone). Called again, it finds its work done.
///
/// # Errors
/// When the file is not whole, a row stands otherwise (then nothing is applied), accounts are in the way, a constraint
/// of the source refuses, or the proof does not hold.
pub async fn apply(source: &Place, options: &ApplyOptions, say: &(dyn Fn(String) + Sync)) -> Result<Applied> {
    let work = Work::open(source, options).await?;
    work.must_be_allowed()?;
    let standing = work.carry_out_patiently(source, say).await?;
    let mut applied = Applied {
        changes: work.wanted(),
        written: standing.before,
        already: standing.after,
        kept_accounts: work.accounts.clone(),
        aside: work.aside.clone(),
        ..Applied::default()
    };
    if !options.is_undo {
        applied.sequences = forward_sequences(&work.session, &work.head.sequences).await?;
    }
    // What a commit answers is believed only when another transaction sees it.
    work.session.batch_execute("BEGIN").await?;
    work.must_be_applied().await?;
    work.session.batch_execute("ROLLBACK").await?;
    let (changes, are) = (counted(applied.changes, "change"), verb(applied.changes, "is", "are"));
    say(format!("{changes} {are} in {}", source.shown()));
    Ok(applied)
}

struct Work<'a> {
    session: Session,
    head: Head,
    options: &'a ApplyOptions,
    catalog: Catalog,
    forward: Option<Arc<Mapping>>,
    backward: Arc<Mapping>,
    accounts: Vec<String>,
    aside: Aside,
}

impl<'a> Work<'a> {
    async fn open(source: &Place, options: &'a ApplyOptions) -> Result<Self> {
        let mut head = read(&options.file, |_, _| Ok(()))?;
        if options.is_undo {
            for table in &mut head.tables {
                std::mem::swap(&mut table.before, &mut table.after);
                std::mem::swap(&mut table.inserted, &mut table.deleted);
            }
        }
        let session = source.connect(&options.session_name).await?;
        // Types and operators of extensions are found; a freeze's default does not hold this session.
        let set = "SET default_transaction_read_only = off; SET search_path = public, extensions";
        session.batch_execute(set).await?;
        let names: Vec<String> = head.tables.iter().map(|table| pattern(&table.table)).collect();
        let patterns = Patterns::parse(&names, &[] as &[&str]).map_err(|error| anyhow!(error))?;
        let catalog = catalog::read(&session, &patterns, &options.users_table).await?;
        let forward = forward(options.mapping.as_ref())?;
        let backward = options.mapping.as_ref().map(Mapping::backward).transpose().map_err(|error| anyhow!(error))?;
        let backward = Arc::new(backward.unwrap_or_default());
        let (accounts, aside) = (Vec::new(), Aside::default());
        let mut work = Self { session, head, options, catalog, forward, backward, accounts, aside };
        work.look_for_accounts().await?;
        Ok(work)
    }

    /// How many changes the source is to have.
    fn wanted(&self) -> u64 {
        self.head.all() - self.aside.len()
    }

    fn target(&self, number: usize, aside: Sum) -> Result<Target<'_>> {
        let changes = &self.head.tables[number];
        let table = self.catalog.table(&changes.table);
        let table = table.with_context(|| format!("the source has no table {}", changes.table))?;
        let shape = Shape::new(&changes.columns, &changes.key, &changes.users)
            .map_err(|error| anyhow!("{}: {error}", changes.table))?;
        let way = Way { shape: Arc::new(shape), mapping: self.forward.clone(), is_binary: false };
        Ok(Target { changes, table, way, backward: Arc::clone(&self.backward), number, aside })
    }

    /// Goes through the tables, one after the other: how each stands to its changes, or, writing, those changes.
    async fn each_table(&self, is_writing: bool) -> Result<Standing> {
        let mut reader = open(&self.options.file)?;
        let (mut number, mut changes, mut standing) = (0, Vec::new(), Standing::default());
        let (mut count, mut aside) = (0, Sum::default());
        loop {
            let next = reader.next_change().context("the change file changed while it was read")?;
            if next.as_ref().is_none_or(|(next, _)| *next != number) {
                if !changes.is_empty() {
                    let target = self.target(number, aside)?;
                    if is_writing {
                        target.write(&self.session, &changes).await?;
                    } else {
                        standing.absorb(target.standing(&self.session, &changes).await?);
                    }
                }
                changes.clear();
                aside = Sum::default();
            }
            let Some((table, change)) = next else { return Ok(standing) };
            count = if number == table { count + 1 } else { 1 };
            number = table;
            if self.aside.holds(table, count - 1) {
                change.new.iter().for_each(|row| aside.add(digest::of_row(row)));
                continue;
            }
            changes.push(if self.options.is_undo { turned(change) } else { change });
        }
    }

    /// Tries until others who read the tables let them go: the locks are wanted for a moment only.
    async fn carry_out_patiently(&self, source: &Place, say: &(dyn Fn(String) + Sync)) -> Result<Standing> {
        let watch = Stopwatch::start();
        loop {
            let done = self.carry_out(source, say).await;
            let Err(error) = done else { return done };
            if let Err(error) = self.session.batch_execute("ROLLBACK").await {
                // The server rolls back by itself when the session ends; this only lets others go on sooner.
                tracing::debug!(%error, "the session was lost before its transaction was rolled back");
            }
            if !is_in_the_way(&error) {
                return Err(error);
            }
            if watch.left(PATIENCE).is_none() {
                let shown = source.shown();
                return Err(error.context(format!(
                    "others hold tables of {shown} for longer than {}, so nothing was applied; end them (pg_stat_activity \
                     there shows who) and try again",
                    spoken(PATIENCE)
                )));
            }
            say(format!("others are at work on tables of {}; trying again", source.shown()));
        }
    }

    /// The one transaction; gives how the rows stood before it.
    async fn carry_out(&self, source: &Place, say: &(dyn Fn(String) + Sync)) -> Result<Standing> {
        self.session.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await?;
        let changed = self.head.tables.iter().filter(|table| table.all() > 0);
        let tables: Vec<&TableName> = changed.map(|table| &table.table).collect();
        let quiet = quiet::begin(&self.session, &tables).await?;
        let standing = self.standing().await?;
        if standing.neither > 0 {
            bail!(
                "{} of the source {} otherwise, so nothing was applied: {}",
                counted(standing.neither, "row"),
                verb(standing.neither, "stands", "stand"),
                standing.conflicts.join("; ")
            );
        }
        if standing.before > 0 {
            self.each_table(true).await?;
            say(format!("{} written to {}", counted(standing.before, "change"), source.shown()));
        }
        quiet.end(&self.session).await?;
        self.must_be_applied().await?;
        self.session.batch_execute("COMMIT").await.context("the source did not take the changes")?;
        Ok(standing)
    }

    async fn standing(&self) -> Result<Standing> {
        self.each_table(false).await
    }

    async fn must_be_applied(&self) -> Result<()> {
        let standing = self.standing().await?;
        if standing.after == self.wanted() {
            return Ok(());
        }
        bail!(
            "the proof does not hold: of {}, {} in the source; {}",
            counted(self.wanted(), "change"),
            standing.after,
            standing.conflicts.join("; ")
        );
    }
}

/// Whether somebody else's lock was the matter.
fn is_in_the_way(error: &anyhow::Error) -> bool {
    let code = error.chain().find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()?.code());
    code == Some(&SqlState::LOCK_NOT_AVAILABLE) || code == Some(&SqlState::T_R_DEADLOCK_DETECTED)
}

/// A pattern that names this table and no other.
fn pattern(table: &TableName) -> String {
    table.sql()
}

fn turned(change: Change) -> Change {
    Change { key: change.key, old: change.new, new: change.old }
}

fn open(file: &Path) -> Result<Reader<BufReader<File>>> {
    let attempt = || Reader::new(BufReader::with_capacity(256 << 10, File::open(file)?));
    attempt().with_context(|| format!("cannot read the changes in {}", file.display()))
}

/// Reads a change file to its end, so that it is known to be whole, and gives its first line.
///
/// # Errors
/// When it is not whole, and those of `each`.
pub fn read(file: &Path, mut each: impl FnMut(&TableChanges, &Change) -> Result<()>) -> Result<Head> {
    let mut reader = open(file)?;
    let shown = || format!("cannot read the changes in {}", file.display());
    while let Some((table, change)) = reader.next_change().with_context(shown)? {
        each(&reader.head.tables[table], &change)?;
    }
    Ok(reader.head)
}

/// Sets the source's sequences so far forward as the target's: what was given there is not given again.
async fn forward_sequences(session: &Client, values: &[SequenceValue]) -> Result<Vec<TableName>> {
    let mut set = Vec::new();
    for (name, last) in behind(session, values).await? {
        let statement = "SELECT pg_catalog.setval($1::pg_catalog.text::pg_catalog.regclass, $2, true)";
        let done = session.query_one(statement, &[&name.sql(), &last]).await;
        done.with_context(|| format!("cannot set the sequence {name} of the source"))?;
        set.push(name.clone());
    }
    Ok(set)
}

/// The source's sequences that would give a number which the target gave already, with the last such number. Those that
/// belong to no table count as well: their numbers may stand on paper.
async fn behind<'v>(session: &Client, values: &'v [SequenceValue]) -> Result<Vec<(&'v TableName, i64)>> {
    let ask = "SELECT seqincrement, pg_catalog.pg_sequence_last_value(seqrelid) FROM pg_catalog.pg_sequence \
               WHERE seqrelid = pg_catalog.to_regclass($1)";
    let mut behind = Vec::new();
    for value in values {
        let Some(last) = value.last_value else { continue };
        let row = session.query_opt(ask, &[&value.name.sql()]).await;
        let row = row.with_context(|| format!("cannot read the sequence {} of the source", value.name))?;
        let Some(row) = row else { continue };
        let (increment, here): (i64, Option<i64>) = (row.get(0), row.get(1));
        if here.is_none_or(|here| if increment >= 0 { last > here } else { last < here }) {
            behind.push((&value.name, last));
        }
    }
    Ok(behind)
}
