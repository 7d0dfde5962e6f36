//! `dns`: the records can be switched soon: zone well, TTL lowered and long enough ago, the issuer allowed. Where they are
//! as configured already, there is nothing to ask.

use std::net::{IpAddr, SocketAddr};

use super::Ask;
use super::finding::Found;
use crate::adapter::clock;
use crate::adapter::dns::value::canonical;
use crate::config::{Config, Dns as Settings, Record};
use crate::dns::certificate::challenge;
use crate::dns::{Memory, Name, Origin, ROOTS, Wish, survey};
use crate::judge::certificate::judge_challenge;
use crate::judge::dns::seen::{Demand, Values};
use crate::judge::dns::{self, Subject};

/// What the configuration wants to be asked.
pub fn wish(config: &Config, settings: &Settings) -> Wish {
    let roots = match settings.roots.is_empty() {
        true => ROOTS.iter().map(|address| SocketAddr::new(*address, 53)).collect(),
        false => settings.roots.clone(),
    };
    let identity_path =
        config.caddy.as_ref().map_or("/.well-known/cutover-id", |caddy| &caddy.identity_path).to_owned();
    Wish {
        names: settings.records.iter().map(name).collect(),
        zone: settings.zone.as_ref().map(|zone| zone.trim_end_matches('.').to_ascii_lowercase()),
        resolvers: settings.resolvers.clone(),
        roots,
        port: settings.port,
        timeout: settings.timeout,
        origin: Origin {
            addresses: origin(settings),
            https_port: settings.https_port,
            http_port: settings.http_port,
            identity_path,
            ca_certificate: settings.ca_certificate.clone(),
        },
    }
}

/// What the configuration demands.
pub fn demand(settings: &Settings) -> Demand {
    Demand {
        quorum: settings.quorum as usize,
        issuers: settings.issuers.clone(),
        ttl: u32::try_from(settings.ttl.as_secs()).unwrap_or(u32::MAX),
    }
}

fn name(record: &Record) -> Name {
    let mut name =
        Name { name: record.name.clone(), sets: std::collections::BTreeMap::new(), is_proxied: record.is_proxied };
    let mut add = |kind: &str, values: Values| name.sets.insert(kind.to_owned(), values);
    match &record.cname {
        Some(target) => {
            add("CNAME", [target.clone()].into());
        }
        None => {
            add("A", record.a.iter().map(ToString::to_string).collect());
            add("AAAA", record.aaaa.iter().map(ToString::to_string).collect());
        }
    }
    for (kind, values) in [("TXT", &record.txt), ("CAA", &record.caa), ("HTTPS", &record.https)] {
        if let Some(values) = values {
            add(kind, values.iter().map(|value| canonical(kind, value)).collect());
        }
    }
    name
}

fn origin(settings: &Settings) -> Vec<IpAddr> {
    if !settings.origin.is_empty() {
        return settings.origin.clone();
    }
    let v4 = settings.records.iter().flat_map(|record| record.a.iter().copied().map(IpAddr::V4));
    let v6 = settings.records.iter().flat_map(|record| record.aaaa.iter().copied().map(IpAddr::V6));
    let mut all: Vec<IpAddr> = v4.chain(v6).collect();
    all.sort();
    all.dedup();
    all
}

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let Some(settings) = &ask.config().dns else { return Found::skipped("no [dns] is configured") };
    if settings.records.is_empty() {
        return Found::skipped("no [[dns.record]] is configured");
    }
    let (wish, demand) = (wish(ask.config(), settings), demand(settings));
    let mut memory = Memory::default();
    let sight = ask.wait("the name servers", survey(&wish, &mut memory, clock::unix_seconds())).await;
    let picture = dns::judge(&sight, &demand);
    if picture.is_good() {
        return Found::ok(format!("every name is as configured: {}", picture.headline()));
    }
    // What a switch will put right is no trouble before it; what stands in its way is.
    let mut subjects: Vec<Subject> = dns::before_switch(&sight, &demand);
    subjects.extend(challenges(ask, &wish).await);
    let in_the_way = |subject: &&Subject| subject.authority.is_none();
    subjects.extend(picture.subjects.iter().filter(in_the_way).cloned());
    said(&subjects)
}

/// Whether an ACME challenge would reach Caddy at the new system, once the names lead there.
async fn challenges(ask: &Ask<'_>, wish: &Wish) -> Vec<Subject> {
    let mut subjects = Vec::new();
    if ask.config().caddy.is_none() {
        return subjects;
    }
    let Some(name) = wish.served_names().into_iter().next() else { return subjects };
    for address in &wish.origin.addresses {
        let at = SocketAddr::new(*address, wish.origin.http_port);
        let picture = judge_challenge(&ask.wait(format!("port 80 of {address}"), challenge(&name, at)).await);
        subjects.push(Subject::of_certificate(&picture));
    }
    subjects
}

fn said(subjects: &[Subject]) -> Found {
    let mut worst = dns::Verdict::Ok;
    let (mut seen, mut advice) = (Vec::new(), Vec::new());
    for subject in subjects {
        for finding in subject.findings.iter().filter(|finding| finding.verdict > dns::Verdict::Ok) {
            worst = worst.max(finding.verdict);
            // A certificate's words begin with the name already.
            seen.push(match finding.words.starts_with(&subject.about) {
                true => finding.words.clone(),
                false => format!("{}: {}", subject.about, finding.words),
            });
            advice.push(finding.advice.clone());
        }
    }
    advice.dedup();
    let (seen, advice) = (seen.join("\n"), advice.join("\n"));
    let is_all_unknown = subjects.iter().all(|subject| subject.verdict == dns::Verdict::Unknown);
    match worst {
        dns::Verdict::Ok => Found::ok("the names can be switched: zone, TTL and issuers are as they should be"),
        dns::Verdict::Unknown if is_all_unknown => Found::unknown(seen, advice),
        // None of it makes a deployment fail; all of it makes a switch of names fail.
        _ => Found::warn(seen, advice),
    }
}
