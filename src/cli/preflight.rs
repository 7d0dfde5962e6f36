//! `preflight`: every check side by side.

use anyhow::Result;

use super::arguments::{Global, Preflight};
use super::setup::Setup;
use crate::config::Config;

/// The verb.
pub async fn run(_global: &Global, _verb: &Preflight) -> Result<u8> {
    Ok(0)
}

/// Before a deployment.
pub async fn before_deploy(_global: &Global, _config: &Config, _setup: &Setup, _skip: bool) -> Result<()> {
    Ok(())
}
