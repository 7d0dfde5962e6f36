//! The course of a load, whatever brings its rows: begin, go on, end, or take back.
//!
//! Law: the target holds everything with its record complete, or what it held before. A kill leaves a record from which
//! a second call goes on in either direction; it is found in the target itself, whatever became of this host.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio_postgres::{Client, Transaction};

use super::ballast;
use super::floor::{self, Check, Plan, Producer, Sources, Total};
use super::hold::{Hold, is_interrupted};
use super::journal::{self, Before, Keys, Phase};
use super::load::Lane;
use super::{Imported, ImportedTable, outside};
use crate::adapter::clock::{Stopwatch, now};
use crate::adapter::database::Place;
use crate::adapter::files;
use crate::data::catalog::{Sequence, Storage, Table, TableName};
use crate::rows::freeze;
use crate::rows::sequences::{self, Position};
use crate::rows::set_aside::{self, Item, Recorded, Stage};

/// What is to be done, and how.
pub(crate) struct Course {
    /// What is loaded: equal where a second call may go on with the first one's chunks.
    pub identity: String,
    /// Where sequences must stand in the end.
    pub sequences: Vec<Position>,
    /// Sequences that must stand behind the largest value of their column: nobody said where.
    pub derived: Vec<Sequence>,
    /// How many workers.
    pub workers: usize,
    /// Whether rows that are there may be removed.
    pub is_truncating: bool,
    /// Whether chunks of an earlier call may stay: they are of the same rows.
    pub is_repeatable: bool,
    /// Where the record of what is set aside is kept.
    pub state: PathBuf,
    /// Where the files of what tables' rows are go.
    pub baselines: Option<PathBuf>,
    /// What is to be known about it.
    pub concerns: Vec<String>,
}

/// The file on this host that says what is set aside in a target.
pub(super) fn record_file(state: &Path, place: &Place) -> PathBuf {
    let name = files::sha256(place.shown().as_bytes());
    state.join(format!("set-aside-{}.json", &name[..16]))
}

/// Takes a target's load to its end; on a failure that is not a lost connection, takes it back.
pub(crate) async fn follow(
    hold: &mut Hold,
    place: &Place,
    course: Course,
    lanes: Vec<Lane>,
    sources: Sources,
    producer: Producer,
    say: &(dyn Fn(String) + Sync),
) -> Result<Imported> {
    let tables: Vec<Table> = lanes.iter().map(|lane| lane.table.clone()).collect();
    if let Some(done) = begin(hold, place, &course, &tables, say).await? {
        return Ok(done);
    }
    let error = match load(hold, &course, lanes, sources, producer, say).await {
        Ok(imported) => {
            files::remove_if_there(&record_file(&course.state, place))?;
            return Ok(imported);
        }
        Err(error) => error,
    };
    if is_interrupted(&error) {
        let words = "the connection was lost; what was loaded so far stands recorded in the target: start again to go on, or take it back";
        return Err(error.context(words));
    }
    say("taking back what was loaded".into());
    match undo(hold, place, &course.state, course.workers, say).await {
        Ok(()) if course.is_truncating => {
            let words = "the import failed; its tables are empty now, what they held is in the backup";
            Err(error.context(words))
        }
        Ok(()) => Err(error.context("the import failed; the target is as it was")),
        Err(other) => Err(error.context(format!("the import failed, and it could not be taken back: {other:#}"))),
    }
}

