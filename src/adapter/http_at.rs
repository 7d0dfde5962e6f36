//! A request to one address under a name, whatever DNS says of it: who answers there, and with what.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The most that is read of a body, in bytes.
const LONGEST_BODY: usize = 64 * 1024;

/// What is asked, and where.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The address of the page.
    pub url: &'a str,
    /// The host in it.
    pub host: &'a str,
    /// Where that host is taken to be.
    pub address: SocketAddr,
    /// Certificates that are believed beside the system's.
    pub ca_certificate: Option<&'a Path>,
    /// For the whole exchange.
    pub deadline: Duration,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct AnswerAt {
    /// Status code.
    pub status: u16,
    /// The header `Server`, where there is one.
    pub server: Option<String>,
    /// Where it sends on to.
    pub location: Option<String>,
    /// The body's beginning, as text.
    pub body: String,
}

/// Asks by GET. Nothing is followed, nothing tried twice, no proxy asked.
///
/// # Errors
/// In words that tell refused, untrusted and too slow apart.
#[expect(
    clippy::disallowed_methods,
    reason = "a client whose names are fixed cannot be the shared one of adapter/http.rs"
)]
pub async fn get_at(at: &At<'_>) -> Result<AnswerAt> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .resolve(at.host, at.address)
        .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = at.ca_certificate {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem).with_context(|| path.display().to_string())? {
            client = client.add_root_certificate(certificate);
        }
    }
    let client = client.build().context("cannot make the HTTP client")?;
    let exchange = async {
        let mut response = client.get(at.url).send().await.map_err(|error| plainly(&error))?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, server, location) = (response.status().as_u16(), header("server"), header("location"));
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| plainly(&error))? {
            body.extend_from_slice(&piece);
            if body.len() > LONGEST_BODY {
                body.truncate(LONGEST_BODY);
                break;
            }
        }
        Ok(AnswerAt { status, server, location, body: String::from_utf8_lossy(&body).into_owned() })
    };
    match tokio::time::timeout(at.deadline, exchange).await {
        Ok(answer) => answer,
        Err(_) => bail!("no answer within {}", super::clock::spoken(at.deadline)),
    }
}

/// The innermost reason, which is the one that a person can act on.
fn plainly(error: &reqwest::Error) -> anyhow::Error {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    // Without the number of the system, which helps nobody at night.
    let words = reason.to_string();
    anyhow::anyhow!("{}", words.split(" (os error").next().unwrap_or(&words).to_lowercase())
}
