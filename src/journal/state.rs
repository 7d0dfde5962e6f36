//! The fold: what a journal's lines say about a run. Pure; the same lines give the same state for ever.

use serde_json::Value;

use super::entry::{Entry, Fact, Given, Header, Outcome};

/// How far an item came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Not begun.
    Waiting,
    /// Begun; whether it took effect is not known.
    Started,
    /// Its effect was observed.
    Done,
    /// It failed; how far it came is not known.
    Failed,
    /// Its undoing was begun.
    Undoing,
    /// Its undoing was observed.
    Undone,
    /// Its effect stays, for a reason that was written down.
    Stays,
}

/// An item and its history in short.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ItemState {
    /// Name in the plan.
    pub name: String,
    /// How far it came.
    pub standing: Standing,
    /// Whether the plan itself asks to undo it.
    pub back: bool,
    /// Last words about it.
    pub said: String,
    /// What it left behind.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub data: Value,
    /// Whether this run began to change it: what it found done already is not its own to undo.
    pub was_begun: bool,
    /// Whether the world was so before this run touched it.
    pub already: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Wall time of the first and the last line about it.
    pub times: Option<(String, String)>,
}

/// A checkpoint at which a run stands, and what was shown there last.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Index into the plan's items.
    pub item: usize,
    /// Wall time when the checkpoint was reached; a resumption does not begin it anew, a failure does.
    pub since: String,
    /// What was shown: evidence, what is missing, its hash.
    pub shown: Value,
}

/// An approval that was given and not taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Wall time.
    pub at: String,
    /// A remark.
    pub note: String,
    /// Who, and what for.
    pub given: Given,
}

/// A run as its journal tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    /// Number.
    pub number: u32,
    /// Kind, from the file's name.
    pub kind: String,
    /// The head; absent when the process died before its first line was durable.
    pub header: Option<Header>,
    /// The plan as it was written.
    pub plan: Value,
    /// One state per item of the plan.
    pub items: Vec<ItemState>,
    /// Whether the run was on its way back.
    pub is_going_back: bool,
    /// How it ended; absent while it is at work or interrupted.
    pub outcome: Option<(Outcome, String)>,
    /// Last failure, when there was one: item's index and why.
    pub failure: Option<(usize, String)>,
    /// Whether that failure is a gate's that could not be asked to the end.
    pub is_failure_unknown: bool,
    /// Wall time of the first and the last line.
    pub times: Option<(String, String)>,
    /// Epoch of the last line.
    pub epoch: u32,
    /// Notes, in order.
    pub notes: Vec<(String, String)>,
    /// The checkpoint at which it stands, while it does.
    pub waiting: Option<Waiting>,
    /// Approvals that count, in order.
    pub approvals: Vec<Approved>,
}

impl RunState {
    /// Whether it was a deployment of what ran already: it only looked.
    pub fn is_nothing_new(&self) -> bool {
        self.kind == "deploy" && self.plan["deed"].is_string()
    }

    /// Whether anything was begun that may have changed the world.
    pub fn was_begun(&self) -> bool {
        self.items.iter().any(|item| item.was_begun)
    }

    /// Whether it can be gone on with: it has no end, or it was left for a person.
    pub fn is_open(&self) -> bool {
        self.header.is_some() && matches!(self.outcome, None | Some((Outcome::Held | Outcome::Stuck, _)))
    }

    /// The last checkpoint that it stands at or has passed: what that one rests on, it asks again by itself, so that what
    /// took a day is not watched for another one after the signal.
    pub fn last_checkpoint(&self) -> Option<usize> {
        let passed = self.items.iter().rposition(|item| item.data.get("signal").is_some());
        passed.max(self.waiting.as_ref().map(|waiting| waiting.item))
    }

    /// Whether what it did stands: it ended well, or it stopped half-way.
    pub fn stands(&self) -> bool {
        self.is_open() || matches!(self.outcome, Some((Outcome::Done, _)))
    }

    /// The item that it stopped in: the one begun last that has no end.
    pub fn stopped_in(&self) -> Option<&ItemState> {
        let open =
            |item: &&ItemState| matches!(item.standing, Standing::Started | Standing::Undoing | Standing::Failed);
        self.items.iter().rfind(open)
    }
}

/// Reads the lines in order.
pub fn fold(number: u32, kind: &str, entries: &[Entry]) -> RunState {
    let mut run = RunState {
        number,
        kind: kind.to_owned(),
        header: None,
        plan: Value::Null,
        items: Vec::new(),
        is_going_back: false,
        outcome: None,
        failure: None,
        is_failure_unknown: false,
        times: None,
        epoch: 0,
        notes: Vec::new(),
        waiting: None,
        approvals: Vec::new(),
    };
    for entry in entries {
        if entry.epoch > run.epoch {
            // Somebody went on with a run that was left for a person: it has no end any more.
            run.outcome = None;
        }
        run.epoch = entry.epoch;
        // What is remarked after the end, such as a verdict on what it brought up, does not move the end.
        let is_remark = run.outcome.is_some() && matches!(entry.fact, Fact::Note { .. } | Fact::Verdict { .. });
        if !is_remark {
            let first = run.times.take().map_or_else(|| entry.at.clone(), |(first, _)| first);
            run.times = Some((first, entry.at.clone()));
        }
        take(&mut run, entry);
    }
    run
}

