//! What the authorities answer for one name and type: the new set, the old one, too much, or nothing at all.

use std::collections::BTreeMap;

use super::seen::{Heard, Said, Server, Set, Values, Wanted, Zone};
use super::words::{authorities, list, server, values};
use super::{Count, Finding, Verdict, alias, hints, zone};

/// Whether the server at this place has the set right.
pub(super) fn is_right(set: &Set, index: usize) -> bool {
    set.authority.get(index).and_then(Heard::said).is_some_and(|said| said.is_authoritative && holds(set, said))
}

/// Whether an answer holds what is wanted.
pub(super) fn holds(set: &Set, said: &Said) -> bool {
    if !matches!(said.code.as_str(), "NOERROR" | "NXDOMAIN") {
        return false;
    }
    match &set.wanted {
        // An alias that leads to the right addresses is not the record that was asked for.
        Wanted::Exactly(wanted) if set.kind == "CNAME" || is_proxied(set) => {
            said.values == *wanted || alias::is_same_service(set)
        }
        Wanted::Exactly(wanted) => said.values == *wanted && said.chain.is_empty(),
        Wanted::Hints(wanted) => hints::strangers(&said.values, wanted).is_empty(),
    }
}

/// Whether the provider answers addresses of its own in the place of the set's.
pub(super) fn is_proxied(set: &Set) -> bool {
    set.kind != "CNAME" && !set.flattened.is_empty()
}

/// Authorities that have it right.
pub(super) fn count(zone: &Zone, set: &Set) -> Count {
    let is_counted = |index: &usize| zone.servers.get(*index).is_none_or(zone::is_counted);
    let counted: Vec<usize> = (0..set.authority.len()).filter(is_counted).collect();
    let right = counted.iter().filter(|index| is_right(set, **index)).count();
    Count { right, of: counted.len() }
}

/// Judges; a server that does not answer for the zone at all is the zone's matter.
pub(super) fn judge(zone: &Zone, set: &Set) -> Vec<Finding> {
    let Wanted::Exactly(wanted) = &set.wanted else { return Vec::new() };
    let count = count(zone, set);
    if count.is_full() && count.of > 0 {
        return vec![right(set, wanted, count)];
    }
    // Who answers there is what counts, and is said in a sentence of its own.
    if !set.flattened.is_empty() {
        return Vec::new();
    }
    let mut groups: BTreeMap<Wrong, Vec<&Server>> = BTreeMap::new();
    let mut asked = 0;
    for (index, heard) in set.authority.iter().enumerate() {
        let Some(server) = zone.servers.get(index).filter(|server| zone::is_authority(server)) else { continue };
        asked += 1;
        if !is_right(set, index) {
            groups.entry(wrong(heard)).or_default().push(server);
        }
    }
    if asked == 0 {
        let words = format!("no authority of {} could be asked for it", zone.name);
        let advice = "put the servers of the zone right first; they are judged above";
        return vec![Finding::new("authority", Verdict::Unknown, words, advice)];
    }
    if groups.is_empty() {
        let what = if wanted.is_empty() { "there is none, as it should be,".to_owned() } else { values(wanted) };
        let words =
            format!("{what} at {} of {} authorities; the others could not be asked for it", count.right, count.of);
        let advice = "put the servers of the zone right: they are judged above";
        return vec![Finding::new("authority", Verdict::Warn, words, advice)];
    }
    let right = zone.servers.iter().enumerate().filter(|(index, _)| is_right(set, *index)).map(|(_, server)| server);
    let right: Vec<u32> = right.filter_map(serial).collect();
    let judged = groups.iter().map(|(wrong, servers)| {
        let mut finding = said(set, wanted, wrong, servers, asked);
        let is_same = servers.iter().all(|server| serial(server).is_some_and(|serial| right.contains(&serial)));
        if is_same && servers.len() < asked && finding.verdict == Verdict::Fail {
            finding.advice = SAME_SERIAL.into();
        }
        finding
    });
    judged.collect()
}

