//! The list of a switch of names: the records, the proof at every authority, one kick for Caddy, and its certificate.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use anyhow::Result;

use super::Refusal;
use super::deploy::Planned;
use super::list::item;
use crate::config::{Config, Dns, DnsProvider};
use crate::dns::provider::{self, Credentials, Keeper, SetChange, SetSide, WRITABLE};
use crate::dns::{Name, Wish};
use crate::judge::dns::seen::{Demand, Set, Sight, Values, Wanted};
use crate::judge::dns::{Verdict, before_switch, judge, spoken, stale_hints};
use crate::step::Act;
use crate::step::expect_certificate::ExpectCertificate;
use crate::step::expect_dns::ExpectDns;
use crate::step::kick_caddy::KickCaddy;
use crate::step::plan::{Item, Plan, RunKind};
use crate::step::switch_dns::SwitchDns;

/// The longest wait for a certificate after the names have changed, seconds: an issuer answers within minutes or not at all.
const CERTIFICATE_S: u64 = 300;

/// Makes the plan: whoever keeps the records is asked what they are.
///
/// # Errors
/// [`Refusal`], when there is nothing to switch or the records cannot be switched like this; or when the keeper is silent.
pub async fn switching(
    config: &Config,
    wish: &Wish,
    demand: &Demand,
    sight: &Sight,
    with: &Credentials,
) -> Result<Planned> {
    let Some(settings) = &config.dns else { return Err(Refusal::Usage("[dns] is missing".into()).into()) };
    let zone = zone(sight)?;
    let keeper = keeper(settings, sight);
    no_stale_hint(sight)?;
    let changes = changes(settings, &zone, &keeper, sight, with).await?;
    if changes.is_empty() {
        let why = "there is nothing to switch: every record is as configured already; `cutover dns wait` waits for the caches";
        return Err(Refusal::Gate(why.into()).into());
    }
    let remarks = remarks(&zone, &keeper, &changes, sight, demand);
    let names = changes.iter().map(|change| change.name.as_str()).collect::<std::collections::BTreeSet<_>>();
    let deed = format!("the switch of {}", names.into_iter().collect::<Vec<_>>().join(", "));
    let home = old(settings, wish, demand, &changes)
        .map(|gate| item("expect_old_names", "every authority answers the old records".into(), gate));
    let plan = Plan {
        deed: Some(deed),
        remarks,
        // The public has begun to go the new way: a person decides about the way back.
        rolls_back: false,
        items: items(
            config,
            settings,
            wish,
            demand,
            SwitchDns { zone, keeper, changes, deadline_s: settings.deadline.as_secs() },
        ),
        home: home.into_iter().collect(),
        ..Plan::empty(RunKind::Dns, config.compose_project(), &config.project.environment)
    };
    Ok(Planned { plan, files: Vec::new() })
}

fn zone(sight: &Sight) -> Result<String> {
    if let Some((name, why)) = sight.lost.iter().next() {
        return Err(Refusal::Gate(format!("it is not known which zone holds {name}: {why}; set dns.zone")).into());
    }
    match sight.zones.as_slice() {
        [zone] => Ok(zone.name.clone()),
        zones => {
            let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
            let why = format!(
                "the names lie in several zones ({}); a switch is one zone's, so that it can be undone whole: use one file \
                 for each zone",
                names.join(", ")
            );
            Err(Refusal::Usage(why).into())
        }
    }
}

fn keeper(settings: &Dns, sight: &Sight) -> Keeper {
    let base = |default: &str| {
        settings
            .api_url
            .as_ref()
            .map_or_else(|| default.to_owned(), |url| url.as_str().trim_end_matches('/').to_owned())
    };
    match (settings.provider, settings.server) {
        (DnsProvider::Rfc2136, Some(server)) => Keeper::Rfc2136(server),
        (DnsProvider::DigitalOcean, _) => Keeper::DigitalOcean(base(provider::DIGITALOCEAN)),
        (DnsProvider::Cloudflare, _) => Keeper::Cloudflare(base(provider::CLOUDFLARE)),
        _ => Keeper::Manual(servers(sight)),
    }
}

fn servers(sight: &Sight) -> Vec<SocketAddr> {
    // Those that answer; what the others are is told by the check.
    let answering = sight.zones.iter().flat_map(|zone| &zone.servers);
    let answering = answering.filter(|server| server.soa.said().is_some_and(|said| said.is_authoritative));
    let mut all: Vec<SocketAddr> = answering.map(|server| server.address).collect();
    all.sort();
    all.dedup();
    all
}

