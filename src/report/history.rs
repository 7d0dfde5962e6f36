//! Runs as their journals tell them: all in a table, or one in full.

use serde_json::{Value, json};

use super::SCHEMA;
use super::planned::{act, deed, found_at_work, is_gate, release_name, releases, title, took, word};
use super::style::{Mark, Paint, Style};
use super::table::{Cell, Table};
use super::text::{hang, harmless, moment, short_ids};
use crate::adapter::clock::spoken;
use crate::journal::{Entry, Fact, Outcome, RunState, Standing};
use crate::step::RunKind;

/// All runs, in the order given.
pub fn history_text(runs: &[RunState], style: &Style) -> String {
    if runs.is_empty() {
        return "no run yet\n".into();
    }
    let mut table = Table::new(&["RUN", "KIND", "RELEASE", "BEGAN (UTC)", "TOOK", "ENDED", "BY"]);
    for run in runs {
        let (word, paint) = ended(run);
        let began = run.times.as_ref().map_or_else(String::new, |(first, _)| moment(first).replace(" UTC", ""));
        let by = run.header.as_ref().map_or_else(String::new, |header| harmless(&header.by));
        table.row(vec![
            run.number.to_string().into(),
            kind(run).into(),
            between(run, style).into(),
            began.into(),
            spoken(took(run)).into(),
            Cell::painted(paint, word),
            by.into(),
        ]);
    }
    table.text(style, 0)
}

/// All runs, for programs.
pub fn history_json(runs: &[RunState]) -> Value {
    json!({ "schema": SCHEMA, "runs": runs.iter().map(run_value).collect::<Vec<_>>() })
}

/// One run in full.
pub fn run_text(run: &RunState, entries: &[Entry], style: &Style) -> String {
    let (verdict, paint) = ended(run);
    let head_line = format!("run {}: {} {}", run.number, kind(run), between(run, style));
    let mut out = style.lines(Paint::Strong, head_line.trim_end(), 0);
    if run.plan.get("deed").is_some_and(Value::is_string) {
        out.push_str(&hang("  ", &harmless(deed(run)), style.width));
    }
    out.push_str(&style.lines(paint, &verdict, 2));
    out.push_str(&head(run, entries, style));
    out.push_str(&items(run, style));
    if let Some((item, why)) = &run.failure {
        out.push_str(&format!("\n{}\n", style.paint(Paint::Strong, "Failure")));
        let name = run.items.get(*item).map_or("proof of the old state", |item| item.name.as_str());
        let words = format!("{name} ({}): {why}", title(run, *item));
        out.push_str(&hang("  ", &harmless(&words), style.width));
    }
    let notes = marked_notes(run, entries);
    if !notes.is_empty() {
        out.push_str(&format!("\n{}\n", style.paint(Paint::Strong, "Notes")));
        for (at, words) in notes {
            out.push_str(&hang(&format!("  {}  ", time(&at)), &harmless(&words), style.width));
        }
    }
    if let Some((_, said)) = run.outcome.as_ref().filter(|(_, said)| !said.is_empty()) {
        out.push_str(&format!("\n{}\n", style.paint(Paint::Strong, "Last words")));
        out.push_str(&hang("  ", &harmless(said), style.width));
    }
    out
}

/// One run in full, for programs.
pub fn run_json(run: &RunState, entries: &[Entry]) -> Value {
    json!({ "schema": SCHEMA, "run": run_value(run), "plan": run.plan, "entries": entries })
}

/// How a run ended, in words.
pub fn ended(run: &RunState) -> (String, Paint) {
    if run.header.is_none() {
        return ("never begun: its plan was not written".into(), Paint::Faint);
    }
    match &run.outcome {
        Some((Outcome::Done, _)) => ("done".into(), Paint::Good),
        Some((Outcome::Unchanged, _)) => ("failed, nothing changed".into(), Paint::Careful),
        Some((Outcome::RolledBack, _)) => ("failed, rolled back".into(), Paint::Careful),
        Some((Outcome::Held, _)) => ("failed, held as it stands".into(), Paint::Bad),
        Some((Outcome::Stuck, _)) => ("stuck on the way back, a person is needed".into(), Paint::Bad),
        None => match run.stopped_in() {
            Some(item) => (format!("not ended, last in {}", item.name), Paint::Careful),
            None => ("not ended".into(), Paint::Careful),
        },
    }
}

