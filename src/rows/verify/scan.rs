//! Every row of some tables, from several sessions at once, each row handed to a fold. Order is nobody's promise.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use futures_util::TryStreamExt;
use tokio_postgres::Client;

use super::files::Exported;
use super::snapshot::Snapshot;
use crate::data::catalog::{Storage, Table, quoted};
use crate::data::copy_binary::Tuples;
use crate::data::copy_text::Rows;
use crate::rows::progress::Meter;

/// Blocks of a heap that one piece of work reads: 64 MiB, so that the last piece keeps nobody waiting for long.
const BLOCKS: u64 = 8192;
/// The first version that reads a range of row addresses without reading the whole table for it.
const RANGES_SINCE: u32 = 140_000;

/// Takes rows one by one. Several of one table are put together by `absorb`.
pub trait Fold: Send + Sized + 'static {
    /// Takes a row, as COPY text without its line end.
    ///
    /// # Errors
    /// When it cannot go on; that ends the whole scan.
    fn row(&mut self, row: &[u8]) -> Result<()>;

    /// Adds what another one took of the same table.
    ///
    /// # Errors
    /// When it cannot go on.
    fn absorb(&mut self, other: Self) -> Result<()>;
}

/// What is read of a table.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Its number among the tables of the caller.
    pub number: usize,
    /// The table, as this side has it.
    pub table: Table,
    /// The columns, in the order in which both sides are read.
    pub columns: Vec<String>,
    /// Whether rows come in the binary format, which costs the server less; the folds must know.
    pub is_binary: bool,
}

/// Where rows come from.
pub enum Side {
    /// A database, at one moment.
    Database(Box<Snapshot>),
    /// Files that were exported.
    Files(Arc<Exported>, usize),
}

impl Side {
    /// What it is, as it may be shown.
    pub fn shown(&self) -> String {
        match self {
            Self::Database(snapshot) => snapshot.shown.clone(),
            Self::Files(files, _) => files.shown(),
        }
    }
}

/// A fold whose rows and bytes are counted on the way.
struct Metered<F> {
    inner: F,
    meter: Arc<Meter>,
    at: usize,
    rows: u64,
    bytes: u64,
}

/// After how many rows they are counted.
const TOLD: u64 = 4096;

impl<F> Metered<F> {
    fn tell(&mut self) {
        self.meter.add(self.at, std::mem::take(&mut self.rows), std::mem::take(&mut self.bytes));
    }
}

impl<F: Fold> Fold for Metered<F> {
    fn row(&mut self, row: &[u8]) -> Result<()> {
        self.rows += 1;
        self.bytes += row.len() as u64 + 1;
        if self.rows >= TOLD {
            self.tell();
        }
        self.inner.row(row)
    }

    fn absorb(&mut self, mut other: Self) -> Result<()> {
        other.tell();
        self.inner.absorb(other.inner)
    }
}

/// A maker of folds: for a table's number, an empty one.
pub type Make<F> = Arc<dyn Fn(usize) -> Result<F> + Send + Sync>;

/// Reads every row of the tables and gives what the folds took, in the order of `readings`. The meter counts rows and bytes
/// by the tables' numbers.
///
/// # Errors
/// When a table cannot be read to its end, and those of the folds. Nothing is then known of any table.
pub async fn scan<F: Fold>(side: &mut Side, readings: &[Reading], make: Make<F>, meter: &Arc<Meter>) -> Result<Vec<F>> {
    let meter = Arc::clone(meter);
    let metered: Make<Metered<F>> =
        Arc::new(move |at| Ok(Metered { inner: make(at)?, meter: Arc::clone(&meter), at, rows: 0, bytes: 0 }));
    Ok(read(side, readings, metered).await?.into_iter().map(|fold| fold.inner).collect())
}