fn take(run: &mut RunState, entry: &Entry) {
    match &entry.fact {
        Fact::Planned { header, plan } => {
            run.header = Some(header.clone());
            run.plan = plan.clone();
            run.items = items(plan);
        }
        Fact::Started { item, .. } => {
            // Tried again, it has not failed any more.
            run.failure.take_if(|(failed, _)| failed == item);
            set(run, *item, &entry.at, Standing::Started, "");
            begin(run, *item);
        }
        Fact::Observed { item, seen, data, .. } => {
            if let Some(state) = run.items.get_mut(*item) {
                state.said.clone_from(seen);
            }
            wait(run, *item, &entry.at, data);
        }
        Fact::Done { item, seen, already, took_ms, data, .. } => {
            run.waiting = None;
            run.failure.take_if(|(failed, _)| failed == item);
            set(run, *item, &entry.at, Standing::Done, seen);
            if let Some(state) = run.items.get_mut(*item) {
                // Found done after an interruption, it was this run that did it.
                state.already = *already && !state.was_begun;
                (state.took_ms, state.data) = (*took_ms, data.clone());
            }
        }
        Fact::Failed { item, why, back, unknown, took_ms, .. } => {
            run.waiting = None;
            if let Some(state) = run.items.get_mut(*item) {
                state.took_ms += took_ms;
            }
            // A step that fails on its way back is still to be undone.
            set(run, *item, &entry.at, if *back { Standing::Undoing } else { Standing::Failed }, why);
            run.failure = Some((*item, why.clone()));
            run.is_failure_unknown = *unknown;
            turn_back(run, *item, *back);
        }
        Fact::Undoing { item, .. } => {
            run.waiting = None;
            turn_back(run, *item, true);
            set(run, *item, &entry.at, Standing::Undoing, "");
            begin(run, *item);
        }
        Fact::Undone { item, seen, stays, took_ms, .. } => {
            // A rollback is never turned around: what stays of it was left out at a person's wish.
            turn_back(run, *item, !(*stays && run.kind == "rollback"));
            if let Some(state) = run.items.get_mut(*item) {
                // What was done and undone took both times.
                state.took_ms += took_ms;
            }
            // What a rollback undid at last has not failed any more; of a run that turned back, it is why it did.
            let is_wanted = run.items.get(*item).is_some_and(|state| state.back);
            run.failure.take_if(|(failed, _)| failed == item && (is_wanted || run.kind == "rollback"));
            set(run, *item, &entry.at, if *stays { Standing::Stays } else { Standing::Undone }, seen);
        }
        Fact::Finished { outcome, said, .. } => run.outcome = Some((*outcome, said.clone())),
        Fact::Note { text } => run.notes.push((entry.at.clone(), text.clone())),
        Fact::Approval { given: Some(given), .. } if given.cancels => {
            run.approvals.retain(|one| one.given.item != given.item);
        }
        Fact::Approval { given: Some(given), note, .. } => {
            run.approvals.push(Approved { at: entry.at.clone(), note: note.clone(), given: (**given).clone() });
        }
        Fact::Approval { .. } | Fact::Verdict { .. } | Fact::Unknown(_) => {}
    }
}

/// A checkpoint shows what it rests on by an observation with a signal in its data.
fn wait(run: &mut RunState, item: usize, at: &str, data: &Value) {
    if data.get("signal").is_none() {
        return;
    }
    let since = run.waiting.take().filter(|before| before.item == item).map(|before| before.since);
    run.waiting = Some(Waiting { item, since: since.unwrap_or_else(|| at.to_owned()), shown: data.clone() });
}

/// A run turns back when it undoes an item that its plan wanted done.
fn turn_back(run: &mut RunState, item: usize, back: bool) {
    run.is_going_back |= back && run.items.get(item).is_none_or(|state| !state.back);
}

fn items(plan: &Value) -> Vec<ItemState> {
    let items = plan.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let waiting = |item: &Value| ItemState {
        name: item.get("name").and_then(Value::as_str).unwrap_or("?").to_owned(),
        standing: Standing::Waiting,
        back: item.get("back").and_then(Value::as_bool).unwrap_or(false),
        said: String::new(),
        data: Value::Null,
        was_begun: false,
        already: false,
        took_ms: 0,
        times: None,
    };
    items.iter().map(waiting).collect()
}

fn begin(run: &mut RunState, item: usize) {
    if let Some(state) = run.items.get_mut(item) {
        state.was_begun = true;
    }
}

fn set(run: &mut RunState, item: usize, at: &str, standing: Standing, said: &str) {
    // A run that a person went on with has no end until it is written again.
    run.outcome = None;
    let Some(state) = run.items.get_mut(item) else { return };
    state.standing = standing;
    if !said.is_empty() {
        said.clone_into(&mut state.said);
    }
    let first = state.times.take().map_or_else(|| at.to_owned(), |(first, _)| first);
    state.times = Some((first, at.to_owned()));
}
