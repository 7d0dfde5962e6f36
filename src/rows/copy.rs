//! Source to target without files: one snapshot for all readers, rows piped as they come, the same guarantees as an import.
//!
//! Law: every row of the snapshot is in the target once. Rows whose text needs no look pass unread, in the server's binary
//! form where both servers understand it alike.

mod binary;
mod lanes;
mod snapshot;

use std::sync::Arc;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use self::lanes::Way;
use super::filling::{self, Coming, Filling, Outlook};
use super::import::{Course, Floor, Hold, Imported, Producer, Rows, Unit, as_before, first_full, follow, in_the_way};
use super::{catalog, sequences};
use crate::adapter::database::Place;
use crate::adapter::files;

/// What is copied, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// How the target is filled.
    pub filling: Filling,
    /// Whether nobody can write into the source, which the caller saw: then a call after a kill goes on with what the
    /// first one loaded. Otherwise it begins anew, for its snapshot is another one.
    pub is_source_frozen: bool,
}

/// What a copy is known by: the same for the same source, tables, mapping and user columns.
///
/// # Errors
/// When the mapping cannot be read.
pub fn identity(source: &Place, options: &Options) -> Result<String> {
    let (_, mapping) = options.filling.mapping()?;
    let filling = &options.filling;
    let known = serde_json::json!({
        "copy": source.shown(), "include": filling.include, "exclude": filling.exclude, "tables": filling.tables,
        "mapping": mapping, "userColumns": filling.user_columns, "usersTable": filling.users_table,
        "emptiedUnder": filling.emptied_under(),
    });
    Ok(files::sha256(known.to_string().as_bytes()))
}

/// Copies the tables from the source into the target; tables must be empty there, unless they are to be emptied first.
/// After a kill or a lost connection (`import::is_interrupted`) call again: with a frozen source it goes on, otherwise it
/// empties what it loaded and loads anew. A failure takes everything back.
///
/// # Errors
/// When something cannot be moved (said before anything is changed), an id has no account, a row or a constraint refuses,
/// another import is under way, or a server cannot be reached.
pub async fn copy(
    source: &Place,
    target: &Place,
    options: &Options,
    say: &(dyn Fn(String) + Sync),
) -> Result<Imported> {
    let filling = &options.filling;
    filling.refuse_loss()?;
    let patterns = filling.patterns()?;
    let users_table = filling.users_table()?;
    let (mapping, _) = filling.mapping()?;
    let holder = snapshot::Holder::open(source, &filling.session).await?;
    let (mut from, to) = tokio::try_join!(
        async { catalog::read(&holder.session, &patterns, &users_table).await.context("the source") },
        async {
            let session = target.connect(&filling.session).await?;
            let mut to = catalog::read(&session, &patterns, &users_table).await.context("the target")?;
            as_before(&session, &mut to).await?;
            Ok(to)
        },
    )?;
    let concerns = filling::concerns(&[&from], catalog::compare(&from, &to))?;
    holder.lock(&from.tables).await?;
    from.tables.sort_by_key(|table| std::cmp::Reverse(table.bytes));
    let ways = lanes::ways(&holder.session, &from, &to, filling, &users_table, &mapping).await?;
    lanes::refuse_unmapped(&holder.session, &ways).await?;
    let positions = positions(&holder, &from, &to).await?;
    if filling.is_dry_run {
        return Ok(lanes::planned(&ways, positions.len(), concerns));
    }
    let workers = filling.workers.max(1);
    let sources = holder.readers(workers).await?;
    let course = Course {
        identity: identity(source, options)?,
        sequences: positions,
        derived: Vec::new(),
        workers,
        is_truncating: filling.is_truncating_first,
        is_repeatable: options.is_source_frozen,
        state: filling.state.clone(),
        baselines: filling.baselines.clone(),
        concerns,
    };
    let (lanes, ranges): (Vec<_>, Vec<_>) = ways.into_iter().map(Way::parted).unzip();
    let mut hold = Hold::take(target, &filling.session).await?;
    follow(&mut hold, target, course, lanes, sources, producer(ranges), say).await
}

/// What a copy would find: its tables with the planner's estimates, and whether one of them holds rows in the target.
/// Reads both catalogs; changes nothing.
///
/// # Errors
/// When something cannot be moved, or a server cannot be reached.
pub async fn outlook(source: &Place, target: &Place, options: &Options) -> Result<Outlook> {
    let filling = &options.filling;
    let (patterns, users_table) = (filling.patterns()?, filling.users_table()?);
    let (from, session) = tokio::try_join!(source.connect(&filling.session), target.connect(&filling.session))?;
    let (from, to) =
        tokio::try_join!(async { catalog::read(&from, &patterns, &users_table).await.context("the source") }, async {
            catalog::read(&session, &patterns, &users_table).await.context("the target")
        },)?;
    let concerns = filling::concerns(&[&from], catalog::compare(&from, &to))?;
    let coming = from.tables.iter().map(|table| Coming {
        table: table.name.clone(),
        rows: u64::try_from(table.rows_estimate).ok(),
        bytes: table.bytes,
    });
    let targets: Vec<_> = from.tables.iter().filter_map(|table| to.table(&table.name).cloned()).collect();
    let outsider = in_the_way(&session, filling, &targets).await?;
    Ok(Outlook { tables: coming.collect(), concerns, full: first_full(&session, &targets).await?, outsider })
}

/// Where the target's sequences must stand: where the source's do.
async fn positions(
    holder: &snapshot::Holder,
    from: &crate::data::catalog::Catalog,
    to: &crate::data::catalog::Catalog,
) -> Result<Vec<sequences::Position>> {
    let pairs: Vec<_> = from
        .sequences
        .iter()
        .filter_map(|sequence| Some((sequence.name.clone(), sequences::partner(sequence, &to.sequences)?.name.clone())))
        .collect();
    let names: Vec<_> = pairs.iter().map(|(name, _)| name.clone()).collect();
    let read = sequences::read(&holder.session, &names).await.context("the source")?;
    let moved = read.into_iter().zip(pairs).map(|(position, (_, name))| sequences::Position { name, ..position });
    Ok(moved.collect())
}

/// Hands out the ranges, table by table.
fn producer(ranges: Vec<Vec<String>>) -> Producer {
    Box::new(move |floor: Arc<Floor>| {
        Box::pin(async move {
            for (lane, selects) in ranges.into_iter().enumerate() {
                for (part, select) in (0i64..).zip(selects) {
                    let unit = Unit { part, first: 0, is_in_target: false, rows: Rows::Range(select) };
                    floor.offer(lane, unit).await?;
                }
                floor.close(lane);
            }
            Ok(())
        })
    })
}
