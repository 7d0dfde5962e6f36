//! Where a project stands: the verdict on the first line, then what it rests on, then the next command.

use serde_json::{Value, json};

use super::SCHEMA;
use super::checkpoint;
use super::history::ended;
use super::planned::{act, cause, cause_line, deed, is_stuck};
use super::route::{Route, Stands};
use super::style::{Paint, Style};
use super::table::{Cell, Table};
use super::text::{harmless, lead, moment, next_text};
use super::way_back::WayBack;
use crate::journal::{Outcome, RunState};
use crate::step::RunKind;

mod facts;
pub use facts::{Current, HeldFact, ServiceFact, StatusFacts};

/// The word on the first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is explained by its sentence below")]
pub enum Verdict {
    Ok,
    AtWork,
    Waiting,
    Interrupted,
    Held,
    Stuck,
    Nothing,
    Maintenance,
    Unwell,
    Unknown,
}

impl Verdict {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::AtWork => "AT WORK",
            Self::Waiting => "WAITING",
            Self::Interrupted => "INTERRUPTED",
            Self::Held => "HELD",
            Self::Stuck => "STUCK",
            Self::Nothing => "NOTHING",
            Self::Maintenance => "MAINTENANCE",
            Self::Unwell => "UNWELL",
            Self::Unknown => "UNKNOWN",
        }
    }

    fn paint(self) -> Paint {
        match self {
            Self::Ok => Paint::Good,
            Self::AtWork | Self::Waiting | Self::Nothing => Paint::Live,
            Self::Interrupted | Self::Maintenance | Self::Unknown => Paint::Careful,
            Self::Held | Self::Stuck | Self::Unwell => Paint::Bad,
        }
    }
}

/// The verdict, its sentence, and the next commands with what each does.
pub fn verdict(facts: &StatusFacts) -> (Verdict, String, Vec<(String, String)>) {
    if let Some(held) = &facts.held {
        let run = facts.last_run.as_ref().filter(|_| held.is_owner_alive);
        if let Some((run, shown)) = run.and_then(|run| Some((run, checkpoint::shown(run)?))) {
            let words = format!("run {} waits in another terminal {}", run.number, checkpoint::stands(&shown));
            return (Verdict::Waiting, words, checkpoint::next(run, &shown).into_iter().take(1).collect());
        }
        let next = if held.is_owner_alive {
            ("cutover status".to_owned(), "look again".to_owned())
        } else {
            ("cutover resume".to_owned(), "go on once it has ended".to_owned())
        };
        return (Verdict::AtWork, held.words.clone(), vec![next]);
    }
    if let Some(run) = facts.last_run.as_ref().filter(|run| run.is_open()) {
        return open(run, facts.expired.as_deref());
    }
    serving(facts)
}

fn open(run: &RunState, expired: Option<&str>) -> (Verdict, String, Vec<(String, String)>) {
    let number = run.number;
    if let Some(shown) = checkpoint::shown(run) {
        if let Some(why) = expired {
            let words = format!("run {number} stands at a checkpoint, {why}");
            let does = ("cutover resume".to_owned(), "do what its on_expiry says".to_owned());
            let back = ("cutover rollback".to_owned(), format!("undo run {number}"));
            return (Verdict::Waiting, words, vec![does, back]);
        }
        let words = format!("run {number} stands {}", checkpoint::stands(&shown));
        return (Verdict::Waiting, words, checkpoint::next(run, &shown));
    }
    let place = run.stopped_in().map_or_else(String::new, |item| format!(" in {}", item.name));
    let failed = cause(run, is_stuck(run)).map_or_else(String::new, |(name, _)| format!(" in {name}"));
    let resume = ("cutover resume".to_owned(), "go on where it stopped".to_owned());
    let back = ("cutover rollback".to_owned(), format!("undo run {number}"));
    match &run.outcome {
        Some((Outcome::Stuck, _)) => {
            let words = format!("the way back of run {number} did not finish{failed}; a person is needed");
            let look = (format!("cutover history {number}"), "see what stands in the way".to_owned());
            let resume = ("cutover resume".to_owned(), "go on with the way back once that is put right".to_owned());
            let failed = run.failure.as_ref().filter(|_| run.kind == RunKind::Rollback.word());
            let without = failed.and_then(|(index, _)| super::result::without(act(run, *index)));
            (Verdict::Stuck, words, [look, resume].into_iter().chain(without).collect())
        }
        Some((Outcome::Held, _)) => {
            let failed =
                if run.is_failure_unknown { format!("could not be judged{failed}") } else { format!("failed{failed}") };
            let words = format!("run {number} {failed} and was left as it stands; go on or go back");
            (Verdict::Held, words, vec![resume, back])
        }
        _ if run.is_going_back => {
            let words = format!("run {number} stopped{place} on its way back; run `cutover resume`");
            (Verdict::Interrupted, words, vec![("cutover resume".to_owned(), "finish the way back".to_owned())])
        }
        _ => {
            let place = if place.is_empty() { " before its first step or between two steps".to_owned() } else { place };
            let words = format!("run {number} stopped{place}; run `cutover resume` or `cutover rollback`");
            (Verdict::Interrupted, words, vec![resume, back])
        }
    }
}

