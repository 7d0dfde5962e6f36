//! The journal: an append-only, fsynced, hash-chained file per run; the lock; and the fold that reads it.
//!
//! Law: what is not in the journal did not happen, and what is in it was durable before the next act.

pub mod entry;
pub mod file;
pub mod led;
pub mod lock;
pub mod runs;
pub mod state;

pub use entry::{Entry, Fact, Given, Header, Outcome};
pub use file::{Journal, JournalError, read};
pub use lock::{Held, Holder, Lock};
pub use state::{Approved, ItemState, RunState, Standing, Waiting};
