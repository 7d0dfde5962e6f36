//! Exact counting from raw samples: every increment of every series is counted once, whoever asks and how often.
//!
//! The watermark of each series is the state. What was counted does not depend on how the time was cut into windows:
//! samples at or before a watermark were counted already. A counter that drops, or whose process has started anew, has
//! begun again at 0. A series seen for the first time counts from 0 only if its target answered a scrape before in which
//! it was not there yet, or its process is younger than the count; else its first value is where it starts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::series;

/// How old the newest sample may be, milliseconds.
pub const STALE_MS: i64 = 5 * 60 * 1000;
/// Series above this number are no longer a counter of requests but a mistake in the selector.
const MOST_SERIES: usize = 2000;
/// The largest whole number that a sample can hold exactly.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// One raw sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was scraped, milliseconds of Unix time.
    pub at_ms: i64,
    /// Its value; may be NaN or infinite.
    pub value: f64,
}

/// A series with its raw samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// What was fetched: it must reach back to the tick before, and may reach further.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// The counters, with a label `code`.
    pub counters: Vec<Series>,
    /// `up` of the targets.
    pub up: Vec<Series>,
    /// `process_start_time_seconds` of the targets, where they tell it.
    pub starts: Vec<Series>,
}

/// What one tick gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Requests.
    pub requests: u64,
    /// Requests that failed on our side (5xx).
    pub errors: u64,
    /// What the numbers are worth.
    pub quality: Quality,
}

/// What the numbers of a tick are worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// They tell what happened.
    Fine,
    /// There are none, and why.
    NoData(String),
    /// They may not be what they seem, and why.
    Unclear(String),
}

impl Quality {
    /// Whether the tick was observed.
    pub fn is_fine(&self) -> bool {
        *self == Self::Fine
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Mark {
    at_ms: i64,
    /// None while it has given no number yet: then the first one is where it starts.
    value: Option<u64>,
    /// When its process was started, milliseconds of Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    at_ms: i64,
    is_up: bool,
    /// The last scrape that came through.
    good_ms: Option<i64>,
}

impl Mark {
    /// What was added since, when the counter now stands at `value`.
    fn increment(&self, value: u64, start_ms: Option<i64>) -> u64 {
        let is_new_process = matches!((self.start_ms, start_ms), (Some(old), Some(new)) if new - old > 1000);
        match self.value {
            Some(before) if value >= before && !is_new_process => value - before,
            Some(_) => value,
            None if is_new_process => value,
            None => 0,
        }
    }
}

/// The state of a count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counter {
    /// What happened at or before this is not counted, milliseconds of Unix time.
    from_ms: i64,
    /// Watermark of each series.
    marks: BTreeMap<String, Mark>,
    /// The last scrape of each target.
    targets: BTreeMap<String, Seen>,
}

impl Counter {
    /// Counts what comes after `from_ms`.
    pub fn since(from_ms: i64) -> Self {
        Self { from_ms, ..Self::default() }
    }

    /// Counts every sample up to `upto_ms` that was not counted before.
    pub fn tick(&mut self, window: &Window, upto_ms: i64) -> Counted {
        if window.counters.len() > MOST_SERIES {
            let why = format!("the selector gives {} series; name one server and handler", window.counters.len());
            return Counted { requests: 0, errors: 0, quality: Quality::Unclear(why) };
        }
        let (mut requests, mut errors) = (0_u64, 0_u64);
        let mut doubt = unclear(&window.counters);
        for series in &window.counters {
            let counted = self.count(series, window, upto_ms, &mut doubt);
            requests = requests.saturating_add(counted);
            match series.labels.get("code") {
                Some(code) if code.starts_with('5') => errors = errors.saturating_add(counted),
                Some(_) => {}
                None if counted > 0 => {
                    doubt.get_or_insert_with(|| {
                        "requests were counted without a code: nobody knows which failed".into()
                    });
                }
                None => {}
            }
        }
        let quality = self.quality(window, upto_ms, doubt);
        Counted { requests, errors, quality }
    }

    /// Increments of one series after its watermark.
    fn count(&mut self, series: &Series, window: &Window, upto_ms: i64, doubt: &mut Option<String>) -> u64 {
        let key = key_of(&series.labels);
        let old = self.marks.get(&key).cloned();
        let done = old.as_ref().map_or(i64::MIN, |mark| mark.at_ms);
        let mut fresh: Vec<Sample> =
            series.samples.iter().copied().filter(|sample| sample.at_ms > done && sample.at_ms <= upto_ms).collect();
        if fresh.is_empty() {
            return 0;
        }
        fresh.sort_by_key(|sample| sample.at_ms);
        let target = target_of(&series.labels);
        let starts = window.starts.iter().find(|series| target_of(&series.labels) == target);
        let (mut mark, mut counted) = (old, 0_u64);
        for sample in fresh {
            let start_ms = starts.and_then(|series| start_at(series, sample.at_ms));
            let start_ms = start_ms.or_else(|| mark.as_ref().and_then(|mark| mark.start_ms));
            let before = mark.get_or_insert_with(|| {
                let is_from_zero = self.is_from_zero(window, &target, sample.at_ms, start_ms);
                Mark { at_ms: sample.at_ms, value: is_from_zero.then_some(0), start_ms }
            });
            before.at_ms = sample.at_ms;
            let Some(value) = whole(sample.value) else {
                doubt.get_or_insert_with(|| format!("a counter of {target} is {}", sample.value));
                continue;
            };
            if sample.at_ms > self.from_ms {
                counted = counted.saturating_add(before.increment(value, start_ms));
            }
            (before.value, before.start_ms) = (Some(value), start_ms);
        }
        if let Some(mark) = mark {
            self.marks.insert(key, mark);
        }
        counted
    }

