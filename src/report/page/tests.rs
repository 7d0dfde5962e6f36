//! Pages of runs: whole, escaped, without anything from elsewhere, and with nothing that the run does not have.

use serde_json::{Value, json};

use super::*;
use crate::journal::{Entry, Fact, Outcome};
use crate::report::paper::{Material, gather, tame};
use crate::report::sample;

fn paper(entries: &[Entry]) -> Paper {
    let run = sample::run(entries);
    let material = Material { run: Some(&run), entries, made_at: "2026-11-05T04:00:00Z".into(), ..Material::default() };
    gather(&material)
}

fn sections(page: &str) -> Vec<&str> {
    page.split("<section id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn a_run_that_went_well_shows_its_verdict_its_steps_and_no_empty_section() {
    let plan = sample::keeping();
    let page = page(&paper(&sample::entries(sample::well(&plan))));
    assert!(page.contains(r#"<div class="verdict good"><p class="word">Done</p>"#), "{page}");
    assert_eq!(sections(&page), ["steps", "backups", "services", "environment"]);
    assert!(page.contains("b-done") && page.contains("b-asked"), "changes and questions have their bars");
}

#[test]
fn a_run_that_was_rolled_back_shows_the_failure_in_full_and_its_manifest() {
    let plan = sample::keeping();
    let page = page(&paper(&sample::entries(sample::rolled_back(&plan, true))));
    assert!(page.contains(r#"<div class="verdict careful"><p class="word">Failed, rolled back</p>"#), "{page}");
    assert_eq!(sections(&page)[..3], ["failures", "steps", "manifest"]);
    for part in [
        "Error: connect ECONNREFUSED",
        "Undone, and seen to be",
        "Stays, and why",
        "Left to do",
        "b-undone",
        "b-failed",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    let plan = sample::keeping();
    let page = page(&paper(&sample::entries(sample::rolled_back(&plan, true))));
    for part in
        ["<script", "<link", "<img", "@import", "url(", "src=", "href=\"http", "href=\"//", "javascript:", "onload"]
    {
        assert!(!page.contains(part), "{part} is in the page");
    }
}

#[test]
fn whatever_a_journal_holds_is_shown_as_text() {
    let plan = sample::keeping();
    let mut facts = sample::well(&plan);
    let evil = "</style><script>alert(1)</script>\u{1b}[31m\u{202e}\"'&";
    facts.insert(1, Fact::Note { text: evil.into() });
    facts.push(Fact::Finished { outcome: Outcome::Stuck, exit: 8, said: evil.into() });
    let paper = paper(&sample::entries(facts));
    let tamed: Paper = serde_json::from_value(tame(serde_json::to_value(&paper).unwrap())).unwrap();
    let page = page(&tamed);
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;alert(1)"), "{page}");
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'));
}

#[test]
fn what_steps_left_is_told_table_by_table() {
    let plan = sample::keeping();
    let mut facts = vec![sample::planned(&plan)];
    let moved = json!({ "moved": { "seconds": 2.5, "notes": ["a note"], "tables": [
        { "table": "public.orders", "rows": 1_234_567, "bytes": 98_000_000, "seconds": 2.0 } ] },
        "gap": { "requests": 4000, "failed": 3, "longest_ms": 120 } });
    facts.extend(sample::done(&plan, 1, "copied", moved));
    let page = page(&paper(&sample::entries(facts)));
    for part in ["public.orders", "1\u{202f}234\u{202f}567", "a note", "3 of 4\u{202f}000 requests failed", "120 ms"] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

#[test]
fn checkpoints_show_who_approved_them() {
    let plan = sample::keeping();
    let mut facts = sample::well(&plan);
    let approval = json!({ "kind": "approval", "signal": "env-ready", "by": "ben@host", "note": "all <good>" });
    facts.insert(1, serde_json::from_value(approval).unwrap());
    let page = page(&paper(&sample::entries(facts)));
    assert!(page.contains("Approved by <b>ben@host</b>") && page.contains("all &lt;good&gt;"), "{page}");
}

#[test]
fn the_window_of_the_run_has_its_chart_and_that_of_another_run_is_left_out() {
    let plan = sample::keeping();
    let entries = sample::entries(sample::well(&plan));
    let run = sample::run(&entries);
    let trail: Vec<Value> =
        (0..60).map(|minute| json!([minute * 60_000, minute * 9000, 60, u8::from(minute == 30)])).collect();
    let window = |of: u32| {
        json!({ "run": of, "begun_at": "2026-11-05T04:00:00Z", "length_min": 1440, "unknown_min": 2, "is_accepted": false,
            "ladder": { "level": "watch", "why": "errors: 1 %" }, "evidence": { "observed_min": 60, "requests": 3600, "errors": 1 },
            "trail": trail, "levels": [], "rules": { "disk": { "verdict": "ok", "evidence": "9 GiB" } } })
    };
    let page_of = |window| {
        let material = Material { run: Some(&run), entries: &entries, window: Some(window), ..Material::default() };
        page(&gather(&material))
    };
    let own = page_of(window(run.number));
    for part in
        ["<section id=\"stabilization\">", "WATCH", "<polyline class=\"line\"", "alarm", "9 GiB", "class=\"fault\""]
    {
        assert!(own.contains(part), "{part} is not in\n{own}");
    }
    assert!(!page_of(window(run.number + 1)).contains("<section id=\"stabilization\">"));
    assert!(!page_of(json!({ "run": "odd" })).contains("<section id=\"stabilization\">"));
}

#[test]
fn what_the_watcher_wrote_later_is_told_and_does_not_make_the_run_longer() {
    let plan = sample::keeping();
    let mut entries = sample::entries(sample::well(&plan));
    let before = paper(&entries);
    let mut late = entries[0].clone();
    late.at = "2026-11-06T03:00:00.000Z".into();
    late.fact = Fact::Verdict { verdict: "HOLD".into(), why: "backend is unhealthy".into() };
    entries.push(late);
    let after = paper(&entries);
    assert_eq!((after.run.lasted_ms, &after.run.last_at), (before.run.lasted_ms, &before.run.last_at));
    assert_eq!(after.timeline, before.timeline);
    assert!(page(&after).contains("HOLD: backend is unhealthy"));
}

#[test]
fn a_statement_names_each_person_once_and_nobody_whose_approval_was_taken_back() {
    let mut entries = sample::entries(sample::well(&sample::keeping()));
    let statements = json!([{ "name": "a", "words": "It is so" }]);
    let Fact::Planned { plan, .. } = &mut entries[0].fact else { panic!("the head comes first") };
    plan["items"][1]["action"] = json!({ "act": "checkpoint", "signal": "go", "statements": statements });
    for (user, cancels) in [("anna", false), ("anna", false), ("ben", true), ("ben", false)] {
        // The last one that is put here comes first.
        let given = json!({ "item": 1, "user": user, "host": "h", "plan_hash": "p", "evidence_hash": "0123456789abcdef",
            "confirmed": if cancels { json!([]) } else { json!(["a"]) }, "cancels": cancels });
        let mut approval = entries[1].clone();
        let line = json!({ "kind": "approval", "signal": "go", "by": user, "note": "", "given": given });
        approval.fact = serde_json::from_value(line).unwrap();
        entries.insert(1, approval);
    }
    let page = page(&paper(&entries));
    assert!(page.contains("Confirmed by anna: It is so"), "{page}");
}

#[test]
fn phases_stand_above_their_first_step_and_statements_tell_who_confirmed_them() {
    let plan = sample::keeping();
    let mut entries = sample::entries(sample::well(&plan));
    let statements = json!([{ "name": "a", "words": "It is so" }, { "name": "b", "words": "It is not" }]);
    let Fact::Planned { plan, .. } = &mut entries[0].fact else { panic!("the head comes first") };
    plan["course"] = json!({ "phases": [{ "name": "one", "title": "The first phase", "first": 0 }],
        "substitutions": [{ "name": "target database", "from": "app@db", "to": "app@scratch" }] });
    plan["items"][1]["action"] = json!({ "act": "checkpoint", "signal": "go", "statements": statements });
    let given = json!({ "item": 1, "user": "anna", "host": "h", "plan_hash": "p", "evidence_hash": "0123456789abcdef", "confirmed": ["a"] });
    let mut approval = entries[1].clone();
    approval.fact = serde_json::from_value(
        json!({ "kind": "approval", "signal": "go", "by": "anna@h", "note": "", "given": given }),
    )
    .unwrap();
    entries.insert(1, approval);
    let page = page(&paper(&entries));
    for part in [
        "<li class=\"phase\">The first phase</li>",
        "Confirmed by anna: It is so",
        "not confirmed</span> It is not",
        "for evidence <code>0123456789ab</code>",
        "target database is app@scratch here, in the place of app@db",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

#[test]
fn the_manifest_of_a_rollback_says_what_was_written_since_where_it_lies_and_that_the_source_has_it() {
    let plan = sample::keeping();
    let mut facts = vec![sample::planned(&plan)];
    let tables = json!([{ "table": "public.orders", "inserted": 40, "updated": 2, "deleted": 1, "csv": "orders.csv" }]);
    let data = json!({ "file": "exports/0002-changes.json", "sha256": "cd".repeat(32), "inserted": 40, "updated": 2,
        "deleted": 1, "tables": tables });
    facts.extend(sample::done(&plan, 1, "43 changes are saved", data));
    facts.extend(sample::done(&plan, 2, "43 changes counted in app@db1/legacy", Value::Null));
    facts.push(Fact::Finished { outcome: Outcome::Done, exit: 0, said: String::new() });
    let mut entries = sample::entries(facts);
    let Fact::Planned { plan, .. } = &mut entries[0].fact else { panic!("the head comes first") };
    plan["items"][1]["action"] = json!({ "act": "save_changes" });
    plan["items"][2]["action"] = json!({ "act": "apply_changes" });
    let run = crate::journal::state::fold(7, "rollback", &entries);
    let material = Material { run: Some(&run), entries: &entries, ..Material::default() };
    let page = page(&gather(&material));
    for part in [
        "Written since, and carried back",
        "saved: 43 changes are saved",
        "applied: 43 changes counted in app@db1/legacy",
        "<section id=\"changes\">",
        "public.orders",
        "orders.csv",
        "exports/0002-changes.json",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

#[test]
fn odd_lines_do_no_harm() {
    let plan = sample::keeping();
    let odd = [
        Fact::Done {
            item: 999,
            name: "x".into(),
            seen: String::new(),
            already: false,
            took_ms: u64::MAX,
            data: json!([1]),
        },
        Fact::Undone { item: usize::MAX, name: "x".into(), seen: String::new(), stays: false, took_ms: 0 },
        Fact::Unknown(json!({ "kind": "dream", "x": 1 })),
        Fact::Observed { item: 3, name: "y".into(), seen: "z".into(), data: json!({ "gates": "none", "moved": 7 }) },
    ];
    for fact in odd {
        let mut facts = sample::well(&plan);
        facts.insert(2, fact);
        let mut entries = sample::entries(facts);
        entries[3].at = "yesterday".into();
        entries[4].at = "9999-99-99T99:99:99Z".into();
        assert!(page(&paper(&entries)).contains("</html>"));
    }
    assert!(page(&gather(&Material::default())).contains("</html>"));
    assert!(page(&paper(&[])).contains("Never begun"));
}
