//! The rollback manifest: true to what was done. Every word comes from the journal; what was skipped is not in it as done.

use serde_json::{Value, json};

use super::SCHEMA;
use super::carried::{carried_back, carried_lines, is_given_up, left_of_changes};
use super::history::ended;
use super::left::{left_in_files, left_of_export, left_over};
use super::planned::{act, deed, home_gates, is_gate, only_keeps, release_name, releases, text_of, title};
use super::style::{Paint, Style};
use super::text::{gist, hang, harmless, moment};
use crate::journal::{Entry, Fact, ItemState, Outcome, RunState, Standing};
use crate::step::migrate_schema::AS_BEFORE;
use crate::step::save_incident::KEPT_TRACES;

/// The manifest of a run that went back: a rollback, or a deploy that undid itself. `undone_run` is the run that a
/// rollback undid.
pub fn manifest(run: &RunState, entries: &[Entry], undone_run: Option<&RunState>) -> Value {
    let header = run.header.as_ref();
    let (from, to) = releases(run);
    // A run that undid itself ends where it began.
    let (from, to) = if run.is_going_back { (to, from) } else { (from, to) };
    json!({
        "schema": SCHEMA,
        "document": "rollback-manifest",
        "run": run.number,
        "kind": run.kind,
        "project": header.map(|header| &header.project),
        "environment": header.map(|header| &header.environment),
        "by": header.map(|header| &header.by),
        "began_at": run.times.as_ref().map(|(first, _)| first),
        "last_at": run.times.as_ref().map(|(_, last)| last),
        "outcome": run.outcome.as_ref().map(|(outcome, _)| outcome),
        "ended": ended(run).0,
        "release_from": from,
        "release_to": to,
        "undone_run": undone_run.map(|undone| json!({
            "run": undone.number, "kind": undone.kind, "ended": ended(undone).0, "failure": failure(undone),
        })),
        "undone": items(run, |_, item| item.standing == Standing::Undone, "seen"),
        "stays": items(run, |_, item| item.standing == Standing::Stays, "why"),
        "done": items(run, |index, item| is_done_on_the_way(run, index, item), "seen"),
        "not_undone": items(run, |index, item| is_not_undone(run, index, item), "last_words"),
        "not_begun": items(run, |_, item| item.standing == Standing::Waiting, "last_words"),
        "failed": failures(entries),
        "proofs": proofs(run, entries),
        "carried_back": carried_back(run),
        "evidence": evidence(run),
        "remaining": remaining(run, undone_run),
    })
}

fn failure(run: &RunState) -> Option<Value> {
    run.failure.as_ref().map(|(item, why)| {
        let name = run.items.get(*item).map(|item| &item.name);
        json!({ "item": name, "why": why })
    })
}

fn items(run: &RunState, wanted: impl Fn(usize, &ItemState) -> bool, words: &str) -> Vec<Value> {
    let chosen = run.items.iter().enumerate().filter(|(index, item)| wanted(*index, item));
    let value = |(index, item): (usize, &ItemState)| {
        let mut value = json!({ "item": item.name, "title": title(run, index) });
        if let Some((_, last)) = &item.times {
            value["at"] = last.as_str().into();
            value[words] = item.said.as_str().into();
        }
        value
    };
    chosen.map(value).collect()
}

/// Steps of a rollback that were done and stand: an export, services of an older release. Gates are proofs.
fn is_done_on_the_way(run: &RunState, index: usize, item: &ItemState) -> bool {
    item.standing == Standing::Done && !is_gate(run, index) && !run.is_going_back
}

/// Steps whose undoing was wanted and was not seen.
fn is_not_undone(run: &RunState, index: usize, item: &ItemState) -> bool {
    let is_open = matches!(item.standing, Standing::Started | Standing::Failed | Standing::Undoing);
    // What was so already is not this run's to undo.
    let is_left = run.is_going_back && item.standing == Standing::Done && item.was_begun;
    !is_gate(run, index) && (is_open || is_left)
}

fn failures(entries: &[Entry]) -> Vec<Value> {
    let value = |entry: &Entry| match &entry.fact {
        Fact::Failed { name, why, back, .. } => {
            Some(json!({ "item": name, "at": entry.at, "why": why, "on_the_way_back": back }))
        }
        _ => None,
    };
    entries.iter().filter_map(value).collect()
}

