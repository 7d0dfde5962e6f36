//! Verification: every row of every table of both sides, user ids mapped; then keys, sequences, indexes, assertions.
//!
//! Law: it only reads; what could not be compared is never a pass. A call that was killed leaves nothing behind; a
//! second one begins again.

pub mod checks;
pub mod files;
pub mod folds;
pub mod rows;
pub mod scan;
pub mod snapshot;
pub mod tables;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};

pub use self::checks::Assert;
pub use self::tables::Users;

use self::files::Exported;
use self::rows::How;
use self::scan::Side;
use self::snapshot::Snapshot;
use self::tables::{Apart, Both};
use crate::adapter::clock::{Stopwatch, now, spoken};
use crate::adapter::database::Place;
use crate::data::catalog::{Catalog, TableName};
use crate::data::mapping::{Mapping, MappingFile};
use crate::data::patterns::Patterns;
use crate::data::verification::{Report, Status, TableReport};
use crate::rows::catalog;
use crate::rows::progress::Meter;

/// The table of users where the configuration names none.
const USERS: (&str, &str) = ("auth", "users");

/// What the target is compared with.
#[derive(Clone, Debug)]
pub enum Source {
    /// A live database; nobody should write to it.
    Database(Place),
    /// The directory of an export.
    Files(PathBuf),
}

/// What is verified, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tables.
    pub tables: Patterns,
    /// Where user ids stand.
    pub users: Users,
    /// What user ids became.
    pub mapping: Option<MappingFile>,
    /// Whether rows are only counted: then nothing passes, it is `warn` at best.
    pub is_counting_only: bool,
    /// Whether to end at the first table that fails.
    pub fails_fast: bool,
    /// Percent of the keys that are compared, 1 to 100; under 100 nothing passes, it is `warn` at best.
    pub sample_percent: u8,
    /// What must be true.
    pub asserts: Vec<Assert>,
    /// Connections to each side.
    pub workers: usize,
    /// How many differing rows of a table are named.
    pub named: usize,
    /// `application_name` of the sessions.
    pub session_name: String,
}

impl Options {
    /// Everything of these tables, with the defaults.
    pub fn new(tables: Patterns) -> Self {
        Self {
            tables,
            users: Users { table: Some(TableName::new(USERS.0, USERS.1)), ..Users::default() },
            mapping: None,
            is_counting_only: false,
            fails_fast: false,
            sample_percent: 100,
            asserts: Vec::new(),
            workers: 4,
            named: 20,
            session_name: "cutover".to_owned(),
        }
    }
}

/// Both sides, read and put together.
pub(in crate::rows) struct Sides {
    pub(in crate::rows) source: Side,
    pub(in crate::rows) target: Side,
    pub(in crate::rows) source_catalog: Catalog,
    pub(in crate::rows) target_catalog: Catalog,
    pub(in crate::rows) both: Vec<Both>,
    pub(in crate::rows) apart: Vec<Apart>,
}

impl Sides {
    /// Opens one snapshot of each side and reads both catalogs.
    pub(in crate::rows) async fn open(source: &Source, target: &Place, options: &Options) -> Result<Self> {
        let name = &options.session_name;
        let target = Snapshot::open(target, name, options.workers).await?;
        let users_table = options.users.table.clone().unwrap_or_else(|| TableName::new(USERS.0, USERS.1));
        let target_catalog = catalog::read(&target.holder, &options.tables, &users_table).await?;
        let mut users = options.users.clone();
        let (source, source_catalog) = match source {
            Source::Database(place) => {
                let snapshot = Snapshot::open(place, name, options.workers).await?;
                let catalog = catalog::read(&snapshot.holder, &options.tables, &users_table).await?;
                (Side::Database(Box::new(snapshot)), catalog)
            }
            Source::Files(directory) => {
                let files = Arc::new(Exported::open(directory)?);
                users.learn(files.metadata());
                let catalog = tables::of_files(&files, &target_catalog, &|name| options.tables.is_chosen(name))?;
                (Side::Files(files, options.workers), catalog)
            }
        };
        let (both, apart) = Both::of(&source_catalog, &target_catalog, &users);
        Ok(Self { source, target: Side::Database(Box::new(target)), source_catalog, target_catalog, both, apart })
    }

