//! How the moving of rows stands, by what this host wrote down: what is frozen since when, what was filled, and by whom.
//!
//! It asks no database, so it tells what was done here, and not what others did since.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use crate::journal::{Outcome, RunState, Standing as ItemStanding, runs};
use crate::report::moves::Standing;
use crate::rows::freeze::{Frozen, Phase, read_record};
use crate::run::begin::plan_of;
use crate::step::Act;
use crate::step::plan::{Plan, RunKind};

/// Everything that stands, freezes first.
///
/// # Errors
/// When a journal or a record of a freeze cannot be read.
pub fn standing(state_directory: &Path) -> Result<Vec<Standing>> {
    let files = runs::list(&state_directory.join("runs")).context("cannot list the runs")?;
    let mut all = Vec::new();
    for file in files {
        let run = file.state()?;
        // What another version planned says nothing here.
        if let Ok(plan) = plan_of(&run) {
            all.push((run, plan));
        }
    }
    let mut found = freezes(state_directory, &all)?;
    found.extend(fillings(&all));
    Ok(found)
}

fn freezes(state_directory: &Path, all: &[(RunState, Plan)]) -> Result<Vec<Standing>> {
    let directory = state_directory.join("data").join("freeze");
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&directory).with_context(|| format!("cannot look into {}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        found.extend(read_record(&path)?.filter(|frozen| frozen.phase != Phase::Undone).map(|frozen| of(frozen, all)));
    }
    found.sort_by(|one, other| one.place.cmp(&other.place));
    Ok(found)
}

fn of(frozen: Frozen, all: &[(RunState, Plan)]) -> Standing {
    let is_whole = frozen.phase == Phase::Frozen;
    let mut by = None;
    let mut is_target = false;
    for (run, plan) in all {
        for (item, state) in plan.items.iter().zip(&run.items) {
            match &item.action {
                Act::FreezeSource(step) if step.place == frozen.place && !item.back && state.was_begun => {
                    by = Some(run.number);
                }
                Act::ImportRows(step) => is_target |= step.sides.target == frozen.place,
                Act::CopyRows(step) => is_target |= step.sides.target == frozen.place,
                _ => {}
            }
        }
    }
    Standing {
        what: if is_whole { "frozen" } else { "freezing" },
        place: frozen.place,
        run: by,
        since: frozen.frozen_at.or(Some(frozen.begun_at)),
        next: match (is_whole, is_target) {
            (true, true) => "cutover data unfreeze --of target",
            (true, false) => "cutover data unfreeze",
            (false, true) => "cutover data freeze --of target",
            (false, false) => "cutover data freeze",
        },
    }
}

/// The last filling of each target, where it was not taken back.
fn fillings(all: &[(RunState, Plan)]) -> Vec<Standing> {
    let is_done = |run: &RunState| matches!(run.outcome, Some((Outcome::Done, _)));
    let undone: BTreeSet<u32> = all
        .iter()
        .filter(|(run, _)| is_done(run))
        .filter_map(|(run, _)| run.header.as_ref().and_then(|header| header.undoes))
        .collect();
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for (run, plan) in all.iter().rev() {
        let is_back = matches!(run.outcome, Some((Outcome::RolledBack | Outcome::Unchanged, _)));
        if plan.kind == RunKind::Rollback || is_back || undone.contains(&run.number) {
            continue;
        }
        for (item, state) in plan.items.iter().zip(&run.items) {
            let target = match &item.action {
                Act::ImportRows(step) => &step.sides.target,
                Act::CopyRows(step) => &step.sides.target,
                _ => continue,
            };
            let (what, next) = match state.standing {
                _ if !state.was_begun => continue,
                ItemStanding::Undone | ItemStanding::Stays => continue,
                ItemStanding::Done => ("filled", "cutover data diff"),
                _ => ("unfinished", "cutover resume"),
            };
            if seen.insert(target.clone()) {
                let since = state.times.as_ref().map(|(_, last)| last.clone());
                found.push(Standing { what, place: target.clone(), run: Some(run.number), since, next });
            }
        }
    }
    found
}
