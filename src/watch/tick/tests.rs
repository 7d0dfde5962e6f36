//! Situations, tick by tick.

use super::*;
use crate::judge::counts::{Sample, Series};
use crate::judge::ladder::CALM_MIN;
use std::collections::BTreeMap;

const BEGIN: i64 = 1_800_000_000_000;

fn labels(code: &str) -> BTreeMap<String, String> {
    let pairs = [("job", "caddy"), ("instance", "caddy:9180"), ("code", code)];
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A world whose Prometheus has seen, each minute, so many good and bad requests.
struct World {
    window: Window,
    ok: Vec<Sample>,
    bad: Vec<Sample>,
    up: Vec<Sample>,
    minute: i64,
}

impl World {
    fn new() -> Self {
        let now = Now { wall_ms: BEGIN, boot_ms: 0, boot: "a".into() };
        let sample = |value| vec![Sample { at_ms: BEGIN - 1000, value }];
        let window = Window::begin(now, String::new(), 60, Terms::new(0.01, 0.05, 8640), None);
        Self { window, ok: sample(0.0), bad: sample(0.0), up: sample(1.0), minute: 0 }
    }

    fn pass(&mut self, good: u64, bad: u64) {
        self.minute += 1;
        let at_ms = BEGIN + self.minute * TICK_MS - 1000;
        for (samples, more) in [(&mut self.ok, good), (&mut self.bad, bad)] {
            let value = samples.last().unwrap().value + more as f64;
            samples.push(Sample { at_ms, value });
        }
        self.up.push(Sample { at_ms, value: 1.0 });
    }

    fn now(&self) -> Now {
        let gone = self.minute * TICK_MS + SETTLE;
        Now { wall_ms: BEGIN + gone, boot_ms: u64::try_from(gone).unwrap(), boot: "a".into() }
    }

    fn fetched(&self) -> Fetched {
        let series = |code: &str, samples: &[Sample]| Series { labels: labels(code), samples: samples.to_vec() };
        let counters = vec![series("200", &self.ok), series("502", &self.bad)];
        let window = counts::Window { counters, up: vec![series("", &self.up)], starts: Vec::new() };
        Fetched { window, upto_ms: BEGIN + self.minute * TICK_MS, maintenance: Vec::new() }
    }

    fn inputs(&self) -> Inputs {
        Inputs::quiet(self.now()).counted(Ok(self.fetched()))
    }

    fn tick(&mut self, inputs: &Inputs) -> Verdicts {
        let (window, verdicts) = tick(inputs, self.window.clone());
        self.window = window;
        verdicts
    }

    fn live(&mut self, good: u64, bad: u64) -> Verdicts {
        self.pass(good, bad);
        let inputs = self.inputs();
        self.tick(&inputs)
    }
}

const SETTLE: i64 = super::super::window::SETTLE_MS;

#[test]
fn a_good_hour_with_enough_requests_is_accepted_and_says_so_once() {
    let mut world = World::new();
    let said: Vec<Verdicts> = (0..65).map(|_| world.live(10, 0)).collect();
    let accepted: Vec<usize> =
        (0..65).filter(|at| said[*at].notes.iter().any(|note| note.contains("accepted"))).collect();
    assert_eq!(accepted, [59]);
    assert!(said.iter().all(|verdicts| verdicts.level == Level::Ok));
    assert_eq!(said.iter().filter(|verdicts| verdicts.has_changed()).count(), 1, "nothing else is worth a line");
}

#[test]
fn a_window_is_not_accepted_while_it_holds() {
    let mut world = World::new();
    (0..59).for_each(|_| drop(world.live(10, 0)));
    world.pass(10, 0);
    let mut inputs = world.inputs();
    let rule = Rule { name: "disk".into(), level: Level::Hold, patience_s: 0, advice: String::new() };
    inputs.findings = vec![(rule, Finding::breach("full"))];
    let verdicts = world.tick(&inputs);
    assert!(matches!(verdicts.acceptance, Acceptance::Accepted { .. }), "{:?}", verdicts.acceptance);
    assert_eq!(verdicts.level, Level::Hold);
    assert!(!world.window.is_accepted && verdicts.notes.is_empty(), "{:?}", verdicts.notes);
}

#[test]
fn time_in_which_nothing_can_be_asked_calms_nothing() {
    let mut world = World::new();
    (0..10).for_each(|_| drop(world.live(6, 0)));
    (0..3).for_each(|_| drop(world.live(0, 6)));
    // The evidence is gone soon, and it has been calm for some minutes.
    (0..8).for_each(|_| drop(world.live(60, 0)));
    let stands = |world: &World| (world.window.ladder.level, world.window.ladder.calm_missing());
    let before = stands(&world);
    assert!(before.0 == Level::Watch && (1..CALM_MIN).contains(&before.1), "{before:?}");
    // Prometheus does not answer.
    for _ in 0..CALM_MIN - 1 {
        world.pass(6, 0);
        let inputs = world.inputs().counted(Err("nobody answers".into()));
        world.tick(&inputs);
        assert_eq!(stands(&world), before);
    }
    // It answers again, with all its samples: those minutes were calm, and now that is known.
    assert_eq!(world.live(6, 0).level, Level::Ok);
}

#[test]
fn a_clock_that_was_set_back_is_told_and_its_minutes_are_neither_calm_nor_observed_nor_counted_twice() {
    let mut world = World::new();
    (0..20).for_each(|_| drop(world.live(6, 0)));
    let seen = world.window.evidence.clone();
    let set_back = |minute: i64| {
        let gone = minute * TICK_MS;
        let now = world.now();
        Now { wall_ms: now.wall_ms - 3_600_000 + gone, boot_ms: now.boot_ms + gone.unsigned_abs(), boot: now.boot }
    };
    let mut window = world.window.clone();
    for minute in 1..=40 {
        let fetched = Fetched { upto_ms: window.grid_ms, ..world.fetched() };
        let (next, verdicts) = tick(&Inputs::quiet(set_back(minute)).counted(Ok(fetched)), window);
        window = next;
        let jumps = verdicts.notes.iter().filter(|note| note.contains("jumped by -3600 s")).count();
        assert_eq!(jumps, usize::from(minute == 1), "{:?}", verdicts.notes);
        assert!(verdicts.is_blind(), "minute {minute} is not known: {:?}", verdicts.rules);
        let said = &verdicts.rules[0].standing.evidence;
        let left = 60 - minute;
        assert!(
            said.starts_with(&format!("the clock was set back: the next {left} min were judged already")),
            "{said}"
        );
        assert_eq!(verdicts.level, if minute > 31 { Level::Hold } else { Level::Ok }, "minute {minute}");
    }
    assert_eq!(window.evidence, seen);
}

#[test]
fn what_has_lasted_for_a_minute_has_lasted_for_a_minute_also_where_the_clock_was_set() {
    let rule = || Rule { name: "services".into(), level: Level::Hold, patience_s: 90, advice: String::new() };
    for jump in [-3_600_000, 3_600_000] {
        let at = |minute: i64| Now {
            wall_ms: BEGIN + minute * TICK_MS + if minute > 1 { jump } else { 0 },
            boot_ms: u64::try_from(minute * TICK_MS).unwrap(),
            boot: "a".into(),
        };
        let mut window = Window::begin(at(0), String::new(), 60, Terms::new(0.01, 0.05, 0), None);
        let mut levels = Vec::new();
        for minute in 1..=3 {
            let findings = vec![(rule(), Finding::breach("backend is unhealthy"))];
            let (next, verdicts) = tick(&Inputs { findings, ..Inputs::quiet(at(minute)) }, window);
            window = next;
            levels.push(verdicts.level);
        }
        assert_eq!(levels, [Level::Ok, Level::Ok, Level::Hold], "after a jump by {jump} ms");
    }
}

#[test]
fn a_clock_that_was_wrong_by_decades_takes_no_time_and_no_memory() {
    let now = |wall_ms| Now { wall_ms, boot_ms: 0, boot: "a".into() };
    let window = Window::begin(now(0), String::new(), 60, Terms::new(0.01, 0.05, 0), None);
    let (window, _) = tick(&Inputs::quiet(now(BEGIN)), window);
    assert_eq!((window.grid_ms, window.evidence.observed_min), (Window::settled(&now(BEGIN)), 0));
    assert_eq!(i64::try_from(window.unknown_min).unwrap() * TICK_MS, window.grid_ms, "all of it is not known");
    assert_eq!(window.trail.len(), 1440);
}

#[test]
fn a_quiet_hour_is_not_accepted() {
    let mut world = World::new();
    let last = (0..65).map(|_| world.live(1, 0)).last().unwrap();
    assert!(matches!(last.acceptance, Acceptance::TooLittle { requests: 234, .. }), "{:?}", last.acceptance);
}

#[test]
fn a_system_that_fails_wholly_climbs_the_ladder_in_eight_minutes() {
    let mut world = World::new();
    (0..10).for_each(|_| drop(world.live(6, 0)));
    let levels: Vec<Level> = (0..8).map(|_| world.live(0, 6).level).collect();
    use Level::{Hold, Ok, RollbackRecommended, Watch};
    assert_eq!(levels, [Ok, Watch, Watch, Hold, Hold, Hold, Hold, RollbackRecommended]);
    assert!(world.window.ladder.why.contains("48 of 60 requests failed"), "{}", world.window.ladder.why);
}

#[test]
fn cron_the_daemon_and_a_replay_agree_to_the_last_bit() {
    let (mut daemon, mut cron) = (World::new(), World::new());
    for minute in 0..120_u64 {
        let bad = u64::from(minute % 7 == 0);
        drop(daemon.live(5, bad));
        cron.pass(5, bad);
        // Cron was away for a while, more than once, and lives in a file in between.
        if minute % 13 == 4 || minute == 119 {
            let inputs = cron.inputs();
            drop(cron.tick(&inputs));
            cron.window = serde_json::from_str(&serde_json::to_string(&cron.window).unwrap()).unwrap();
        }
    }
    assert_eq!(daemon.window.cusum, cron.window.cusum);
    assert_eq!(daemon.window.evidence, cron.window.evidence);
    assert_eq!(daemon.window.counter, cron.window.counter);
    assert_eq!(daemon.window.ladder.level, cron.window.ladder.level);
}

#[test]
fn without_prometheus_the_verdict_is_to_hold_after_half_an_hour_and_never_more() {
    let mut world = World::new();
    (0..5).for_each(|_| drop(world.live(6, 0)));
    let mut levels = Vec::new();
    for _ in 0..100 {
        world.pass(0, 6);
        let inputs = world.inputs().counted(Err("connection refused".into()));
        let verdicts = world.tick(&inputs);
        assert!(verdicts.is_blind());
        levels.push(verdicts.level);
    }
    assert_eq!(levels.iter().position(|level| *level == Level::Hold), Some(31));
    assert!(levels.iter().all(|level| *level <= Level::Hold));
    assert_eq!(world.window.evidence.observed_min, 5, "time in which nothing was known does not count");
    // Prometheus is back with all its samples: what was missed is judged now.
    assert_eq!(world.live(0, 6).level, Level::RollbackRecommended);
}

#[test]
fn failures_behind_the_maintenance_page_are_meant() {
    let mut world = World::new();
    for _ in 0..30 {
        world.pass(0, 50);
        let mut inputs = world.inputs();
        let at_ms = BEGIN + world.minute * TICK_MS - 1000;
        let flag = Series { labels: BTreeMap::new(), samples: vec![Sample { at_ms, value: 1.0 }] };
        inputs.counts = Some(Ok(Fetched { maintenance: vec![flag], ..world.fetched() }));
        assert_eq!(world.tick(&inputs).level, Level::Ok);
    }
    assert_eq!(world.window.evidence.requests, 0);
}

#[test]
fn what_the_route_answers_while_the_maintenance_page_is_shown_is_no_outage_and_no_observation() {
    let mut world = World::new();
    world.pass(6, 0);
    let asked = |at_ms| Asked { at_ms, failure: Some("answered 503".into()), is_control_there: Some(true) };
    for is_maintenance in [true, true, false] {
        let mut inputs = world.inputs();
        // In the last tick the page is gone, and the rounds before it had met it.
        (inputs.probes, inputs.is_maintenance) = (Some((0..6).map(asked).collect()), is_maintenance);
        (inputs.counts, inputs.engine) = (None, Engine::Ill("backend exited with 1".into()));
        let verdicts = world.tick(&inputs);
        let outage = verdicts.rules.iter().find(|said| said.rule.name == OUTAGE).unwrap();
        assert!(outage.standing.verdict.is_unknown() && verdicts.level < Level::Hold, "{verdicts:?}");
        assert_eq!(outage.standing.evidence, "the maintenance page is shown");
        if is_maintenance {
            assert_eq!(world.window.evidence.observed_min, 0);
        }
        world.pass(0, 0);
    }
    let mut inputs = world.inputs();
    inputs.probes = Some((0..6).map(asked).collect());
    assert!(world.tick(&inputs).level >= Level::Hold, "an outage after it is one");
}

#[test]
fn an_outage_that_all_agree_on_needs_no_statistics() {
    let mut world = World::new();
    world.pass(6, 0);
    let asked = |at_ms| Asked { at_ms, failure: Some("connection refused".into()), is_control_there: Some(true) };
    let mut inputs = world.inputs();
    inputs.probes = Some((0..6).map(asked).collect());
    inputs.engine = Engine::Ill("backend exited with 1".into());
    let verdicts = world.tick(&inputs);
    assert_eq!(verdicts.level, Level::RollbackRecommended);
    assert!(
        verdicts.why.contains("6 failures in a row") && verdicts.why.contains("backend exited"),
        "{}",
        verdicts.why
    );
    let mut alone = World::new();
    alone.pass(6, 0);
    inputs.engine = Engine::Well;
    assert_eq!(alone.tick(&inputs).level, Level::Hold);
}

#[test]
fn fifty_rules_are_judged_and_the_worst_is_the_verdict() {
    let mut world = World::new();
    world.pass(6, 0);
    let mut inputs = world.inputs();
    let rule = |number: usize| Rule {
        name: format!("rule {number}"),
        level: if number == 49 { Level::Hold } else { Level::Watch },
        patience_s: 0,
        advice: String::new(),
    };
    inputs.findings = (0..50).map(|number| (rule(number), Finding::breach("17"))).collect();
    let verdicts = world.tick(&inputs);
    assert_eq!((verdicts.level, verdicts.why.as_str()), (Level::Hold, "rule 49: 17"));
    assert_eq!(verdicts.rules.len(), 51);
}

#[test]
fn why_the_errors_cannot_be_judged_is_news_as_soon_as_the_first_minute_is_over_and_only_then() {
    let mut world = World::new();
    let inputs = world.inputs();
    let said = world.tick(&inputs);
    assert_eq!(said.rules[0].standing.evidence, FIRST_MINUTE);
    let mut blind = || {
        world.pass(5, 0);
        let fetched = Fetched { window: counts::Window::default(), ..world.fetched() };
        let inputs = world.inputs().counted(Ok(fetched));
        world.tick(&inputs)
    };
    let first = blind();
    assert!(first.has_changed() && first.rules[0].standing.verdict == Verdict::NoData, "{first:?}");
    assert!(!blind().has_changed(), "told once");
}
