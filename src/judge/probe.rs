//! The fast path: a total outage is found by asking directly, every 10 s, and believed only where three voices agree.
//!
//! Six failures in a row, a control target that answers (so it is not our own network), and an engine that says that
//! something is ill. Two of the three are a reason to hold, never one to go back.

use serde::{Deserialize, Serialize};

use crate::data::plural::counted;

/// Failures in a row that make an outage.
pub const IN_A_ROW: u32 = 6;
/// The pause between two questions, milliseconds.
pub const PACE_MS: u64 = 10_000;

/// What one round of questions gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
    /// What the route answered: in words what was wrong, or nothing.
    pub failure: Option<String>,
    /// Whether the control target answered; none where there is no such target.
    pub is_control_there: Option<bool>,
}

/// What the engine says about the services; it has its own health checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// All run and are healthy.
    Well,
    /// Something is ill, and what.
    Ill(String),
    /// It could not be asked, and why.
    Unknown(String),
}

/// The state: the failures in a row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    failures: u32,
    /// Those of them while the control target did not answer.
    blind: u32,
    /// Those of them without a control target.
    #[serde(default)]
    uncontrolled: u32,
    since_ms: i64,
    last: String,
}

/// What stands after a round.
#[derive(Clone, Debug, PartialEq)]
pub enum Outage {
    /// The route answers.
    None,
    /// It failed, but not often enough to mean anything.
    Doubt(String),
    /// It failed often enough, but we may be the ones who are cut off.
    Blind(String),
    /// It is out, but the engine sees nothing wrong: hold.
    Alone(String),
    /// It is out, and all voices agree.
    Agreed(String),
}

impl Row {
    /// Takes a round.
    pub fn take(&mut self, asked: &Asked) {
        let Some(failure) = &asked.failure else {
            *self = Self::default();
            return;
        };
        if self.failures == 0 {
            self.since_ms = asked.at_ms;
        }
        self.failures = self.failures.saturating_add(1);
        self.blind = self.blind.saturating_add(u32::from(asked.is_control_there == Some(false)));
        self.uncontrolled = self.uncontrolled.saturating_add(u32::from(asked.is_control_there.is_none()));
        failure.clone_into(&mut self.last);
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the first of them was, milliseconds of Unix time.
    pub fn since_ms(&self) -> Option<i64> {
        (self.failures > 0).then_some(self.since_ms)
    }

    /// Moves the moments with a clock that was set, milliseconds.
    pub fn shift(&mut self, by_ms: i64) {
        self.since_ms += by_ms;
    }

    /// What stands.
    pub fn outage(&self, engine: &Engine) -> Outage {
        let Self { failures, blind, uncontrolled, last, .. } = self;
        let said = format!("{} in a row: {last}", counted(*failures, "failure"));
        match failures {
            0 => Outage::None,
            1..IN_A_ROW => Outage::Doubt(said),
            _ if *blind > 0 => Outage::Blind(format!(
                "{said}; the control target did not answer {blind} of {failures} times, so it may be our own network"
            )),
            _ if *uncontrolled > 0 => Outage::Alone(format!(
                "{said}; no control target is configured (stabilize.control), so it may be our own network"
            )),
            _ => match engine {
                Engine::Ill(what) => Outage::Agreed(format!("{said}; the engine agrees: {what}")),
                Engine::Well => Outage::Alone(format!("{said}; but the engine says that every service is well")),
                Engine::Unknown(why) => Outage::Alone(format!("{said}; the engine could not be asked: {why}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(answers: &[(bool, Option<bool>)]) -> Row {
        let mut row = Row::default();
        for (at_ms, (is_well, is_control_there)) in (0..).zip(answers) {
            let failure = (!is_well).then(|| "502".to_owned());
            row.take(&Asked { at_ms, failure, is_control_there: *is_control_there });
        }
        row
    }

    const ILL: fn() -> Engine = || Engine::Ill("backend is unhealthy".into());

    #[test]
    fn an_outage_needs_six_failures_in_a_row_and_three_voices() {
        let out = [(false, Some(true)); 6];
        assert!(matches!(row(&out).outage(&ILL()), Outage::Agreed(said) if said.contains("backend is unhealthy")));
        assert!(
            matches!(row(&out[1..]).outage(&ILL()), Outage::Doubt(said) if said.starts_with("5 failures in a row"))
        );
        assert!(matches!(row(&out[..1]).outage(&ILL()), Outage::Doubt(said) if said.starts_with("1 failure in a row")));
        assert!(matches!(row(&out).outage(&Engine::Well), Outage::Alone(_)));
        assert!(matches!(row(&out).outage(&Engine::Unknown("away".into())), Outage::Alone(_)));
    }

    #[test]
    fn one_answer_in_between_starts_the_row_anew() {
        let mut answers = vec![(false, Some(true)); 5];
        answers.push((true, Some(true)));
        answers.extend([(false, Some(true)); 5]);
        assert!(matches!(row(&answers).outage(&ILL()), Outage::Doubt(_)));
        assert_eq!(row(&answers).since_ms(), Some(6));
    }

    #[test]
    fn who_may_be_cut_off_himself_does_not_judge() {
        let mut answers = vec![(false, Some(true)); 5];
        answers.push((false, Some(false)));
        assert!(matches!(row(&answers).outage(&ILL()), Outage::Blind(_)));
        let without = row(&[(false, None); 9]).outage(&ILL());
        assert!(matches!(without, Outage::Alone(said) if said.contains("no control target")));
    }
}
