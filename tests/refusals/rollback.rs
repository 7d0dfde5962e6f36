//! Rollbacks that are not begun: nothing to undo, images gone, somebody else's work in the way, nothing to export from.

use crate::support::live::says;
use crate::support::project::Project;

/// Wants a rollback to be refused with these words, and everything to be as it was.
#[track_caller]
fn is_refused(project: &Project, arguments: &[&str], words: &[&str]) {
    let (containers, runs) = (project.containers(), project.json(&["history"]).0);
    let text = project.expect(4, arguments);
    says(&text, words);
    assert_eq!(project.containers(), containers);
    assert_eq!(project.json(&["history"]).0, runs, "no run was begun");
}

#[test]
fn where_nothing_was_done_there_is_nothing_to_undo() {
    let project = Project::new("nothing");
    is_refused(&project, &["rollback", "--yes"], &["nothing to undo", "no run on this host has changed anything"]);
    is_refused(&project, &["rollback", "--yes", "--to", "r1"], &["nothing was ever deployed from this host"]);
    project.deploy("1");
    project.deploy("2");
    project.expect(0, &["rollback", "--yes"]);
    is_refused(
        &project,
        &["rollback", "--yes"],
        &["nothing to undo", "run 2 was already undone by run 3", "cutover releases", "cutover rollback --to"],
    );
    is_refused(&project, &["rollback", "--yes", "--to", "r1"], &["r1 serves already"]);
    is_refused(&project, &["rollback", "--yes", "--to", "r9"], &["there is no release r9", "r1, r2"]);
}

#[test]
fn a_release_whose_images_were_removed_by_force_is_refused_by_name_until_they_are_back() {
    let project = Project::new("gone");
    project.deploy("1");
    let first = project.images();
    project.deploy("2");
    let tag = format!("cutover.invalid/{}/backend:r1", project.name);
    project.docker(&["rm", &format!("{}-backend-held-by-cutover-r1", project.name)]);
    project.docker(&["image", "rm", &tag]);

    is_refused(&project, &["rollback", "--yes"], &["r1 cannot be brought back", "images are gone", &tag]);
    is_refused(&project, &["rollback", "--yes", "--to", "r1"], &["images are gone", &tag]);
    says(&project.expect(0, &["releases"]), &["r1", "r2"]);

    project.docker(&["tag", &first["backend"], &tag]);
    project.expect(0, &["rollback", "--yes"]);
    assert_eq!(project.images(), first);
}

#[test]
fn what_somebody_else_changed_since_is_not_undone_with_it() {
    let project = Project::new("foreign");
    project.deploy("1");
    let first = project.images();
    project.deploy("2");
    project.set("RESTART", "always");
    assert!(project.compose(&["up", "--detach", "--no-deps", "backend"]).status.success());

    is_refused(
        &project,
        &["rollback", "--yes"],
        &["somebody changed the containers since", "backend", "cutover rollback --to r1"],
    );

    project.expect(0, &["rollback", "--yes", "--to", "r1"]);
    assert_eq!(project.images(), first);
}

#[test]
fn a_database_that_does_not_run_cannot_be_exported_and_the_refusal_names_both_ways_on() {
    let project = Project::new("noexport");
    project.deploy("1");
    let first = project.images();
    project.deploy("2");
    let database = project.container("db");
    project.docker(&["stop", "--time", "5", &database]);

    is_refused(&project, &["rollback", "--yes"], &["cannot be exported", "docker start", "--without-export"]);

    project.docker(&["start", &database]);
    project.expect(0, &["rollback", "--yes"]);
    assert_eq!(project.images(), first);
}

#[test]
fn a_broken_configuration_does_not_stand_in_the_way_home() {
    let project = Project::new("broken");
    project.deploy("1");
    let first = project.images();
    project.deploy("2");
    project.edit("cutover.toml", "[compose]", "[compose\nfiles = 3\nnot toml at all");
    project.edit("compose.yaml", "services:", "servces: [");

    says(&project.expect(2, &["deploy", "--yes"]), &["cutover.toml"]);
    says(&project.expect(0, &["status"]), &["OK: r2 serves"]);
    says(&project.expect(0, &["history"]), &["deploy", "r2"]);
    says(&project.expect(0, &["history", "2"]), &["record_release"]);
    says(&project.expect(0, &["releases"]), &["r1", "r2"]);
    let text = project.expect(0, &["rollback", "--yes"]);

    says(&text, &["cutover.toml is not valid and is left aside", "r1 serves"]);
    assert_eq!(project.images(), first);
}
