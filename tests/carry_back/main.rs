//! What was written to the target since the import is told apart, and carried back to the source, as a person calls it.

#![expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod behind;
mod changes;
mod kills;
mod rollback;
mod site;
#[path = "../support/mod.rs"]
mod support;
