//! What a table's rows are when the import ends: the baseline from which later writes are told apart.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use super::load::Lane;
use crate::adapter::files;
use crate::data::catalog::Table;
use crate::data::sidecar::{Heading, Sidecar};

/// Bytes held in memory for a table, before they go to a file.
const ROOM: usize = 8 << 20;

/// The rows' takers of a table whose rows come with these columns.
pub(crate) fn taker(table: &Table, columns: &[String], directory: &Path) -> Result<Mutex<Sidecar>> {
    files::make_private_directory(directory)?;
    let scratch =
        tempfile::tempfile_in(directory).with_context(|| format!("cannot write into {}", directory.display()))?;
    Ok(Mutex::new(Sidecar::new(heading(table, columns), scratch, ROOM)))
}

fn heading(table: &Table, columns: &[String]) -> Heading {
    Heading { table: table.name.clone(), key: table.identity().to_vec(), columns: columns.to_vec() }
}

/// Counts the bytes that go into a file.
struct Counting<'a> {
    file: &'a File,
    written: &'a AtomicU64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = (&mut &*self.file).write(bytes)?;
        self.written.fetch_add(written as u64, Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        (&mut &*self.file).flush()
    }
}

/// Writes the file of a table whose rows are all in, and counts the bytes that are written.
pub(super) async fn write(lane: &Lane, directory: &Path, written: Arc<AtomicU64>) -> Result<()> {
    let Some(sidecar) = &lane.sidecar else { return Ok(()) };
    let columns: Vec<String> = lane.columns.iter().map(|column| column.name.clone()).collect();
    let heading = heading(&lane.table, &columns);
    let path = directory.join(heading.file_name());
    let scratch = tempfile::tempfile_in(directory).context("cannot write a baseline")?;
    let taken = {
        let mut sidecar = sidecar.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *sidecar, Sidecar::new(heading, scratch, ROOM))
    };
    let directory = directory.to_owned();
    let done = tokio::task::spawn_blocking(move || -> Result<()> {
        // Readable by the owner alone, as such files are made.
        let aside = tempfile::NamedTempFile::new_in(&directory)?;
        taken.finish(Counting { file: aside.as_file(), written: &written })?;
        let file: File = aside.persist(&path).map_err(|error| error.error)?;
        file.sync_all()?;
        files::sync_directory(&directory)?;
        Ok(())
    });
    done.await?.with_context(|| format!("cannot write the baseline of {}", lane.name()))
}
