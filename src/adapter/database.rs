//! A PostgreSQL server reached by its connection string. Every session is pinned, so that text means the same on both sides.

mod greeting;
mod settings;
mod string;
mod tls;
mod trouble;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use zeroize::Zeroizing;

use self::settings::{Mode, Server, Settings};
use self::tls::{Check, Connector};
use self::trouble::Reason;
pub use self::trouble::{ConnectError, Trouble};
use crate::secret::Secret;

/// What every session is set to before anything else: equal values are equal text, nothing is hidden, nothing waits for ever.
pub const PINNED: &str = "SET TimeZone='UTC'; SET DateStyle='ISO, YMD'; SET IntervalStyle=postgres; \
    SET extra_float_digits=1; SET bytea_output=hex; SET lc_monetary='C'; SET xmloption=content; SET row_security=off; \
    SET search_path=''; SET statement_timeout=0; SET lock_timeout='5s'; SET idle_in_transaction_session_timeout=0; \
    SET client_encoding='UTF8'";

/// Files in which Linux distributions keep the certificates that they believe.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// A database and how it is reached; never shows its password.
#[derive(Clone)]
pub struct Place {
    settings: Arc<Settings>,
    shown: String,
    /// Made when it is first needed: reading the system's certificates takes a while.
    checked: Arc<[OnceLock<Connector>; 3]>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.shown)
    }
}

/// How the server's certificate is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assurance {
    /// Who signed it and its name are checked.
    Full,
    /// Who signed it is checked.
    Chain,
    /// Nothing is checked: it is not known who answers, even where the connection is encrypted.
    Nothing,
}

impl Place {
    /// Reads a connection string as libpq knows it; `ca` is a file of certificates that the server's is checked against, and
    /// counts before the string's `sslrootcert`. Without `sslmode`, servers other than sockets and this very host are
    /// verified (`verify-full`). Nothing is read from the environment or from `~/.pgpass`.
    ///
    /// # Errors
    /// When it is no connection string; names the parameter, never a value.
    pub fn parse(url: &Secret, ca: Option<&Path>) -> Result<Self> {
        let settings = string::pairs(url.expose()).and_then(|pairs| Settings::of(&pairs, ca));
        let settings = settings.map_err(|why| anyhow!("the connection string cannot be read: {why}"))?;
        Ok(Self::of(settings))
    }

    fn of(settings: Settings) -> Self {
        Self { shown: settings.shown(), settings: Arc::new(settings), checked: Arc::default() }
    }

