//! Exporting rows: every chosen table in one snapshot, COPY text made into JSON on the way, `metadata.json` written last.
//!
//! Law: where `metadata.json` stands, every file that it names is whole, on the disk, and of one snapshot. A killed or
//! failed export leaves none.

mod begin;
mod pieces;
mod room;
mod snapshot;
mod unfinished;
mod worker;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::filling::pointing;
use super::progress::Meter;
use super::{Say, auth_export};
use crate::adapter::clock;
use crate::adapter::database::Place;
use crate::adapter::files;
use crate::adapter::process::Process;
use crate::data::catalog::{Table, TableName};
use crate::data::metadata::{self, Metadata, Skipped, TableMetadata};
use crate::data::patterns::Patterns;
use pieces::Plan;
use snapshot::Snapshot;
use unfinished::Unfinished;
use writer::Written;

pub use room::refuse_in_work_tree;
pub(super) use snapshot::Users;
pub use unfinished::FILE as UNFINISHED_FILE;
pub(super) use writer::Output;

/// How `exportMethod` reads in files of ours.
pub const METHOD: &str = "cutover copy-text";

/// Names in the directory that are no table's.
const RESERVED: [&str; 7] = [
    "metadata",
    "auth_users",
    "auth_secrets",
    "auth_identities",
    "user-mapping",
    "user-mapping.undone",
    "verification-report",
];

/// What is exported, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Where the files go; made with mode 0700.
    pub directory: PathBuf,
    /// Patterns of the tables that move (`data.include`).
    pub include: Vec<String>,
    /// Patterns of those that stay although the first ones name them (`data.exclude`).
    pub exclude: Vec<String>,
    /// Only these of them (`--table`); none means all.
    pub tables: Vec<String>,
    /// The users' table (`data.users_table`).
    pub users_table: TableName,
    /// Whether users, passwords and identities are exported too, where there is such a table.
    pub has_users: bool,
    /// The size in bytes from which a table is left out (`--skip-large`).
    pub skip_large: Option<u64>,
    /// Whether the files are compressed (`STEM.json.zst`).
    pub is_compressed: bool,
    /// How many connections read side by side.
    pub workers: usize,
    /// Whether the source provably stands still since an earlier, killed call: then that one's finished tables are kept.
    pub is_frozen: bool,
    /// `application_name` of the sessions.
    pub session: String,
}

impl Options {
    /// The usual: every table of `public`, with users, uncompressed, four workers.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            include: vec!["public.*".into()],
            exclude: Vec::new(),
            tables: Vec::new(),
            users_table: TableName::new("auth", "users"),
            has_users: true,
            skip_large: None,
            is_compressed: false,
            workers: 4,
            is_frozen: false,
            session: "cutover".into(),
        }
    }

    fn patterns(&self) -> Result<Patterns> {
        let all = Patterns::parse(&self.include, &self.exclude).map_err(anyhow::Error::msg)?;
        all.narrowed(&self.tables).map_err(anyhow::Error::msg)
    }

    fn is_too_large(&self, table: &Table) -> bool {
        self.skip_large.is_some_and(|limit| table.bytes >= limit)
    }

    fn file_name(&self, table: &Table) -> String {
        let stem = table.name.stem();
        // A table may be called `metadata`; its schema, which other tables of `public` do without, keeps it apart.
        let schema = if RESERVED.contains(&stem.as_str()) { "public." } else { "" };
        format!("{schema}{stem}.json{}", if self.is_compressed { ".zst" } else { "" })
    }
}

/// A table as a list shows it before anything is exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The table.
    pub table: TableName,
    /// The planner's estimate of its rows; less than 0 where it was never made.
    pub rows_estimate: i64,
    /// Its size in the source, in bytes.
    pub bytes: u64,
    /// Whether `--skip-large` leaves it out.
    pub is_skipped: bool,
}

/// What an export would hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The tables, in the order in which they can be filled.
    pub tables: Vec<Listed>,
    /// What would not move, or stands in the way, in words.
    pub concerns: Vec<String>,
    /// Whether one of these stands in the way.
    pub is_blocked: bool,
}

