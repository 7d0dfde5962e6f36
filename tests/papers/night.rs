//! A night that was really carried out in the lab, and the rollback of the one before it, as their journals and files tell them.

use std::path::Path;

use serde_json::{Value, json};

use super::report::{State, is_whole};

/// The page and the document of one of the two runs.
fn paper(run: u32) -> (String, Value) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/papers/night");
    let state = State::new();
    let copy = |name: &str, to: &str| {
        let to = state.path(&format!("state/{to}"));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from.join(name), to).unwrap();
    };
    for name in ["0002-rollback.jsonl", "0004-cutover.jsonl"] {
        copy(name, &format!("runs/{name}"));
    }
    copy("0002-probe.json", "runs/0002/probe.json");
    copy("0004-probe.json", "runs/0004/probe.json");
    copy("window.json", "watch/window.json");
    let output = state.cutover(&["report", &run.to_string(), "--out", "run.html"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(state.path(name)).unwrap();
    let page = read("run.html");
    is_whole(&page);
    (page, serde_json::from_str(&read("run.json")).unwrap())
}

/// What stands in a section of the page.
#[track_caller]
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let begin =
        page.split(&format!("<section id=\"{id}\">")).nth(1).unwrap_or_else(|| panic!("{id} is not in\n{page}"));
    begin.split("</section>").next().unwrap()
}

#[track_caller]
fn holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_whole_night_tells_its_phases_its_waiting_what_people_met_and_what_it_watched() {
    let (page, document) = paper(4);
    holds(
        &page,
        &[
            "<h1>Run 4: the cutover supabase-to-postgres</h1>",
            "The whole night: from Supabase to our own stack",
            "<dt>of that, waited for people</dt><dd>18.7 s</dd>",
            "<li class=\"phase\">Readiness (29-01)</li>",
            "<li class=\"phase\">Stabilization (07-06)</li>",
        ],
    );
    // Nine times it stood at a checkpoint, each time the process ended, and none of that was an interruption.
    assert_eq!(document["checkpoints"].as_array().unwrap().len(), 9);
    let spans = document["steps"].as_array().unwrap().iter().flat_map(|step| step["spans"].as_array().unwrap().clone());
    let kinds: Vec<String> = spans.map(|span| span["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "waited").count(), 9, "{kinds:?}");
    assert!(!kinds.contains(&"cut".to_owned()) && !page.contains("interrupted"), "{kinds:?}");
    holds(section(&page, "rows"), &["readings", "60\u{202f}208"]);
    holds(section(&page, "gap"), &["http://127.0.0.1:28180/", "0 of 1\u{202f}397 requests failed", "was 156 ms."]);
    holds(
        section(&page, "names"),
        &["app.night.test A", "127.0.0.77 (TTL 30 s)", "127.0.0.1 (TTL 30 s)", "<td class=\"num\">1/1</td>"],
    );
    holds(
        section(&page, "stabilization"),
        &[
            "<span class=\"tag good\">accepted</span>",
            "Observed 1 min 00 s of 1 min 00 s, 0 min unknown. 2\u{202f}144 requests, 0 failed.",
            "The evidence of errors stayed at 0 % of the alarm.",
            "the source is frozen",
        ],
    );
    let gap = &document["gaps"][0];
    assert_eq!((&gap["requests"], &gap["failed"], &gap["longest_ms"]), (&json!(1397), &json!(0), &json!(156)));
    assert_eq!(document["stabilization"]["requests"], json!([2144, 0]));
    assert_eq!(document["run"]["waited_ms"], 18655);
}

#[test]
fn the_rollback_of_a_night_is_its_manifest_and_says_who_has_what_left_to_do() {
    let (page, document) = paper(2);
    holds(
        section(&page, "manifest"),
        &[
            "saved: 3 changes (1 inserted, 1 updated, 1 deleted)",
            "each row as on the target",
            "<b>undo_freeze.freeze_source</b>: postgres@127.0.0.1:25532/legacy takes writes",
            "<b>undo_deploy.migrate_schema</b>: the schema stays as it was migrated, no row is lost",
            "every authority answers the old records (passed)",
        ],
    );
    let left = document["manifest"]["remaining"].as_array().unwrap();
    let left: Vec<(&str, &str)> =
        left.iter().map(|one| (one["who"].as_str().unwrap(), one["what"].as_str().unwrap())).collect();
    let who: Vec<&str> = left.iter().map(|(who, _)| *who).collect();
    assert_eq!(who, ["operator", "DNS owner", "developer", "developer"], "{left:#?}");
    for ((_, what), words) in left.iter().zip([
        "fresh refuses writes from now on, so that there is one writer; before rows are moved there again: cutover data unfreeze",
        "caches may remember the records that were taken back until 2026-11-21 15:00:46 UTC",
        "the schema stays as it was migrated",
        "the compose files and their .env were not changed",
    ]) {
        assert!(what.contains(words), "{words} is not in {what}");
    }
    holds(section(&page, "changes"), &["/srv/night/state/exports/0002-changes/changes.jsonl", "readings"]);
    // Of what a rollback takes away, people meet something: that is told, and not called good.
    holds(section(&page, "gap"), &["<span class=\"tag careful\">51 of 99 requests failed</span>", "was 2.7 s."]);
}
