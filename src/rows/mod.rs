//! Moving rows: what goes between a server and the pure codecs of `data`. Knows no step, no run and no journal.

pub mod apply;
pub mod auth_export;
pub mod backup;
pub mod catalog;
pub mod client_tools;
pub mod connections;
pub mod copy;
pub mod diff;
pub mod export;
pub mod filling;
pub mod freeze;
pub mod import;
pub mod ledger;
pub(crate) mod plain_types;
pub mod progress;
pub mod purge;
pub mod sequences;
pub mod sessions;
pub mod set_aside;
pub mod users;
pub mod verify;
pub mod volumes;

/// Says one short line at a time to whoever watches.
pub type Say<'a> = &'a (dyn Fn(String) + Sync);
