//! The decision: a capped CUSUM of likelihood ratios, one step per tick. In whole billionths, so that a file holds it exactly.
//!
//! For e errors of n requests: `S = max(0, S + min(e·a + (n-e)·b, h/8))` with `a = ln(p1/p0)`, `b = ln((1-p1)/(1-p0))`,
//! `h = ln(N/0.001)`. The cap is what makes a burst of failures one piece of evidence and not twenty.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// One natural unit of evidence.
const UNIT: f64 = 1e9;
/// Ticks that the present error share is taken over.
const RECENT: usize = 10;
/// No tick may bring more than this part of the alarm.
const PARTS: i64 = 8;
/// The evidence is not kept beyond this many alarms: a system that was mended must be able to show it.
const MOST: i64 = 2;
/// The fewest requests that a window is reckoned with.
const FEWEST: u64 = 1000;
/// False alarms per window.
const FALSE_ALARMS: f64 = 0.001;

/// What is being told apart, ready for use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Share of errors of a healthy system (p0).
    pub healthy: f64,
    /// Share that must be found out (p1).
    pub breach: f64,
    /// Requests expected in the window (N).
    pub expected: u64,
    failure: i64,
    success: i64,
    alarm: i64,
}

impl Terms {
    /// Prepares the terms. `expected` is how many requests the window will hold; fewer than 1000 are taken for 1000.
    pub fn new(healthy: f64, breach: f64, expected: u64) -> Self {
        let expected = expected.max(FEWEST);
        let billionths = |value: f64| (value * UNIT).round() as i64;
        Self {
            healthy,
            breach,
            expected,
            failure: billionths((breach / healthy).ln()),
            success: billionths(((1.0 - breach) / (1.0 - healthy)).ln()),
            alarm: billionths((expected as f64 / FALSE_ALARMS).ln()),
        }
    }

    /// The evidence at which the alarm is given (h), billionths.
    pub fn alarm(&self) -> i64 {
        self.alarm
    }

    /// Evidence of one failed request (a), billionths.
    pub fn failure(&self) -> i64 {
        self.failure
    }

    /// Evidence of one good request (b, negative), billionths.
    pub fn success(&self) -> i64 {
        self.success
    }

    /// Evidence of a tick, capped, billionths.
    pub fn evidence(&self, requests: u64, errors: u64) -> i64 {
        let good = i128::from(requests.saturating_sub(errors));
        let sum = i128::from(errors) * i128::from(self.failure) + good * i128::from(self.success);
        // Rounded up, so that eight full parts are the whole.
        let most = (self.alarm + PARTS - 1) / PARTS;
        i64::try_from(sum.min(i128::from(most))).unwrap_or(i64::MIN / 2)
    }
}

/// The state of the decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cusum {
    /// The evidence (S), billionths.
    sum: i64,
    /// Ticks since it left 0.
    away: u32,
    /// Those of them with good data.
    away_fine: u32,
    /// Requests and errors of the last ticks, the newest last.
    recent: VecDeque<(u64, u64)>,
}

/// What a tick came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// Too little for anything.
    Quiet,
    /// A quarter of the evidence.
    Quarter,
    /// Half of it.
    Half,
    /// All of it, and the errors are there now, and the data was good.
    Full,
}

