//! What resolvers still hand out, for how long at most, and why some cannot answer at all.

use std::collections::BTreeMap;

use super::seen::{Cache, Demand, Heard, Said, Set, Values, Wanted, Zone};
use super::words::{address, list, moment, spoken, values};
use super::{Count, Finding, Verdict, authority};

/// What there is to say.
pub(super) struct Judged {
    pub(super) findings: Vec<Finding>,
    pub(super) count: Count,
    pub(super) old_until: Option<u64>,
}

/// Whether a resolver has the set right.
pub(super) fn is_right(set: &Set, cache: &Cache) -> bool {
    cache.checked.said().is_some_and(|said| authority::holds(set, said))
}

/// Why a resolver has it wrong.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    Old(Values),
    Nothing,
    Strange(Values),
    /// With the moment at which its signatures ended, where they did.
    Forged(Option<u64>),
    Failing(String),
    Closed(String),
    Silent(String),
}

/// Judges.
pub(super) fn judge(at: u64, zone: &Zone, set: &Set, demand: &Demand) -> Judged {
    let count = Count { right: set.caches.iter().filter(|cache| is_right(set, cache)).count(), of: set.caches.len() };
    let is_settled = authority::count(zone, set).is_full();
    let mut findings = Vec::new();
    if set.caches.is_empty() {
        findings.extend(left_alone(zone, set));
    }
    let mut groups: BTreeMap<Why, Vec<(&Cache, Option<u64>)>> = BTreeMap::new();
    for cache in set.caches.iter().filter(|cache| !is_right(set, cache)) {
        let (why, left) = why(at, set, cache);
        // Whoever fails on hints fails on the addresses too, where it is said.
        if matches!(set.wanted, Wanted::Hints(_)) && !matches!(why, Why::Old(_)) {
            continue;
        }
        groups.entry(why).or_default().push((cache, left));
    }
    let is_enough = count.right >= demand.quorum.min(count.of);
    for (why, caches) in &groups {
        findings.push(said(set, why, caches, count, is_enough, is_settled));
    }
    if groups.is_empty() && count.of > 0 && matches!(set.wanted, Wanted::Exactly(_)) {
        let checked = set.caches.iter().all(|cache| cache.checked.said().is_some_and(|said| said.is_authenticated));
        let checked = if checked { ", with DNSSEC checked" } else { "" };
        let words = format!("{} of {} resolvers have it{checked}", count.right, count.of);
        findings.push(Finding::new("caches", Verdict::Ok, words, ""));
    }
    let left = groups.values().flatten().filter_map(|(_, left)| *left).max();
    let old_until = old_until(at, set, is_settled, left);
    let is_none = groups.keys().all(|why| !matches!(why, Why::Old(_)))
        && groups.keys().any(|why| *why == Why::Nothing)
        && set.before.as_ref().is_none_or(|before| before.values.is_empty());
    findings.extend(latest(at, set, old_until, is_none));
    Judged { findings, count, old_until }
}

/// Nobody was asked: "there is none" would be remembered, and the name would be missing after it is there.
fn left_alone(zone: &Zone, set: &Set) -> Option<Finding> {
    let Wanted::Exactly(wanted) = &set.wanted else { return None };
    if wanted.is_empty() || !set.flattened.is_empty() {
        return None;
    }
    let is_unknown = set.authority.iter().filter_map(Heard::said).all(|said| said.code == "NXDOMAIN");
    let what = match is_unknown {
        true => format!("{} does not exist yet", set.name),
        false => format!("{} has no {} record yet", set.name, set.kind),
    };
    let soa = zone.servers.iter().filter_map(|server| server.soa.said()?.soa.as_ref()).next()?;
    let kept = spoken(u64::from(soa.negative_ttl()));
    let words = format!(
        "no resolver was asked: {what}, and whoever asks for it now remembers that for {kept}, the smaller of the SOA record's \
         TTL and its minimum"
    );
    Some(Finding::new(
        "negative",
        Verdict::Warn,
        words,
        "create the record first, and let nobody open the name in a browser before that",
    ))
}

fn why(at: u64, set: &Set, cache: &Cache) -> (Why, Option<u64>) {
    let said = match &cache.checked {
        Heard::Silent(why) => return (Why::Silent(why.clone()), None),
        Heard::Said(said) => said,
    };
    let ttl = |said: &Said| said.ttl.map(u64::from);
    match said.code.as_str() {
        "NOERROR" | "NXDOMAIN" if said.is_negative() => {
            (Why::Nothing, said.soa.as_ref().map(|soa| u64::from(soa.negative_ttl())))
        }
        "NOERROR" | "NXDOMAIN" => {
            let found = if said.values.is_empty() { said.chain.iter().cloned().collect() } else { said.values.clone() };
            let is_strange = set.before.as_ref().is_some_and(|before| before.values != found && said.chain.is_empty());
            if is_strange { (Why::Strange(found), ttl(said)) } else { (Why::Old(found), ttl(said)) }
        }
        "SERVFAIL" if unchecked(cache).is_some_and(|said| said.code == "NOERROR" || said.code == "NXDOMAIN") => {
            (Why::Forged(unchecked(cache).and_then(|said| said.signed_until).filter(|end| *end < at)), None)
        }
        "REFUSED" | "NOTAUTH" | "NOTIMP" => (Why::Closed(said.code.clone()), None),
        code => (Why::Failing(code.to_owned()), None),
    }
}

