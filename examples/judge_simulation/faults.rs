//! Days on which the watching itself fails: the counts must still be exact, and not knowing must never call anything off.

use std::collections::BTreeMap;

use cutover::judge::counts::{Counter, Sample, Series, Window};
use cutover::judge::cusum::{Alarm, Cusum};
use cutover::judge::ladder::{Ladder, Level, Voice};
use cutover::judge::rules::{Finding, Rule, Standing};

use crate::days::{Cell, DAY, Traffic, terms};
use crate::random::Random;

const MIN: i64 = 60_000;

/// What went wrong in the judging, over all days.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Days on which going back was recommended.
    pub rollbacks: u64,
    /// Requests counted too many or too few.
    pub miscounted: u64,
    /// Days on which the verdict was to hold because nothing was known.
    pub holds: u64,
    /// Ticks that were not observed.
    pub unknown_ticks: u64,
    /// All ticks.
    pub ticks: u64,
    /// Times that the watcher was killed and went on from its file.
    pub restarts: u64,
}

/// The application's own counters, and Prometheus, which asks once a minute.
struct World {
    ok: u64,
    bad: u64,
    /// What the scrapes saw of this life of the process, and of all lives before.
    seen: (u64, u64),
    sum: (u64, u64),
    start_ms: i64,
    series: [Series; 2],
    up: Series,
    starts: Series,
}

fn labels(code: Option<&str>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("job".into(), "caddy".into()), ("instance".into(), "caddy:9180".into())]);
    labels.extend(code.map(|code| ("code".to_owned(), code.to_owned())));
    labels
}

impl World {
    fn new() -> Self {
        let series = |code| Series { labels: labels(code), samples: Vec::new() };
        let sample = |value| vec![Sample { at_ms: 0, value }];
        let up = Series { samples: sample(1.0), ..series(None) };
        let starts = Series { samples: sample(-100.0), ..series(None) };
        let series = [series(Some("200")), series(Some("502"))];
        Self { ok: 0, bad: 0, seen: (0, 0), sum: (0, 0), start_ms: -100_000, series, up, starts }
    }

    fn restart(&mut self, at_ms: i64) {
        self.sum = (self.sum.0 + self.seen.0, self.sum.1 + self.seen.1);
        (self.ok, self.bad, self.seen, self.start_ms) = (0, 0, (0, 0), at_ms);
    }

    fn scrape(&mut self, at_ms: i64, is_up: bool, odd: Option<f64>) {
        self.up.samples.push(Sample { at_ms, value: f64::from(u8::from(is_up)) });
        if !is_up {
            return;
        }
        self.starts.samples.push(Sample { at_ms, value: self.start_ms as f64 / 1000.0 });
        for (series, value) in self.series.iter_mut().zip([self.ok, self.bad]) {
            let has_begun = value > 0 || !series.samples.is_empty();
            if has_begun {
                series.samples.push(Sample { at_ms, value: odd.unwrap_or(value as f64) });
            }
        }
        // A sample that is no number tells nothing; the next one tells all.
        if odd.is_none() {
            self.seen = (self.ok, self.bad);
        }
    }

    fn truth(&self) -> (u64, u64) {
        (self.sum.0 + self.seen.0 + self.sum.1 + self.seen.1, self.sum.1 + self.seen.1)
    }

    /// What Prometheus gives for the time after `from_ms`.
    fn window(&self, from_ms: i64, upto_ms: i64) -> Window {
        let cut = |series: &Series| {
            let begin = series.samples.partition_point(|sample| sample.at_ms <= from_ms);
            let end = series.samples.partition_point(|sample| sample.at_ms <= upto_ms);
            Series { labels: series.labels.clone(), samples: series.samples[begin..end].to_vec() }
        };
        let some = |series: Series| if series.samples.is_empty() { Vec::new() } else { vec![series] };
        Window {
            counters: self.series.iter().map(cut).filter(|series| !series.samples.is_empty()).collect(),
            up: some(cut(&self.up)),
            starts: some(cut(&self.starts)),
        }
    }
}

/// The faults that are on.
#[derive(Default)]
struct Faults {
    target_down: u64,
    prometheus_dead: u64,
    prometheus_unreachable: u64,
    nan: u64,
}

impl Faults {
    fn pass(&mut self, random: &mut Random, chance: f64) {
        let all = [&mut self.target_down, &mut self.prometheus_dead, &mut self.prometheus_unreachable, &mut self.nan];
        for left in all {
            *left = left.saturating_sub(1);
            if *left == 0 && random.happens(chance) {
                let longest = if random.happens(0.2) { 180 } else { 12 };
                *left = 1 + random.below(longest);
            }
        }
    }
}