fn serving(facts: &StatusFacts) -> (Verdict, String, Vec<(String, String)>) {
    let Some(current) = &facts.current else {
        let deploy = ("cutover deploy".to_owned(), "bring up the first release".to_owned());
        // Where rows or names were moved, nothing deployed is nothing missing: what was done can be undone.
        let is_moved = facts.last_run.as_ref().is_some_and(|run| run.kind != RunKind::Deploy.word());
        let back = ("cutover rollback".to_owned(), "undo the last run that changed something".to_owned());
        let look = ("cutover history".to_owned(), "what was done here".to_owned());
        let mut next = match (is_moved, facts.is_undoable) {
            (false, _) => vec![deploy],
            (true, true) => vec![look, back],
            (true, false) => vec![look],
        };
        let Some(run) = facts.last_run.as_ref().filter(|run| run.failure.is_some()) else {
            return (Verdict::Nothing, "nothing was deployed yet".into(), next);
        };
        next.insert(0, (format!("cutover history {}", run.number), "why it failed, step by step".to_owned()));
        let words = format!("nothing was deployed yet; run {} ({}) {}", run.number, deed(run), ended(run).0);
        return (Verdict::Nothing, words, next);
    };
    let name = format!("r{}", current.number);
    let since = moment(&current.since);
    let mut next = after(facts, current.number);
    let since = format!("{name} is the current release since {since}");
    let route = facts.route.as_ref().map_or(Stands::Serves, Route::stands);
    let is_sick = |one: &&ServiceFact| !one.is_well;
    let sick = facts.engine.iter().flatten().filter(is_sick);
    let mut ills: Vec<String> = sick.map(|one| format!("{} ({})", one.service, one.words)).collect();
    let again = ("cutover status".to_owned(), "ask again".to_owned());
    let off = ("cutover maintenance off".to_owned(), "show the application again".to_owned());
    if matches!(route, Stands::Page(_)) {
        next.insert(0, off);
    }
    match &route {
        Stands::Ill(why) => ills.push(why.clone()),
        Stands::Page(why) if !ills.is_empty() => ills.push(format!("maintenance is on: {why}")),
        _ => {}
    }
    if !ills.is_empty() {
        return (Verdict::Unwell, format!("{since}, but is not well: {}", ills.join(", ")), next);
    }
    match (&facts.engine, &route) {
        (_, Stands::Page(why)) => (Verdict::Maintenance, format!("{why}; {since}"), next),
        (Err(why), _) | (_, Stands::Unknown(why)) => {
            next.insert(0, again);
            (Verdict::Unknown, format!("{since}, but whether it serves is not known: {why}"), next)
        }
        _ => (Verdict::Ok, format!("{name} serves since {}", moment(&current.since)), next),
    }
}

/// What may follow where a release serves. After a run that failed and put itself back, the way back of the run before it
/// is nobody's next act.
fn after(facts: &StatusFacts, current: u32) -> Vec<(String, String)> {
    let has_failed = |run: &&RunState| matches!(run.outcome, Some((Outcome::RolledBack | Outcome::Unchanged, _)));
    if let Some(run) = facts.last_run.as_ref().filter(has_failed).filter(|run| run.failure.is_some()) {
        return vec![(format!("cutover history {}", run.number), "why it failed, step by step".to_owned())];
    }
    if !facts.kept.iter().any(|number| *number != current) {
        return Vec::new();
    }
    let words = match &facts.back {
        Some(back) if back.release != current => format!("go back to r{}", back.release),
        _ => "undo the last run that changed something".to_owned(),
    };
    vec![if facts.is_undoable {
        ("cutover rollback".to_owned(), words)
    } else {
        ("cutover releases".to_owned(), "what `cutover rollback --to` can bring back".to_owned())
    }]
}

