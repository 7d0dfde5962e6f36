//! Runs: the lists of deploy and rollback, and the engine that carries a list out. No parsing, no printing.

pub mod approvals;
pub mod begin;
pub mod bring_back;
pub mod carry_back;
pub mod changes;
pub mod checkpoints;
pub mod cutover;
pub mod data;
pub mod deploy;
pub mod engine;
mod home;
pub mod list;
pub mod look;
pub mod maintenance;
pub mod names;
pub mod orphans;
pub mod refusal;
pub mod rollback;

pub use engine::{End, Engine, Stop};
pub use refusal::Refusal;
