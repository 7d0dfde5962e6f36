//! What is refused, and what is left for a person. Law: a refusal changes nothing, says why, and names what helps; and
//! what was named does help.

#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]

#[path = "../support/mod.rs"]
mod support;

mod half_way;
mod phrase;
mod plans;
mod rollback;
