//! Asks the world about names, for the judge: the way down from the roots, every authority, every resolver, who answers.
//!
//! It decides nothing and changes nothing; what it could not ask is part of what it saw.

mod authorization;
pub mod certificate;
mod identity;
mod memory;
pub mod provider;
mod survey;
mod walk;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::adapter::dns::{Dns, Question, Reply};
use crate::judge::dns::seen::{Heard, Said, Soa, Values};
use serde::{Deserialize, Serialize};

pub use memory::Memory;
pub use survey::survey;

/// The root servers (IANA, named.root): where every walk begins unless told otherwise.
pub const ROOTS: [IpAddr; 13] = {
    const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::new(a, b, c, d))
    }
    [
        v4(198, 41, 0, 4),
        v4(170, 247, 170, 2),
        v4(192, 33, 4, 12),
        v4(199, 7, 91, 13),
        v4(192, 203, 230, 10),
        v4(192, 5, 5, 241),
        v4(192, 112, 36, 4),
        v4(198, 97, 190, 53),
        v4(192, 36, 148, 17),
        v4(192, 58, 128, 30),
        v4(193, 0, 14, 129),
        v4(199, 7, 83, 42),
        v4(202, 12, 27, 33),
    ]
};

/// A name and what it is to be, type by type; a type that is not named is not looked at.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Name {
    /// The name, in lower case and without the trailing point.
    pub name: String,
    /// Its record sets.
    pub sets: BTreeMap<String, Values>,
    /// Whether the provider answers addresses of its own in the place of its A and AAAA records.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_proxied: bool,
}

/// What is asked, and whom.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Wish {
    /// The names.
    pub names: Vec<Name>,
    /// The zone, where it is said.
    pub zone: Option<String>,
    /// The resolvers that stand for the public.
    pub resolvers: Vec<SocketAddr>,
    /// Where the way down begins.
    pub roots: Vec<SocketAddr>,
    /// The port that name servers are asked at.
    pub port: u16,
    /// For one answer.
    pub timeout: Duration,
    /// Where the new system itself answers.
    pub origin: Origin,
}

/// The new system itself, asked without any name server.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Origin {
    /// Its addresses; empty where none is known.
    pub addresses: Vec<IpAddr>,
    /// The port of HTTPS.
    pub https_port: u16,
    /// The port of HTTP.
    pub http_port: u16,
    /// Where it says who it is.
    pub identity_path: String,
    /// Certificates beside the system's that are believed.
    pub ca_certificate: Option<PathBuf>,
}

impl Wish {
    /// Names that people open.
    pub fn served_names(&self) -> Vec<String> {
        let is_served = |name: &&Name| {
            ["A", "AAAA", "CNAME"].iter().any(|kind| name.sets.get(*kind).is_some_and(|values| !values.is_empty()))
        };
        self.names.iter().filter(is_served).map(|name| name.name.clone()).collect()
    }

    fn dns(&self) -> Dns {
        Dns { timeout: self.timeout, attempts: 2 }
    }
}

/// Asks, and keeps what matters of the answer.
async fn ask(dns: Dns, question: Question<'_>) -> Heard {
    match dns.ask(&question).await {
        Ok(reply) => Heard::Said(said(&reply, question.name, question.kind)),
        Err(silence) => Heard::Silent(silence.to_string()),
    }
}

/// Follows the aliases through an answer.
fn said(reply: &Reply, name: &str, kind: &str) -> Said {
    let mut at = name.trim_end_matches('.').to_ascii_lowercase();
    let mut chain: Vec<String> = Vec::new();
    let mut ttl = None;
    let mut shorter = |one: u32| ttl = Some(ttl.map_or(one, |ttl: u32| ttl.min(one)));
    let values = loop {
        let own: Vec<_> = reply.answers.iter().filter(|entry| entry.name == at && entry.kind == kind).collect();
        if !own.is_empty() {
            own.iter().for_each(|entry| shorter(entry.ttl));
            break own.iter().map(|entry| entry.value.clone()).collect();
        }
        let alias = reply.answers.iter().find(|entry| entry.name == at && entry.kind == "CNAME");
        let Some(alias) = alias else { break Values::new() };
        shorter(alias.ttl);
        let is_circle = alias.value == name || chain.contains(&alias.value);
        chain.push(alias.value.clone());
        if is_circle {
            break Values::new();
        }
        at.clone_from(&alias.value);
    };
    let soa = reply.answers.iter().chain(&reply.authorities).find(|entry| entry.kind == "SOA");
    let soa = soa.and_then(|entry| {
        let (serial, minimum) = entry.soa()?;
        Some(Soa { zone: entry.name.clone(), serial, minimum, ttl: entry.ttl })
    });
    let signatures = reply.answers.iter().filter(|entry| entry.kind == "RRSIG");
    Said {
        signed_until: signatures.filter_map(|entry| entry.value.parse().ok()).min(),
        code: reply.code.clone(),
        is_authoritative: reply.is_authoritative,
        is_authenticated: reply.is_authenticated,
        is_recursive: reply.is_recursion_available,
        came_over_tcp: reply.came_over_tcp,
        values,
        ttl,
        chain,
        soa,
    }
}

/// Whether a name is a zone, or lies in it.
fn is_within(name: &str, zone: &str) -> bool {
    zone == "." || name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
}
