//! What the integration tests share. Law: whatever a test brings up is gone when its value is dropped.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod engine;
pub mod kill;
pub mod live;
pub mod project;
