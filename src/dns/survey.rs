//! The survey: zones first, then every set at every authority, then the resolvers, but only for what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use futures_util::future::join_all;

use super::memory::Memory;
use super::walk::{NoAddress, Place, lookup, place};
use super::{Name, Wish, ask, authorization, identity, is_within};
use crate::adapter::dns::Question;
use crate::judge::dns::seen::{Cache, Delegation, Heard, Server, Set, Sight, Values, Wanted, Zone};

/// Types that an address record may be of.
const ADDRESSES: [&str; 2] = ["A", "AAAA"];

/// Asks everything, and adds what is remembered of the time before.
pub async fn survey(wish: &Wish, memory: &mut Memory, at: u64) -> Sight {
    let mut zones: Vec<Zone> = Vec::new();
    let mut lost = BTreeMap::new();
    let mut homes: Vec<(&Name, usize)> = Vec::new();
    let mut cut_off: Option<String> = None;
    for name in &wish.names {
        // One that is configured and known need not be walked to again.
        let known =
            zones.iter().position(|zone| wish.zone.as_ref() == Some(&zone.name) && is_within(&name.name, &zone.name));
        if let Some(known) = known {
            homes.push((name, known));
            continue;
        }
        match place(wish, &name.name, cut_off.as_deref()).await {
            Ok(found) => {
                if let Delegation::Unknown(why) = &found.delegation {
                    cut_off = Some(why.clone());
                }
                let known = zones.iter().position(|zone| zone.name == found.zone);
                if known.is_none() {
                    zones.push(look_at_zone(wish, found).await);
                }
                homes.push((name, known.unwrap_or(zones.len() - 1)));
            }
            Err(why) => {
                lost.insert(name.name.clone(), why);
            }
        }
    }
    let wanted = homes.iter().flat_map(|(name, zone)| sets(name).map(|(kind, wanted)| (*name, *zone, kind, wanted)));
    let sets =
        join_all(wanted.map(|(name, zone, kind, wanted)| look_at_set(wish, &zones[zone], name, kind, wanted))).await;
    let mut authorizations = Vec::new();
    for (name, zone) in &homes {
        if ["A", "AAAA", "CNAME"].iter().any(|kind| name.sets.get(*kind).is_some_and(|values| !values.is_empty())) {
            authorizations.push(authorization::look(wish, &zones[*zone], &name.name).await);
        }
    }
    let mut sight = Sight { at, zones, sets, authorizations, lost };
    memory.compare(&mut sight);
    sight
}

/// What is asked of a name. HTTPS records are looked at for their hints where addresses are configured and they are not.
fn sets(name: &Name) -> impl Iterator<Item = (String, Wanted)> {
    let configured = name.sets.iter().map(|(kind, values)| (kind.clone(), Wanted::Exactly(values.clone())));
    let addresses: Values = ADDRESSES.iter().filter_map(|kind| name.sets.get(*kind)).flatten().cloned().collect();
    // A provider that proxies a name makes its own HTTPS record, with its own addresses.
    let needs_hints = !addresses.is_empty() && !name.sets.contains_key("HTTPS") && !name.is_proxied;
    configured
        .chain(needs_hints.then(|| ("HTTPS".to_owned(), Wanted::Hints(addresses))))
        .collect::<Vec<_>>()
        .into_iter()
}

