//! Saved plans: what is carried out is what was looked at, or nothing.

use crate::support::live::says;
use crate::support::project::Project;

#[test]
fn a_saved_plan_is_carried_out_once_and_then_it_has_drifted() {
    let project = Project::new("plan");
    project.deploy("1");
    let before = project.containers();
    project.set("TAG", "2");

    let text = project.expect(0, &["plan", "deploy", "-o", "saved.json"]);
    says(&text, &["replace", "migrate the schema", "cutover apply saved.json"]);
    assert_eq!(project.containers(), before, "a plan changes nothing");
    assert!(project.journal(2).is_empty(), "a plan is no run");

    says(&project.expect(2, &["apply", "saved.json"]), &["--yes"]);
    says(&project.expect(0, &["apply", "saved.json", "--yes"]), &["COMPLETE", "r2 serves"]);
    says(&project.expect(4, &["apply", "saved.json", "--yes"]), &["the plan drifted", "cutover plan deploy"]);
}

#[test]
fn a_plan_that_the_world_or_a_hand_changed_is_refused() {
    let project = Project::new("drift");
    project.deploy("1");
    project.set("TAG", "2");
    project.expect(0, &["plan", "deploy", "-o", "saved.json"]);
    let before = project.containers();

    let text = std::fs::read_to_string(project.path("saved.json")).unwrap();
    project.write("changed.json", &text.replace("demo-backend", "demo-frontend"));
    says(&project.expect(2, &["apply", "changed.json", "--yes"]), &["changed by hand"]);
    project.write("no-plan.json", "{\"plan\": 7}");
    says(&project.expect(2, &["apply", "no-plan.json", "--yes"]), &["is not a plan"]);
    says(&project.expect(2, &["apply", "no-such.json", "--yes"]), &["no-such.json"]);

    project.set("RESTART", "always");
    says(&project.expect(4, &["apply", "saved.json", "--yes"]), &["the plan drifted"]);
    assert_eq!(project.containers(), before);
    assert!(project.journal(2).is_empty(), "no run was begun");
}

#[test]
fn a_rollback_can_be_looked_at_first_and_applied_afterwards() {
    let project = Project::new("planback");
    project.deploy("1");
    let first = project.images();
    project.deploy("2");

    let text = project.expect(0, &["plan", "rollback", "-o", "back.json"]);
    says(&text, &["r2 → r1", "undo: start the services"]);
    says(&project.expect(0, &["rollback", "--dry-run"]), &["r2 → r1"]);
    says(&project.expect(0, &["apply", "back.json", "--yes"]), &["COMPLETE", "r1 serves"]);

    assert_eq!(project.images(), first);
    says(&project.expect(4, &["apply", "back.json", "--yes"]), &["nothing to undo"]);
}
