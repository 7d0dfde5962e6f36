//! Telling people: which channels there are, what each was told last, and in which words.
//!
//! Law: nothing here fails anything. A channel that cannot be reached is an answer like any other, kept and shown; a run
//! goes its way without it.

mod broken;
mod channels;
mod kept;
mod notices;
mod send;
mod words;

pub use broken::{BrokeOff, TurnsBack, Unkept, Unwritten};
pub use channels::{Listed, Topic, listed, rules};
pub use kept::{Kept, last_of_all};
pub use notices::{NOTICES, Text, Values, text_of};
pub use send::{Delivery, Notifier};
pub use words::{Begun, Ended, Place, VerdictChange, Waits};
