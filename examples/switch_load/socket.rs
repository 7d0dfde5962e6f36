//! People on a websocket: one message a second, and its echo. Some stay, some go after a while; whoever is cut off comes back.

use std::io::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::met::Met;
use super::people::People;
use super::way::Connection;

const PACE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);
/// So many messages and a few more are said by those who go again.
const SHORTLY: u64 = 5;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// Is connected, and connected again, for ever; every second one over TLS, and three of four only for a while.
pub async fn live(people: Arc<People>, met: Arc<Met>, index: u64) {
    let messages = if index.is_multiple_of(4) { u64::MAX } else { SHORTLY + index % 7 };
    loop {
        let (release, goodbye) = match connect(&people, index % 2 == 1).await {
            Ok((mut stream, release)) => {
                met.socket_opened();
                match talk(&mut stream, &met, messages).await {
                    Ok(Parting::Ours) => continue,
                    Ok(Parting::Theirs) => (release, Ok(())),
                    Err(error) => (release, Err(error)),
                }
            }
            Err(error) => (None, Err(Error::other(format!("no handshake: {error}")))),
        };
        met.socket_closed(release, goodbye.map_err(|error| error.to_string()));
        tokio::time::sleep(PACE / 10).await;
    }
}

async fn connect(people: &People, is_tls: bool) -> Result<(Connection, Option<u32>)> {
    let mut stream = if is_tls { people.way.tls().await? } else { people.way.plain().await? };
    let head = "GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    let answer = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    if !answer.starts_with("http/1.1 101") || !answer.contains("s3pplmbitxaq9kygzzhzrbk+xoo=") {
        return Err(Error::other(answer.lines().next().unwrap_or_default().to_owned()));
    }
    let release = answer.lines().find_map(|line| line.strip_prefix("x-demo-release:")?.trim().parse().ok());
    Ok((stream, release))
}

/// Who ended the talk.
enum Parting {
    Ours,
    Theirs,
}

/// Speaks so often, or until the other side says goodbye; everything else is an error.
async fn talk(stream: &mut Connection, met: &Met, messages: u64) -> Result<Parting> {
    for _ in 0..messages {
        // The mask may be nothing, but must be there.
        stream.write_all(&[0x80 | TEXT, 0x80 | 5, 0, 0, 0, 0, b'h', b'e', b'l', b'l', b'o']).await?;
        let (kind, content) =
            tokio::time::timeout(PATIENCE, frame(stream)).await.map_err(|_| Error::other("no echo in 10 s"))??;
        if kind == CLOSE {
            return goodbye(&content);
        }
        if content != b"hello" {
            return Err(Error::other("the echo is not what was said"));
        }
        met.socket_echoed();
        // What is said meanwhile can only be a goodbye.
        tokio::select! {
            said = frame(stream) => {
                let (kind, content) = said?;
                return if kind == CLOSE { goodbye(&content) } else { Err(Error::other("an echo of nothing")) };
            }
            () = tokio::time::sleep(PACE) => {}
        }
    }
    stream.write_all(&[0x80 | CLOSE, 0x80, 0, 0, 0, 0]).await?;
    Ok(Parting::Ours)
}

/// The application's own last words, not the proxy's.
fn goodbye(content: &[u8]) -> Result<Parting> {
    let words = String::from_utf8_lossy(content.get(2..).unwrap_or_default());
    if words.starts_with("release ") {
        return Ok(Parting::Theirs);
    }
    Err(Error::other(format!("closed by the proxy: {words:?}")))
}

async fn frame(stream: &mut Connection) -> Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.map_err(|error| Error::other(format!("cut off: {error}")))? & 0x0f;
    let length = usize::from(stream.read_u8().await? & 0x7f);
    let mut content = vec![0; length];
    stream.read_exact(&mut content).await?;
    Ok((kind, content))
}
