//! Data verbs as runs: planned, journalled, undone by `cutover rollback`, on a host without a container engine.

#![expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

use std::sync::OnceLock;

use support::cluster::Cluster;
use support::live::says;
use support::migration::Migration;
use support::receiver::{Answer, Receiver};
use support::stack_auth;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::new(&["fsync = off"]))
}

fn with_a_table(label: &str) -> Migration {
    let migration = Migration::new(cluster(), label);
    cluster().sql(
        &migration.source,
        "CREATE TABLE notes (id int PRIMARY KEY, words text); INSERT INTO notes VALUES (1, 'a')",
    );
    migration
}

#[test]
fn a_freeze_is_a_run_that_a_rollback_undoes() {
    let migration = with_a_table("freeze");
    let text = migration.expect(0, &["data", "freeze", "--yes"]);
    says(
        &text,
        &["COMPLETE: the freezing of postgres@127.0.0.1", "is done", "refuses every write", "writes attempted"],
    );
    assert!(!text.contains(support::cluster::PASSWORD), "{text}");
    let refused = std::panic::catch_unwind(|| cluster().sql(&migration.source, "INSERT INTO notes VALUES (2, 'b')"));
    assert!(refused.is_err(), "the frozen source took a row");

    says(&migration.expect(0, &["rollback", "--yes"]), &["COMPLETE", "the undoing of the freezing", "takes writes"]);
    cluster().sql(&migration.source, "INSERT INTO notes VALUES (2, 'b')");
}

#[test]
fn the_watcher_sees_that_the_source_is_frozen_and_that_somebody_let_it_go() {
    let migration = with_a_table("watched");
    migration.configure("[stabilize]\nclose = \"2h\"\n[preflight]\nmin_disk = \"0B\"\n");
    let frozen = |migration: &Migration| {
        let (document, code) = migration.json(&["watch", "--once"]);
        let rules = document["rules"].as_array().unwrap().clone();
        let rule = rules.into_iter().find(|rule| rule["name"] == "source frozen");
        (rule.map(|rule| (rule["verdict"].clone(), rule["evidence"].as_str().unwrap().to_owned())), code)
    };
    assert_eq!(frozen(&migration), (None, 0), "what cutover never froze is no business of the watcher");
    migration.expect(0, &["data", "freeze", "--yes"]);
    assert_eq!(frozen(&migration), (Some(("ok".into(), "the source is frozen".into())), 0));

    let open = format!("ALTER DATABASE {} RESET default_transaction_read_only", migration.source);
    cluster().sql("postgres", &open);
    cluster().sql(&migration.source, "DROP SCHEMA _cutover CASCADE");
    let (rule, code) = frozen(&migration);
    let (verdict, evidence) = rule.unwrap();
    assert_eq!((&verdict, code), (&"breach".into(), 4), "{evidence}");
    assert!(evidence.starts_with("the source is "), "{evidence}");

    // Let go by cutover, it is nobody's rule any more.
    migration.expect(0, &["data", "unfreeze", "--yes"]);
    assert_eq!(frozen(&migration).0, None);
}

/// What a rule of the watcher says now: its verdict, its evidence, and the exit code.
fn rule_of(migration: &Migration, name: &str) -> (String, String, i32) {
    let (document, code) = migration.json(&["watch", "--once"]);
    let rules = document["rules"].as_array().unwrap_or_else(|| panic!("{document}"));
    let rule = rules.iter().find(|rule| rule["name"] == name).unwrap_or_else(|| panic!("no {name}: {document}"));
    let text = |key: &str| rule[key].as_str().unwrap().to_owned();
    (text("verdict"), text("evidence"), code)
}

