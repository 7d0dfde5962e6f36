//! Simulated days: how often a healthy one is called off, by us and by two other rules, and how soon a sick one is found.

use std::collections::VecDeque;

use cutover::judge::cusum::{Alarm, Cusum, Terms};

use crate::random::{Events, Random};

/// Minutes of a day.
pub const DAY: u64 = 1440;
/// Share of errors of a healthy system, and the share that must be found.
const HEALTHY: f64 = 0.01;
const BREACH: f64 = 0.05;

/// A kind of day.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Requests per minute.
    pub rate: u64,
    /// How many errors come together; 1 is steady.
    pub burst: u64,
    /// Share of errors.
    pub errors: f64,
}

/// How many days were called off although nothing was wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct FalseAlarms {
    /// By the capped CUSUM with its conditions.
    pub ours: u64,
    /// By "more than 5 % over 5 minutes".
    pub five_percent: u64,
    /// By multi-window burn rates for an objective of 99 %, without a guard against few requests.
    pub burn_rate: u64,
}

/// Sums over the last minutes.
struct Sliding {
    minutes: usize,
    kept: VecDeque<(u64, u64)>,
    requests: u64,
    errors: u64,
}

impl Sliding {
    fn new(minutes: usize) -> Self {
        Self { minutes, kept: VecDeque::with_capacity(minutes + 1), requests: 0, errors: 0 }
    }

    fn tick(&mut self, requests: u64, errors: u64) {
        self.kept.push_back((requests, errors));
        (self.requests, self.errors) = (self.requests + requests, self.errors + errors);
        if self.kept.len() > self.minutes
            && let Some((old_requests, old_errors)) = self.kept.pop_front()
        {
            (self.requests, self.errors) = (self.requests - old_requests, self.errors - old_errors);
        }
    }

    fn is_above(&self, share: f64) -> bool {
        self.errors as f64 > share * self.requests as f64
    }
}

/// Good requests and failures of a minute.
pub struct Traffic {
    good: Events,
    bursts: Events,
    burst: u64,
}

impl Traffic {
    /// Prepares the traffic of a cell.
    pub fn new(cell: Cell) -> Self {
        let rate = cell.rate as f64;
        Self {
            good: Events::new(rate * (1.0 - cell.errors)),
            bursts: Events::new(rate * cell.errors / cell.burst as f64),
            burst: cell.burst,
        }
    }

    /// Requests and errors of a minute.
    pub fn minute(&self, random: &mut Random) -> (u64, u64) {
        let errors = self.bursts.draw(random) * self.burst;
        (self.good.draw(random) + errors, errors)
    }
}

/// The terms of the design at so many requests per minute.
pub fn terms(rate: u64) -> Terms {
    Terms::new(HEALTHY, BREACH, rate * DAY)
}

/// Lives through healthy days.
pub fn healthy(cell: Cell, days: u64, seed: u64) -> FalseAlarms {
    let (traffic, terms, mut random) = (Traffic::new(cell), terms(cell.rate), Random::new(seed));
    let mut alarms = FalseAlarms::default();
    for _ in 0..days {
        let (mut cusum, mut windows) = (Cusum::default(), [5, 30, 60, 360].map(Sliding::new));
        let (mut ours, mut five_percent, mut burn_rate) = (false, false, false);
        for _ in 0..DAY {
            let (requests, errors) = traffic.minute(&mut random);
            ours |= cusum.tick(&terms, requests, errors, true) == Alarm::Full;
            windows.iter_mut().for_each(|window| window.tick(requests, errors));
            let [five, thirty, hour, six_hours] = &windows;
            five_percent |= five.is_above(0.05);
            let is_fast = hour.is_above(14.4 * 0.01) && five.is_above(14.4 * 0.01);
            burn_rate |= is_fast || (six_hours.is_above(0.06) && thirty.is_above(0.06));
        }
        alarms.ours += u64::from(ours);
        alarms.five_percent += u64::from(five_percent);
        alarms.burn_rate += u64::from(burn_rate);
    }
    alarms
}

/// Minutes from the first failure to the alarm, of days that fall sick at noon; what is never found counts as a day.
pub fn detection(rate: u64, share: f64, days: u64, seed: u64) -> Vec<f64> {
    let healthy = Traffic::new(Cell { rate, burst: 1, errors: 0.005 });
    let sick = Traffic::new(Cell { rate, burst: 1, errors: share });
    let (terms, mut random) = (terms(rate), Random::new(seed));
    let mut found = Vec::new();
    for _ in 0..days {
        let mut cusum = Cusum::default();
        for _ in 0..DAY / 4 {
            let (requests, errors) = healthy.minute(&mut random);
            cusum.tick(&terms, requests, errors, true);
        }
        // It falls sick in the middle of a minute, somewhere.
        let begun = random.share();
        let part = |rate: f64, errors: f64| {
            let (good, bad) = (Events::new(rate * (1.0 - errors)), Events::new(rate * errors));
            (good, bad)
        };
        let (good, bad) = part(rate as f64 * (1.0 - begun), share);
        let (well, ill) = part(rate as f64 * begun, 0.005);
        let errors = bad.draw(&mut random) + ill.draw(&mut random);
        let requests = good.draw(&mut random) + well.draw(&mut random) + errors;
        let mut alarm = cusum.tick(&terms, requests, errors, true);
        let mut minutes = 1.0 - begun;
        while alarm < Alarm::Full && minutes < DAY as f64 {
            let (requests, errors) = sick.minute(&mut random);
            alarm = cusum.tick(&terms, requests, errors, true);
            minutes += 1.0;
        }
        found.push(minutes);
    }
    found.sort_by(f64::total_cmp);
    found
}

/// The value that so large a share is below.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}
