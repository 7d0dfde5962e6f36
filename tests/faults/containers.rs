//! Containers that are not there, do not start, do not get well, do not stay well; and a port that is taken.

use crate::support::live::says;
use crate::support::ports::free_port;
use crate::support::project::Project;

/// A project whose first release serves.
fn serving(label: &str) -> Project {
    let project = Project::new(label);
    project.deploy("1");
    project
}

/// Deploys and wants it to fail, to be rolled back, and the old containers to be what runs.
#[track_caller]
fn fails_and_goes_back(project: &Project) -> String {
    let before = project.images();
    let text = project.expect(7, &["deploy", "--yes"]);
    assert_eq!(project.images(), before, "{text}");
    assert!(project.containers().values().all(|container| container.status == "running"), "{text}");
    assert!(!text.to_lowercase().contains("complete"), "only success is called complete:\n{text}");
    text
}

#[test]
fn an_image_that_is_nowhere_stops_the_deploy_before_anything_changes() {
    let project = serving("nowhere");
    let before = project.containers();
    project.set("TAG", "no-such-release");

    let text = project.expect(4, &["deploy", "--yes", "--skip-checks"]);

    says(&text, &["cutover-lab/demo:no-such-release", "cannot be pulled"]);
    assert_eq!(project.containers(), before);
    assert!(project.journal(2).is_empty(), "no run was begun");
}

#[test]
fn a_container_that_exits_at_start_is_shown_with_its_last_words_and_the_old_one_comes_back() {
    let project = serving("exits");
    project.set("DEMO_FAULT_CRASH_AT_START", "1");
    for restart in ["no", "unless-stopped"] {
        project.set("RESTART", restart);
        project.set("TAG", "2");
        let text = fails_and_goes_back(&project);
        says(&text, &["FAILED AND ROLLED BACK", "fault: crash at start", "r1 is back"]);
    }
    assert!(project.get("/health/ready").is_some_and(|answer| answer.contains("200 OK")));
}

#[test]
fn a_container_that_never_gets_healthy_is_not_waited_for_in_vain() {
    let project = Project::new("never");
    let check = "healthcheck: { test: [CMD, demo-backend, health], interval: 1s, timeout: 60s, retries: 2 }";
    project.edit(
        "compose.yaml",
        "    depends_on: [db]\n    environment:\n      - ",
        &format!("    {check}\n    depends_on: [db]\n    environment:\n      - "),
    );
    project.deploy("1");
    project.set("TAG", "2");
    project.set("DEMO_FAULT_UNHEALTHY_AFTER", "0");

    let text = fails_and_goes_back(&project);

    says(&text, &["backend is unhealthy", "r1 is back"]);
}

#[test]
fn a_health_answer_with_a_wrong_body_fails_the_deploy_and_is_no_mere_warning() {
    let project = Project::new("body");
    let endpoint = |json: &str| {
        format!(
            "[[health]]\nname = \"body\"\nurl = \"http://127.0.0.1:{}/health\"\nexpect = {{ json = {json} }}\n\
             successes = 1\ninterval = \"100ms\"\ntimeout = \"8s\"\ndeadline = \"61s\"",
            project.port
        )
    };
    project.configure(&endpoint("{ \"/release\" = \"1\" }"));
    project.deploy("1");
    project.edit("cutover.toml", "deadline = \"61s\"", "deadline = \"8s\"");
    project.set("TAG", "2");

    let text = fails_and_goes_back(&project);

    says(&text, &["/release is \"2\" instead of \"1\"", "expect_health_body"]);
}

#[test]
fn a_container_that_crashes_now_and_then_does_not_pass_for_healthy() {
    let project = serving("flaps");
    project.set("TAG", "2");
    project.add_service(
        "flapping",
        "image: cutover-lab/box:1\ncommand: [sh, -c, \"sleep 0.8; exit 9\"]\nrestart: always\nstop_grace_period: 1s",
    );
    project.configure_deploy("", "");
    project.edit("cutover.toml", "stable_for = \"300ms\"", "stable_for = \"4s\"");

    let text = fails_and_goes_back(&project);

    says(&text, &["flapping was"]);
    // Which moment the look meets is chance: running again, waiting for it, or just ended.
    assert!(text.contains("restarted") || text.contains("exited with 9"), "{text}");
    assert!(project.container("flapping").is_empty(), "what the deploy added is gone");
}

#[test]
fn a_backend_whose_health_comes_and_goes_does_not_pass_the_watch() {
    let project = Project::new("comes");
    let endpoint = format!(
        "[[health]]\nname = \"alive\"\nurl = \"http://127.0.0.1:{}/health\"\nsuccesses = 1\ninterval = \"100ms\"\n\
         timeout = \"10s\"\ndeadline = \"60s\"",
        project.port
    );
    project.configure(&endpoint);
    project.deploy("1");
    project.edit("cutover.toml", "observe = \"200ms\"", "observe = \"5m\"");
    project.set("TAG", "2");
    // Long enough ill to be asked three times, also by a busy machine.
    project.set("DEMO_FAULT_FLAP", "12");

    let text = fails_and_goes_back(&project);

    says(&text, &["expect_steady", "failed 3 times in a row", "flapping"]);
}

