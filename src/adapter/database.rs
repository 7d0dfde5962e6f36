//! A PostgreSQL server reached by its connection string. Every session is pinned, so that text means the same on both sides.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio_postgres::{Client, Config, NoTls};

use crate::secret::Secret;

/// What every session is set to before anything else: equal values are equal text, nothing is hidden, nothing waits for ever.
pub const PINNED: &str = "SET TimeZone='UTC'; SET DateStyle='ISO, YMD'; SET IntervalStyle=postgres; \
    SET extra_float_digits=1; SET bytea_output=hex; SET lc_monetary='C'; SET xmloption=content; SET row_security=off; \
    SET search_path=''; SET statement_timeout=0; SET lock_timeout='5s'; SET idle_in_transaction_session_timeout=0; \
    SET client_encoding='UTF8'";

/// A database and how it is reached; never shows its password.
#[derive(Clone)]
pub struct Place {
    config: Arc<Config>,
    shown: String,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.shown)
    }
}

impl Place {
    /// Reads a connection string as libpq knows it; `ca` is a file of certificates that the server's is checked against.
    ///
    /// # Errors
    /// When it is no connection string.
    pub fn parse(url: &Secret, _ca: Option<&Path>) -> Result<Self> {
        let config: Config = url.expose().parse().context("the connection string cannot be read")?;
        let host = config.get_hosts().first().map_or_else(String::new, |host| match host {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
        });
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let (user, database) = (config.get_user().unwrap_or("?"), config.get_dbname().unwrap_or("?"));
        let shown = format!("{user}@{host}:{port}/{database}");
        Ok(Self { config: Arc::new(config), shown })
    }

    /// `user@host:port/database`, as it may be shown and written down.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The same server, another database of it.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        let mut config = (*self.config).clone();
        config.dbname(name);
        let shown = match self.shown.rsplit_once('/') {
            Some((server, _)) => format!("{server}/{name}"),
            None => name.to_owned(),
        };
        Self { config: Arc::new(config), shown }
    }

    /// Connects and pins the session. `name` becomes its `application_name`: by it, what a killed run left behind is found.
    ///
    /// # Errors
    /// In words that tell a wrong password, a refused connection, an unknown host and missing TLS apart.
    pub async fn connect(&self, name: &str) -> Result<Session> {
        let mut config = (*self.config).clone();
        config.application_name(name);
        let (client, connection) =
            config.connect(NoTls).await.with_context(|| format!("cannot connect to {}", self.shown))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a database connection ended");
            }
        });
        client.batch_execute(PINNED).await.with_context(|| format!("cannot set up a session on {}", self.shown))?;
        Ok(Session { client, driver })
    }
}

/// A pinned session. Dropping it closes the connection.
pub struct Session {
    client: Client,
    driver: tokio::task::JoinHandle<()>,
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
