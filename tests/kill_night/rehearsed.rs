//! Plan 07-06 from its first gate to its last signal: rehearsed on a copy, where it is undone and done again; then in production.

use std::sync::Arc;

use crate::lane::Lane;
use crate::names::Names;
use crate::night::End;
use crate::support::live::says;
use crate::support::stack_auth::{Double, Setup};

const BOOK: &str = "staging-and-production";

#[tokio::test(flavor = "multi_thread")]
async fn production_is_cut_over_as_it_was_rehearsed_on_a_copy_and_the_rehearsal_touches_nothing_of_it() {
    let names = Arc::new(Names::start(2));
    let (ours, theirs) = (Double::start(Setup::default()).await, Double::start(Setup::default()).await);
    let told = tokio::task::spawn_blocking(move || {
        let copy = Lane::of(1, 1, Arc::clone(&names), theirs, (BOOK, "COPY_"));
        let mut production = Lane::of(0, 1, names, ours, (BOOK, ""));
        rehearsed_and_run(&mut production, &copy);
    });
    told.await.unwrap();
}

fn rehearsed_and_run(production: &mut Lane, copy: &Lane) {
    production.environment = "production";
    production.project.edit("cutover.toml", "environment = \"test\"", "environment = \"production\"");
    let config = copy.project.path("cutover.toml");
    let table = format!("[rehearsal]\nconfig = \"{}\"\n[deploy]\n", config.display());
    production.project.edit("cutover.toml", "[deploy]\n", &table);
    let (before, copied) = (production.source_rows(), copy.source_rows());

    let run = ["run", "night.toml", "--yes", "--confirm", "cutover production"];
    says(&expect(production, copy, 4, &run), &["staging-and-production was never rehearsed"]);
    let told = expect(production, copy, 0, &["rehearse", "night.toml"]);
    says(
        &told,
        &[
            "COMPLETE: the rehearsal of staging-and-production",
            "run: went through",
            "rollback: went through",
            "run again: went through",
            "compose.backend.ports",
            "3 services",
        ],
    );
    copy.judge_end(&copied, "the copy after its rehearsal");
    production.judge_way_back(&before, "production after the rehearsal");

    let first = production.last().map_or(0, |run| run.number);
    let (end, _) = production.walk(first, 0, None);
    assert!(matches!(end, End::Done));
    production.judge_end(&before, "production after the night");
    let written = production.write_to_the_new_side();
    let first = production.last().unwrap().number;
    let (end, _) = production.walk(first, 0, Some(0));
    assert!(matches!(end, End::Undone));
    production.judge_way_back(&written, "production after the way back");
    production.judge_closed("production after the way back");
    copy.judge_end(&copied, "the copy, which nobody touched since");
}

#[track_caller]
fn expect(production: &Lane, copy: &Lane, code: i32, arguments: &[&str]) -> String {
    let output = production.command(arguments).envs(copy.variables()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.status.code(), Some(code), "cutover {}:\n{text}", arguments.join(" "));
    text
}
