//! What a connection string says, each parameter checked: servers, role, database, how certificates are judged.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding, SslNegotiation, TargetSessionAttrs};

use super::string::Pairs;
use crate::secret::Secret;

/// Where libpq looks for a server when no host is named.
const SOCKET_DIRECTORY: &str = "/var/run/postgresql";
const PORT: u16 = 5432;
/// How long one server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a connection is encrypted and who is believed; libpq's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    const ALL: [Self; 6] = [Self::Disable, Self::Allow, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// One server of a connection string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Its name, or the directory of its socket.
    pub host: String,
    /// The address that is used instead of asking for the name's.
    pub address: Option<IpAddr>,
    pub port: u16,
}

impl Server {
    pub(super) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    pub(super) fn is_loopback(&self) -> bool {
        let address = self.address.or_else(|| self.host.parse().ok());
        address.map_or(self.host == "localhost", |address| address.is_loopback())
    }
}

/// A connection string, understood.
#[derive(Clone)]
pub(super) struct Settings {
    pub servers: Vec<Server>,
    pub user: String,
    pub password: Option<Secret>,
    pub database: String,
    /// As it was written, if it was.
    pub mode: Option<Mode>,
    /// The file of certificates; the system's are believed where there is none.
    pub ca: Option<PathBuf>,
    pub options: Option<String>,
    /// None waits for ever.
    pub patience: Option<Duration>,
    pub attributes: TargetSessionAttrs,
    pub binding: ChannelBinding,
    pub negotiation: SslNegotiation,
    pub has_keepalives: bool,
    pub keepalive: (Duration, Duration, u32),
    pub user_timeout: Option<Duration>,
}

impl Settings {
    /// Reads the parameters; `ca` is a file of certificates that counts before one in the string.
    pub(super) fn of(pairs: &Pairs, ca: Option<&Path>) -> Result<Self, String> {
        let mut read = Reading { hosts: Vec::new(), addresses: Vec::new(), ports: Vec::new(), has_system_roots: false };
        let mut settings = Self {
            servers: Vec::new(),
            user: String::new(),
            password: None,
            database: String::new(),
            mode: None,
            ca: None,
            options: None,
            patience: Some(PATIENCE),
            attributes: TargetSessionAttrs::Any,
            binding: ChannelBinding::Prefer,
            negotiation: SslNegotiation::Postgres,
            has_keepalives: true,
            keepalive: (Duration::from_secs(30), Duration::from_secs(10), 3),
            user_timeout: None,
        };
        for (name, value) in pairs {
            settings.take(name, value, &mut read)?;
        }
        if settings.user.is_empty() {
            return Err(
                "it names no user; write postgresql://USER:PASSWORD@HOST/DATABASE, signs such as @ and / in the \
                        password percent-encoded"
                    .into(),
            );
        }
        if settings.database.is_empty() {
            settings.database.clone_from(&settings.user);
        }
        settings.servers = read.servers()?;
        settings.ca = ca.map(Path::to_owned).or(settings.ca);
        if read.has_system_roots && ca.is_none() {
            match settings.mode {
                None => settings.mode = Some(Mode::VerifyFull),
                Some(Mode::VerifyFull) => {}
                Some(_) => return Err("sslrootcert=system goes with sslmode=verify-full only".into()),
            }
        }
        Ok(settings)
    }

