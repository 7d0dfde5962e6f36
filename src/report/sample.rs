//! A made-up project for the tests of the reports: a plan, and its journal as far as a test wants it.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::journal::state::fold;
use crate::journal::{Entry, Fact, Header, Outcome, RunState};
use crate::step::Plan;

/// Digest of an image, made of one digit.
pub fn image(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

fn side(release: u32, image: &str) -> Value {
    let service = json!({ "hashes": [], "image": image, "replicas": 1, "ids": [] });
    json!({ "release": release, "model": { "release": release }, "services": { "backend": service } })
}

fn health() -> Value {
    json!({
        "act": "expect_health", "name": "backend", "url": "http://127.0.0.1:3000/health", "status": 200, "json": {},
        "body_contains": null, "successes": 3, "interval_ms": 500, "timeout_ms": 2000, "deadline_s": 90,
    })
}

fn services_gate() -> Value {
    json!({ "act": "expect_services", "project": "shop", "services": { "backend": 1 }, "stable_ms": 10_000, "deadline_s": 120 })
}

fn database() -> Value {
    json!({ "service": "db", "user": "shop", "name": "shop" })
}

/// A deploy of r3 over r2, with a migration whose undoing is `on_rollback`.
pub fn deploy_plan(on_rollback: Value) -> Plan {
    let directory = PathBuf::from("/srv/shop");
    let item = |name: &str, title: &str, action: Value| json!({ "name": name, "title": title, "action": action });
    let start = json!({
        "act": "start_services", "project": "shop", "directory": directory,
        "services": [{ "service": "backend", "is_forced": false }],
        "from": side(2, &image('a')), "to": side(3, "shop/backend:2026.11.2"), "deadline_s": 120, "stop_timeout_s": null,
    });
    let plan = json!({
        "kind": "deploy", "project": "shop", "environment": "production", "release_from": 2, "release_to": 3,
        "services": [
            { "service": "backend", "change": "recreate",
              "reasons": ["the image is shop/backend:2026.11.2 instead of 2026.11.1", "the variable LOG_LEVEL changed"],
              "image_from": image('a'), "image_to": "shop/backend:2026.11.2" },
            { "service": "worker", "change": "perhaps", "reasons": ["it is built in this run"],
              "image_from": image('b'), "image_to": "shop/worker" },
            { "service": "db", "change": "keep", "reasons": [], "image_from": image('c'), "image_to": image('c') },
        ],
        "remarks": ["the file config/app.yml changed since r2 was deployed"],
        "rolls_back": true,
        "items": [
            item("pin_release", "keep r2 as it runs now", json!({
                "act": "pin_release", "release": 2, "project": "shop", "environment": "production",
                "directory": directory, "origin": "deployed", "services": {} })),
            item("build_images", "build worker", json!({
                "act": "build_images", "project": "shop", "directory": directory, "images": { "worker": "shop/worker" },
                "from": { "shop/worker": image('b') }, "deadline_s": 900 })),
            item("back_up_database", "back up the database shop", json!({
                "act": "back_up_database", "project": "shop", "database": database(),
                "directory": "/var/lib/cutover/backups", "keep": 5, "deadline_s": 600 })),
            item("migrate_schema", "migrate the schema: `pnpm db:migrate:prod` in backend", json!({
                "act": "migrate_schema", "project": "shop", "directory": directory, "service": "backend",
                "command": ["pnpm", "db:migrate:prod"], "deadline_s": 600, "on_rollback": on_rollback,
                "database": database(), "run": null })),
            item("start_services", "start backend and worker of r3", start),
            item("expect_services", "backend and worker are healthy for 10 s", services_gate()),
            item("expect_health", "http://127.0.0.1:3000/health answers as expected", health()),
            item("record_release", "record r3 as the current release", json!({
                "act": "record_release", "release": 3, "before": 2, "project": "shop", "environment": "production",
                "directory": directory, "services": {}, "is_known": false, "keep_releases": 5 })),
        ],
        "home": [
            item("home_services", "backend and worker of r2 are healthy", services_gate()),
            item("home_health", "http://127.0.0.1:3000/health answers as expected", health()),
        ],
        "files": {},
    });
    serde_json::from_value(plan).unwrap()
}

/// The plan whose migration loses rows on its way back.
pub fn lossy() -> Plan {
    deploy_plan(json!({ "restore": { "backups": "/var/lib/cutover/backups" } }))
}

/// The plan whose migration stays.
pub fn keeping() -> Plan {
    deploy_plan(json!("keep"))
}

/// The head of a journal.
pub fn planned(plan: &Plan) -> Fact {
    let header = Header {
        format: 1,
        number: 7,
        run: plan.kind.word().into(),
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        by: "anna@host (process 4242)".into(),
        version: "0.1.0".into(),
        plan_hash: plan.hash(),
        undoes: plan.undoes,
    };
    Fact::Planned { header, plan: plan.to_json() }
}

/// Lines of a journal, a second apart.
pub fn entries(facts: Vec<Fact>) -> Vec<Entry> {
    let entry = |(seq, fact)| Entry {
        seq,
        at: format!("2026-11-05T03:{:02}:{:02}.250Z", seq / 60, seq % 60),
        boot: "boot".into(),
        epoch: 1,
        fact,
        prev: String::new(),
        hash: String::new(),
    };
    (0..).zip(facts).map(entry).collect()
}

/// The run that the lines tell.
pub fn run(entries: &[Entry]) -> RunState {
    fold(7, "deploy", entries)
}

/// `started` and `done` of an item.
pub fn done(plan: &Plan, item: usize, seen: &str, data: Value) -> [Fact; 2] {
    let name = plan.items[item].name.clone();
    [
        Fact::Started { item, name: name.clone() },
        Fact::Done { item, name, seen: seen.into(), already: false, took_ms: 1_500, data },
    ]
}

/// Everything up to and with `start_services`.
pub fn half(plan: &Plan) -> Vec<Fact> {
    let dump =
        json!({ "file": "0007-shop.dump", "sha256": "ab".repeat(32), "bytes": 4096, "tables": 12, "rows": 3400 });
    let containers = json!({ "containers": {
        "shop-backend-1": { "id": "1", "image": image('d') }, "shop-worker-1": { "id": "2", "image": image('b') },
    } });
    let mut facts = vec![planned(plan)];
    facts.extend(done(plan, 0, "r2 is kept, 3 images", json!({ "release": 2 })));
    facts.extend(done(plan, 1, "built worker", json!({ "built": { "shop/worker": image('b') } })));
    facts.extend(done(plan, 2, "/var/lib/cutover/backups/0007-shop.dump (4.0 KiB)", dump));
    facts.extend(done(plan, 3, "shop-migrate-run-7 ended with 0", Value::Null));
    facts.extend(done(
        plan,
        4,
        &format!("backend: shop-backend-1 (running, image {})", &image('d')[7..19]),
        containers,
    ));
    facts
}

/// The whole run, well.
pub fn well(plan: &Plan) -> Vec<Fact> {
    let mut facts = half(plan);
    facts.extend(done(plan, 5, "healthy for 10.0 s: backend, worker", Value::Null));
    facts.extend(done(plan, 6, "http://127.0.0.1:3000/health answers as expected, 3 times in a row", Value::Null));
    facts.extend(done(plan, 7, "current release: r3", json!({ "release": 3, "let_go": [] })));
    facts.push(Fact::Finished { outcome: Outcome::Done, exit: 0, said: String::new() });
    facts
}

/// What the failing gate says.
pub const WHY: &str = "backend exited with 1\nlast lines of its log:\n  Error: connect ECONNREFUSED 10.0.0.7:5432\n    at TCPConnectWrap.afterConnect";

/// Healthy never came.
pub fn failed(plan: &Plan) -> Vec<Fact> {
    let mut facts = half(plan);
    let name = plan.items[5].name.clone();
    facts.push(Fact::Started { item: 5, name: name.clone() });
    facts.push(Fact::Failed { item: 5, name, why: WHY.into(), back: false, unknown: false, took_ms: 2_500 });
    facts
}

/// It failed and went back, in full or up to the migration.
pub fn rolled_back(plan: &Plan, is_whole: bool) -> Vec<Fact> {
    let mut facts = failed(plan);
    let undone = |item: usize, seen: &str, stays: bool| {
        let name = plan.items[item].name.clone();
        [Fact::Undoing { item, name: name.clone() }, Fact::Undone { item, name, seen: seen.into(), stays, took_ms: 0 }]
    };
    facts.extend(undone(4, &format!("backend: shop-backend-1 (running, image {})", &image('a')[7..19]), false));
    facts.extend(undone(3, "the schema stays as it was migrated, no row is lost", true));
    if !is_whole {
        facts.push(Fact::Undoing { item: 2, name: plan.items[2].name.clone() });
        return facts;
    }
    facts.extend(undone(2, "the backup stays", true));
    facts.extend(undone(1, "shop/worker names the image of before", true));
    facts.extend(undone(0, "the images stay kept", true));
    facts.push(Fact::Note { text: "home_services: healthy for 10.0 s: backend, worker".into() });
    facts.push(Fact::Note { text: "home_health: answers as expected, 3 times in a row".into() });
    facts.push(Fact::Finished { outcome: Outcome::RolledBack, exit: 7, said: String::new() });
    facts
}
