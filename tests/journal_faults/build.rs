//! Journals for tests: written by the real code with a fixed clock, or sealed by hand where the real code refuses.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use cutover::adapter::files::sha256;
use cutover::journal::entry::FORMAT;
use cutover::journal::{Fact, Header, Journal, Outcome};
use cutover::step::plan::Plan;
use serde_json::{Value, json};

/// A clock that stands still.
pub fn noon() -> String {
    "2026-01-02T12:00:00.000Z".into()
}

/// A clock that goes on by a second with every line, from the beginning of the process on.
pub fn second_by_second() -> String {
    static SECONDS: AtomicU64 = AtomicU64::new(0);
    let second = SECONDS.fetch_add(1, Ordering::Relaxed);
    format!("2026-01-02T12:{:02}:{:02}.000Z", second / 60, second % 60)
}

/// A plan of two steps and two gates, or of the undoing of one step.
pub fn plan(is_rollback: bool) -> Plan {
    let services = json!({ "backend": 1, "worker": 2 });
    let health = json!({
        "act": "expect_health", "name": "backend", "url": "http://127.0.0.1:3000/health", "status": 200,
        "json": { "/status": "healthy" }, "body_contains": null, "successes": 3, "interval_ms": 500,
        "timeout_ms": 2000, "deadline_s": 90,
    });
    let expect = json!({
        "act": "expect_services", "project": "freshtrack", "services": services, "stable_ms": 5000, "deadline_s": 120,
    });
    let pull = json!({
        "act": "pull_images", "project": "freshtrack", "directory": "/srv/freshtrack",
        "images": { "backend": "example.org/freshtrack/backend:2" }, "from": {},
        "wanted": { "example.org/freshtrack/backend:2": "sha256:11" }, "deadline_s": 600,
    });
    let record = json!({
        "act": "record_release", "release": 12, "before": 11, "project": "freshtrack", "environment": "production",
        "directory": "/srv/freshtrack", "services": { "backend": ["example.org/freshtrack/backend:2", "11", 1] },
        "is_known": false, "keep_releases": 5,
    });
    let item = |name: &str, back: bool, action: &Value| json!({ "name": name, "title": name.replace('_', " "), "back": back, "action": action });
    let items = if is_rollback {
        vec![item("undo_record_release", true, &record), item("expect_health", false, &health)]
    } else {
        vec![
            item("pull_images", false, &pull),
            item("expect_services", false, &expect),
            item("record_release", false, &record),
            item("expect_health", false, &health),
        ]
    };
    let mut plan = json!({
        "kind": if is_rollback { "rollback" } else { "deploy" },
        "project": "freshtrack", "environment": "production", "release_from": 11, "release_to": 12,
        "services": [], "remarks": ["the schema stays as it is"], "rolls_back": true, "items": items,
        "home": [item("expect_old_health", false, &health)], "files": { "model.json": "22" },
    });
    if is_rollback {
        plan["undoes"] = json!(12);
    }
    serde_json::from_value(plan).unwrap()
}

/// The first line of a run.
pub fn planned(number: u32, plan: &Plan) -> Fact {
    let header = Header {
        format: FORMAT,
        number,
        run: plan.kind.word().into(),
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        by: "deployer@db1 (4711)".into(),
        version: "0.1.0".into(),
        plan_hash: plan.hash(),
        undoes: plan.undoes,
    };
    Fact::Planned { header, plan: plan.to_json() }
}

pub fn started(item: usize, name: &str) -> Fact {
    Fact::Started { item, name: name.into() }
}

pub fn done(item: usize, name: &str, seen: &str) -> Fact {
    Fact::Done {
        item,
        name: name.into(),
        seen: seen.into(),
        already: false,
        took_ms: 1500,
        data: json!({ "looked": [seen] }),
    }
}

pub fn failed(item: usize, name: &str, why: &str, back: bool) -> Fact {
    Fact::Failed { item, name: name.into(), why: why.into(), back, unknown: false, took_ms: 0 }
}

pub fn undoing(item: usize, name: &str) -> Fact {
    Fact::Undoing { item, name: name.into() }
}

pub fn undone(item: usize, name: &str, seen: &str, stays: bool) -> Fact {
    Fact::Undone { item, name: name.into(), seen: seen.into(), stays, took_ms: 700 }
}

pub fn note(text: &str) -> Fact {
    Fact::Note { text: text.into() }
}

pub fn finished(outcome: Outcome, exit: u8, said: &str) -> Fact {
    Fact::Finished { outcome, exit, said: said.into() }
}

/// Writes these facts to a new journal.
pub fn write(path: &Path, clock: fn() -> String, facts: &[Fact]) {
    let mut journal = Journal::create(path, "6f1c2b1e-0000-4000-8000-000000000001".into(), clock).unwrap();
    append(&mut journal, facts);
}

/// Appends these facts.
pub fn append(journal: &mut Journal, facts: &[Fact]) {
    for fact in facts {
        journal.append(fact.clone()).unwrap();
    }
}

/// A journal of lines that the real code may not write: the chain is sealed here, by the words of the format alone.
pub fn sealed(facts: &[Value]) -> String {
    let (mut text, mut prev) = (String::new(), String::new());
    for (seq, fact) in facts.iter().enumerate() {
        let mut line = json!({ "seq": seq, "at": noon(), "boot": "b", "epoch": 1 });
        line.as_object_mut().unwrap().extend(fact.as_object().unwrap().clone());
        line["prev"] = json!(prev);
        let hash = sha256(line.to_string().as_bytes());
        line["hash"] = json!(hash);
        text += &(line.to_string() + "\n");
        prev = hash;
    }
    text
}