/// What it is: a rollback of which run, and of the others what they do, where their plan says so.
fn kind(run: &RunState) -> String {
    match run.header.as_ref().and_then(|header| header.undoes) {
        Some(undone) => format!("{} of run {undone}", run.kind),
        None if run.kind == RunKind::Data.word() => data_verb(run),
        None => run.kind.clone(),
    }
}

/// The verb of a run of data, by what its plan does.
fn data_verb(run: &RunState) -> String {
    // A move of rows may freeze first, and any of them may back up: the first of this list that is there counts.
    const VERBS: [(&str, &str); 8] = [
        ("import_rows", "data import"),
        ("copy_rows", "data copy"),
        ("export_rows", "data export"),
        ("apply_changes", "data apply"),
        ("migrate_users", "data users"),
        ("restore_backup", "backup restore"),
        ("freeze_source", "data freeze"),
        ("create_backup", "backup create"),
    ];
    let acts: Vec<&str> = (0..run.items.len()).map(|index| act(run, index)).collect();
    let found = VERBS.iter().find(|(name, _)| acts.contains(name)).map(|(_, verb)| *verb);
    match found {
        Some("data freeze") if deed(run).contains("unfreezing") => "data unfreeze".into(),
        found => found.map_or_else(|| run.kind.clone(), str::to_owned),
    }
}

fn between(run: &RunState, style: &Style) -> String {
    match releases(run) {
        (None, None) => found_at_work(run).map_or_else(String::new, |number| format!("r{number}, as it was")),
        (None, Some(to)) => format!("r{to}"),
        (from, to) => format!("{} {} {}", release_name(from), style.arrow(), release_name(to)),
    }
}

fn head(run: &RunState, entries: &[Entry], style: &Style) -> String {
    let mut table = Table::new(&["", ""]);
    let mut row = |name: &str, words: String| table.row(vec![Cell::painted(Paint::Faint, name), words.into()]);
    if let Some(header) = &run.header {
        row("project", harmless(&format!("{} in {}", header.project, header.environment)));
        row("by", harmless(&header.by));
        row("plan", header.plan_hash.get(..12).unwrap_or(&header.plan_hash).to_owned());
        row("cutover", harmless(&header.version));
    }
    if let Some((first, last)) = &run.times {
        row("began", moment(first));
        row("last line", moment(last));
    }
    row("took", spoken(took(run)));
    if run.epoch > 1 {
        row("processes", format!("{}: it was resumed", run.epoch));
    }
    let exit = entries.iter().rev().find_map(|entry| match entry.fact {
        Fact::Finished { exit, .. } => Some(exit),
        _ => None,
    });
    if let Some(exit) = exit {
        row("exit code", exit.to_string());
    }
    table.text(style, 2)
}

fn items(run: &RunState, style: &Style) -> String {
    let mut table = Table::new(&["", "STEP", "STATE", "AT", "TOOK", "SEEN"]);
    for (index, item) in run.items.iter().enumerate() {
        let (mark, paint) = standing_mark(item.standing, item.already);
        let at = item.times.as_ref().map_or_else(String::new, |(_, last)| time(last));
        let took =
            if item.took_ms == 0 { String::new() } else { spoken(std::time::Duration::from_millis(item.took_ms)) };
        let name = if is_gate(run, index) { format!("{} ?", item.name) } else { item.name.clone() };
        let state = if item.already { "was so already" } else { word(item.standing, !run.is_open()) };
        let seen = harmless(item.said.lines().next().unwrap_or_default());
        table.row(vec![
            Cell::painted(paint, style.mark(mark)),
            harmless(&name).into(),
            Cell::painted(paint, state),
            at.into(),
            took.into(),
            short_ids(&seen).into(),
        ]);
    }
    format!("\n{}", table.text(style, 0))
}

fn standing_mark(standing: Standing, already: bool) -> (Mark, Paint) {
    match standing {
        Standing::Waiting => (Mark::Waiting, Paint::Faint),
        Standing::Started | Standing::Undoing => (Mark::Running, Paint::Careful),
        Standing::Done if already => (Mark::Already, Paint::Faint),
        Standing::Done => (Mark::Done, Paint::Good),
        Standing::Failed => (Mark::Failed, Paint::Bad),
        Standing::Undone => (Mark::Undone, Paint::Good),
        Standing::Stays => (Mark::Stays, Paint::Careful),
    }
}

