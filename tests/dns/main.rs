//! DNS against real servers: knot as authorities, unbound as caches, all of them ours, on loopback addresses and a free port.
//!
//! Needs the packages of `scripts/lab dns`; says so where they are missing.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![allow(clippy::disallowed_methods, reason = "a test starts the servers it asks")]

mod certificates;
mod issuance;
mod kick;
mod lab;
#[path = "../support/ports.rs"]
mod ports;
mod providers;
mod proxied;
mod situations;
mod stage;
mod verbs;
