//! The ladder of verdicts: up at once, down one level at a time after half an hour of calm that was really observed.

use serde::{Deserialize, Serialize};

/// Observed minutes under half of a level's entry after which it is left.
pub const CALM_MIN: u32 = 30;
/// Minutes of not knowing after which it is a reason to hold.
pub const BLIND_MIN: u64 = 30;

/// A verdict on the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Nothing is wrong as far as can be seen.
    #[default]
    Ok,
    /// Something is worth a look.
    Watch,
    /// Change nothing now; somebody has to look.
    Hold,
    /// Go back: the evidence is complete.
    RollbackRecommended,
    /// Going back, because it was armed.
    Rollback,
}

impl Level {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Watch => "WATCH",
            Self::Hold => "HOLD",
            Self::RollbackRecommended => "ROLLBACK-RECOMMENDED",
            Self::Rollback => "ROLLBACK",
        }
    }

    fn below(self) -> Self {
        match self {
            Self::Ok | Self::Watch => Self::Ok,
            Self::Hold => Self::Watch,
            Self::RollbackRecommended | Self::Rollback => Self::Hold,
        }
    }
}

/// What one voice asks for in this tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    /// The level that it wants now.
    pub enters: Level,
    /// The level that it still holds: its evidence is above half of that level's entry.
    pub holds: Level,
    /// Why, in words.
    pub why: String,
}

/// The state of the ladder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// The verdict.
    pub level: Level,
    /// Since when, milliseconds of Unix time.
    pub since_ms: i64,
    /// Why it was entered.
    pub why: String,
    calm_min: u32,
}

impl Ladder {
    /// A ladder at its foot.
    pub fn at(since_ms: i64) -> Self {
        Self { since_ms, ..Self::default() }
    }

    /// Takes a tick of one minute. `is_observed` is false where the time does not count: not knowing is not calm.
    pub fn tick(&mut self, at_ms: i64, voices: &[Voice], is_observed: bool) -> Level {
        let wanted = voices.iter().max_by_key(|voice| voice.enters);
        let held = voices.iter().map(|voice| voice.holds.max(voice.enters)).max().unwrap_or_default();
        if let Some(voice) = wanted.filter(|voice| voice.enters > self.level) {
            *self = Self { level: voice.enters, since_ms: at_ms, why: voice.why.clone(), calm_min: 0 };
            return self.level;
        }
        if self.level == Level::Ok || held >= self.level {
            self.calm_min = 0;
        } else if is_observed {
            self.calm_min += 1;
        }
        if self.calm_min >= CALM_MIN {
            let was = self.level;
            let level = was.below().max(held);
            let why = format!("{} min of calm after {}", self.calm_min, was.word());
            *self = Self { level, since_ms: at_ms, why, calm_min: 0 };
        }
        self.level
    }

    /// Observed minutes of calm that are still missing before the level is left.
    pub fn calm_missing(&self) -> u32 {
        CALM_MIN.saturating_sub(self.calm_min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn voice(enters: Level, holds: Level) -> Vec<Voice> {
        vec![Voice { enters, holds, why: "errors".into() }]
    }

    const LEVELS: [Level; 4] = [Level::Ok, Level::Watch, Level::Hold, Level::RollbackRecommended];

    #[test]
    fn it_goes_up_at_once_and_comes_down_one_level_after_half_an_hour_each() {
        let mut ladder = Ladder::at(0);
        assert_eq!(ladder.tick(1, &voice(Level::RollbackRecommended, Level::RollbackRecommended), true), LEVELS[3]);
        let levels: Vec<Level> = (2..100).map(|at| ladder.tick(at, &voice(Level::Ok, Level::Ok), true)).collect();
        let first = |level| levels.iter().position(|seen| *seen == level);
        assert_eq!([Level::Hold, Level::Watch, Level::Ok].map(first), [Some(29), Some(59), Some(89)]);
        assert_eq!(ladder.why, "30 min of calm after WATCH");
    }

    #[test]
    fn what_is_above_half_of_its_entry_keeps_its_level() {
        let mut ladder = Ladder::at(0);
        ladder.tick(0, &voice(Level::Hold, Level::Hold), true);
        for at in 0..200 {
            assert_eq!(ladder.tick(at, &voice(Level::Ok, Level::Hold), true), Level::Hold);
        }
    }

    #[test]
    fn time_that_nobody_observed_is_no_calm() {
        let mut ladder = Ladder::at(0);
        ladder.tick(0, &voice(Level::Watch, Level::Watch), true);
        for at in 0..200 {
            assert_eq!(ladder.tick(at, &[], false), Level::Watch);
        }
    }

    proptest! {
        #[test]
        fn it_is_never_below_what_is_asked_now(ticks in prop::collection::vec((0usize..4, 0usize..4, any::<bool>()), 0..200)) {
            let mut ladder = Ladder::at(0);
            for (at, (enters, holds, is_observed)) in (0..).zip(ticks) {
                let before = ladder.level;
                let level = ladder.tick(at, &voice(LEVELS[enters], LEVELS[holds]), is_observed);
                prop_assert!(level >= LEVELS[enters]);
                prop_assert!(level >= before.below());
                prop_assert!(is_observed || level >= before);
            }
        }
    }
}
