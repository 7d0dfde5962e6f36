//! `cutover dns …`: one file per verb. Looking at names is no run; changing them is one, with a journal.

pub mod arguments;
mod check;
pub mod look;
mod switch;
mod wait;

use anyhow::Result;

use super::global::Global;
use arguments::{Dns, DnsVerb};

/// The verb.
///
/// # Errors
/// Refusals and faults before a run began; a run's own failure is an exit code.
pub async fn run(global: &Global, verb: &Dns) -> Result<u8> {
    match &verb.what {
        DnsVerb::Check(verb) => check::run(global, verb).await,
        DnsVerb::Wait(verb) => wait::run(global, verb).await,
        DnsVerb::Switch(verb) => switch::run(global, verb).await,
    }
}
