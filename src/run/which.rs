//! Which run a rollback undoes: the last one that changed something, or one that a person names.
//!
//! Law: a named run is undone only where nothing that came after it stands on it; what is in the way is named in the order
//! in which it has to be undone.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::Refusal;
use super::begin::plan_of;
use super::rollback::{has_nothing_to_undo, leaves_nothing};
use crate::journal::runs::{self, RunFile};
use crate::journal::{Outcome, RunState};
use crate::step::Act;
use crate::step::migrate_schema::OnRollback;
use crate::step::plan::{Plan, RunKind};

/// The run that a rollback without arguments undoes, and what is passed by on the way to it.
///
/// # Errors
/// [`Refusal`], when there is nothing to undo; or when a journal cannot be read.
pub fn last(state_directory: &Path) -> Result<(RunFile, RunState, Vec<String>)> {
    let mut remarks = Vec::new();
    let all = runs::list(&state_directory.join("runs")).context("cannot list the runs")?;
    for file in all.into_iter().rev() {
        let state = file.state()?;
        let number = state.number;
        let Some(header) = state.header.clone() else { continue };
        match &state.outcome {
            Some((Outcome::RolledBack, _)) => remarks.push(format!("run {number} failed and put itself back")),
            Some((Outcome::Unchanged, _)) => {}
            Some((Outcome::Done, _)) if header.undoes.is_some() => {
                let undone = header.undoes.unwrap_or_default();
                return Err(Refusal::Gate(format!(
                    "nothing to undo: run {undone} was already undone by run {number}{}",
                    further(older(state_directory, number)?, state_directory.join("releases").is_dir())
                ))
                .into());
            }
            Some((Outcome::Done, _)) if leaves_nothing(&state) => {
                remarks.push(format!("run {number} left nothing that a rollback would undo"));
            }
            // Maintenance is often switched on around a rollback: what a person wants undone is what came before it.
            Some((Outcome::Done, _)) if file.kind == RunKind::Maintenance.word() => {
                remarks.push(format!(
                    "run {number} ({}) is passed by: `cutover maintenance off` ends maintenance",
                    state.plan["deed"].as_str().unwrap_or("maintenance")
                ));
            }
            _ => return Ok((file, state, remarks)),
        }
    }
    Err(Refusal::Gate("nothing to undo: no run on this host has changed anything".into()).into())
}

/// How to go further back: only by what is there.
fn further(older: Option<String>, has_releases: bool) -> String {
    let release = "name a release: `cutover releases`, then `cutover rollback --to r…`";
    let ways: Vec<String> = older.into_iter().chain(has_releases.then(|| release.to_owned())).collect();
    match ways.is_empty() {
        true => ", and no run before it left anything to undo (`cutover history`)".to_owned(),
        false => format!("; to go further back, {}", ways.join("; or ")),
    }
}

/// The run before a rollback that could be undone by its number, as a command.
fn older(state_directory: &Path, before: u32) -> Result<Option<String>> {
    let all = All::read(state_directory)?;
    // Releases are gone back to by their names.
    let others = [RunKind::Rollback.word(), RunKind::Deploy.word()];
    let stands = |run: &&RunState| run.number < before && all.stands(run) && !others.contains(&run.kind.as_str());
    let run = all.runs.iter().rev().find(stands);
    Ok(run.map(|run| format!("name run {0} ({1}): `cutover rollback --run {0}`", run.number, said(run))))
}

/// A run that a person names, if nothing that came after it stands on it; and what comes after it and stays.
///
/// # Errors
/// [`Refusal`], when there is no such run, it is undone already or left nothing, or a later run is in the way.
pub fn named(state_directory: &Path, number: u32) -> Result<(RunState, Vec<String>)> {
    let gate = |words: String| -> anyhow::Error { Refusal::Gate(words).into() };
    let mut all = All::read(state_directory)?;
    let Some(at) = all.runs.iter().position(|run| run.number == number) else {
        return Err(
            Refusal::Usage(format!("there is no run {number} on this host; `cutover history` lists them")).into()
        );
    };
    let run = &all.runs[at];
    if let Some(by) = all.undone.get(&number) {
        return Err(gate(format!("nothing to undo: run {number} was already undone by run {by}")));
    }
    match &run.outcome {
        _ if run.kind == RunKind::Rollback.word() => {
            return Err(gate(format!(
                "run {number} is a rollback itself; carry out again what it undid, or name a release (`cutover rollback \
                 --to r…`)"
            )));
        }
        _ if run.kind == RunKind::Maintenance.word() => {
            return Err(gate(format!("run {number} is about maintenance: `cutover maintenance off` ends it")));
        }
        Some((Outcome::RolledBack | Outcome::Unchanged, _)) => {
            return Err(gate(format!("nothing to undo: run {number} failed and put itself back")));
        }
        Some((Outcome::Done, _)) if leaves_nothing(run) => {
            return Err(gate(format!("nothing to undo: run {number} left nothing that a rollback would undo")));
        }
        _ => {}
    }
    let ground = Ground::of(run)?;
    let (mut in_the_way, mut remarks) = (Vec::new(), Vec::new());
    for later in all.runs[at + 1..].iter().filter(|later| all.stands(later)) {
        if ground.is_shared(&Ground::of(later)?) {
            in_the_way.push(later);
        } else {
            remarks.push(format!(
                "run {0} ({1}) came later and stays; what it brought up may need what is undone here: `cutover rollback \
                 --run {0}` undoes it too",
                later.number,
                said(later)
            ));
        }
    }
    if !in_the_way.is_empty() {
        let names: Vec<String> =
            in_the_way.iter().map(|later| format!("run {} ({})", later.number, said(later))).collect();
        let commands = in_the_way.iter().rev().map(|later| later.number).chain([number]);
        let commands: Vec<String> = commands.map(|number| format!("`cutover rollback --run {number}`")).collect();
        return Err(gate(format!(
            "run {number} ({}) cannot be undone alone, for what came after it stands on it: {}; undo them in this order: {}",
            said(run),
            names.join(", "),
            commands.join(", then ")
        )));
    }
    Ok((all.runs.swap_remove(at), remarks))
}

