//! Data verbs as runs: planned, journalled, undone by `cutover rollback`, on a host without a container engine.

#![expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]

mod support;

use std::sync::OnceLock;

use support::cluster::Cluster;
use support::live::says;
use support::migration::Migration;

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
fn an_unfreezing_is_a_run_too_and_leaves_nothing_to_undo() {
    let migration = with_a_table("thaw");
    migration.expect(0, &["data", "freeze", "--yes"]);
    says(&migration.expect(0, &["data", "unfreeze", "--yes"]), &["COMPLETE: the unfreezing of"]);
    cluster().sql(&migration.source, "INSERT INTO notes VALUES (2, 'b')");
    says(&migration.expect(0, &["status"]), &["last run 2 (the unfreezing of postgres@127.0.0.1", "done"]);
}

#[test]
fn the_plan_of_a_freeze_changes_nothing_and_names_what_it_does() {
    let migration = with_a_table("plan");
    let text = migration.expect(0, &["data", "freeze", "--dry-run"]);
    says(&text, &["the freezing of", "refuse every write", "undo gives back everything", "applications see errors"]);
    assert!(!migration.path("state").exists(), "a plan writes nothing");
    cluster().sql(&migration.source, "INSERT INTO notes VALUES (2, 'b')");
}

#[test]
fn a_source_that_is_not_configured_is_a_usage_error_with_the_key_to_write() {
    let mut migration = with_a_table("unset");
    migration.set("SOURCE_URL", "");
    says(&migration.expect(2, &["data", "freeze", "--yes"]), &["[source]", "SOURCE_URL", "not set"]);
}
