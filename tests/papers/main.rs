//! What cutover writes for people: the first configuration of a project that it did not make, reports, and the page that it
//! serves.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start the program as a person would; a helper of a test fails the test"
)]

mod built;
mod init;
mod night;
mod public;
mod report;
mod serve;
#[path = "../support/mod.rs"]
mod support;
mod window;