    fn take(&mut self, name: &str, value: &str, read: &mut Reading) -> Result<(), String> {
        match name {
            "host" => read.hosts = list(value),
            "hostaddr" => read.addresses = list(value),
            "port" => read.ports = list(value),
            "user" => value.clone_into(&mut self.user),
            "password" => self.password = (!value.is_empty()).then(|| Secret::new(value.to_owned())),
            "dbname" => value.clone_into(&mut self.database),
            "sslmode" => {
                let allowed = Mode::ALL.map(|mode| (mode.word(), mode));
                self.mode = Some(choice(name, value, &allowed)?);
            }
            "sslrootcert" if value == "system" => read.has_system_roots = true,
            "sslrootcert" => self.ca = (!value.is_empty()).then(|| PathBuf::from(value)),
            "options" => self.options = (!value.is_empty()).then(|| value.to_owned()),
            "connect_timeout" => {
                let seconds = whole(name, value)?;
                // As libpq has it: 0 and less wait for ever, and less than 2 seconds are taken for 2.
                self.patience = (seconds > 0).then(|| Duration::from_secs(seconds.max(2).unsigned_abs()));
            }
            "target_session_attrs" => {
                let (any, write, read) =
                    (TargetSessionAttrs::Any, TargetSessionAttrs::ReadWrite, TargetSessionAttrs::ReadOnly);
                let allowed =
                    [("any", any), ("read-write", write), ("primary", write), ("read-only", read), ("standby", read)];
                self.attributes = choice(name, value, &allowed)?;
            }
            "channel_binding" => {
                use ChannelBinding::{Disable, Prefer, Require};
                self.binding = choice(name, value, &[("disable", Disable), ("prefer", Prefer), ("require", Require)])?;
            }
            "sslnegotiation" => {
                let allowed = [("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)];
                self.negotiation = choice(name, value, &allowed)?;
            }
            "keepalives" => self.has_keepalives = whole(name, value)? != 0,
            "keepalives_idle" => self.keepalive.0 = seconds(name, value)?.unwrap_or(self.keepalive.0),
            "keepalives_interval" => self.keepalive.1 = seconds(name, value)?.unwrap_or(self.keepalive.1),
            "keepalives_count" => self.keepalive.2 = u32::try_from(whole(name, value)?).unwrap_or(3).max(1),
            "tcp_user_timeout" => {
                let milliseconds = whole(name, value)?;
                self.user_timeout = (milliseconds > 0).then(|| Duration::from_millis(milliseconds.unsigned_abs()));
            }
            // Every session has a name and an encoding of its own; a string's would be overwritten.
            "application_name" | "fallback_application_name" | "client_encoding" => {}
            "gssencmode" => choice(name, value, &[("disable", ()), ("prefer", ())])?,
            "load_balance_hosts" => choice(name, value, &[("disable", ())])?,
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// How a server is reached: as it was written, else verified, but for sockets and this very host.
    pub(super) fn mode_of(&self, server: &Server) -> Mode {
        match self.mode {
            _ if server.is_socket() => Mode::Disable,
            // As libpq has it: a file of certificates is there to be checked against.
            Some(Mode::Require) if self.ca.is_some() => Mode::VerifyCa,
            Some(mode) => mode,
            None if self.ca.is_some() || !server.is_loopback() => Mode::VerifyFull,
            None => Mode::Prefer,
        }
    }

    /// `user@host:port/database`, all servers apart by commas.
    pub(super) fn shown(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(shown_server).collect();
        format!("{}@{}/{}", self.user, servers.join(","), self.database)
    }
}

pub(super) fn shown_server(server: &Server) -> String {
    if server.host.contains(':') {
        format!("[{}]:{}", server.host, server.port)
    } else {
        format!("{}:{}", server.host, server.port)
    }
}

/// The lists of servers, before they are put together.
struct Reading {
    hosts: Vec<String>,
    addresses: Vec<String>,
    ports: Vec<String>,
    has_system_roots: bool,
}

impl Reading {
    fn servers(&self) -> Result<Vec<Server>, String> {
        let count = self.hosts.len().max(self.addresses.len()).max(1);
        let is_uneven = |list: &[String]| !list.is_empty() && list.len() != count;
        if is_uneven(&self.hosts) || is_uneven(&self.addresses) || self.ports.len() > 1 && self.ports.len() != count {
            return Err("it names hosts, addresses and ports in different numbers".into());
        }
        let one = |at: usize| -> Result<Server, String> {
            let address = self.addresses.get(at).filter(|text| !text.is_empty());
            let address: Option<IpAddr> =
                address.map(|text| text.parse().map_err(|_| "hostaddr is no IP address".to_owned())).transpose()?;
            let host = self.hosts.get(at).filter(|host| !host.is_empty()).cloned();
            let host = host.or_else(|| address.map(|address| address.to_string()));
            let port = self.ports.get(at).or(self.ports.first().filter(|_| self.ports.len() == 1));
            let port = match port.map(String::as_str) {
                None | Some("") => PORT,
                Some(text) => text.parse().ok().filter(|port| *port > 0).ok_or("a port is not between 1 and 65535")?,
            };
            Ok(Server { host: host.unwrap_or_else(|| SOCKET_DIRECTORY.to_owned()), address, port })
        };
        (0..count).map(one).collect()
    }
}

fn list(value: &str) -> Vec<String> {
    if value.is_empty() { Vec::new() } else { value.split(',').map(|part| part.trim().to_owned()).collect() }
}

fn choice<T: Copy>(name: &str, value: &str, allowed: &[(&str, T)]) -> Result<T, String> {
    let found = allowed.iter().find(|(word, _)| *word == value);
    let words: Vec<&str> = allowed.iter().map(|(word, _)| *word).collect();
    found.map(|(_, value)| *value).ok_or_else(|| format!("{name} must be one of {}", words.join(", ")))
}

fn whole(name: &str, value: &str) -> Result<i64, String> {
    value.trim().parse().map_err(|_| format!("{name} must be a whole number"))
}

fn seconds(name: &str, value: &str) -> Result<Option<Duration>, String> {
    let seconds = whole(name, value)?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds.unsigned_abs())))
}

fn unknown(name: &str) -> String {
    match name {
        "sslcert" | "sslkey" | "sslpassword" | "sslcertmode" => {
            format!("{name}: client certificates are not supported; use a password")
        }
        "passfile" | "service" | "servicefile" => {
            format!(
                "{name} is not read here; write user, password and host into the string, which stays in its own file"
            )
        }
        "pgbouncer" => {
            "pgbouncer marks the address of a transaction pooler, which keeps no session; use the database's \
                        own address, or the pooler's session mode"
                .into()
        }
        // Whatever is no plain name may be a piece of a password.
        name if !name.is_empty()
            && name.len() <= 40
            && name.bytes().all(|sign| sign.is_ascii_lowercase() || sign == b'_') =>
        {
            format!("the parameter {name} is not known; take it out")
        }
        _ => "it holds a parameter that is not known; signs such as & and ? in a password are percent-encoded".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::string::pairs;
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        Settings::of(&pairs(text)?, None)
    }

    fn mode(text: &str) -> &'static str {
        let settings = read(text).unwrap();
        settings.mode_of(&settings.servers[0]).word()
    }

