//! `dns switch`: the records become what `[[dns.record]]` says, as a run with a journal; `cutover rollback` brings the old ones back.

use anyhow::Result;

use super::arguments::Switch;
use super::look::Look;
use crate::cli::data::go::{go, prepare};
use crate::cli::global::Global;
use crate::run::names;

/// The verb.
///
/// # Errors
/// Refusals and faults before the run began; a run's own failure is an exit code.
pub async fn run(global: &Global, verb: &Switch) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let plan = async || {
        let look = Look::new(&config, &[])?;
        // What the records are now is remembered, so that it is known afterwards until when caches may hold it.
        let (sight, _) = look.once().await?;
        names::switching(&config, &look.wish, &look.demand, &sight, &setup.names).await
    };
    go(global, &setup, "dns switch", verb.dry_run, plan).await
}