fn unchecked(cache: &Cache) -> Option<&Said> {
    cache.unchecked.as_ref().and_then(Heard::said)
}

fn said(
    set: &Set,
    why: &Why,
    caches: &[(&Cache, Option<u64>)],
    count: Count,
    is_enough: bool,
    is_settled: bool,
) -> Finding {
    let left = caches.iter().filter_map(|(_, left)| *left).max();
    let names = list(caches.iter().map(|(cache, _)| address(cache.resolver)));
    let who = format!("{} of {} resolvers ({names})", caches.len(), count.of);
    let one = caches.len() == 1;
    // What time will mend is no alarm once enough have the new set.
    let by_time = if is_enough { Verdict::Ok } else { Verdict::Warn };
    let for_at_most = left.map_or_else(String::new, |left| format!(", for at most {} more", spoken(left)));
    let wait = match is_settled {
        true => "nothing to do but wait; the old system must go on answering",
        false => "put the authorities right first; resolvers follow them",
    };
    match why {
        Why::Old(found) => {
            let hand = if one { "hands" } else { "hand" };
            let words = format!("{who} still {hand} out {}{for_at_most}", values(found));
            Finding::new("caches", by_time, words, wait)
        }
        Why::Nothing => {
            let remember = if one { "remembers" } else { "remember" };
            let words = format!("{who} {remember} that there is no {} record of {}{for_at_most}", set.kind, set.name);
            let advice = match is_settled {
                true => "wait: a \"there is none\" is kept for the smaller of the SOA record's TTL and its minimum",
                false => {
                    "create the record first; \"there is none\" is kept for the smaller of the SOA record's TTL and its \
                          minimum"
                }
            };
            Finding::new("negative", by_time, words, advice)
        }
        Why::Strange(found) => {
            let hand = if one { "hands" } else { "hand" };
            let words = format!("{who} {hand} out {}, which is neither the old value nor the new one", values(found));
            let advice = "somebody filters or rewrites answers there; take another resolver in dns.resolvers, and tell its users";
            Finding::new("caches", Verdict::Warn, words, advice)
        }
        Why::Forged(ended) => {
            let hold = if one { "holds" } else { "hold" };
            let words = format!(
                "{who} {hold} the answer for forged: SERVFAIL with DNSSEC checking, an answer without it; for their users {} \
                 does not exist",
                set.name
            );
            let Some(ended) = ended else {
                let advice = "correct the DS record at the registrar, or sign the zone again; if nobody can, take the DS record \
                              out and wait for its TTL";
                return Finding::new("dnssec", Verdict::Fail, words, advice);
            };
            let words = format!("{words}; its signatures ended {}", moment(*ended));
            let advice = "sign the zone again now, and find out why it is not signed anew by itself; if nobody can, take the DS \
                          record out at the registrar and wait for its TTL";
            Finding::new("dnssec", Verdict::Fail, words, advice)
        }
        Why::Failing(code) => {
            let answer = if one { "answers" } else { "answer" };
            let words =
                format!("{who} {answer} {code} for {} {}, with and without DNSSEC checking", set.name, set.kind);
            let advice = "put right what is marked above; where nothing is, ask again in some minutes: a resolver remembers for a while \
                          that it could reach no authority";
            let verdict = if is_enough { Verdict::Warn } else { Verdict::Fail };
            Finding::new("caches", verdict, words, advice)
        }
        Why::Closed(code) => {
            let answer = if one { "answers" } else { "answer" };
            let words = format!("{who} {answer} {code}: it is no resolver for this host");
            Finding::new("caches", Verdict::Unknown, words, "take another resolver in dns.resolvers")
        }
        Why::Silent(why) => {
            let words = format!("{who} could not be asked: {why}");
            let advice = "ask again, or take another resolver in dns.resolvers";
            Finding::new("caches", Verdict::Unknown, words, advice)
        }
    }
}

/// The last moment at which an honest cache can hold the old value. While an authority still gives it, there is none.
fn old_until(at: u64, set: &Set, is_settled: bool, left: Option<u64>) -> Option<u64> {
    if !is_settled {
        return None;
    }
    let by_change = set.before.as_ref().and_then(|before| Some(before.until? + u64::from(before.ttl)));
    // What was seen in a cache counts also where nothing is known of the change.
    by_change.max(left.map(|left| at + left)).filter(|until| *until > at)
}

fn latest(at: u64, set: &Set, old_until: Option<u64>, is_none: bool) -> Option<Finding> {
    let until = old_until?;
    let known = set.before.as_ref().is_some_and(|before| before.until.is_some());
    let old = if is_none { "the old answer, that there is none," } else { "the old value" };
    let words = match known {
        true => format!("an honest cache can hold {old} until {} ({} more)", moment(until), spoken(until - at)),
        false => format!(
            "the resolvers asked hold {old} until {} at most; others may hold it longer, for the old TTL was not seen before \
             the change",
            moment(until)
        ),
    };
    let advice = match is_none {
        true => "until then some visitors do not find the name at all; nothing shortens that",
        false => "some keep records longer than allowed: keep the old system answering for 48 h",
    };
    Some(Finding::new("latest", Verdict::Ok, words, advice))
}
