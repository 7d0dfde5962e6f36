//! Every file is read before anything changes: whole and unchanged by its SHA-256, and row by row where that tells more.
//!
//! Law: an error here leaves the target untouched.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::choose::FileTable;
use super::read;
use crate::adapter::files;
use crate::data::passage::{self, Passage, Passed};
use crate::data::plural::{counted, verb};
use crate::rows::Say;
use crate::rows::filling::Filling;
use crate::rows::progress::Meter;

/// After how many rows they are counted.
const TOLD: u64 = 4096;

/// That files were checked for a plan. The run that begins with it need not read them again, as long as nobody touched
/// one of them since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    identity: String,
    stamps: Vec<Stamp>,
    concerns: Vec<String>,
}

/// Which file stood under a name, and when it was touched last: nobody can set the time of a change of the inode.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    inode: (u64, u64),
    bytes: u64,
    changed: (i64, i64),
}

impl Checked {
    /// After the files were read; their stamps were taken before.
    pub(super) fn new(identity: String, stamps: Stamps, concerns: Vec<String>) -> Self {
        Self { identity, stamps: stamps.0, concerns }
    }

    /// What is to be known about the files, where they are still those.
    pub(super) fn still(&self, identity: &str, tables: &[FileTable]) -> Result<Option<Vec<String>>> {
        let is_same = self.identity == identity && stamps(tables)?.0 == self.stamps;
        Ok(is_same.then(|| self.concerns.clone()))
    }
}

/// The stamps of some files.
pub(super) struct Stamps(Vec<Stamp>);

/// The stamps of the tables' files as they are now.
pub(super) fn stamps(tables: &[FileTable]) -> Result<Stamps> {
    let stamp = |table: &FileTable| -> Result<Stamp> {
        let path = &table.path;
        let seen = std::fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
        let changed = (seen.ctime(), seen.ctime_nsec());
        Ok(Stamp { path: path.clone(), inode: (seen.dev(), seen.ino()), bytes: seen.len(), changed })
    };
    tables.iter().map(stamp).collect::<Result<_>>().map(Stamps)
}

/// What is looked at of one file.
struct Look {
    source: read::Source,
    sha256: Option<String>,
    bytes: Option<u64>,
    /// Whether its rows are read, not its bytes alone.
    passage: Option<Passage>,
}

impl Look {
    /// How often its bytes are read.
    fn passes(&self) -> u64 {
        u64::from(self.sha256.is_some()) + u64::from(self.passage.is_some())
    }
}

/// What was seen.
struct Seen {
    passed: Option<Passed>,
    doubts: Vec<String>,
}

/// Checks all files side by side; gives what is to be known about them.
pub(super) async fn all(tables: &mut [FileTable], filling: &Filling, say: Say<'_>) -> Result<Vec<String>> {
    say(format!("checking {}", counted(tables.len(), "file")));
    let room = Arc::new(Semaphore::new(filling.workers.max(1)));
    let mut set = JoinSet::new();
    let looks: Vec<Look> = tables.iter().map(|table| look(table, filling)).collect();
    let sizes = tables.iter().zip(&looks).map(|(table, look)| (table.file_name(), look.passes() * table.bytes));
    let meter = Arc::new(Meter::new("checked", sizes));
    for (at, look) in looks.into_iter().enumerate() {
        let (room, meter) = (Arc::clone(&room), Arc::clone(&meter));
        set.spawn(async move {
            let _permit = room.acquire_owned().await?;
            tokio::task::spawn_blocking(move || one(look, at, &meter).map(|seen| (at, seen))).await?
        });
    }
    meter.watch(say, gathered(tables, set)).await
}

/// What is looked at of a table's file.
fn look(table: &FileTable, filling: &Filling) -> Look {
    // Rows of others' files are read in any case: what they may have meant otherwise must be said.
    let is_read = filling.is_dry_run || !table.passage.users.is_empty() || !table.known.is_ours();
    Look {
        source: read::Source::of(table),
        sha256: table.known.sha256.clone(),
        bytes: table.known.bytes,
        passage: is_read.then(|| table.passage.clone()),
    }
}

async fn gathered(tables: &mut [FileTable], mut set: JoinSet<Result<(usize, Seen)>>) -> Result<Vec<String>> {
    let (mut concerns, mut refused) = (Vec::new(), Vec::new());
    while let Some(ended) = set.join_next().await {
        let (at, seen) = ended.context("checking a file was ended").and_then(|end| end)?;
        let table = &mut tables[at];
        concerns.extend(seen.doubts);
        let Some(passed) = seen.passed else { continue };
        if let Some(words) = passage::refused(&table.passage.users, &passed.unmapped) {
            refused.push(format!("{}: {words}", table.file_name()));
        }
        for (column, found) in &passed.unmapped {
            if let Some(user) = table.passage.users.iter().find(|user| &user.name == column && user.is_unmapped_allowed)
            {
                concerns.push(format!(
                    "{}: {} {} an id without an account in {}, as allowed",
                    table.table.name,
                    counted(found.rows, "row"),
                    verb(found.rows, "keeps", "keep"),
                    user.name
                ));
            }
        }
        if let Some(rows) = table.known.row_count
            && rows != passed.sum.rows
        {
            let held = counted(passed.sum.rows, "row");
            bail!("{}: holds {held}, but metadata.json says {rows}", table.file_name());
        }
        table.passed = Some(passed);
    }
    if !refused.is_empty() {
        refused.sort();
        bail!("{}; map the users first, or allow such ids by column in data.unmapped", refused.join("; "));
    }
    concerns.sort();
    Ok(concerns)
}

fn one(look: Look, at: usize, meter: &Arc<Meter>) -> Result<Seen> {
    if let Some(expected) = &look.sha256 {
        let count = |bytes| meter.add(at, 0, bytes);
        let (found, bytes) = files::sha256_of_file_counted(&look.source.path, count)?;
        if &found != expected {
            let name = &look.source.name;
            match look.bytes {
                Some(known) if known != bytes => {
                    bail!(
                        "{name}: is {bytes} bytes long where metadata.json says {known}: it was cut off or edited; export again"
                    )
                }
                _ => bail!(
                    "{name}: was edited since it was exported (its SHA-256 is not that of metadata.json); export again"
                ),
            }
        }
    }
    let Some(passage) = look.passage else { return Ok(Seen { passed: None, doubts: Vec::new() }) };
    let counting = Arc::clone(meter);
    let mut decoder = look.source.decoder(Box::new(move |bytes| counting.add(at, 0, bytes)))?;
    let (mut passed, mut row, mut mapped, mut told) = (Passed::default(), Vec::new(), Vec::new(), 0);
    loop {
        row.clear();
        if !decoder.row(&mut row)? {
            meter.add(at, passed.sum.rows - told, 0);
            return Ok(Seen { passed: Some(passed), doubts: decoder.doubts() });
        }
        passage.row(&row, &mut mapped, &mut passed);
        if passed.sum.rows - told >= TOLD {
            meter.add(at, passed.sum.rows - told, 0);
            told = passed.sum.rows;
        }
    }
}
