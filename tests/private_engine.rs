//! What would hit the neighbours, done to an engine of the test's own: pruning everything, restarting it under a run.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]

mod support;

use support::engine::Engine;
use support::live::says;
use support::project::Project;

const IMAGES: [&str; 2] = ["cutover-lab/demo:1", "cutover-lab/demo:2"];

/// A project without a database on the engine; a build or pull has moved on, so only we name its older images.
fn plain(engine: &Engine, label: &str) -> Project {
    let project = Project::of("plain", label, engine.reach());
    let toml = std::fs::read_to_string(project.path("cutover.toml")).unwrap();
    let lines = toml.lines().filter(|line| !line.starts_with("services =") && !line.starts_with("migrate ="));
    let text = lines.collect::<Vec<_>>().join("\n").replace("/health/ready", "/health");
    project.write("cutover.toml", &text.replace("\"/ready\" = true", "\"/status\" = \"healthy\""));
    project
}

#[test]
fn no_prune_takes_the_way_back() {
    let engine = Engine::start(&IMAGES);
    let project = plain(&engine, "prune");
    project.deploy("1");
    let first = project.images();
    project.deploy("2");
    // The name that the release was deployed by is gone, as after a build under the same tag.
    project.docker(&["image", "rm", "cutover-lab/demo:1"]);

    for prune in [&["image", "prune", "--force"][..], &["image", "prune", "--all", "--force"]] {
        project.docker(prune);
    }
    says(&project.expect(0, &["releases"]), &["r1", "r2"]);
    project.expect(0, &["rollback", "--yes"]);
    assert_eq!(project.images(), first);
}

#[test]
fn a_prune_of_the_whole_system_is_survived_or_told() {
    let engine = Engine::start(&IMAGES);
    let project = plain(&engine, "system");
    project.deploy("1");
    let first = project.images();
    project.deploy("2");
    project.docker(&["image", "rm", "cutover-lab/demo:1"]);

    // It takes every container that does not run, our holders too, and every image that has no name: ours have one.
    project.docker(&["system", "prune", "--force"]);
    project.expect(0, &["rollback", "--yes"]);
    assert_eq!(project.images(), first);

    // With --all it takes named ones too, once no container is made from them. Then it is said, and nothing is tried.
    project.docker(&["system", "prune", "--all", "--force"]);
    let before = project.containers();
    says(&project.expect(4, &["rollback", "--yes", "--to", "r2"]), &["r2 cannot be brought back", "images are gone"]);
    assert_eq!(project.containers(), before);
}

#[test]
fn an_engine_that_is_restarted_under_a_run_does_not_end_it() {
    let mut engine = Engine::start(&IMAGES);
    let project = plain(&engine, "restart");
    // Long enough deaf to be met while it stops.
    project.edit("compose.yaml", "stop_grace_period: 2s", "stop_grace_period: 10s");
    project.set("DEMO_FAULT_IGNORE_SIGTERM", "1");
    project.deploy("1");
    project.set("TAG", "2");
    let run = project.start(&["deploy", "--yes"]);
    project.await_fact(2, "started", "start_services");
    run.await_child("up --detach");

    engine.down();
    engine.up();

    says(&run.expect(0), &["COMPLETE", "r2 serves"]);
    says(&project.expect(0, &["status"]), &["OK: r2 serves"]);
    project.expect(0, &["rollback", "--yes"]);
    says(&project.expect(0, &["status"]), &["OK: r1 serves"]);
}
