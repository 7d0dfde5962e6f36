//! One connection that reads piece after piece: COPY text comes in, blocks of JSON rows go out to the table's writer.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Options;
use super::pieces::{Piece, Plan, Planned};
use super::writer::{self, Written};
use crate::adapter::database::Session;
use crate::data::copy_text::Rows;
use crate::data::digest::{self, Sum};
use crate::data::json_rows::{BETWEEN, Encoder};
use crate::rows::progress::Meter;

/// The size from which rows are handed over, in bytes: small enough to stay in the processor's cache.
const BLOCK: usize = 256 << 10;

/// What a piece gives.
pub(super) enum Block {
    /// Rows with what stands between them, as they are to be written.
    Rows(Vec<u8>),
    /// It was read to its end. The permit goes back when the piece is written.
    End(Sum, OwnedSemaphorePermit),
}

/// How a table ended: its place in the plan, and what was written of it.
pub(super) type Ended = (usize, Result<Written>);

/// What the workers have in common.
pub(super) struct Shared {
    pieces: Mutex<VecDeque<Piece>>,
    outputs: Mutex<Vec<Vec<mpsc::Receiver<Block>>>>,
    tables: Vec<Planned>,
    encoders: Vec<Encoder>,
    paths: Vec<PathBuf>,
    /// Bounds what is read and not yet written. A permit is taken before the next piece is, so the piece that a writer
    /// waits for always has one.
    window: Arc<Semaphore>,
    meter: Arc<Meter>,
    results: mpsc::UnboundedSender<Ended>,
    is_compressed: bool,
    is_checked: bool,
}

impl Shared {
    pub(super) fn new(
        plan: Plan,
        options: &Options,
        meter: Arc<Meter>,
        results: mpsc::UnboundedSender<Ended>,
        is_checked: bool,
    ) -> Self {
        let encoder = |planned: &Planned| Encoder::new(planned.table.moved().map(|column| column.name.as_str()));
        Self {
            encoders: plan.tables.iter().map(encoder).collect(),
            paths: plan
                .tables
                .iter()
                .map(|planned| options.directory.join(options.file_name(&planned.table)))
                .collect(),
            pieces: Mutex::new(plan.pieces),
            outputs: Mutex::new(plan.outputs),
            tables: plan.tables,
            window: Arc::new(Semaphore::new(options.workers.max(1) * 2)),
            meter,
            results,
            is_compressed: options.is_compressed,
            is_checked,
        }
    }

    fn next(&self) -> Option<Piece> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Starts the writer of a table, once.
    fn begin(self: &Arc<Self>, index: usize) {
        let inputs = std::mem::take(&mut self.outputs.lock().unwrap_or_else(PoisonError::into_inner)[index]);
        if inputs.is_empty() {
            return;
        }
        let at = self.tables[index].at;
        self.meter.begin(at);
        let (path, is_compressed) = (self.paths[index].clone(), self.is_compressed);
        let (meter, results) = (Arc::clone(&self.meter), self.results.clone());
        tokio::task::spawn_blocking(move || {
            let written = writer::write(&path, inputs, is_compressed);
            // A worker that failed says why; its writer has nothing to add.
            if let Some(written) = written.transpose() {
                meter.end(at);
                drop(results.send((index, written)));
            }
        });
    }
}

/// Reads pieces until there are no more.
pub(super) async fn work(session: Session, shared: Arc<Shared>) -> Result<()> {
    loop {
        let permit = Arc::clone(&shared.window).acquire_owned().await.context("the window was closed")?;
        let Some(piece) = shared.next() else { return Ok(()) };
        shared.begin(piece.index);
        let name = &shared.tables[piece.index].table.name;
        let read = read(&session, &shared, &piece, permit).await;
        if !read.with_context(|| format!("cannot read the table {name}"))? {
            // The writer is gone; it says why.
            return Ok(());
        }
    }
}

/// Reads one piece; false when nobody takes what is read.
async fn read(session: &Session, shared: &Shared, piece: &Piece, permit: OwnedSemaphorePermit) -> Result<bool> {
    let stream = session.copy_out(&piece.statement).await.map_err(explained)?;
    let mut stream = std::pin::pin!(stream);
    let (mut rows, mut sum) = (Rows::default(), Sum::default());
    let (encoder, at) = (&shared.encoders[piece.index], shared.tables[piece.index].at);
    let mut compressor = shared.is_compressed.then(|| zstd::bulk::Compressor::new(1)).transpose()?;
    let size = if shared.is_compressed { BLOCK * 4 } else { BLOCK };
    let mut block = Vec::with_capacity(size + (size >> 2));
    let (mut bytes, mut counted) = (0, Sum::default());
    while let Some(part) = stream.next().await {
        let part = part.map_err(explained)?;
        bytes += part.len() as u64;
        rows.feed(&part, |row| {
            if shared.is_checked && std::str::from_utf8(row).is_err() {
                bail!(
                    "row {} of a piece is not UTF-8; the database's encoding is SQL_ASCII, so nobody checked it",
                    sum.rows + 1
                );
            }
            // What stands before the first row of a piece is the writer's: it knows whether there was one before.
            if sum.rows > 0 {
                block.extend_from_slice(BETWEEN);
            }
            sum.add(digest::of_row(row));
            encoder.row(row, &mut block).map_err(|words| anyhow!(words))
        })?;
        if block.len() >= size {
            let full = packed(&mut compressor, std::mem::replace(&mut block, Vec::with_capacity(size + (size >> 2))))?;
            shared.meter.add(at, sum.rows - counted.rows, bytes);
            (counted, bytes) = (sum, 0);
            if piece.output.send(Block::Rows(full)).await.is_err() {
                return Ok(false);
            }
        }
    }
    if !rows.is_at_a_boundary() {
        bail!("the server stopped in the middle of a row");
    }
    shared.meter.add(at, sum.rows - counted.rows, bytes);
    if !block.is_empty() && piece.output.send(Block::Rows(packed(&mut compressor, block)?)).await.is_err() {
        return Ok(false);
    }
    Ok(piece.output.send(Block::End(sum, permit)).await.is_ok())
}

fn packed(compressor: &mut Option<zstd::bulk::Compressor<'_>>, block: Vec<u8>) -> Result<Vec<u8>> {
    match compressor {
        Some(compressor) => compressor.compress(&block).context("cannot compress"),
        None => Ok(block),
    }
}

/// The server's own words, and what they mean here.
fn explained(error: tokio_postgres::Error) -> anyhow::Error {
    let Some(database) = error.as_db_error() else {
        let words =
            if error.is_closed() { "the connection to the source was lost" } else { "the source did not answer" };
        return anyhow::Error::new(error).context(words);
    };
    let said = database.message().to_owned();
    match database.code().code() {
        "42501" if said.contains("row-level security") || said.contains("row security") => {
            anyhow!("row security hides rows from this role ({said}); export as the owner or as a role with BYPASSRLS")
        }
        "42501" => anyhow!("{said}; GRANT SELECT on it to this role"),
        "55P03" => anyhow!("{said}: another session holds a lock on it; wait for it or end it"),
        "57P01" | "57P02" | "57P03" => anyhow!("the server was shut down meanwhile ({said}); start the export again"),
        "72000" | "40001" => {
            anyhow!("{said}: the source is a standby that had to go on; try again, or use the primary")
        }
        _ => anyhow::Error::new(error).context(said),
    }
}
