//! What can be typed: the verbs, and the help for all of them.

use clap::{Parser, Subcommand};

use super::flags::{Apply, Config, Deploy, History, Plan, Preflight, Rollback, Watch};
use super::global::Global;

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
