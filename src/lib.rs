//! cutover: planned, journalled, proven and undone deployments of docker compose projects.

pub mod adapter;
pub mod cli;
pub mod config;
pub mod data;
pub mod dns;
pub mod init;
pub mod journal;
pub mod judge;
pub mod notify;
pub mod preflight;
pub mod redact;
pub mod release;
pub mod report;
pub mod rows;
pub mod run;
pub mod secret;
pub mod step;
pub mod watch;
