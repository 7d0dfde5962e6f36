//! Runs: the lists of deploy and rollback, and the engine that carries a list out. No parsing, no printing.

pub mod engine;
pub mod refusal;

pub use engine::{End, Engine, Stop};
pub use refusal::Refusal;
