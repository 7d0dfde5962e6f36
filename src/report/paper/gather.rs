//! From the journal's lines to the document. Pure; what is missing is left out.

use serde_json::Value;

use super::spans::{self, moment_ms};
use super::{
    Failure, Head, Material, Note, Paper, Service, Span, SpanKind, Step, Timeline, Tone, Verdict, moves, names, people,
    stable,
};
use crate::journal::{Entry, Fact, ItemState, Outcome, RunState, Standing};
use crate::report::SCHEMA;
use crate::report::history::ended;
use crate::report::manifest::manifest;
use crate::report::planned::{act, deed, is_gate, release_name, releases, title, word};
use crate::report::text::{gist, harmless};

/// Gathers everything.
pub fn gather(material: &Material<'_>) -> Paper {
    let mut paper = Paper {
        schema: SCHEMA.into(),
        document: "run-report".into(),
        made_at: material.made_at.clone(),
        fault: material.fault.clone(),
        files: material.files.clone(),
        ..Paper::default()
    };
    let Some(run) = material.run else { return paper };
    let entries = material.entries;
    paper.run = head(run, entries);
    paper.verdict = verdict(run);
    paper.steps = steps(run, material);
    paper.run.waited_ms = paper.steps.iter().map(|step| step.waited_ms).sum();
    paper.timeline = timeline(run, material);
    paper.checkpoints = people::checkpoints(run, entries);
    paper.moved = moves::moved(run, material);
    paper.verifications = moves::verifications(run, material);
    paper.gaps = moves::gaps(run, material);
    paper.verdicts = verdicts(entries);
    paper.records = names::records(run);
    paper.names = names::sights(run, entries);
    paper.stabilization = material.window.as_ref().and_then(|window| stable::of_run(window, run));
    paper.changes = moves::changes(run);
    paper.backups = moves::backups(run);
    paper.services = services(run);
    paper.failures = failures(run, entries);
    paper.remarks = remarks(run);
    paper.notes = notes(entries);
    let went_back = run.is_going_back || paper.run.undoes.is_some() || run.kind == "rollback";
    paper.manifest = went_back.then(|| manifest(run, entries, material.undone_run));
    paper
}

/// Blots out what could move a cursor or turn a line around; the caller blots out secrets.
pub fn tame(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(harmless(&text)),
        Value::Array(values) => values.into_iter().map(tame).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, tame(value))).collect(),
        other => other,
    }
}

fn head(run: &RunState, entries: &[Entry]) -> Head {
    let header = run.header.as_ref();
    let text = |of: fn(&crate::journal::Header) -> &String| header.map(|header| of(header).clone()).unwrap_or_default();
    let (from, to) = releases(run);
    let (began, last) = times(run, entries).unzip();
    let ms = |at: &Option<String>| at.as_deref().and_then(moment_ms);
    let lasted = ms(&last).zip(ms(&began)).map_or(0, |(last, began)| last.saturating_sub(began));
    let exit = entries.iter().rev().find_map(|entry| match entry.fact {
        Fact::Finished { exit, .. } => Some(exit),
        _ => None,
    });
    Head {
        number: run.number,
        kind: run.kind.clone(),
        title: what(run),
        about: about(run),
        project: text(|header| &header.project),
        environment: text(|header| &header.environment),
        by: text(|header| &header.by),
        version: text(|header| &header.version),
        plan_hash: text(|header| &header.plan_hash),
        release_from: from,
        release_to: to,
        undoes: header.and_then(|header| header.undoes),
        began_at: began,
        last_at: last,
        lasted_ms: u64::try_from(lasted).unwrap_or(0),
        waited_ms: 0,
        processes: run.epoch,
        exit,
    }
}

/// First and last moment of the run itself: what the watcher writes behind its end is no part of it.
fn times(run: &RunState, entries: &[Entry]) -> Option<(String, String)> {
    let (first, last) = run.times.clone()?;
    let is_of_it = |entry: &&Entry| !matches!(entry.fact, Fact::Verdict { .. });
    Some((first, entries.iter().rev().find(is_of_it).map_or(last, |entry| entry.at.clone())))
}

fn what(run: &RunState) -> String {
    let undoes = run.header.as_ref().and_then(|header| header.undoes);
    if undoes.is_none() && run.plan.pointer("/course/runbook").is_some() {
        return deed(run).to_owned();
    }
    match (releases(run), undoes) {
        (_, Some(undone)) => format!("{} of run {undone}", run.kind),
        ((None, None), None) => deed(run).to_owned(),
        ((None, Some(to)), None) => format!("{} of r{to}", run.kind),
        ((from, to), None) => format!("{}, {} → {}", run.kind, release_name(from), release_name(to)),
    }
}

/// What the number and the kind do not tell.
fn about(run: &RunState) -> Option<String> {
    let undoing = || run.plan.get("deed").filter(|_| run.header.as_ref().is_some_and(|header| header.undoes.is_some()));
    run.plan.pointer("/course/title").or_else(undoing).and_then(Value::as_str).map(str::to_owned)
}

