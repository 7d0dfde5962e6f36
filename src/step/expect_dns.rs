//! Expect DNS: every address of every authority answers the new records; where it is wanted, enough resolvers too.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Say, Seen};
use crate::adapter::clock::{self, Stopwatch, spoken};
use crate::dns::{Memory, Wish, survey};
use crate::judge::dns::seen::Demand;
use crate::judge::dns::{Picture, Verdict, judge};

/// Changes of the picture that are kept.
const MOST_CHANGES: usize = 100;

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectDns {
    /// What is asked.
    pub wish: Wish,
    /// What is demanded.
    pub demand: Demand,
    /// Whether resolvers are waited for too.
    pub waits_for_caches: bool,
    /// Between two looks, milliseconds.
    pub interval_ms: u64,
    /// For the whole gate, seconds.
    pub deadline_s: u64,
}

impl ExpectDns {
    /// Looks until the records are there, or the deadline ends.
    ///
    /// # Errors
    /// None for what it sees.
    pub async fn ask(&self, say: Say<'_>) -> Result<Seen> {
        let watch = Stopwatch::start();
        let deadline = Duration::from_secs(self.deadline_s);
        let mut memory = Memory::default();
        let mut trail = Vec::new();
        loop {
            let picture = judge(&survey(&self.wish, &mut memory, clock::unix_seconds()).await, &self.demand);
            let is_there = if self.waits_for_caches { picture.has_arrived() } else { picture.is_at_authorities() };
            remember(&mut trail, &picture);
            let data = json!({ "authority": picture.authority, "caches": picture.caches, "old_until": picture.old_until,
                "trail": trail });
            if is_there {
                return Ok(Seen { answer: Answer::Passed, words: picture.headline(), data });
            }
            if watch.left(deadline).is_none() {
                let words =
                    format!("not there after {}: {}{}", spoken(watch.elapsed()), picture.missing(), worst(&picture));
                return Ok(Seen { answer: answer(&picture), words, data });
            }
            say(picture.missing());
            tokio::time::sleep(Duration::from_millis(self.interval_ms)).await;
        }
    }
}

/// Keeps how the two numbers went, for the report: each change, and where there are too many, the first ones and the last.
fn remember(trail: &mut Vec<Value>, picture: &Picture) {
    let now = json!({ "at": clock::now(), "authority": picture.authority, "caches": picture.caches });
    let is_other = |last: &Value| last["authority"] != now["authority"] || last["caches"] != now["caches"];
    if trail.last().is_none_or(is_other) {
        trail.truncate(MOST_CHANGES - 1);
        trail.push(now);
    }
}

/// Where nothing but silence stands in the way, nothing is known.
fn answer(picture: &Picture) -> Answer {
    if picture.verdict == Verdict::Unknown { Answer::Unknown } else { Answer::Refused }
}

fn worst(picture: &Picture) -> String {
    let troubles = picture.troubles();
    troubles.first().map_or_else(String::new, |(about, finding)| format!("; {about}: {}", finding.words))
}
