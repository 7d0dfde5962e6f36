//! Runs: the lists of deploy and rollback, and the engine that carries a list out. No parsing, no printing.

pub mod approvals;
pub mod before;
pub mod begin;
mod beside;
pub mod bring_back;
mod bring_side;
pub mod carry_back;
pub mod changes;
pub mod checkpoints;
pub mod commands;
pub mod cutover;
pub mod data;
pub mod deploy;
pub mod engine;
pub mod front;
mod home;
pub mod list;
pub mod look;
pub mod maintenance;
pub mod names;
mod nothing_new;
pub mod orphans;
pub mod prober;
pub mod prune;
pub mod public;
pub mod refusal;
pub mod rest;
pub mod rollback;
mod sides;
pub mod which;

pub use engine::{End, Engine, Stop};
pub use refusal::Refusal;
