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
    /// Reach both databases; say what they are, what this role may do there, and what stands in the way
    Connections,
}
