//! What every data verb that changes something does: lock, plan, show, confirm, run.

use anyhow::Result;

use crate::cli::carry::{carry, clear_unbegun, nothing_open, take_lock};
use crate::cli::confirm::confirm;
use crate::cli::deploy::show;
use crate::cli::exit;
use crate::cli::global::Global;
use crate::cli::setup::{self, Setup};
use crate::config::Config;
use crate::run::begin;
use crate::run::deploy::Planned;

/// Configuration and adapters of a data verb: no container engine is needed.
///
/// # Errors
/// Every problem of the configuration.
pub fn prepare(global: &Global) -> Result<(Config, Setup)> {
    let config = setup::config(global)?;
    let setup = Setup::without_engine(global, config.state.directory.clone(), Some(&config))?;
    Ok((config, setup))
}

/// Shows the plan where only that is asked; else carries it out. The plan is made under the lock: nothing of ours changes
/// the world between the two.
///
/// # Errors
/// Refusals and faults before the run began.
pub async fn go(
    global: &Global,
    setup: &Setup,
    verb: &str,
    is_dry: bool,
    plan: impl AsyncFnOnce() -> Result<Planned>,
) -> Result<u8> {
    if is_dry {
        let mut planned = plan().await?;
        planned.plan.clean(&setup.redactor);
        show(global, &planned, true);
        return Ok(exit::DONE);
    }
    let lock = take_lock(&setup.state, verb)?;
    nothing_open(&setup.state)?;
    clear_unbegun(&setup.state)?;
    let mut planned = plan().await?;
    planned.plan.clean(&setup.redactor);
    show(global, &planned, false);
    let deed = planned.plan.deed.clone().unwrap_or_default();
    confirm(global, &planned.plan, &format!("In {}: begin {deed}?", planned.plan.environment))?;
    let open = begin::begin(&setup.state, &planned, &setup::by())?;
    carry(global, setup, lock, open, &[]).await
}