async fn look_at_zone(wish: &Wish, found: Place) -> Zone {
    let Place { zone: name, delegation, servers: on_the_way } = found;
    let mut zone = Zone {
        name,
        delegation,
        servers: Vec::new(),
        without_address: BTreeMap::new(),
        unknown_address: BTreeMap::new(),
        own_addresses: BTreeMap::new(),
    };
    let mut asked: BTreeSet<SocketAddr> = BTreeSet::new();
    if let Delegation::To { names, glue } = zone.delegation.clone() {
        for name in names {
            let addresses = glue.get(&name).cloned().unwrap_or_default();
            reach(wish, &mut zone, &name, addresses, &mut asked).await;
        }
    } else {
        let unnamed = on_the_way.iter().map(|address| look_at_server(wish, &zone.name, "", *address));
        let unnamed = join_all(unnamed).await;
        zone.servers.extend(unnamed);
    }
    for name in own_names(&zone) {
        let own = if is_within(&name, &zone.name) { own_addresses(wish, &zone, &name).await } else { BTreeSet::new() };
        if !own.is_empty() {
            zone.own_addresses.insert(name.clone(), own.clone());
        }
        reach(wish, &mut zone, &name, own, &mut asked).await;
    }
    // Those met on the way are known by name now.
    if zone.servers.iter().any(|server| !server.name.is_empty()) {
        zone.servers.retain(|server| !server.name.is_empty());
    }
    zone.without_address.retain(|name, _| !zone.servers.iter().any(|server| server.name == *name));
    zone.unknown_address.retain(|name, _| !zone.servers.iter().any(|server| server.name == *name));
    zone.servers.sort_by(|one, other| (&one.name, one.address).cmp(&(&other.name, other.address)));
    zone
}

/// Asks every address of a server that was not asked yet.
async fn reach(
    wish: &Wish,
    zone: &mut Zone,
    name: &str,
    mut addresses: BTreeSet<IpAddr>,
    asked: &mut BTreeSet<SocketAddr>,
) {
    if addresses.is_empty() && !zone.servers.iter().any(|server| server.name == name) {
        match lookup(wish, name).await {
            Ok(found) => addresses = found,
            Err(NoAddress::There(why)) => {
                zone.without_address.insert(name.to_owned(), why);
            }
            Err(NoAddress::Unknown(why)) => {
                zone.unknown_address.insert(name.to_owned(), why);
            }
        }
    }
    let new: Vec<SocketAddr> = addresses.iter().map(|address| SocketAddr::new(*address, wish.port)).collect();
    let new: Vec<SocketAddr> = new.into_iter().filter(|address| asked.insert(*address)).collect();
    let servers = join_all(new.iter().map(|address| look_at_server(wish, &zone.name, name, *address))).await;
    zone.servers.extend(servers);
}

async fn look_at_server(wish: &Wish, zone: &str, name: &str, address: SocketAddr) -> Server {
    let soa = ask(wish.dns(), Question::direct(address, zone, "SOA")).await;
    // Who does not answer one question is not waited for twice.
    let ns = match soa {
        Heard::Said(_) => ask(wish.dns(), Question::direct(address, zone, "NS")).await,
        Heard::Silent(_) => soa.clone(),
    };
    Server { name: name.to_owned(), address, soa, ns }
}

fn is_authority(server: &Server) -> bool {
    server.soa.said().is_some_and(|said| said.is_authoritative && !said.values.is_empty())
}

fn own_names(zone: &Zone) -> Values {
    zone.servers
        .iter()
        .filter(|one| is_authority(one))
        .filter_map(|one| one.ns.said())
        .flat_map(|said| said.values.clone())
        .collect()
}

/// What the zone itself says of the addresses of a server that lies in it.
async fn own_addresses(wish: &Wish, zone: &Zone, name: &str) -> BTreeSet<IpAddr> {
    let mut found = BTreeSet::new();
    for server in zone.servers.iter().filter(|one| is_authority(one)) {
        for kind in ADDRESSES {
            if let Heard::Said(said) = ask(wish.dns(), Question::direct(server.address, name, kind)).await {
                found.extend(said.values.iter().filter_map(|value| value.parse::<IpAddr>().ok()));
            }
        }
        if !found.is_empty() {
            break;
        }
    }
    found
}

