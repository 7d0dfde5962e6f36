//! `run`: a whole cutover by its runbook, with checkpoints. `plan run` is the same without the run.

use anyhow::Result;

use super::arguments::Run;
use super::bound::Bound;
use super::{cook, record};
use crate::adapter::files;
use crate::cli::carry::{carry, clear_unbegun, nothing_open, take_lock};
use crate::cli::confirm::confirm;
use crate::cli::deploy::show;
use crate::cli::global::Global;
use crate::cli::setup::{self, Setup};
use crate::cli::{exit, out};
use crate::config::{Config, Environment};
use crate::run::begin;
use crate::run::deploy::Planned;
use crate::step::run_command::RunCommand;
use crate::step::{Act, RunKind, RunTag};

/// The verb.
///
/// # Errors
/// Refusals and faults before the run began; a run's own failure is an exit code.
pub async fn run(global: &Global, verb: &Run) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    if verb.dry_run {
        let planned = make(global, &config, &setup, verb).await?;
        show(global, &planned, true);
        if let Some(why) = record::missing(&config, &planned.plan, &bound(verb, &config, &planned)?)? {
            out::say(&format!("cutover: {why}"));
        }
        return dry(global, &setup, &planned).await;
    }
    go(global, &config, &setup, verb, None).await
}

/// What a rehearsal of the plan has to share with it.
fn bound(verb: &Run, config: &Config, planned: &Planned) -> Result<Bound> {
    let model = planned.files.iter().find(|(name, _)| name == "model.json").map(|(_, model)| model);
    Ok(Bound::of(&cook::read(&verb.runbook)?, config, model))
}

/// Commands that can show what they would do, do so; what they say goes beside the plan.
async fn dry(global: &Global, setup: &Setup, planned: &Planned) -> Result<u8> {
    let place = tempfile::tempdir()?;
    let tag = RunTag { number: 0, epoch: 1, side: place.path().to_owned() };
    let mut code = exit::DONE;
    for item in &planned.plan.items {
        let Act::RunCommand(step) = &item.action else { continue };
        let Some(words) = &step.dry_run else { continue };
        let shown = RunCommand { run: words.clone(), log: None, ..step.clone() };
        let variables = Environment::of_process().chosen(&step.environment);
        setup.redactor.learn(variables.iter().map(|(_, value)| value.clone()));
        let say = |line: String| {
            if !global.quiet {
                out::say(&line);
            }
        };
        let (ended, last) = shown.ask(&setup.process, &variables, &tag, &say).await?;
        if ended != 0 {
            out::say(&format!("{}: its dry run ended with {ended}: {last}", item.name));
            code = exit::REFUSED;
        }
    }
    Ok(code)
}

/// Carries it out; `wanted` is the hash of a saved plan.
///
/// # Errors
/// As [`run`].
pub async fn go(global: &Global, config: &Config, setup: &Setup, verb: &Run, wanted: Option<&str>) -> Result<u8> {
    let lock = take_lock(&setup.state, "run")?;
    nothing_open(&setup.state)?;
    clear_unbegun(&setup.state)?;
    let planned = make(global, config, setup, verb).await?;
    if let Some(wanted) = wanted {
        crate::cli::apply::must_be(&planned.plan, wanted)?;
    }
    show(global, &planned, false);
    if planned.plan.kind == RunKind::Cutover {
        let now = bound(verb, config, &planned)?;
        record::must_be_rehearsed(global, config, &planned.plan, &now, verb.accept_unrehearsed)?;
    }
    let deed = planned.plan.deed.clone().unwrap_or_default();
    confirm(global, &planned.plan, &format!("In {}: begin {deed}?", planned.plan.environment))?;
    let mut open = begin::begin(&setup.state, &planned, &setup::by())?;
    open.waits = verb.wait;
    carry(global, setup, lock, open, &[]).await
}

/// Configuration and adapters; the engine is asked only where an entry needs it.
///
/// # Errors
/// Every problem of the configuration.
pub fn prepare(global: &Global) -> Result<(Config, Setup)> {
    let config = setup::config(global)?;
    let setup = Setup::without_engine(global, config.state.directory.clone(), Some(&config))?;
    Ok((config, setup))
}

/// Makes the plan.
///
/// # Errors
/// Every problem of the runbook; refusals; or when the world cannot be read.
pub async fn make(global: &Global, config: &Config, setup: &Setup, verb: &Run) -> Result<Planned> {
    let runbook = cook::read(&verb.runbook)?;
    match &verb.substitutions {
        None => cook::plan(global, config, setup, &runbook, RunKind::Cutover, Vec::new()).await,
        Some(file) => cook::plan(global, config, setup, &runbook, RunKind::Rehearsal, files::read_json(file)?).await,
    }
}
