//! A first cutover.toml for a project that is there already: every value is a guess with its reason. Looks only, changes nothing.
//!
//! [`look`] asks compose, the files and the running stack; [`guess`] decides (pure); [`draft`] writes it down.

pub mod copy;
pub mod copy_stack;
pub mod draft;
pub mod files;
pub mod guess;
pub mod health;
pub mod look;
pub mod migration;
pub mod night;
mod said;
pub mod secrets;
pub mod stack;
pub mod variables;

pub use draft::Draft;
pub use look::{Seen, Wishes};