/// Notes, approvals and verdicts, with their times.
fn marked_notes(run: &RunState, entries: &[Entry]) -> Vec<(String, String)> {
    if entries.is_empty() {
        return run.notes.clone();
    }
    let words = |entry: &Entry| match &entry.fact {
        Fact::Note { text } => Some(text.clone()),
        Fact::Approval { signal, by, note, given } => {
            let verb = if given.as_ref().is_some_and(|given| given.cancels) { "took back" } else { "approved" };
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            Some(format!("{by} {verb} {signal}{note}"))
        }
        Fact::Verdict { verdict, why } => Some(format!("{verdict}: {why}")),
        _ => None,
    };
    entries.iter().filter_map(|entry| words(entry).map(|words| (entry.at.clone(), words))).collect()
}

/// The time of day of a moment.
fn time(at: &str) -> String {
    let moment = moment(at);
    moment.split(' ').nth(1).map_or_else(|| moment.clone(), str::to_owned)
}

fn run_value(run: &RunState) -> Value {
    let items: Vec<Value> = run
        .items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let mut value = serde_json::to_value(item).unwrap_or_default();
            value["title"] = title(run, index).into();
            value
        })
        .collect();
    let (from, to) = releases(run);
    json!({
        "number": run.number,
        "kind": run.kind,
        "deed": run.plan.get("deed"),
        "header": run.header,
        "release_from": from,
        "release_to": to,
        "is_open": run.is_open(),
        "is_going_back": run.is_going_back,
        "outcome": run.outcome.as_ref().map(|(outcome, _)| outcome),
        "said": run.outcome.as_ref().map(|(_, said)| said),
        "failure": run.failure.as_ref().map(|(item, why)| json!({ "item": item, "title": title(run, *item), "why": why })),
        "began_at": run.times.as_ref().map(|(first, _)| first),
        "last_at": run.times.as_ref().map(|(_, last)| last),
        "took_ms": u64::try_from(took(run).as_millis()).unwrap_or(u64::MAX),
        "epoch": run.epoch,
        "items": items,
        "notes": run.notes.iter().map(|(at, text)| json!({ "at": at, "text": text })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn all_runs_are_a_table() {
        let plan = sample::keeping();
        let well = sample::run(&sample::entries(sample::well(&plan)));
        let back = sample::run(&sample::entries(sample::rolled_back(&plan, true)));
        let expected = "\
RUN  KIND    RELEASE  BEGAN (UTC)          TOOK    ENDED                BY
7    deploy  r2 → r3  2026-11-05 03:00:00  12.0 s  done                 anna@host (process 4242)
7    deploy  r2 → r3  2026-11-05 03:00:00  10.0 s  failed, rolled back  anna@host (process 4242)
";
        assert_eq!(history_text(&[well, back], &Style::plain(100)), expected);
        assert_eq!(history_text(&[], &Style::plain(100)), "no run yet\n");
    }

    #[test]
    fn one_run_is_told_item_by_item_with_its_failure_in_full() {
        let plan = sample::keeping();
        let mut facts = sample::rolled_back(&plan, true);
        facts.insert(
            1,
            Fact::Approval { signal: "env-ready".into(), by: "ben".into(), note: String::new(), given: None },
        );
        let entries = sample::entries(facts);
        let run = sample::run(&entries);
        let text = run_text(&run, &entries, &Style::plain(100));
        for part in [
            "run 7: deploy r2 → r3\n  failed, rolled back\n",
            "  exit code  7\n",
            "↩  start_services     undone       03:00:15  1.5 s  backend: shop-backend-1",
            "✗  expect_services ?  failed       03:00:13  2.5 s  backend exited with 1\n",
            "·  record_release     not reached\n",
            "  last lines of its log:\n    Error: connect ECONNREFUSED",
            "  03:00:01  ben approved env-ready\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn programs_get_every_item_and_every_line() {
        let plan = sample::keeping();
        let entries = sample::entries(sample::well(&plan));
        let run = sample::run(&entries);
        let value = run_json(&run, &entries);
        assert_eq!(value["run"]["outcome"], "done");
        assert_eq!(value["run"]["items"][4]["standing"], "done");
        assert_eq!(value["entries"].as_array().map(Vec::len), Some(entries.len()));
        assert_eq!(history_json(&[run])["runs"][0]["number"], 7);
    }

    #[test]
    fn a_run_whose_plan_was_never_written_is_told_too() {
        let run = crate::journal::state::fold(8, "deploy", &[]);
        assert!(history_text(std::slice::from_ref(&run), &Style::plain(100)).contains("never begun"));
        assert!(run_text(&run, &[], &Style::plain(100)).starts_with("run 8: deploy"));
    }
}
