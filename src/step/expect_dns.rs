//! Expect DNS: every address of every authority answers the new records; where it is wanted, enough resolvers too.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, Say, Seen};
use crate::adapter::clock::{self, Stopwatch, spoken};
use crate::dns::{Memory, Wish, survey};
use crate::judge::dns::seen::Demand;
use crate::judge::dns::{Picture, Verdict, judge};

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
        loop {
            let picture = judge(&survey(&self.wish, &mut memory, clock::unix_seconds()).await, &self.demand);
            let is_there = if self.waits_for_caches { picture.has_arrived() } else { picture.is_at_authorities() };
            let data =
                json!({ "authority": picture.authority, "caches": picture.caches, "old_until": picture.old_until });
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

/// Where nothing but silence stands in the way, nothing is known.
fn answer(picture: &Picture) -> Answer {
    if picture.verdict == Verdict::Unknown { Answer::Unknown } else { Answer::Refused }
}

fn worst(picture: &Picture) -> String {
    let troubles = picture.troubles();
    troubles.first().map_or_else(String::new, |(about, finding)| format!("; {about}: {}", finding.words))
}
