//! Approvals: whether what a person said counts. Pure: the journal, what was seen just now, and the time are handed in.
//!
//! Law: an approval is valid only for the plan and the evidence it was given for, for so long, and each by another person.

use serde::{Deserialize, Serialize};

use crate::adapter::clock::{seconds_of, spoken};
use crate::adapter::files::sha256;
use crate::journal::{Approved, Given, RunState, Standing};
use crate::step::Act;
use crate::step::checkpoint::{GateSeen, Shown};
use crate::step::plan::{Plan, RunKind};

/// How a checkpoint stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Enough people approved what is true now.
    Passes(String),
    /// It waits; what is missing stands in what is shown.
    Waits,
    /// Nobody approved in time.
    Expired(String),
}

/// What a person asks for.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Request {
    /// The signal.
    pub signal: String,
    /// Login name.
    pub user: String,
    /// Host.
    pub host: String,
    /// Login name, host and process, for people.
    pub by: String,
    /// A remark.
    pub note: String,
    /// Statements that he confirmed.
    pub confirmed: Vec<String>,
    /// The beginning of the plan's hash, where he says which plan he means.
    pub plan: Option<String>,
    /// The beginning of the hash of the evidence that he was shown.
    pub evidence: Option<String>,
    /// Whether approvals are taken back instead.
    pub cancels: bool,
}

/// Completes what a checkpoint shows: steps before it, the hash of the evidence, what is missing.
pub fn complete(mut shown: Shown, run: &RunState, item: usize, now_s: u64) -> Shown {
    let is_gate = |index: usize| {
        let act = run.plan.pointer(&format!("/items/{index}/action/act")).and_then(|act| act.as_str());
        act.is_some_and(|act| act.starts_with("expect_") || act == "checkpoint")
    };
    let before = run.items.iter().enumerate().take(item);
    let steps = before.filter(|(index, state)| state.standing == Standing::Done && !is_gate(*index));
    shown.done = steps.map(|(_, state)| (state.name.clone(), state.said.clone())).collect();
    shown.evidence_hash = evidence_hash(&shown);
    shown.missing = missing(&shown, &counting(run, item, &shown, now_s));
    shown
}

/// What an approval is for: the answers of the gates, what must stay the same, the statements, and what was done.
fn evidence_hash(shown: &Shown) -> String {
    let gates: Vec<_> = shown.gates.iter().map(|gate| (&gate.name, &gate.answer, &gate.evidence)).collect();
    let done: Vec<_> = shown.done.iter().map(|(name, _)| name).collect();
    let all = serde_json::json!([shown.signal, shown.built, gates, shown.statements, done]);
    sha256(all.to_string().as_bytes())
}

/// Judges a checkpoint by what was seen just now.
pub fn judge(run: &RunState, item: usize, shown: &Shown, now_s: u64) -> Ruling {
    if run.kind == RunKind::Rehearsal.word() && shown.gates.iter().all(GateSeen::is_passed) {
        let open: Vec<&str> = shown.statements.iter().map(|one| one.name.as_str()).collect();
        let open = if open.is_empty() { "nothing".to_owned() } else { open.join(", ") };
        return Ruling::Passes(format!("its gates pass; a rehearsal waits for nobody (a person will confirm: {open})"));
    }
    if shown.missing.is_empty() {
        let people = counting(run, item, shown, now_s);
        let people: Vec<String> =
            people.iter().map(|one| format!("{}@{} at {}", one.given.user, one.given.host, one.at)).collect();
        return Ruling::Passes(format!("{} was given by {}", shown.signal, people.join(" and ")));
    }
    match expiry(run, item, shown, now_s) {
        Some(why) => Ruling::Expired(why),
        None => Ruling::Waits,
    }
}

/// Why the checkpoint at which a run stands takes no approval any more; nothing where it has what it waits for.
pub fn expired(run: &RunState, now_s: u64) -> Option<String> {
    let waiting = run.waiting.as_ref()?;
    let shown: Shown = serde_json::from_value(waiting.shown.clone()).ok()?;
    let is_given = shown.wanted(&given_by(&counting(run, waiting.item, &shown, now_s))).is_none();
    expiry(run, waiting.item, &shown, now_s).filter(|_| !is_given)
}

/// Why nobody can approve any more, once the deadline has passed.
fn expiry(run: &RunState, item: usize, shown: &Shown, now_s: u64) -> Option<String> {
    let deadline = shown.deadline_s?;
    let waiting = run.waiting.as_ref().filter(|waiting| waiting.item == item)?;
    let since = seconds_of(&waiting.since)?;
    let words = spoken(std::time::Duration::from_secs(deadline));
    (now_s > since + deadline).then(|| {
        format!("expired: nobody gave {:?} within {words}; it stands here since {}", shown.signal, waiting.since)
    })
}

/// The approvals that count now: for this evidence, not too old, one of each person.
fn counting<'a>(run: &'a RunState, item: usize, shown: &Shown, now_s: u64) -> Vec<&'a Approved> {
    let plan_hash = run.header.as_ref().map(|header| header.plan_hash.as_str()).unwrap_or_default();
    let mut people: Vec<&Approved> = Vec::new();
    for one in run.approvals.iter().filter(|one| one.given.item == item) {
        let is_for_this = one.given.plan_hash == plan_hash && one.given.evidence_hash == shown.evidence_hash;
        let is_young = seconds_of(&one.at).is_some_and(|at| now_s <= at + shown.valid_s);
        let is_new = people.iter().all(|other| other.given.user != one.given.user);
        if is_for_this && is_young && is_new {
            people.push(one);
        }
    }
    people
}