/// What was asked to prove the state that is back, with the answers. `passed` is null where the journal does not tell.
fn proofs(run: &RunState, entries: &[Entry]) -> Vec<Value> {
    let mut proofs = Vec::new();
    if !run.is_going_back {
        for (index, item) in run.items.iter().enumerate().filter(|(index, _)| is_gate(run, *index)) {
            let passed = match item.standing {
                Standing::Done => Some(true),
                Standing::Failed => Some(false),
                _ => continue,
            };
            let at = item.times.as_ref().map(|(_, last)| last);
            proofs.push(
                json!({ "gate": item.name, "title": title(run, index), "at": at, "seen": item.said, "passed": passed }),
            );
        }
    }
    let gates = home_gates(run);
    let mut asked = Vec::new();
    for entry in entries {
        let Fact::Note { text } = &entry.fact else { continue };
        let answer = |(index, (name, title)): (usize, &(&str, &str))| {
            let seen = text.strip_prefix(name)?.strip_prefix(": ")?;
            Some((index, json!({ "gate": name, "title": title, "at": entry.at, "seen": seen })))
        };
        asked.extend(gates.iter().enumerate().find_map(answer));
    }
    let is_proven = matches!(run.outcome, Some((Outcome::RolledBack, _)));
    for at in 0..asked.len() {
        // The next gate is asked only when the one before has passed.
        let passed = match asked.get(at + 1) {
            Some((next, _)) => *next == asked[at].0 + 1,
            None => is_proven && asked[at].0 + 1 == gates.len(),
        };
        asked[at].1["passed"] = if passed { true.into() } else { Value::Null };
    }
    proofs.extend(asked.into_iter().map(|(_, proof)| proof));
    proofs
}

/// Where traces and rows lie, from what the steps left behind.
pub(super) fn evidence(run: &RunState) -> Vec<Value> {
    let mut found = Vec::new();
    for (index, item) in run.items.iter().enumerate().filter(|(_, item)| item.data.is_null()) {
        // Found done after a kill, it has left no facts; its directory tells all the same.
        if act(run, index) == "save_changes" && item.standing == Standing::Done && !is_given_up(run) {
            let directory = text_of(run, index, "/directory").unwrap_or_default().trim_end_matches('/');
            let path = format!("{directory}/{:04}-changes/changes.jsonl", run.number);
            found.push(json!({ "what": "changes", "path": path, "run": run.number, "facts": Value::Null }));
        }
    }
    for (index, item) in run.items.iter().enumerate().filter(|(_, item)| !item.data.is_null()) {
        let what = match act(run, index) {
            "save_incident" => "incident",
            "export_database" => "export",
            "save_changes" => "changes",
            "back_up_database" => "backup",
            _ => continue,
        };
        let file = item.data.get("file").and_then(Value::as_str);
        let path = match (file, text_of(run, index, "/directory"), item.data.get("directory").and_then(Value::as_str)) {
            (Some(file), Some(directory), _) => format!("{}/{file}", directory.trim_end_matches('/')),
            (_, _, Some(directory)) => directory.to_owned(),
            (Some(file), None, _) => file.to_owned(),
            _ => continue,
        };
        found.push(json!({ "what": what, "path": path, "run": run.number, "facts": item.data }));
    }
    let traces = run.notes.iter().filter_map(|(_, text)| text.strip_prefix(KEPT_TRACES));
    found.extend(
        traces.map(|path| json!({ "what": "incident", "path": path, "run": run.number, "facts": Value::Null })),
    );
    found
}

/// Who has something left to do, as far as the journal tells.
fn remaining(run: &RunState, undone_run: Option<&RunState>) -> Vec<Value> {
    let mut left = Vec::new();
    let mut add = |who: &str, what: String| left.push(json!({ "who": who, "what": what }));
    let open = run.items.iter().enumerate().filter(|(index, item)| is_not_undone(run, *index, item));
    let open: Vec<&str> = open.map(|(_, item)| item.name.as_str()).collect();
    if !open.is_empty() {
        let names = open.join(", ");
        let what = format!("not seen to be undone: {names}; put right what stands in the way, then `cutover resume`");
        add("operator", what);
    } else if run.outcome.is_none() {
        add("operator", "the run has no end: `cutover resume`".into());
    }
    left_over(run).into_iter().for_each(|(who, what)| add(who, what));
    for (index, item) in run.items.iter().enumerate().filter(|(_, item)| item.standing == Standing::Stays) {
        match act(run, index) {
            kind if only_keeps(kind) => {}
            // What its undo had nothing to do for is as it was: nobody's task.
            "migrate_schema" if item.said == AS_BEFORE => {}
            "migrate_schema" => add("developer", format!("{}: {}", item.name, item.said)),
            kind if kind.contains("dns") => add("DNS owner", format!("{}: {}", item.name, item.said)),
            _ => add("operator", format!("{}: {}", item.name, item.said)),
        }
    }
    left_of_changes(run).into_iter().for_each(|(who, what)| add(who, what));
    left_in_files(run).into_iter().for_each(|(who, what)| add(who, what));
    undone_run.and_then(left_of_export).into_iter().for_each(|(who, what)| add(who, what));
    let failed = undone_run.and_then(|undone| undone.failure.as_ref().map(|failure| (undone, failure)));
    let failed = failed.or_else(|| run.failure.as_ref().filter(|_| run.is_going_back).map(|failure| (run, failure)));
    if let Some((of, (item, why))) = failed {
        let name = of.items.get(*item).map_or("the proof of the old state", |item| item.name.as_str());
        let first = gist(why);
        add("developer", format!("find out why {name} of run {} failed: {first}", of.number));
    }
    left
}

