//! The way down from the roots to the zone of a name: each server hands on to the next, until one answers for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use futures_util::future::join_all;

use super::{Wish, is_within};
use crate::adapter::dns::{Question, Reply};
use crate::judge::dns::seen::{Delegation, Values};

/// More steps than any real way down has.
const DEEPEST: usize = 16;

/// A zone, and what the servers above say of it.
pub(super) struct Place {
    /// Its name.
    pub(super) zone: String,
    /// What the parent says.
    pub(super) delegation: Delegation,
    /// Servers that answered for it on the way, where no delegation names any.
    pub(super) servers: Vec<SocketAddr>,
}

struct Referral {
    zone: String,
    names: Values,
    glue: BTreeMap<String, BTreeSet<IpAddr>>,
}

/// Finds the zone that holds the name, or the configured one; `cut_off` says why the way down is closed, where that is known.
///
/// # Errors
/// In words, when neither the way down nor a resolver leads to a zone.
pub(super) async fn place(wish: &Wish, name: &str, cut_off: Option<&str>) -> Result<Place, String> {
    let target = wish.zone.as_deref().filter(|zone| is_within(name, zone)).unwrap_or(name.trim_start_matches("*."));
    // What was closed for one name is closed for the next.
    if let Some(why) = cut_off {
        return by_resolver(wish, target, why.to_owned()).await;
    }
    match down(wish, target).await {
        Ok(place) => Ok(place),
        Err(why) => by_resolver(wish, target, why).await,
    }
}

async fn down(wish: &Wish, target: &str) -> Result<Place, String> {
    let mut servers = wish.roots.clone();
    let mut last: Option<Referral> = None;
    for _ in 0..DEEPEST {
        if let Some(referral) = last.take_if(|referral| Some(&referral.zone) == wish.zone.as_ref()) {
            return Ok(of_referral(referral));
        }
        let reply = match (first_reply(wish, &servers, target).await, last.take()) {
            (Ok(reply), referral) => {
                last = referral;
                reply
            }
            // Nobody down there answers for it: the zone is there, and its servers are the matter.
            (Err(_), Some(referral)) => return Ok(of_referral(referral)),
            (Err(why), None) => return Err(why),
        };
        let above = last.as_ref().map_or(".", |referral| referral.zone.as_str());
        if let Some(referral) = referral(&reply, target, above) {
            servers = addresses(wish, &referral).await;
            last = Some(referral);
            continue;
        }
        return Ok(arrived(wish, &reply, last, servers));
    }
    Err(format!("the way down to {target} has more than {DEEPEST} steps"))
}

fn of_referral(referral: Referral) -> Place {
    let Referral { zone, names, glue } = referral;
    Place { zone, delegation: Delegation::To { names, glue }, servers: Vec::new() }
}

/// A server answered for itself: the SOA record says for which zone.
fn arrived(wish: &Wish, reply: &Reply, last: Option<Referral>, servers: Vec<SocketAddr>) -> Place {
    let mut records = reply.answers.iter().chain(&reply.authorities);
    let soa = records.find(|entry| entry.kind == "SOA").map(|entry| entry.name.clone());
    match (soa, last) {
        (Some(zone), _) if wish.zone.as_ref().is_some_and(|wanted| *wanted != zone) => {
            let wanted = wish.zone.clone().unwrap_or_default();
            let why = format!("{zone} answers {} for it and names no servers", reply.code);
            Place { zone: wanted, delegation: Delegation::Nowhere(why), servers: Vec::new() }
        }
        (Some(zone), Some(referral)) if zone == referral.zone => of_referral(referral),
        (Some(zone), _) => Place { zone, delegation: Delegation::Within, servers },
        (None, Some(referral)) => of_referral(referral),
        (None, None) => {
            let why = format!("the roots answer {} without a SOA record", reply.code);
            Place { zone: ".".into(), delegation: Delegation::Unknown(why), servers }
        }
    }
}

/// Servers of a zone below the one asked, that lies on the way to the target.
fn referral(reply: &Reply, target: &str, above: &str) -> Option<Referral> {
    if reply.is_authoritative && !reply.answers.is_empty() {
        return None;
    }
    let on_the_way = |zone: &str| zone != above && is_within(zone, above) && is_within(target, zone);
    let zone = reply.authorities.iter().find(|entry| entry.kind == "NS" && on_the_way(&entry.name))?.name.clone();
    let of_zone = reply.authorities.iter().filter(|entry| entry.kind == "NS" && entry.name == zone);
    let names: Values = of_zone.map(|entry| entry.value.clone()).collect();
    let mut glue: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
    for entry in reply.additionals.iter().filter(|entry| names.contains(&entry.name)) {
        if let ("A" | "AAAA", Ok(address)) = (entry.kind.as_str(), entry.value.parse()) {
            glue.entry(entry.name.clone()).or_default().insert(address);
        }
    }
    Some(Referral { zone, names, glue })
}

async fn addresses(wish: &Wish, referral: &Referral) -> Vec<SocketAddr> {
    let mut all: Vec<IpAddr> = referral.glue.values().flatten().copied().collect();
    if all.is_empty() {
        for name in &referral.names {
            all.extend(some_addresses(wish, name).await);
        }
    }
    // IPv4 first: many hosts have no IPv6, and on the way down any address will do.
    all.sort_by_key(IpAddr::is_ipv6);
    all.into_iter().map(|address| SocketAddr::new(address, wish.port)).collect()
}

