//! The last words of a run: what happened, what changed, what is true now, the next command.
//!
//! Read by tired people: the first word is the verdict, and only success is called complete.

use serde_json::{Value, json};

use super::SCHEMA;
use super::planned::{act, is_gate, release_name, standing, title, took};
use super::status::next_text;
use super::style::{Paint, Style};
use super::table::{Cell, Table};
use super::text::{hang, harmless, moment, short_ids};
use crate::adapter::clock::spoken;
use crate::journal::{Outcome, RunState, Standing};
use crate::release::keep::short;
use crate::step::{Change, Plan, RunKind, ServiceChange};

/// The verdict, its sentence, and its paint. `outcome` is absent when the run was interrupted.
fn verdict(kind: RunKind, outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> (&'static str, String, Paint) {
    let (before, after) = (release_name(plan.release_from), release_name(plan.release_to));
    let place = format!("{} in {}", plan.project, plan.environment);
    let at = failed_at(run);
    let deed = match kind {
        RunKind::Deploy => format!("the deploy of {after}"),
        RunKind::Rollback => "the rollback".to_owned(),
    };
    match outcome {
        Some(Outcome::Done) => ("COMPLETE", format!("{after} serves {place}"), Paint::Good),
        Some(Outcome::Unchanged) => {
            ("FAILED, NOTHING CHANGED", format!("{deed} failed{at}; {before} is as it was"), Paint::Careful)
        }
        Some(Outcome::RolledBack) => {
            let words = format!("{deed} failed{at} and was undone; {before} is back, and that was observed");
            ("FAILED AND ROLLED BACK", words, Paint::Careful)
        }
        Some(Outcome::Held) => {
            let words = format!("{deed} failed{at}; nothing was undone, {place} stands half-way until you decide");
            ("FAILED AND HELD", words, Paint::Bad)
        }
        Some(Outcome::Stuck) => {
            let words = format!("the way back failed{at}; {place} is neither old nor new, and a person is needed now");
            ("STUCK", words, Paint::Bad)
        }
        None if !run.was_begun() => {
            ("INTERRUPTED", format!("{deed} stopped before its first step; nothing was changed"), Paint::Careful)
        }
        None => {
            let back = if run.is_going_back { " on its way back" } else { "" };
            let at = run.stopped_in().map_or_else(String::new, |item| format!(" in {}", item.name));
            let words = format!("{deed} stopped{back}{at}; {place} stands half-way until it is resumed or undone");
            ("INTERRUPTED", words, Paint::Bad)
        }
    }
}

fn failed_at(run: &RunState) -> String {
    run.failure.as_ref().map_or_else(String::new, |(item, _)| {
        let name = run.items.get(*item).map_or("the proof of the old state", |item| item.name.as_str());
        format!(" in {name}")
    })
}

/// What to type next, with what it does.
fn next(outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> Vec<(&'static str, String)> {
    let before = release_name(plan.release_from);
    let history = ("cutover history", format!("what run {} did, step by step", run.number));
    match outcome {
        Some(Outcome::Done) => {
            let mut next = vec![("cutover status", "how it is now".to_owned())];
            if plan.kind == RunKind::Deploy && plan.release_from.is_some() {
                next.push(("cutover rollback", format!("go back to {before}")));
            }
            next
        }
        Some(Outcome::Unchanged | Outcome::RolledBack) => {
            vec![history, ("cutover deploy", "try again, once the cause is put right".to_owned())]
        }
        Some(Outcome::Held) => vec![
            ("cutover resume", "try the failed step again and go on".to_owned()),
            ("cutover rollback", format!("undo run {}", run.number)),
        ],
        Some(Outcome::Stuck) => {
            vec![history, ("cutover resume", "go on with the way back once the cause is put right".to_owned())]
        }
        None if run.is_going_back => vec![("cutover resume", "finish the way back".to_owned())],
        None => vec![
            ("cutover resume", "go on where it stopped".to_owned()),
            ("cutover rollback", format!("undo run {}", run.number)),
        ],
    }
}

/// Which services are other ones than before. Only what the journal shows to be done counts.
fn changed<'a>(outcome: Option<Outcome>, run: &RunState, plan: &'a Plan) -> Vec<(&'a ServiceChange, Option<String>)> {
    let switched = |index: usize| {
        let is_switch = act(run, index) == "start_services";
        is_switch && run.items.get(index).is_some_and(|item| matches!(item.standing, Standing::Done | Standing::Undone))
    };
    let is_switched = (0..run.items.len()).any(switched);
    if outcome != Some(Outcome::Done) || !is_switched {
        return Vec::new();
    }
    let moved = plan.services.iter().filter(|service| service.change != Change::Keep);
    moved
        .map(|service| (service, image_now(run, plan, &service.service)))
        .filter(|(service, now)| really(service, now))
        .collect()
}

/// A service that was only perhaps to be replaced was not, when its image is the old one.
fn really(service: &ServiceChange, now: &Option<String>) -> bool {
    service.change != Change::Perhaps || now.is_none() || *now != service.image_from
}

/// Identifier of the image that a service's container has, as `start_services` left it.
fn image_now(run: &RunState, plan: &Plan, service: &str) -> Option<String> {
    let head = format!("{}-{service}-", plan.project);
    run.items.iter().filter_map(|item| item.data.get("containers")?.as_object()).flatten().find_map(
        |(name, container)| {
            let number = name.strip_prefix(&head).or_else(|| (name == service).then_some("1"))?;
            number.parse::<u32>().ok()?;
            container.get("image")?.as_str().map(str::to_owned)
        },
    )
}

fn change_done(change: Change) -> &'static str {
    match change {
        Change::Create => "created",
        Change::Recreate | Change::Perhaps => "replaced",
        Change::Start => "started",
        Change::Keep => "kept",
        Change::Remove => "removed",
    }
}

