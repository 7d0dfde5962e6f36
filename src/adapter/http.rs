//! The only HTTP client: no redirects, no proxy, a deadline on every request, and a bounded body.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};

mod request;

pub use request::{HttpError, Method, Reply, Request};

/// The most that is read of an answer's body, in bytes.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body, as text.
    pub body: String,
}

/// The client; cheap to clone. It is made when it is asked for the first time: reading the host's TLS roots takes longer
/// than all of `status`.
#[derive(Clone, Debug, Default)]
pub struct Http(Arc<OnceLock<reqwest::Client>>);

impl Http {
    /// Prepares the client; nothing is read yet.
    ///
    /// # Errors
    /// None any more; the signature stays for those who call it.
    pub fn new() -> Result<Self> {
        Ok(Self::default())
    }

    fn client(&self) -> Result<&reqwest::Client> {
        if let Some(client) = self.0.get() {
            return Ok(client);
        }
        let made = Self::make()?;
        Ok(self.0.get_or_init(|| made))
    }

    /// Makes the client.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that builds the HTTP client")]
    fn make() -> Result<reqwest::Client> {
        // A second install is refused because the first one stands, which is what is wanted.
        drop(rustls::crypto::ring::default_provider().install_default());
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot make the HTTP client")
    }

    /// Asks by GET and reads the whole answer within `deadline`.
    ///
    /// # Errors
    /// In words that tell refused, not found and too slow apart.
    pub async fn get(&self, url: &str, deadline: Duration) -> Result<Answer> {
        let request = Request { method: Method::Get, url, headers: &[], json: None, deadline };
        let reply = self.send(&request).await?;
        Ok(Answer { status: reply.status, body: reply.body })
    }

    /// Sends a request and reads the whole answer within its deadline. Nothing is tried twice.
    ///
    /// # Errors
    /// Tells whether the other side can have acted on it: [`HttpError::may_have_arrived`].
    pub async fn send(&self, request: &Request<'_>) -> Result<Reply, HttpError> {
        let client = self.client().map_err(|error| HttpError::Unsendable(format!("{error:#}")))?;
        let prepared = request.prepare(client)?;
        match tokio::time::timeout(request.deadline, exchange(client, prepared)).await {
            Ok(reply) => reply,
            Err(_) => Err(HttpError::Late(super::clock::spoken(request.deadline))),
        }
    }
}

async fn exchange(client: &reqwest::Client, request: reqwest::Request) -> Result<Reply, HttpError> {
    let mut response = client.execute(request).await.map_err(|error| match error.is_connect() {
        true => HttpError::Away(plainly(&error)),
        false => HttpError::Lost(plainly(&error)),
    })?;
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let headers = headers.collect();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| HttpError::Lost(plainly(&error)))? {
        if body.len() + piece.len() > LONGEST_BODY {
            return Err(HttpError::TooLong(LONGEST_BODY / 1024 / 1024));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Reply { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// The innermost reason, which is the one that a person can act on.
fn plainly(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}