#[test]
fn a_table_that_gains_no_rows_any_more_and_lines_of_a_log_are_seen_by_the_watcher() {
    let (migration, loki) = (with_a_table("silence"), Receiver::plain());
    cluster().sql(&migration.target, "CREATE TABLE orders (id int)");
    loki.says("{\"data\":{\"resultType\":\"vector\",\"result\":[]}}");
    migration.configure(&format!(
        "[preflight]\nmin_disk = \"0B\"\n[stabilize]\nloki = \"{}\"\n[[stabilize.rule]]\nname = \"orders\"\nkind = \"rows\"\n\
         table = \"public.orders\"\nwithin = \"30m\"\nlevel = \"hold\"\nfor = \"0s\"\n[[stabilize.rule]]\nname = \"lines\"\n\
         kind = \"log\"\nquery = 'sum(count_over_time({{a=\"b\"}} [5m]))'\nabove = \"10\"\nfor = \"0s\"\n",
        loki.url("127.0.0.1", "")
    ));
    assert_eq!(rule_of(&migration, "orders"), ("no_data".into(), "counted for the first time".into(), 0));
    let (verdict, evidence, _) = rule_of(&migration, "database");
    assert!(verdict == "ok" && evidence.ends_with(" connections in use"), "{evidence}");

    cluster().sql(&migration.target, "INSERT INTO orders VALUES (1), (2), (3)");
    let begun = cutover::adapter::clock::Stopwatch::start();
    loop {
        // The server tells its statistics a little later.
        let (verdict, evidence, code) = rule_of(&migration, "orders");
        if verdict == "ok" {
            break assert!(evidence.starts_with("3 rows came in within ") && code == 0, "{evidence}");
        }
        assert!(begun.elapsed().as_secs() < 60, "the rows are never seen: {evidence}");
    }
    // As if the last row had come half an hour ago.
    let path = migration.path("state/watch/window.json");
    let mut window: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    window["numbers"]["rows orders"] = serde_json::json!([[0, 3]]);
    window["elapsed_ms"] = 1_860_000.into();
    std::fs::write(&path, window.to_string()).unwrap();
    let (verdict, evidence, code) = rule_of(&migration, "orders");
    assert_eq!((verdict.as_str(), code), ("breach", 4), "{evidence}");
    assert!(
        evidence.starts_with("0 rows came in within ") && evidence.contains("at least 1 was expected in "),
        "{evidence}"
    );

    loki.then(&[
        Answer::Status(200, "{\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[1,\"12\"]}]}}"),
        Answer::Status(500, "too many outstanding requests"),
    ]);
    let (verdict, evidence, _) = rule_of(&migration, "lines");
    assert_eq!((verdict.as_str(), evidence.as_str()), ("breach", "12 lines, more than 10 lines"));
    let (verdict, evidence, _) = rule_of(&migration, "lines");
    assert!(verdict == "cannot_ask" && evidence.ends_with("answered 500: too many outstanding requests"), "{evidence}");
}

#[test]
fn an_unfreezing_is_a_run_too_and_leaves_nothing_to_undo() {
    let migration = with_a_table("thaw");
    migration.expect(0, &["data", "freeze", "--yes"]);
    says(&migration.expect(0, &["data", "unfreeze", "--yes"]), &["COMPLETE: the unfreezing of"]);
    cluster().sql(&migration.source, "INSERT INTO notes VALUES (2, 'b')");
    says(&migration.expect(0, &["status"]), &["last run 2 (the unfreezing of postgres@127.0.0.1", "done"]);
    let history = migration.expect(0, &["history"]);
    says(&history, &["1 data freeze ", "2 data unfreeze "]);
    says(&migration.expect(0, &["history", "1"]), &["run 1: data freeze", "the freezing of postgres@127.0.0.1"]);
}

#[test]
fn a_rollback_ends_as_it_ended_where_its_manifest_cannot_be_written_and_writes_it_later() {
    let migration = with_a_table("paper");
    migration.expect(0, &["data", "freeze", "--yes"]);
    // Where the directory of the papers would be stands something else, as a disk without room would be in the way.
    std::fs::write(migration.path("state/reports"), "in the way").unwrap();
    let text = migration.expect(0, &["rollback", "--yes"]);
    says(&text, &["the manifest of this rollback could not be written", "COMPLETE", "the undoing of the freezing"]);
    cluster().sql(&migration.source, "INSERT INTO notes VALUES (2, 'b')");
    std::fs::remove_file(migration.path("state/reports")).unwrap();
    migration.expect(0, &["data", "freeze", "--yes"]);
    assert!(migration.path("state/reports/0002-manifest.json").exists());
}

#[test]
fn the_plan_of_a_freeze_changes_nothing_and_names_what_it_does() {
    let migration = with_a_table("plan");
    let text = migration.expect(0, &["data", "freeze", "--dry-run"]);
    says(&text, &["the freezing of", "refuse writes", "undo gives back everything", "applications see errors"]);
    assert!(!migration.path("state").exists(), "a plan writes nothing");
    cluster().sql(&migration.source, "INSERT INTO notes VALUES (2, 'b')");
}

