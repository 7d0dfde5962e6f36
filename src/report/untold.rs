//! A channel that was not told what it should have been: a line of `status`, until something arrives again.

use super::text::moment;
use crate::data::plural::counted;

/// A channel that fails.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Untold {
    /// What it is called.
    pub channel: String,
    /// Failures in a row.
    pub failures: u32,
    /// Since when, RFC 3339.
    pub since: String,
    /// Why.
    pub why: String,
}

impl Untold {
    /// One line.
    pub fn words(&self) -> String {
        let times = counted(self.failures as usize, "failure");
        format!("{} is not told since {} ({times}): {}", self.channel, moment(&self.since), self.why)
    }
}