/// Makes the target ready; gives what was done before where it is complete already.
async fn begin(
    hold: &mut Hold,
    place: &Place,
    course: &Course,
    tables: &[Table],
    say: &(dyn Fn(String) + Sync),
) -> Result<Option<Imported>> {
    let mut old = None;
    if let Some(line) = journal::read(&hold.session).await? {
        let is_same = line.identity == course.identity;
        match (line.phase, line.summary) {
            (Phase::Complete, Some(summary)) if is_same && !course.is_truncating => {
                say("this import is complete already".into());
                return Ok(Some(summary));
            }
            // Where rows stand, they are refused below; where they do not, its record says nothing any more.
            (Phase::Complete, _) => old = Some(line.before),
            (Phase::Loading, _) if !is_same => {
                let words = "an unfinished import of something else stands in the target";
                bail!("{words}: go on with that one, or take it back first");
            }
            (Phase::Loading, _) if course.is_repeatable => {
                say("going on with an import that was interrupted".into());
                return Ok(None);
            }
            (Phase::Loading | Phase::Undoing, _) => {
                say("taking back what an interrupted import left, before this one begins".into());
                undo(hold, place, &course.state, course.workers, say).await?;
            }
        }
    }
    files::make_private_directory(&course.state)?;
    let file = record_file(&course.state, place);
    match set_out(hold, course, tables, &file, old.as_ref()).await {
        Ok(()) => Ok(None),
        // Whether a lost commit took place is not known: then the record stays.
        Err(error) if is_interrupted(&error) => Err(error),
        Err(error) => {
            files::remove_if_there(&file)?;
            Err(error)
        }
    }
}

/// The first of these tables that holds a row.
pub(crate) async fn first_full(session: &Client, tables: &[Table]) -> Result<Option<TableName>> {
    for table in tables {
        let query = format!("SELECT EXISTS (SELECT 1 FROM {})", table.source());
        let row = session.query_one(&query, &[]).await.with_context(|| format!("cannot look into {}", table.name))?;
        if row.get(0) {
            return Ok(Some(table.name.clone()));
        }
    }
    Ok(None)
}

/// Sets aside and writes down, in one transaction: before its end nothing is changed, not even what is refused.
async fn set_out(hold: &mut Hold, course: &Course, tables: &[Table], file: &Path, old: Option<&Before>) -> Result<()> {
    let names: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
    let derived = course.derived.iter().map(|sequence| sequence.name.clone());
    let sequences: Vec<TableName> =
        course.sequences.iter().map(|position| position.name.clone()).chain(derived).collect();
    let had_schema = match old {
        Some(old) => old.had_schema,
        None => journal::has_schema(&hold.session).await?,
    };
    let transaction = hold.session.transaction().await?;
    if old.is_some() {
        journal::drop_tables(&transaction).await?;
    }
    let all = tables.iter().map(Table::source).collect::<Vec<_>>().join(", ");
    let lock = format!("SET LOCAL synchronous_commit = on; LOCK TABLE {all} IN SHARE ROW EXCLUSIVE MODE");
    transaction.batch_execute(&lock).await.context("cannot lock the tables of the target; who uses them?")?;
    let items = set_aside::read(transaction.client(), &names).await?;
    let sequences = sequences::read(transaction.client(), &sequences).await?;
    let keys = tables.iter().map(Keys::of).collect();
    let before = Before { tables: names.clone(), sequences, had_schema, keys, began_at: Some(now()) };
    journal::begin(&transaction, &course.identity, &before).await?;
    ballast::take(&transaction, &names).await?;
    set_aside::take_down(&transaction, &items, file).await?;
    // Only now: where row security is forced upon the owner, rows could not be seen before.
    if course.is_truncating {
        if let Some(why) = outside::pointing_in(transaction.client(), &items, &names).await? {
            bail!("{why}");
        }
        truncate(&transaction, tables).await?;
    } else if let Some(name) = first_full(transaction.client(), tables).await? {
        bail!(
            "the target's table {name} holds rows; an import fills empty tables only: have the rows removed first \
             (--truncate-first, which wants its phrase and a verified backup), or import into another database"
        );
    }
    transaction.commit().await.context("cannot make the target ready")
}

/// Empties the tables in one statement, so that those that point to each other go together and nothing else does.
async fn truncate(transaction: &Transaction<'_>, tables: &[Table]) -> Result<()> {
    let all = tables.iter().map(Table::source).collect::<Vec<_>>().join(", ");
    transaction.batch_execute(&format!("TRUNCATE {all}")).await.context("cannot empty the tables of the target")
}

