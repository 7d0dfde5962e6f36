//! What the integration tests share. Law: whatever a test brings up is gone when its value is dropped.

#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot be set up ends here, and says why")]

pub mod certificates;
pub mod cluster;
pub mod engine;
pub mod kill;
pub mod legacy;
pub mod live;
pub mod mailbox;
pub mod migration;
pub mod odd;
pub mod ports;
pub mod project;
pub mod receiver;
pub mod slow_file;
pub mod stack_auth;
pub mod written;
