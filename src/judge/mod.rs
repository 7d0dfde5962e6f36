//! Judgement: from exact counts to a verdict. Pure: the same samples and the same state give the same verdict for ever.
//!
//! No clock and no file: whoever asks hands in the time, and keeps the state between two calls. Every state is plain
//! data, so a window that was begun by a daemon can be gone on with by cron, or replayed from Prometheus as a whole.

pub mod accept;
pub mod arm;
pub mod certificate;
pub mod counts;
pub mod cusum;
pub mod dns;
pub mod honesty;
pub mod ladder;
pub mod probe;
pub mod rules;
pub mod series;
