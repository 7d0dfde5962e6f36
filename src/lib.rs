//! cutover: planned, journalled, proven and undone deployments of docker compose projects.

pub mod config;
pub mod secret;
