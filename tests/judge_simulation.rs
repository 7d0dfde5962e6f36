//! A small run of the simulation that `examples/judge_simulation` does at length: the same code, fewer days.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "../examples/judge_simulation/days.rs"]
mod days;
#[path = "../examples/judge_simulation/faults.rs"]
mod faults;
#[path = "../examples/judge_simulation/random.rs"]
mod random;

use days::{Cell, detection, healthy, quantile};

#[test]
fn no_healthy_day_is_called_off_where_a_simple_rule_calls_off_nearly_all() {
    for (rate, burst) in [(1, 1), (6, 5), (6, 20)] {
        let alarms = healthy(Cell { rate, burst, errors: 0.005 }, 150, 7);
        assert_eq!(alarms.ours, 0, "{rate}/min in {burst}s");
        assert!(alarms.five_percent > 100, "{rate}/min in {burst}s: {alarms:?}");
    }
}

#[test]
fn half_of_the_requests_failing_is_found_as_soon_as_the_design_says() {
    let found = detection(6, 0.5, 200, 7);
    assert!((7.0..=9.0).contains(&quantile(&found, 0.5)), "{}", quantile(&found, 0.5));
    assert!(quantile(&found, 0.95) <= 12.0, "{}", quantile(&found, 0.95));
}

#[test]
fn what_is_not_known_calls_nothing_off_and_loses_no_count() {
    let outcome = faults::faulty(60, 7);
    assert_eq!((outcome.rollbacks, outcome.miscounted), (0, 0), "{outcome:?}");
    assert!(outcome.unknown_ticks * 20 > outcome.ticks && outcome.restarts > 10, "the faults were there: {outcome:?}");
}