#[test]
fn an_init_container_that_ends_with_0_is_well_and_one_that_fails_is_not() {
    let project = Project::new("init");
    project.add_service("init", "image: cutover-lab/box:1\ncommand: [sh, -c, \"echo no tide table; exit ${INIT:-0}\"]");
    project.edit("compose.yaml", "depends_on: [db]\n    environment:\n      - ", "depends_on:\n      db: { condition: service_started }\n      init: { condition: service_completed_successfully }\n    environment:\n      - ");
    project.deploy("1");
    assert_eq!(project.containers()["init"].status, "exited");
    says(&project.expect(0, &["deploy", "--yes"]), &["COMPLETE", "already runs r1, nothing to do"]);

    let before = project.images();
    project.set("INIT", "3");
    project.set("TAG", "2");
    let text = project.expect(7, &["deploy", "--yes"]);

    says(&text, &["init", "last lines of", "no tide table"]);
    assert_eq!(project.images(), before);
    assert_eq!(project.docker(&["inspect", "--format", "{{.State.ExitCode}}", &project.container("init")]).trim(), "0");
}

#[test]
fn a_service_that_died_or_was_stopped_is_started_by_the_next_deploy_although_nothing_changed() {
    let project = Project::new("died");
    project.set("RESTART", "no");
    project.deploy("1");
    project.docker(&["kill", &project.container("backend")]);
    project.docker(&["stop", "--time", "1", &project.container("worker")]);
    says(&project.expect(0, &["status"]), &["UNWELL"]);

    project.expect(0, &["deploy", "--yes", "--skip-checks"]);

    assert_eq!(project.containers()["backend"].status, "running");
    assert_eq!(project.containers()["worker"].status, "running");
    says(&project.expect(0, &["status"]), &["OK: r2 serves"]);
}

#[test]
fn what_a_failed_deploy_takes_back_leaves_its_logs_and_says_where() {
    let project = serving("traces");
    project.set("DEMO_FAULT_CRASH_AT_START", "1");
    project.set("TAG", "2");

    let text = fails_and_goes_back(&project);

    let incident = project.state().join("runs/0002/incident");
    says(&text, &["as they were before the way back", "runs/0002/incident"]);
    let logs: String = std::fs::read_dir(&incident)
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap_or_default())
        .collect();
    says(&logs, &["fault: crash at start"]);
    says(&project.expect(0, &["history", "2"]), &["as they were before the way back"]);
}

#[test]
fn a_service_whose_name_no_image_may_have_is_kept_and_brought_back_like_any_other() {
    let project = Project::new("oddly");
    project.add_service("Tor.Web_", "image: cutover-lab/box:1\ncommand: [sleep, \"${STAY:-1000}\"]\ninit: true");
    project.deploy("1");
    let before = project.images();
    project.set("STAY", "2000");
    project.deploy("2");

    says(&project.expect(0, &["releases"]), &["all kept", "Tor.Web_"]);
    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r1 serves"]);
    assert_eq!(project.images(), before);
}

#[test]
fn a_port_that_a_stranger_holds_is_told_before_and_undone_after() {
    let project = serving("port");
    let stranger = std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let taken = stranger.local_addr().unwrap().port().to_string();
    let before = project.containers();
    project.set("PORT", &taken);
    project.set("TAG", "2");

    // The checks tell a stranger from our own stack, which holds its port all the time.
    let text = project.expect(4, &["deploy", "--yes"]);
    says(&text, &[&taken, "nothing was changed"]);
    assert_eq!(project.containers(), before);

    let text = project.expect(7, &["deploy", "--yes", "--skip-checks"]);
    says(&text, &[&taken, "FAILED AND ROLLED BACK"]);
    assert_eq!(project.images(), before.into_iter().map(|(name, one)| (name, one.image)).collect());
}

#[test]
fn a_service_stopped_by_hand_while_the_run_watches_fails_it_and_is_up_again_afterwards() {
    let project = serving("byhand");
    project.edit("cutover.toml", "observe = \"200ms\"", "observe = \"10m\"");
    project.set("TAG", "2");
    let first = project.images();
    let run = project.start(&["deploy", "--yes"]);
    project.await_fact(2, "started", "expect_steady");
    project.await_status("worker", "running");

    project.docker(&["stop", "--time", "1", &project.container("worker")]);

    let text = run.expect(7);
    says(&text, &["worker-1 was running", "is exited", "FAILED AND ROLLED BACK"]);
    assert_eq!(project.images(), first);
    assert_eq!(project.containers()["worker"].status, "running");
}
