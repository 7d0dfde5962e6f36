//! Before a switch: the TTL must have been lowered, and long enough ago that no cache still counts by the old one.

use super::seen::{Demand, Heard, Set, Sight, Wanted};
use super::words::{address, list, moment, spoken};
use super::{Finding, Subject, Verdict};

/// Judges every record set that a switch will change; those that are right already do not matter.
pub fn before_switch(sight: &Sight, demand: &Demand) -> Vec<Subject> {
    let is_there = |set: &&Set| {
        let zone = sight.zones.iter().find(|zone| zone.name == set.zone);
        zone.is_some_and(|zone| super::authority::count(zone, set).is_full())
    };
    let exact = sight.sets.iter().filter(|set| matches!(set.wanted, Wanted::Exactly(_)));
    // A provider that proxies a name changes what is behind it at once.
    let exact = exact.filter(|set| !super::authority::is_proxied(set));
    let changes = exact.filter(|set| !is_there(set));
    changes.map(|set| Subject::new(format!("{} {}", set.name, set.kind), vec![judge(sight, set, demand)])).collect()
}

fn judge(sight: &Sight, set: &Set, demand: &Demand) -> Finding {
    let answers: Vec<_> = set.authority.iter().filter_map(Heard::said).filter(|said| said.is_authoritative).collect();
    if answers.is_empty() {
        let words = "no authority could be asked for its TTL";
        return Finding::new("ttl", Verdict::Unknown, words, "put the servers of the zone right first");
    }
    let there_is_none = answers.iter().all(|said| said.is_negative());
    let ttl = |said: &&&super::seen::Said| match said.is_negative() {
        true => said.soa.as_ref().map(super::seen::Soa::negative_ttl),
        false => said.ttl,
    };
    let longest = u64::from(answers.iter().filter_map(|said| ttl(&said)).max().unwrap_or(0));
    let wanted = u64::from(demand.ttl);
    if longest > wanted {
        return too_long(sight, set, there_is_none, longest, wanted);
    }
    // The lowered TTL counts only for those who asked since.
    let held: Vec<(String, u64)> = set
        .caches
        .iter()
        .filter_map(|cache| Some((address(cache.resolver), u64::from(cache.checked.said()?.ttl?))))
        .filter(|(_, left)| *left > wanted)
        .collect();
    if let Some(left) = held.iter().map(|(_, left)| *left).max() {
        let words = format!(
            "the TTL is {} now, but {} still {} the record for {}",
            spoken(longest),
            list(held.iter().map(|(name, _)| name)),
            if held.len() == 1 { "holds" } else { "hold" },
            spoken(left)
        );
        let advice = format!("it was lowered too late for a switch now; switch after {}", moment(sight.at + left));
        return Finding::new("ttl", Verdict::Warn, words, advice);
    }
    Finding::new("ttl", Verdict::Ok, format!("the TTL is {}, lowered early enough", spoken(longest)), "")
}

fn too_long(sight: &Sight, set: &Set, there_is_none: bool, longest: u64, wanted: u64) -> Finding {
    if there_is_none {
        let words =
            format!("there is no {} record yet, and \"there is none\" is kept for {}", set.kind, spoken(longest));
        let advice = format!(
            "lower the minimum of the SOA record to {}, or let nobody ask before the record is there",
            spoken(wanted)
        );
        return Finding::new("ttl", Verdict::Warn, words, advice);
    }
    let words = format!(
        "the TTL is {}, more than {}: after a switch some go to the old place for so long",
        spoken(longest),
        spoken(wanted)
    );
    let advice = format!("lower it to {} now, and switch after {}", spoken(wanted), moment(sight.at + longest));
    Finding::new("ttl", Verdict::Fail, words, advice)
}
