//! One table's file: what its pieces give, in order, digested on the way, on the disk before it gets its name.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::worker::Block;
use crate::adapter::files;
use crate::data::digest::Sum;
use crate::data::json_rows::{BETWEEN, CLOSING, EMPTY, OPENING};

/// What was written of a table.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// Rows, and their order-free digest.
    pub sum: Sum,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// A file that is digested while it is written.
pub(crate) struct Output {
    file: File,
    digest: Sha256,
    bytes: u64,
    is_compressed: bool,
}

impl Output {
    /// A new private file, or an old one cut to nothing.
    pub(crate) fn create(path: &Path, is_compressed: bool) -> Result<Self> {
        Ok(Self { file: files::create_private(path)?, digest: Sha256::new(), bytes: 0, is_compressed })
    }

    /// Writes bytes as they are.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes text, as a frame of its own where the file is compressed.
    fn put_text(&mut self, text: &[u8]) -> std::io::Result<()> {
        if self.is_compressed { self.put(&zstd::bulk::compress(text, 1)?) } else { self.put(text) }
    }

    /// Brings it to the disk, and gives its size and digest.
    pub(crate) fn finish(self) -> std::io::Result<(u64, String)> {
        self.file.sync_data()?;
        Ok((self.bytes, files::hex(&self.digest.finalize())))
    }
}

/// Writes a file aside and gives it its name when it is whole. Nothing is given when a piece ended without its end: then
/// whoever read it says why.
pub(super) fn write(path: &Path, pieces: Vec<mpsc::Receiver<Block>>, is_compressed: bool) -> Result<Option<Written>> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let aside = path.with_file_name(format!(".new-{name}"));
    let done = fill(&aside, pieces, is_compressed);
    if !matches!(done, Ok(Some(_))) {
        files::remove_if_there(&aside)?;
        return done;
    }
    std::fs::rename(&aside, path).with_context(|| format!("cannot give {} its name", path.display()))?;
    done
}

fn fill(path: &Path, pieces: Vec<mpsc::Receiver<Block>>, is_compressed: bool) -> Result<Option<Written>> {
    let cannot = || format!("cannot write {}", path.display());
    let mut output = Output::create(path, is_compressed)?;
    let mut sum = Sum::default();
    let mut is_begun = false;
    for mut piece in pieces {
        let mut is_first = true;
        loop {
            match piece.blocking_recv() {
                None => return Ok(None),
                Some(Block::End(of_piece, permit)) => {
                    sum += of_piece;
                    drop(permit);
                    break;
                }
                Some(Block::Rows(rows)) => {
                    if is_first {
                        output.put_text(if is_begun { BETWEEN } else { OPENING }).with_context(cannot)?;
                    }
                    (is_first, is_begun) = (false, true);
                    output.put(&rows).with_context(cannot)?;
                }
            }
        }
    }
    output.put_text(if is_begun { CLOSING } else { EMPTY }).with_context(cannot)?;
    let (bytes, sha256) = output.finish().with_context(cannot)?;
    Ok(Some(Written { sum, bytes, sha256 }))
}
