//! `data freeze` and `data unfreeze`.

use anyhow::Result;

use super::arguments::Freeze;
use super::go::{go, prepare};
use crate::cli::backup::Side;
use crate::cli::global::Global;
use crate::run::{Refusal, data};

/// Lets nobody write to a database any more.
///
/// # Errors
/// Refusals and faults before the run began.
pub async fn freeze(global: &Global, verb: &Freeze) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let place = setup.databases.side(verb.of.word()).map_err(Refusal::usage)?;
    let deadline = verb.deadline.as_secs();
    go(global, &setup, "data freeze", verb.dry_run, async || Ok(data::freezing(&config, place, deadline))).await
}

/// Lets it take writes again.
///
/// # Errors
/// As [`freeze`].
pub async fn unfreeze(global: &Global, verb: &Freeze) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let place = setup.databases.side(verb.of.word()).map_err(Refusal::usage)?;
    let deadline = verb.deadline.as_secs();
    let planned = match verb.of {
        Side::Source => data::unfreezing_source,
        Side::Target => data::unfreezing,
    };
    go(global, &setup, "data unfreeze", verb.dry_run, async || Ok(planned(&config, place, deadline))).await
}
