//! `deploy`: checks, plan, question, run.

use anyhow::Result;

use super::carry::{carry, clear_unbegun, nothing_open, take_lock};
use super::confirm::confirm;
use super::flags::Deploy;
use super::global::Global;
use super::setup::{self, Setup};
use super::{exit, out, preflight};
use crate::config::Config;
use crate::report::plan::{plan_json, plan_text};
use crate::run::begin;
use crate::run::deploy::{Planned, Wishes, plan};

/// The verb.
///
/// # Errors
/// Refusals and faults before the run began; a run's own failure is an exit code.
pub async fn run(global: &Global, verb: &Deploy) -> Result<u8> {
    let config = setup::config(global)?;
    let setup = Setup::new(global, config.state.directory.clone(), Some(&config))?;
    if verb.dry_run {
        let planned = make(&config, &setup, verb).await?;
        show(global, &planned, true);
        return Ok(exit::DONE);
    }
    go(global, &config, setup, verb, None).await
}

/// Makes the plan of a deployment.
///
/// # Errors
/// When the world cannot be read or the deployment cannot be carried out as configured.
pub async fn make(config: &Config, setup: &Setup, verb: &Deploy) -> Result<Planned> {
    made(config, setup, verb, false).await
}

/// The same with every step, also where nothing is new: a runbook is held against its rehearsal step by step.
///
/// # Errors
/// As [`make`].
pub async fn make_whole(config: &Config, setup: &Setup) -> Result<Planned> {
    made(config, setup, &Deploy::default(), true).await
}

async fn made(config: &Config, setup: &Setup, verb: &Deploy, is_whole: bool) -> Result<Planned> {
    let docker = setup.docker.clone().negotiate().await?;
    let environment = crate::config::Environment::of_process();
    let wishes = Wishes { environment, without_build: verb.no_build, is_whole };
    let mut planned = plan(config, &docker, &setup.compose, &setup.http, &setup.store, wishes).await?;
    planned.files.iter().for_each(|(_, model)| setup.learn(model));
    // The plan goes into the journal and into files as it is: what it says in words must be clean before it is hashed.
    planned.plan.clean(&setup.redactor);
    Ok(planned)
}

/// Shows a plan: as the result, or on the way to a question.
pub fn show(global: &Global, planned: &Planned, is_result: bool) {
    let environment = crate::config::Environment::of_process();
    match (is_result, global.is_json()) {
        (true, true) => out::json(plan_json(&planned.plan)),
        (true, false) => {
            out::result(&plan_text(&planned.plan, &setup::style(global, &environment, out::is_result_shown())));
        }
        (false, _) if global.quiet => {}
        (false, _) => {
            out::say(&plan_text(&planned.plan, &setup::style(global, &environment, out::is_progress_shown())))
        }
    }
}

/// Everything after the configuration is read; `wanted` is the hash of a saved plan.
///
/// # Errors
/// As [`run`].
pub async fn go(global: &Global, config: &Config, setup: Setup, verb: &Deploy, wanted: Option<&str>) -> Result<u8> {
    let lock = take_lock(&setup.state, "deploy")?;
    nothing_open(&setup.state)?;
    clear_unbegun(&setup.state)?;
    let (planned, checked) =
        tokio::join!(make(config, &setup, verb), preflight::before_deploy(global, config, &setup, verb.skip_checks));
    checked?;
    let planned = planned?;
    if let Some(wanted) = wanted {
        super::apply::must_be(&planned.plan, wanted)?;
    }
    show(global, &planned, false);
    let plan = &planned.plan;
    let release = plan.release_to.map_or_else(|| "it".to_owned(), |number| format!("r{number}"));
    // To look is nothing that anybody has to agree to.
    if !plan.is_nothing_new() {
        confirm(global, plan, &format!("Deploy {release} of {} to {}?", plan.project, plan.environment))?;
    }
    let open = begin::begin(&setup.state, &planned, &setup::by())?;
    carry(global, &setup, lock, open, &[]).await
}