/// No transfer will ever mend this.
const SAME_SERIAL: &str = "it has the same serial as those that are right, so no transfer will mend it: raise the serial at the \
                           primary, and find out who changed the copy";

fn serial(server: &Server) -> Option<u32> {
    server.soa.said()?.soa.as_ref().map(|soa| soa.serial)
}

fn right(set: &Set, wanted: &Values, count: Count) -> Finding {
    let all = format!("{} of {} {}", count.right, count.of, authorities(count.of));
    let tcp = set.authority.iter().filter_map(Heard::said).any(|said| said.came_over_tcp);
    let tcp = if tcp { " (over TCP, since it is too long for a packet)" } else { "" };
    let words = match wanted.is_empty() {
        _ if is_proxied(set) => format!("the provider answers it at {all}"),
        true => format!("there is none, as it should be, at {all}"),
        false if !set.flattened.is_empty() => {
            format!("the addresses of {} stand in its place at {all}", values(wanted))
        }
        false => format!("{} at {all}{tcp}", values(wanted)),
    };
    Finding::new("authority", Verdict::Ok, words, "")
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    None { is_unknown_name: bool },
    Values(Values),
    Alias(Vec<String>),
    Code(String),
    Silent(String),
}

fn wrong(heard: &Heard) -> Wrong {
    match heard {
        Heard::Silent(why) => Wrong::Silent(why.clone()),
        Heard::Said(said) if !matches!(said.code.as_str(), "NOERROR" | "NXDOMAIN") => Wrong::Code(said.code.clone()),
        Heard::Said(said) if !said.chain.is_empty() => Wrong::Alias(said.chain.clone()),
        Heard::Said(said) if said.values.is_empty() => Wrong::None { is_unknown_name: said.code == "NXDOMAIN" },
        Heard::Said(said) => Wrong::Values(said.values.clone()),
    }
}

fn said(set: &Set, wanted: &Values, wrong: &Wrong, servers: &[&Server], asked: usize) -> Finding {
    let is_all = servers.len() == asked;
    let who = match is_all {
        true if asked == 1 => "the only authority".to_owned(),
        true if asked == 2 => "both authorities".to_owned(),
        true => format!("all {asked} authorities"),
        false => format!("{} of {asked} authorities, {},", servers.len(), list(servers.iter().map(|one| server(one)))),
    };
    let answers = if servers.len() == 1 { "answers" } else { "answer" };
    match wrong {
        Wrong::Values(found) if wanted.is_empty() => must_go(set, found, &who, answers, is_all),
        Wrong::Values(found) if !wanted.is_empty() && found.is_superset(wanted) => {
            let extra: Values = found - wanted;
            let words = format!("{who} {answers} {} beside {}", values(&extra), values(wanted));
            let advice = format!(
                "delete {} (`cutover dns switch` does it): a share of the visitors is sent there",
                values(&extra)
            );
            Finding::new("authority", Verdict::Fail, words, advice)
        }
        Wrong::Values(found) if set.kind == "HTTPS" && !hints::strangers(found, &hints::hinted(wanted)).is_empty() => {
            stale_hint(set, found, wanted, &who, answers, change(set, wanted, is_all))
        }
        Wrong::Values(found) => {
            let words = format!("{who} {answers} {} instead of {}", values(found), values(wanted));
            Finding::new("authority", Verdict::Fail, words, change(set, wanted, is_all))
        }
        Wrong::None { is_unknown_name } => {
            let none = match is_unknown_name {
                true => format!("{} not know the name {}", do_not(servers.len()), set.name),
                false => format!("{} no {} record of {}", has(servers.len()), set.kind, set.name),
            };
            let words = format!("{who} {none}; it should be {}", values(wanted));
            let mut advice = change(set, wanted, is_all);
            if let Some(inner) = inner_zone(set).filter(|_| *is_unknown_name && is_all) {
                advice += &format!(
                    "; if {inner} is a zone of its own, {} does not hand it on: enter its servers there",
                    set.zone
                );
            }
            Finding::new("authority", Verdict::Fail, words, advice)
        }
        Wrong::Alias(chain) => {
            let what = if wanted.is_empty() { format!("no {} record", set.kind) } else { values(wanted) };
            let first = chain.first().map(String::as_str).unwrap_or_default();
            let words =
                format!("{who} {answers} that {} is an alias (CNAME) of {first}; it should be {what}", set.name);
            let advice = "delete the CNAME record (`cutover dns switch` does it): beside one, no other record of the name counts";
            Finding::new("authority", Verdict::Fail, words, advice)
        }
        Wrong::Code(code) => {
            let words = format!("{who} {answers} {code} for {} {}, though the zone is served", set.name, set.kind);
            Finding::new("authority", Verdict::Unknown, words, "look at that server's log")
        }
        Wrong::Silent(why) => {
            let words = format!("{who} gave no answer for {} {}: {why}", set.name, set.kind);
            let advice = match why.contains("too long for a packet") {
                true => "open TCP port 53 of that server: without it, nobody gets this record",
                false => "ask again; if it stays so, look at that server and the way to it",
            };
            Finding::new("authority", Verdict::Unknown, words, advice)
        }
    }
}

