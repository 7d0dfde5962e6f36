//! `rollback`: undoes the last run from its journal, or brings a release back. Works without a valid configuration.

use anyhow::Result;

use super::carry::{carry, carry_as, clear_unbegun, last_open, nothing_open, take_lock_from_the_dead, variables};
use super::confirm::{confirm, confirm_phrase, confirm_plainly, phrase};
use super::deploy::show;
use super::flags::Rollback;
use super::global::Global;
use super::setup::{self, Setup};
use super::{exit, out, resume};
use crate::journal::{Lock, Outcome, RunState, runs};
use crate::run::Refusal;
use crate::run::before;
use crate::run::begin::{self, plan_of};
use crate::run::bring_back;
use crate::run::carry_back;
use crate::run::commands;
use crate::run::deploy::Planned;
use crate::run::front::{self, Front};
use crate::run::orphans;
use crate::run::rest;
use crate::run::rollback::{self, Without};
use crate::run::which;
use crate::step::{Plan, RunKind, World};

/// The verb.
///
/// # Errors
/// Refusals and faults before the run began; a run's own failure is an exit code.
pub async fn run(global: &Global, verb: &Rollback) -> Result<u8> {
    let (state, config) = setup::state_directory(global)?;
    let setup = Setup::without_engine(global, state, config.as_ref())?;
    if verb.dry_run {
        let planned = make(&setup, verb).await?;
        show(global, &planned, true);
        return look_ahead(global, &setup, &planned.plan).await;
    }
    go(global, setup, verb, None).await
}

/// Whether the source would take what was written to the target, as both stand now; it is said beside the plan.
async fn look_ahead(global: &Global, setup: &Setup, plan: &Plan) -> Result<u8> {
    let say = |line: String| {
        if !global.quiet {
            out::say(&line);
        }
    };
    let directory = tempfile::tempdir()?;
    let (words, code) = match carry_back::look_ahead(plan, &setup.databases, directory.path(), &say).await {
        Ok(None) => return Ok(exit::DONE),
        Ok(Some((all, World::Foreign(why)))) => (
            format!(
                "{all} to carry back, and as both sides stand now the rollback would stop at that: {why}; put those rows right, or \
                 save the changes without carrying them: --keep-changes-aside"
            ),
            exit::REFUSED,
        ),
        Ok(Some((all, _))) => {
            (format!("{all} to carry back; as both sides stand now, nothing is in their way"), exit::DONE)
        }
        Err(error) => (format!("what would be carried back is not known: {error:#}"), exit::REFUSED),
    };
    out::say(&format!("looked ahead: {words}"));
    Ok(code)
}

/// Makes the plan of a rollback.
///
/// # Errors
/// [`Refusal`], when there is nothing to undo or it could not be finished.
pub async fn make(setup: &Setup, verb: &Rollback) -> Result<Planned> {
    let without = without(verb);
    if let Some(open) = last_open(&setup.state)?.filter(|open| is_gone_on_with(open, verb)) {
        let whole = plan_of(&open)?;
        commands::must_be_ready(&whole, Some(&open), &setup.process, &variables(&whole))?;
        let mut plan = rest::of_rollback(&open, without)?;
        learn(setup, &plan);
        plan.clean(&setup.redactor);
        return Ok(Planned { plan, files: Vec::new() });
    }
    let (mut planned, docker) = match verb.to {
        Some(number) => {
            let docker = setup.docker.clone().negotiate().await?;
            let (basis, front, keep) = basis(setup)?;
            let basis = (&basis, front.as_ref());
            (bring_back::plan_to(&docker, &setup.store, number, basis, keep, without).await?, Some(docker))
        }
        None => {
            let (state, remarks) = match verb.run {
                Some(number) => which::named(&setup.state, number)?,
                None => which::last(&setup.state).map(|(_, state, remarks)| (state, remarks))?,
            };
            let docker = match plan_of(&state)?.needs_engine() {
                true => Some(setup.docker.clone().negotiate().await?),
                false => None,
            };
            let mut planned =
                rollback::plan_undo(docker.as_ref(), &setup.store, &state, &setup.databases, remarks, without).await?;
            front::keep(&mut planned, Front::beside(&runs::side_directory(&setup.state.join("runs"), state.number)));
            (planned, docker)
        }
    };
    commands::must_be_ready(&planned.plan, None, &setup.process, &variables(&planned.plan))?;
    if let (Some(docker), Some(number)) = (docker, planned.plan.release_to) {
        planned.plan.remarks.push(before::look(&docker, &setup.store, number, setup.least).await.words());
    }
    learn(setup, &planned.plan);
    planned.plan.clean(&setup.redactor);
    Ok(planned)
}

/// Whether the last run is a rollback that did not finish: it is gone on with, not undone and not begun anew.
fn is_gone_on_with(open: &RunState, verb: &Rollback) -> bool {
    open.kind == RunKind::Rollback.word() && verb.to.is_none() && !verb.run.is_some_and(|run| is_other(open, run))
}

/// Whether an open run is another one than a person names, and does not undo it either.
fn is_other(open: &RunState, number: u32) -> bool {
    open.number != number && open.header.as_ref().and_then(|header| header.undoes) != Some(number)
}

fn without(verb: &Rollback) -> Without {
    Without { export: verb.without_export, application: verb.keep_changes_aside }
}

