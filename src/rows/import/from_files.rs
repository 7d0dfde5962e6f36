//! From `migration-data/` into the target: every file whole, every id mapped, every column known before anything changes.
//!
//! Law: what `metadata.json` says of a file is seen to be true, or nothing is changed. Files of other tools say less; what
//! could not be checked is said.

mod check;
mod choose;
mod identity;
mod read;

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub use self::check::Checked;
use self::choose::{Chosen, FileTable};
pub use self::identity::identity;
use super::course::{Course, first_full, follow};
use super::hold::Hold;
use super::journal;
use super::outside::in_the_way;
use super::{Imported, ImportedTable};
use crate::adapter::database::Place;
use crate::data::catalog::{Catalog, Sequence, Table};
use crate::data::metadata::Metadata;
use crate::rows::filling::{Coming, Filling, Outlook};
use crate::rows::sequences::{self, Position};
use crate::rows::{Say, catalog};

/// What is imported, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// `data.directory`: where the files are.
    pub directory: PathBuf,
    /// How the target is filled.
    pub filling: Filling,
    /// That the files were checked a moment ago, by this process.
    #[serde(skip)]
    pub checked: Option<Checked>,
}

/// Imports the files into the target; tables must be empty there, unless they are to be emptied first. After a kill or a
/// lost connection (`is_interrupted`) call again: it goes on with the chunks that are not in the target yet. Any other
/// failure takes everything back.
///
/// # Errors
/// When a file is not what `metadata.json` says, a column or table is missing, an id has no account (all said before
/// anything is changed), a row or a constraint refuses, another import is under way, or the target cannot be reached.
pub async fn import(target: &Place, options: &Options, say: Say<'_>) -> Result<Imported> {
    let filling = &options.filling;
    filling.refuse_loss()?;
    let (metadata, to, Chosen { mut tables, mut concerns }) = chosen(target, options).await?;
    if filling.is_disabling_foreign_keys {
        concerns.push("foreign keys: are set aside in any case, and validated when they come back".into());
    }
    tables.sort_by_key(|table| std::cmp::Reverse(table.bytes));
    let identity = identity(options, say).await?;
    let still = options.checked.as_ref().filter(|_| !filling.is_dry_run);
    let still = still.map(|checked| checked.still(&identity, &tables)).transpose()?.flatten();
    concerns.extend(match still {
        Some(known) => known,
        None => check::all(&mut tables, filling, say).await?,
    });
    let (sequences, derived) = positions(&metadata, &to, &tables, filling);
    if filling.is_dry_run {
        return Ok(planned(&tables, sequences.len() + derived.len(), concerns));
    }
    let course = Course {
        identity,
        sequences,
        derived,
        workers: filling.workers.max(1),
        is_truncating: filling.is_truncating_first,
        is_repeatable: true,
        state: filling.state.clone(),
        baselines: filling.baselines.clone(),
        concerns,
    };
    let mut lanes = Vec::new();
    let mut sources = Vec::new();
    for table in tables {
        let (lane, source) = table.parted(filling)?;
        lanes.push(lane);
        sources.push(source);
    }
    let mut hold = Hold::take(target, &filling.session).await?;
    follow(&mut hold, target, course, lanes, Vec::new(), read::producer(sources), say).await
}

/// The files and their tables, as they would be filled if none of them were filled by half.
async fn chosen(target: &Place, options: &Options) -> Result<(Metadata, Catalog, Chosen)> {
    let filling = &options.filling;
    let (mapping, _) = filling.mapping()?;
    let metadata = choose::metadata(&options.directory)?;
    let session = target.connect(&filling.session).await?;
    let users_table = filling.users_table()?;
    let mut to = catalog::read(&session, &filling.patterns()?, &users_table).await.context("the target")?;
    journal::as_before(&session, &mut to).await?;
    let chosen = choose::tables(options, &metadata, &to, &mapping)?;
    Ok((metadata, to, chosen))
}

/// Reads every file as an import would, and changes nothing: what an import would be refused for is told before it begins.
///
/// # Errors
/// When a file is not what `metadata.json` says, or an id has no account.
pub async fn checked(target: &Place, options: &Options, say: Say<'_>) -> Result<Checked> {
    let (_, _, Chosen { mut tables, .. }) = chosen(target, options).await?;
    let (identity, stamps) = (identity(options, say).await?, check::stamps(&tables)?);
    let concerns = check::all(&mut tables, &options.filling, say).await?;
    Ok(Checked::new(identity, stamps, concerns))
}

/// What an import would find: its tables with what `metadata.json` says of them, and whether one of them holds rows.
/// Reads the catalog of the target and `metadata.json`; changes nothing.
///
/// # Errors
/// When a file or a table is missing, or the target cannot be reached.
pub async fn outlook(target: &Place, options: &Options) -> Result<Outlook> {
    let filling = &options.filling;
    let (mapping, _) = filling.mapping()?;
    let metadata = choose::metadata(&options.directory)?;
    let session = target.connect(&filling.session).await?;
    let to = catalog::read(&session, &filling.patterns()?, &filling.users_table()?).await.context("the target")?;
    let Chosen { tables, concerns } = choose::tables(options, &metadata, &to, &mapping)?;
    let coming = tables.iter().map(|table| Coming {
        table: table.table.name.clone(),
        rows: table.known.row_count,
        bytes: table.bytes,
    });
    let targets: Vec<Table> = tables.iter().map(|table| table.table.clone()).collect();
    let outsider = in_the_way(&session, filling, &targets).await?;
    Ok(Outlook { tables: coming.collect(), concerns, full: first_full(&session, &targets).await?, outsider })
}

/// Where the target's sequences must stand: where `metadata.json` says, else behind the largest value of their column.
fn positions(
    metadata: &Metadata,
    to: &Catalog,
    tables: &[FileTable],
    filling: &Filling,
) -> (Vec<Position>, Vec<Sequence>) {
    let is_chosen = |sequence: &Sequence| match &sequence.owner {
        Some((table, _)) => tables.iter().any(|chosen| &chosen.table.name == table),
        None => filling.tables.is_empty(),
    };
    let mut positions: Vec<Position> = Vec::new();
    for sequence in metadata.sequences.iter().filter(|sequence| is_chosen(sequence)) {
        if let Some(partner) = sequences::partner(sequence, &to.sequences) {
            positions.push(Position { name: partner.name.clone(), ..Position::of(sequence) });
        }
    }
    let is_set = |sequence: &Sequence| positions.iter().any(|position| position.name == sequence.name);
    let rest =
        to.sequences.iter().filter(|sequence| sequence.owner.is_some() && is_chosen(sequence) && !is_set(sequence));
    let derived = rest.cloned().collect();
    (positions, derived)
}

fn planned(tables: &[FileTable], sequences: usize, concerns: Vec<String>) -> Imported {
    let table = |table: &FileTable| ImportedTable {
        table: table.table.name.clone(),
        columns: table.columns.iter().map(|column| column.name.clone()).collect(),
        rows: table.passed.as_ref().map_or(0, |passed| passed.sum.rows),
        bytes: table.bytes,
        seconds: 0.0,
        digest: table.passed.as_ref().map(|passed| passed.sum),
        is_read: true,
    };
    Imported { tables: tables.iter().map(table).collect(), sequences, concerns, seconds: 0.0 }
}
