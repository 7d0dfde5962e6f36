//! What can be typed after `run`, `approve` and `runbook`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `run`.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// The runbook
    pub runbook: PathBuf,
    /// Wait at checkpoints, instead of ending with exit code 3
    #[arg(long)]
    pub wait: bool,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Run in production although it was not rehearsed; wants the phrase "unrehearsed ENVIRONMENT"
    #[arg(long)]
    pub accept_unrehearsed: bool,
    /// A rehearsal calls it like this: the file with what it puts in the place of what
    #[arg(long, hide = true, value_name = "FILE")]
    pub substitutions: Option<PathBuf>,
}

/// `rehearse`.
#[derive(Args, Clone, Debug)]
pub struct Rehearse {
    /// The runbook
    pub runbook: PathBuf,
    /// Show what would be put in the place of what, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Only run it; do not roll it back and run it again
    #[arg(long)]
    pub once: bool,
    /// Write the configuration of an isolated copy, derived from this one, where [rehearsal] config says; never overwrites
    #[arg(long, conflicts_with = "once")]
    pub write_configuration: bool,
}

/// `resume`.
#[derive(Args, Clone, Debug, Default)]
pub struct Resume {
    /// Wait at checkpoints, instead of ending with exit code 3
    #[arg(long)]
    pub wait: bool,
}

/// `approve`.
#[derive(Args, Clone, Debug)]
pub struct Approve {
    /// The signal of the checkpoint
    pub signal: String,
    /// A remark, kept in the journal
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// The statements that you confirm, by name
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub confirms: Vec<String>,
    /// The evidence that you were shown; refused when it is not true any more
    #[arg(long, value_name = "HASH")]
    pub evidence: Option<String>,
    /// The plan that you mean; refused when the run has another one
    #[arg(long, value_name = "HASH")]
    pub plan: Option<String>,
    /// Take the approvals of the checkpoint back
    #[arg(long)]
    pub cancel: bool,
}

/// `runbook`.
#[derive(Args, Debug)]
pub struct RunbookVerb {
    /// What to do
    #[command(subcommand)]
    pub what: What,
}

/// What can be done with a runbook.
#[derive(Debug, Subcommand)]
pub enum What {
    /// Check the file; every problem is told with its position
    Check {
        /// The runbook
        runbook: PathBuf,
    },
    /// Write the page that people read, from the runbook
    Render {
        /// The runbook
        runbook: PathBuf,
    },
    /// The built-in steps and gates, and what each may be told
    List,
}