    #[test]
    fn a_remote_host_is_verified_unless_it_is_written_otherwise() {
        for (text, expected) in [
            ("postgresql://u@db.example.com/d", "verify-full"),
            ("postgresql://u@10.0.0.5/d", "verify-full"),
            ("postgresql://u@db.example.com/d?sslmode=disable", "disable"),
            ("postgresql://u@db.example.com/d?sslmode=require", "require"),
            ("postgresql://u@db.example.com/d?sslmode=require&sslrootcert=/ca.pem", "verify-ca"),
            ("postgresql://u@db.example.com/d?sslrootcert=system", "verify-full"),
            ("postgresql://u@localhost/d", "prefer"),
            ("postgresql://u@127.0.0.1/d", "prefer"),
            ("postgresql://u@[::1]/d", "prefer"),
            ("postgresql://u@localhost/d?sslrootcert=/ca.pem", "verify-full"),
            ("postgresql://u@/d", "disable"),
            ("host=/tmp user=u sslmode=verify-full", "disable"),
            ("host=db.example.com hostaddr=127.0.0.1 user=u", "prefer"),
        ] {
            assert_eq!(mode(text), expected, "{text}");
        }
        let ca = Settings::of(&pairs("postgresql://u@127.0.0.1/d").unwrap(), Some(Path::new("/ca.pem"))).unwrap();
        assert_eq!(ca.mode_of(&ca.servers[0]), Mode::VerifyFull);
    }

    #[test]
    fn servers_are_paired_with_their_ports_and_addresses() {
        let shown = |text: &str| read(text).unwrap().shown();
        assert_eq!(shown("postgresql://u@a,b:6/d"), "u@a:5432,b:6/d");
        assert_eq!(shown("postgresql://u:p@[::1]:7"), "u@[::1]:7/u");
        assert_eq!(shown("host=a,b port=9 user=u"), "u@a:9,b:9/u");
        assert_eq!(shown("user=u"), "u@/var/run/postgresql:5432/u");
        assert!(read("host=a,b port=1,2,3 user=u").is_err());
        assert!(read("host=a port=99999 user=u").is_err());
    }

    #[test]
    fn a_parameter_that_is_not_known_is_named_and_one_that_may_be_a_password_is_not() {
        let error = |text: &str| read(text).err().unwrap();
        assert!(error("postgresql://u@h/d?conect_timeout=5").contains("conect_timeout"));
        assert!(error("postgresql://u@h/d?sslcert=x").contains("client certificates"));
        assert!(error("postgresql://u@h/d?pgbouncer=true").contains("transaction pooler"));
        assert!(error("postgresql://u@h/d?sslmode=veryfull").contains("verify-full"));
        assert!(!error("postgresql://u@h/d?S3cr3t&t=1").contains("S3cr3t"));
        assert!(!error("postgresql://u@h/d?S3cr3t=1").contains("S3cr3t"));
        assert!(error("postgresql://h/d").contains("names no user"));
    }

    #[test]
    fn timeouts_are_libpqs_with_a_default_of_ours() {
        let patience = |text: &str| read(text).unwrap().patience.map(|time| time.as_secs());
        assert_eq!(patience("user=u"), Some(10));
        assert_eq!(patience("user=u connect_timeout=1"), Some(2));
        assert_eq!(patience("user=u connect_timeout=0"), None);
    }
}
