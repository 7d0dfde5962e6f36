//! A zone: the parent and the zone must name the same servers, and each of them must answer for it, with one serial.

use std::collections::{BTreeMap, BTreeSet};

use super::seen::{Delegation, Heard, Said, Server, Set, Values, Zone};
use super::words::{list, server};
use super::{Finding, Subject, Verdict, authority};

/// Judges a zone; the sets say whether a different serial does harm.
pub(super) fn judge(zone: &Zone, sets: &[Set]) -> Subject {
    let mut findings = delegation(zone);
    findings.extend(undelegated(zone, sets));
    findings.extend(glue(zone));
    findings.extend(addresses(zone));
    findings.extend(zone.servers.iter().filter_map(|one| answering(zone, one)));
    findings.extend(serials(zone, sets));
    if findings.is_empty() {
        let names: BTreeSet<&str> = zone.servers.iter().map(|server| server.name.as_str()).collect();
        let words = match zone.servers.is_empty() {
            true => "no server of it is known".to_owned(),
            false if names.len() == 1 => format!("{} answers for it at every address", list(names)),
            false => format!("{} answer for it at every address, with one serial", list(names)),
        };
        let verdict = if zone.servers.is_empty() { Verdict::Unknown } else { Verdict::Ok };
        findings.push(Finding::new("servers", verdict, words, ""));
    }
    Subject::new(zone.name.clone(), findings)
}

/// Whether a server answers for the zone: authoritatively, with the zone's SOA record.
pub(super) fn is_authority(server: &Server) -> bool {
    server.soa.said().is_some_and(|said| said.is_authoritative && said.code == "NOERROR" && !said.values.is_empty())
}

/// Whether a server counts: an IPv6 address counts for nothing on a host that has no way out over IPv6.
pub(super) fn is_counted(server: &Server) -> bool {
    !(server.address.is_ipv6() && matches!(&server.soa, Heard::Silent(why) if why.contains("network unreachable")))
}

/// The names that the zone gives itself, by the servers that answer for it.
fn own_names(zone: &Zone) -> Option<Values> {
    let sets = zone.servers.iter().filter(|one| is_authority(one)).filter_map(|one| one.ns.said());
    sets.map(|said| said.values.clone()).filter(|names| !names.is_empty()).reduce(|all, more| &all | &more)
}

fn delegation(zone: &Zone) -> Vec<Finding> {
    let names = match &zone.delegation {
        Delegation::To { names, .. } => names,
        Delegation::Within => return Vec::new(),
        Delegation::Nowhere(why) => {
            let words = format!("the parent does not hand {} on: {why}", zone.name);
            let advice = "enter its name servers at the registrar, or in the zone above it; until then nobody finds any of its names";
            return vec![Finding::new("delegation", Verdict::Fail, words, advice)];
        }
        Delegation::Unknown(why) => {
            let words = format!("the parent's servers could not be asked for {}: {why}", zone.name);
            let advice = "let this host reach port 53 of the servers in dns.roots, or ask again later";
            return vec![Finding::new("delegation", Verdict::Unknown, words, advice)];
        }
    };
    let Some(own) = own_names(zone) else { return Vec::new() };
    let advice = "make both lists the same: NS records of the zone, and name servers at the registrar";
    let mut findings = Vec::new();
    let only_there: Vec<&String> = names.difference(&own).collect();
    if !only_there.is_empty() {
        let words =
            format!("the parent names {} as a server of {}, the zone itself does not", list(only_there), zone.name);
        findings.push(Finding::new("delegation", Verdict::Warn, words, advice));
    }
    let only_here: Vec<&String> = own.difference(names).collect();
    if !only_here.is_empty() {
        let words = format!("{} names {} as its server, the parent does not", zone.name, list(only_here));
        findings.push(Finding::new("delegation", Verdict::Warn, words, advice));
    }
    findings
}

/// A top-level domain is nobody's to switch: where it answers itself, the zone that was meant is handed on to nobody.
fn undelegated(zone: &Zone, sets: &[Set]) -> Option<Finding> {
    let is_unknown = |set: &&Set| {
        let mut said = set.authority.iter().filter_map(Heard::said).peekable();
        set.zone == zone.name && said.peek().is_some() && said.all(|said| said.code == "NXDOMAIN")
    };
    let lost = sets.iter().find(is_unknown).filter(|_| !zone.name.trim_matches('.').contains('.'))?;
    let words =
        format!("the servers of {} answer for {} themselves: they hand on no zone that holds it", zone.name, lost.name);
    let advice = "the domain is not registered, or no name servers are entered at its registrar; until they are, nobody finds any \
                  of its names";
    Some(Finding::new("delegation", Verdict::Fail, words, advice))
}

fn glue(zone: &Zone) -> Vec<Finding> {
    let Delegation::To { glue, .. } = &zone.delegation else { return Vec::new() };
    let differs = |(name, at_parent): (&String, &BTreeSet<_>)| {
        let own = zone.own_addresses.get(name).filter(|own| !own.is_empty() && *own != at_parent)?;
        let said = |addresses: &BTreeSet<std::net::IpAddr>| list(addresses.iter().map(ToString::to_string));
        let words = format!("{name} has the address {} at the parent and {} in the zone", said(at_parent), said(own));
        let advice = "correct the address at the registrar: resolvers that start from the parent ask the wrong one";
        Some(Finding::new("glue", Verdict::Warn, words, advice))
    };
    glue.iter().filter_map(differs).collect()
}

