//! `resume`: goes on with the interrupted run, in the direction it was going.

use anyhow::{Context, Result};

use super::carry::{carry, clear_unbegun, last_open, take_lock_from_the_dead, variables};
use super::global::Global;
use super::out;
use super::runbook::arguments::Resume;
use super::setup::{self, Setup};
use crate::journal::{Lock, runs};
use crate::report::planned;
use crate::run::Refusal;
use crate::run::begin;
use crate::run::commands;

/// The verb. It asks nothing: the plan was confirmed when the run began.
///
/// # Errors
/// When there is nothing to go on with, or a living run holds the lock.
pub async fn run(global: &Global, verb: &Resume) -> Result<u8> {
    let (state, config) = setup::state_directory(global)?;
    let setup = Setup::without_engine(global, state, config.as_ref())?;
    let (lock, ended) = take_lock_from_the_dead(&setup.state, "resume").await?;
    clear_unbegun(&setup.state)?;
    go(global, setup, lock, &ended, verb.wait).await
}

/// With the lock in hand.
///
/// # Errors
/// As [`run`].
pub async fn go(global: &Global, setup: Setup, lock: Lock, ended: &[String], waits: bool) -> Result<u8> {
    let Some(last) = last_open(&setup.state)? else {
        return Err(Refusal::Gate(
            "nothing to resume: the last run was finished; `cutover status` tells how it stands".into(),
        )
        .into());
    };
    let plan = begin::plan_of(&last)?;
    commands::must_be_ready(&plan, Some(&last), &setup.process, &variables(&plan))?;
    let mut open = open(&setup, last.number, &format!("gone on with by {}", setup::by()))?;
    let back = if last.is_going_back { ", on its way back" } else { "" };
    let place = last.stopped_in().map_or_else(String::new, |item| format!(", from the step {}", item.name));
    out::say(&format!("cutover: going on with run {} ({}){back}{place}", last.number, planned::deed(&last)));
    open.waits = waits;
    carry(global, &setup, lock, open, ended).await
}

/// Opens the journal of a run again.
///
/// # Errors
/// When it cannot be read or gone on with.
pub fn open(setup: &Setup, number: u32, why: &str) -> Result<begin::Open> {
    let all = runs::list(&setup.state.join("runs")).context("cannot list the runs")?;
    let file = all.iter().find(|file| file.number == number).context("the run's journal is gone")?;
    let open = begin::go_on(file, why)?;
    learn(setup, &open);
    super::rollback::learn(setup, &open.plan);
    Ok(open)
}

/// The secrets of the run's own model, which may not be those of today's files.
fn learn(setup: &Setup, open: &begin::Open) {
    for name in open.plan.files.keys() {
        setup.learn_file(&open.tag.side.join(name));
    }
}
