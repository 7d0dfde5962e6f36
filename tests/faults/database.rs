//! The database goes away, or the migration fails, while the migration is at work.

use crate::support::live::{says, until};
use crate::support::project::Project;

/// Identifier and start of every container: whoever was replaced or restarted shows.
fn starts(project: &Project) -> Vec<String> {
    let start = |service: &str| {
        project.docker(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", &project.container(service)])
    };
    ["backend", "worker", "db"].map(start).to_vec()
}

#[test]
fn a_migration_that_fails_stops_the_deploy_before_the_new_code_serves() {
    let project = Project::new("migrate");
    project.deploy("1");
    let before = starts(&project);
    project.set("TAG", "2");
    project.set("DEMO_FAULT_MIGRATE", "fail");

    let text = project.expect(7, &["deploy", "--yes"]);

    says(&text, &["the migration fails before its commit", "migrate_schema", "r1 is back"]);
    assert_eq!(starts(&project), before, "no container that serves was touched");
    assert_eq!(project.sql("SELECT max(version) FROM schema_migrations").trim(), "1");
}

#[test]
fn a_database_restarted_during_the_migration_fails_the_deploy_and_loses_nothing() {
    let project = Project::new("dbgone");
    project.edit(
        "compose.yaml",
        "    stop_grace_period: 5s\n",
        "    stop_grace_period: 5s\n    restart: unless-stopped\n",
    );
    project.deploy("1");
    project.sql("INSERT INTO items(name) VALUES ('a row')");
    let first = project.images();
    project.set("TAG", "2");
    project.set("DEMO_FAULT_MIGRATE", "sleep:8");
    let run = project.start(&["deploy", "--yes"]);
    until("the migration to hold its lock", || {
        project.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").trim() == "1"
    });

    project.docker(&["restart", "--time", "5", &project.container("db")]);

    let text = run.expect(7);
    says(&text, &["migrate_schema", "r1 is back"]);
    assert_eq!(project.images(), first);
    assert_eq!(project.sql("SELECT count(*) FROM items").trim(), "1");
    project.unset("DEMO_FAULT_MIGRATE");
    project.deploy("2");
}
