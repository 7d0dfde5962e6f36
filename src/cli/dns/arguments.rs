//! What can be typed after `cutover dns`.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::global::Format;
use crate::cli::global::duration;

/// `dns`.
#[derive(Args, Debug)]
pub struct Dns {
    /// What to do
    #[command(subcommand)]
    pub what: DnsVerb,
}

/// What can be done with names.
#[derive(Debug, Subcommand)]
pub enum DnsVerb {
    /// Ask every authority and the resolvers, and say where each record stands
    Check(Check),
    /// Wait until every authority and enough resolvers have the new records
    Wait(Wait),
    /// Change the records to what [[dns.record]] says, and prove it; `cutover rollback` undoes it
    Switch(Switch),
}

/// `dns check`.
#[derive(Args, Debug)]
pub struct Check {
    /// Only these names
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub name: Vec<String>,
    /// Before a switch: whether the TTL was lowered, and early enough
    #[arg(long)]
    pub before_switch: bool,
    /// Look also at the certificates that the new system serves, and whether an ACME challenge would reach Caddy there
    #[arg(long)]
    pub certificates: bool,
    /// Answer as a monitoring plugin (exit code 0, 1, 2 or 3)
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

/// `dns wait`.
#[derive(Args, Debug)]
pub struct Wait {
    /// The longest wait, instead of the configured one
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub deadline: Option<Duration>,
    /// Only until every authority has the new records; resolvers are not waited for
    #[arg(long)]
    pub authority: bool,
}

/// `dns switch`.
#[derive(Args, Debug)]
pub struct Switch {
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
}
