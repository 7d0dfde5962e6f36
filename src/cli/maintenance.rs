//! `maintenance on` and `off`: a file that Caddy looks for at every request. A run like any other; no engine is needed.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::data::go::{go, prepare};
use super::global::Global;
use crate::run::maintenance;

/// `maintenance`.
#[derive(Args, Debug)]
pub struct Maintenance {
    /// On or off
    #[command(subcommand)]
    what: Wanted,
}

#[derive(Debug, Subcommand)]
enum Wanted {
    /// Everybody gets a page with 503 and Retry-After
    On {
        /// What the page says; the usual words without it
        #[arg(long, value_name = "TEXT")]
        message: Option<String>,
        /// Show the plan and stop
        #[arg(long)]
        dry_run: bool,
    },
    /// Everybody gets the application again
    Off {
        /// Show the plan and stop
        #[arg(long)]
        dry_run: bool,
    },
}

/// The verb.
///
/// # Errors
/// Refusals and faults before the run began; a run's own failure is an exit code.
pub async fn run(global: &Global, verb: &Maintenance) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let (is_on, message, is_dry) = match &verb.what {
        Wanted::On { message, dry_run } => (true, message.as_deref(), *dry_run),
        Wanted::Off { dry_run } => (false, None, *dry_run),
    };
    go(global, &setup, "maintenance", is_dry, async || maintenance::switching(&config, is_on, message)).await
}
