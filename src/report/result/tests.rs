//! The last words of each end, as a person reads them. Law: whole pages are compared where they are short.

use super::*;
use crate::journal::Fact;
use crate::report::sample;

fn text(outcome: Option<Outcome>, facts: Vec<Fact>) -> String {
    let run = sample::run(&sample::entries(facts));
    result_text(RunKind::Deploy, outcome, &run, &sample::keeping(), &Style::plain(80))
}

#[test]
fn success_says_what_changed_what_is_true_and_the_next_command() {
    let expected = "\
COMPLETE: r3 serves shop in production
What changed
  backend  replaced  aaaaaaaaaaaa → dddddddddddd
What is true now
  current release: r3
  healthy for 10.0 s: backend, worker
  http://127.0.0.1:3000/health answers as expected, 3 times in a row
run 7: its steps took 12.0 s, ended 2026-11-05 03:00:17 UTC
next: cutover status    how it is now
      cutover rollback  go back to r2
";
    // `worker` was built anew and came out as the same image, so it is not among what changed.
    assert_eq!(text(Some(Outcome::Done), sample::well(&sample::keeping())), expected);
}

#[test]
fn a_rollback_by_itself_is_a_failure_first_and_names_what_stays() {
    let expected = "\
FAILED AND ROLLED BACK: the deploy of r3 failed in expect_services and was
  undone; r2 is back, and that was observed
Why
  expect_services (backend and worker are healthy for 10 s): backend exited with
  1
    last lines of its log:
      Error: connect ECONNREFUSED 10.0.0.7:5432
        at TCPConnectWrap.afterConnect
What changed
  nothing but what stays; the rest was undone
What stays
  migrate_schema: the schema stays as it was migrated, no row is lost
What is true now
  current release: r2
  healthy for 10.0 s: backend, worker
  answers as expected, 3 times in a row
run 7: its steps took 10.0 s, ended 2026-11-05 03:00:25 UTC
next: cutover history 7  what it did, step by step
      cutover deploy     try again, once the cause is put right
";
    assert_eq!(text(Some(Outcome::RolledBack), sample::rolled_back(&sample::keeping(), true)), expected);
}

#[test]
fn why_holds_enough_of_a_long_log_to_act_on_and_where_the_rest_is() {
    let mut facts = sample::failed(&sample::keeping());
    let Some(Fact::Failed { why, .. }) = facts.last_mut() else { panic!("it failed") };
    why.extend((0..40).map(|line| format!("\n  line {line}")));
    let text = text(Some(Outcome::Held), facts);
    let why = text.split("Why\n").nth(1).and_then(|rest| rest.split("What is true now").next()).unwrap();
    assert!(why.contains("backend exited with") && why.contains("line 39\n") && why.contains("line 28\n"), "{text}");
    assert!(why.contains("… 31 lines more: cutover history 7\n") && !why.contains("line 27\n"), "{text}");
    assert_eq!(why.lines().count(), 15, "{text}");
}

#[test]
fn what_has_no_check_is_told_once_for_all_of_them() {
    let mut plan = sample::keeping();
    (plan.kind, plan.deed, plan.services) = (RunKind::Cutover, Some("the cutover night".into()), Vec::new());
    let unchecked = |name: &str| format!("{name} ended with 0; it has no check, so nothing else is known");
    let done = |item: usize, seen: String| sample::done(&plan, item, &seen, Value::Null);
    let names: Vec<&str> = plan.items[1..4].iter().map(|item| item.name.as_str()).collect();
    let of = |items: &[usize]| {
        let mut facts = vec![sample::planned(&plan)];
        items.iter().for_each(|item| facts.extend(done(*item, unchecked(&plan.items[*item].name))));
        facts.extend(done(4, "the check of start says that it is done".into()));
        let run = sample::run(&sample::entries(facts));
        result_text(RunKind::Cutover, Some(Outcome::Done), &run, &plan, &Style::plain(200))
    };
    let text = of(&[1, 2, 3]);
    assert_eq!(text.matches("no check").count(), 1, "{text}");
    let once =
        format!("  {}, {} and {} have no check, so nothing else is known of them\n", names[0], names[1], names[2]);
    assert!(text.contains(&once) && text.contains(&format!("  {} ended with 0\n", names[0])), "{text}");
    assert!(of(&[1]).contains(&format!("  {}\n", unchecked(names[0]))), "of one alone it is told with it");
}

#[test]
fn where_nothing_ran_before_no_old_release_is_said_to_be_back_and_what_compose_made_is_named() {
    let mut first = sample::keeping();
    first.release_from = None;
    let run = sample::run(&sample::entries(sample::rolled_back(&first, true)));
    let text = result_text(RunKind::Deploy, Some(Outcome::RolledBack), &run, &first, &Style::plain(200));
    assert!(text.contains("and was undone; nothing of it runs, as before, and that was observed\n"), "{text}");
    assert!(text.contains("current release: none, nothing ran before\n"), "{text}");
    assert!(text.contains("  networks and volumes that were made for it: `docker compose down`"), "{text}");
    let unchanged = result_text(RunKind::Deploy, Some(Outcome::Unchanged), &run, &first, &Style::plain(200));
    assert!(unchanged.contains("failed in expect_services; nothing runs, as before\n"), "{unchanged}");
}

#[test]
fn a_way_back_that_could_not_be_proven_is_stuck_there_and_not_in_the_first_failure() {
    let mut facts = sample::rolled_back(&sample::keeping(), true);
    facts.pop();
    facts.pop();
    facts.push(Fact::Note { text: "home_health: status 502 instead of 200".into() });
    let text = text(Some(Outcome::Stuck), facts);
    assert!(text.starts_with("STUCK: the way back failed in home_health; shop in production is"), "{text}");
    assert!(text.contains("home_health (http://127.0.0.1:3000/health answers as expected): status 502"), "{text}");
    assert!(text.contains("next: cutover history 7"), "{text}");
}