async fn first_reply(wish: &Wish, servers: &[SocketAddr], target: &str) -> Result<Reply, String> {
    let mut why = "no server of it is known".to_owned();
    // Some at a time and not all of them: behind a closed firewall each one takes its whole time.
    for some in servers.chunks(3).take(2) {
        let asked =
            some.iter().map(async |server| (*server, wish.dns().ask(&Question::direct(*server, target, "SOA")).await));
        for (server, reply) in join_all(asked).await {
            match reply {
                Ok(reply) if matches!(reply.code.as_str(), "NOERROR" | "NXDOMAIN") => return Ok(reply),
                Ok(reply) => why = format!("{} answers {}", crate::judge::dns::address(server), reply.code),
                Err(silence) => why = format!("{}: {silence}", crate::judge::dns::address(server)),
            }
        }
    }
    Err(why)
}

/// Where the roots cannot be reached: the zone by a resolver's word, without the parent's.
async fn by_resolver(wish: &Wish, target: &str, why: String) -> Result<Place, String> {
    for resolver in &wish.resolvers {
        let Ok(reply) = wish.dns().ask(&Question::recursive(*resolver, target, "SOA")).await else { continue };
        let mut records = reply.answers.iter().chain(&reply.authorities);
        let Some(zone) = records.find(|entry| entry.kind == "SOA").map(|entry| entry.name.clone()) else { continue };
        let Ok(reply) = wish.dns().ask(&Question::recursive(*resolver, &zone, "NS")).await else { continue };
        let mut servers = Vec::new();
        for entry in reply.answers.iter().filter(|entry| entry.kind == "NS") {
            let addresses = some_addresses(wish, &entry.value).await;
            servers.extend(addresses.into_iter().map(|address| SocketAddr::new(address, wish.port)));
        }
        return Ok(Place { zone, delegation: Delegation::Unknown(why), servers });
    }
    Err(format!("{why}; and no resolver knows it either"))
}

/// Why the addresses of a host are not known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAddress {
    /// It has none, as a resolver says.
    There(String),
    /// They could not be looked up, or not all of them.
    Unknown(String),
}

/// All addresses of a host name, by the first resolver that knows both kinds.
///
/// # Errors
/// Where none does: with half of them a server would count as asked whose other address nobody has looked at.
pub(super) async fn lookup(wish: &Wish, name: &str) -> Result<BTreeSet<IpAddr>, NoAddress> {
    match look_up(wish, name).await {
        (found, None) => Ok(found),
        (_, Some(why)) => Err(why),
    }
}

/// On the way down any address will do.
async fn some_addresses(wish: &Wish, name: &str) -> BTreeSet<IpAddr> {
    look_up(wish, name).await.0
}

/// Those that could be had, and why it is none, or not all of them.
async fn look_up(wish: &Wish, name: &str) -> (BTreeSet<IpAddr>, Option<NoAddress>) {
    let mut some = BTreeSet::new();
    let mut why = NoAddress::Unknown("there is no resolver to ask".to_owned());
    for resolver in &wish.resolvers {
        let (mut found, mut missing, mut is_there) = (BTreeSet::new(), None, true);
        for kind in ["A", "AAAA"] {
            match wish.dns().ask(&Question::recursive(*resolver, name, kind)).await {
                Ok(reply) if reply.code == "NOERROR" => {
                    let of_kind = reply.answers.iter().filter(|entry| entry.kind == kind);
                    found.extend(of_kind.filter_map(|entry| entry.value.parse::<IpAddr>().ok()));
                }
                Ok(reply) if reply.code == "NXDOMAIN" => is_there = false,
                Ok(reply) => missing = Some(format!("a resolver answers {} to {kind}", reply.code)),
                Err(silence) => missing = Some(format!("a resolver that was asked for {kind}: {silence}")),
            }
        }
        why = match missing {
            Some(missing) => NoAddress::Unknown(missing),
            None if !found.is_empty() => return (found, None),
            None if is_there => NoAddress::There("it has neither A nor AAAA records".into()),
            None => NoAddress::There("the name does not exist".into()),
        };
        some.extend(found);
    }
    (some, Some(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Origin;
    use std::time::Duration;
    use tokio::net::UdpSocket;

    /// A resolver that has an A record for every name, and answers SERVFAIL to AAAA unless it knows that there is none.
    async fn resolver(knows_all: bool) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let name = buffer[12..length].iter().position(|byte| *byte == 0).unwrap();
                let mut answer = buffer[..12 + name + 5].to_vec();
                let is_a = answer[12 + name + 2] == 1;
                // Recursion is there; one question, an answer or none, nothing more.
                (answer[2], answer[3]) = (0x81, if is_a || knows_all { 0x80 } else { 0x82 });
                answer[4..12].copy_from_slice(&[0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
                if is_a {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1]);
                }
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        address
    }

    fn wish(resolvers: Vec<SocketAddr>) -> Wish {
        let origin = Origin {
            addresses: Vec::new(),
            https_port: 443,
            http_port: 80,
            identity_path: String::new(),
            ca_certificate: None,
        };
        let timeout = Duration::from_secs(60);
        Wish { names: Vec::new(), zone: None, resolvers, roots: Vec::new(), port: 53, timeout, origin }
    }

    #[tokio::test]
    async fn half_of_the_addresses_of_a_server_are_not_taken_for_all_of_them() {
        let (half, whole) = (resolver(false).await, resolver(true).await);
        let one = BTreeSet::from(["192.0.2.1".parse::<IpAddr>().unwrap()]);
        let name = "ns1.example.org";
        assert_eq!(lookup(&wish(vec![whole]), name).await, Ok(one.clone()));
        assert_eq!(lookup(&wish(vec![half, whole]), name).await, Ok(one.clone()), "the next one knows it");
        let why = NoAddress::Unknown("a resolver answers SERVFAIL to AAAA".into());
        assert_eq!(lookup(&wish(vec![half]), name).await, Err(why));
        assert_eq!(some_addresses(&wish(vec![half]), name).await, one, "on the way down any of them will do");
    }
}
