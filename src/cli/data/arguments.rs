//! What can be typed after `cutover data`.

use clap::{Args, Subcommand};

/// `data`.
#[derive(Args, Debug)]
pub struct Data {
    /// What to do
    #[command(subcommand)]
    pub what: DataVerb,
}

/// What can be done with rows.
#[derive(Debug, Subcommand)]
pub enum DataVerb {
    /// Let nobody write to the source any more, and prove it
    Freeze(Freeze),
    /// Let the source take writes again, exactly as before
    Unfreeze(Freeze),
}

/// `data freeze` and `data unfreeze`.
#[derive(Args, Debug)]
pub struct Freeze {
    /// The longest wait for sessions and transactions of others
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub deadline: std::time::Duration,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// A duration as the configuration knows it.
///
/// # Errors
/// When it is none.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::config::units::parse_duration(text).map_err(|_| format!("{text:?} is no duration; write 30s, 2m, 1h30m"))
}
