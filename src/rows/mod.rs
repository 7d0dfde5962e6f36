//! Moving rows: what goes between a server and the pure codecs of `data`. Knows no step, no run and no journal.

pub mod catalog;
pub mod copy;
pub mod filling;
pub mod freeze;
pub mod import;
pub mod sequences;
pub mod sessions;
pub mod set_aside;

/// Says one short line at a time to whoever watches.
pub type Say<'a> = &'a (dyn Fn(String) + Sync);
