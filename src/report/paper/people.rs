//! Checkpoints: what was shown, who approved it, and what for. Read leniently: older journals hold less.

use serde_json::Value;

use super::moves::text;
use super::{Approval, Checkpoint};
use crate::journal::{Entry, Fact, RunState};
use crate::report::planned::{act, title};

/// Checkpoints of the plan in its order, then approvals of signals that it does not name.
pub fn checkpoints(run: &RunState, entries: &[Entry]) -> Vec<Checkpoint> {
    let mut found: Vec<Checkpoint> = Vec::new();
    for index in (0..run.items.len()).filter(|index| act(run, *index) == "checkpoint") {
        let action = run.plan.pointer(&format!("/items/{index}/action")).unwrap_or(&Value::Null);
        let shown = shown(entries, index).unwrap_or(action);
        let list = |key: &str| shown.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let gate = |gate: &Value| {
            let part = |key: &str| text(gate, key).unwrap_or_default();
            (part("/title"), part("/answer"), part("/words"))
        };
        found.push(Checkpoint {
            signal: text(action, "/signal").unwrap_or_default(),
            title: title(run, index),
            built: text(action, "/built"),
            gates: list("gates").iter().map(gate).collect(),
            statements: list("statements").iter().filter_map(|one| statement(one, run, index)).collect(),
            approvals: Vec::new(),
        });
    }
    for entry in entries {
        if let Some((signal, approval)) = approval(entry) {
            match found.iter_mut().find(|one| one.signal == signal) {
                Some(checkpoint) => checkpoint.approvals.push(approval),
                None => found.push(Checkpoint {
                    title: signal.clone(),
                    signal,
                    approvals: vec![approval],
                    ..Checkpoint::default()
                }),
            }
        }
    }
    found
}

/// A statement, and who confirmed it: each person once, and only what was not taken back.
fn statement(one: &Value, run: &RunState, index: usize) -> Option<(String, Vec<String>)> {
    let name = text(one, "/name");
    let given = run.approvals.iter().map(|one| &one.given).filter(|given| given.item == index);
    let given = given.filter(|given| given.confirmed.iter().any(|confirmed| Some(confirmed) == name.as_ref()));
    let mut by: Vec<String> = Vec::new();
    for one in given {
        if !by.contains(&one.user) {
            by.push(one.user.clone());
        }
    }
    Some((text(one, "/words")?, by))
}

/// What was shown last at a checkpoint.
fn shown(entries: &[Entry], index: usize) -> Option<&Value> {
    entries.iter().rev().find_map(|entry| match &entry.fact {
        Fact::Observed { item, data, .. } | Fact::Done { item, data, .. }
            if *item == index && data.get("gates").is_some() =>
        {
            Some(data)
        }
        _ => None,
    })
}

/// An approval, with what it was given for, where the line says so.
fn approval(entry: &Entry) -> Option<(String, Approval)> {
    let Fact::Approval { signal, by, note, given } = &entry.fact else { return None };
    let approval = Approval {
        at: entry.at.clone(),
        by: by.clone(),
        note: note.clone(),
        evidence_hash: given.as_ref().map(|given| given.evidence_hash.clone()),
        is_taken_back: given.as_ref().is_some_and(|given| given.cancels),
    };
    Some((signal.clone(), approval))
}