    pub(in crate::rows) fn target_snapshot(&self) -> Result<&Snapshot> {
        match &self.target {
            Side::Database(snapshot) => Ok(snapshot),
            Side::Files(..) => bail!("the target must be a database"),
        }
    }

    /// Lets both snapshots go.
    pub(in crate::rows) async fn close(self) -> Result<()> {
        for side in [self.source, self.target] {
            if let Side::Database(snapshot) = side {
                snapshot.close().await?;
            }
        }
        Ok(())
    }

    fn source_snapshot(&self) -> Option<&Snapshot> {
        match &self.source {
            Side::Database(snapshot) => Some(snapshot),
            Side::Files(..) => None,
        }
    }
}

/// The mapping from old to new ids.
pub(in crate::rows) fn forward(mapping: Option<&MappingFile>) -> Result<Option<Arc<Mapping>>> {
    let forward =
        |file| Mapping::forward(file).map(Arc::new).map_err(|error| anyhow!("the mapping is not clear: {error}"));
    mapping.map(forward).transpose()
}

/// Compares source and target and gives the report; [`write`] puts it into a file. Changes nothing.
///
/// # Errors
/// When a side cannot be reached or read. That some table is wrong is no error, but `success: false`.
pub async fn verify(
    source: &Source,
    target: &Place,
    options: &Options,
    say: &(dyn Fn(String) + Sync),
) -> Result<Report> {
    let watch = Stopwatch::start();
    if !(1..=100).contains(&options.sample_percent) {
        bail!("a sample is 1 to 100 percent, not {}", options.sample_percent);
    }
    let mut sides = Sides::open(source, target, options).await?;
    let mut report = Report {
        schema: "cutover/v1".to_owned(),
        source: sides.source.shown(),
        target: sides.target.shown(),
        target_lsn: sides.target_snapshot().ok().map(|snapshot| snapshot.lsn.clone()),
        sample_percent: (options.sample_percent < 100).then_some(options.sample_percent),
        compared_rows: !options.is_counting_only,
        ..Report::default()
    };
    for apart in &sides.apart {
        say(format!("{}: {}", apart.name, apart.why));
        let notes = vec![apart.why.clone()];
        report.tables.insert(apart.name.to_string(), TableReport { status: Status::Fail, notes, ..Default::default() });
    }
    let rows = std::mem::take(&mut sides.both);
    let meter = meter_of(&rows);
    let group = if options.fails_fast { 1 } else { rows.len().max(1) };
    for some in rows.chunks(group) {
        if options.fails_fast && report.tables.values().any(|table| table.status == Status::Fail) {
            report.stopped_early = true;
            break;
        }
        let found = tables_of(&mut sides, some, options, &meter, say).await?;
        for (both, table) in some.iter().zip(found) {
            say(told(&both.name, &table));
            report.tables.insert(both.name.to_string(), table);
        }
    }
    if !report.stopped_early {
        add_checks(&sides, options, &mut report, say).await?;
    }
    sides.close().await?;
    report.conclude();
    report.verified_at = now();
    report.duration_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
    let summary = report.summary;
    say(format!(
        "{} passed, {} with a warning, {} failed, in {}",
        summary.pass,
        summary.warn,
        summary.fail,
        spoken(watch.elapsed())
    ));
    Ok(report)
}

/// Counts what is read of both sides.
pub(in crate::rows) fn meter_of(both: &[Both]) -> Arc<Meter> {
    let size = |both: &Both| (both.name.to_string(), both.source.table.bytes + both.target.table.bytes);
    Arc::new(Meter::new("read on both sides", both.iter().map(size)))
}

