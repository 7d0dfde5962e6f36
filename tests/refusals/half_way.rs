//! Runs that stop half-way and wait for a person: held, stuck, interrupted. Each names its ways on, and each way works.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use rustix::process::Signal;

use crate::support::live::says;
use crate::support::ports::free_port;
use crate::support::project::Project;

fn stranger_at(port: u16) -> std::net::TcpListener {
    std::net::TcpListener::bind(("127.0.0.1", port)).unwrap()
}

/// Moves the backend to another port of the host, in the files only; gives that port.
fn move_port(project: &Project) -> u16 {
    let port = free_port();
    project.set("PORT", &port.to_string());
    let mine = project.port.to_string();
    let toml = std::fs::read_to_string(project.path("cutover.toml")).unwrap();
    project.write("cutover.toml", &toml.replace(&format!(":{mine}/"), &format!(":{port}/")));
    port
}

#[test]
fn a_deploy_that_is_to_hold_is_left_as_it_stands_and_can_be_undone() {
    let project = Project::new("hold");
    project.configure_deploy("on_failure = \"hold\"", "");
    project.deploy("1");
    let first = project.images();
    project.set("TAG", "2");
    project.set("DEMO_FAULT_CRASH_AT_START", "1");
    project.set("RESTART", "no");

    let text = project.expect(4, &["deploy", "--yes"]);

    says(&text, &["FAILED AND HELD", "nothing was undone", "cutover resume", "cutover rollback"]);
    assert_ne!(project.images()["backend"], first["backend"], "it stands as it failed");
    says(&project.expect(0, &["status"]), &["HELD", "run 2 failed"]);
    says(&project.expect(6, &["deploy", "--yes"]), &["run 2 (deploy)", "cutover resume", "cutover rollback"]);
    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r1 serves"]);
    assert_eq!(project.images(), first);
}

#[test]
fn a_held_deploy_goes_on_once_its_cause_is_put_right() {
    let project = Project::new("holdon");
    project.configure_deploy("on_failure = \"hold\"", "");
    project.deploy("1");
    let stranger = stranger_at(move_port(&project));
    project.set("TAG", "2");

    says(&project.expect(4, &["deploy", "--yes", "--skip-checks"]), &["FAILED AND HELD", "start_services"]);
    drop(stranger);

    says(&project.expect(0, &["resume"]), &["COMPLETE", "r2 serves"]);
    says(&project.expect(0, &["status"]), &["OK: r2 serves"]);
}

#[test]
fn a_rollback_whose_step_fails_stops_there_and_goes_on_when_it_is_run_again() {
    let project = Project::new("stuck");
    project.deploy("1");
    let first = project.images();
    move_port(&project);
    project.deploy("2");
    // The way back needs the old port, and a stranger has it now.
    let stranger = stranger_at(project.port);

    let text = project.expect(8, &["rollback", "--yes"]);

    says(&text, &["STUCK", "undo_start_services", &project.port.to_string(), "a person is needed", "cutover resume"]);
    assert!(!text.contains("COMPLETE"), "{text}");
    says(&project.expect(0, &["status"]), &["STUCK", "undo_start_services"]);
    says(&project.expect(8, &["rollback", "--yes"]), &["STUCK"]);
    drop(stranger);

    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r1 serves"]);
    assert_eq!(project.images(), first);
    says(&project.expect(0, &["status"]), &["OK: r1 serves"]);
}

/// A deploy whose way back by itself fails because of a stranger, who is gone afterwards; and the images before it.
fn stuck_on_its_way_home(label: &str) -> (Project, std::collections::BTreeMap<String, String>) {
    let project = Project::new(label);
    project.deploy("1");
    let first = project.images();
    move_port(&project);
    project.set("TAG", "2");
    project.edit("cutover.toml", "observe = \"200ms\"", "observe = \"10m\"");
    let run = project.start(&["deploy", "--yes"]);
    project.await_fact(2, "started", "expect_steady");
    let stranger = stranger_at(project.port);
    project.docker(&["stop", "--time", "1", &project.container("worker")]);
    says(&run.expect(8), &["STUCK", "start_services", "cutover resume"]);
    says(&project.expect(6, &["deploy", "--yes"]), &["run 2 (deploy)"]);
    drop(stranger);
    (project, first)
}

#[test]
fn a_deploy_that_could_not_go_back_by_itself_goes_on_with_it_and_ends_as_rolled_back() {
    let (project, first) = stuck_on_its_way_home("homeon");
    says(&project.expect(7, &["resume"]), &["FAILED AND ROLLED BACK", "r1 is back"]);
    assert_eq!(project.images(), first);
    says(&project.expect(0, &["status"]), &["OK: r1 serves"]);
}

#[test]
fn a_deploy_that_could_not_go_back_by_itself_is_undone_by_a_rollback() {
    let (project, first) = stuck_on_its_way_home("homeback");
    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r1 serves"]);
    assert_eq!(project.images(), first);
    says(&project.expect(0, &["status"]), &["OK: r1 serves"]);
}

#[test]
fn a_rollback_that_fails_before_it_undoes_anything_leaves_the_interrupted_run_open() {
    let project = Project::new("stillopen");
    project.deploy("1");
    let first = project.images();
    project.set("TAG", "2");
    project.edit("cutover.toml", "observe = \"200ms\"", "observe = \"1h\"");
    let run = project.start(&["deploy", "--yes"]);
    project.await_fact(2, "started", "expect_steady");
    run.signal(Signal::INT);
    run.expect(6);
    // Nothing can be written where exports go.
    project.write("state/exports", "");

    says(&project.expect(1, &["rollback", "--yes"]), &["FAILED, NOTHING CHANGED", "export_database"]);

    says(&project.expect(0, &["status"]), &["INTERRUPTED", "run 2"]);
    says(&project.expect(6, &["deploy", "--yes"]), &["run 2 (deploy)"]);
    std::fs::remove_file(project.path("state/exports")).unwrap();
    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r1 serves"]);
    assert_eq!(project.images(), first);
    says(&project.expect(4, &["resume"]), &["nothing to resume"]);
}
