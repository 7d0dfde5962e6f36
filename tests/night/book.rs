//! Runbooks that cannot be read: every problem at once, each with its place, what was found, what is allowed.

use crate::desk::Desk;
use crate::support::live::says;

const HEAD: &str = "schema = \"cutover/runbook/v1\"\nname = \"night\"\ntitle = \"A night\"\n";

#[test]
fn every_problem_is_told_at_once_with_its_place_and_the_nearest_name() {
    let desk = Desk::new(&format!(
        r#"{HEAD}on_failur = "hold"
earliest = "2026-11-22T05:00:00Z"
latest = "2026-11-22T01:00:00Z"
[[phase]]
name = "one"
title = "One"
[[phase.entry]]
step = "freez"
[[phase.entry]]
gate = "http"
statsu = 200
[[phase.entry]]
name = "both"
step = "deploy"
command = ["true"]
[[phase.entry]]
step = "deploy"
people = 2
[[phase.entry]]
checkpoint = "go"
depends_on = ["later"]
on_expiry = "hold"
[[phase.entry.item]]
name = "a"
[[phase.entry.item]]
name = "b"
gate = "deploy"
[[phase.entry.item]]
name = "b"
confirm = "It is so"
url = "http://127.0.0.1/"
[[phase]]
name = "later"
title = "Later"
[[phase.entry]]
command = ["true"]
[[phase.entry]]
name = "again"
checkpoint = "go"
"#
    ));
    let text = desk.expect(2, &["runbook", "check", "night.toml"]);
    says(
        &text,
        &[
            "night.toml:4:1: on_failur: found an unknown key",
            "did you mean on_failure?",
            "night.toml:6:1: latest: found a window that ends before it begins",
            "night.toml:11:8: phase[0].entry[0].step: found \"freez\"; allowed: \"freeze\"",
            "did you mean \"freeze\"?",
            "phase[0].entry[1].url: found nothing; allowed: url (the gate http needs it)",
            "night.toml:14:1: phase[0].entry[1].statsu: found an unknown key",
            "phase[0].entry[2]: found step and command beside one another",
            "night.toml:21:1: phase[0].entry[3].people: found people beside step = \"deploy\"",
            "phase[0].entry[4].deadline: found nothing; allowed: how long it waits for its approval",
            "phase[0].entry[4].depends_on: found \"later\"; allowed: what stands before it",
            "phase[0].entry[4].item[0]: found nothing; allowed: one of confirm, gate",
            "phase[0].entry[4].item[1].gate: found \"deploy\"",
            "deploy is a step",
            "found \"b\" a second time",
            "phase[0].entry[4].item[2].url: found url beside a statement",
            "phase[1].entry[0].name: found nothing; allowed: a name for the command",
            "phase[1].entry[1].checkpoint: found \"go\" a second time (first in line 23)",
        ],
    );
    says(&desk.expect(2, &["run", "night.toml", "--yes"]), &["did you mean \"freeze\"?"]);
    assert!(!desk.path("state/runs").exists(), "no run was begun");
}

#[test]
fn a_runbook_without_phases_or_that_is_not_there_is_told_so() {
    let desk = Desk::new(HEAD);
    says(&desk.expect(2, &["runbook", "check", "night.toml"]), &["at least one [[phase]]"]);
    says(&desk.expect(2, &["runbook", "check", "none.toml"]), &["none.toml", "no such file", "a runbook"]);
    desk.write("broken.toml", "schema = \"cutover/runbook/v1\nname = 3");
    says(&desk.expect(2, &["runbook", "check", "broken.toml"]), &["broken.toml:1:", "not TOML"]);
}

#[test]
fn the_built_ins_are_listed_with_what_each_may_be_told() {
    let desk = Desk::new(HEAD);
    says(&desk.expect(0, &["runbook", "list"]), &["step freeze", "gate http", "url, status"]);
}