impl Cusum {
    /// Takes a tick: requests and errors as counted, and whether the data was good. No data is no evidence, of anything.
    pub fn tick(&mut self, terms: &Terms, requests: u64, errors: u64, is_fine: bool) -> Alarm {
        let step = terms.evidence(requests, errors);
        self.sum = (self.sum + step).clamp(0, terms.alarm * MOST);
        if self.sum == 0 {
            (self.away, self.away_fine) = (0, 0);
        } else {
            self.away += 1;
            self.away_fine += u32::from(is_fine);
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((requests, errors));
        self.alarm(terms)
    }

    /// What stands now.
    pub fn alarm(&self, terms: &Terms) -> Alarm {
        if self.sum >= terms.alarm && self.is_failing_now(terms) && self.was_data_good() {
            Alarm::Full
        } else if self.sum >= terms.alarm / 2 {
            Alarm::Half
        } else if self.sum >= terms.alarm / 4 {
            Alarm::Quarter
        } else {
            Alarm::Quiet
        }
    }

    /// What still stands under half of each entry: what a level is left by.
    pub fn remains(&self, terms: &Terms) -> Alarm {
        match self.sum {
            sum if sum >= terms.alarm / 2 => Alarm::Full,
            sum if sum >= terms.alarm / 4 => Alarm::Half,
            sum if sum >= terms.alarm / 8 => Alarm::Quarter,
            _ => Alarm::Quiet,
        }
    }

    /// The evidence as a share of the alarm.
    pub fn share(&self, terms: &Terms) -> f64 {
        self.sum as f64 / terms.alarm as f64
    }

    /// Requests and errors of the last ten ticks.
    pub fn recent(&self) -> (u64, u64) {
        self.recent.iter().fold((0, 0), |(requests, errors), (n, e)| (requests + n, errors + e))
    }

    fn is_failing_now(&self, terms: &Terms) -> bool {
        let (requests, errors) = self.recent();
        errors as f64 > 2.0 * terms.healthy * requests as f64
    }

    fn was_data_good(&self) -> bool {
        u64::from(self.away_fine) * 10 >= u64::from(self.away) * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms() -> Terms {
        Terms::new(0.01, 0.05, 8640)
    }

    #[test]
    fn the_terms_are_those_of_the_design() {
        let terms = terms();
        assert_eq!((terms.failure(), terms.success()), (1_609_437_912, -41_242_959));
        assert_eq!(terms.alarm(), 15_971_913_141, "ln(8640 / 0.001)");
        assert_eq!(Terms::new(0.01, 0.05, 3).expected, 1000);
    }

    #[test]
    fn a_burst_is_one_piece_of_evidence() {
        let terms = terms();
        let mut cusum = Cusum::default();
        assert_eq!(cusum.tick(&terms, 500, 500, true), Alarm::Quiet);
        assert!((cusum.share(&terms) - 0.125).abs() < 1e-9);
    }

    #[test]
    fn a_total_failure_takes_eight_ticks_and_climbs_through_every_level() {
        let terms = terms();
        let mut cusum = Cusum::default();
        let alarms: Vec<Alarm> = (0..8).map(|_| cusum.tick(&terms, 6, 6, true)).collect();
        use Alarm::{Full, Half, Quarter, Quiet};
        assert_eq!(alarms, [Quiet, Quarter, Quarter, Half, Half, Half, Half, Full]);
    }

    #[test]
    fn evidence_from_poor_data_is_no_alarm() {
        let terms = terms();
        let mut cusum = Cusum::default();
        for tick in 0..40 {
            assert!(cusum.tick(&terms, 6, 6, tick % 2 == 0) < Alarm::Full, "half of the ticks tell nothing");
        }
    }

    #[test]
    fn what_is_over_is_no_alarm() {
        let terms = terms();
        let mut cusum = Cusum::default();
        for _ in 0..20 {
            cusum.tick(&terms, 6, 6, true);
        }
        assert_eq!(cusum.alarm(&terms), Alarm::Full);
        for _ in 0..10 {
            cusum.tick(&terms, 6, 0, true);
        }
        assert_eq!(cusum.alarm(&terms), Alarm::Half, "ten minutes without an error");
    }

    proptest! {
        #[test]
        fn kept_in_a_file_it_goes_on_as_if_it_had_never_been_away(ticks in prop::collection::vec((0u64..80, 0u64..20, any::<bool>()), 0..60)) {
            let terms = terms();
            let (mut kept, mut written) = (Cusum::default(), Cusum::default());
            for (good, errors, fine) in ticks {
                prop_assert_eq!(kept.tick(&terms, good + errors, errors, fine), written.tick(&terms, good + errors, errors, fine));
                written = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
                prop_assert_eq!(&kept, &written);
            }
        }

        #[test]
        fn without_an_error_there_is_never_any_evidence(ticks in prop::collection::vec((0u64..1_000_000_000_000, any::<bool>()), 0..60)) {
            let (terms, mut cusum) = (terms(), Cusum::default());
            for (requests, fine) in ticks {
                prop_assert_eq!(cusum.tick(&terms, requests, 0, fine), Alarm::Quiet);
            }
        }
    }
}
