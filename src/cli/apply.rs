//! `apply`: a saved plan is made anew and must come out the same; what drifted is refused, never carried out.

use anyhow::Result;
use serde_json::Value;

use super::flags::{Apply, Deploy, Rollback};
use super::global::Global;
use super::setup::{self, Setup};
use super::{deploy, rollback, runbook};
use crate::run::Refusal;
use crate::step::{Plan, RunKind};

/// The verb.
///
/// # Errors
/// When the file is not a plan, or the plan drifted.
pub async fn run(global: &Global, verb: &Apply) -> Result<u8> {
    let path = &verb.file;
    let text = std::fs::read_to_string(path)
        .map_err(|error| Refusal::Usage(format!("cannot read the plan {}: {error}", path.display())))?;
    let saved =
        |why: String| Refusal::Usage(format!("{} is not a plan that `cutover plan -o` saved: {why}", path.display()));
    let document: Value = serde_json::from_str(&text).map_err(|error| saved(error.to_string()))?;
    let plan: Plan = serde_json::from_value(document["plan"].clone()).map_err(|error| saved(error.to_string()))?;
    let wanted = plan.hash();
    if document["plan_hash"].as_str() != Some(&wanted) {
        return Err(saved("its hash is not the hash of its content, so it was changed by hand".into()).into());
    }
    match plan.kind {
        RunKind::Deploy => {
            let config = setup::config(global)?;
            let setup = Setup::new(global, config.state.directory.clone(), Some(&config))?;
            let no_build = document["asked"]["no_build"].as_bool().unwrap_or(false);
            let wishes = Deploy { dry_run: false, skip_checks: verb.skip_checks, no_build };
            deploy::go(global, &config, setup, &wishes, Some(&wanted)).await
        }
        RunKind::Rollback => {
            let (state, config) = setup::state_directory(global)?;
            let setup = Setup::new(global, state, config.as_ref())?;
            let number = |key: &str| document["asked"][key].as_u64().and_then(|number| u32::try_from(number).ok());
            let (to, run) = (number("to"), number("run"));
            let without_export = document["asked"]["without_export"].as_bool().unwrap_or(false);
            let keep_changes_aside = document["asked"]["keep_changes_aside"].as_bool().unwrap_or(false);
            let wishes = Rollback { to, run, without_export, keep_changes_aside, dry_run: false };
            rollback::go(global, setup, &wishes, Some(&wanted)).await
        }
        RunKind::Cutover => {
            let (config, setup) = runbook::run::prepare(global)?;
            let path = document["asked"]["runbook"].as_str().unwrap_or_default();
            let wait = document["asked"]["wait"].as_bool().unwrap_or(false);
            let verb = runbook::arguments::Run {
                runbook: path.into(),
                wait,
                dry_run: false,
                accept_unrehearsed: false,
                substitutions: None,
            };
            runbook::run::go(global, &config, &setup, &verb, Some(&wanted)).await
        }
        RunKind::Data | RunKind::Dns | RunKind::Maintenance | RunKind::Rehearsal => {
            Err(Refusal::Usage("a plan of this kind is made and carried out by its own verb, not saved".into()).into())
        }
    }
}

/// Refuses a plan that is not the wanted one any more.
///
/// # Errors
/// [`Refusal::Gate`].
pub fn must_be(plan: &Plan, wanted: &str) -> Result<()> {
    let now = plan.hash();
    if now == wanted {
        return Ok(());
    }
    Err(Refusal::Gate(format!(
        "the plan drifted: saved {}…, now {}…; the world or the files changed since it was saved. Make it anew: cutover plan {}",
        &wanted[..12],
        &now[..12],
        plan.kind.word()
    ))
    .into())
}