/// The manifest as a page.
pub fn manifest_text(run: &RunState, entries: &[Entry], undone_run: Option<&RunState>, style: &Style) -> String {
    let value = manifest(run, entries, undone_run);
    let (_, paint) = ended(run);
    let (from, to) = releases(run);
    let (from, to) = if run.is_going_back { (to, from) } else { (from, to) };
    let what = match (from, to) {
        // Rows, names, a whole night: no release is a side of it.
        (None, None) => harmless(deed(run)),
        _ => format!("{} {} {}", release_name(from), style.arrow(), release_name(to)),
    };
    let title = format!("Rollback manifest of run {}: {what}", run.number);
    let mut out = style.lines(Paint::Strong, &title, 0);
    out.push_str(&style.lines(paint, &ended(run).0, 2));
    let lines = |key: &str, line: &dyn Fn(&Value) -> String| -> Vec<String> {
        value[key].as_array().map(|list| list.iter().map(line).collect()).unwrap_or_default()
    };
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let item = |words: &'static str| {
        move |value: &Value| match value[words].as_str().filter(|words| !words.is_empty()) {
            Some(words) => format!("{}: {words}", value["item"].as_str().unwrap_or("?")),
            None => value["item"].as_str().unwrap_or("?").to_owned(),
        }
    };
    let proof = |value: &Value| {
        let passed = match value["passed"].as_bool() {
            Some(true) => "passed",
            Some(false) => "REFUSED",
            None => "not known whether it passed",
        };
        format!("{passed}: {}: {}", text(value, "title"), text(value, "seen"))
    };
    let failed = |value: &Value| {
        let back = if value["on_the_way_back"] == true { ", on the way back" } else { "" };
        format!("{} at {}{back}: {}", text(value, "item"), moment(&text(value, "at")), text(value, "why"))
    };
    let sections = [
        ("Undone, and seen to be", lines("undone", &item("seen"))),
        ("Done on the way", lines("done", &item("seen"))),
        ("Stays, and why", lines("stays", &item("why"))),
        ("NOT undone", lines("not_undone", &item("last_words"))),
        ("Not begun", lines("not_begun", &item("last_words"))),
        ("Failed", lines("failed", &failed)),
        ("Proofs", lines("proofs", &proof)),
        ("Carried back", carried_lines(&value["carried_back"])),
        ("Evidence", lines("evidence", &|value| format!("{}: {}", text(value, "what"), text(value, "path")))),
        ("Left to do", lines("remaining", &|value| format!("{}: {}", text(value, "who"), text(value, "what")))),
    ];
    for (title, lines) in sections.iter().filter(|(_, lines)| !lines.is_empty()) {
        out.push_str(&format!("{}\n", style.paint(Paint::Strong, title)));
        lines.iter().for_each(|line| out.push_str(&hang("  ", &harmless(line), style.width)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn names(value: &Value) -> Vec<&str> {
        value.as_array().into_iter().flatten().filter_map(|one| one["item"].as_str()).collect()
    }

    #[test]
    fn what_was_undone_and_what_stays_are_told_apart_and_proven() {
        let plan = sample::keeping();
        let entries = sample::entries(sample::rolled_back(&plan, true));
        let value = manifest(&sample::run(&entries), &entries, None);
        assert_eq!(names(&value["undone"]), ["start_services"]);
        assert_eq!(names(&value["stays"]), ["pin_release", "build_images", "back_up_database", "migrate_schema"]);
        assert_eq!(names(&value["not_begun"]), ["expect_health", "record_release"]);
        assert!(names(&value["done"]).is_empty() && names(&value["not_undone"]).is_empty());
        assert_eq!((&value["release_from"], &value["release_to"]), (&3.into(), &2.into()));
        let passed: Vec<&Value> = value["proofs"].as_array().unwrap().iter().map(|proof| &proof["passed"]).collect();
        assert_eq!(passed, [true, true]);
        assert_eq!(value["evidence"][0]["path"], "/var/lib/cutover/backups/0007-shop.dump");
        assert_eq!(value["failed"][0]["why"], sample::WHY);
        let who: Vec<&Value> = value["remaining"].as_array().unwrap().iter().map(|one| &one["who"]).collect();
        assert_eq!(who, ["developer", "developer"], "the schema that stays, and the cause");
    }

    #[test]
    fn what_was_not_reached_is_not_called_undone() {
        let plan = sample::keeping();
        let entries = sample::entries(sample::rolled_back(&plan, false));
        let run = sample::run(&entries);
        let value = manifest(&run, &entries, None);
        assert_eq!(names(&value["not_undone"]), ["pin_release", "build_images", "back_up_database"]);
        assert_eq!(value["outcome"], Value::Null);
        assert_eq!(value["proofs"], json!([]));
        assert_eq!(value["remaining"][0]["who"], "operator");
        let text = manifest_text(&run, &entries, None, &Style::plain(80));
        assert!(text.contains("NOT undone\n  pin_release: "), "{text}");
    }

    #[test]
    fn what_was_so_already_is_nobodys_to_undo() {
        let plan = sample::keeping();
        let mut entries = sample::entries(sample::rolled_back(&plan, true));
        let is_undoing = |fact: &Fact| matches!(fact, Fact::Undoing { item: 0, .. } | Fact::Undone { item: 0, .. });
        entries.retain(|one| !is_undoing(&one.fact) && !matches!(&one.fact, Fact::Started { item: 0, .. }));
        for entry in &mut entries {
            if let Fact::Done { item: 0, already, .. } = &mut entry.fact {
                *already = true;
            }
        }
        let value = manifest(&sample::run(&entries), &entries, None);
        assert!(names(&value["not_undone"]).is_empty(), "{value:#}");
        assert!(!value["remaining"].to_string().contains("cutover resume"), "{value:#}");
    }

    #[test]
    fn a_proof_whose_answer_is_not_followed_by_another_is_not_called_passed() {
        let plan = sample::keeping();
        let mut facts = sample::rolled_back(&plan, true);
        facts.pop();
        facts.push(Fact::Finished { outcome: Outcome::Stuck, exit: 8, said: String::new() });
        let entries = sample::entries(facts);
        let value = manifest(&sample::run(&entries), &entries, None);
        assert_eq!(value["proofs"][0]["passed"], true);
        assert_eq!(value["proofs"][1]["passed"], Value::Null);
    }

    #[test]
    fn a_rollback_names_the_run_it_undid_and_what_it_did_on_its_way() {
        let undone_plan = sample::keeping();
        let undone = sample::run(&sample::entries(sample::failed(&undone_plan)));
        let mut plan = sample::keeping();
        plan.items[4].back = true;
        let mut facts = vec![sample::planned(&plan)];
        facts.extend(sample::done(&plan, 2, "a dump", json!({ "file": "0008-shop.dump" })));
        let name = plan.items[4].name.clone();
        facts.push(Fact::Undoing { item: 4, name: name.clone() });
        facts.push(Fact::Undone { item: 4, name, seen: "as before".into(), stays: false, took_ms: 0 });
        facts.extend(sample::done(&plan, 5, "healthy", Value::Null));
        facts.push(Fact::Finished { outcome: Outcome::Done, exit: 0, said: String::new() });
        let entries = sample::entries(facts);
        let value = manifest(&sample::run(&entries), &entries, Some(&undone));
        assert_eq!(value["undone_run"]["run"], 7);
        let mut run = sample::run(&entries);
        run.kind = "rollback".into();
        let left = manifest(&run, &entries, Some(&undone))["remaining"].to_string();
        assert!(left.contains(".env were not changed and may still ask for what r2 ran"), "{left}");
        assert_eq!(value["undone_run"]["failure"]["item"], "expect_services");
        assert_eq!(names(&value["undone"]), ["start_services"]);
        assert_eq!(names(&value["done"]), ["back_up_database"]);
        assert_eq!(value["proofs"][0]["passed"], true);
    }

    #[test]
    fn a_manifest_of_what_has_no_releases_is_called_by_what_was_undone() {
        let mut plan = sample::keeping();
        (plan.release_from, plan.release_to) = (None, None);
        plan.deed = Some("the undoing of the import".into());
        let entries = sample::entries(sample::well(&plan));
        let text = manifest_text(&sample::run(&entries), &entries, None, &Style::plain(120));
        assert!(text.starts_with("Rollback manifest of run 7: the undoing of the import\n"), "{text}");
    }
}
