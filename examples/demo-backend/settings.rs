//! What the environment says. Law: read once at the start; a value that cannot be understood stops the program.

use crate::faults::Faults;
use anyhow::{Context, Result};
use std::str::FromStr;
use std::time::Duration;

/// Everything that the program is told from outside.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The release this image calls itself; also the schema version that it needs.
    pub release: u32,
    /// The TCP port to listen on, all addresses.
    pub port: u16,
    /// The container's name, as the engine gave it.
    pub hostname: String,
    /// How long requests in flight may take after SIGTERM.
    pub shutdown: Duration,
    /// What should go wrong.
    pub faults: Faults,
}

impl Settings {
    /// Reads `DEMO_*` and `HOSTNAME`.
    ///
    /// # Errors
    /// A value that does not parse, named with its variable.
    pub fn from_environment() -> Result<Self> {
        Ok(Self {
            release: parsed("DEMO_RELEASE")?.unwrap_or(1),
            port: parsed("DEMO_PORT")?.unwrap_or(3000),
            hostname: text("HOSTNAME").unwrap_or_else(|| "unknown".to_owned()),
            shutdown: Duration::from_secs(parsed("DEMO_SHUTDOWN_SECONDS")?.unwrap_or(8)),
            faults: Faults::from_environment()?,
        })
    }
}

/// A variable's text; empty counts as unset, so that a compose file can pass `${NAME:-}` along.
pub fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable's value, if it is set.
///
/// # Errors
/// The value does not parse as `T`.
pub fn parsed<T: FromStr>(name: &str) -> Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text(name).map(|value| value.parse().with_context(|| format!("{name} is `{value}`"))).transpose()
}