async fn look_at_set(wish: &Wish, zone: &Zone, name: &Name, kind: String, wanted: Wanted) -> Set {
    let authority = at_authorities(wish, zone, &name.name, &kind).await;
    let mut set = Set {
        zone: zone.name.clone(),
        name: name.name.clone(),
        kind,
        wanted,
        authority,
        caches: Vec::new(),
        before: None,
        flattened: Values::new(),
        end: None,
        identity: None,
    };
    if may_resolvers_be_asked(&set) {
        set.caches = join_all(wish.resolvers.iter().map(|one| look_at_cache(wish, *one, &set))).await;
    }
    if set.kind == "CNAME" && matches!(&set.wanted, Wanted::Exactly(wanted) if !wanted.is_empty()) {
        follow(wish, zone, &mut set).await;
    }
    if name.is_proxied && ADDRESSES.contains(&set.kind.as_str()) {
        let own = addresses_in_place(wish, zone, &set.name).await;
        set.identity = identity::look(wish, &set.name, &own).await;
        set.flattened = own;
    }
    set
}

/// The addresses that the authorities answer for a name themselves, without any alias.
async fn addresses_in_place(wish: &Wish, zone: &Zone, name: &str) -> Values {
    let mut answers = at_authorities(wish, zone, name, "A").await;
    answers.extend(at_authorities(wish, zone, name, "AAAA").await);
    let plain = answers.iter().filter_map(Heard::said).filter(|said| said.chain.is_empty());
    plain.flat_map(|said| said.values.clone()).collect()
}

async fn at_authorities(wish: &Wish, zone: &Zone, name: &str, kind: &str) -> Vec<Heard> {
    let ask_one = async |server: &Server| match is_authority(server) {
        true => ask(wish.dns(), Question::direct(server.address, name, kind)).await,
        false if server.soa.said().is_none() => server.soa.clone(),
        false => Heard::Silent("it does not answer for the zone".into()),
    };
    join_all(zone.servers.iter().map(ask_one)).await
}

/// A resolver that is asked for what does not exist remembers that; so it is only asked for what does, and for what is to go.
fn may_resolvers_be_asked(set: &Set) -> bool {
    let said: Vec<_> = set.authority.iter().filter_map(Heard::said).collect();
    let wants_some = matches!(&set.wanted, Wanted::Exactly(wanted) if !wanted.is_empty());
    let is_there = said.iter().any(|said| !said.is_negative());
    let is_known = said.iter().any(|said| said.code == "NOERROR");
    is_there || (is_known && !wants_some)
}

async fn look_at_cache(wish: &Wish, resolver: SocketAddr, set: &Set) -> Cache {
    let question = Question::recursive(resolver, &set.name, &set.kind);
    let checked = ask(wish.dns(), question.clone()).await;
    let has_failed = checked.said().is_some_and(|said| said.code == "SERVFAIL");
    let unchecked = match has_failed {
        true => Some(ask(wish.dns(), question.unchecked()).await),
        false => None,
    };
    Cache { resolver, checked, unchecked }
}

/// Where an alias ends, and whether addresses stand in its place.
async fn follow(wish: &Wish, zone: &Zone, set: &mut Set) {
    let direct = at_authorities(wish, zone, &set.name, "A").await;
    set.flattened = addresses_in_place(wish, zone, &set.name).await;
    if !set.flattened.is_empty() {
        set.identity = identity::look(wish, &set.name, &set.flattened).await;
        return;
    }
    let has_alias = set.authority.iter().filter_map(Heard::said).any(|said| !said.values.is_empty());
    if !has_alias {
        return;
    }
    // The authority's own word shows a circle that a resolver only fails on.
    let circle = direct.iter().find(|heard| heard.said().is_some_and(|said| is_circle(&set.name, &said.chain)));
    if let Some(circle) = circle {
        set.end = Some(circle.clone());
        return;
    }
    for resolver in &wish.resolvers {
        let end = ask(wish.dns(), Question::recursive(*resolver, &set.name, "A")).await;
        if let Heard::Said(said) = &end
            && !matches!(said.code.as_str(), "REFUSED" | "NOTIMP")
        {
            set.end = Some(end);
            return;
        }
    }
}

fn is_circle(name: &str, chain: &[String]) -> bool {
    let names: Vec<&str> = std::iter::once(name).chain(chain.iter().map(String::as_str)).collect();
    names.iter().collect::<BTreeSet<_>>().len() < names.len()
}