/// Lists what [`export`] would export: reads the catalog alone, and writes nothing.
///
/// # Errors
/// When the source cannot be reached, or a pattern is no pattern.
pub async fn list(place: &Place, options: &Options) -> Result<Listing> {
    let session = place.connect(&options.session).await?;
    let catalog = super::catalog::read(&session, &options.patterns()?, &options.users_table).await?;
    let listed = |table: &Table| Listed {
        table: table.name.clone(),
        rows_estimate: table.rows_estimate,
        bytes: table.bytes,
        is_skipped: options.is_too_large(table),
    };
    Ok(Listing {
        tables: catalog.tables.iter().map(listed).collect(),
        concerns: catalog.concerns.iter().map(|concern| format!("{}: {}", concern.about, concern.words)).collect(),
        is_blocked: catalog.concerns.iter().any(|concern| concern.is_blocking),
    })
}

/// Exports the chosen tables, and the users, in one snapshot, and gives what `metadata.json` says.
///
/// After SIGKILL nothing claims to be an export: `metadata.json` is removed before the first file is written, and
/// written after the last one is on the disk. A second call starts afresh. Where the source provably stood still in
/// between (`is_frozen`), tables whose files are there with the sizes and digests that were written down are kept.
///
/// # Errors
/// When the directory is in a git work tree and not ignored there, there is no room, a table cannot be read whole (row
/// security, a lock, a lost connection), or a file cannot be written. Files of this call are then removed, but for
/// finished ones of a frozen source.
pub async fn export(place: &Place, process: &Process, options: &Options, say: Say<'_>) -> Result<Metadata> {
    refuse_in_work_tree(process, &options.directory).await?;
    let exported_at = clock::now();
    let snapshot = Snapshot::take(place, options).await?;
    snapshot.refuse_what_blocks(options, say)?;
    let (left_out, chosen): (Vec<Table>, Vec<Table>) =
        snapshot.catalog.tables.iter().cloned().partition(|table| options.is_too_large(table));
    room::check_space(&options.directory, &chosen, options.is_compressed)?;
    let mut unfinished = begin::prepare(place, options, &chosen, &exported_at, say)?;
    let done = fill(place, options, &snapshot, chosen, &mut unfinished, say).await;
    let (tables, users) = match done {
        Ok(done) => done,
        Err(error) => {
            let whole = if options.is_frozen { Ok(()) } else { unfinished.remove_files(&options.directory) };
            return Err(match whole {
                Ok(()) => error,
                Err(second) => error.context(format!("what it had written could not be removed ({second:#}); because")),
            });
        }
    };
    let metadata = Metadata {
        schema: Some(metadata::SCHEMA.into()),
        exported_at: Some(exported_at),
        source: Some(place.shown().into()),
        snapshot: Some(snapshot.id.clone()),
        lsn: snapshot.lsn.clone(),
        server_version: Some(snapshot.catalog.server_version),
        tables,
        sequences: snapshot.catalog.sequences.clone(),
        users,
        skipped: left_out.iter().map(|table| skipped(table, options)).collect(),
    };
    let path = options.directory.join(metadata::FILE);
    files::sync_directory(&options.directory)
        .with_context(|| format!("cannot sync {}", options.directory.display()))?;
    files::write_json(&path, &metadata, 0o600)?;
    unfinished.forget()?;
    Ok(metadata)
}

fn skipped(table: &Table, options: &Options) -> Skipped {
    let limit = files::spoken_size(options.skip_large.unwrap_or_default());
    let why = format!(
        "its size is {}, and --skip-large leaves out what has {limit} or more",
        files::spoken_size(table.bytes)
    );
    Skipped { table: table.name.clone(), bytes: table.bytes, why }
}

type Filled = (std::collections::BTreeMap<String, TableMetadata>, Option<metadata::UsersMetadata>);

