//! Moving rows: what goes between a server and the pure codecs of `data`. Knows no step, no run and no journal.

pub mod apply;
pub mod catalog;
pub mod diff;
pub mod freeze;
pub mod ledger;
pub mod sessions;
pub mod users;
pub mod verify;

/// Says one short line at a time to whoever watches.
pub type Say<'a> = &'a (dyn Fn(String) + Sync);
