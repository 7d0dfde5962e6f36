//! How old the youngest proof is that what the target holds can be had again: a backup, an export, or a file of changes
//! that is still there, whole. Read from the journals; what cannot be read counts for nothing.

use std::path::Path;

use anyhow::{Context, Result};

use crate::journal::ItemState;
use crate::journal::runs::{self, RunFile, side_directory};
use crate::journal::state::Standing;
use crate::run::begin::plan_of;
use crate::step::{Act, RunTag, World};

/// Runs that are looked at, from the newest on.
const LATEST: usize = 20;

/// Age of the youngest one, seconds; `now_ms` is Unix time, `target` the database that people write to, where there is one.
///
/// # Errors
/// When the runs cannot be listed.
pub fn age_s(state: &Path, target: Option<&str>, now_ms: i64) -> Result<Option<u64>> {
    let directory = state.join("runs");
    let files = runs::list(&directory).context("cannot list the runs")?;
    let ages = files.iter().rev().take(LATEST).filter_map(|file| youngest(&directory, file, target, now_ms));
    Ok(ages.min())
}

fn youngest(directory: &Path, file: &RunFile, target: Option<&str>, now_ms: i64) -> Option<u64> {
    let run = file.state().ok()?;
    let plan = plan_of(&run).ok()?;
    let tag = RunTag { number: run.number, epoch: run.epoch, side: side_directory(directory, run.number) };
    let is_whole = |act: &Act| matches!(check(act, target, &tag), Some(Ok(World::After(_))));
    let done = |item: &&ItemState| item.standing == Standing::Done && !item.already;
    let pairs = run.items.iter().zip(&plan.items).filter(|(item, _)| done(item));
    pairs.filter(|(_, planned)| is_whole(&planned.action)).filter_map(|(item, _)| since(item, now_ms)).min()
}

/// Whether an act has brought about such a proof, of what people write to.
fn check(act: &Act, target: Option<&str>, tag: &RunTag) -> Option<Result<World>> {
    match act {
        Act::ExportDatabase(step) => Some(step.check(tag)),
        Act::BackUpDatabase(step) => Some(step.check(tag)),
        Act::CreateBackup(step) if target == Some(step.place.as_str()) => Some(step.check()),
        Act::SaveChanges(step) if !step.is_given_up => Some(step.check(tag)),
        _ => None,
    }
}

/// Seconds since it was begun: it holds nothing that was written later. A begin in the future says that a clock is wrong.
fn since(item: &ItemState, now_ms: i64) -> Option<u64> {
    let (first, _) = item.times.as_ref()?;
    let begun: jiff::Timestamp = first.parse().ok()?;
    u64::try_from((now_ms - begun.as_millisecond()) / 1000).ok()
}