async fn read<F: Fold>(side: &mut Side, readings: &[Reading], make: Make<F>) -> Result<Vec<F>> {
    let pieces = match side {
        Side::Database(snapshot) => pieces_of_tables(&snapshot.holder, readings).await?,
        Side::Files(..) => {
            readings.iter().enumerate().map(|(at, reading)| Piece { at, from: From::File(reading.clone()) }).collect()
        }
    };
    let mut folds = readings.iter().map(|reading| make(reading.number)).collect::<Result<Vec<F>>>()?;
    let (send, mut taken) = tokio::sync::mpsc::channel::<(usize, F)>(16);
    let numbers = readings.iter().map(|reading| reading.number).collect();
    let work = Arc::new(Work { queue: Mutex::new(VecDeque::from(pieces)), make, numbers });
    let mut workers = tokio::task::JoinSet::new();
    match side {
        Side::Database(snapshot) => {
            for session in std::mem::take(&mut snapshot.workers) {
                let (work, send) = (Arc::clone(&work), send.clone());
                workers.spawn(async move {
                    work.read_tables(&session, &send).await.inspect_err(|_| work.give_up())?;
                    Ok::<_, anyhow::Error>(Some(session))
                });
            }
        }
        Side::Files(files, threads) => {
            for _ in 0..(*threads).max(1) {
                let (work, send, files) = (Arc::clone(&work), send.clone(), Arc::clone(files));
                workers.spawn_blocking(move || {
                    work.read_files(&files, &send).inspect_err(|_| work.give_up())?;
                    Ok(None)
                });
            }
        }
    }
    drop(send);
    while let Some((at, fold)) = taken.recv().await {
        folds[at].absorb(fold)?;
    }
    while let Some(ended) = workers.join_next().await {
        keep(side, ended.context("a reader of rows broke down")??);
    }
    if work.next().is_some() {
        bail!("not every piece of the tables was read");
    }
    Ok(folds)
}

fn keep(side: &mut Side, session: Option<crate::adapter::database::Session>) {
    if let (Side::Database(snapshot), Some(session)) = (side, session) {
        snapshot.workers.push(session);
    }
}

struct Piece {
    at: usize,
    from: From,
}

enum From {
    Query { query: String, about: String, is_binary: bool },
    File(Reading),
}

struct Work<F> {
    queue: Mutex<VecDeque<Piece>>,
    make: Make<F>,
    numbers: Vec<usize>,
}

type Taken<F> = tokio::sync::mpsc::Sender<(usize, F)>;