async fn load(
    hold: &mut Hold,
    course: &Course,
    lanes: Vec<Lane>,
    sources: Sources,
    producer: Producer,
    say: &(dyn Fn(String) + Sync),
) -> Result<Imported> {
    let watch = Stopwatch::start();
    let plan = Plan {
        present: journal::chunks(&hold.session).await?,
        items: set_aside::recorded(&hold.session).await?,
        index_memory: index_memory(&hold.session, course.workers).await?,
        baselines: course.baselines.clone(),
        workers: course.workers,
        producer: Some(producer),
        lanes,
        sources,
    };
    let (index_memory, described) = (plan.index_memory, described(&plan.lanes));
    let sources: Vec<String> = plan.lanes.iter().map(|lane| lane.table.source()).collect();
    let totals = floor::run(hold, plan, say).await?;
    let checks = described.iter().zip(sources).zip(&totals).map(|((table, source), total)| Check {
        name: table.table.clone(),
        source,
        rows: total.chunk.sum.rows,
        bytes: total.chunk.bytes,
    });
    put_back_rest(hold, checks.collect(), course.workers, index_memory, say).await?;
    sequences::set(&hold.session, &course.sequences).await?;
    let derived = sequences::behind(&hold.session, &course.derived).await?;
    sequences::set(&hold.session, &derived).await?;
    let tables = described.into_iter().zip(&totals).map(|(mut table, total)| {
        fill_in(&mut table, total);
        table
    });
    let imported = Imported {
        tables: tables.collect(),
        sequences: course.sequences.len() + derived.len(),
        concerns: course.concerns.clone(),
        seconds: watch.elapsed().as_secs_f64(),
    };
    journal::complete(&mut hold.session, &imported).await?;
    Ok(imported)
}

fn described(lanes: &[Lane]) -> Vec<ImportedTable> {
    let table = |lane: &Lane| ImportedTable {
        table: lane.name().clone(),
        columns: lane.columns.iter().map(|column| column.name.clone()).collect(),
        rows: 0,
        bytes: 0,
        seconds: 0.0,
        digest: None,
        is_read: lane.passage.is_some(),
    };
    lanes.iter().map(table).collect()
}

fn fill_in(table: &mut ImportedTable, total: &Total) {
    table.rows = total.chunk.sum.rows;
    table.bytes = total.chunk.bytes;
    table.seconds = total.time.as_secs_f64();
    table.digest = table.is_read.then_some(total.chunk.sum);
}

/// Foreign keys, their validation, counts, statistics, triggers: what waits until every table is filled.
async fn put_back_rest(
    hold: &mut Hold,
    checks: Vec<Check>,
    workers: usize,
    index_memory: u64,
    say: &(dyn Fn(String) + Sync),
) -> Result<()> {
    let mut late = Vec::new();
    let mut quiet = Vec::new();
    for recorded in set_aside::recorded(&hold.session).await? {
        match recorded.item.stage {
            Stage::ForeignKey => set_aside::put_back(&mut hold.session, &recorded).await?,
            Stage::Validate => late.push(recorded),
            Stage::Quiet => quiet.push(recorded),
            Stage::Index | Stage::Finish => bail!("the {} was not put back", recorded.item.about),
        }
    }
    floor::settle(hold, late, checks, workers, index_memory, say).await?;
    for recorded in &quiet {
        set_aside::put_back(&mut hold.session, recorded).await?;
    }
    Ok(())
}

/// Brings back everything that is set aside, where no rows are.
async fn put_back_all(hold: &mut Hold, workers: usize, say: &(dyn Fn(String) + Sync)) -> Result<()> {
    let items: Vec<Recorded> = set_aside::recorded(&hold.session).await?;
    let index_memory = index_memory(&hold.session, workers).await?;
    let plan = Plan {
        lanes: Vec::new(),
        present: std::collections::HashMap::new(),
        items,
        producer: None,
        sources: Vec::new(),
        workers,
        index_memory,
        baselines: None,
    };
    floor::run(hold, plan, say).await?;
    put_back_rest(hold, Vec::new(), workers, index_memory, say).await
}

