//! Changing records, whoever keeps them: the sets of a plan are read, brought to one side, and read again by whoever calls.
//!
//! Which side the world is on is judged from what the keeper of the records itself holds, not from what caches say.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::adapter::clock;
use crate::adapter::dns::tsig::Key;
use crate::adapter::dns::update::Exchange;
use crate::adapter::dns::{Dns, Question};
use crate::adapter::dns_api::{DnsApi, Held, Maker};
use crate::adapter::http::Http;
use crate::judge::dns::seen::Values;
use crate::secret::Secret;

/// Types of records that can be written.
pub const WRITABLE: [&str; 6] = ["A", "AAAA", "CNAME", "TXT", "CAA", "HTTPS"];

/// Where DigitalOcean's API is.
pub const DIGITALOCEAN: &str = Maker::DigitalOcean.base();
/// Where Cloudflare's API is.
pub const CLOUDFLARE: &str = Maker::Cloudflare.base();

/// One side of a change.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct SetSide {
    /// The values; empty means there is no such record.
    pub values: Values,
    /// Their TTL in seconds.
    pub ttl: u32,
    /// Whether the provider answers its own addresses in their place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_proxied: bool,
}

/// A record set that changes.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct SetChange {
    /// The name.
    pub name: String,
    /// The type.
    pub kind: String,
    /// As it was.
    pub from: SetSide,
    /// As it is to be.
    pub to: SetSide,
}

/// Who keeps the records.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// A server that takes dynamic updates.
    Rfc2136(SocketAddr),
    /// DigitalOcean's API at this address.
    DigitalOcean(String),
    /// Cloudflare's API at this address.
    Cloudflare(String),
    /// A person; these authorities show what was done.
    Manual(Vec<SocketAddr>),
}

/// What a provider is called with; secrets stay in here.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// For APIs.
    pub http: Http,
    /// The key for dynamic updates, or why there is none.
    pub key: Option<Result<Key, String>>,
    /// The token for an API, or why there is none.
    pub token: Option<Result<Secret, String>>,
    /// For one answer of a name server.
    pub timeout: Duration,
}

impl Credentials {
    fn dns(&self) -> Dns {
        Dns { timeout: if self.timeout.is_zero() { Duration::from_secs(3) } else { self.timeout }, attempts: 2 }
    }

    fn key(&self) -> Result<&Key> {
        match &self.key {
            Some(Ok(key)) => Ok(key),
            Some(Err(why)) => bail!("{why}"),
            None => bail!("[dns] names no key for dynamic updates; set tsig_name and tsig_secret_file"),
        }
    }

    fn api(&self, maker: Maker, base: &str, zone: &str) -> Result<DnsApi> {
        match &self.token {
            Some(Ok(token)) => Ok(DnsApi::new(self.http.clone(), maker, base, token.clone(), zone)),
            Some(Err(why)) => bail!("{why}"),
            None => bail!("[dns] names no API token; set token_file or token_env"),
        }
    }
}

/// What each set is now, in the order of the names and types; one list for each place that was asked.
///
/// # Errors
/// When a keeper does not answer: nothing is known then.
pub async fn read(keeper: &Keeper, zone: &str, sets: &[(&str, &str)], with: &Credentials) -> Result<Vec<Vec<SetSide>>> {
    match keeper {
        Keeper::Rfc2136(server) => Ok(vec![at_server(*server, sets, with).await?]),
        Keeper::Manual(servers) => {
            let mut all = Vec::new();
            for server in servers {
                all.push(at_server(*server, sets, with).await?);
            }
            Ok(all)
        }
        Keeper::DigitalOcean(base) => Ok(vec![at_api(&with.api(Maker::DigitalOcean, base, zone)?, sets).await?]),
        Keeper::Cloudflare(base) => Ok(vec![at_api(&with.api(Maker::Cloudflare, base, zone)?, sets).await?]),
    }
}

async fn at_server(server: SocketAddr, sets: &[(&str, &str)], with: &Credentials) -> Result<Vec<SetSide>> {
    let mut all = Vec::new();
    for (name, kind) in sets {
        let question = Question::direct(server, name, kind);
        let reply = with
            .dns()
            .ask(&question)
            .await
            .with_context(|| format!("{server} could not be asked for {name} {kind}"))?;
        if !reply.is_authoritative || !matches!(reply.code.as_str(), "NOERROR" | "NXDOMAIN") {
            bail!("{server} answers {} for {name} {kind}, without authority; is it a server of the zone?", reply.code);
        }
        let own = || reply.answers.iter().filter(|entry| entry.name == **name && entry.kind == **kind);
        all.push(SetSide {
            values: own().map(|entry| entry.value.clone()).collect(),
            ttl: own().map(|entry| entry.ttl).max().unwrap_or(0),
            is_proxied: false,
        });
    }
    Ok(all)
}