impl<F: Fold> Work<F> {
    fn next(&self) -> Option<Piece> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// One reader failed: what the others would still read is of no use.
    fn give_up(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn read_tables(&self, session: &Client, send: &Taken<F>) -> Result<()> {
        let mut current: Option<(usize, F)> = None;
        while let Some(piece) = self.next() {
            // Pieces come in the order of their tables: a worker holds one fold at a time.
            if let Some(done) = current.take_if(|(at, _)| *at != piece.at) {
                send.send(done).await.ok().context("the scan was given up")?;
            }
            let From::Query { query, about, is_binary } = piece.from else { continue };
            let (at, mut fold) = match current.take() {
                Some(current) => current,
                None => (piece.at, (self.make)(self.numbers[piece.at])?),
            };
            let read = if is_binary {
                stream_binary(session, &query, &mut fold).await
            } else {
                stream(session, &query, &mut fold).await
            };
            read.with_context(|| format!("cannot read {about} to its end"))?;
            current = Some((at, fold));
        }
        match current {
            Some(done) => send.send(done).await.ok().context("the scan was given up"),
            None => Ok(()),
        }
    }

    fn read_files(&self, files: &Exported, send: &Taken<F>) -> Result<()> {
        while let Some(Piece { at, from }) = self.next() {
            let From::File(reading) = from else { continue };
            let mut fold = (self.make)(self.numbers[at])?;
            files.read(&reading, &mut |row| fold.row(row))?;
            send.blocking_send((at, fold)).ok().context("the scan was given up")?;
        }
        Ok(())
    }
}

/// Hands every row of a `COPY … TO STDOUT` to a fold.
pub(in crate::rows) async fn stream<F: Fold>(session: &Client, copy: &str, fold: &mut F) -> Result<()> {
    let mut pieces = std::pin::pin!(session.copy_out(copy).await?);
    let mut rows = Rows::default();
    while let Some(piece) = pieces.try_next().await? {
        rows.feed(&piece, |row| fold.row(row))?;
    }
    if !rows.is_at_a_boundary() {
        bail!("the last row is not whole");
    }
    Ok(())
}

/// Hands every row of a `COPY … TO STDOUT (FORMAT binary)` to a fold, as it comes.
async fn stream_binary<F: Fold>(session: &Client, copy: &str, fold: &mut F) -> Result<()> {
    let mut pieces = std::pin::pin!(session.copy_out(copy).await?);
    let mut rows = Tuples::default();
    while let Some(piece) = pieces.try_next().await? {
        rows.feed(&piece, |row| fold.row(row).map_err(Failed)).map_err(|Failed(error)| error)?;
    }
    if !rows.is_whole() {
        bail!("the last row is not whole");
    }
    Ok(())
}

struct Failed(anyhow::Error);

impl std::convert::From<String> for Failed {
    fn from(words: String) -> Self {
        Self(anyhow::Error::msg(words))
    }
}

async fn pieces_of_tables(session: &Client, readings: &[Reading]) -> Result<Vec<Piece>> {
    let version: String = session.query_one("SHOW server_version_num", &[]).await?.try_get(0)?;
    let has_ranges = version.parse::<u32>().unwrap_or(0) >= RANGES_SINCE;
    let mut pieces = Vec::new();
    for (at, reading) in readings.iter().enumerate() {
        let table = &reading.table;
        let columns: Vec<String> = reading.columns.iter().map(|column| quoted(column)).collect();
        let columns = columns.join(", ");
        let (about, is_binary) = (table.name.to_string(), reading.is_binary);
        let to = if is_binary { "TO STDOUT (FORMAT binary)" } else { "TO STDOUT" };
        let piece = |query| Piece { at, from: From::Query { query, about: about.clone(), is_binary } };
        for (relation, blocks) in relations(session, table).await? {
            let mut from = 0;
            while has_ranges && from + BLOCKS < blocks {
                let query = format!(
                    "COPY (SELECT {columns} FROM {relation} WHERE ctid >= '({from},0)' AND ctid < '({},0)') {to}",
                    from + BLOCKS
                );
                pieces.push(piece(query));
                from += BLOCKS;
            }
            let rest = if from > 0 { format!(" WHERE ctid >= '({from},0)'") } else { String::new() };
            let query = format!("COPY (SELECT {columns} FROM {relation}{rest}) {to}");
            pieces.push(piece(query));
        }
    }
    Ok(pieces)
}

/// What holds the rows, with the blocks of each: the table itself, or its partitions.
async fn relations(session: &Client, table: &Table) -> Result<Vec<(String, u64)>> {
    const LEAVES: &str = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), c.relkind = 'r', \
        CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_relation_size(c.oid) ELSE 0 END \
        FROM pg_catalog.pg_partition_tree($1::pg_catalog.text::pg_catalog.regclass) t \
        JOIN pg_catalog.pg_class c ON c.oid = t.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE t.isleaf ORDER BY c.oid";
    const BLOCKS_NOW: &str = "SELECT pg_catalog.pg_relation_size($1::pg_catalog.text::pg_catalog.regclass)";
    let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0) / 8192;
    if table.storage == Storage::Partitioned {
        let leaves = session.query(LEAVES, &[&table.name.sql()]).await?;
        let leaf = |row: &tokio_postgres::Row| {
            let name: String = row.try_get(0)?;
            let relation = if row.try_get(1)? { format!("ONLY {name}") } else { name };
            Ok::<_, tokio_postgres::Error>((relation, size(row.try_get(2)?)))
        };
        return Ok(leaves.iter().map(leaf).collect::<Result<_, _>>()?);
    }
    let bytes: i64 = session.query_one(BLOCKS_NOW, &[&table.name.sql()]).await?.try_get(0)?;
    Ok(vec![(table.source(), size(bytes))])
}