#[test]
fn what_is_true_after_a_gate_that_did_not_pass_is_what_the_gate_saw() {
    let mut facts = sample::rolled_back(&sample::keeping(), true);
    let failed = facts.iter().position(|fact| matches!(fact, Fact::Failed { .. })).unwrap();
    facts.truncate(failed + 1);
    let held = text(Some(Outcome::Held), facts);
    let truth = held.split("What is true now\n").nth(1).unwrap_or(&held);
    assert!(truth.starts_with("  expect_services saw last: backend exited with 1\n"), "{held}");
    assert!(!truth.contains("nobody has looked"), "{held}");
    let mut facts = sample::half(&sample::keeping());
    facts.pop();
    assert!(text(Some(Outcome::Held), facts).contains("not known: nobody has looked since"), "a step proves nothing");
}

#[test]
fn an_interruption_names_where_it_stands_and_both_ways_on() {
    let mut facts = sample::half(&sample::keeping());
    facts.pop();
    let text = text(None, facts);
    assert!(text.starts_with("INTERRUPTED: the deploy of r3 stopped in start_services; "), "{text}");
    assert!(text.contains("  start_services: was begun, its end was not seen\n"), "{text}");
    assert!(text.contains("next: cutover resume    go on where it stopped\n      cutover rollback"), "{text}");
}

#[test]
fn nothing_begun_is_nothing_changed() {
    let text = text(None, vec![sample::planned(&sample::keeping())]);
    assert!(text.starts_with("INTERRUPTED: the deploy of r3 stopped before its first step; nothing was changed\n"));
}

#[test]
fn programs_get_the_same() {
    let plan = sample::keeping();
    let run = sample::run(&sample::entries(sample::well(&plan)));
    let value = result_json(RunKind::Deploy, Some(Outcome::Done), &run, &plan);
    assert_eq!(value["outcome"], "done");
    assert_eq!(value["release"], 3);
    assert_eq!(value["changed"][0]["image_to"], sample::image('d'));
    let interrupted = result_json(RunKind::Deploy, None, &run, &plan);
    assert_eq!((&interrupted["outcome"], &interrupted["release"]), (&"interrupted".into(), &Value::Null));
}

/// The plan with two more gates that ask who serves, and the run that saw both.
fn told_twice() -> (Plan, RunState) {
    let mut plan = sample::keeping();
    let mut facts = Vec::new();
    for (name, id) in [("show_identity", "shop-r2"), ("expect_identity", "shop-r3")] {
        let action = json!({ "act": "expect_identity", "url": "http://shop.test/id", "id": id, "deadline_s": 10 });
        let item = json!({ "name": name, "title": name, "action": action });
        plan.items.push(serde_json::from_value(item).unwrap());
    }
    let index = plan.items.len() - 2;
    facts.extend(sample::well(&plan));
    let end = facts.pop().unwrap();
    facts.extend(sample::done(&plan, index, "http://shop.test/id tells shop-r2", Value::Null));
    facts.extend(sample::done(&plan, index + 1, "http://shop.test/id tells shop-r3", Value::Null));
    facts.push(end);
    let run = sample::run(&sample::entries(facts));
    (plan, run)
}

#[test]
fn who_served_before_the_switch_is_not_told_as_true_now() {
    let (plan, run) = told_twice();
    let text = result_text(RunKind::Deploy, Some(Outcome::Done), &run, &plan, &Style::plain(80));
    assert!(text.contains("tells shop-r3\n") && !text.contains("tells shop-r2"), "{text}");
}

#[test]
fn what_ends_maintenance_is_named_and_never_a_rollback_which_would_undo_the_run_before() {
    let next_of = |page: Option<&str>| {
        let mut plan = sample::keeping();
        (plan.kind, plan.deed) = (RunKind::Maintenance, Some("maintenance".into()));
        let action = json!({ "act": "set_maintenance", "directory": "/run/cutover", "from": null, "to": page });
        plan.items =
            vec![serde_json::from_value(json!({ "name": "set_maintenance", "title": "t", "action": action })).unwrap()];
        let facts = sample::done(&plan, 0, "maintenance is on", Value::Null);
        let run = sample::run(&sample::entries([vec![sample::planned(&plan)], facts.to_vec()].concat()));
        result_json(RunKind::Maintenance, Some(Outcome::Done), &run, &plan)["next"].clone()
    };
    assert_eq!(next_of(Some("page")), json!(["cutover maintenance off", "cutover status"]));
    assert_eq!(next_of(None), json!(["cutover status"]));
}

#[test]
fn a_run_that_found_everything_so_already_offers_no_rollback_for_that_would_undo_another_one() {
    let mut plan = sample::keeping();
    plan.kind = RunKind::Data;
    plan.deed = Some("the freezing of the source".into());
    let next = |already: bool| {
        let mut facts = sample::well(&plan);
        if already {
            facts.retain(|fact| !matches!(fact, Fact::Started { .. }));
            for fact in &mut facts {
                if let Fact::Done { already, .. } = fact {
                    *already = true;
                }
            }
        }
        let run = sample::run(&sample::entries(facts));
        result_text(RunKind::Data, Some(Outcome::Done), &run, &plan, &Style::plain(120))
    };
    assert!(next(false).contains("cutover rollback  undo run 7"), "{}", next(false));
    assert!(!next(true).contains("cutover rollback"), "{}", next(true));
}
