//! What the records were when they were last seen, so that it is known later what caches may still hold, and until when.
//!
//! Kept as a file in the state directory; losing it loses knowledge, never correctness.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::dns::seen::{Before, Heard, Set, Sight, Soa, Values};

/// The memory: `NAME TYPE` and what is known of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Memory {
    sets: BTreeMap<String, Known>,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Known {
    values: Values,
    ttl: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Before>,
}

impl Memory {
    /// Notes what a change replaced; `until` is the last moment at which an authority can have given it.
    pub fn note(&mut self, name: &str, kind: &str, before: Before, now: Values, ttl: u32) {
        self.sets.insert(format!("{name} {kind}"), Known { values: now, ttl, before: Some(before) });
    }

    /// Puts into the sight what was there before, and learns from it.
    pub(super) fn compare(&mut self, sight: &mut Sight) {
        let at = sight.at;
        for set in &mut sight.sets {
            let key = format!("{} {}", set.name, set.kind);
            let known = self.sets.get(&key);
            let Some((values, ttl)) = agreed(set) else {
                // The change is under way: the old value is still given out.
                set.before = known.map(|known| match &known.before {
                    Some(before) if before.until.is_none() => before.clone(),
                    _ => Before { values: known.values.clone(), ttl: known.ttl, until: None },
                });
                continue;
            };
            let before = match known {
                Some(known) if known.values != values => {
                    Some(Before { values: known.values.clone(), ttl: known.ttl, until: Some(at) })
                }
                Some(known) => known.before.clone().map(|before| Before { until: before.until.or(Some(at)), ..before }),
                None => None,
            };
            let is_over = |before: &Before| before.until.is_some_and(|until| until + u64::from(before.ttl) < at);
            let before = before.filter(|before| !is_over(before));
            self.sets.insert(key, Known { values, ttl, before: before.clone() });
            set.before = before;
        }
    }
}

/// What all authorities say, if they say the same.
fn agreed(set: &Set) -> Option<(Values, u32)> {
    // An address that this host cannot reach at all tells nothing; silence of any other may hide the old value.
    let is_out_of_reach = |heard: &&Heard| matches!(heard, Heard::Silent(why) if why.contains("network unreachable"));
    let said: Vec<_> =
        set.authority.iter().filter(|heard| !is_out_of_reach(heard)).map(Heard::said).collect::<Option<_>>()?;
    let first = said.first()?;
    let is_same = said.iter().all(|one| one.is_authoritative && one.values == first.values && one.chain == first.chain);
    let negative = |one: &&crate::judge::dns::seen::Said| one.soa.as_ref().map(Soa::negative_ttl);
    let ttl = said.iter().filter_map(|one| one.ttl.or_else(|| negative(one))).max()?;
    is_same.then(|| (first.values.clone(), ttl))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::dns::seen::{Said, Wanted};

    /// Two authorities that answer these addresses, at this moment.
    fn seen(memory: &mut Memory, at: u64, answers: [&str; 2]) -> Option<Before> {
        let authority = answers.map(|answer| match answer.strip_prefix("silent: ") {
            Some(why) => Heard::Silent(why.to_owned()),
            None => Heard::Said(Said {
                code: "NOERROR".into(),
                is_authoritative: answer != "hearsay",
                values: [answer.to_owned()].into(),
                ttl: Some(3_600),
                ..Said::default()
            }),
        });
        let set = Set {
            zone: "a.test".into(),
            name: "www.a.test".into(),
            kind: "A".into(),
            wanted: Wanted::Exactly(["new".to_owned()].into()),
            authority: authority.to_vec(),
            caches: Vec::new(),
            before: None,
            flattened: Values::new(),
            end: None,
            identity: None,
        };
        let mut sight =
            Sight { at, zones: Vec::new(), sets: vec![set], authorizations: Vec::new(), lost: BTreeMap::new() };
        memory.compare(&mut sight);
        sight.sets.remove(0).before
    }

    #[test]
    fn the_old_value_is_remembered_until_no_honest_cache_can_hold_it() {
        let mut memory = Memory::default();
        let old = |until| Some(Before { values: ["old".to_owned()].into(), ttl: 3_600, until });
        assert_eq!(seen(&mut memory, 1_000, ["old", "old"]), None);
        // Half way: an authority still gives it, so the clock of caches has not begun.
        assert_eq!(seen(&mut memory, 2_000, ["new", "old"]), old(None));
        assert_eq!(seen(&mut memory, 3_000, ["new", "new"]), old(Some(3_000)));
        assert_eq!(seen(&mut memory, 4_000, ["new", "new"]), old(Some(3_000)), "the first sight of all counts");
        let kept = serde_json::to_string(&memory).unwrap();
        let mut memory: Memory = serde_json::from_str(&kept).unwrap();
        assert_eq!(seen(&mut memory, 6_600, ["new", "new"]), old(Some(3_000)));
        assert_eq!(seen(&mut memory, 6_601, ["new", "new"]), None);
    }

    #[test]
    fn silence_and_hearsay_teach_nothing_and_an_address_that_this_host_cannot_reach_hinders_nothing() {
        for answers in [["new", "silent: no answer"], ["hearsay", "hearsay"]] {
            let mut memory = Memory::default();
            assert_eq!(seen(&mut memory, 1_000, answers), None);
            assert_eq!(memory, Memory::default(), "{answers:?}");
        }
        let mut memory = Memory::default();
        seen(&mut memory, 1_000, ["old", "silent: network unreachable"]);
        assert!(seen(&mut memory, 2_000, ["new", "new"]).is_some());
    }

    #[test]
    fn authorities_that_disagree_from_the_first_teach_nothing() {
        let mut memory = Memory::default();
        assert_eq!(seen(&mut memory, 1_000, ["new", "old"]), None);
        assert_eq!(memory, Memory::default());
    }
}