/// Goes on with a rollback; what a person wants left out of it now, because it cannot be done, is left out.
async fn go_on(
    global: &Global,
    setup: &Setup,
    verb: &Rollback,
    lock: Lock,
    run: &RunState,
    ended: &[String],
) -> Result<u8> {
    let plan = plan_of(run)?;
    commands::must_be_ready(&plan, Some(run), &setup.process, &variables(&plan))?;
    let mut open = resume::open(setup, run.number, &format!("gone on with by {}", setup::by()))?;
    let left_out = carry_back::left_out(&open.plan, &open.state, without(verb));
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|index| open.plan.items[*index].name.as_str()).collect();
        let what = format!("leave {} out of run {}", names.join(", "), run.number);
        if verb.without_export {
            let why = "what was written to the target since it was filled is lost";
            confirm_phrase(global, &phrase(&open.plan), why)?;
        } else {
            confirm_plainly(global, &format!("In {}: {what}?", open.plan.environment))?;
        }
        begin::leave_out(&mut open, &left_out, &format!("left out, as {} asked", setup::by()))?;
    }
    carry(global, setup, lock, open, ended).await
}

/// The secrets of everything that the run may meet: both releases, and the run that it undoes. Today's files, which may
/// be broken or of another time, are not enough.
pub fn learn(setup: &Setup, plan: &Plan) {
    for number in [plan.release_from, plan.release_to].into_iter().flatten() {
        for path in [setup.store.deployed_model_path(number), setup.store.model_path(number)] {
            setup.learn_file(&path);
        }
    }
    if let Some(undone) = plan.undoes {
        let side = runs::side_directory(&setup.state.join("runs"), undone);
        ["model.json", "before.json", "side.json"].iter().for_each(|name| setup.learn_file(&side.join(name)));
    }
}

/// The plan of the last deployment: it says what to do first on the way back.
fn basis(setup: &Setup) -> Result<(Plan, Option<Front>, u32)> {
    let directory = setup.state.join("runs");
    for file in runs::list(&directory)?.iter().rev() {
        let state = file.state()?;
        if state.header.is_none() {
            continue;
        }
        let plan = plan_of(&state)?;
        if plan.kind == RunKind::Deploy && !plan.is_nothing_new() {
            let keep = plan.items.iter().find_map(|item| match &item.action {
                crate::step::Act::RecordRelease(step) => Some(step.keep_releases),
                _ => None,
            });
            let front = Front::beside(&runs::side_directory(&directory, file.number));
            return Ok((plan, front, keep.unwrap_or(5)));
        }
    }
    Err(Refusal::Gate("nothing was ever deployed from this host".into()).into())
}

/// Everything after the state directory is known; `wanted` is the hash of a saved plan.
///
/// # Errors
/// As [`run`].
pub async fn go(global: &Global, setup: Setup, verb: &Rollback, wanted: Option<&str>) -> Result<u8> {
    let (lock, ended) = take_lock_from_the_dead(&setup.state, "rollback").await?;
    let unbegun = clear_unbegun(&setup.state)?;
    let last = last_open(&setup.state)?;
    // What stopped half-way is dealt with before a run that is named is undone.
    if verb.run.is_some_and(|number| last.as_ref().is_some_and(|open| is_other(open, number))) {
        nothing_open(&setup.state)?;
    }
    if verb.to.is_none() {
        match &last {
            Some(open) if is_gone_on_with(open, verb) => {
                if let Some(wanted) = wanted {
                    super::apply::must_be(&make(&setup, verb).await?.plan, wanted)?;
                }
                return go_on(global, &setup, verb, lock, open, &ended).await;
            }
            Some(open) if rollback::has_nothing_to_undo(open)? => {
                return close(global, &setup, lock, open, &ended).await;
            }
            None if unbegun.as_ref().is_some_and(|file| file.kind == RunKind::Deploy.word()) => {
                return Ok(never_began(global, unbegun.map_or(0, |file| file.number)));
            }
            _ => {}
        }
    }
    if let Some(run) = &last {
        let plan = plan_of(run)?;
        if plan.needs_engine() {
            let docker = setup.docker.clone().negotiate().await?;
            orphans::settle(&docker, &plan.project).await?;
        }
    }
    let planned = make(&setup, verb).await?;
    if let Some(wanted) = wanted {
        super::apply::must_be(&planned.plan, wanted)?;
    }
    show(global, &planned, false);
    let plan = &planned.plan;
    let what = match (plan.undoes, plan.release_to) {
        (Some(run), _) => format!("undo run {run}"),
        (None, Some(number)) => format!("bring r{number} back"),
        (None, None) => "go back".into(),
    };
    confirm(global, plan, &format!("In {}: {what}?", plan.environment))?;
    let open = begin::begin(&setup.state, &planned, &setup::by())?;
    carry(global, &setup, lock, open, &ended).await
}

/// Closes a run that stopped before it changed anything: what it kept in part is let go, and it does not stay open.
async fn close(global: &Global, setup: &Setup, lock: Lock, run: &RunState, ended: &[String]) -> Result<u8> {
    let number = run.number;
    confirm_plainly(global, &format!("Run {number} stopped before it changed anything. Close it?"))?;
    let mut open = resume::open(setup, number, &format!("closed by a rollback of {}", setup::by()))?;
    open.state.is_going_back = true;
    carry_as(global, setup, lock, open, ended, exit_of_closing).await
}

/// A person asked to go back: that nothing is left of the run is what was wanted, not a failure.
fn exit_of_closing(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Unchanged | Outcome::RolledBack => exit::DONE,
        other => exit::of_outcome(other),
    }
}

/// The last run was killed before its plan was written down. To undo the run before it is not what was asked for.
fn never_began(global: &Global, number: u32) -> u8 {
    let words = format!(
        "run {number} was killed before it began, so there is nothing to undo; to undo the run before it, call \
         `cutover rollback` again"
    );
    if global.is_json() {
        out::json(serde_json::json!({ "schema": crate::report::SCHEMA, "outcome": "unchanged", "words": words }));
    } else {
        out::result(&words);
    }
    exit::DONE
}
