//! Rules: each says ok, breach, no data or cannot ask, with what was seen and since when. What is not known is never ok.

use serde::{Deserialize, Serialize};

use super::ladder::{BLIND_MIN, Level, Voice};

/// What one rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Breach,
    /// Asked, and there is nothing to judge by.
    NoData,
    /// Could not be asked.
    CannotAsk,
}

impl Verdict {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Breach => "breach",
            Self::NoData => "no data",
            Self::CannotAsk => "cannot ask",
        }
    }

    /// Whether nothing is known.
    pub fn is_unknown(self) -> bool {
        matches!(self, Self::NoData | Self::CannotAsk)
    }
}

/// What was seen in this tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What the rule says.
    pub verdict: Verdict,
    /// What was seen, in words with numbers.
    pub evidence: String,
}

impl Finding {
    /// As it should be.
    pub fn ok(evidence: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, evidence: evidence.into() }
    }

    /// Not as it should be.
    pub fn breach(evidence: impl Into<String>) -> Self {
        Self { verdict: Verdict::Breach, evidence: evidence.into() }
    }

    /// Nothing to judge by.
    pub fn no_data(evidence: impl Into<String>) -> Self {
        Self { verdict: Verdict::NoData, evidence: evidence.into() }
    }

    /// Could not be asked.
    pub fn cannot_ask(evidence: impl Into<String>) -> Self {
        Self { verdict: Verdict::CannotAsk, evidence: evidence.into() }
    }
}

/// What a number must not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// More than this is a breach.
    pub above: Option<f64>,
    /// Less than this is a breach.
    pub below: Option<f64>,
}

impl Bounds {
    /// Judges a number; one that is not finite tells nothing.
    pub fn judge(&self, value: f64, unit: &str) -> Finding {
        if !value.is_finite() {
            return Finding::no_data(format!("the value is {value}"));
        }
        match (self.above, self.below) {
            (Some(above), _) if value > above => Finding::breach(format!("{value}{unit}, more than {above}{unit}")),
            (_, Some(below)) if value < below => Finding::breach(format!("{value}{unit}, less than {below}{unit}")),
            _ => Finding::ok(format!("{value}{unit}")),
        }
    }
}

/// What a rule is told beside its question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name; none twice.
    pub name: String,
    /// How much a breach weighs: at most that somebody is told to go back.
    pub level: Level,
    /// How long a breach must last before it counts, seconds.
    pub patience_s: u64,
    /// What to do about a breach.
    pub advice: String,
}

/// What a rule has said so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What it says now.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
    /// Since when it says so, milliseconds of Unix time.
    pub since_ms: i64,
}

impl Standing {
    /// Takes what was seen; whether that is another verdict than before.
    pub fn take(standing: &mut Option<Self>, finding: &Finding, at_ms: i64) -> bool {
        let has_changed = standing.as_ref().is_none_or(|old| old.verdict != finding.verdict);
        let since_ms = match standing {
            Some(old) if !has_changed => old.since_ms,
            _ => at_ms,
        };
        *standing = Some(Self { verdict: finding.verdict, evidence: finding.evidence.clone(), since_ms });
        has_changed
    }

    /// What the rule asks of the ladder. Not knowing for long is a reason to hold, at most; never one to go back.
    pub fn voice(&self, rule: &Rule, at_ms: i64) -> Option<Voice> {
        let lasted_s = u64::try_from((at_ms - self.since_ms) / 1000).unwrap_or(0);
        let (enters, holds) = match self.verdict {
            Verdict::Ok => return None,
            Verdict::Breach if lasted_s >= rule.patience_s => (rule.level, rule.level),
            // It has begun again: it is not calm, although it does not count yet.
            Verdict::Breach => (Level::Ok, rule.level),
            Verdict::NoData | Verdict::CannotAsk if lasted_s > BLIND_MIN * 60 => {
                let level = rule.level.min(Level::Hold);
                (level, level)
            }
            Verdict::NoData | Verdict::CannotAsk => return None,
        };
        let why = format!("{}: {}", rule.name, self.evidence);
        Some(Voice { enters, holds, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(level: Level, patience_s: u64) -> Rule {
        Rule { name: "disk".into(), level, patience_s, advice: "make room".into() }
    }

    #[test]
    fn a_verdict_is_since_its_first_tick_and_its_evidence_is_of_the_last() {
        let mut standing = None;
        assert!(Standing::take(&mut standing, &Finding::breach("4 GiB"), 1000));
        assert!(!Standing::take(&mut standing, &Finding::breach("3 GiB"), 2000));
        let now = standing.clone().unwrap();
        assert_eq!((now.since_ms, now.evidence.as_str()), (1000, "3 GiB"));
        assert!(Standing::take(&mut standing, &Finding::ok("9 GiB"), 3000));
        assert_eq!(standing.unwrap().since_ms, 3000);
    }

    #[test]
    fn a_breach_counts_once_it_has_lasted() {
        let standing = Standing { verdict: Verdict::Breach, evidence: "x".into(), since_ms: 0 };
        let enters = |at_ms| standing.voice(&rule(Level::Hold, 300), at_ms).unwrap().enters;
        assert_eq!([enters(299_000), enters(300_000)], [Level::Ok, Level::Hold]);
    }

    #[test]
    fn not_knowing_is_a_reason_to_hold_after_half_an_hour_and_never_more() {
        for verdict in [Verdict::NoData, Verdict::CannotAsk] {
            let standing = Standing { verdict, evidence: "x".into(), since_ms: 0 };
            let of = |level, min: i64| standing.voice(&rule(level, 0), min * 60_000).map(|voice| voice.enters);
            assert_eq!(of(Level::RollbackRecommended, 30), None);
            assert_eq!(of(Level::RollbackRecommended, 31), Some(Level::Hold));
            assert_eq!(of(Level::Watch, 31), Some(Level::Watch));
        }
    }

    proptest! {
        #[test]
        fn a_number_that_is_none_is_never_ok(bits: u64) {
            let value = f64::from_bits(bits);
            let bounds = Bounds { above: Some(5.0), below: Some(1.0) };
            let verdict = bounds.judge(value, "").verdict;
            let expected = if !value.is_finite() { Verdict::NoData } else if (1.0..=5.0).contains(&value) { Verdict::Ok } else { Verdict::Breach };
            prop_assert_eq!(verdict, expected);
        }
    }
}