/// The last words.
pub fn result_text(kind: RunKind, outcome: Option<Outcome>, run: &RunState, plan: &Plan, style: &Style) -> String {
    let (word, sentence, paint) = verdict(kind, outcome, run, plan);
    let mut out = hang(&format!("{}: ", style.paint(paint, word)), &harmless(&sentence), style.width);
    if outcome != Some(Outcome::Done)
        && let Some((item, why)) = &run.failure
    {
        let first = why.lines().next().unwrap_or_default();
        out.push_str(&section("Why", &[format!("{}: {first}", title(run, *item))], style));
    }
    let changed = changed(outcome, run, plan);
    if changed.is_empty() {
        let words = match outcome {
            Some(Outcome::Done) => "no container was replaced",
            Some(Outcome::Unchanged) => "nothing that serves",
            Some(Outcome::RolledBack) => "nothing that serves: every change was undone, but for what is named below",
            _ => "",
        };
        if !words.is_empty() {
            out.push_str(&section("What changed", &[words.to_owned()], style));
        }
    } else {
        out.push_str(&format!("{}\n{}", style.paint(Paint::Strong, "What changed"), changes(&changed, style)));
    }
    let stays: Vec<String> = stays(run).into_iter().map(|(name, why)| format!("{name}: {why}")).collect();
    out.push_str(&section("What stays", &stays, style));
    out.push_str(&section("What is half-way", &half_way(outcome, run), style));
    out.push_str(&section("What is true now", &truths(outcome, run, plan), style));
    let ended = run.times.as_ref().map_or_else(String::new, |(_, last)| format!(", ended {}", moment(last)));
    out.push_str(
        &style.paint(Paint::Faint, &format!("run {}: its steps took {}{ended}", run.number, spoken(took(run)))),
    );
    out.push('\n');
    out.push_str(&next_text(&next(outcome, run, plan), style));
    out
}

fn section(title: &str, lines: &[String], style: &Style) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let body: String = lines.iter().map(|line| hang("  ", &short_ids(&harmless(line)), style.width)).collect();
    format!("{}\n{body}", style.paint(Paint::Strong, title))
}

fn changes(changed: &[(&ServiceChange, Option<String>)], style: &Style) -> String {
    let mut table = Table::new(&["", "", ""]);
    for (service, now) in changed {
        let from = service.image_from.as_deref().map(short);
        let to = now.as_deref().map(short).or(service.image_to.as_deref());
        let image = match (from, to) {
            (Some(from), Some(to)) if from == to => format!("{from} (the same image)"),
            (Some(from), Some(to)) if service.change != Change::Remove => format!("{from} {} {to}", style.arrow()),
            (Some(from), _) => from.to_owned(),
            (None, Some(to)) => to.to_owned(),
            (None, None) => String::new(),
        };
        let name = harmless(&service.service);
        table.row(vec![name.into(), Cell::from(change_done(service.change)), short_ids(&harmless(&image)).into()]);
    }
    table.text(style, 2)
}

