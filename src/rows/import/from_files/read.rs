//! Files into chunks: one thread reads them all, one after the other, and cuts them between rows; workers decode.
//!
//! Law: the same file gives the same chunks, so that a second call knows which of them are in the target.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::runtime::Handle;

use super::choose::FileTable;
use crate::data::catalog::Column;
use crate::data::json_rows::{Decoder, EMPTY, OPENING, Reading};
use crate::rows::import::floor::{Floor, Producer};
use crate::rows::import::load::{Rows, Unit};

/// Bytes of a chunk, about. Part of the format: another number would give other chunks after a kill.
const CHUNK: usize = 4 << 20;
/// What our own files end with.
const END: &[u8] = b"]\n";

/// A file of rows.
pub(super) struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in messages.
    pub name: String,
    /// Its columns.
    pub readable: Vec<Column>,
    /// How it is to be read.
    pub reading: Reading,
}

impl Source {
    pub(super) fn of(table: &FileTable) -> Self {
        let (path, readable) = (table.path.clone(), table.readable.clone());
        Self { path, name: table.file_name(), readable, reading: table.reading() }
    }

    /// What decodes its rows; `each` hears how many bytes of the file were read.
    pub(super) fn decoder(&self, each: Each) -> Result<Decoder<Box<dyn Read + Send>>> {
        Ok(Decoder::new(counted(&self.path, each)?, self.name.clone(), &self.readable, self.reading))
    }
}

/// Hears how many bytes were read, again and again.
pub(super) type Each = Box<dyn Fn(u64) + Send>;

struct Counting {
    file: File,
    each: Each,
}

impl Read for Counting {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(into)?;
        (self.each)(read as u64);
        Ok(read)
    }
}

/// Opens a file of rows, compressed or not.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read + Send>> {
    counted(path, Box::new(|_| ()))
}

fn counted(path: &Path, each: Each) -> Result<Box<dyn Read + Send>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = Counting { file, each };
    if path.extension().is_some_and(|extension| extension == "zst") {
        let decoder = zstd::Decoder::new(file).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(Box::new(decoder));
    }
    Ok(Box::new(BufReader::with_capacity(256 << 10, file)))
}

/// Reads the files in the order of the lanes.
pub(super) fn producer(sources: Vec<Source>) -> Producer {
    Box::new(move |floor: Arc<Floor>| {
        Box::pin(async move {
            let handle = Handle::current();
            let reading = tokio::task::spawn_blocking(move || -> Result<()> {
                for (lane, source) in sources.iter().enumerate() {
                    let mut part = 0;
                    let mut offer = |first: u64, rows: Rows| {
                        let unit = Unit { part, first, is_in_target: false, rows };
                        part += 1;
                        handle.block_on(floor.offer(lane, unit))
                    };
                    let cut = if source.reading.is_ours { lines(source, &mut offer) } else { text(source, &mut offer) };
                    cut.with_context(|| source.name.clone())?;
                    floor.close(lane);
                }
                Ok(())
            });
            reading.await?
        })
    })
}

/// Our own files: a row per line, cut without a look into the rows.
fn lines(source: &Source, offer: &mut dyn FnMut(u64, Rows) -> Result<()>) -> Result<()> {
    let mut input = open(&source.path)?;
    let (mut first, mut text, mut is_opened) = (1, Vec::with_capacity(CHUNK + CHUNK / 4), false);
    loop {
        let read = (&mut input).take(CHUNK as u64).read_to_end(&mut text)?;
        if !is_opened {
            if text == EMPTY {
                return Ok(());
            }
            if !text.starts_with(OPENING) {
                bail!("it does not begin as a file of cutover does, although metadata.json says that it is one");
            }
            text.drain(..OPENING.len());
            is_opened = true;
        }
        if read == 0 {
            let Some(rows) = text.strip_suffix(END).filter(|rows| rows.is_empty() || rows.ends_with(b"\n")) else {
                bail!("it is cut off: it ends without its closing `]`");
            };
            return if rows.is_empty() { Ok(()) } else { offer(first, Rows::Lines(rows.to_vec())) };
        }
        // The last line may be the end of the file; it is looked at when the end was seen.
        let Some(end) = text.len().checked_sub(END.len()).and_then(|end| memchr::memrchr(b'\n', &text[..end])) else {
            continue;
        };
        let rest = text.split_off(end + 1);
        let mut rows = std::mem::replace(&mut text, Vec::with_capacity(CHUNK + CHUNK / 4));
        text.extend_from_slice(&rest);
        rows.truncate(end + 1);
        let count = memchr::memchr_iter(b'\n', &rows).count() as u64;
        offer(first, Rows::Lines(rows))?;
        first += count;
    }
}

/// Files of others: decoded here, for where a row ends is known only by reading it.
fn text(source: &Source, offer: &mut dyn FnMut(u64, Rows) -> Result<()>) -> Result<()> {
    let mut decoder = source.decoder(Box::new(|_| ()))?;
    let (mut first, mut text) = (1, Vec::with_capacity(CHUNK + CHUNK / 4));
    loop {
        let is_row = decoder.row(&mut text)?;
        if is_row {
            text.push(b'\n');
        }
        if !text.is_empty() && (text.len() >= CHUNK || !is_row) {
            let rows = std::mem::replace(&mut text, Vec::with_capacity(CHUNK + CHUNK / 4));
            offer(first, Rows::Text(rows))?;
            first = decoder.rows() + 1;
        }
        if !is_row {
            return Ok(());
        }
    }
}
