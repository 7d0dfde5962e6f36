//! The production stack, held to its promises: as a model, as configuration files, and running in the lab.
//! Law: without the engine or its compose plugin these tests fail and say what to do; they never pass unasked.
#![expect(
    clippy::disallowed_methods,
    reason = "tests start docker, ask over HTTP and watch the clock themselves; the crate's rules are for the crate"
)]

mod cli;
mod files;
mod front_door;
mod model;
mod observers;
mod project;
mod running;
mod secrets;