fn stays(run: &RunState) -> Vec<(String, String)> {
    let stays = standing(run, |item| item.standing == Standing::Stays);
    stays.into_iter().map(|(_, item)| (item.name.clone(), item.said.clone())).collect()
}

/// Items whose effect is there or not: nobody has looked since.
fn half_way(outcome: Option<Outcome>, run: &RunState) -> Vec<String> {
    if !matches!(outcome, None | Some(Outcome::Held | Outcome::Stuck)) {
        return Vec::new();
    }
    let open = |item: &crate::journal::ItemState| {
        matches!(item.standing, Standing::Started | Standing::Failed | Standing::Undoing)
    };
    let words = |(index, item): (usize, &crate::journal::ItemState)| {
        let state = match item.standing {
            Standing::Undoing => "its undoing was begun, its end was not seen",
            Standing::Failed => "failed; how far it came was not seen",
            _ => "was begun, its end was not seen",
        };
        (!is_gate(run, index)).then(|| format!("{}: {state}", item.name))
    };
    standing(run, open).into_iter().filter_map(words).collect()
}

/// What was seen last and still counts.
fn truths(outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    match outcome {
        Some(Outcome::Done) => {
            if let Some(number) = plan.release_to {
                lines.push(format!("current release: r{number}"));
            }
            let gates = standing(run, |item| item.standing == Standing::Done);
            let gates = gates.into_iter().filter(|(index, _)| is_gate(run, *index));
            lines.extend(gates.map(|(_, item)| item.said.clone()).filter(|said| !said.is_empty()));
        }
        Some(Outcome::RolledBack) => {
            lines.push(format!("current release: {}", release_name(plan.release_from)));
            // Each round of proofs begins with the first gate; the last round is the one that passed.
            let first = plan.home.first().map(|gate| format!("{}: ", gate.name)).unwrap_or_default();
            let round = run.notes.iter().rposition(|(_, text)| !first.is_empty() && text.starts_with(&first));
            let heads: Vec<String> = plan.home.iter().map(|gate| format!("{}: ", gate.name)).collect();
            let notes = round.map_or(&[][..], |at| &run.notes[at..]);
            lines.extend(notes.iter().filter_map(|(_, text)| {
                heads.iter().find_map(|head| text.strip_prefix(head.as_str())).map(str::to_owned)
            }));
        }
        Some(Outcome::Unchanged) => lines.push(format!("current release: {}", release_name(plan.release_from))),
        Some(Outcome::Held | Outcome::Stuck) | None => {
            lines.push("not known: nobody has looked since; `cutover status` looks".into());
        }
    }
    lines
}

/// The last words for programs.
pub fn result_json(kind: RunKind, outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> Value {
    let (_, words, _) = verdict(kind, outcome, run, plan);
    let change = |(service, now): (&ServiceChange, Option<String>)| {
        json!({
            "service": service.service,
            "change": service.change,
            "image_from": service.image_from,
            "image_to": now.or_else(|| service.image_to.clone()),
        })
    };
    let current = match outcome {
        Some(Outcome::Done) => plan.release_to,
        Some(Outcome::Unchanged | Outcome::RolledBack) => plan.release_from,
        _ => None,
    };
    json!({
        "schema": SCHEMA,
        "run": run.number,
        "kind": kind,
        "outcome": outcome.map_or_else(|| "interrupted".into(), |outcome| serde_json::to_value(outcome).unwrap_or_default()),
        "words": words,
        "failure": run.failure.as_ref().map(|(item, why)| json!({
            "item": run.items.get(*item).map(|item| &item.name), "why": why,
        })),
        "changed": changed(outcome, run, plan).into_iter().map(change).collect::<Vec<_>>(),
        "stays": stays(run).into_iter().map(|(name, why)| json!({ "item": name, "why": why })).collect::<Vec<_>>(),
        "half_way": half_way(outcome, run),
        "release": current,
        "truths": truths(outcome, run, plan),
        "took_ms": u64::try_from(took(run).as_millis()).unwrap_or(u64::MAX),
        "next": next(outcome, run, plan).into_iter().map(|(command, _)| command).collect::<Vec<_>>(),
    })
}
