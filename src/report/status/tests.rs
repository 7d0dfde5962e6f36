//! The verdict and its page, for every way a project can stand.

use super::*;
use crate::journal::Fact;
use crate::report::pages::facts;
use crate::report::sample;

fn first_line(facts: &StatusFacts) -> String {
    status_text(facts, &Style::plain(120)).lines().next().unwrap().to_owned()
}

fn ended_as(mut lines: Vec<Fact>, outcome: Outcome) -> StatusFacts {
    lines.retain(|fact| !matches!(fact, Fact::Finished { .. }));
    lines.push(Fact::Finished { outcome, exit: 0, said: String::new() });
    facts(Some(sample::run(&sample::entries(lines))))
}

#[test]
fn all_well_is_one_line_and_what_it_rests_on() {
    let plan = sample::keeping();
    let run = sample::run(&sample::entries(sample::well(&plan)));
    let expected = "\
OK: r3 serves since 2026-11-05 03:00:17 UTC
  project   shop in production
  release   r3 since 2026-11-05 03:00:17 UTC (run 7)
  last run  7 (deploy): done, 2026-11-05 03:00:17 UTC
  kept      r1, r2, r3
  way back  r2 is whole: images, model, files and room to start it are here
  services  backend: running, healthy
            db: running
next: cutover rollback  go back to r2
";
    assert_eq!(status_text(&facts(Some(run)), &Style::plain(80)), expected);
}

#[test]
fn a_rollback_is_offered_only_where_there_is_a_run_to_undo() {
    let mut facts = facts(None);
    facts.is_undoable = false;
    let text = status_text(&facts, &Style::plain(80));
    assert!(text.ends_with("next: cutover releases  what `cutover rollback --to` can bring back\n"), "{text}");
}

#[test]
fn each_end_of_a_run_has_its_own_first_line() {
    let plan = sample::keeping();
    let started = |mut lines: Vec<Fact>| {
        lines.push(Fact::Started { item: 5, name: "expect_services".into() });
        facts(Some(sample::run(&sample::entries(lines))))
    };
    let cases = [
        (
            started(sample::half(&plan)),
            "INTERRUPTED: run 7 stopped in expect_services; run `cutover resume` or `cutover rollback`",
        ),
        (
            ended_as(sample::failed(&plan), Outcome::Held),
            "HELD: run 7 failed in expect_services and was left as it stands; go on or go back",
        ),
        (
            ended_as(sample::rolled_back(&plan, true), Outcome::Stuck),
            "STUCK: the way back of run 7 did not finish in home_health; a person is needed",
        ),
        (
            ended_as(sample::rolled_back(&plan, true), Outcome::RolledBack),
            "OK: r3 serves since 2026-11-05 03:00:17 UTC",
        ),
    ];
    for (facts, expected) in cases {
        assert_eq!(first_line(&facts), expected);
    }
}

#[test]
fn work_in_hand_comes_before_everything() {
    let mut facts = facts(None);
    facts.held = Some(HeldFact { words: "`cutover deploy` holds the lock".into(), is_owner_alive: true });
    assert_eq!(first_line(&facts), "AT WORK: `cutover deploy` holds the lock");
}

#[test]
fn what_was_not_seen_is_never_ok() {
    let mut facts = facts(None);
    facts.engine = Err("the engine did not answer".into());
    assert!(first_line(&facts).starts_with("UNKNOWN: r3 is the current release"), "{}", first_line(&facts));
    assert_eq!(status_json(&facts)["services"], Value::Null);
    facts.engine = Ok(vec![ServiceFact { service: "backend".into(), words: "exited (1)".into(), is_well: false }]);
    assert!(first_line(&facts).ends_with("but is not well: backend (exited (1))"), "{}", first_line(&facts));
    facts.current = None;
    assert_eq!(first_line(&facts), "NOTHING: nothing was deployed yet");
    assert_eq!(status_json(&facts)["verdict"], "nothing");
}

#[test]
fn visitors_who_get_the_page_or_nothing_are_on_the_first_line() {
    let mut facts = facts(None);
    let mut route = crate::report::route::tests::serving();
    facts.route = Some(route.clone());
    assert_eq!(first_line(&facts), "OK: r3 serves since 2026-11-05 03:00:17 UTC");
    assert!(status_text(&facts, &Style::plain(120)).contains("  route     shop-r3: app leads to shop-r3-backend; "));
    (route.is_maintenance, route.answer) = (true, Ok(503));
    facts.route = Some(route.clone());
    assert!(
        first_line(&facts).starts_with("MAINTENANCE: visitors get 503 with the page; r3"),
        "{}",
        first_line(&facts)
    );
    let text = status_text(&facts, &Style::plain(120));
    assert!(text.contains("next: cutover maintenance off"), "{text}");
    (route.is_maintenance, route.answer) = (false, Ok(502));
    facts.route = Some(route.clone());
    assert!(first_line(&facts).starts_with("UNWELL: r3 is the current"), "{}", first_line(&facts));
    route.answer = Err("refused".into());
    facts.route = Some(route);
    assert!(first_line(&facts).starts_with("UNKNOWN: r3 is the current"), "{}", first_line(&facts));
}

#[test]
fn after_a_run_that_put_itself_back_no_way_back_is_offered() {
    let facts = ended_as(sample::rolled_back(&sample::keeping(), true), Outcome::RolledBack);
    let text = status_text(&facts, &Style::plain(120));
    assert!(text.ends_with("next: cutover history 7  why it failed, step by step\n"), "{text}");
}

#[test]
fn before_the_first_release_a_failed_deploy_is_named_with_the_way_to_its_cause() {
    let mut facts = ended_as(sample::rolled_back(&sample::keeping(), true), Outcome::RolledBack);
    facts.current = None;
    let text = status_text(&facts, &Style::plain(120));
    assert!(text.starts_with("NOTHING: nothing was deployed yet; run 7 (deploy) failed, rolled back\n"), "{text}");
    assert!(text.contains("next: cutover history 7  why it failed, step by step\n"), "{text}");
}

#[test]
fn a_stuck_rollback_offers_to_go_on_without_what_cannot_be_done() {
    let (name, why) = ("apply_changes".to_owned(), "conflict".to_owned());
    let entries = sample::entries(vec![
        sample::planned(&sample::keeping()),
        Fact::Failed { item: 0, name, why, back: false, unknown: false, took_ms: 0 },
        Fact::Finished { outcome: Outcome::Stuck, exit: 8, said: String::new() },
    ]);
    let mut run = sample::run(&entries);
    run.kind = RunKind::Rollback.word().into();
    run.plan["items"][0]["action"]["act"] = "apply_changes".into();
    let text = status_text(&facts(Some(run)), &Style::plain(120));
    assert!(text.contains("cutover rollback --keep-changes-aside"), "{text}");
}

#[test]
fn where_rows_were_moved_and_nothing_was_deployed_the_way_back_is_offered_and_not_a_deploy() {
    let plan = sample::keeping();
    let run = RunState { kind: "data".into(), ..sample::run(&sample::entries(sample::well(&plan))) };
    let mut facts = facts(Some(run));
    (facts.current, facts.is_undoable) = (None, true);
    let text = status_text(&facts, &Style::plain(120));
    assert!(text.starts_with("NOTHING: nothing was deployed yet\n"), "{text}");
    assert!(text.contains("cutover rollback  undo the last run that changed something\n"), "{text}");
    assert!(!text.contains("cutover deploy"), "{text}");
    facts.is_undoable = false;
    assert!(!status_text(&facts, &Style::plain(120)).contains("cutover rollback"), "nothing is left to undo");
}
