//! Two of us at the same time.

use crate::support::live::{says, until};
use crate::support::project::Project;

#[test]
fn a_second_run_is_refused_and_told_who_holds_the_lock_since_when_and_in_which_step() {
    let project = Project::new("lock");
    project.deploy("1");
    project.set("TAG", "2");
    project.set("DEMO_FAULT_MIGRATE", "sleep:600");
    let first = project.start(&["deploy", "--yes"]);
    until("the migration to hold its lock", || {
        project.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").trim() == "1"
    });
    let owner = format!("process {}, run 2", first.id());

    for verb in ["deploy", "rollback", "resume"] {
        let text = project.expect(5, &[verb, "--yes"]);
        says(&text, &["`cutover deploy`", &owner, "holds the lock since", "in the step migrate_schema"]);
    }
    let (document, code) = project.json(&["deploy", "--yes"]);
    assert_eq!((code, &document["exit"]), (5, &5.into()));
    says(&project.expect(0, &["status"]), &["AT WORK", &owner, "migrate_schema"]);

    first.press_ctrl_c_twice();
    first.expect(6);

    // The migration is still at work in its container, with its locks on the tables that the export reads.
    let shot = format!("{}-migrate-run-2", project.name);
    assert_eq!(project.docker(&["inspect", "--format", "{{.State.Status}}", &shot]).trim(), "running");
    let text = project.expect(0, &["rollback", "--yes"]);
    says(&text, &["end what an interrupted run left at work", &shot, "r1 serves"]);
    assert_eq!(project.sql("SELECT max(version) FROM schema_migrations").trim(), "1");
    assert!(!project.containers().contains_key(&shot), "its undoing removed it");
}
