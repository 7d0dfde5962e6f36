//! Asking a server for its health, for images that have neither shell nor wget. Law: only a 200 is yes.

use anyhow::{Context, Result, bail};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(2);

/// Asks `url`, by default this container's own `/health`.
///
/// # Errors
/// The URL is not plain http, nobody answered within two seconds, or the answer was not 200.
pub async fn ask(url: Option<String>, port: u16) -> Result<()> {
    let url = url.unwrap_or_else(|| format!("http://127.0.0.1:{port}/health"));
    let rest = url.strip_prefix("http://").with_context(|| format!("`{url}` is not a plain http address"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let answer = tokio::time::timeout(DEADLINE, exchange(&address, host, path))
        .await
        .with_context(|| format!("{url}: no answer within two seconds"))?
        .with_context(|| url.clone())?;
    let status = answer.split_whitespace().nth(1).unwrap_or("nothing");
    if status != "200" {
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        bail!("{url} answered {status}: {body}");
    }
    Ok(())
}

async fn exchange(address: &str, host: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