/// Counts what is read once more of some tables of both sides; `verb` says what for.
pub(in crate::rows) fn again(verb: &'static str, some: &[&Both]) -> Arc<Meter> {
    let last = some.iter().map(|both| both.source.number).max().unwrap_or(0);
    let size = |number: usize| match some.iter().find(|both| both.source.number == number) {
        Some(both) => (both.name.to_string(), both.source.table.bytes + both.target.table.bytes),
        None => (String::new(), 0),
    };
    Arc::new(Meter::new(verb, (0..=last).map(size)))
}

async fn tables_of(
    sides: &mut Sides,
    some: &[Both],
    options: &Options,
    meter: &Arc<Meter>,
    say: &(dyn Fn(String) + Sync),
) -> Result<Vec<TableReport>> {
    if options.is_counting_only {
        return meter.watch(say, counted(sides, some)).await;
    }
    let is_same_major = sides.source_snapshot().is_some()
        && sides.source_catalog.server_version / 10_000 == sides.target_catalog.server_version / 10_000;
    let mapping = forward(options.mapping.as_ref())?;
    let meter = Arc::clone(meter);
    let how = How { mapping, sample: options.sample_percent, named: options.named, is_same_major, meter };
    rows::rows_of(&mut sides.source, &mut sides.target, some, &options.users, &how, say).await
}

async fn counted(sides: &Sides, some: &[Both]) -> Result<Vec<TableReport>> {
    let (left, right): (Vec<_>, Vec<_>) = some.iter().map(|both| (both.source.clone(), both.target.clone())).unzip();
    let (left, right) = tokio::try_join!(rows::counts(&sides.source, &left), rows::counts(&sides.target, &right))?;
    let report = |(left, right): (u64, u64)| TableReport {
        status: if left == right { Status::Warn } else { Status::Fail },
        source_count: Some(left),
        target_count: Some(right),
        notes: vec!["rows were only counted, not compared".to_owned()],
        ..TableReport::default()
    };
    Ok(left.into_iter().zip(right).map(report).collect())
}

fn told(name: &TableName, table: &TableReport) -> String {
    let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let (source, target) = (count(table.source_count), count(table.target_count));
    let wrong = match (table.missing, table.extra, table.different) {
        (0, 0, 0) => String::new(),
        (missing, extra, different) => format!(", {missing} missing, {extra} extra, {different} different"),
    };
    let source = if source == "1" { "1 row".to_owned() } else { format!("{source} rows") };
    format!("{name}: {}, {source} in the source, {target} in the target{wrong}", table.status.word())
}

async fn add_checks(
    sides: &Sides,
    options: &Options,
    report: &mut Report,
    say: &(dyn Fn(String) + Sync),
) -> Result<()> {
    let snapshot = sides.target_snapshot()?;
    let target = &sides.target_catalog;
    report.checks.extend(checks::foreign_keys(snapshot, target).await?);
    report.checks.extend(checks::validity(snapshot, sides.source_snapshot(), target).await?);
    // An export of another tool does not tell sequences: then only the columns' values can be asked.
    let is_known = sides.source_snapshot().is_some() || !sides.source_catalog.sequences.is_empty();
    let source = is_known.then_some(&sides.source_catalog);
    report.checks.extend(checks::sequences(snapshot, source, target).await?);
    report.checks.extend(checks::asserts(snapshot, &options.asserts).await?);
    for check in report.checks.iter().filter(|check| check.status != Status::Pass) {
        say(format!("{}: {}, {}", check.name, check.status.word(), check.words));
    }
    Ok(())
}

/// Writes the report (`verification-report.json`, 0600).
///
/// # Errors
/// When the file cannot be written.
pub fn write(report: &Report, path: &Path) -> Result<()> {
    crate::adapter::files::write_json(path, report, 0o600)
        .context("the comparison was made, but its report was not kept")
}
