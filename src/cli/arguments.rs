//! What can be typed: verbs, flags, and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::global::{Format, Global};

/// Deploys docker compose projects: planned before, journalled during, proven after, undone on demand.
#[derive(Debug, Parser)]
#[command(name = "cutover", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done · 1 failed, world unchanged · 2 usage or configuration · 3 waiting for approval · \
4 a gate refused · 5 another run holds the lock · 6 interrupted, resume is needed · 7 failed and rolled back · \
8 a rollback did not finish, a person is needed"
)]
pub struct Arguments {
    /// Flags that every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Look at a compose project that is there already and write its first cutover.toml
    Init(super::init::Init),
    /// Ask everything that has to be right before a deployment, side by side
    Preflight(Preflight),
    /// Bring up the release that today's files describe
    Deploy(Deploy),
    /// Undo the last run, or bring an older release back
    Rollback(Rollback),
    /// Show the plan and its hash, change nothing
    Plan(Plan),
    /// Carry out a saved plan, if it is still true
    Apply(Apply),
    /// Carry out a runbook: a whole cutover with checkpoints
    Run(super::runbook::arguments::Run),
    /// Carry a runbook out against an isolated copy, undo that, and do it again
    Rehearse(super::runbook::arguments::Rehearse),
    /// Pass a checkpoint
    Approve(super::runbook::arguments::Approve),
    /// Check, render and list what runbooks are made of
    Runbook(super::runbook::arguments::RunbookVerb),
    /// Go on with the interrupted run
    Resume(super::runbook::arguments::Resume),
    /// What serves, what is at work, what is to be done
    Status,
    /// The runs of this host, or the journal of one
    History(History),
    /// A run on one page: what was done, seen, approved, and what is left; HTML and JSON
    Report(super::report::Report),
    /// The releases that are kept, and what runs on beside the one that serves
    Releases(super::releases::Releases),
    /// Move rows and accounts, and prove that they arrived
    Data(super::data::arguments::Data),
    /// Back databases up, prove the backups, bring them back
    Backup(super::backup::Backup),
    /// Show a page instead of the application, or the application again
    Maintenance(super::maintenance::Maintenance),
    /// Look at names, wait for them, and change them
    Dns(super::dns::arguments::Dns),
    /// Watch what was brought up, until enough was seen to accept it
    Watch(Watch),
    /// Try the channels, and send the notices to users
    Notify(super::notify::Notify),
    /// Show how it stands on a page of this host, for looking only, and /metrics
    Serve(super::serve::Serve),
    /// Look at the configuration
    Config(Config),
    /// Print a completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

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
