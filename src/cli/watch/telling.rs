//! Telling of verdicts: whoever is concerned when one changes, the dead man's switch after every tick, and the numbers.
//!
//! The daemon tells in the background: its loop must come round. What is not well, or not known, is no sign of life.

use std::time::Duration;

use serde_json::json;

use super::Watching;
use crate::adapter::clock;
use crate::adapter::notify::Severity;
use crate::cli::out;
use crate::judge::ladder::Level;
use crate::judge::rules::Verdict;
use crate::notify::{Delivery, Topic, VerdictChange};
use crate::watch::going_back::Recommendation;
use crate::watch::tick::{ACCEPTED, Said, Verdicts};
use crate::watch::{keep, metrics, words};

/// The longest that the end of the program waits for what is still being told.
const PATIENCE: Duration = Duration::from_secs(45);

impl Watching<'_> {
    /// Tells what a tick came to.
    pub(super) fn tell_others(&mut self, verdicts: &Verdicts) {
        let Some(notifier) = self.setup.notifier.clone() else { return };
        let advice = self.advice(verdicts);
        let mut notices = Vec::new();
        if verdicts.level != verdicts.before {
            notices.push(self.change("verdict_changed", verdicts, advice.as_ref()).notice());
        }
        if verdicts.notes.iter().any(|note| note == ACCEPTED) {
            notices.push(self.accepted(verdicts).notice());
        }
        let words = format!("{}: {}", self.config.project.environment, words::status(verdicts, &self.window));
        let numbers = metrics::text(&self.setup.state, &self.config.project.name, &self.config.project.environment);
        let is_well = verdicts.level < Level::Hold;
        let is_known = !is_well || !verdicts.is_blind();
        self.telling.spawn(async move {
            for notice in notices {
                complain(&notifier.tell(Topic::Verdicts, &notice).await);
            }
            if is_known {
                note(&notifier.live(is_well, &words).await);
            }
            match numbers {
                Ok(text) => note(&notifier.count(&text).await),
                Err(error) => out::say(&format!("cutover: the numbers cannot be put together: {error:#}")),
            }
        });
    }

    /// Tells what follows from a verdict: going back by itself, or not.
    pub(super) fn tell_of_going_back(
        &mut self,
        event: &'static str,
        verdicts: &Verdicts,
        why: &str,
        to_do: Vec<String>,
    ) {
        let advice = self.advice(verdicts);
        let mut change = self.change(event, verdicts, advice.as_ref());
        change.why = why.to_owned();
        change.to_do = to_do.into_iter().chain(change.to_do).collect();
        self.tell_soon(change.notice());
    }

    /// Waits until everything is told, but not for ever.
    pub(super) async fn told(&mut self) {
        let all = async { while self.telling.join_next().await.is_some() {} };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            out::say("cutover: not everybody could be told before the end; `cutover notify test` tries the channels");
        }
    }

    fn change(&self, event: &'static str, verdicts: &Verdicts, advice: Option<&Recommendation>) -> VerdictChange {
        let severity = match verdicts.level {
            Level::Ok => Severity::Good,
            Level::Watch => Severity::Warn,
            Level::Hold | Level::RollbackRecommended | Level::Rollback => Severity::Bad,
        };
        let why = if verdicts.why.is_empty() { "nothing stands against it".to_owned() } else { verdicts.why.clone() };
        VerdictChange {
            event,
            place: self.place(),
            verdict: verdicts.level.word().to_owned(),
            before: verdicts.before.word().to_owned(),
            severity,
            why,
            since: words::moment(verdicts.since_ms),
            how_bad: how_bad(verdicts.level).to_owned(),
            to_do: to_do(verdicts, advice, &keep::hold_file(&self.setup.state).display().to_string()),
            whole: words::text(verdicts, &self.window, None),
            facts: words::document(verdicts, &self.window, advice),
            at_ms: clock::wall_ms(),
        }
    }

    fn accepted(&self, verdicts: &Verdicts) -> VerdictChange {
        let mut change = self.change("window_accepted", verdicts, None);
        ACCEPTED.clone_into(&mut change.why);
        change.how_bad = "all is well, and enough was seen to say so.".into();
        change.to_do = vec!["the old system may be let go; until then it can be gone back to".into()];
        change.facts = json!({ "evidence": verdicts.evidence, "acceptance": verdicts.acceptance });
        change
    }
}

fn how_bad(level: Level) -> &'static str {
    match level {
        Level::Ok => "nothing is wrong, as far as is known.",
        Level::Watch => "not bad yet; it is worth a look before it becomes so.",
        Level::Hold => "something is wrong, or nobody can tell. Change nothing more until it is understood.",
        Level::RollbackRecommended => "people are affected. Going back is the safe way out.",
        Level::Rollback => "people were affected; it is going back.",
    }
}

fn to_do(verdicts: &Verdicts, advice: Option<&Recommendation>, hold: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(advice) = advice {
        lines.push(format!("to go back: {}", advice.command));
        lines.push(format!("cost: {}", advice.cost));
        lines.push(format!("time: {}", advice.takes));
        lines.push(format!("to keep the host from going back by itself: touch {hold}"));
    }
    let is_wrong = |said: &&Said| said.standing.verdict == Verdict::Breach && !said.rule.advice.is_empty();
    lines
        .extend(verdicts.rules.iter().filter(is_wrong).map(|said| format!("{}: {}", said.rule.name, said.rule.advice)));
    lines
}

/// What goes out with every tick is said when it fails first, and when it arrives again: nobody reads 1440 lines a day.
fn note(told: &[Delivery]) {
    for one in told.iter().filter(|one| one.is_news) {
        let Delivery { channel, kind, said, .. } = one;
        out::say(&match one.has_arrived {
            true => format!("cutover: {channel} ({kind}) is told again: {said}"),
            false => format!("cutover: {}", one.words()),
        });
    }
}

pub(super) fn complain(told: &[Delivery]) {
    for one in told.iter().filter(|one| !one.has_arrived) {
        out::say(&format!("cutover: {}", one.words()));
    }
}
