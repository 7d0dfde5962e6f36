//! Watching: the window after a cutover, tick by tick. Looking changes nothing, and needs no lock of the host.
//!
//! [`gather`] asks the world, [`tick`] judges (pure), [`keep`] writes the state, [`words`] says it. Whether a daemon, cron or
//! a replay drives them makes no difference to the counts or to the verdict on errors.

pub mod asked;
pub mod database;
pub mod exported;
pub mod gather;
pub mod going_back;
pub mod host;
pub mod keep;
pub mod metrics;
pub mod own;
pub mod record;
pub mod requests;
pub mod tick;
pub mod window;
pub mod words;