/// The page.
pub fn status_text(facts: &StatusFacts, style: &Style) -> String {
    let (verdict, words, next) = verdict(facts);
    let head = format!("{}: ", style.paint(verdict.paint(), verdict.word()));
    let mut out = lead(&head, &harmless(&words), 2, style.width);
    let mut table = Table::new(&["", ""]);
    let mut row =
        |name: &str, words: String| table.row(vec![Cell::painted(Paint::Faint, name), harmless(&words).into()]);
    if !facts.project.is_empty() {
        row("project", format!("{} in {}", facts.project, facts.environment));
    }
    if let Some(current) = &facts.current {
        row("release", format!("r{} since {} (run {})", current.number, moment(&current.since), current.run));
    }
    if let Some(run) = &facts.last_run {
        let at = run.times.as_ref().map_or_else(String::new, |(_, last)| format!(", {}", moment(last)));
        row("last run", format!("{} ({}): {}{at}", run.number, deed(run), ended(run).0));
        if let Some(line) = cause_line(run, is_stuck(run)) {
            row("failed in", line);
        }
    }
    if let Some(route) = &facts.route {
        row("route", route.words());
        route.maintenance().into_iter().for_each(|words| row("maintenance", words));
    }
    if let Some((words, now)) = &facts.progress {
        row("progress", words.clone());
        now.iter().for_each(|now| row("now", now.clone()));
    }
    let moves = facts.moves.iter().zip(std::iter::once("rows").chain(std::iter::repeat("")));
    moves.for_each(|(one, name)| row(name, one.words()));
    if !facts.kept.is_empty() {
        let kept: Vec<String> = facts.kept.iter().map(|number| format!("r{number}")).collect();
        row("kept", kept.join(", "));
    }
    if let Some(back) = &facts.back {
        let words = Cell::painted(back.paint(), harmless(&back.words()));
        table.row(vec![Cell::painted(Paint::Faint, "way back"), words]);
    }
    match &facts.engine {
        Ok(services) => {
            for (service, name) in services.iter().zip(std::iter::once("services").chain(std::iter::repeat(""))) {
                let paint = if service.is_well { None } else { Some(Paint::Bad) };
                let words = harmless(&format!("{}: {}", service.service, service.words));
                let cell = paint.map_or_else(|| words.clone().into(), |paint| Cell::painted(paint, words.clone()));
                table.row(vec![Cell::painted(Paint::Faint, name), cell]);
            }
        }
        Err(why) => {
            table.row(vec![Cell::painted(Paint::Faint, "services"), format!("not known: {}", harmless(why)).into()])
        }
    }
    for (one, name) in facts.beside.iter().zip(std::iter::once("beside").chain(std::iter::repeat(""))) {
        let words = harmless(&format!("{}: {}; no route leads to it", one.service, one.words));
        table.row(vec![Cell::painted(Paint::Faint, name), words.into()]);
    }
    match &facts.watched {
        Some(Ok(watched)) => {
            let words = Cell::painted(watched.paint(), harmless(&watched.words()));
            table.row(vec![Cell::painted(Paint::Faint, "watch"), words]);
        }
        Some(Err(why)) => {
            table.row(vec![Cell::painted(Paint::Faint, "watch"), format!("not known: {}", harmless(why)).into()])
        }
        None => {}
    }
    for one in &facts.untold {
        table.row(vec![Cell::painted(Paint::Faint, "notify"), Cell::painted(Paint::Careful, harmless(&one.words()))]);
    }
    out.push_str(&table.text(style, 2));
    out.push_str(&next_text(&next, style));
    out
}

fn services_json(services: &[ServiceFact]) -> Vec<Value> {
    let one = |one: &ServiceFact| json!({ "service": one.service, "state": one.words, "is_well": one.is_well });
    services.iter().map(one).collect()
}

/// The same for programs.
pub fn status_json(facts: &StatusFacts) -> Value {
    let (verdict, words, next) = verdict(facts);
    let current = facts.current.as_ref();
    json!({
        "schema": SCHEMA,
        "verdict": verdict,
        "words": words,
        "next": next.iter().map(|(command, _)| command).collect::<Vec<_>>(),
        "project": facts.project,
        "environment": facts.environment,
        "current": current.map(|one| json!({ "release": one.number, "since": one.since, "run": one.run })),
        "last_run": facts.last_run.as_ref().map(|run| json!({
            "number": run.number,
            "kind": run.kind,
            "outcome": run.outcome.as_ref().map(|(outcome, _)| outcome),
            "is_open": run.is_open(),
            "is_going_back": run.is_going_back,
            "checkpoint": checkpoint::shown(run),
            "stopped_in": run.stopped_in().map(|item| &item.name),
            "failure": cause(run, is_stuck(run)).map(|(item, why)| json!({ "item": item, "why": why })),
        })),
        "progress": facts.progress.as_ref().map(|(words, _)| words),
        "now": facts.progress.as_ref().and_then(|(_, now)| now.as_ref()),
        "rows": facts.moves,
        "lock": facts.held.as_ref().map(|held| json!({ "words": held.words, "is_owner_alive": held.is_owner_alive })),
        "kept": facts.kept,
        "way_back": facts.back.as_ref().map(WayBack::to_json),
        "services": facts.engine.as_ref().ok().map(|services| services_json(services)),
        "beside": services_json(&facts.beside),
        "route": facts.route.as_ref().map(Route::to_json),
        "services_unknown": facts.engine.as_ref().err(),
        "watch": facts.watched.as_ref().and_then(|watched| watched.as_ref().ok()),
        "untold": facts.untold,
    })
}

#[cfg(test)]
mod tests;
