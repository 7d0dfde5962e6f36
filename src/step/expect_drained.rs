//! Expect drained: nobody calls the old side any more. Who stays on beyond the time is told, and is no failure.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::drain::{Drain, Drained};
use super::{Answer, Say, Seen};
use crate::adapter::docker::Docker;

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectDrained {
    /// Whose connections are waited for.
    pub drain: Drain,
}

impl ExpectDrained {
    /// Waits.
    ///
    /// # Errors
    /// None for what it sees; a table that cannot be read is unknown.
    pub async fn ask(&self, docker: &Docker, say: Say<'_>) -> Result<Seen> {
        let project = &self.drain.project;
        Ok(match self.drain.wait(docker, say).await {
            Ok(drained) => {
                let left = match drained {
                    Drained::Idle(_) => String::new(),
                    Drained::Left(_) => {
                        format!(" after {} s; they stay until {project} is let go", self.drain.timeout_s)
                    }
                };
                let data = match drained {
                    Drained::Idle(after) => json!({ "idle_after_ms": u64::try_from(after.as_millis()).unwrap_or(0) }),
                    Drained::Left(count) => json!({ "connections_left": count }),
                };
                let words = format!("{project}: {}{left}", drained.words());
                Seen { answer: Answer::Passed, words, data }
            }
            Err(error) => Seen { answer: Answer::Unknown, words: format!("{error:#}"), data: Value::Null },
        })
    }
}