fn addresses(zone: &Zone) -> Vec<Finding> {
    let missing = |(name, why): (&String, &String)| {
        let words = format!("{name} is named as a server of {}, but has no address: {why}", zone.name);
        let advice = "give it an A or AAAA record, or take it out of the list: in the zone's own NS records and at the registrar";
        Finding::new("server", Verdict::Fail, words, advice)
    };
    let unknown = |(name, why): (&String, &String)| {
        let words = format!("the addresses of {name}, a server of {}, could not all be looked up: {why}", zone.name);
        let advice = "ask again; if it stays so, look at the resolvers of dns.resolvers: until then nobody knows what it answers";
        Finding::new("server", Verdict::Unknown, words, advice)
    };
    zone.without_address.iter().map(missing).chain(zone.unknown_address.iter().map(unknown)).collect()
}

fn answering(zone: &Zone, one: &Server) -> Option<Finding> {
    if is_authority(one) {
        return None;
    }
    Some(match &one.soa {
        Heard::Silent(why) => silent(zone, one, why),
        Heard::Said(said) => {
            let words =
                format!("{} is named as a server of {}, but {}", server(one), zone.name, without_authority(said));
            let advice = match said.code.as_str() {
                "SERVFAIL" => "look at that server's log: it holds the zone but cannot load it, or it has expired",
                _ => {
                    "load the zone at that server, or take the server out of the list: in the zone's own NS records and at the \
                     registrar"
                }
            };
            Finding::new("lame", Verdict::Fail, words, advice)
        }
    })
}

fn without_authority(said: &Said) -> String {
    match said.code.as_str() {
        "NOERROR" if said.is_authoritative => "has no SOA record of it".into(),
        "NOERROR" => "answers without authority (no AA)".into(),
        code => format!("answers {code}"),
    }
}

fn silent(zone: &Zone, one: &Server, why: &str) -> Finding {
    let words = format!("{}, a server of {}, could not be asked: {why}", server(one), zone.name);
    if !is_counted(one) {
        let words = format!(
            "{}, a server of {}, was not asked and is not counted: this host has no IPv6",
            server(one),
            zone.name
        );
        let advice = "ask once from a host that has IPv6: half of the visitors come that way";
        return Finding::new("silent", Verdict::Warn, words, advice);
    }
    let advice = if why.contains("too long for a packet") {
        "open TCP port 53 of that server: without it, resolvers get no long answers"
    } else {
        "look whether it runs and whether a firewall closes port 53 (UDP and TCP); resolvers lose time on it"
    };
    Finding::new("silent", Verdict::Unknown, words, advice)
}

fn serials(zone: &Zone, sets: &[Set]) -> Option<Finding> {
    let mut by_serial: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for one in zone.servers.iter().filter(|one| is_authority(one)) {
        if let Some(soa) = one.soa.said().and_then(|said| said.soa.as_ref()) {
            by_serial.entry(soa.serial).or_default().push(server(one));
        }
    }
    if by_serial.len() < 2 {
        return None;
    }
    let said = list(by_serial.iter().map(|(serial, servers)| format!("{serial} at {}", list(servers))));
    let words = format!("the servers of {} have different serials: {said}", zone.name);
    let mut ours = sets.iter().filter(|set| set.zone == zone.name);
    let is_harmless = ours.all(|set| authority::count(zone, set).is_full());
    Some(if is_harmless {
        let advice =
            "every configured record is right all the same; look again in a while whether the transfers arrive";
        Finding::new("serial", Verdict::Warn, words, advice)
    } else {
        let advice = "a copy lags: wait for its transfer, or let its operator fetch the zone now";
        Finding::new("serial", Verdict::Fail, words, advice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(second: Heard) -> Zone {
        let good = Heard::Said(Said {
            code: "NOERROR".into(),
            is_authoritative: true,
            values: ["soa".to_owned()].into(),
            ..Said::default()
        });
        let server = |name: &str, address: &str, soa: Heard| Server {
            name: name.into(),
            address: address.parse().unwrap(),
            soa,
            ns: Heard::Silent("not asked".into()),
        };
        Zone {
            name: "a.test".into(),
            delegation: Delegation::Within,
            servers: vec![server("ns1.a.test", "192.0.2.1:53", good), server("ns1.a.test", "[2001:db8::1]:53", second)],
            without_address: BTreeMap::new(),
            unknown_address: BTreeMap::new(),
            own_addresses: BTreeMap::new(),
        }
    }

    #[test]
    fn an_address_that_this_host_has_no_way_to_is_said_and_not_counted() {
        let zone = zone(Heard::Silent("network unreachable".into()));
        let subject = judge(&zone, &[]);
        assert_eq!(subject.verdict, Verdict::Warn);
        assert_eq!(
            subject.findings[0].words,
            "ns1.a.test (2001:db8::1), a server of a.test, was not asked and is not counted: this host has no IPv6"
        );
        assert!(!is_counted(&zone.servers[1]) && is_counted(&zone.servers[0]));
    }

    #[test]
    fn a_server_whose_addresses_could_not_be_looked_up_is_unknown_and_not_said_to_have_none() {
        let mut zone = zone(Heard::Silent("network unreachable".into()));
        zone.unknown_address.insert("ns2.a.test".into(), "a resolver answers SERVFAIL to AAAA".into());
        let subject = judge(&zone, &[]);
        assert_eq!(subject.verdict, Verdict::Unknown);
        let words = "the addresses of ns2.a.test, a server of a.test, could not all be looked up: a resolver answers SERVFAIL to \
                     AAAA";
        assert!(subject.findings.iter().any(|one| one.words == words), "{:?}", subject.findings);
    }

    #[test]
    fn an_address_that_stays_silent_counts() {
        let zone = zone(Heard::Silent("no answer within 2.0 s".into()));
        assert_eq!(judge(&zone, &[]).verdict, Verdict::Unknown);
        assert!(is_counted(&zone.servers[1]));
    }
}
