//! The way to PostgreSQL. Law: a database that is away is an answer, never a crash; the next question tries again.

use crate::settings::text;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

const DEADLINE: Duration = Duration::from_secs(2);

/// A connection that is made when it is first needed, and again whenever it was lost.
#[derive(Default)]
pub struct Database {
    client: Mutex<Option<Arc<Client>>>,
}

impl Database {
    /// The live connection; requests share it, as the protocol pipelines.
    ///
    /// # Errors
    /// The settings are wrong, or nobody answered in two seconds.
    pub async fn client(&self) -> Result<Arc<Client>> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let fresh = Arc::new(connect().await?);
        *slot = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    /// Whether a query is answered right now.
    ///
    /// # Errors
    /// As for [`Database::client`], or the query failed or took more than two seconds.
    pub async fn ping(&self) -> Result<()> {
        let client = self.client().await?;
        let answer = tokio::time::timeout(DEADLINE, client.simple_query("SELECT 1")).await;
        if answer.is_err() {
            // A peer that vanished without a word would keep the connection looking alive.
            *self.client.lock().await = None;
        }
        answer.context("no answer within two seconds")??;
        Ok(())
    }
}

/// A connection of its own, as a migration wants it.
///
/// # Errors
/// The settings are wrong, or nobody answered in two seconds.
pub async fn connect() -> Result<Client> {
    let url = text("DATABASE_URL").context("DATABASE_URL is not set")?;
    let mut config: Config = url.parse().context("DATABASE_URL")?;
    if let Some(path) = text("DATABASE_PASSWORD_FILE") {
        let password = std::fs::read_to_string(&path).with_context(|| format!("DATABASE_PASSWORD_FILE {path}"))?;
        config.password(password.trim_end());
    }
    config.connect_timeout(DEADLINE);
    let (client, connection) =
        tokio::time::timeout(DEADLINE, config.connect(NoTls)).await.context("no connection within two seconds")??;
    tokio::spawn(connection);
    Ok(client)
}