/// Writes every file.
async fn fill(
    place: &Place,
    options: &Options,
    snapshot: &Snapshot,
    chosen: Vec<Table>,
    unfinished: &mut Unfinished,
    say: Say<'_>,
) -> Result<Filled> {
    let names = chosen.iter().map(|table| (table.name.to_string(), table.bytes));
    let meter = Arc::new(Meter::new("read", names));
    let mut tables = std::collections::BTreeMap::new();
    let mut todo = Vec::new();
    for (at, table) in chosen.into_iter().enumerate() {
        match unfinished.kept(&table) {
            Some(kept) => {
                meter.leave_out(at);
                tables.insert(table.name.stem(), kept);
            }
            None => todo.push((at, table)),
        }
    }
    let plan = Plan::make(&snapshot.session, todo, options).await?;
    let users = match &snapshot.users {
        Some(users) => Some(auth_export::write(&snapshot.session, users, &options.directory).await?),
        None => None,
    };
    tables.extend(meter.watch(say, read_tables(place, options, snapshot, plan, &meter, unfinished)).await?);
    Ok((tables, users))
}

/// Lets the workers read and the writers write, and gives what was written of each table by its stem.
async fn read_tables(
    place: &Place,
    options: &Options,
    snapshot: &Snapshot,
    plan: Plan,
    meter: &Arc<Meter>,
    unfinished: &mut Unfinished,
) -> Result<Vec<(String, TableMetadata)>> {
    let (results, mut finished) = mpsc::unbounded_channel();
    let count = options.workers.clamp(1, plan.pieces.len().max(1));
    let tables = plan.tables.clone();
    let sessions = if tables.is_empty() { Vec::new() } else { snapshot.workers(place, options, count).await? };
    let shared = Arc::new(worker::Shared::new(plan, options, Arc::clone(meter), results, snapshot.is_checked));
    let mut workers = JoinSet::new();
    for session in sessions {
        workers.spawn(worker::work(session, Arc::clone(&shared)));
    }
    drop(shared);
    let mut done = Vec::with_capacity(tables.len());
    let collected = async {
        while done.len() < tables.len() {
            tokio::select! {
                Some(ended) = workers.join_next() => ended.context("a worker ended unexpectedly")??,
                result = finished.recv() => {
                    let (index, written) = result.context("a file was left unfinished without a word")?;
                    let table = &tables[index];
                    let described = described(&table.table, options, written?, &meter.line(table.at));
                    unfinished.add(&table.table, &described)?;
                    done.push((table.table.name.stem(), described));
                }
            }
        }
        anyhow::Ok(())
    };
    let collected = collected.await;
    // Whatever happened, nobody writes any more when this is over.
    workers.shutdown().await;
    while finished.recv().await.is_some() {}
    collected.map(|()| done)
}

fn described(table: &Table, options: &Options, written: Written, line: &super::progress::Line) -> TableMetadata {
    TableMetadata {
        table: Some(table.name.clone()),
        file: Some(options.file_name(table)),
        row_count: Some(written.sum.rows),
        bytes: Some(written.bytes),
        sha256: Some(written.sha256),
        columns: table.moved().map(|column| column.name.clone()).collect(),
        user_columns: pointing(table, &options.users_table).into_iter().map(str::to_owned).collect(),
        duration_ms: Some(line.took.as_millis() as u64),
        export_method: Some(METHOD.into()),
        digest: Some(written.sum),
    }
}

/// The files of an export as its description names them, relative to the directory. Names that would leave it are none.
pub fn files_of(metadata: &Metadata) -> impl Iterator<Item = &str> {
    let tables = metadata.tables.values().filter_map(|table| table.file.as_deref());
    tables.filter(|name| is_plain_name(name))
}

/// The files of tables in a directory, finished or not, that cutover wrote down.
///
/// # Errors
/// When what it wrote down cannot be read.
pub(super) fn files_there(directory: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let path = directory.join(metadata::FILE);
    if path.exists() {
        let metadata: Metadata = files::read_json(&path)?;
        if metadata.is_ours() {
            names.extend(files_of(&metadata).map(str::to_owned));
        }
    }
    names.extend(Unfinished::read(directory)?.into_iter().flat_map(|before| before.header.files));
    names.sort();
    names.dedup();
    Ok(names)
}

/// When the export was begun that a kill left unfinished in a directory; none where there is none.
///
/// # Errors
/// When what it wrote down cannot be read.
pub fn unfinished_since(directory: &Path) -> Result<Option<String>> {
    Ok(Unfinished::read(directory)?.map(|before| before.header.exported_at))
}

fn is_plain_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|last| last == name)
}
