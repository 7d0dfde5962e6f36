//! The last words of a run: what happened, what changed, what is true now, the next command.
//!
//! Read by tired people: the first word is the verdict, and only success is called complete.

use serde_json::{Value, json};

use super::changed::{changed, changes, deeds};
use super::planned::{act, cause, cause_lines, is_gate, only_keeps, release_name, standing, took};
use super::style::{Paint, Style};
use super::text::{gist, hang, harmless, lead, moment, next_text, short_ids};
use super::{SCHEMA, carried, moved};
use crate::adapter::clock::spoken;
use crate::journal::{ItemState, Outcome, RunState, Standing};
use crate::step::save_incident::KEPT_TRACES;
use crate::step::{Act, Plan, RunKind, ServiceChange};

/// The verdict, its sentence, and its paint. `outcome` is absent when the run was interrupted.
fn verdict(kind: RunKind, outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> (&'static str, String, Paint) {
    let after = release_name(plan.release_to);
    let place = format!("{} in {}", plan.project, plan.environment);
    let at = failed_at(run, outcome);
    let deed = match (&plan.deed, kind) {
        _ if plan.is_nothing_new() => "the deploy".to_owned(),
        (Some(deed), _) => deed.clone(),
        (None, RunKind::Deploy) => format!("the deploy of {after}"),
        (None, _) => "the rollback".to_owned(),
    };
    match outcome {
        Some(Outcome::Done) if plan.is_nothing_new() => {
            ("COMPLETE", format!("{place} {}", plan.deed.as_deref().unwrap_or_default()), Paint::Good)
        }
        Some(Outcome::Done) if plan.deed.is_some() => {
            ("COMPLETE", format!("{deed} is done, and was seen to be"), Paint::Good)
        }
        Some(Outcome::Done) if plan.release_to.is_none() => {
            ("COMPLETE", format!("nothing serves {place} any more, as before that run"), Paint::Good)
        }
        Some(Outcome::Done) => ("COMPLETE", format!("{after} serves {place}"), Paint::Good),
        Some(Outcome::Unchanged) if run.failure.is_none() => (
            "GIVEN UP, NOTHING CHANGED",
            format!("{deed} was closed before it changed anything; {}", as_it_was(plan)),
            Paint::Careful,
        ),
        Some(Outcome::Unchanged) => {
            ("FAILED, NOTHING CHANGED", format!("{deed} failed{at}; {}", as_it_was(plan)), Paint::Careful)
        }
        Some(Outcome::RolledBack) => {
            let words = format!("{deed} failed{at} and was undone; {}, and that was observed", back(plan));
            ("FAILED AND ROLLED BACK", words, Paint::Careful)
        }
        Some(Outcome::Held) if run.is_failure_unknown => {
            let words =
                format!("{deed} could not be judged{at}; nothing was undone, {place} stands as it is until you decide");
            ("HELD, NOT KNOWN", words, Paint::Bad)
        }
        Some(Outcome::Held) => {
            let words = format!("{deed} failed{at}; nothing was undone, {place} stands half-way until you decide");
            ("FAILED AND HELD", words, Paint::Bad)
        }
        Some(Outcome::Stuck) => {
            let words = format!("the way back failed{at}; {place} is neither old nor new, and a person is needed now");
            ("STUCK", words, Paint::Bad)
        }
        None if run.waiting.is_some() => {
            let words = run.waiting.as_ref().and_then(|waiting| waiting.shown["missing"].as_array());
            let missing: Vec<&str> = words.into_iter().flatten().filter_map(Value::as_str).collect();
            ("WAITING", format!("{deed} stands at a checkpoint, missing: {}", missing.join("; ")), Paint::Live)
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

/// The verdict and its sentence in one line, for whoever was not there.
pub fn headline(kind: RunKind, outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> String {
    let (word, sentence, _) = verdict(kind, outcome, run, plan);
    harmless(&format!("{word}: {sentence}"))
}

/// What was never left, where nothing was changed.
fn as_it_was(plan: &Plan) -> String {
    match plan.release_from {
        _ if plan.deed.is_some() => "all is as it was".into(),
        Some(number) => format!("r{number} is as it was"),
        None => "nothing runs, as before".into(),
    }
}

/// What is there again after a way back.
fn back(plan: &Plan) -> String {
    match plan.release_from {
        _ if plan.deed.is_some() => "all is back".into(),
        Some(number) => format!("r{number} is back"),
        None => "nothing of it runs, as before".into(),
    }
}

fn failed_at(run: &RunState, outcome: Option<Outcome>) -> String {
    cause(run, outcome == Some(Outcome::Stuck)).map_or_else(String::new, |(name, _)| format!(" in {name}"))
}

/// What to type next, with what it does.
fn next(outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> Vec<(String, String)> {
    let before = release_name(plan.release_from);
    let history = (format!("cutover history {}", run.number), "what it did, step by step".to_owned());
    match outcome {
        Some(Outcome::Done) => {
            let mut next = vec![("cutover status".to_owned(), "how it is now".to_owned())];
            // A rollback passes maintenance by and undoes the run before it: never what ends it.
            if plan.kind == RunKind::Maintenance {
                if shows_page(plan) {
                    next.insert(0, ("cutover maintenance off".to_owned(), "show the application again".to_owned()));
                }
                return next;
            }
            if let Some(file) = carried::kept_aside(run) {
                next.insert(0, (format!("cutover data apply {file}"), "write what was saved to the source".to_owned()));
            }
            // What was so already before this run is not its own to undo: `cutover rollback` passes such a run by.
            let is_undoable = |(item, state): (&crate::step::Item, &ItemState)| {
                !item.back && item.action.changes_the_world() && state.was_begun
            };
            let mut begun = plan.items.iter().zip(&run.items);
            if plan.deed.is_some() && plan.kind != RunKind::Rollback && begun.any(is_undoable) {
                next.push(("cutover rollback".to_owned(), format!("undo run {}", run.number)));
            }
            if plan.kind == RunKind::Deploy && plan.release_from.is_some() && !plan.is_nothing_new() {
                next.push(("cutover rollback".to_owned(), format!("go back to {before}")));
            }
            next
        }
        Some(Outcome::Unchanged | Outcome::RolledBack) => {
            let again = ("cutover deploy".to_owned(), "try again, once the cause is put right".to_owned());
            if plan.deed.is_some() { vec![history] } else { vec![history, again] }
        }
        Some(Outcome::Held) => vec![
            (
                "cutover resume".to_owned(),
                if run.is_failure_unknown { "ask again and go on" } else { "try the failed step again and go on" }
                    .to_owned(),
            ),
            ("cutover rollback".to_owned(), format!("undo run {}", run.number)),
        ],
        Some(Outcome::Stuck) => {
            let resume =
                ("cutover resume".to_owned(), "go on with the way back once the cause is put right".to_owned());
            let mut next = vec![history, resume];
            let failed = run.failure.as_ref().map(|(index, _)| act(run, *index));
            next.extend(failed.and_then(without).filter(|_| plan.kind == RunKind::Rollback));
            next
        }
        None if run.is_going_back => vec![("cutover resume".to_owned(), "finish the way back".to_owned())],
        None => vec![
            ("cutover resume".to_owned(), "go on where it stopped".to_owned()),
            ("cutover rollback".to_owned(), format!("undo run {}", run.number)),
        ],
    }
}

/// Whether a run about maintenance switches it on.
fn shows_page(plan: &Plan) -> bool {
    plan.items.iter().any(|item| matches!(&item.action, Act::SetMaintenance(step) if step.to.is_some()))
}

/// How a rollback goes on without what cannot be done.
pub(super) fn without(act: &str) -> Option<(String, String)> {
    let (flag, words) = match act {
        "apply_changes" => ("--keep-changes-aside", "go on; what was written stays in its file alone"),
        "save_changes" => ("--without-export", "go on; what was written since is lost"),
        _ => return None,
    };
    Some((format!("cutover rollback {flag}"), words.to_owned()))
}

/// The last words.
pub fn result_text(kind: RunKind, outcome: Option<Outcome>, run: &RunState, plan: &Plan, style: &Style) -> String {
    let (word, sentence, paint) = verdict(kind, outcome, run, plan);
    let mut out = lead(&format!("{}: ", style.paint(paint, word)), &harmless(&sentence), 2, style.width);
    if outcome != Some(Outcome::Done) {
        out.push_str(&section("Why", &cause_lines(run, outcome == Some(Outcome::Stuck)), style));
    }
    // What is merely kept, such as images and backups, is told by `cutover history`.
    let stays = stays(run).into_iter().filter(|(act, ..)| !only_keeps(act));
    let mut stays: Vec<String> = stays.map(|(_, name, why)| format!("{name}: {why}")).collect();
    stays.extend(made_for_good(outcome, run, plan));
    let traces = traces(run);
    let changed = changed(outcome, run, plan);
    if changed.is_empty() {
        let words = match outcome {
            Some(Outcome::Done) if plan.is_nothing_new() => {
                vec!["nothing: no container was replaced, and no release recorded".to_owned()]
            }
            Some(Outcome::Done) if plan.deed.is_some() => deeds(run),
            Some(Outcome::Done) => vec!["no container was replaced".to_owned()],
            Some(Outcome::Unchanged) => vec!["nothing that serves".to_owned()],
            Some(Outcome::RolledBack) if stays.is_empty() => vec!["nothing: all of it was undone".to_owned()],
            Some(Outcome::RolledBack) => vec!["nothing but what stays; the rest was undone".to_owned()],
            _ => Vec::new(),
        };
        out.push_str(&section("What changed", &words, style));
    } else {
        out.push_str(&format!("{}\n{}", style.paint(Paint::Strong, "What changed"), changes(&changed, style)));
    }
    if outcome == Some(Outcome::Done) {
        for (_, moved) in moved::of_run(run) {
            out.push_str(&format!(
                "{}\n{}",
                style.paint(Paint::Strong, "What moved"),
                moved::moved_text(&moved, style)
            ));
        }
    }
    out.push_str(&section("What stays", &stays, style));
    out.push_str(&section("Why in full", &traces, style));
    let left = if outcome == Some(Outcome::Done) { carried::left_of_changes(run) } else { Vec::new() };
    let left = left.into_iter().chain(super::left::left_over(run)).chain(super::left::left_in_files(run));
    out.push_str(&section("What is left", &left.map(|(_, words)| words).collect::<Vec<_>>(), style));
    out.push_str(&section("What is half-way", &half_way(outcome, run), style));
    out.push_str(&section("What is true now", &truths(outcome, run, plan), style));
    out.push_str(&times(outcome, run, style));
    out.push_str(&next_text(&next(outcome, run, plan), style));
    out
}

fn times(outcome: Option<Outcome>, run: &RunState, style: &Style) -> String {
    let verb = if outcome.is_some() { "ended" } else { "stopped" };
    let ended = run.times.as_ref().map_or_else(String::new, |(_, last)| format!(", {verb} {}", moment(last)));
    let words = format!("run {}: its steps took {}{ended}", run.number, spoken(took(run)));
    let painted = |line: &str| style.paint(Paint::Faint, line) + "\n";
    lead("", &words, 2, style.width).lines().map(painted).collect()
}

fn section(title: &str, lines: &[String], style: &Style) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let body: String = lines.iter().map(|line| hang("  ", &short_ids(&harmless(line)), style.width)).collect();
    format!("{}\n{body}", style.paint(Paint::Strong, title))
}

/// Where the logs are of what was taken back.
fn traces(run: &RunState) -> Vec<String> {
    run.notes.iter().map(|(_, text)| text).filter(|text| text.starts_with(KEPT_TRACES)).cloned().collect()
}

/// Act, name and reason of what stays.
fn stays(run: &RunState) -> Vec<(&str, &str, &str)> {
    let stays = standing(run, |item| item.standing == Standing::Stays);
    stays.into_iter().map(|(index, item)| (act(run, index), item.name.as_str(), item.said.as_str())).collect()
}

/// Items whose effect is there or not: nobody has looked since.
fn half_way(outcome: Option<Outcome>, run: &RunState) -> Vec<String> {
    if !matches!(outcome, None | Some(Outcome::Held | Outcome::Stuck)) {
        return Vec::new();
    }
    // What was refused before it was begun is as it was.
    let open = |item: &ItemState| {
        matches!(item.standing, Standing::Started | Standing::Failed | Standing::Undoing) && item.was_begun
    };
    let words = |(index, item): (usize, &ItemState)| {
        let state = match item.standing {
            Standing::Undoing => "its undoing was begun, its end was not seen",
            Standing::Failed => "failed; how far it came was not seen",
            _ => "was begun, its end was not seen",
        };
        (!is_gate(run, index)).then(|| format!("{}: {state}", item.name))
    };
    standing(run, open).into_iter().filter_map(words).collect()
}

fn current_release(plan: &Plan) -> Option<String> {
    let name = plan.release_from.map_or_else(|| "none, nothing ran before".to_owned(), |number| format!("r{number}"));
    plan.deed.is_none().then(|| format!("current release: {name}"))
}

/// What compose makes for a project once, and what no way back removes: there may be rows in it.
fn made_for_good(outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> Option<String> {
    let is_undone =
        |index: usize, item: &ItemState| act(run, index) == "start_services" && item.standing == Standing::Undone;
    let was_first = plan.kind == RunKind::Deploy && plan.release_from.is_none();
    let was_started = run.items.iter().enumerate().any(|(index, item)| is_undone(index, item));
    (outcome == Some(Outcome::RolledBack) && was_first && was_started).then(|| {
        "networks and volumes that were made for it: `docker compose down` removes the networks, with `--volumes` the \
         data as well"
            .to_owned()
    })
}

/// The address at which an item sees who serves: what was told there before the switch is not true after it.
fn told_at(plan: &Plan, index: usize) -> Option<&str> {
    match &plan.items.get(index)?.action {
        Act::ExpectIdentity(gate) => Some(&gate.url),
        _ => None,
    }
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
            let gates: Vec<_> = gates.into_iter().filter(|(index, _)| is_gate(run, *index)).collect();
            let last = |index: usize| {
                let subject = told_at(plan, index);
                subject.is_none() || !gates.iter().any(|(other, _)| *other > index && told_at(plan, *other) == subject)
            };
            let gates = gates.iter().filter(|(index, _)| last(*index));
            lines.extend(gates.map(|(_, item)| item.said.clone()).filter(|said| !said.is_empty()));
        }
        Some(Outcome::RolledBack) => {
            lines.extend(current_release(plan));
            // Each round of proofs begins with the first gate; the last round is the one that passed.
            let first = plan.home.first().map(|gate| format!("{}: ", gate.name)).unwrap_or_default();
            let round = run.notes.iter().rposition(|(_, text)| !first.is_empty() && text.starts_with(&first));
            let heads: Vec<String> = plan.home.iter().map(|gate| format!("{}: ", gate.name)).collect();
            let notes = round.map_or(&[][..], |at| &run.notes[at..]);
            lines.extend(notes.iter().filter_map(|(_, text)| {
                heads.iter().find_map(|head| text.strip_prefix(head.as_str())).map(str::to_owned)
            }));
        }
        Some(Outcome::Unchanged) => lines.extend(current_release(plan)),
        Some(Outcome::Held) => lines.extend(seen_last(run)),
        Some(Outcome::Stuck) | None => lines.push(UNSEEN.into()),
    }
    lines
}

/// What is true after a step whose end was not seen.
const UNSEEN: &str = "not known: nobody has looked since; `cutover status` looks";

/// Where a gate did not pass, what it saw is the last that is known; after a step nobody has looked.
fn seen_last(run: &RunState) -> Vec<String> {
    let failed = run.failure.as_ref().filter(|(index, _)| is_gate(run, *index));
    let Some((index, why)) = failed else {
        return vec![UNSEEN.into()];
    };
    let seen = if run.is_failure_unknown { "could not be asked" } else { "saw last" };
    let name = run.items.get(*index).map_or("the gate", |item| item.name.as_str());
    let mut lines = vec![format!("{name} {seen}: {}", gist(why)), "`cutover status` looks again".into()];
    let passed = standing(run, |item| item.standing == Standing::Done).into_iter().rev();
    // Until the last change; what was seen before that may be true no more.
    let passed = passed.take_while(|(index, _)| is_gate(run, *index)).filter(|(_, item)| !item.said.is_empty());
    let before: Vec<String> = passed.map(|(_, item)| format!("before that: {}", item.said)).collect();
    lines.splice(1..1, before.into_iter().rev());
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
        Some(Outcome::Done) if !plan.is_nothing_new() => plan.release_to,
        Some(Outcome::Done | Outcome::Unchanged | Outcome::RolledBack) => plan.release_from,
        _ => None,
    };
    json!({
        "schema": SCHEMA,
        "run": run.number,
        "kind": kind,
        "outcome": outcome.map_or_else(|| "interrupted".into(), |outcome| serde_json::to_value(outcome).unwrap_or_default()),
        "words": words,
        "failure": cause(run, outcome == Some(Outcome::Stuck)).map(|(item, why)| json!({ "item": item, "why": why })),
        "changed": changed(outcome, run, plan).into_iter().map(change).collect::<Vec<_>>(),
        "stays": stays(run).into_iter().map(|(_, name, why)| json!({ "item": name, "why": why })).collect::<Vec<_>>(),
        "half_way": half_way(outcome, run),
        "release": current,
        "moved": moved::of_run(run).iter().map(|(item, moved)| json!({ "item": item, "rows": moved::moved_json(moved) })).collect::<Vec<_>>(),
        "truths": truths(outcome, run, plan),
        "took_ms": u64::try_from(took(run).as_millis()).unwrap_or(u64::MAX),
        "next": next(outcome, run, plan).into_iter().map(|(command, _)| command).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