/// Takes back whatever an import did, from any point; nothing where none is recorded.
pub(crate) async fn undo(
    hold: &mut Hold,
    place: &Place,
    state: &Path,
    workers: usize,
    say: &(dyn Fn(String) + Sync),
) -> Result<()> {
    hold.end_workers().await?;
    let Some(line) = journal::read(&hold.session).await? else { return Ok(()) };
    ballast::drop(&hold.session).await?;
    let file = record_file(state, place);
    if line.phase != Phase::Undoing {
        let tables = present_tables(&hold.session, &line.before.tables).await?;
        let sources: Vec<&str> = tables.iter().map(String::as_str).collect();
        let transaction = hold.session.transaction().await?;
        transaction.batch_execute("SET LOCAL synchronous_commit = on; TRUNCATE _cutover.chunk").await?;
        // The application's triggers must not see the rows go. What points here from outside stands in the way only
        // where it did so before the import: afterwards, rows may point to rows.
        let is_complete = line.phase == Phase::Complete;
        let items = set_aside::read(transaction.client(), &line.before.tables).await?.into_iter();
        let aside = items.filter(|item| match item.stage {
            Stage::Quiet => true,
            Stage::ForeignKey | Stage::Validate => !is_complete,
            Stage::Index | Stage::Finish => false,
        });
        // What a freeze put up is off within this transaction alone, so that nobody else ever writes in between.
        let (guards, aside): (Vec<Item>, Vec<Item>) = aside.partition(is_guard);
        set_aside::take_down(&transaction, &aside, &file).await?;
        let off = guards.iter().filter_map(|guard| guard.drop.as_deref());
        let on = guards.iter().flat_map(|guard| guard.make.iter().map(String::as_str));
        let empty = format!("TRUNCATE {}", sources.join(", "));
        let statements: Vec<&str> = off.chain([empty.as_str()]).chain(on).collect();
        transaction.batch_execute(&statements.join("; ")).await.context("cannot empty the tables of the target")?;
        journal::set_phase(&transaction, Phase::Undoing).await?;
        transaction.commit().await.context("cannot empty the tables of the target")?;
    }
    sequences::set(&hold.session, &line.before.sequences).await?;
    put_back_all(hold, workers, say).await?;
    journal::remove(&mut hold.session, &line.before).await?;
    files::remove_if_there(&file)
}

/// Whether it is the trigger by which a freeze refuses writes.
fn is_guard(item: &Item) -> bool {
    item.stage == Stage::Quiet && item.about.starts_with(&format!("trigger {} of ", freeze::TRIGGER))
}

/// The tables as TRUNCATE wants them.
async fn present_tables(session: &Client, names: &[TableName]) -> Result<Vec<String>> {
    let query = "SELECT c.relkind = 'p' FROM pg_catalog.pg_class c WHERE c.oid = $1::text::regclass";
    let mut tables = Vec::new();
    for name in names {
        let row =
            session.query_one(query, &[&name.sql()]).await.with_context(|| format!("the table {name} is gone"))?;
        let storage = if row.get(0) { Storage::Partitioned } else { Storage::Ordinary };
        tables.push(if storage == Storage::Partitioned { name.sql() } else { format!("ONLY {}", name.sql()) });
    }
    Ok(tables)
}

/// KiB that each worker may use for an index: its share of what the server gives its own cache, a quarter of the memory
/// of a well-kept server; never less than the server's own setting, never more than 1 GiB.
async fn index_memory(session: &Client, workers: usize) -> Result<u64> {
    let query = "SELECT (SELECT setting::bigint * 8 FROM pg_catalog.pg_settings WHERE name = 'shared_buffers'), \
                 (SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name = 'maintenance_work_mem')";
    let row = session.query_one(query, &[]).await?;
    let (cache, own): (i64, i64) = (row.get(0), row.get(1));
    let share = cache / i64::try_from(workers.max(1))?;
    Ok(u64::try_from(share.clamp(64 << 10, 1 << 20).max(own))?)
}
