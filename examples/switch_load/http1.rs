//! HTTP/1.1 by hand: one request, one whole answer.

use std::io::{Error, Result};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::way::Connection;

/// What is asked.
pub struct Question<'a> {
    pub head: &'a str,
    pub body: &'a [u8],
    pub is_kept: bool,
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    /// The release that answered, where it says so.
    pub release: Option<u32>,
}

/// Asks, and reads the answer to its end.
pub async fn ask(stream: &mut Connection, question: &Question<'_>) -> Result<Answer> {
    let connection = if question.is_kept { "keep-alive" } else { "close" };
    let head = format!(
        "{} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\nContent-Length: {}\r\n\r\n",
        question.head,
        question.body.len()
    );
    stream.write_all(&[head.as_bytes(), question.body].concat()).await?;
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(answer) = whole(&bytes) {
            return Ok(answer);
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(Error::other(format!("cut off after {} bytes", bytes.len())));
        }
    }
}

/// Whether a kept connection was closed by the other side meanwhile: whoever sees that opens another.
pub async fn is_closed(stream: &mut Connection) -> bool {
    let mut one = [0_u8; 1];
    tokio::select! {
        biased;
        _ = stream.read(&mut one) => true,
        () = std::future::ready(()) => false,
    }
}

fn whole(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0_usize);
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let release = field("x-demo-release").and_then(|release| release.parse().ok());
    (bytes.len() >= end + 4 + length).then_some(Answer { status, release })
}
