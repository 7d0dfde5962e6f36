//! What a run tells while it works, and how it is shown. An event in, text or JSON out; decides nothing.

pub mod event;
pub mod preflight;

pub use event::{Event, Listener};