    /// `user@host:port/database`, as it may be shown and written down.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The same server, another database of it.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        let settings = Settings { database: name.to_owned(), ..(*self.settings).clone() };
        Self { checked: self.checked.clone(), ..Self::of(settings) }
    }

    /// The first server's name, or the directory of its socket.
    pub fn host(&self) -> &str {
        &self.server().host
    }

    /// The first server's port.
    pub fn port(&self) -> u16 {
        self.server().port
    }

    /// The role.
    pub fn user(&self) -> &str {
        &self.settings.user
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.settings.database
    }

    /// The password, if the string holds one.
    pub fn password(&self) -> Option<&Secret> {
        self.settings.password.as_ref()
    }

    /// The file of certificates that the server's is checked against; the system's count where there is none.
    pub fn ca(&self) -> Option<&Path> {
        self.settings.ca.as_deref()
    }

    /// libpq's word for how the first server is reached: as it was written, or what stands for it.
    pub fn sslmode(&self) -> &'static str {
        self.settings.mode_of(self.server()).word()
    }

    /// How the first server's certificate is judged.
    pub fn assurance(&self) -> Assurance {
        assurance(self.settings.mode_of(self.server()))
    }

    /// Whether it is reached without a network: by a socket, or on this very host.
    pub fn is_near(&self) -> bool {
        self.settings.servers.iter().all(|server| server.is_socket() || server.is_loopback())
    }

    /// The variables by which libpq's own programs (pg_dump, psql) reach the same server in the same way; the password is
    /// not among them: it goes into a file (`passfile`).
    pub fn variables(&self) -> Vec<(String, String)> {
        let settings = &self.settings;
        let each = |value: &dyn Fn(&Server) -> String| settings.servers.iter().map(value).collect::<Vec<_>>().join(",");
        let mut variables = vec![
            ("PGHOST", each(&|server| server.host.clone())),
            ("PGPORT", each(&|server| server.port.to_string())),
            ("PGUSER", settings.user.clone()),
            ("PGDATABASE", settings.database.clone()),
            ("PGSSLMODE", self.sslmode().to_owned()),
            ("PGCONNECT_TIMEOUT", settings.patience.map_or(0, |time| time.as_secs()).to_string()),
        ];
        if settings.servers.iter().any(|server| server.address.is_some()) {
            let address = |server: &Server| server.address.map_or_else(String::new, |address| address.to_string());
            variables.push(("PGHOSTADDR", each(&address)));
        }
        let bundle = || BUNDLES.iter().map(PathBuf::from).find(|path| path.exists());
        // libpq would look for ~/.postgresql/root.crt; the word `system` is known to the newest clients only.
        if let Some(file) = settings.ca.clone().or_else(|| self.sslmode().starts_with("verify").then(bundle).flatten())
        {
            variables.push(("PGSSLROOTCERT", file.display().to_string()));
        }
        if let Some(options) = &settings.options {
            variables.push(("PGOPTIONS", options.clone()));
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The content of a password file (`PGPASSFILE`) for the programs of `variables`; none without a password.
    pub fn passfile(&self) -> Option<Secret> {
        let mut line = Zeroizing::new(String::from("*:*:*"));
        for part in [self.user(), self.password()?.expose()] {
            line.push(':');
            for sign in part.chars() {
                if matches!(sign, ':' | '\\') {
                    line.push('\\');
                }
                line.push(sign);
            }
        }
        line.push('\n');
        Some(Secret::new(line.to_string()))
    }

    /// Connects and pins the session. `name` becomes its `application_name`: by it, what a killed run left behind is found.
    ///
    /// # Errors
    /// A [`ConnectError`], in words that tell a wrong password, a refused connection, an unknown host, missing TLS, a
    /// certificate that is not believed and the like apart, each with what to do.
    pub async fn connect(&self, name: &str) -> Result<Session> {
        let mut last = None;
        for server in &self.settings.servers {
            match self.reach(server, name).await {
                Ok(session) => {
                    let pinned = session.batch_execute(PINNED).await;
                    pinned.with_context(|| format!("cannot set up a session on {}", self.shown))?;
                    return Ok(session);
                }
                Err(reason) => last = Some(reason),
            }
        }
        let (trouble, what) = last.unwrap_or((Trouble::Other, "it names no server".into()));
        Err(ConnectError { trouble, shown: self.shown.clone(), what }.into())
    }

    /// One server, in each way that its mode allows.
    async fn reach(&self, server: &Server, name: &str) -> Result<Session, Reason> {
        if let Some(reason) = trouble::of_pooler(server) {
            return Err(reason);
        }
        let mode = self.settings.mode_of(server);
        let ways: &[Mode] = match mode {
            Mode::Allow => &[Mode::Disable, Mode::Require],
            Mode::Prefer => &[Mode::Prefer, Mode::Disable],
            Mode::Disable => &[Mode::Disable],
            Mode::Require => &[Mode::Require],
            Mode::VerifyCa => &[Mode::VerifyCa],
            Mode::VerifyFull => &[Mode::VerifyFull],
        };
        let mut last = None;
        for way in ways {
            let tried = self.attempt(server, *way, name);
            let tried = match self.settings.patience {
                Some(patience) => tokio::time::timeout(patience, tried)
                    .await
                    .unwrap_or_else(|_| Err(Tried::Failed(trouble::of_silence(server, patience)))),
                None => tried.await,
            };
            match tried {
                Ok(session) => return Ok(session),
                Err(Tried::Failed(reason)) => return Err(reason),
                Err(Tried::Otherwise(reason)) => last = last.or(Some(reason)),
            }
        }
        Err(last.unwrap_or((Trouble::Other, "there is no way to connect".into())))
    }

    async fn attempt(&self, server: &Server, way: Mode, name: &str) -> Result<Session, Tried> {
        let connector = self.connector(way).map_err(|what| Tried::Failed((Trouble::NoCertificates, what)))?;
        let (client, connection) = match self.config(server, way, name).connect(connector).await {
            Ok(connected) => connected,
            Err(error) => {
                let mut reason = trouble::of_error(&error, server, way);
                if reason.0 == Trouble::NoTls {
                    reason = greeting::of_another(server).await.unwrap_or(reason);
                }
                // The server's rules may take the same role encrypted and not otherwise, or the other way round.
                let is_rule = error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
                let is_tls = reason.0 == Trouble::Handshake && way == Mode::Prefer;
                return Err(if is_rule || is_tls { Tried::Otherwise(reason) } else { Tried::Failed(reason) });
            }
        };
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a database connection ended");
            }
        });
        Ok(Session { client, driver, assurance: assurance(way) })
    }

    fn config(&self, server: &Server, way: Mode, name: &str) -> Config {
        let settings = &self.settings;
        let mut config = Config::new();
        config.host(&server.host).port(server.port).user(&settings.user).dbname(&settings.database);
        config.application_name(name).target_session_attrs(settings.attributes).channel_binding(settings.binding);
        config.keepalives(settings.has_keepalives).keepalives_idle(settings.keepalive.0);
        config.keepalives_interval(settings.keepalive.1).keepalives_retries(settings.keepalive.2);
        config.ssl_mode(match way {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
        if way != Mode::Disable {
            config.ssl_negotiation(settings.negotiation);
        }
        if let Some(address) = server.address {
            config.hostaddr(address);
        }
        if let Some(password) = &settings.password {
            config.password(password.expose());
        }
        if let Some(options) = &settings.options {
            config.options(options);
        }
        if let Some(time) = settings.user_timeout {
            config.tcp_user_timeout(time);
        }
        if let Some(time) = settings.patience {
            // A name may have several addresses: the first one that is silent must not use up the whole time.
            config.connect_timeout(time.min(Duration::from_secs(5)).max(time / 2));
        }
        config
    }

    fn connector(&self, way: Mode) -> Result<Connector, String> {
        let (check, slot) = match assurance(way) {
            Assurance::Nothing => (Check::None, &self.checked[0]),
            Assurance::Chain => (Check::Chain, &self.checked[1]),
            Assurance::Full => (Check::Name, &self.checked[2]),
        };
        if let Some(made) = slot.get() {
            return Ok(made.clone());
        }
        let is_direct = self.settings.negotiation == SslNegotiation::Direct;
        let configuration = tls::configuration(check, self.settings.ca.as_deref(), is_direct)?;
        Ok(slot.get_or_init(|| Connector { configuration }).clone())
    }

    fn server(&self) -> &Server {
        // A connection string without a host means the socket's directory: there is always one.
        &self.settings.servers[0]
    }
}

/// How an attempt failed.
enum Tried {
    /// For good.
    Failed(Reason),
    /// Perhaps not in another way.
    Otherwise(Reason),
}

fn assurance(mode: Mode) -> Assurance {
    match mode {
        Mode::VerifyFull => Assurance::Full,
        Mode::VerifyCa => Assurance::Chain,
        Mode::Disable | Mode::Allow | Mode::Prefer | Mode::Require => Assurance::Nothing,
    }
}

/// A pinned session. Dropping it closes the connection.
pub struct Session {
    client: Client,
    driver: tokio::task::JoinHandle<()>,
    assurance: Assurance,
}

impl Session {
    /// How the server's certificate was judged.
    pub fn assurance(&self) -> Assurance {
        self.assurance
    }
}

impl std::ops::Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl std::ops::DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
