//! The two loops of the engine, told by a scripted actor: what is done, in which order, and what is written before it.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use cutover::journal::{Fact, Header, JournalError, Standing, entry::FORMAT};
use cutover::run::End;
use cutover::step::plan::Plan;

#[path = "engine/stage.rs"]
mod stage;

use stage::{Deed, SECRET, Script, Side, Stage, Way, plan};

fn planned(plan: &Plan<Deed>) -> Fact {
    let header = Header {
        format: FORMAT,
        number: 1,
        run: "deploy".into(),
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        by: "test".into(),
        version: "0".into(),
        plan_hash: plan.hash(),
        undoes: None,
    };
    Fact::Planned { header, plan: plan.to_json() }
}

fn forward(stage: &Stage, plan: &Plan<Deed>) -> End {
    stage.go(plan, Way::Forward).unwrap()
}

fn back(stage: &Stage, plan: &Plan<Deed>) -> End {
    stage.go(plan, Way::Back).unwrap()
}

fn why(end: End) -> String {
    match end {
        End::Failed { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_item_is_begun_in_writing_done_and_looked_at_in_the_order_of_the_plan() {
    let stage = Stage::new();
    assert_eq!(forward(&stage, &plan(&["a", "g?", "b"], &[])), End::Done);
    assert_eq!(stage.acts(), ["run a", "ask g", "run b"]);
    assert_eq!(stage.told(), ["started a", "done a", "started g", "done g", "started b", "done b"]);
}

#[test]
fn the_last_line_before_an_act_is_its_own_beginning() {
    let stage = Stage::new();
    let plan = plan(&["a", "g?", "b"], &[]);
    forward(&stage, &plan);
    let begun = |fact: &Fact, name: &str, is_back: bool| match fact {
        Fact::Started { name: found, .. } => !is_back && found == name,
        Fact::Undoing { name: found, .. } => is_back && found == name,
        _ => false,
    };
    let found = stage.found.take();
    for (fact, name) in found.iter().zip(["a", "g", "b"]) {
        assert!(begun(fact, name, false), "{name}: {found:?}");
    }
    back(&stage, &plan);
    let found = stage.found.take();
    for (fact, name) in found.iter().zip(["b", "a"]) {
        assert!(begun(fact, name, true), "{name}: {found:?}");
    }
}

#[test]
fn a_step_that_ends_without_an_error_and_without_an_effect_has_failed() {
    let stage = Stage::new().when("run a", Script::DoesNothing);
    let end = forward(&stage, &plan(&["a", "b"], &[]));
    assert!(why(end).contains("the world is not as it should be: before"));
    assert_eq!(stage.acts(), ["run a"], "what comes after it is not begun");
    assert_eq!(stage.told(), ["started a", "failed a"]);
}

#[test]
fn a_step_that_takes_effect_and_reports_an_error_has_failed() {
    let stage = Stage::new().when("run a", Script::FailsAfterwards);
    assert!(why(forward(&stage, &plan(&["a"], &[]))).contains("run failed"));
    assert_eq!(stage.told(), ["started a", "failed a"]);
}

#[test]
fn what_somebody_else_made_is_refused_and_nothing_is_done_to_it() {
    let stage = Stage::new().with("b", Side::Foreign);
    let end = forward(&stage, &plan(&["a", "b"], &[]));
    assert!(why(end).contains("somebody else changed it: another container"));
    assert_eq!(stage.acts(), ["run a"]);
    assert_eq!(stage.side("b"), Side::Foreign);
}

#[test]
fn a_step_that_was_refused_does_not_stand_in_the_way_home() {
    let stage = Stage::new().with("b", Side::Foreign);
    let plan = plan(&["a", "b"], &[]);
    forward(&stage, &plan);
    assert_eq!(back(&stage, &plan), End::Done);
    assert_eq!(stage.acts(), ["run a", "undo a"]);
}

#[test]
fn what_somebody_else_made_is_not_undone() {
    let stage = Stage::new();
    let plan = plan(&["a", "b"], &[]);
    forward(&stage, &plan);
    let stage = stage.with("b", Side::Foreign);
    assert!(why(back(&stage, &plan)).contains("somebody else changed it since: another container"));
    assert_eq!(stage.acts(), ["run a", "run b"]);
}

#[test]
fn a_step_that_is_done_already_is_not_run_and_not_undone() {
    let stage = Stage::new().with("b", Side::After);
    let plan = plan(&["a", "b"], &[]);
    assert_eq!(forward(&stage, &plan), End::Done);
    assert_eq!(stage.told(), ["started a", "done a", "already b"]);
    assert_eq!(back(&stage, &plan), End::Done);
    assert_eq!(stage.acts(), ["run a", "undo a"], "what was so before the run stays so");
    assert_eq!(stage.side("b"), Side::After);
}

#[test]
fn a_step_found_done_after_an_interruption_is_the_runs_own_and_undone() {
    let stage = Stage::new().when("run a", Script::IsStoppedTwice);
    let plan = plan(&["a"], &[]);
    assert_eq!(forward(&stage, &plan), End::Interrupted);
    let stage = stage.with("a", Side::After);
    assert_eq!(forward(&stage, &plan), End::Done);
    assert_eq!(stage.told(), ["started a", "already a"]);
    assert!(!stage.state().items[0].already, "this run did it");
    assert_eq!(back(&stage, &plan), End::Done);
    assert_eq!(stage.acts(), ["run a", "undo a"]);
}

#[test]
fn the_way_home_undoes_in_reverse_passes_gates_by_and_skips_what_was_never_begun() {
    let stage = Stage::new().when("ask h", Script::DoesNothing);
    let plan = plan(&["a", "g?", "b", "h?", "c"], &["p?"]);
    assert!(why(forward(&stage, &plan)).contains("seen by h"));
    stage.acts();
    assert_eq!(back(&stage, &plan), End::Done);
    assert_eq!(stage.acts(), ["undo b", "undo a", "ask p"]);
    let told = stage.told();
    assert_eq!(told[told.len() - 5..], ["undoing b", "undone b", "undoing a", "undone a", "note p: seen by p"]);
}

#[test]
fn what_others_stand_on_comes_back_before_them() {
    let stage = Stage::new().when("ask g", Script::DoesNothing);
    let plan = plan(&["a", "ground", "b", "g?"], &[]);
    forward(&stage, &plan);
    stage.acts();
    assert_eq!(back(&stage, &plan), End::Done);
    assert_eq!(stage.acts(), ["undo ground", "undo b", "undo a"]);
}

#[test]
fn an_undoing_that_changed_nothing_has_failed() {
    let stage = Stage::new().when("undo a", Script::DoesNothing);
    let plan = plan(&["a"], &[]);
    forward(&stage, &plan);
    assert!(why(back(&stage, &plan)).contains("it was undone, but the world is not as before: after"));
    assert_eq!(stage.state().items[0].standing, Standing::Undoing, "it is still to be undone");
}

#[test]
fn what_stays_is_written_down_and_not_undone_again() {
    let stage = Stage::new().when("undo a", Script::Stays);
    let plan = plan(&["a", "b"], &[]);
    forward(&stage, &plan);
    assert_eq!(back(&stage, &plan), End::Done);
    assert!(stage.told().contains(&"stays a".to_owned()));
    stage.acts();
    assert_eq!(back(&stage, &plan), End::Done);
    assert!(stage.acts().is_empty());
}

#[test]
fn a_way_home_that_failed_goes_on_with_the_rest() {
    let stage = Stage::new().when("undo b", Script::Fails);
    let plan = plan(&["a", "b", "c"], &["p?"]);
    forward(&stage, &plan);
    stage.acts();
    assert!(why(back(&stage, &plan)).contains("undo failed"));
    assert_eq!(stage.acts(), ["undo c", "undo b"], "it stops there and proves nothing");
    assert!(stage.state().is_going_back);
    assert_eq!(back(&stage, &plan), End::Done);
    assert_eq!(stage.acts(), ["undo b", "undo a", "ask p"]);
}

#[test]
fn the_gates_of_the_old_state_decide_whether_the_run_is_home() {
    let stage = Stage::new().when("ask p", Script::DoesNothing);
    let plan = plan(&["a"], &["p?", "q?"]);
    forward(&stage, &plan);
    assert!(why(back(&stage, &plan)).contains("p: seen by p"));
    assert_eq!(stage.acts(), ["run a", "undo a", "ask p"]);
    assert_eq!(back(&stage, &plan), End::Done, "asked again, they pass");
    assert_eq!(stage.acts(), ["ask p", "ask q"]);
}

#[test]
fn a_resumed_run_asks_the_gates_after_the_last_finished_change_again() {
    let stage = Stage::new().when("run c", Script::Fails);
    let plan = plan(&["a", "f?", "b", "g?", "h?", "c"], &[]);
    forward(&stage, &plan);
    stage.acts();
    assert_eq!(forward(&stage, &plan), End::Done);
    assert_eq!(stage.acts(), ["ask g", "ask h", "run c"], "f stood before a change that was finished after it");
}

#[test]
fn a_gate_that_cannot_be_asked_is_unknown_and_lets_nothing_pass() {
    let stage = Stage::new().when("ask g", Script::Fails);
    let end = forward(&stage, &plan(&["g?", "a"], &[]));
    assert!(matches!(&end, End::Unknown { why, .. } if why.contains("ask failed")), "{end:?}");
    assert_eq!(stage.acts(), ["ask g"]);
}

#[test]
fn asked_to_stop_once_the_run_ends_after_the_step_that_is_at_work() {
    let stage = Stage::new().when("run a", Script::IsAskedToStop);
    assert_eq!(forward(&stage, &plan(&["a", "b"], &[])), End::Interrupted);
    assert_eq!(stage.told(), ["started a", "done a"]);
}

#[test]
fn asked_to_stop_twice_the_run_ends_now() {
    let stage = Stage::new().when("run a", Script::IsStoppedTwice);
    let plan = plan(&["a", "b"], &[]);
    assert_eq!(forward(&stage, &plan), End::Interrupted);
    assert_eq!(stage.told(), ["started a"]);
    assert_eq!(forward(&stage, &plan), End::Done, "from half-way it is run again");
    assert_eq!(stage.acts(), ["run a", "run a", "run b"]);
}

#[test]
fn asked_to_stop_once_a_gate_that_waits_is_left_at_once() {
    let stage = Stage::new().when("ask g", Script::Hangs);
    assert_eq!(forward(&stage, &plan(&["g?", "a"], &[])), End::Interrupted);
    assert_eq!(stage.told(), ["started g"]);
}

#[test]
fn asked_to_stop_the_way_home_ends_after_the_step_that_is_at_work_and_goes_on_later() {
    let stage = Stage::new().when("undo b", Script::IsAskedToStop);
    let plan = plan(&["a", "b"], &["p?"]);
    forward(&stage, &plan);
    assert_eq!(back(&stage, &plan), End::Interrupted);
    assert_eq!(back(&stage, &plan), End::Done);
    assert_eq!(stage.acts(), ["run a", "run b", "undo b", "undo a", "ask p"]);
}

#[test]
fn while_the_engine_is_away_a_step_is_tried_once_more_and_not_twice() {
    let once = Stage::new().when("run a", Script::IsAway);
    assert_eq!(forward(&once, &plan(&["a"], &[])), End::Done);
    assert_eq!(once.acts(), ["run a", "run a"]);
    let twice = Stage::new().when("run a", Script::IsAway).when("run a", Script::IsAway);
    assert_eq!(why(forward(&twice, &plan(&["a"], &[]))), "away");
    assert_eq!(twice.acts(), ["run a", "run a"]);
}

#[test]
fn what_took_effect_while_the_engine_went_away_is_not_done_again() {
    let stage = Stage::new().when("run a", Script::IsAwayAfterwards).when("undo a", Script::IsAwayAfterwards);
    let plan = plan(&["a"], &[]);
    assert_eq!(forward(&stage, &plan), End::Done);
    assert_eq!(back(&stage, &plan), End::Done);
    assert_eq!(stage.acts(), ["run a", "undo a"]);
}

#[test]
fn what_became_somebody_elses_while_the_engine_was_away_is_not_touched_again() {
    let forth = Stage::new().when("run a", Script::IsAwayAndForeign);
    assert_eq!(why(forward(&forth, &plan(&["a"], &[]))), "away");
    assert_eq!(forth.acts(), ["run a"]);
    let home = Stage::new().when("undo a", Script::IsAwayAndForeign);
    forward(&home, &plan(&["a"], &[]));
    assert_eq!(why(back(&home, &plan(&["a"], &[]))), "away");
    assert_eq!(home.acts(), ["run a", "undo a"]);
}

#[test]
fn a_plan_that_undoes_is_carried_out_forward() {
    let stage = Stage::new().with("a", Side::After).with("b", Side::After).when("undo a", Script::Stays);
    assert_eq!(forward(&stage, &plan(&["-b", "-a", "g?"], &[])), End::Done);
    assert_eq!(stage.acts(), ["undo b", "undo a", "ask g"]);
    assert!(!stage.state().is_going_back, "it does what its plan wants");
}

#[test]
fn no_known_secret_reaches_the_journal() {
    let stage = Stage::new().when("run b", Script::Fails);
    let plan = plan(&["a", "b"], &[]);
    forward(&stage, &plan);
    back(&stage, &plan);
    let text = std::fs::read_to_string(stage.journal()).unwrap();
    assert!(text.contains("[secret]") && !text.contains(SECRET), "{text}");
}

#[test]
fn when_the_journal_cannot_be_written_nothing_more_is_done() {
    for kibibytes in [4, 6, 8] {
        let shell = format!("trap '' XFSZ; ulimit -f {kibibytes}; exec \"$0\" \"$@\"");
        let output = with_little_room(&shell);
        let heard = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && heard.contains("cannot write to the journal"), "{kibibytes} KiB: {heard}");
    }
}

/// This test binary again, in a shell that limits the size of its files.
#[expect(clippy::disallowed_methods, reason = "the child under test is this binary itself")]
fn with_little_room(shell: &str) -> std::process::Output {
    let binary = std::env::current_exe().unwrap();
    let arguments = ["--exact", "the_process_with_little_room", "--ignored", "--nocapture"];
    let _alone = stage::ALONE.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::process::Command::new("bash").args(["-c", shell]).arg(binary).args(arguments).output().unwrap()
}

#[test]
#[ignore = "it is the process that another test starts with a limit on the size of its files"]
fn the_process_with_little_room() {
    let stage = Stage::new();
    let names: Vec<String> = (0..40).map(|step| format!("s{step}")).collect();
    let error = stage.go(&plan(&names.iter().map(String::as_str).collect::<Vec<_>>(), &[]), Way::Forward);
    // Without a limit, started by hand, it has nothing to show.
    let Err(error) = error else { return };
    assert!(matches!(error, JournalError::Io { act: "write to", .. }), "{error}");
    println!("{error}");
    let bytes = std::fs::read(stage.journal()).unwrap();
    assert!(bytes.ends_with(b"\n"), "no half of a line is left");
    let begun = stage.told().iter().filter(|line| line.starts_with("started")).count();
    assert_eq!(stage.acts().len(), begun, "what could not be written was not done: {:?}", stage.told());
}
