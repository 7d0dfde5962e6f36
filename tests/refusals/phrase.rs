//! What a migration leaves on the way back: kept, restored, undone by a command; and the phrase that a loss wants.

use crate::support::live::says;
use crate::support::project::Project;

/// A project whose migration is undone in this way.
fn with_migration(label: &str, more: &str) -> Project {
    let project = Project::new(label);
    migrate_by(&project, more);
    project
}

fn migrate_by(project: &Project, more: &str) {
    let usual = r#"migrate = { service = "backend", command = ["demo-backend", "migrate"] }"#;
    project.edit("cutover.toml", usual, &format!("migrate = {{ {more} }}"));
}

const RESTORE: &str = r#"service = "backend", command = ["demo-backend", "migrate"], on_rollback = "restore""#;

fn names(project: &Project) -> String {
    project.sql("SELECT string_agg(name, ',' ORDER BY name) FROM items")
}

fn version(project: &Project) -> String {
    project.sql("SELECT max(version) FROM schema_migrations").trim().to_owned()
}

#[test]
fn a_schema_that_is_kept_stays_and_is_named() {
    let project = Project::new("keep");
    project.deploy("1");
    project.deploy("2");

    let text = project.expect(0, &["rollback", "--yes"]);

    says(&text, &["What stays", "the schema stays as it was migrated, no row is lost"]);
    assert_eq!(version(&project), "2");
}

#[test]
fn a_lossy_way_back_wants_its_phrase_from_the_start() {
    let project = with_migration("lossy", RESTORE);
    project.deploy("1");
    let before = project.containers();
    project.set("TAG", "2");

    let asked = ["--confirm \"deploy test\"", "something is lost", "rows written since the backup"];
    says(&project.expect(2, &["deploy", "--yes"]), &asked);
    says(&project.expect(2, &["deploy", "--yes", "--confirm", "deploy production"]), &["this needs \"deploy test\""]);
    assert_eq!(project.containers(), before);
    assert!(project.journal(2).is_empty(), "no run was begun");
    project.expect(0, &["deploy", "--confirm", "deploy test"]);
    let second = project.containers();

    says(&project.expect(2, &["rollback", "--yes"]), &["--confirm \"rollback test\"", "something is lost"]);
    says(&project.expect(2, &["rollback", "--confirm", "yes"]), &["this needs \"rollback test\""]);
    assert_eq!(project.containers(), second);
    assert!(project.journal(3).is_empty(), "no run was begun");
}

#[test]
fn a_restore_puts_the_backup_back_and_keeps_every_later_row_aside() {
    let project = with_migration("restore", RESTORE);
    project.deploy("1");
    let first = project.images();
    project.sql("INSERT INTO items(name) VALUES ('before')");
    project.set("TAG", "2");
    project.expect(0, &["deploy", "--confirm", "deploy test"]);
    project.sql("INSERT INTO items(name) VALUES ('after')");

    let text = project.expect(0, &["rollback", "--confirm", "rollback test"]);

    says(&text, &["What stays", "what was written since stands in the database demo_before_rollback_0002"]);
    assert_eq!((names(&project).trim(), version(&project).as_str()), ("before", "1"));
    let aside = ["exec", &project.container("db"), "psql", "-qtAX", "-U", "demo", "-d", "demo_before_rollback_0002"];
    let rows = project.docker(&[&aside[..], &["-c", "SELECT string_agg(name, ',' ORDER BY name) FROM items"]].concat());
    assert_eq!(rows.trim(), "after,before", "no row is lost");
    assert_eq!(project.images(), first);
    assert!(project.get("/health/ready").is_some_and(|answer| answer.contains("200 OK")), "the old code uses it");
}

#[test]
fn a_deploy_that_fails_after_its_migration_restores_by_itself_what_was_agreed_to() {
    let project = with_migration("selfrestore", RESTORE);
    project.deploy("1");
    project.sql("INSERT INTO items(name) VALUES ('before')");
    project.set("TAG", "2");
    project.set("DEMO_FAULT_CRASH_AT_START", "1");
    project.set("RESTART", "no");

    let text = project.expect(7, &["deploy", "--confirm", "deploy test"]);

    says(&text, &["FAILED AND ROLLED BACK", "the backup serves again"]);
    assert_eq!((names(&project).trim(), version(&project).as_str()), ("before", "1"));
}

#[test]
fn a_command_undoes_the_migration_and_its_failure_stops_the_way_back() {
    let psql = |sql: &str| {
        format!(
            r#"["psql", "postgres://demo:database-password-of-a-test@db/demo", "-v", "ON_ERROR_STOP=1", "-c", "{sql}"]"#
        )
    };
    let (migrate, undo) = (psql("CREATE TABLE made (one int)"), psql("DROP TABLE made"));
    let more = format!(r#"service = "schema", command = {migrate}, on_rollback = "command", undo = {undo}"#);
    let project = Project::new("command");
    project.add_service("schema", "image: cutover-lab/postgres:15\ncommand: [\"true\"]\nrestart: \"no\"");
    project.deploy("1");
    let first = project.images();
    migrate_by(&project, &more);
    project.deploy("2");
    let made = || project.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'made'").trim().to_owned();
    assert_eq!(made(), "1");

    // Somebody did half of the undoing by hand: the command fails, and says so.
    project.sql("DROP TABLE made");
    project.sql("CREATE TABLE another (one int)");
    let text = project.expect(8, &["rollback", "--yes"]);
    says(&text, &["STUCK", "undo_migrate_schema", "table \"made\" does not exist"]);

    project.sql("CREATE TABLE made (one int)");
    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE"]);
    assert_eq!(made(), "0");
    assert_eq!(project.images(), first);
}

#[test]
fn clients_that_come_back_as_soon_as_they_are_sent_away_do_not_spoil_a_restore() {
    let project = with_migration("crowd", RESTORE);
    project.deploy("1");
    project.set("TAG", "2");
    project.expect(0, &["deploy", "--confirm", "deploy test"]);
    let crowd =
        "for one in 1 2 3 4; do while :; do psql -qtX -U demo -d demo -c 'SELECT pg_sleep(9)'; done & done; wait";
    project.docker(&["exec", "--detach", &project.container("db"), "sh", "-c", crowd]);

    says(&project.expect(0, &["rollback", "--confirm", "rollback test"]), &["COMPLETE", "the backup serves again"]);
    assert_eq!(version(&project), "1");
}
