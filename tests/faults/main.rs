//! What goes wrong on a real host, done to a real engine. Law: each fault ends in the exit code of the contract, with
//! words that say why, and with the state that the words claim.

#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "../support/mod.rs"]
mod support;

mod containers;
mod database;
mod disk;
mod lock;
mod signals;
mod watchers;
