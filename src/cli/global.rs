//! What every verb can be told. Law: nothing here knows a verb, so that a verb's own flags may stand beside the verb.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Flags that every verb takes.
#[derive(Args, Debug)]
pub struct Global {
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE", env = "CUTOVER_CONFIG", default_value = "cutover.toml")]
    pub config: PathBuf,
    /// State directory, instead of the configured one
    #[arg(long, global = true, value_name = "DIR")]
    pub state_directory: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub output: Output,
    /// Answer ordinary questions with yes
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// The phrase that a destructive step wants
    #[arg(long, global = true, value_name = "PHRASE")]
    pub confirm: Option<String>,
    /// Never ask, fail instead
    #[arg(long, global = true)]
    pub no_input: bool,
    /// No colours
    #[arg(long, global = true)]
    pub no_color: bool,
    /// No progress, only the result
    #[arg(long, short = 'q', global = true)]
    pub quiet: bool,
    /// More of what happens inside; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Global {
    /// Whether the result is wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.output == Output::Json
    }
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// Formats beside text and JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Monitoring plugin.
    Nagios,
}

/// A duration as the configuration knows it.
///
/// # Errors
/// When it is none.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    crate::config::units::parse_duration(text).map_err(|_| format!("{text:?} is no duration; write 30s, 2m, 1h30m"))
}
