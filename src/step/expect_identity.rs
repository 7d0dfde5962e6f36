//! Expect identity: the public route tells which release serves, so Caddy reads the directory that the switch writes.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Say, Seen};
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::http::Http;

/// Between two questions.
const PACE: Duration = Duration::from_millis(20);

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectIdentity {
    /// Where Caddy tells it.
    pub url: String,
    /// What it must tell.
    pub id: String,
    /// For the whole gate, seconds.
    pub deadline_s: u64,
}

impl ExpectIdentity {
    /// Asks until it tells the wanted one, or the deadline ends.
    ///
    /// # Errors
    /// None for what it sees.
    pub async fn ask(&self, http: &Http, say: Say<'_>) -> Result<Seen> {
        let watch = Stopwatch::start();
        let deadline = Duration::from_secs(self.deadline_s);
        loop {
            let answer = http.get(&self.url, Duration::from_secs(5).min(deadline)).await;
            let told = match answer {
                Ok(answer) if answer.status == 200 && answer.body.trim() == self.id => {
                    let waited = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
                    let words = format!("{} tells {}", self.url, self.id);
                    return Ok(Seen { answer: Answer::Passed, words, data: json!({ "waited_ms": waited }) });
                }
                Ok(answer) if answer.status == 200 => {
                    format!("tells {:?}", answer.body.trim().chars().take(64).collect::<String>())
                }
                Ok(answer) => format!("answers {} without an identity", answer.status),
                Err(error) => format!("does not answer: {error:#}"),
            };
            if watch.left(deadline).is_none() {
                let words = format!(
                    "{} {told} instead of {:?} after {}: the Caddy that answers there does not read the directory that \
                     the switch writes; `cutover preflight --only caddy` says how to let it",
                    self.url,
                    self.id,
                    spoken(watch.elapsed())
                );
                return Ok(Seen { answer: Answer::Refused, words, data: Value::Null });
            }
            say(format!("{} {told}", self.url));
            tokio::time::sleep(PACE).await;
        }
    }
}