fn verdict(run: &RunState) -> Verdict {
    let tone = match &run.outcome {
        Some((Outcome::Done, _)) => Tone::Good,
        Some((Outcome::Unchanged | Outcome::RolledBack, _)) | None => Tone::Careful,
        Some((Outcome::Held | Outcome::Stuck, _)) => Tone::Bad,
    };
    let said = run.outcome.as_ref().map(|(_, said)| said.clone()).filter(|said| !said.is_empty());
    let failed = || run.failure.as_ref().map(|(item, why)| format!("{}: {}", title(run, *item), gist(why)));
    let (word, _) = ended(run);
    let words = match &run.outcome {
        Some(_) => said.or_else(failed),
        None => failed(),
    };
    // The log stands with the failure, once.
    let words = words.map(|words| gist(&words)).filter(|words| *words != word);
    Verdict { tone, word, words: words.unwrap_or_default() }
}

fn steps(run: &RunState, material: &Material<'_>) -> Vec<Step> {
    let spans = spans::of(run, material.entries);
    let expected = |name: &str| {
        let (_, steps) = material.expected.as_ref()?;
        steps.iter().find(|(one, _)| one == name).map(|(_, ms)| *ms)
    };
    let phases = run.plan.pointer("/course/phases").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let phase = |index: usize| {
        let begins = |phase: &&Value| phase.get("first").and_then(Value::as_u64) == Some(index as u64);
        phases.iter().find(begins).and_then(|phase| phase.get("title")).and_then(Value::as_str).map(str::to_owned)
    };
    let step = |((index, item), spans): ((usize, &ItemState), Vec<Span>)| Step {
        phase: phase(index),
        name: item.name.clone(),
        title: title(run, index),
        act: act(run, index).to_owned(),
        is_gate: is_gate(run, index),
        standing: match item.standing {
            _ if item.already => "was so already".into(),
            // Nothing comes any more once a run has ended.
            Standing::Waiting if run.outcome.is_some() => "not begun".into(),
            standing => word(standing, false).into(),
        },
        tone: tone(item.standing),
        seen: item.said.clone(),
        took_ms: item.took_ms,
        // How long people are waited for, no rehearsal tells.
        expected_ms: expected(&item.name).filter(|_| act(run, index) != "checkpoint"),
        waited_ms: spans.iter().filter(|span| span.kind == SpanKind::Waited).map(length_ms).sum(),
        spans,
    };
    run.items.iter().enumerate().zip(spans).map(step).collect()
}

fn length_ms(span: &Span) -> u64 {
    u64::try_from(span.to_ms.saturating_sub(span.from_ms)).unwrap_or(0)
}

fn tone(standing: Standing) -> Tone {
    match standing {
        Standing::Done | Standing::Undone => Tone::Good,
        Standing::Failed => Tone::Bad,
        Standing::Started | Standing::Undoing | Standing::Stays => Tone::Careful,
        _ => Tone::Plain,
    }
}

fn timeline(run: &RunState, material: &Material<'_>) -> Option<Timeline> {
    let (first, last) = times(run, material.entries)?;
    let (from_ms, to_ms) = (moment_ms(&first)?, moment_ms(&last)?);
    let expected_by = material.expected.as_ref().map(|(who, _)| who.clone());
    (to_ms > from_ms).then_some(Timeline { from_ms, to_ms, expected_by })
}

fn services(run: &RunState) -> Vec<Service> {
    let list = run.plan.get("services").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of = |one: &Value| {
        let text = |key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
        let reasons = one.get("reasons").and_then(Value::as_array).into_iter().flatten();
        Some(Service {
            service: text("service")?,
            change: text("change")?,
            reasons: reasons.filter_map(Value::as_str).map(str::to_owned).collect(),
            image_from: text("image_from"),
            image_to: text("image_to"),
        })
    };
    list.iter().filter_map(of).collect()
}

fn failures(run: &RunState, entries: &[Entry]) -> Vec<Failure> {
    let of = |entry: &Entry| match &entry.fact {
        Fact::Failed { item, name, why, back, unknown, .. } => Some(Failure {
            at: entry.at.clone(),
            step: name.clone(),
            title: title(run, *item),
            why: why.clone(),
            is_back: *back,
            is_unknown: *unknown,
        }),
        _ => None,
    };
    entries.iter().filter_map(of).collect()
}

fn remarks(run: &RunState) -> Vec<String> {
    let list =
        |pointer: &str| run.plan.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let texts = list("/remarks").iter().chain(list("/course/known_later")).filter_map(Value::as_str).map(str::to_owned);
    let substituted = |one: &Value| {
        let part = |key: &str| one.get(key).and_then(Value::as_str);
        Some(format!("{} is {} here, in the place of {}", part("name")?, part("to")?, part("from")?))
    };
    texts.chain(list("/course/substitutions").iter().filter_map(substituted)).collect()
}

fn verdicts(entries: &[Entry]) -> Vec<Note> {
    let of = |entry: &Entry| match &entry.fact {
        Fact::Verdict { verdict, why } => Some(Note { at: entry.at.clone(), text: format!("{verdict}: {why}") }),
        _ => None,
    };
    entries.iter().filter_map(of).collect()
}

/// Notes; proofs of the old state stand among them, by the names of their gates.
fn notes(entries: &[Entry]) -> Vec<Note> {
    let words = |entry: &Entry| match &entry.fact {
        Fact::Note { text } => Some(text.clone()),
        Fact::Unknown(line) => {
            let kind = line.get("kind").and_then(Value::as_str).unwrap_or("?");
            Some(format!("a line of the kind {kind:?}, which this version does not know"))
        }
        _ => None,
    };
    entries.iter().filter_map(|entry| words(entry).map(|text| Note { at: entry.at.clone(), text })).collect()
}