#[test]
fn a_source_that_is_not_configured_is_a_usage_error_with_the_key_to_write() {
    let mut migration = with_a_table("unset");
    migration.set("SOURCE_URL", "");
    says(&migration.expect(2, &["data", "freeze", "--yes"]), &["[source]", "SOURCE_URL", "not set"]);
}

/// Users in the data directory as an export leaves them.
fn with_users(label: &str, url: &str) -> Migration {
    let mut migration = Migration::new(cluster(), label);
    migration.configure(&format!(
        "[users]\nprovider = \"stack-auth\"\nbase_url = \"{url}\"\nproject_id_env = \"PROJECT\"\n\
         secret_key_env = \"KEY\"\nrate = 1000\nattempts = 2\n"
    ));
    let setup = stack_auth::Setup::default();
    migration.set("PROJECT", &setup.project);
    migration.set("KEY", &setup.key);
    let directory = migration.path("migration-data");
    std::fs::create_dir(&directory).unwrap();
    let users = "[\n{\"id\":\"0b1f6d0a-0000-4000-8000-000000000001\",\"email\":\"Anna@Example.com\",\
                 \"email_confirmed_at\":\"2026-01-01 00:00:00+00\"},\n\
                 {\"id\":\"0b1f6d0a-0000-4000-8000-000000000002\",\"email\":\"ben@example.com\"}\n]\n";
    std::fs::write(directory.join("auth_users.json"), users).unwrap();
    migration
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_made_once_mapped_and_taken_back_by_a_rollback() {
    let service = stack_auth::Double::start(stack_auth::Setup::default()).await;
    let migration = with_users("accounts", &service.url);

    says(&migration.expect(0, &["data", "users", "--dry-run"]), &["2 of 2 accounts would be made"]);
    assert_eq!(service.users().len(), 0);
    let text = migration.expect(0, &["data", "users", "--yes"]);
    says(&text, &["COMPLETE: the making of accounts", "every user in", "has an account and is mapped"]);
    assert_eq!(service.users().len(), 2);
    let mapping = std::fs::read_to_string(migration.path("migration-data/user-mapping.json")).unwrap();
    says(&mapping, &["supabaseUserId", "retainUntil", "anna@example.com"]);

    says(&migration.expect(0, &["data", "users", "--yes"]), &["COMPLETE"]);
    assert_eq!(service.users().len(), 2, "nobody was made twice");
    says(&migration.expect(0, &["data", "map-users"]), &["2"]);
    let journal = std::fs::read_to_string(migration.path("state/runs/0001-data.jsonl")).unwrap();
    assert!(!journal.contains(&stack_auth::Setup::default().key), "the key is in the journal");

    let text = migration.expect(0, &["rollback", "--yes"]);
    says(&text, &["the undoing of the making of accounts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_cannot_be_made_holds_the_run_and_resume_goes_on_with_him() {
    let service = stack_auth::Double::start(stack_auth::Setup::default()).await;
    let migration = with_users("refused", &service.url);
    service.fault(stack_auth::Fault::always("POST", stack_auth::Act::Status(500, "out of order".into())));
    let text = migration.expect(4, &["data", "users", "--yes"]);
    says(&text, &["FAILED AND HELD", "cutover resume"]);
    service.heal();
    says(&migration.expect(0, &["resume"]), &["COMPLETE", "has an account and is mapped"]);
    assert_eq!(service.users().len(), 2);
}

#[test]
fn a_verification_names_the_row_and_the_column_that_differ() {
    let migration = with_a_table("verify");
    cluster().sql(
        &migration.target,
        "CREATE TABLE notes (id int PRIMARY KEY, words text); INSERT INTO notes VALUES (1, 'a')",
    );
    says(&migration.expect(0, &["data", "verify"]), &["THE SAME", "notes pass 1 1"]);
    cluster().sql(&migration.target, "UPDATE notes SET words = 'b'");
    let text = migration.expect(4, &["data", "verify"]);
    says(&text, &["DIFFERENT", "notes fail 1 1 1", "notes: id=\"1\" is different: words is \"b\", should be \"a\""]);
    let (report, code) = migration.json(&["data", "verify", "--skip-checksum"]);
    assert_eq!((code, &report["tables"]["notes"]["status"]), (0, &serde_json::json!("warn")));
    assert!(migration.path("migration-data/verification-report.json").exists());
}

#[test]
fn a_verification_of_less_says_so_and_a_table_or_the_first_failure_can_be_its_end() {
    let migration = with_a_table("less");
    let more = "CREATE TABLE older (id int PRIMARY KEY, words text); INSERT INTO older SELECT n, 'w' FROM generate_series(1, 1000) n";
    cluster().sql(&migration.source, more);
    cluster().sql(
        &migration.target,
        &format!("CREATE TABLE notes (id int PRIMARY KEY, words text); INSERT INTO notes VALUES (1, 'a'); {more}"),
    );
    let (report, code) = migration.json(&["data", "verify", "--sample", "10%", "--report", "elsewhere.json"]);
    assert_eq!((code, &report["samplePercent"]), (0, &serde_json::json!(10)), "{report}");
    assert_eq!(report["tables"]["older"]["status"], "warn", "{report}");
    let kept: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(migration.path("elsewhere.json")).unwrap()).unwrap();
    assert_eq!(kept["samplePercent"], 10);
    assert!(!migration.path("migration-data/verification-report.json").exists(), "it was to be elsewhere");
    let refused = migration.expect(2, &["data", "verify", "--sample", "101%"]);
    says(&refused, &["is no share from 1% to 100%"]);

    cluster().sql(&migration.target, "UPDATE notes SET words = 'b'; UPDATE older SET words = 'b'");
    let names = |arguments: &[&str]| -> Vec<String> {
        let (report, code) = migration.json(&[&["data", "verify"], arguments].concat());
        assert_eq!(code, 4, "{report}");
        report["tables"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names(&[]), ["notes", "older"]);
    assert_eq!(names(&["--fail-fast"]).len(), 1);
    assert_eq!(names(&["--table", "older"]), ["older"]);
}

#[test]
fn what_is_too_large_is_left_out_of_an_export_and_named() {
    let migration = with_a_table("large");
    migration.configure("[data]\nlarge = \"1MiB\"\n");
    cluster().sql(
        &migration.source,
        "CREATE TABLE events (id int PRIMARY KEY, words text); INSERT INTO events SELECT n, repeat('w', 100) FROM generate_series(1, 12000) n",
    );
    let plan = migration.expect(0, &["data", "export", "--skip-large", "--dry-run"]);
    says(&plan, &["export 1 table", "events", "is left out"]);
    says(&migration.expect(0, &["data", "export", "--skip-large", "--yes"]), &["COMPLETE", "events was left out"]);
    assert!(!migration.path("migration-data/events.json").exists());
    assert!(migration.path("migration-data/notes.json").exists());
    migration.expect(0, &["data", "export", "--yes"]);
    assert!(migration.path("migration-data/events.json").exists());
}

#[test]
fn a_backup_is_proven_listed_brought_back_and_the_exchange_undone() {
    let migration = with_a_table("backup");
    cluster().sql(
        &migration.target,
        "CREATE TABLE notes (id int PRIMARY KEY, words text); INSERT INTO notes VALUES (1, 'a')",
    );
    let (made, code) = migration.json(&["backup", "create"]);
    assert_eq!((code, &made["backup"]["verified"]["rows"]), (0, &serde_json::json!(1)), "{made}");
    let id = made["backup"]["id"].as_str().unwrap();
    says(&migration.expect(0, &["backup", "list"]), &[id, "1 rows"]);
    says(&migration.expect(0, &["backup", "verify", id]), &["restored on trial, 1 row the same"]);

    cluster().sql(&migration.target, "UPDATE notes SET words = 'changed since'");
    let text = migration.expect(0, &["backup", "restore", id, "--yes"]);
    says(&text, &["COMPLETE: the restore of the backup", "is kept as"]);
    assert_eq!(cluster().sql(&migration.target, "SELECT words FROM notes"), "a");
    says(
        &migration.expect(0, &["rollback", "--yes"]),
        &["COMPLETE: the undoing of the restore", "is again what it was"],
    );
    assert_eq!(cluster().sql(&migration.target, "SELECT words FROM notes"), "changed since");
}

#[test]
fn the_lines_of_a_run_are_kept_in_the_log_that_the_old_scripts_variable_names() {
    let mut migration = with_a_table("log");
    migration.set("LOG_FILE_PATH", "migration.log");
    migration.expect(0, &["data", "freeze", "--yes"]);
    let log = std::fs::read_to_string(migration.path("migration.log")).unwrap();
    says(&log, &["run 1 freeze_source: started", "refuses every write"]);
    assert!(!log.contains('\u{1b}') && !log.contains(support::cluster::PASSWORD), "{log}");
}
