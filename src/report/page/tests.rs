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
    assert!(own.contains("The evidence of errors rose to 53 % of the alarm at most, at 00:59:00 UTC."), "{own}");
    assert!(!page_of(window(run.number + 1)).contains("<section id=\"stabilization\">"));
    // Begun while the run was at work, it is what the run itself watched.
    let mut within = window(run.number - 1);
    within["begun_at"] = "2026-11-05T03:00:05.000Z".into();
    assert!(page_of(within).contains("<section id=\"stabilization\">"));
    let mut short = window(run.number);
    short["trail"] = json!([[0, 0, 60, 0]]);
    let short = page_of(short);
    assert!(short.contains("too few to draw") && short.contains("stayed at 0 % of the alarm"), "{short}");
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

/// A page of the run with something beside its journal.
fn page_with(entries: &[Entry], change: impl FnOnce(&mut Material<'_>)) -> (String, Value) {
    let run = sample::run(entries);
    let mut material = Material { run: Some(&run), entries, ..Material::default() };
    change(&mut material);
    let paper = gather(&material);
    (page(&paper), serde_json::to_value(&paper).unwrap())
}

#[track_caller]
fn holds(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

#[test]
fn what_the_prober_met_is_told_with_its_numbers_and_what_never_answered_is_not_called_good() {
    let entries = sample::entries(sample::well(&sample::keeping()));
    let probed = json!({ "url": "http://127.0.0.1:18080/", "asked": 3204, "failed": 2, "first_failure": "status 502",
        "behind_page": 1, "longest_stall_ms": 1_250, "new_side": "shop-r3-backend", "first_answer_ms": 14_000 });
    let (page, json) = page_with(&entries, |material| material.probed = Some(probed));
    holds(
        &page,
        &[
            "<section id=\"gap\">",
            "<span class=\"tag careful\">2 of 3\u{202f}204 requests failed</span>",
            "The longest time without a good answer was 1.2 s.",
            "The first answer of <b>shop-r3-backend</b> came 14.0 s after the start.",
            "The first failure: status 502",
            "1 request met the maintenance page",
        ],
    );
    assert_eq!((&json["gaps"][0]["requests"], &json["gaps"][0]["longest_ms"]), (&json!(3204), &json!(1250)));
    let silent = json!({ "url": "http://127.0.0.1:18080/", "asked": 0, "failed": 0, "longest_stall_ms": 0 });
    let (page, _) = page_with(&entries, |material| material.probed = Some(silent));
    holds(&page, &["<span class=\"tag careful\">no good answer of the application</span>"]);
    assert!(!page.contains("requests failed") && !page.contains("without a good answer"), "{page}");
}

#[test]
fn names_are_told_one_moment_after_another_also_where_they_never_arrived() {
    let plan = sample::keeping();
    let sight = |second: u32, right: u32, caches: u32| {
        json!({ "at": format!("2026-11-05T03:00:{second:02}.000Z"), "authority": { "right": right, "of": 2 },
            "caches": { "right": caches, "of": 3 } })
    };
    let picture = |trail: Vec<Value>| {
        let mut data = trail.last().unwrap().clone();
        data["trail"] = trail.into();
        data
    };
    let name = || "expect_dns".to_owned();
    let mut facts = vec![sample::planned(&plan)];
    facts.extend(sample::done(
        &plan,
        1,
        "authority 2/2, caches 2/3 (2 wanted)",
        picture(vec![sight(1, 1, 0), sight(5, 2, 2)]),
    ));
    let data = picture(vec![sight(21, 0, 0), sight(29, 1, 0)]);
    facts.push(Fact::Observed { item: 2, name: name(), seen: "not there after 30 s".into(), data });
    facts.push(Fact::Failed {
        item: 2,
        name: name(),
        why: "not there after 30 s".into(),
        back: false,
        unknown: false,
        took_ms: 30_000,
    });
    let mut entries = sample::entries(facts);
    let Fact::Planned { plan, .. } = &mut entries[0].fact else { panic!("the head comes first") };
    for item in [1, 2] {
        plan["items"][item]["action"] = json!({ "act": "expect_dns" });
    }
    let (page, json) = page_with(&entries, |_| {});
    let rows: Vec<(Value, Value)> =
        json["names"].as_array().unwrap().iter().map(|row| (row["authority"].clone(), row["caches"].clone())).collect();
    let pair = |right: u32, of: u32| json!([right, of]);
    let expected = [
        (pair(1, 2), pair(0, 3)),
        (pair(2, 2), pair(2, 3)),
        (pair(0, 2), pair(0, 3)),
        (pair(1, 2), pair(0, 3)),
        (Value::Null, Value::Null),
    ];
    assert_eq!(rows, expected);
    let row = |at: &str, right: &str, caches: &str| {
        format!("<td class=\"when\">{at}</td><td class=\"num\">{right}</td><td class=\"num\">{caches}</td>")
    };
    holds(
        &page,
        &[
            "<section id=\"names\">",
            "authorities</th>",
            "caches</th>",
            &row("2026-11-05 03:00:01", "1/2", "0/3"),
            &row("2026-11-05 03:00:21", "0/2", "0/3"),
        ],
    );
}

#[test]
fn who_waits_at_a_checkpoint_for_a_person_is_not_called_interrupted() {
    let plan = sample::keeping();
    let name = || plan.items[1].name.clone();
    let started = || Fact::Started { item: 1, name: name() };
    let shown = json!({ "signal": "go", "gates": [] });
    let mut facts = vec![sample::planned(&plan), started()];
    facts.push(Fact::Observed { item: 1, name: name(), seen: "it waits".into(), data: shown });
    facts.push(Fact::Note { text: "looked at".into() });
    facts.push(started());
    facts.extend(sample::done(&plan, 1, "go was given", Value::Null).into_iter().skip(1));
    facts.push(Fact::Started { item: 4, name: plan.items[4].name.clone() });
    facts.push(Fact::Note { text: "gone on with".into() });
    let mut entries = sample::entries(facts);
    // Each stop is another process; the times are a second apart.
    for (entry, epoch) in entries.iter_mut().zip([1, 1, 1, 2, 3, 3, 3, 4]) {
        entry.epoch = epoch;
    }
    let Fact::Planned { plan, .. } = &mut entries[0].fact else { panic!("the head comes first") };
    plan["items"][1]["action"] = json!({ "act": "checkpoint", "signal": "go" });
    let (page, json) = page_with(&entries, |_| {});
    let kinds = |item: usize| -> Vec<&str> {
        json["steps"][item]["spans"].as_array().unwrap().iter().map(|span| span["kind"].as_str().unwrap()).collect()
    };
    assert_eq!((kinds(1), kinds(4)), (vec!["waited"], vec!["cut"]), "{json:#}");
    assert_eq!((&json["steps"][1]["waited_ms"], &json["run"]["waited_ms"]), (&json!(4000), &json!(4000)));
    holds(&page, &["waited 4.0 s", "of that, waited for people", "waited for a person"]);
}

#[test]
fn a_failure_is_shown_as_far_as_it_helps_and_the_rest_on_demand() {
    let plan = sample::keeping();
    let mut facts = sample::failed(&plan);
    let log: String = (1..=40).map(|line| format!("\n  line {line} of the log")).collect();
    let Some(Fact::Failed { why, .. }) = facts.last_mut() else { panic!("it failed") };
    *why = format!("`load` ended with 3{log}\n  {}", "x".repeat(5000));
    let (page, _) = page_with(&sample::entries(facts), |_| {});
    let section =
        page.split("<section id=\"failures\">").nth(1).and_then(|rest| rest.split("</section>").next()).unwrap();
    let (shown, rest) = section.split_once("<details>").unwrap();
    holds(shown, &["`load` ended with 3\n… 30 lines\n  line 31 of the log", "line 40 of the log", "xxx …"]);
    assert!(!shown.contains("line 30 of") && shown.len() < 3000, "{shown}");
    holds(rest, &["All of it, 42 lines", "line 1 of the log", "line 30 of the log", &"x".repeat(5000)]);
    // Short ones are there as they are.
    let (page, _) = page_with(&sample::entries(sample::failed(&plan)), |_| {});
    assert!(!page.contains("<details>") && page.contains("afterConnect"), "{page}");
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
