//! What a migration is told: the tables that only `data`, `run`, `dns`, `watch` and `serve` need.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::secret::{Secret, SecretError};

use super::choices::{DnsProvider, TsigAlgorithm, UserProvider};
use super::environment::Environment;
use super::units::Size;

/// Where a secret is; never what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretAt {
    /// In this environment variable (`*_env`).
    Variable(String),
    /// In this file, absolute (`*_file`).
    File(PathBuf),
}

impl SecretAt {
    /// Fetches the secret.
    ///
    /// # Errors
    /// When the variable is not set or is empty, or the file is refused.
    pub fn read(&self, environment: &Environment) -> Result<Secret, NoSecret> {
        match self {
            Self::Variable(name) => environment.secret(name).ok_or_else(|| NoSecret::NotSet(name.clone())),
            Self::File(path) => Ok(Secret::read_file(path)?),
        }
    }
}

/// Why a secret could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum NoSecret {
    /// The variable of this name is not set, or empty.
    #[error("the environment variable {0} is not set; set it, or name a file instead")]
    NotSet(String),
    /// The file was refused.
    #[error(transparent)]
    File(#[from] SecretError),
}

/// `[source]` and `[target]`: a database.
#[derive(Debug, Clone)]
pub struct Database {
    /// Where its connection string is.
    pub url: SecretAt,
    /// A file of certificates that the server's is checked against, absolute; none means the system's.
    pub ca_certificate: Option<PathBuf>,
}

/// `[data]`: the rows that move.
#[derive(Debug, Clone)]
pub struct Data {
    /// Where exports and reports are written, absolute.
    pub directory: PathBuf,
    /// For each table, the columns that hold user ids.
    pub user_columns: BTreeMap<String, Vec<String>>,
    /// Patterns of the tables that move.
    pub include: Vec<String>,
    /// Patterns of tables that stay behind.
    pub exclude: Vec<String>,
    /// The source's table of users, as SCHEMA.TABLE.
    pub users_table: String,
    /// For each table, the user columns in which an id without an account may stay.
    pub unmapped: BTreeMap<String, Vec<String>>,
    /// Connections to each side, 1 to 64.
    pub workers: u32,
    /// Whether exported tables are compressed.
    pub is_compressed: bool,
    /// From this size on, `--skip-large` leaves a table out.
    pub large: Size,
    /// How long the mapping is kept.
    pub keep_mapping: Duration,
    /// A file that the lines of every data command are appended to, absolute.
    pub log_file: Option<PathBuf>,
    /// What must be true after the import.
    pub assertions: Vec<Assertion>,
}

/// `[[data.assert]]`: what must be true after the import.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// What it says.
    pub name: String,
    /// A query that gives rows only where something is wrong.
    pub sql: String,
}

/// `[users]`: where accounts move to.
#[derive(Debug, Clone)]
pub struct Users {
    /// The service.
    pub provider: UserProvider,
    /// The address of its API.
    pub base_url: Url,
    /// Where the project's id is.
    pub project_id: SecretAt,
    /// Where the secret server key is.
    pub secret_key: SecretAt,
    /// How many accounts are made side by side, 1 to 64.
    pub concurrency: u32,
    /// The most requests per second.
    pub rate: u32,
    /// How often one request is tried.
    pub attempts: u32,
    /// The longest wait for one answer.
    pub timeout: Duration,
    /// How long a request whose answer was lost may still be at work.
    pub settle: Duration,
    /// Whether password hashes are carried over.
    pub has_passwords: bool,
    /// OAuth providers that are set up in the service.
    pub oauth: Vec<String>,
}

/// `[dns]`: the records that move the public.
#[derive(Debug, Clone)]
pub struct Dns {
    /// Who changes them.
    pub provider: DnsProvider,
    /// The zone; none means found from the names.
    pub zone: Option<String>,
    /// The server for dynamic updates; there whenever the provider is `Rfc2136`.
    pub server: Option<SocketAddr>,
    /// The key for dynamic updates; there whenever the provider is `Rfc2136`.
    pub tsig: Option<Tsig>,
    /// Where the API token is; there whenever the provider has an API of its own.
    pub token: Option<SecretAt>,
    /// The TTL that records get, and the largest that is accepted before a switch.
    pub ttl: Duration,
    /// The address of the provider's API; none means its own.
    pub api_url: Option<Url>,
    /// The resolvers that stand for the public.
    pub resolvers: Vec<SocketAddr>,
    /// How many of them must hold the new records.
    pub quorum: u32,
    /// Where the way down to a zone begins; empty means the root servers.
    pub roots: Vec<SocketAddr>,
    /// The port that name servers are asked at.
    pub port: u16,
    /// The longest wait for one answer.
    pub timeout: Duration,
    /// The time between two looks.
    pub interval: Duration,
    /// The longest wait for the records to arrive.
    pub deadline: Duration,
    /// Who issues certificates, as CAA records name them.
    pub issuers: Vec<String>,
    /// The addresses of the new system itself; empty means those of the records.
    pub origin: Vec<IpAddr>,
    /// The port of HTTP there.
    pub http_port: u16,
    /// The port of HTTPS there.
    pub https_port: u16,
    /// Certificates that are believed beside the system's, absolute.
    pub ca_certificate: Option<PathBuf>,
    /// What must be true after the switch, name by name.
    pub records: Vec<Record>,
}

/// The key that signs dynamic updates.
#[derive(Debug, Clone)]
pub struct Tsig {
    /// The key's name.
    pub name: String,
    /// The key's algorithm.
    pub algorithm: TsigAlgorithm,
    /// Where the key is.
    pub secret: SecretAt,
}

/// `[[dns.record]]`: a name and its complete record sets after the switch.
#[derive(Debug, Clone)]
pub struct Record {
    /// The name, without a trailing point, in lower case.
    pub name: String,
    /// Its IPv4 addresses; none may be left behind that is not here.
    pub a: Vec<Ipv4Addr>,
    /// Its IPv6 addresses; none may be left behind that is not here.
    pub aaaa: Vec<Ipv6Addr>,
    /// What it is an alias of; then there are no addresses.
    pub cname: Option<String>,
    /// Whether the provider answers addresses of its own in the place of these.
    pub is_proxied: bool,
    /// Its TXT records; none means they are not looked at.
    pub txt: Option<Vec<String>>,
    /// Its CAA records; none means they are not looked at.
    pub caa: Option<Vec<String>>,
    /// Its HTTPS records; none means only their address hints are looked at.
    pub https: Option<Vec<String>>,
}

/// `[serve]`: the dashboard.
#[derive(Debug, Clone)]
pub struct Serve {
    /// Where it listens.
    pub listen: Listen,
    /// The Host headers that are answered, beside the address itself.
    pub hosts: Vec<String>,
}

/// Where the dashboard listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A loopback address and port.
    Address(SocketAddr),
    /// A unix socket, absolute.
    Socket(PathBuf),
}

impl Listen {
    /// Reads `127.0.0.1:9180` or `unix:/path`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("unix:") {
            Some(path) => Some(Self::Socket(PathBuf::from(path))),
            None => text.parse().ok().map(Self::Address),
        }
    }
}

/// An address with a port or without; without, it is DNS's own.
pub(super) fn server(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 53)))
}
