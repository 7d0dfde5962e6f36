//! Expect window: what follows is begun inside the maintenance window, or not at all. Before it opens the run waits.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Say, Seen};
use crate::adapter::clock;

/// Between two looks at the clock.
const LOOK: Duration = Duration::from_secs(1);

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectWindow {
    /// Not before, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<String>,
    /// Not after, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<String>,
}

impl ExpectWindow {
    /// Waits until it opens; refuses once it is closed.
    ///
    /// # Errors
    /// When a moment cannot be read.
    pub async fn ask(&self, say: Say<'_>) -> Result<Seen> {
        let moment = |text: &Option<String>| {
            let read = |text: &String| clock::seconds_of(text).with_context(|| format!("{text:?} is no moment"));
            text.as_ref().map(read).transpose()
        };
        let (earliest, latest) = (moment(&self.earliest)?, moment(&self.latest)?);
        loop {
            let now = clock::unix_seconds();
            if let (Some(latest), Some(words)) = (latest, &self.latest)
                && now > latest
            {
                let words = format!("the window was open until {words}; give the runbook a new one, and run it again");
                return Ok(Seen { answer: Answer::Refused, words, data: Value::Null });
            }
            match earliest.filter(|earliest| now < *earliest) {
                None => {
                    let until = self.latest.as_ref().map_or_else(String::new, |latest| format!(" until {latest}"));
                    let words = format!("the window is open{until}");
                    return Ok(Seen { answer: Answer::Passed, words, data: Value::Null });
                }
                Some(earliest) => {
                    say(format!("the window opens in {}", clock::spoken(Duration::from_secs(earliest - now))));
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_window_is_open_between_its_ends_and_closed_after_them() {
        let ask = async |earliest: Option<&str>, latest: Option<&str>| {
            let gate = ExpectWindow { earliest: earliest.map(str::to_owned), latest: latest.map(str::to_owned) };
            gate.ask(&|_| ()).await.unwrap().answer
        };
        assert_eq!(ask(None, None).await, Answer::Passed);
        assert_eq!(ask(Some("2020-01-01T00:00:00Z"), Some("2120-01-01T00:00:00Z")).await, Answer::Passed);
        assert_eq!(ask(None, Some("2020-01-01T00:00:00+02:00")).await, Answer::Refused);
    }
}
