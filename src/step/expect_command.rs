//! Expect command: a program that only looks says yes, no, or that it does not know. What it prints is kept.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::run_command::{RunCommand, Variables};
use super::{Answer, RunTag, Say, Seen};
use crate::adapter::process::Process;

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectCommand {
    /// The program and where it runs; its `run` is what is asked.
    pub command: RunCommand,
    /// Exit codes by which it says no; 0 is yes, every other one is not known.
    pub refuses: Vec<i32>,
}

impl ExpectCommand {
    /// Asks.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time.
    pub async fn ask(&self, process: &Process, variables: &Variables, run: &RunTag, say: Say<'_>) -> Result<Seen> {
        let (code, last) = self.command.ask(process, variables, run, say).await?;
        let last = if last.is_empty() { "it said nothing".to_owned() } else { last };
        let (answer, words) = match code {
            0 => (Answer::Passed, last),
            code if self.refuses.contains(&code) => (Answer::Refused, format!("it says no ({code}): {last}")),
            code => (Answer::Unknown, format!("it ended with {code}, which is neither yes nor no: {last}")),
        };
        Ok(Seen { answer, words, data: json!({ "exit": code, "log": self.command.log_of("ask", run) }) })
    }
}
