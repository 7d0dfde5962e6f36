//! The service at our pace: every request waits for its turn, and those that may be repeated are, a bounded number of times.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Options;
use super::accounts::Accounts;
use super::pace::{self, Pace};
use crate::adapter::clock::spoken;
use crate::adapter::stack_auth::{Account, StackAuth, StackAuthError};
use crate::rows::Say;

/// The service.
pub(super) struct Service<'a> {
    client: &'a StackAuth,
    pace: Pace,
    attempts: u32,
    say: Say<'a>,
}

impl<'a> Service<'a> {
    pub(super) fn new(options: &Options, client: &'a StackAuth, say: Say<'a>) -> Self {
        Self { client, pace: Pace::new(options.rate), attempts: options.attempts.max(1), say }
    }

    pub(super) fn fingerprint(&self) -> String {
        self.client.fingerprint()
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// One try of a new account; whoever calls looks before he tries again.
    pub(super) async fn create(&self, body: &serde_json::Value) -> Result<Account, StackAuthError> {
        self.pace.turn().await;
        self.client.create(body).await
    }

    /// Waits after the `failed`-th failure in a row, as long as the service asked or as we think fit.
    pub(super) async fn rest(&self, failed: u32, error: &StackAuthError) {
        let mut pause = pace::pause(failed);
        if let StackAuthError::RateLimited(Some(asked)) = error {
            self.pace.hold(*asked);
            // The turn waits as long as was asked for; the rest of the pause only spreads those who wait.
            pause = pause.min(Duration::from_millis(100));
        }
        if failed > 2 {
            (self.say)(format!("{error}; try {} of {} in {}", failed + 1, self.attempts, spoken(pause)));
        }
        tokio::time::sleep(pause).await;
    }

    /// All accounts.
    pub(super) async fn accounts(&self) -> Result<Accounts> {
        Ok(Accounts::of(self.list(None).await.context("cannot list the accounts")?))
    }

    /// The accounts with exactly this address.
    pub(super) async fn with_email(&self, email: &str) -> Result<Vec<Account>, StackAuthError> {
        let mut found = self.list(Some(email)).await?;
        found.retain(|account| account.primary_email.as_deref() == Some(email));
        Ok(found)
    }

    /// All accounts, as the service tells them.
    pub(super) async fn all(&self) -> Result<Vec<Account>, StackAuthError> {
        self.list(None).await
    }

    async fn list(&self, query: Option<&str>) -> Result<Vec<Account>, StackAuthError> {
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.repeated(|| self.client.page(query, cursor.as_deref())).await?;
            found.extend(page.accounts);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(found),
            }
        }
    }

    pub(super) async fn account(&self, id: &str) -> Result<Option<Account>, StackAuthError> {
        self.repeated(|| self.client.account(id)).await
    }

    /// Deleting twice is deleting once.
    pub(super) async fn delete(&self, id: &str) -> Result<bool, StackAuthError> {
        self.repeated(|| self.client.delete(id)).await
    }

    async fn repeated<T, F>(&self, request: impl Fn() -> F) -> Result<T, StackAuthError>
    where
        F: Future<Output = Result<T, StackAuthError>>,
    {
        let mut failed = 0;
        loop {
            self.pace.turn().await;
            match request().await {
                Err(error) if error.is_passing() && failed + 1 < self.attempts => {
                    failed += 1;
                    self.rest(failed, &error).await;
                }
                outcome => return outcome,
            }
        }
    }
}