fn given_by<'a>(given: &[&'a Approved]) -> Vec<&'a str> {
    given.iter().map(|one| one.given.user.as_str()).collect()
}

fn missing(shown: &Shown, given: &[&Approved]) -> Vec<String> {
    let mut missing: Vec<String> = shown
        .gates
        .iter()
        .filter(|gate| !gate.is_passed())
        .map(|gate| format!("{} is {}: {}", gate.name, gate.answer, gate.words))
        .collect();
    missing.extend(shown.wanted(&given_by(given)));
    missing
}

/// Why a request is refused before the world is asked; nothing where it is not.
pub fn refusal(run: &RunState, plan: &Plan, request: &Request, now_s: u64) -> Option<String> {
    let Some(waiting) = &run.waiting else {
        return Some("no run waits for an approval; `cutover status` tells how things stand".into());
    };
    let shown: Shown = serde_json::from_value(waiting.shown.clone()).ok()?;
    if shown.signal != request.signal {
        return Some(format!(
            "run {} waits for {:?}, not for {:?}; look at what it shows, then: cutover approve {}",
            run.number,
            shown.signal,
            request.signal,
            typed(&shown.signal)
        ));
    }
    let hash = plan.hash();
    if let Some(wanted) = request.plan.as_ref().filter(|wanted| !hash.starts_with(wanted.as_str())) {
        let now = hash.get(..12).unwrap_or(&hash);
        return Some(format!("you mean the plan {wanted}, and run {} carries out the plan {now}", run.number));
    }
    if request.cancels {
        return None;
    }
    if let Some(why) = expiry(run, waiting.item, &shown, now_s) {
        return Some(format!(
            "{why}; `cutover resume` does what its on_expiry says, `cutover rollback` undoes the run"
        ));
    }
    let others = counting(run, waiting.item, &shown, now_s);
    if shown.people > 1 && others.iter().any(|one| one.given.user == request.user) {
        return Some(format!(
            "{} approved {:?} already, and it wants {} people: another one has to look at it too",
            request.user, shown.signal, shown.people
        ));
    }
    let known: Vec<&str> = shown.statements.iter().map(|one| one.name.as_str()).collect();
    let unknown: Vec<&str> =
        request.confirmed.iter().map(String::as_str).filter(|name| !name.is_empty() && !known.contains(name)).collect();
    if !unknown.is_empty() {
        let has = if known.is_empty() { "no statements".to_owned() } else { known.join(", ") };
        return Some(format!("{:?} has no statement {}; it has {has}", shown.signal, unknown.join(", ")));
    }
    let open: Vec<&str> = shown
        .statements
        .iter()
        .filter(|statement| !request.confirmed.contains(&statement.name))
        .map(|statement| statement.name.as_str())
        .collect();
    if !open.is_empty() {
        return Some(format!(
            "not confirmed: {}; confirm each by its name: --confirms {}",
            open.join(", "),
            open.join(",")
        ));
    }
    None
}

/// Why it is refused after the world was asked: a gate does not pass, or what was shown is not true any more.
pub fn refusal_now(before: &Shown, now: &Shown, request: &Request) -> Option<String> {
    let sick: Vec<String> = now
        .gates
        .iter()
        .filter(|gate| !gate.is_passed())
        .map(|gate| format!("{} is {}: {}", gate.name, gate.answer, gate.words))
        .collect();
    if !sick.is_empty() {
        return Some(format!("not approved, its own gates do not pass: {}", sick.join("; ")));
    }
    let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
    let is_other = |wanted: &String| !now.evidence_hash.starts_with(wanted.as_str());
    if before.evidence_hash != now.evidence_hash || request.evidence.as_ref().is_some_and(is_other) {
        let changed = changed(before, now);
        let changed = if changed.is_empty() { String::new() } else { format!(" ({})", changed.join("; ")) };
        return Some(format!(
            "the evidence is stale: what was shown was {}, and now it is {}{changed}; look at what is true now, and \
             approve again",
            short(request.evidence.as_deref().unwrap_or(&before.evidence_hash)),
            short(&now.evidence_hash)
        ));
    }
    None
}

fn changed(before: &Shown, now: &Shown) -> Vec<String> {
    let old = |name: &str| before.gates.iter().find(|gate| gate.name == name);
    let gates = now
        .gates
        .iter()
        .filter(|gate| old(&gate.name).is_none_or(|old| old.answer != gate.answer || old.evidence != gate.evidence));
    gates.map(|gate| format!("{} changed: {}", gate.name, gate.words)).collect()
}

/// The line of the journal.
pub fn given(run: &RunState, plan: &Plan, shown: &Shown, request: &Request) -> crate::journal::Fact {
    let item = run.waiting.as_ref().map_or(0, |waiting| waiting.item);
    crate::journal::Fact::Approval {
        signal: request.signal.clone(),
        by: request.by.clone(),
        note: request.note.clone(),
        given: Some(Box::new(Given {
            item,
            user: request.user.clone(),
            host: request.host.clone(),
            plan_hash: plan.hash(),
            evidence_hash: shown.evidence_hash.clone(),
            confirmed: request.confirmed.clone(),
            cancels: request.cancels,
        })),
    }
}

/// A signal as it is typed in a shell.
pub fn typed(signal: &str) -> String {
    if signal.contains(' ') { format!("{signal:?}") } else { signal.to_owned() }
}

/// The checkpoint at which a run stands.
pub fn checkpoint<'a>(plan: &'a Plan, run: &RunState) -> Option<(usize, &'a Act)> {
    let item = run.waiting.as_ref()?.item;
    Some((item, &plan.items.get(item)?.action))
}
