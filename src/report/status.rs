//! Where a project stands: the verdict on the first line, then what it rests on, then the next command.

use serde_json::{Value, json};

use super::SCHEMA;
use super::history::ended;
use super::planned::title;
use super::style::{Paint, Style};
use super::table::{Cell, Table};
use super::text::{hang, harmless, moment};
use crate::journal::{Outcome, RunState};

/// The release that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// Number.
    pub number: u32,
    /// Wall time since when, RFC 3339.
    pub since: String,
    /// The run that made it the current one.
    pub run: u32,
}

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFact {
    /// [`crate::journal::Held::words`].
    pub words: String,
    /// Whether the owner lives; else only what it started is at work.
    pub is_owner_alive: bool,
}

/// A service as the engine tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFact {
    /// Service.
    pub service: String,
    /// Its state.
    pub words: String,
    /// Whether that is well.
    pub is_well: bool,
}

/// Everything that the verdict rests on; gathered by the caller.
#[derive(Clone, Debug)]
pub struct StatusFacts {
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// The current release.
    pub current: Option<Current>,
    /// The last run.
    pub last_run: Option<RunState>,
    /// Who holds the lock.
    pub held: Option<HeldFact>,
    /// Kept releases, oldest first.
    pub kept: Vec<u32>,
    /// What the engine says, or why it was not asked or did not answer.
    pub engine: Result<Vec<ServiceFact>, String>,
}

/// The word on the first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is explained by its sentence below")]
pub enum Verdict {
    Ok,
    AtWork,
    Interrupted,
    Held,
    Stuck,
    Nothing,
    Unwell,
    Unknown,
}

impl Verdict {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::AtWork => "AT WORK",
            Self::Interrupted => "INTERRUPTED",
            Self::Held => "HELD",
            Self::Stuck => "STUCK",
            Self::Nothing => "NOTHING",
            Self::Unwell => "UNWELL",
            Self::Unknown => "UNKNOWN",
        }
    }

    fn paint(self) -> Paint {
        match self {
            Self::Ok => Paint::Good,
            Self::AtWork | Self::Nothing => Paint::Live,
            Self::Interrupted | Self::Unknown => Paint::Careful,
            Self::Held | Self::Stuck | Self::Unwell => Paint::Bad,
        }
    }
}

