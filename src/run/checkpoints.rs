//! The desk at which a checkpoint is looked at and approvals are heard. It writes the journal, so only the lock's holder has one.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::approvals::{self, Request, Ruling};
use crate::adapter::clock;
use crate::journal::{Fact, Journal, JournalError, RunState, state};
use crate::redact::Redactor;
use crate::step::checkpoint::Shown;
use crate::step::plan::Plan;
use crate::step::{Actor, Hands};

/// Whoever stands at a checkpoint: a run that waits there, or `approve` while none does.
pub struct Desk<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The journal.
    pub journal: &'a mut Journal,
    /// Asks the gates.
    pub hands: &'a Hands,
    /// Blots secrets out of what is written down.
    pub redactor: &'a Redactor,
    /// Number of the run.
    pub number: u32,
}

/// What became of a request.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", tag = "answer", content = "words")]
pub enum Heard {
    /// It counts, and nothing is missing any more.
    Passes(String),
    /// It counts, and something is still missing.
    Counts(String),
    /// Earlier approvals were taken back.
    TakenBack(String),
    /// It does not count, and nothing was written but perhaps what was seen.
    Refused(String),
}

impl Desk<'_> {
    /// What the journal says now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn state(&self) -> Result<RunState, JournalError> {
        let entries = crate::journal::read(self.journal.path())?;
        Ok(state::fold(self.number, self.plan.kind.word(), &entries))
    }

    /// Asks everything again, and writes down what changed.
    ///
    /// # Errors
    /// When the run stands at no checkpoint, or the journal fails.
    pub async fn look(&mut self) -> Result<(Shown, Ruling)> {
        let run = self.state()?;
        let (item, action) = approvals::checkpoint(self.plan, &run).context("the run stands at no checkpoint")?;
        let seen = self.hands.ask(action, &|_| ()).await?;
        let now_s = clock::unix_seconds();
        let shown = approvals::complete(serde_json::from_value(seen.data)?, &run, item, now_s);
        let ruling = approvals::judge(&run, item, &shown, now_s);
        let data = self.redactor.clean_json(serde_json::to_value(&shown)?);
        let is_news = run.waiting.as_ref().is_none_or(|waiting| is_other(&waiting.shown, &data));
        if is_news {
            let name = self.plan.items[item].name.clone();
            let seen = self.redactor.clean(&seen.words);
            self.journal.append(Fact::Observed { item, name, seen, data })?;
        }
        Ok((shown, ruling))
    }

    /// Hears a request: the gates are asked again before it counts.
    ///
    /// # Errors
    /// When the world cannot be asked or the journal fails.
    pub async fn hear(&mut self, request: &Request) -> Result<Heard> {
        let run = self.state()?;
        if let Some(why) = approvals::refusal(&run, self.plan, request, clock::unix_seconds()) {
            return Ok(Heard::Refused(why));
        }
        let before = run.waiting.as_ref().context("no run waits for an approval")?.shown.clone();
        let before: Shown = serde_json::from_value(before).context("what the checkpoint shows cannot be read")?;
        if request.cancels {
            self.journal.append(approvals::given(&run, self.plan, &before, request))?;
            return Ok(Heard::TakenBack(format!("the approvals of {:?} are taken back", request.signal)));
        }
        let (shown, _) = self.look().await?;
        if let Some(why) = approvals::refusal_now(&before, &shown, request) {
            return Ok(Heard::Refused(why));
        }
        self.journal.append(approvals::given(&run, self.plan, &shown, request))?;
        let run = self.state()?;
        let Some(waiting) = &run.waiting else { return Ok(Heard::Passes(String::new())) };
        let shown = approvals::complete(shown, &run, waiting.item, clock::unix_seconds());
        let evidence = shown.evidence_hash.get(..12).unwrap_or_default();
        let words = format!("{} approved {:?} for the evidence {evidence}", request.user, request.signal);
        Ok(match shown.missing.is_empty() {
            true => Heard::Passes(words),
            false => Heard::Counts(format!("{words}; still missing: {}", shown.missing.join("; "))),
        })
    }
}

/// Whether something is shown that was not shown before; mere words of a gate, such as durations, are no news.
fn is_other(before: &serde_json::Value, now: &serde_json::Value) -> bool {
    let answers = |value: &serde_json::Value| -> Vec<serde_json::Value> {
        let gates = value["gates"].as_array().cloned().unwrap_or_default();
        gates.into_iter().map(|gate| gate["answer"].clone()).collect()
    };
    before["evidence_hash"] != now["evidence_hash"] || answers(before) != answers(now)
}
