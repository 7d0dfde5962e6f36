//! A blue-green release that is rehearsed: on a copy whose configuration was written for it, beside a production that serves on.

use crate::stage::Stage;
use crate::support::live::says;
use crate::support::project::Rehearsed;

const BOOK: &str = r#"
schema = "cutover/runbook/v1"
name = "release"
title = "A release"
[[phase]]
name = "release"
title = "Release"
[[phase.entry]]
step = "deploy"
[[phase.entry]]
gate = "health"
"#;

#[test]
fn a_blue_green_release_is_rehearsed_on_a_copy_that_was_written_for_it_while_production_serves_on() {
    let stage = Stage::new("copied");
    let project = &stage.project;
    let _copy = Rehearsed(project);
    project.edit("cutover.toml", "environment = \"test\"", "environment = \"production\"");
    project.write("night.toml", BOOK);
    let rehearse = ["rehearse", "night.toml"];
    says(
        &project.expect(2, &rehearse),
        &["[rehearsal] config is not set", "rehearse night.toml --write-configuration"],
    );
    let writes = ["rehearse", "night.toml", "--write-configuration"];
    says(
        &project.expect(0, &writes),
        &["rehearsal.compose.yaml are written", "[rehearsal]", "config = \"rehearsal.toml\""],
    );
    says(&project.expect(2, &writes), &["rehearsal.toml is there already, and nothing is overwritten"]);
    project.edit("cutover.toml", "[state]", "[rehearsal]\nconfig = \"rehearsal.toml\"\n[state]");
    project.expect(0, &["--config", "rehearsal.toml", "config", "check"]);
    assert!(project.path("run-rehearsal").is_dir(), "the directory of its switch is made with it");

    // Both have the release before: what is rehearsed is the way from it to the next one.
    project.deploy("1");
    project.expect(0, &["--config", "rehearsal.toml", "deploy", "--yes"]);
    let (before, name) = (stage.containers(), &project.name);
    project.set("TAG", "2");
    says(&project.expect(4, &["run", "night.toml", "--yes"]), &["release was never rehearsed"]);
    let text = project.expect(0, &rehearse);
    says(
        &text,
        &[
            "COMPLETE: the rehearsal of release",
            "run: went through",
            "rollback: went through",
            "run again: went through",
            &format!("project.name: \"{name}-rehearsal\" instead of \"{name}\""),
            "compose.caddy.volumes: ",
        ],
    );
    assert_eq!((stage.release().as_str(), stage.containers()), ("1", before), "production was not touched");
    let copy = project.expect(0, &["--config", "rehearsal.toml", "status"]);
    says(&copy, &["serves"]);

    // The run rests on it: nothing that it does is another thing than what was rehearsed.
    project.expect(0, &["run", "night.toml", "--yes"]);
    assert_eq!(stage.release(), "2");
}
