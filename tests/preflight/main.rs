//! Preflight against a real engine: each check is shown able to fail. Law: without the engine or its images these
//! tests fail and say what to do; none waits by the clock, and none judges how long something took.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests start docker themselves and say why they fail; the crate's rules are for the crate"
)]

mod demo;
mod engine;
mod files;
#[path = "../support/ports.rs"]
mod held;
mod model;
mod ports;
mod stand;
mod watchers;