async fn changes(
    settings: &Dns,
    zone: &str,
    keeper: &Keeper,
    sight: &Sight,
    with: &Credentials,
) -> Result<Vec<SetChange>> {
    let wanted = wanted(&sight.sets);
    kept_by(keeper, &wanted)?;
    let sets: Vec<(&str, &str)> = wanted.keys().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
    let places = provider::read(keeper, zone, &sets, with).await?;
    let Some((first, rest)) = places.split_first() else {
        return Err(Refusal::Gate(format!("no server of {zone} is known, so nobody can show the change")).into());
    };
    if rest.iter().any(|place| place.iter().zip(first).any(|(one, other)| one.values != other.values)) {
        let why = "the authorities do not agree on what the records are now; wait until they do (`cutover dns check` says which)";
        return Err(Refusal::Gate(why.into()).into());
    }
    let ttl = u32::try_from(settings.ttl.as_secs()).unwrap_or(u32::MAX);
    let mut changes = Vec::new();
    for (((name, kind), values), from) in wanted.iter().zip(first) {
        let to = SetSide {
            values: values.clone(),
            ttl: if from.is_proxied { from.ttl } else { ttl },
            is_proxied: from.is_proxied && !values.is_empty(),
        };
        let is_same = from.values == to.values && (from.ttl == to.ttl || to.values.is_empty());
        if is_same {
            continue;
        }
        if !WRITABLE.contains(&kind.as_str()) {
            let why = format!(
                "{name} {kind}: records of this type cannot be written; change it by hand first, or take it out"
            );
            return Err(Refusal::Usage(why).into());
        }
        changes.push(SetChange { name: name.clone(), kind: kind.clone(), from: from.clone(), to });
    }
    Ok(changes)
}

/// Not every provider has every type of record; that is said before anything is asked of it.
fn kept_by(keeper: &Keeper, wanted: &BTreeMap<(String, String), Values>) -> Result<()> {
    let is_https = |((_, kind), values): &(&(String, String), &Values)| kind == "HTTPS" && !values.is_empty();
    match (keeper, wanted.iter().find(is_https)) {
        (Keeper::DigitalOcean(_), Some(((name, _), _))) => {
            let why = format!(
                "{name} HTTPS: DigitalOcean keeps no HTTPS records; take HTTPS out of this [[dns.record]], or move the zone to \
                 a provider that has them"
            );
            Err(Refusal::Usage(why).into())
        }
        _ => Ok(()),
    }
}

/// An HTTPS record that nobody configured, with a hint at another place, would keep browsers there after the switch.
fn no_stale_hint(sight: &Sight) -> Result<()> {
    let stale = sight.sets.iter().find_map(|set| Some((set, stale_hints(set)?)));
    let Some((set, (found, hints))) = stale else { return Ok(()) };
    let values: Vec<String> = found.iter().map(|value| format!("\"{value}\"")).collect();
    let why = format!(
        "{} HTTPS hints at {}, and browsers go to a hint before they ask for addresses: the switch would leave them at the old \
         place. Add to its [[dns.record]] what it shall be (it is HTTPS = [{}] now, with the new addresses in the hints or \
         without hints), or HTTPS = [] to delete it",
        set.name,
        hints.into_iter().collect::<Vec<_>>().join(", "),
        values.join(", ")
    );
    Err(Refusal::Gate(why).into())
}

/// What each set is to be, and what an alias excludes.
fn wanted(sets: &[Set]) -> BTreeMap<(String, String), Values> {
    let mut all = BTreeMap::new();
    for set in sets {
        let Wanted::Exactly(values) = &set.wanted else { continue };
        let excluded: &[&str] = match set.kind.as_str() {
            "CNAME" => &["A", "AAAA", "HTTPS"],
            "A" | "AAAA" => &["CNAME"],
            _ => &[],
        };
        for kind in excluded {
            all.entry((set.name.clone(), (*kind).to_owned())).or_insert_with(Values::new);
        }
        all.insert((set.name.clone(), set.kind.clone()), values.clone());
    }
    all
}

