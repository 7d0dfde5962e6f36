//! `plan`: the plan and its hash, nothing else; `-o` saves it for `apply`.

use anyhow::{Context, Result};

use super::flags::{Plan, Planned};
use super::global::Global;
use super::setup::{self, Setup};
use super::{deploy, exit, out, rollback, runbook};
use crate::report::plan::plan_json;

/// The verb.
///
/// # Errors
/// When the plan cannot be made or the file cannot be written.
pub async fn run(global: &Global, verb: &Plan) -> Result<u8> {
    let (planned, words) = match &verb.what {
        Planned::Deploy(wishes) => {
            let config = setup::config(global)?;
            let setup = Setup::new(global, config.state.directory.clone(), Some(&config))?;
            let words = serde_json::json!({ "no_build": wishes.no_build });
            (deploy::make(&config, &setup, wishes).await?, words)
        }
        Planned::Rollback(wishes) => {
            let (state, config) = setup::state_directory(global)?;
            let setup = Setup::new(global, state, config.as_ref())?;
            let words = serde_json::json!({
                "to": wishes.to, "run": wishes.run, "without_export": wishes.without_export, "keep_changes_aside": wishes.keep_changes_aside,
            });
            (rollback::make(&setup, wishes).await?, words)
        }
        Planned::Run(wishes) => {
            let (config, setup) = runbook::run::prepare(global)?;
            let words = serde_json::json!({ "runbook": std::path::absolute(&wishes.runbook)?, "wait": wishes.wait });
            (runbook::run::make(global, &config, &setup, wishes).await?, words)
        }
    };
    deploy::show(global, &planned, true);
    if let Some(path) = &verb.out {
        let mut document = plan_json(&planned.plan);
        document["asked"] = words;
        std::fs::write(path, format!("{document:#}\n"))
            .with_context(|| format!("cannot save the plan to {}", path.display()))?;
        out::say(&format!("saved; carry it out with: cutover apply {}", path.display()));
    }
    Ok(exit::DONE)
}