/// One day of a watcher; it lives in a file between two ticks whenever it is killed.
struct Watcher {
    counter: Counter,
    cusum: Cusum,
    ladder: Ladder,
    standing: Option<Standing>,
    upto_ms: i64,
    counted: (u64, u64),
}

/// Lives through days with faults of the monitoring; the system itself is healthy at 0.5 % errors.
pub fn faulty(days: u64, seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let mut outcome = Outcome::default();
    for _ in 0..days {
        let rate = [1, 6, 60][random.below(3) as usize];
        let burst = [1, 5, 20][random.below(3) as usize];
        let traffic = Traffic::new(Cell { rate, burst, errors: 0.005 });
        day(rate, &traffic, &mut random, &mut outcome);
    }
    outcome
}

fn day(rate: u64, traffic: &Traffic, random: &mut Random, outcome: &mut Outcome) {
    let terms = terms(rate);
    let chance = [0.001, 0.005, 0.03][random.below(3) as usize];
    let (mut world, mut faults) = (World::new(), Faults::default());
    let mut watcher = Watcher {
        counter: Counter::since(0),
        cusum: Cusum::default(),
        ladder: Ladder::at(0),
        standing: None,
        upto_ms: 0,
        counted: (0, 0),
    };
    let (mut is_rolled_back, mut is_held) = (false, false);
    for minute in 1..=DAY as i64 {
        let at_ms = minute * MIN;
        faults.pass(random, chance);
        let (requests, errors) = traffic.minute(random);
        if random.happens(chance) {
            world.restart(at_ms - 30_000);
        }
        (world.ok, world.bad) = (world.ok + requests - errors, world.bad + errors);
        // The last minute is good, so that the truth and the count end at the same scrape.
        let is_last = minute == DAY as i64;
        if faults.prometheus_dead == 0 || is_last {
            let odd = [f64::NAN, f64::INFINITY, -3.5][random.below(3) as usize];
            let odd = (faults.nan > 0 && !is_last).then_some(odd);
            world.scrape(at_ms, faults.target_down == 0 || is_last, odd);
        }
        let is_asked = is_last || (faults.prometheus_dead == 0 && faults.prometheus_unreachable == 0);
        let level = watcher.tick(&world, &terms, at_ms, is_asked, random, outcome);
        is_rolled_back |= level >= Level::RollbackRecommended;
        is_held |= level == Level::Hold;
        if random.happens(chance) {
            watcher.counter = through_a_file(&watcher.counter);
            watcher.cusum = through_a_file(&watcher.cusum);
            watcher.ladder = through_a_file(&watcher.ladder);
            outcome.restarts += 1;
        }
    }
    outcome.rollbacks += u64::from(is_rolled_back);
    outcome.holds += u64::from(is_held);
    let (requests, errors) = world.truth();
    outcome.miscounted += requests.abs_diff(watcher.counted.0) + errors.abs_diff(watcher.counted.1);
}

impl Watcher {
    fn tick(
        &mut self,
        world: &World,
        terms: &cutover::judge::cusum::Terms,
        at_ms: i64,
        is_asked: bool,
        random: &mut Random,
        outcome: &mut Outcome,
    ) -> Level {
        outcome.ticks += 1;
        let mut finding = Finding::cannot_ask("Prometheus does not answer");
        if is_asked {
            // Windows overlap at random: what was counted once is not counted again.
            let overlap = (1 + random.below(10) as i64) * MIN;
            let counted = self.counter.tick(&world.window(self.upto_ms - overlap, at_ms), at_ms);
            self.upto_ms = at_ms;
            self.counted = (self.counted.0 + counted.requests, self.counted.1 + counted.errors);
            let is_fine = counted.quality.is_fine();
            self.cusum.tick(terms, counted.requests, counted.errors, is_fine);
            finding = if is_fine { Finding::ok("counted") } else { Finding::no_data("poor") };
        } else {
            self.cusum.tick(terms, 0, 0, false);
        }
        let is_known = !finding.verdict.is_unknown();
        outcome.unknown_ticks += u64::from(!is_known);
        Standing::take(&mut self.standing, &finding, at_ms);
        let rule =
            Rule { name: "errors".into(), level: Level::RollbackRecommended, patience_s: 0, advice: String::new() };
        let level_of = |alarm| match alarm {
            Alarm::Quiet => Level::Ok,
            Alarm::Quarter => Level::Watch,
            Alarm::Half => Level::Hold,
            Alarm::Full => Level::RollbackRecommended,
        };
        let (enters, holds) = (level_of(self.cusum.alarm(terms)), level_of(self.cusum.remains(terms)));
        let mut voices = vec![Voice { enters, holds, why: String::new() }];
        voices.extend(self.standing.as_ref().and_then(|standing| standing.voice(&rule, at_ms)));
        self.ladder.tick(at_ms, &voices, is_known)
    }
}

fn through_a_file<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).expect("state is written")).expect("state is read")
}
