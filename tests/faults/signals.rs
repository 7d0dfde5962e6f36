//! Ctrl-C, once and twice, and readers that go away. The terminal tells the whole foreground group; what was begun must
//! not hear it.

use std::process::Stdio;

use rustix::process::Signal;

use crate::support::live::{is_alive, says, until};
use crate::support::project::Project;

/// A project on release 1 whose backend takes ten seconds to stop, so that `docker compose up` can be met at work.
fn slow_to_stop(label: &str) -> Project {
    let project = Project::new(label);
    project.edit(
        "compose.yaml",
        "stop_grace_period: 2s\n    restart: ${RESTART",
        "stop_grace_period: 10s\n    restart: ${RESTART",
    );
    project.set("DEMO_FAULT_IGNORE_SIGTERM", "1");
    project.deploy("1");
    project.set("TAG", "2");
    project
}

#[test]
fn ctrl_c_once_lets_the_step_end_and_its_child_does_not_hear_it() {
    let project = slow_to_stop("once");
    let run = project.start(&["deploy", "--yes"]);
    project.await_fact(2, "started", "start_services");
    run.await_child("up --detach");

    run.press_ctrl_c();

    let text = run.expect(6);
    says(&text, &["stopping after the current step", "INTERRUPTED", "cutover resume", "cutover rollback"]);
    assert!(project.has_fact(2, "done", "start_services"), "the step ended as if nobody had pressed anything");
    assert!(!project.has_fact(2, "failed", "start_services"));
    says(&project.expect(0, &["status"]), &["INTERRUPTED", "run 2"]);
    says(&project.expect(6, &["deploy", "--yes"]), &["run 2 (deploy) stopped", "cutover resume", "cutover rollback"]);

    says(&project.expect(0, &["resume"]), &["COMPLETE", "r2 serves"]);
    says(&project.expect(4, &["resume"]), &["nothing to resume"]);
}

#[test]
fn ctrl_c_once_ends_a_gate_at_once_and_the_run_can_be_undone() {
    let project = Project::new("gate");
    project.deploy("1");
    let first = project.images();
    project.set("TAG", "2");
    project.edit("cutover.toml", "observe = \"200ms\"", "observe = \"1h\"");
    let run = project.start(&["deploy", "--yes"]);
    project.await_fact(2, "started", "expect_steady");

    run.signal(Signal::TERM);

    says(&run.expect(6), &["INTERRUPTED", "expect_steady"]);
    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r1 serves"]);
    assert_eq!(project.images(), first);
}

#[test]
fn ctrl_c_twice_ends_the_run_and_its_children_at_once() {
    let project = slow_to_stop("twice");
    let first = project.images();
    let run = project.start(&["deploy", "--yes"]);
    project.await_fact(2, "started", "start_services");
    let compose = run.await_child("up --detach");

    run.press_ctrl_c_twice();

    says(&run.expect(6), &["stopping at once", "INTERRUPTED", "start_services"]);
    until("compose to be gone", || !is_alive(compose));
    let text = project.expect(0, &["rollback", "--yes"]);
    assert_eq!(project.images(), first, "{text}");
}

#[test]
fn a_reader_that_goes_away_stops_nothing() {
    let project = Project::new("closed");
    let mut command = project.command(&["deploy", "--yes"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));

    assert_eq!(child.wait().unwrap().code(), Some(0));

    assert!(project.has_fact(1, "done", "record_release"));
    says(&project.expect(0, &["status"]), &["OK: r1 serves"]);
}
