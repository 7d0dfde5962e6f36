//! What a check found. Law: unknown never turns into ok, and what was not asked never counts as passed.

use std::time::Duration;

/// The answer of a check, or of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// A deployment is possible; a person should look.
    Warn,
    /// A deployment would fail, or could not be undone.
    Fail,
    /// It could not be asked; nothing is known.
    Unknown,
    /// It was not asked: somebody said so, or there is nothing to ask.
    Skipped,
}

impl Verdict {
    /// The word for it: `ok`, `warn`, `fail`, `unknown`, `skipped`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }

    /// Exit code of a monitoring plugin: 0 ok, 1 warning, 2 critical, 3 unknown.
    pub fn plugin_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warn => 1,
            Self::Fail => 2,
            Self::Unknown | Self::Skipped => 3,
        }
    }

    /// Fail before unknown before warn before ok; skipped says nothing.
    fn weight(self) -> u8 {
        match self {
            Self::Skipped => 0,
            Self::Ok => 1,
            Self::Warn => 2,
            Self::Unknown => 3,
            Self::Fail => 4,
        }
    }

    /// The worse of two.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }
}

/// A number for monitoring systems.
#[derive(Clone, Debug, PartialEq)]
pub struct Perf {
    /// Its label, such as `disk_state`.
    pub label: String,
    /// The number, in `unit`.
    pub value: f64,
    /// `B`, `s`, `%`, `c`, or nothing for a count.
    pub unit: &'static str,
    /// Where it becomes a warning.
    pub warn: Option<Limit>,
    /// Where it becomes critical.
    pub crit: Option<Limit>,
    /// The smallest it can be.
    pub min: Option<f64>,
    /// The largest it can be.
    pub max: Option<f64>,
}

impl Perf {
    /// A number without limits.
    pub fn plain(label: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { label: label.into(), value, unit, warn: None, crit: None, min: Some(0.0), max: None }
    }
}

/// The side on which a number is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Bad below this.
    Below(f64),
    /// Bad above this.
    Above(f64),
}

/// The answer of one check.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Id of the check; stable.
    pub id: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// What was seen; never the content of a secret.
    pub seen: String,
    /// What to do; there unless the verdict is ok or skipped.
    pub advice: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// Numbers for monitoring systems.
    pub perf: Vec<Perf>,
}

/// All answers, in the order of [`super::CHECKS`].
#[derive(Clone, Debug)]
pub struct Report {
    /// One for each check that was chosen or skipped.
    pub findings: Vec<Finding>,
    /// How long all of it took.
    pub took: Duration,
}

impl Report {
    /// The verdict over everything that was asked; unknown when nothing was.
    pub fn verdict(&self) -> Verdict {
        let worst = self.findings.iter().fold(Verdict::Skipped, |worst, one| worst.or_worse(one.verdict));
        if worst == Verdict::Skipped { Verdict::Unknown } else { worst }
    }

    /// The findings that stop a deployment.
    pub fn stopping(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Fail | Verdict::Unknown))
    }

    /// How many findings have this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }
}

/// What a check hands back, before its id and its time are put to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) verdict: Verdict,
    pub(super) seen: String,
    pub(super) advice: Option<String>,
    pub(super) perf: Vec<Perf>,
}

impl Found {
    pub(super) fn ok(seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, seen: seen.into(), advice: None, perf: Vec::new() }
    }

    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::ok(why) }
    }

    pub(super) fn warn(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, advice: Some(advice.into()), ..Self::ok(seen) }
    }

    pub(super) fn fail(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(seen, advice) }
    }

    pub(super) fn unknown(seen: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, ..Self::warn(seen, advice) }
    }
}

/// Collects the parts of an answer; the worst one decides, and troubles hide what is well.
#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: Vec<Found>,
    perf: Vec<Perf>,
}

impl Parts {
    pub(super) fn good(&mut self, words: impl Into<String>) {
        self.parts.push(Found::ok(words));
    }

    pub(super) fn warn(&mut self, words: impl Into<String>, advice: impl Into<String>) {
        self.parts.push(Found::warn(words, advice));
    }

    pub(super) fn fail(&mut self, words: impl Into<String>, advice: impl Into<String>) {
        self.parts.push(Found::fail(words, advice));
    }

    pub(super) fn unknown(&mut self, words: impl Into<String>, advice: impl Into<String>) {
        self.parts.push(Found::unknown(words, advice));
    }

    /// A part that was judged elsewhere.
    pub(super) fn push(&mut self, mut part: Found) {
        self.perf.append(&mut part.perf);
        self.parts.push(part);
    }

    pub(super) fn perf(&mut self, perf: Perf) {
        self.perf.push(perf);
    }

    /// The whole answer; `nothing` is what is said when there was no part at all.
    pub(super) fn found(self, nothing: &str) -> Found {
        let verdict = self.parts.iter().fold(Verdict::Ok, |worst, part| worst.or_worse(part.verdict));
        let has_trouble = verdict != Verdict::Ok;
        let told: Vec<&Found> = self.parts.iter().filter(|part| (part.verdict != Verdict::Ok) == has_trouble).collect();
        let mut advice: Vec<&str> = Vec::new();
        for one in told.iter().filter_map(|part| part.advice.as_deref()) {
            if !advice.contains(&one) {
                advice.push(one);
            }
        }
        let seen: Vec<&str> = told.iter().map(|part| part.seen.as_str()).collect();
        Found {
            verdict,
            seen: if seen.is_empty() { nothing.to_owned() } else { seen.join("; ") },
            advice: (!advice.is_empty()).then(|| advice.join("; ")),
            perf: self.perf,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: &[Verdict]) -> Report {
        let finding = |&verdict| Finding {
            id: "disk",
            verdict,
            seen: String::new(),
            advice: None,
            took: Duration::ZERO,
            perf: Vec::new(),
        };
        Report { findings: verdicts.iter().map(finding).collect(), took: Duration::ZERO }
    }

    #[test]
    fn fail_is_worse_than_unknown_is_worse_than_warn_is_worse_than_ok() {
        use Verdict::{Fail, Ok, Skipped, Unknown, Warn};
        assert_eq!(report(&[Ok, Warn, Unknown, Fail]).verdict(), Fail);
        assert_eq!(report(&[Unknown, Warn, Ok]).verdict(), Unknown);
        assert_eq!(report(&[Ok, Warn, Skipped]).verdict(), Warn);
        assert_eq!(report(&[Skipped, Ok]).verdict(), Ok);
    }

    #[test]
    fn nothing_asked_is_unknown_and_never_ok() {
        assert_eq!(report(&[]).verdict(), Verdict::Unknown);
        assert_eq!(report(&[Verdict::Skipped]).verdict(), Verdict::Unknown);
        assert_eq!(Verdict::Skipped.plugin_code(), 3);
    }

    #[test]
    fn the_parts_of_an_answer_tell_the_troubles_and_each_advice_once() {
        let mut parts = Parts::default();
        parts.good("a is there");
        parts.warn("b is old", "renew it");
        parts.fail("c is gone", "renew it");
        let found = parts.found("nothing");
        assert_eq!(found, Found::fail("b is old; c is gone", "renew it"));
        assert_eq!(Parts::default().found("nothing"), Found::ok("nothing"));
    }
}