/// What a run is called.
fn said(run: &RunState) -> String {
    let kind = if run.kind.is_empty() { "run" } else { run.kind.as_str() };
    match (run.plan["deed"].as_str(), run.plan["release_to"].as_u64()) {
        (Some(deed), _) => deed.to_owned(),
        (None, Some(release)) => format!("{kind} of r{release}"),
        (None, None) => kind.to_owned(),
    }
}

/// The runs of a host, oldest first, and which of them were undone by which.
struct All {
    runs: Vec<RunState>,
    undone: BTreeMap<u32, u32>,
}

impl All {
    fn read(state_directory: &Path) -> Result<Self> {
        let files = runs::list(&state_directory.join("runs")).context("cannot list the runs")?;
        let mut all = Self { runs: Vec::new(), undone: BTreeMap::new() };
        for file in files {
            let run = file.state()?;
            let Some(header) = &run.header else { continue };
            if let (Some(undone), Some((Outcome::Done, _))) = (header.undoes, &run.outcome) {
                all.undone.insert(undone, run.number);
            }
            all.runs.push(run);
        }
        Ok(all)
    }

    /// Whether what a run did is still there.
    fn stands(&self, run: &RunState) -> bool {
        let is_back = matches!(run.outcome, Some((Outcome::RolledBack | Outcome::Unchanged, _)));
        // A rollback stands where it brought a release up; one that undid a run is told by that run.
        let is_undoing = run.header.as_ref().is_some_and(|header| header.undoes.is_some());
        let is_maintenance = run.kind == RunKind::Maintenance.word();
        let is_empty = || has_nothing_to_undo(run).unwrap_or(false);
        !is_back && !is_undoing && !is_maintenance && !self.undone.contains_key(&run.number) && !is_empty()
    }
}

/// Whether undoing it changes rows or accounts.
fn is_about_rows(act: &Act) -> bool {
    match act {
        Act::MigrateSchema(step) => step.on_rollback != OnRollback::Keep,
        Act::MigrateUsers(_) => true,
        _ => act.needs_databases(),
    }
}

/// What a run stands on: two that share some of it are undone in their order.
struct Ground {
    has_rows: bool,
    has_containers: bool,
    has_names: bool,
}

impl Ground {
    fn of(run: &RunState) -> Result<Self> {
        let plan: Plan = plan_of(run)?;
        let has = |is_so: fn(&Act) -> bool| {
            plan.items.iter().any(|item| !item.back && !item.action.is_gate() && is_so(&item.action))
        };
        Ok(Self {
            has_rows: has(is_about_rows),
            has_containers: has(|act| act.needs_engine() || matches!(act, Act::SwitchUpstream(_))),
            has_names: has(|act| matches!(act, Act::SwitchDns(_))),
        })
    }

    fn is_shared(&self, other: &Self) -> bool {
        (self.has_rows && other.has_rows)
            || (self.has_containers && other.has_containers)
            || (self.has_names && other.has_names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_back_goes_only_what_is_there() {
        let run = || Some("name run 1 (the freeze): `cutover rollback --run 1`".to_owned());
        assert_eq!(further(run(), false), "; to go further back, name run 1 (the freeze): `cutover rollback --run 1`");
        assert!(further(run(), true).contains("--run 1`; or name a release: "));
        assert!(further(None, true).starts_with("; to go further back, name a release"));
        assert!(!further(None, false).contains("cutover releases"), "no release, so none is named");
    }
}
