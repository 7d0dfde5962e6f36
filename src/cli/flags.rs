//! What can be typed after a verb. Law: flags know no verb's doing, so that a verb may begin another one with flags of its own.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::global::Format;

/// `preflight`.
#[derive(Args, Debug)]
pub struct Preflight {
    /// Only these checks
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Not these checks; they are shown as skipped
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Answer as a monitoring plugin (exit code 0, 1, 2 or 3)
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

/// `watch`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit codes: 0 nothing stands against it · 4 hold, or going back is recommended · 5 another watcher is \
at work · 7 it went back · 8 going back did not finish. With --format nagios: 0 ok · 1 warning · 2 critical · 3 unknown"
)]
pub struct Watch {
    /// One tick, for cron: silent when nothing changed, one line when something did
    #[arg(long)]
    pub once: bool,
    /// Answer as a monitoring plugin (exit code 0, 1, 2 or 3); with --once
    #[arg(long, value_enum, requires = "once")]
    pub format: Option<Format>,
    /// Begin a new window, whatever the old one has seen
    #[arg(long)]
    pub new: bool,
    /// Allow it to go back by itself for so long, such as 2h; wants the phrase "arm ENVIRONMENT"
    #[arg(long, value_name = "DURATION", conflicts_with = "disarm")]
    pub arm: Option<String>,
    /// Take that permission back
    #[arg(long)]
    pub disarm: bool,
}

/// `deploy`.
#[derive(Args, Clone, Debug, Default)]
pub struct Deploy {
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask the preflight checks
    #[arg(long)]
    pub skip_checks: bool,
    /// Do not build; use the images that are here
    #[arg(long)]
    pub no_build: bool,
}

/// `rollback`.
#[derive(Args, Clone, Debug, Default)]
pub struct Rollback {
    /// The release to bring back; without it the last run is undone
    #[arg(long, value_name = "RELEASE", value_parser = release)]
    pub to: Option<u32>,
    /// The run to undo instead of the last one, by its number; what came after it and stands on it has to be undone first
    #[arg(long, value_name = "NUMBER", conflicts_with = "to")]
    pub run: Option<u32>,
    /// Do not export the database first; of a database that rows were moved into, what was written since is lost
    #[arg(long)]
    pub without_export: bool,
    /// Save what was written since the rows were moved, and do not write it to the source
    #[arg(long)]
    pub keep_changes_aside: bool,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// `plan`.
#[derive(Args, Debug)]
pub struct Plan {
    /// Save the plan to a file, for `apply`
    #[arg(long, short = 'o', value_name = "FILE", global = true)]
    pub out: Option<PathBuf>,
    /// What to plan
    #[command(subcommand)]
    pub what: Planned,
}

/// What can be planned.
#[derive(Debug, Subcommand)]
pub enum Planned {
    /// Plan a deployment
    Deploy(Deploy),
    /// Plan a rollback
    Rollback(Rollback),
    /// Plan the run of a runbook
    Run(super::runbook::arguments::Run),
}

/// `apply`.
#[derive(Args, Debug)]
pub struct Apply {
    /// The saved plan
    pub file: PathBuf,
    /// Do not ask the preflight checks
    #[arg(long)]
    pub skip_checks: bool,
}

/// `history`.
#[derive(Args, Debug)]
pub struct History {
    /// One run
    pub run: Option<u32>,
    /// The manifest of a rollback: what was done, what stays, what is left to do
    #[arg(long, requires = "run")]
    pub manifest: bool,
}

/// `config`.
#[derive(Args, Debug)]
pub struct Config {
    /// What to do
    #[command(subcommand)]
    pub what: ConfigVerb,
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Check the file; every problem is told with its position
    Check,
    /// Show every value and where it comes from
    Show {
        /// Show the built-in defaults
        #[arg(long)]
        defaults: bool,
    },
}

fn release(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('r').unwrap_or(text);
    digits.parse().map_err(|_| format!("{text:?} is not a release; write it as r12"))
}
