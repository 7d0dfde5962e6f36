//! Runbooks and checkpoints with the real program: what is asked, shown, approved, refused, undone.

#![expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod approvals;
mod book;
mod desk;
mod rehearsals;
mod runs;
mod seeds;
#[path = "../support/mod.rs"]
mod support;
