//! What was seen of names: every answer as it came, with its time. Whoever asks fills it in; the rest of this module judges it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Values of a record set, as text.
pub type Values = BTreeSet<String>;

/// Serial and times of a zone, from its SOA record.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Soa {
    /// The zone.
    pub zone: String,
    /// Its serial.
    pub serial: u32,
    /// Its minimum: the longest that "there is none" may be kept, in seconds.
    pub minimum: u32,
    /// The TTL of the record itself, in seconds.
    pub ttl: u32,
}

impl Soa {
    /// How long "there is none" may be kept, in seconds (RFC 2308).
    pub fn negative_ttl(&self) -> u32 {
        self.ttl.min(self.minimum)
    }
}

/// An answer to the question for one name and type.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Said {
    /// Response code: `NOERROR`, `NXDOMAIN`, …
    pub code: String,
    /// AA.
    pub is_authoritative: bool,
    /// AD.
    pub is_authenticated: bool,
    /// RA.
    pub is_recursive: bool,
    /// It was too long for a packet.
    pub came_over_tcp: bool,
    /// Values of the type that was asked for, at the end of the aliases.
    pub values: Values,
    /// The shortest TTL of these and of the aliases, in seconds.
    pub ttl: Option<u32>,
    /// The aliases that were followed: each name that the one before is an alias of.
    pub chain: Vec<String>,
    /// The SOA record that came with it: the zone's own, or the one that says how long "there is none" holds.
    pub soa: Option<Soa>,
    /// When the first of the signatures that came with it ends, in seconds since 1970; none where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_until: Option<u64>,
}

impl Said {
    /// The name exists, or does not, but there is no such record.
    pub fn is_negative(&self) -> bool {
        self.values.is_empty() && self.chain.is_empty() && matches!(self.code.as_str(), "NOERROR" | "NXDOMAIN")
    }
}

/// An answer, or why there is none.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// An answer.
    Said(Said),
    /// None, and why.
    Silent(String),
}

impl Heard {
    /// The answer, where there is one.
    pub fn said(&self) -> Option<&Said> {
        match self {
            Self::Said(said) => Some(said),
            Self::Silent(_) => None,
        }
    }
}

/// What the servers above a zone say about it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Delegation {
    /// These names, with the addresses that came along.
    To {
        /// Names of servers.
        names: Values,
        /// Their addresses at the parent.
        glue: BTreeMap<String, BTreeSet<IpAddr>>,
    },
    /// There is no such zone.
    Nowhere(String),
    /// The servers above answer for the zone themselves, so there is no delegation to compare.
    Within,
    /// It could not be asked, and why.
    Unknown(String),
}

/// One address of one authoritative server.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
    /// Its SOA record of the zone.
    pub soa: Heard,
    /// Its NS records of the zone.
    pub ns: Heard,
}

/// A zone and its servers.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// What the parent says.
    pub delegation: Delegation,
    /// Every address of every server, by the parent and by the zone itself.
    pub servers: Vec<Server>,
    /// Servers without an address, and what is known of that.
    pub without_address: BTreeMap<String, String>,
    /// Servers whose addresses could not be looked up, and why.
    #[serde(default)]
    pub unknown_address: BTreeMap<String, String>,
    /// Addresses that the zone itself gives for the servers that lie in it.
    pub own_addresses: BTreeMap<String, BTreeSet<IpAddr>>,
}

/// What a record set is to be.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Exactly this; empty means there must be none.
    Exactly(Values),
    /// Whatever it is, if its address hints are among these.
    Hints(Values),
}

/// What one resolver says.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Cache {
    /// The resolver.
    pub resolver: SocketAddr,
    /// Its answer.
    pub checked: Heard,
    /// Its answer without DNSSEC checking; asked where the first one was a failure.
    pub unchecked: Option<Heard>,
}

/// What the records were before they were changed.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Before {
    /// The old values; empty means there were none.
    pub values: Values,
    /// Their TTL, or how long "there is none" was to be kept; in seconds.
    pub ttl: u32,
    /// The last moment at which an authority can have given them, in seconds since 1970; none while one still does.
    pub until: Option<u64>,
}

/// What answers at `/.well-known/cutover-id`: at the new system itself, and where the name leads.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Identity {
    /// At the new system's own address; an error says why there is no answer.
    pub wanted: Result<String, String>,
    /// At each address that the name leads to.
    pub found: Vec<(IpAddr, Result<String, String>)>,
}

/// One name and type.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Set {
    /// The zone it is in.
    pub zone: String,
    /// The name; a wildcard is `*.example.com`.
    pub name: String,
    /// The type, as `AAAA`.
    pub kind: String,
    /// What it is to be.
    pub wanted: Wanted,
    /// What each server of the zone says, in their order.
    pub authority: Vec<Heard>,
    /// What each resolver says; empty where none was asked, because the name does not exist yet.
    pub caches: Vec<Cache>,
    /// What it was before, where that is known.
    pub before: Option<Before>,
    /// For an alias: what the name's addresses are at the authorities, where they answer them without the alias.
    pub flattened: Values,
    /// For an alias: where it ends, by a resolver.
    pub end: Option<Heard>,
    /// For an alias or a proxied name: who answers.
    pub identity: Option<Identity>,
}

/// The CAA records that count for a name.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Authorization {
    /// The name that a certificate is for.
    pub name: String,
    /// Where the records stand: the name, or one above it.
    pub at: String,
    /// The records; an error says why they are not known.
    pub values: Result<Values, String>,
}

/// Everything, at one moment.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Sight {
    /// When, in seconds since 1970.
    pub at: u64,
    /// The zones.
    pub zones: Vec<Zone>,
    /// The record sets.
    pub sets: Vec<Set>,
    /// Who may issue certificates.
    pub authorizations: Vec<Authorization>,
    /// Names that could not be placed in a zone, and why.
    pub lost: BTreeMap<String, String>,
}

/// What is asked of the whole.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Demand {
    /// Resolvers that must have the new records.
    pub quorum: usize,
    /// Who shall issue certificates, the first one and then those it falls back on; empty means nobody.
    pub issuers: Vec<String>,
    /// The TTL that records are to have before a switch, in seconds.
    pub ttl: u32,
}