async fn at_api(api: &DnsApi, sets: &[(&str, &str)]) -> Result<Vec<SetSide>> {
    let mut all = Vec::new();
    for (name, kind) in sets {
        let held = api.records(name).await?;
        let own = || held.iter().filter(|held| held.kind == **kind);
        all.push(SetSide {
            values: own().map(|held| held.value.clone()).collect(),
            ttl: own().map(|held| held.ttl).max().unwrap_or(0),
            is_proxied: own().any(|held| held.is_proxied),
        });
    }
    Ok(all)
}

/// Brings every set to the side that `pick` chooses.
///
/// # Errors
/// When the keeper does not answer or refuses; some sets may have been changed then, which a look tells.
pub async fn write(
    keeper: &Keeper,
    zone: &str,
    changes: &[SetChange],
    pick: fn(&SetChange) -> &SetSide,
    with: &Credentials,
) -> Result<()> {
    match keeper {
        Keeper::Rfc2136(server) => by_update(*server, zone, changes, pick, with).await,
        Keeper::DigitalOcean(base) => by_api(&with.api(Maker::DigitalOcean, base, zone)?, changes, pick).await,
        Keeper::Cloudflare(base) => by_api(&with.api(Maker::Cloudflare, base, zone)?, changes, pick).await,
        Keeper::Manual(_) => bail!("the records are changed by a person"),
    }
}

/// One message for all, under the condition that each set is still as it was just seen.
async fn by_update(
    server: SocketAddr,
    zone: &str,
    changes: &[SetChange],
    pick: fn(&SetChange) -> &SetSide,
    with: &Credentials,
) -> Result<()> {
    let sets: Vec<(&str, &str)> = changes.iter().map(|change| (change.name.as_str(), change.kind.as_str())).collect();
    let now = at_server(server, &sets, with).await?;
    let exchanges: Vec<Exchange> = changes
        .iter()
        .zip(now)
        .filter(|(change, now)| now.values != pick(change).values || now.ttl != pick(change).ttl)
        .map(|(change, now)| Exchange {
            name: change.name.clone(),
            kind: change.kind.clone(),
            before: now.values.into_iter().collect(),
            after: pick(change).values.iter().cloned().collect(),
            ttl: pick(change).ttl,
        })
        .collect();
    if exchanges.is_empty() {
        return Ok(());
    }
    with.dns().update(server, zone, &exchanges, with.key()?, clock::unix_seconds()).await?;
    Ok(())
}

/// Record by record. What an alias excludes goes first; else what is new comes before what is old goes, so that the name
/// is never without an answer.
async fn by_api(api: &DnsApi, changes: &[SetChange], pick: fn(&SetChange) -> &SetSide) -> Result<()> {
    let mut order: Vec<&SetChange> = changes.iter().collect();
    order.sort_by_key(|change| !pick(change).values.is_empty());
    for change in order {
        let wanted = pick(change);
        let held: Vec<Held> =
            api.records(&change.name).await?.into_iter().filter(|held| held.kind == change.kind).collect();
        let mut spare: Vec<&Held> = held.iter().filter(|held| !wanted.values.contains(&held.value)).collect();
        let mut seen = Values::new();
        for value in &wanted.values {
            let record = Held {
                id: String::new(),
                name: change.name.clone(),
                kind: change.kind.clone(),
                value: value.clone(),
                ttl: wanted.ttl,
                is_proxied: wanted.is_proxied,
            };
            let same = held.iter().find(|held| held.value == *value && seen.insert(value.clone()));
            match (same, spare.pop()) {
                (Some(same), unused) => {
                    spare.extend(unused);
                    if same.ttl != record.ttl || same.is_proxied != record.is_proxied {
                        api.change(&Held { id: same.id.clone(), ..record }).await?;
                    }
                }
                (None, Some(old)) => api.change(&Held { id: old.id.clone(), ..record }).await?,
                (None, None) => api.create(&record).await?,
            }
        }
        for old in spare {
            api.delete(&old.id).await?;
        }
    }
    Ok(())
}

/// What a person has to do, line by line.
pub fn instructions(zone: &str, changes: &[SetChange], pick: fn(&SetChange) -> &SetSide) -> Vec<String> {
    let mut lines = vec![format!("At the provider of {zone}, by hand:")];
    for change in changes {
        let other = if std::ptr::eq(pick(change), &raw const change.to) { &change.from } else { &change.to };
        let wanted = pick(change);
        let (name, kind) = (&change.name, &change.kind);
        for value in other.values.difference(&wanted.values) {
            lines.push(format!("  delete  {name}  {kind}  {value}"));
        }
        for value in wanted.values.difference(&other.values) {
            lines.push(format!("  create  {name}  {kind}  {value}  TTL {} s", wanted.ttl));
        }
        for value in wanted.values.intersection(&other.values).filter(|_| wanted.ttl != other.ttl) {
            lines.push(format!("  change  {name}  {kind}  {value}  TTL {} s instead of {} s", wanted.ttl, other.ttl));
        }
    }
    lines
}
