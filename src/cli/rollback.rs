//! `rollback`: undoes the last run from its journal, or brings a release back. Works without a valid configuration.

use anyhow::Result;

use super::arguments::{Global, Rollback};
use super::carry::{carry, last_open, take_lock_from_the_dead};
use super::confirm::confirm;
use super::deploy::show;
use super::setup::{self, Setup};
use super::{exit, resume};
use crate::journal::runs;
use crate::run::Refusal;
use crate::run::begin::{self, plan_of};
use crate::run::deploy::Planned;
use crate::run::rollback::{self, Without};
use crate::step::{Plan, RunKind};

/// The verb.
///
/// # Errors
/// Refusals and faults before the run began; a run's own failure is an exit code.
pub async fn run(global: &Global, verb: &Rollback) -> Result<u8> {
    let (state, config) = setup::state_directory(global)?;
    let setup = Setup::new(global, state, config.as_ref())?;
    if verb.dry_run {
        let planned = make(&setup, verb).await?;
        show(global, &planned, true);
        return Ok(exit::DONE);
    }
    go(global, setup, verb, None).await
}

/// Makes the plan of a rollback.
///
/// # Errors
/// [`Refusal`], when there is nothing to undo or it could not be finished.
pub async fn make(setup: &Setup, verb: &Rollback) -> Result<Planned> {
    let docker = setup.docker.clone().negotiate().await?;
    let without = Without { export: verb.without_export };
    let planned = match verb.to {
        Some(number) => {
            let (basis, keep) = basis(setup)?;
            rollback::plan_to(&docker, &setup.store, number, &basis, keep, without).await?
        }
        None => {
            let (_, state, remarks) = rollback::target(&setup.state)?;
            rollback::plan_undo(&docker, &setup.store, &state, remarks, without).await?
        }
    };
    let mut planned = planned;
    learn(setup, &planned.plan);
    planned.plan.clean(&setup.redactor);
    Ok(planned)
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
        ["model.json", "before.json"].iter().for_each(|name| setup.learn_file(&side.join(name)));
    }
}

/// The plan of the last deployment: it says what to do first on the way back.
fn basis(setup: &Setup) -> Result<(Plan, u32)> {
    for file in runs::list(&setup.state.join("runs"))?.iter().rev() {
        let state = file.state()?;
        if state.header.is_none() {
            continue;
        }
        let plan = plan_of(&state)?;
        if plan.kind == RunKind::Deploy {
            let keep = plan.items.iter().find_map(|item| match &item.action {
                crate::step::Act::RecordRelease(step) => Some(step.keep_releases),
                _ => None,
            });
            return Ok((plan, keep.unwrap_or(5)));
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
    if let Some(open) = last_open(&setup.state)?
        && open.kind == RunKind::Rollback.word()
        && verb.to.is_none()
    {
        // A rollback that did not finish is gone on with, not begun anew.
        return resume::go(global, setup, lock, &ended).await;
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
