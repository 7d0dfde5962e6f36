//! What changes from one release to the next, and comes back with a rollback: services, configuration files, the very
//! first release, and releases further back.

#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]

mod support;

use support::live::says;
use support::project::Project;

const SIDE: &str = "image: cutover-lab/box:1\ncommand: [sleep, infinity]\nstop_grace_period: 0s";

#[test]
fn a_rollback_removes_what_the_release_added_and_brings_back_what_it_removed() {
    let project = Project::new("services");
    project.add_service("leaving", SIDE);
    project.deploy("1");
    let first = project.images();
    let text = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    project.write("compose.yaml", &text.replace("  leaving:", "  coming:"));

    // A service that the files do not name any more is left as it is, and said so: it may hold somebody's work.
    project.set("TAG", "2");
    says(&project.expect(0, &["deploy", "--yes"]), &["leaving runs, but today's model does not have it"]);
    assert_eq!(project.containers()["coming"].status, "running");
    assert_eq!(project.containers()["leaving"].status, "running");

    project.expect(0, &["rollback", "--yes"]);

    assert_eq!(project.images(), first);
    assert!(project.container("coming").is_empty());
}

#[test]
fn a_service_that_was_removed_by_hand_after_the_deploy_comes_back_with_the_older_release() {
    let project = Project::new("removed");
    project.add_service("leaving", SIDE);
    project.deploy("1");
    let first = project.images();
    let text = std::fs::read_to_string(project.path("compose.yaml")).unwrap();
    let (head, tail) = text.split_once("  leaving:").unwrap();
    let rest = tail.split_once("\n\n").unwrap().1;
    project.write("compose.yaml", &format!("{head}{rest}"));
    project.deploy("2");
    project.docker(&["rm", "--force", &project.container("leaving")]);

    project.expect(0, &["rollback", "--yes", "--to", "r1"]);

    assert_eq!(project.images(), first);
    assert_eq!(project.containers()["leaving"].status, "running");
}

#[test]
fn a_configuration_file_edited_in_place_makes_a_new_container_and_its_old_content_comes_back() {
    let project = Project::new("file");
    project.write("greeting.conf", "first\n");
    project.add_service("reader", &format!("{SIDE}\nvolumes: [\"./greeting.conf:/etc/greeting.conf:ro\"]"));
    project.deploy("1");
    let read = || project.docker(&["exec", &project.container("reader"), "cat", "/etc/greeting.conf"]);
    let (reader, backend) = (project.container("reader"), project.container("backend"));
    project.write("greeting.conf", "second\n");

    let text = project.expect(0, &["deploy", "--yes"]);

    says(&text, &["file: greeting.conf changed", "reader replaced"]);
    assert_ne!(project.container("reader"), reader);
    assert_eq!(project.container("backend"), backend, "nobody else is touched");
    assert_eq!(read(), "second\n");

    project.expect(0, &["rollback", "--yes"]);
    assert_eq!(read(), "first\n");
    assert_eq!(std::fs::read_to_string(project.path("greeting.conf")).unwrap(), "second\n", "files are a person's own");
    says(&project.expect(0, &["plan", "deploy"]), &["file: greeting.conf"]);
}

#[test]
fn undoing_the_first_deploy_stops_and_removes_its_services_and_keeps_their_volumes() {
    let project = Project::new("first");
    project.deploy("1");
    project.sql("INSERT INTO items(name) VALUES ('kept')");

    let text = project.expect(0, &["rollback", "--yes"]);

    says(&text, &["nothing ran before this run", "their volumes stay", "COMPLETE"]);
    assert!(project.containers().is_empty(), "nothing is left that a reboot could bring back");
    says(&project.expect(0, &["status"]), &["NOTHING"]);
    let volume = format!("name={}_database", project.name);
    assert!(!project.docker(&["volume", "ls", "--quiet", "--filter", &volume]).trim().is_empty());

    project.deploy("1");
    assert_eq!(project.sql("SELECT name FROM items").trim(), "kept");
}

#[test]
fn a_release_further_back_is_brought_back_by_name_and_that_can_be_undone_too() {
    let project = Project::new("further");
    project.deploy("1");
    let first = project.images();
    project.deploy("2");
    let second = project.images();
    project.set("RESTART", "always");
    project.deploy("2");
    let policy = || {
        let backend = project.container("backend");
        project.docker(&["inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", &backend]).trim().to_owned()
    };
    assert_eq!(policy(), "always");

    says(&project.expect(0, &["rollback", "--yes", "--to", "r1"]), &["COMPLETE", "r1 serves"]);
    assert_eq!((project.images(), policy().as_str()), (first, "unless-stopped"));
    says(&project.expect(0, &["status"]), &["OK: r1 serves"]);

    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r3 serves"]);
    assert_eq!((project.images(), policy().as_str()), (second, "always"));
}

#[test]
fn a_deploy_of_what_runs_already_only_looks_and_takes_no_older_release_away_however_often_it_is_called() {
    let project = Project::new("same");
    project.configure_deploy("keep_releases = 2", "");
    for tag in ["1", "2"] {
        project.deploy(tag);
    }
    let (first, second) = (project.json(&["releases"]).0, project.images());
    let before = (project.containers(), project.container("backend"));
    says(&project.expect(0, &["plan", "deploy"]), &["already runs r2, nothing to do", "all services healthy"]);

    for run in 3..=5 {
        let text = project.expect(0, &["deploy"]);
        says(&text, &["COMPLETE", "already runs r2, nothing to do", "no release recorded", "/health/ready"]);
        assert!(!text.contains("cutover rollback"), "{text}");
        assert!(
            project.has_fact(run, "done", "expect_health_ready") && !project.has_fact(run, "done", "migrate_schema")
        );
    }
    assert_eq!((project.containers(), project.container("backend")), before);
    assert_eq!(project.json(&["releases"]).0, first);
    says(&project.expect(0, &["status"]), &["OK: r2 serves"]);
    says(&project.expect(0, &["history"]), &["r2, as it was"]);
    assert_eq!(project.json(&["deploy"]).0["release"], 2);

    // It looks: what is not well is told, and nothing is changed.
    project.edit("cutover.toml", "\"/ready\" = true", "\"/ready\" = false");
    project.edit("cutover.toml", "deadline = \"60s\"", "deadline = \"10s\"");
    says(&project.expect(1, &["deploy", "--yes"]), &["FAILED, NOTHING CHANGED", "/ready is true instead of false"]);
    project.edit("cutover.toml", "\"/ready\" = false", "\"/ready\" = true");
    assert_eq!((project.containers(), project.container("backend")), before);

    // Another migration is something new, although every container stays as it is.
    let migrate = "\"demo-backend\", \"migrate\"";
    project.edit("cutover.toml", migrate, "\"sh\", \"-c\", \"demo-backend migrate\"");
    says(&project.expect(0, &["plan", "deploy"]), &["r2 → r3", "migrate the schema"]);
    project.edit("cutover.toml", "\"sh\", \"-c\", \"demo-backend migrate\"", migrate);

    let by_name = project.expect(0, &["rollback", "--dry-run", "--to", "r1"]);
    says(&by_name, &["r2 → r1", "export", "save logs and states"]);
    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r1 serves"]);
    assert_ne!(project.images(), second);
}