fn remarks(zone: &str, keeper: &Keeper, changes: &[SetChange], sight: &Sight, demand: &Demand) -> Vec<String> {
    let said = |side: &SetSide| match side.values.is_empty() {
        true => "none".to_owned(),
        false => format!("{} (TTL {} s)", side.values.iter().cloned().collect::<Vec<_>>().join(", "), side.ttl),
    };
    let mut remarks: Vec<String> = changes
        .iter()
        .map(|change| format!("{} {}: {} → {}", change.name, change.kind, said(&change.from), said(&change.to)))
        .collect();
    if let Keeper::Manual(_) = keeper {
        remarks.extend(provider::instructions(zone, changes, |change| &change.to));
    }
    if let Some(longest) = changes.iter().map(|change| change.from.ttl).max().filter(|ttl| *ttl > 0) {
        let longest = spoken(u64::from(longest));
        remarks.push(format!(
            "honest caches can hold the old records for {longest} after the switch: keep the old system answering"
        ));
    }
    // Zones, servers and issuers are not put right by a switch; the records themselves are.
    let mut troubles = before_switch(sight, demand);
    troubles.extend(judge(sight, demand).subjects.into_iter().filter(|subject| subject.authority.is_none()));
    let troubles = troubles.iter().flat_map(|subject| subject.findings.iter().map(|finding| (&subject.about, finding)));
    let troubles = troubles.filter(|(_, finding)| finding.verdict > Verdict::Ok);
    remarks.extend(troubles.map(|(about, finding)| format!("{about}: {}; {}", finding.words, finding.advice)));
    remarks
}

fn items(config: &Config, settings: &Dns, wish: &Wish, demand: &Demand, switch: SwitchDns) -> Vec<Item> {
    let gate = expect(settings, wish.clone(), demand);
    let mut items = vec![
        item("switch_dns", format!("change the records of {}", switch.zone), Act::SwitchDns(switch)),
        item("expect_dns", "every address of every authority answers the new records".into(), gate),
    ];
    let Some(caddy) = &config.caddy else { return items };
    if let Some(service) = &caddy.service {
        let kick = KickCaddy { project: config.compose_project().to_owned(), service: service.clone() };
        items.push(item(
            "kick_caddy",
            format!("reload {service} once, so that it asks for certificates now"),
            Act::KickCaddy(kick),
        ));
    }
    let names = wish.served_names();
    let addresses: Vec<IpAddr> = wish.origin.addresses.clone();
    if !names.is_empty() && !addresses.is_empty() {
        let gate = ExpectCertificate {
            names,
            addresses,
            port: wish.origin.https_port,
            ca_certificate: wish.origin.ca_certificate.clone(),
            interval_ms: millis(settings),
            deadline_s: CERTIFICATE_S,
        };
        items.push(item(
            "expect_certificate",
            "each name is served with a good certificate".into(),
            Act::ExpectCertificate(gate),
        ));
    }
    items
}

fn millis(settings: &Dns) -> u64 {
    u64::try_from(settings.interval.as_millis()).unwrap_or(u64::MAX)
}

fn expect(settings: &Dns, wish: Wish, demand: &Demand) -> Act {
    Act::ExpectDns(ExpectDns {
        wish,
        demand: demand.clone(),
        waits_for_caches: false,
        interval_ms: millis(settings),
        deadline_s: settings.deadline.as_secs(),
    })
}

/// The gate that proves the old records after a way back. What a provider proxies shows nothing of them outside, and the old
/// system may not say who it is: there the provider's own books are the proof, which the step itself reads again.
fn old(settings: &Dns, wish: &Wish, demand: &Demand, changes: &[SetChange]) -> Option<Act> {
    let is_proxied = |name: &str| wish.names.iter().any(|known| known.name == name && known.is_proxied);
    let mut names: BTreeMap<String, Name> = BTreeMap::new();
    for change in changes.iter().filter(|change| !is_proxied(&change.name)) {
        let name = names.entry(change.name.clone());
        let name = name.or_insert_with(|| Name { name: change.name.clone(), sets: BTreeMap::new(), is_proxied: false });
        name.sets.insert(change.kind.clone(), change.from.values.clone());
    }
    // What excluded an alias, and was not there, is not asked beside it: the answer would follow the alias.
    for name in names.values_mut().filter(|name| name.sets.get("CNAME").is_some_and(|values| !values.is_empty())) {
        name.sets.retain(|kind, _| kind == "CNAME");
    }
    if names.is_empty() {
        return None;
    }
    Some(expect(settings, Wish { names: names.into_values().collect(), ..wish.clone() }, demand))
}