/// The verdict, its sentence, and the next commands with what each does.
pub fn verdict(facts: &StatusFacts) -> (Verdict, String, Vec<(&'static str, String)>) {
    if let Some(held) = &facts.held {
        let next = if held.is_owner_alive {
            ("cutover status", "look again".to_owned())
        } else {
            ("cutover resume", "go on once it has ended".to_owned())
        };
        return (Verdict::AtWork, held.words.clone(), vec![next]);
    }
    if let Some(run) = facts.last_run.as_ref().filter(|run| run.is_open()) {
        return open(run);
    }
    serving(facts)
}

fn open(run: &RunState) -> (Verdict, String, Vec<(&'static str, String)>) {
    let number = run.number;
    let place = run.stopped_in().map_or_else(String::new, |item| format!(" in {}", item.name));
    let failed = run.failure.as_ref().map_or_else(String::new, |(item, _)| format!(" in {}", title(run, *item)));
    let resume = ("cutover resume", "go on where it stopped".to_owned());
    let back = ("cutover rollback", format!("undo run {number}"));
    match &run.outcome {
        Some((Outcome::Stuck, _)) => {
            let words = format!("the way back of run {number} did not finish{failed}; a person is needed");
            let look = (STUCK_NEXT, "see what stands in the way".to_owned());
            let resume = ("cutover resume", "go on with the way back once that is put right".to_owned());
            (Verdict::Stuck, words, vec![look, resume])
        }
        Some((Outcome::Held, _)) => {
            let words = format!("run {number} failed{failed} and was left as it stands; go on or go back");
            (Verdict::Held, words, vec![resume, back])
        }
        _ if run.is_going_back => {
            let words = format!("run {number} stopped{place} on its way back; run `cutover resume`");
            (Verdict::Interrupted, words, vec![("cutover resume", "finish the way back".to_owned())])
        }
        _ => {
            let place = if place.is_empty() { " before its first step or between two steps".to_owned() } else { place };
            let words = format!("run {number} stopped{place}; run `cutover resume` or `cutover rollback`");
            (Verdict::Interrupted, words, vec![resume, back])
        }
    }
}

const STUCK_NEXT: &str = "cutover history";

fn serving(facts: &StatusFacts) -> (Verdict, String, Vec<(&'static str, String)>) {
    let Some(current) = &facts.current else {
        let next = vec![("cutover deploy", "bring up the first release".to_owned())];
        return (Verdict::Nothing, "nothing was deployed yet".into(), next);
    };
    let name = format!("r{}", current.number);
    let since = moment(&current.since);
    let mut next = Vec::new();
    if facts.kept.iter().any(|number| *number != current.number) {
        next.push(("cutover rollback", "go back to the release before".to_owned()));
    }
    match &facts.engine {
        Err(why) => {
            next.insert(0, ("cutover status", "ask again".to_owned()));
            let words =
                format!("{name} is the current release since {since}, but whether it serves is not known: {why}");
            (Verdict::Unknown, words, next)
        }
        Ok(services) => {
            let sick: Vec<String> = services
                .iter()
                .filter(|one| !one.is_well)
                .map(|one| format!("{} ({})", one.service, one.words))
                .collect();
            if sick.is_empty() {
                (Verdict::Ok, format!("{name} serves since {since}"), next)
            } else {
                let words =
                    format!("{name} is the current release since {since}, but is not well: {}", sick.join(", "));
                (Verdict::Unwell, words, next)
            }
        }
    }
}

/// The page.
pub fn status_text(facts: &StatusFacts, style: &Style) -> String {
    let (verdict, words, next) = verdict(facts);
    let head = format!("{}: ", style.paint(verdict.paint(), verdict.word()));
    let mut out = hang(&head, &harmless(&words), style.width);
    let mut table = Table::new(&["", ""]);
    let mut row =
        |name: &str, words: String| table.row(vec![Cell::painted(Paint::Faint, name), harmless(&words).into()]);
    row("project", format!("{} in {}", facts.project, facts.environment));
    if let Some(current) = &facts.current {
        row("release", format!("r{} since {} (run {})", current.number, moment(&current.since), current.run));
    }
    if let Some(run) = &facts.last_run {
        let at = run.times.as_ref().map_or_else(String::new, |(_, last)| format!(", {}", moment(last)));
        row("last run", format!("{} ({}): {}{at}", run.number, run.kind, ended(run).0));
        if let Some((item, why)) = &run.failure {
            row("failed", format!("{}: {}", title(run, *item), why.lines().next().unwrap_or_default()));
        }
    }
    if !facts.kept.is_empty() {
        let kept: Vec<String> = facts.kept.iter().map(|number| format!("r{number}")).collect();
        row("kept", kept.join(", "));
    }
    match &facts.engine {
        Ok(services) => {
            for (index, service) in services.iter().enumerate() {
                let name = if index == 0 { "services" } else { "" };
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
    out.push_str(&table.text(style, 2));
    out.push_str(&next_text(&next, style));
    out
}

/// The next commands, one line each.
pub fn next_text(next: &[(&str, String)], style: &Style) -> String {
    let widest = next.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (index, (command, words)) in next.iter().enumerate() {
        let label = if index == 0 { "next: " } else { "      " };
        let painted = style.paint(Paint::Strong, command);
        let blanks = " ".repeat(widest - command.len());
        out.push_str(&hang(&format!("{label}{painted}{blanks}  "), words, style.width));
    }
    out
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
            "stopped_in": run.stopped_in().map(|item| &item.name),
            "failure": run.failure.as_ref().map(|(_, why)| why),
        })),
        "lock": facts.held.as_ref().map(|held| json!({ "words": held.words, "is_owner_alive": held.is_owner_alive })),
        "kept": facts.kept,
        "services": facts.engine.as_ref().ok().map(|services| services.iter().map(|one| json!({
            "service": one.service, "state": one.words, "is_well": one.is_well,
        })).collect::<Vec<_>>()),
        "services_unknown": facts.engine.as_ref().err(),
    })
}
