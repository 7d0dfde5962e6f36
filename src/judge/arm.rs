//! Going back by itself: off unless it was armed, and then only where nothing can be lost. Every objection is named.

use serde::{Deserialize, Serialize};

/// How old a verified export may be, seconds.
pub const EXPORT_S: u64 = 15 * 60;

/// What must be known before the host goes back by itself. What is not known counts against it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// Whether the public names still point to the old system.
    pub is_before_switch: Option<bool>,
    /// Seconds that the arming still holds; none when it was never armed.
    pub armed_for_s: Option<u64>,
    /// Whether nobody can write to the new system yet.
    pub are_writes_gated: Option<bool>,
    /// Age of the last verified export in seconds; none when there is none.
    pub export_age_s: Option<u64>,
    /// Whether this way back was rehearsed.
    pub is_rehearsed: Option<bool>,
    /// Whether the move was declared final.
    pub is_finalized: Option<bool>,
    /// Whether a person put a hold file there.
    pub is_held: bool,
    /// Whether another run holds the lock.
    pub is_locked: bool,
}

/// What stands against going back by itself; nothing means that it may.
pub fn objections(conditions: &Conditions) -> Vec<String> {
    let mut found = Vec::new();
    let mut object = |is_against: bool, words: &str| {
        if is_against {
            found.push(words.to_owned());
        }
    };
    object(conditions.is_held, "a hold file is there");
    object(conditions.is_locked, "another run holds the lock");
    object(conditions.armed_for_s.unwrap_or(0) == 0, "it is not armed, or no longer");
    if conditions.is_before_switch != Some(true) {
        let is_export_young = conditions.export_age_s.is_some_and(|age| age < EXPORT_S);
        let is_safe = conditions.are_writes_gated == Some(true) || is_export_young;
        object(!is_safe, "people may have written since, and there is no verified export younger than 15 min");
        object(conditions.is_rehearsed != Some(true), "this way back was never rehearsed");
        object(conditions.is_finalized != Some(false), "the move was declared final, or nobody knows whether it was");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safe() -> Conditions {
        Conditions {
            is_before_switch: Some(false),
            armed_for_s: Some(60),
            are_writes_gated: Some(false),
            export_age_s: Some(600),
            is_rehearsed: Some(true),
            is_finalized: Some(false),
            is_held: false,
            is_locked: false,
        }
    }

    #[test]
    fn nothing_stands_against_it_when_everything_is_known_to_be_safe() {
        assert_eq!(objections(&safe()), Vec::<String>::new());
        let before = Conditions { is_before_switch: Some(true), armed_for_s: Some(1), ..Conditions::default() };
        assert_eq!(objections(&before), Vec::<String>::new(), "before the switch nothing can be lost");
    }

    #[test]
    fn each_thing_alone_stands_against_it() {
        let cases: [fn(&mut Conditions); 9] = [
            |it| it.armed_for_s = None,
            |it| it.armed_for_s = Some(0),
            |it| it.export_age_s = Some(EXPORT_S),
            |it| it.export_age_s = None,
            |it| it.is_rehearsed = None,
            |it| it.is_finalized = None,
            |it| it.is_finalized = Some(true),
            |it| it.is_held = true,
            |it| it.is_locked = true,
        ];
        for (number, case) in cases.iter().enumerate() {
            let mut conditions = safe();
            case(&mut conditions);
            assert_eq!(objections(&conditions).len(), 1, "case {number}: {:?}", objections(&conditions));
        }
        assert!(objections(&Conditions::default()).len() >= 4, "what nobody knows counts against it");
    }
}
