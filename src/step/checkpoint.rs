//! Checkpoint: a gate that only a person can pass. It asks its own gates, shows what they saw, and waits for a signal.
//!
//! Law: here is only the asking. Whether an approval counts is judged by the run, which has the journal.

use anyhow::Result;
use futures_util::future::{LocalBoxFuture, join_all};
use serde::{Deserialize, Serialize};

use super::{Act, Answer, Seen};
use crate::data::plural::counted;

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Checkpoint {
    /// What a person types.
    pub signal: String,
    /// What was built, for the one who approves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built: Option<String>,
    /// What is asked each time.
    pub gates: Vec<CheckGate>,
    /// What was true before it and must still be: the source is frozen, the stack is healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub still: Vec<CheckGate>,
    /// What a person confirms.
    pub statements: Vec<Statement>,
    /// How many people must approve, each another one.
    pub people: u32,
    /// How long an approval counts until the run goes on, seconds.
    pub valid_s: u64,
    /// How long it waits for its approval, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<u64>,
    /// How often everything is asked again while it waits, milliseconds.
    pub recheck_ms: u64,
}

/// A gate of a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct CheckGate {
    /// Name in the checkpoint.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What is asked.
    pub action: Box<Act>,
}

/// What a person confirms by its name.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Statement {
    /// Name.
    pub name: String,
    /// The statement.
    pub words: String,
}

/// What a checkpoint shows: written into the journal, hashed, approved.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Shown {
    /// What a person types.
    pub signal: String,
    /// What was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built: Option<String>,
    /// What the gates said.
    pub gates: Vec<GateSeen>,
    /// What a person confirms.
    pub statements: Vec<Statement>,
    /// How many people must approve.
    pub people: u32,
    /// How long an approval counts, seconds.
    pub valid_s: u64,
    /// How long it waits, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_s: Option<u64>,
    /// How often it asks again, milliseconds.
    pub recheck_ms: u64,
    /// Steps before it, with what was seen when they were done; filled in by the run.
    #[serde(default)]
    pub done: Vec<(String, String)>,
    /// SHA-256 of what an approval is for; filled in by the run.
    #[serde(default)]
    pub evidence_hash: String,
    /// What is missing, in words; filled in by the run.
    #[serde(default)]
    pub missing: Vec<String>,
}

impl Shown {
    /// What is still wanted of people when these gave the signal; nothing once it is enough.
    pub fn wanted(&self, given: &[&str]) -> Option<String> {
        let (signal, people) = (&self.signal, self.people as usize);
        match (people, given.len()) {
            (people, count) if count >= people => None,
            (1, _) => Some(format!("the signal {signal:?}")),
            (_, 0) => Some(format!("the signal {signal:?} from {people} people")),
            (_, count) => {
                Some(format!("the signal {signal:?} from {} more ({} gave it)", people - count, given.join(", ")))
            }
        }
    }
}

/// What one gate said.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct GateSeen {
    /// Name in the checkpoint.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// `passed`, `refused` or `unknown`.
    pub answer: String,
    /// What was seen.
    pub words: String,
    /// What must stay the same for an approval to stay valid, where the gate has such a thing.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub evidence: serde_json::Value,
}

impl GateSeen {
    /// Whether it lets the run pass.
    pub fn is_passed(&self) -> bool {
        self.answer == "passed"
    }
}

impl Checkpoint {
    /// Asks every gate, side by side. What could not be asked is unknown, and never passes.
    ///
    /// # Errors
    /// When what was seen cannot be written down.
    pub async fn ask<'a>(&'a self, ask: impl Fn(&'a Act) -> LocalBoxFuture<'a, Result<Seen>>) -> Result<Seen> {
        let gates = self.gates.iter().chain(&self.still);
        let asked = gates.map(|gate| {
            let answer = ask(&gate.action);
            async move {
                let (answer, words, evidence) = match answer.await {
                    Ok(seen) => (word(seen.answer), seen.words, seen.data["evidence"].clone()),
                    Err(error) => (word(Answer::Unknown), format!("not known: {error:#}"), serde_json::Value::Null),
                };
                let (name, title) = (gate.name.clone(), gate.title.clone());
                GateSeen { name, title, answer: answer.to_owned(), words, evidence }
            }
        });
        let gates: Vec<GateSeen> = join_all(asked).await;
        let passed = gates.iter().filter(|gate| gate.is_passed()).count();
        let words = format!("{passed} of {} passed; it waits for {:?}", counted(gates.len(), "gate"), self.signal);
        let shown = Shown {
            signal: self.signal.clone(),
            built: self.built.clone(),
            gates,
            statements: self.statements.clone(),
            people: self.people,
            valid_s: self.valid_s,
            deadline_s: self.deadline_s,
            recheck_ms: self.recheck_ms,
            done: Vec::new(),
            evidence_hash: String::new(),
            missing: Vec::new(),
        };
        Ok(Seen { answer: Answer::Waiting, words, data: serde_json::to_value(shown)? })
    }
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Passed => "passed",
        Answer::Refused => "refused",
        Answer::Unknown | Answer::Waiting => "unknown",
    }
}