    /// Whether a series first seen at `at_ms` was at 0 before.
    fn is_from_zero(&self, window: &Window, target: &str, at_ms: i64, start_ms: Option<i64>) -> bool {
        let before = latest(window, target, at_ms - 1).and_then(|seen| seen.good_ms);
        let kept = self.targets.get(target).and_then(|seen| seen.good_ms).filter(|good| *good < at_ms);
        before.or(kept).is_some() || start_ms.is_some_and(|start| start > self.from_ms)
    }

    /// What the tick is worth, by the scrapes of its targets.
    fn quality(&mut self, window: &Window, upto_ms: i64, doubt: Option<String>) -> Quality {
        let targets: BTreeSet<String> = window.up.iter().map(|series| target_of(&series.labels)).collect();
        for target in targets {
            if let Some(seen) = latest(window, &target, upto_ms) {
                let kept = self.targets.entry(target).or_insert(seen);
                if kept.at_ms < seen.at_ms {
                    *kept = Seen { good_ms: seen.good_ms.or(kept.good_ms), ..seen };
                }
            }
        }
        let fresh: Vec<(&String, &Seen)> =
            self.targets.iter().filter(|(_, seen)| upto_ms - seen.at_ms <= STALE_MS).collect();
        if let Some(newest) = self.targets.values().map(|seen| seen.at_ms).max()
            && fresh.is_empty()
        {
            return Quality::NoData(format!("the newest sample is {} min old", (upto_ms - newest) / 60_000));
        }
        if fresh.is_empty() {
            return Quality::NoData("Prometheus has no target for this selector".into());
        }
        if let Some((target, _)) = fresh.iter().find(|(_, seen)| !seen.is_up) {
            return Quality::NoData(format!("{target} does not answer Prometheus"));
        }
        if let Some(doubt) = doubt {
            return Quality::Unclear(doubt);
        }
        if self.marks.is_empty() {
            return Quality::NoData("there is no series: no request was ever counted, or `metrics` is off".into());
        }
        Quality::Fine
    }
}

/// The labels as one text, always in the same order.
fn key_of(labels: &BTreeMap<String, String>) -> String {
    let mut key = String::new();
    for (name, value) in labels.iter().filter(|(name, _)| *name != "__name__") {
        key.push_str(name);
        key.push('=');
        // A value may hold any letter: its length keeps two sets of labels apart.
        key.push_str(&value.len().to_string());
        key.push(':');
        key.push_str(value);
        key.push(',');
    }
    key
}

/// The target that a series comes from.
fn target_of(labels: &BTreeMap<String, String>) -> String {
    let of = |name: &str| labels.get(name).map_or("?", String::as_str);
    format!("{} at {}", of("job"), of("instance"))
}

fn whole(value: f64) -> Option<u64> {
    // Exact by the bounds: a whole number from 0 to 2^53.
    ((0.0..=LARGEST).contains(&value) && value.fract() == 0.0).then_some(value as u64)
}

fn latest(window: &Window, target: &str, upto_ms: i64) -> Option<Seen> {
    let own = window.up.iter().filter(|series| target_of(&series.labels) == target);
    let scrapes = own.flat_map(|series| &series.samples).filter(|sample| sample.at_ms <= upto_ms);
    let mut seen: Option<Seen> = None;
    for scrape in scrapes {
        // Anything but 1 is no answer, NaN too.
        let is_up = (scrape.value - 1.0).abs() < f64::EPSILON;
        let seen = seen.get_or_insert(Seen { at_ms: scrape.at_ms, is_up, good_ms: None });
        if scrape.at_ms >= seen.at_ms {
            (seen.at_ms, seen.is_up) = (scrape.at_ms, is_up);
        }
        if is_up {
            seen.good_ms = seen.good_ms.max(Some(scrape.at_ms));
        }
    }
    seen
}

/// When the process was started that was scraped at `at_ms`, milliseconds of Unix time.
fn start_at(series: &Series, at_ms: i64) -> Option<i64> {
    let before = series.samples.iter().filter(|sample| sample.at_ms <= at_ms && sample.value.is_finite());
    before.max_by_key(|sample| sample.at_ms).map(|sample| (sample.value * 1000.0).round() as i64)
}

/// Why the series do not tell how many requests there were and how many failed, if they do not.
fn unclear(counters: &[Series]) -> Option<String> {
    if !counters.is_empty() && series::is_codeless(counters.iter().map(|one| &one.labels)) {
        let why = "the series have no label code: nobody knows which requests failed; name a counter with one in";
        return Some(format!("{why} stabilize.requests"));
    }
    let newest = |one: &Series| one.samples.last().map_or(0.0, |sample| sample.value);
    let doubled = series::doubled(counters.iter().map(|one| (&one.labels, newest(one))))?;
    Some(format!("{}; add {} to stabilize.requests", doubled.words(), doubled.matchers))
}

#[cfg(test)]
mod tests;