/// What could be a zone between the name and the zone that answers for it; below a top-level domain it is said there.
fn inner_zone(set: &Set) -> Option<&str> {
    let (_, inner) = set.name.split_once('.')?;
    (set.zone.contains('.') && inner.len() > set.zone.len()).then_some(inner)
}

fn do_not(count: usize) -> &'static str {
    if count == 1 { "does" } else { "do" }
}

fn has(count: usize) -> &'static str {
    if count == 1 { "has" } else { "have" }
}

/// Browsers go to a hint before they ask for addresses.
fn stale_hint(set: &Set, found: &Values, wanted: &Values, who: &str, answers: &str, change: String) -> Finding {
    let stale = hints::strangers(found, &hints::hinted(wanted));
    let words = format!(
        "{who} {answers} {} instead of {}; browsers follow the hint at {} before they ask for the addresses of {}",
        values(found),
        values(wanted),
        values(&stale),
        set.name
    );
    Finding::new("https-hint", Verdict::Fail, words, change)
}

/// A record that must not be there; an old AAAA is the one that people overlook.
fn must_go(set: &Set, found: &Values, who: &str, answers: &str, is_all: bool) -> Finding {
    if set.kind == "AAAA" {
        let words = format!("{who} {answers} {}, but no AAAA record is configured for {}", values(found), set.name);
        if !is_all {
            let advice = "wait for the zone transfer, or let that server's operator fetch the zone now: until then a share of \
                          those with IPv6 goes to the old place, and Let's Encrypt tries it first";
            return Finding::new("stale-aaaa", Verdict::Fail, words, advice);
        }
        let advice = format!(
            "delete the AAAA record (`cutover dns switch` does it): everybody with IPv6 still goes to the old place, and Let's Encrypt tries it first; \
             if it is right, write AAAA = [\"{}\"] in [[dns.record]]",
            found.iter().cloned().collect::<Vec<_>>().join("\", \"")
        );
        return Finding::new("stale-aaaa", Verdict::Fail, words, advice);
    }
    let words = format!("{who} {answers} {}, but no {} record is configured for {}", values(found), set.kind, set.name);
    let advice =
        format!("delete the {} record (`cutover dns switch` does it), or configure it in [[dns.record]]", set.kind);
    let hints = hints::hinted(found);
    if set.kind == "HTTPS" && !hints.is_empty() {
        let words = format!("{words}; browsers follow its hint at {} before they ask for addresses", values(&hints));
        return Finding::new("https-hint", Verdict::Fail, words, advice);
    }
    Finding::new("authority", Verdict::Fail, words, advice)
}

fn change(set: &Set, wanted: &Values, is_all: bool) -> String {
    if is_all {
        return format!(
            "set {} {} to {} (`cutover dns switch`), or correct [[dns.record]] if this is what you want",
            set.name,
            set.kind,
            values(wanted)
        );
    }
    "wait for the zone transfer, or let that server's operator fetch the zone now; until then a share of the visitors \
     goes the old way"
        .to_owned()
}
