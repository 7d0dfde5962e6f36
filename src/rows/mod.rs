//! Moving rows: what goes between a server and the pure codecs of `data`. Knows no step, no run and no journal.

pub mod verify;
