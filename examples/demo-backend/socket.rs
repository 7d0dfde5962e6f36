//! A websocket that echoes (RFC 6455, as much of it as an echo needs). Law: whoever is connected when the server ends is told
//! so by a close frame with the release in it.

use crate::log;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use hyper_util::rt::TokioIo;
use std::io::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;

const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// "Going away".
const AWAY: u16 = 1001;
/// The longest message.
const LONGEST: usize = 1 << 16;
/// How long the end waits for the last words to sockets.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers the handshake, and echoes from then on.
pub fn open(request: Request, release: u32, mut ending: watch::Receiver<bool>) -> Response {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned() else {
        return (StatusCode::UPGRADE_REQUIRED, "a websocket is spoken here").into_response();
    };
    let accepted = accept(key.as_bytes());
    tokio::spawn(async move {
        let spoken = match hyper::upgrade::on(request).await {
            Ok(upgraded) => echo(TokioIo::new(upgraded), release, &mut ending).await,
            Err(problem) => Err(Error::other(problem)),
        };
        if let Err(problem) = spoken {
            log(&format!("websocket: {problem}"));
        }
    });
    let head = [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "websocket")];
    (StatusCode::SWITCHING_PROTOCOLS, head, [(header::SEC_WEBSOCKET_ACCEPT, accepted)], Body::empty()).into_response()
}

/// Says goodbye to all who are connected, and waits a little for it.
pub async fn end_all(ending: &watch::Sender<bool>) {
    ending.send_replace(true);
    if tokio::time::timeout(PATIENCE, ending.closed()).await.is_err() {
        log("websockets are still open; ending without them");
    }
}

fn accept(key: &[u8]) -> String {
    let whole = [key, MAGIC.as_bytes()].concat();
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &whole);
    base64::engine::general_purpose::STANDARD.encode(digest)
}

async fn echo(stream: impl AsyncRead + AsyncWrite, release: u32, ending: &mut watch::Receiver<bool>) -> Result<()> {
    let (mut from, mut to) = tokio::io::split(stream);
    loop {
        let frame = tokio::select! {
            frame = next_frame(&mut from) => frame?,
            () = over(ending) => {
                let goodbye = [&AWAY.to_be_bytes()[..], format!("release {release} ends").as_bytes()].concat();
                to.write_all(&frame_of(CLOSE, &goodbye)).await?;
                return to.shutdown().await;
            }
        };
        let Some((kind, content)) = frame else { return Ok(()) };
        let kind = if kind == PING { PONG } else { kind };
        to.write_all(&frame_of(kind, &content)).await?;
        if kind == CLOSE {
            return to.shutdown().await;
        }
    }
}

/// Returns when the server ends.
async fn over(ending: &mut watch::Receiver<bool>) {
    // A sender that is gone has ended too.
    drop(ending.wait_for(|is_over| *is_over).await);
}

/// The next frame, unmasked; nothing at the end of the stream.
async fn next_frame(from: &mut (impl AsyncRead + Unpin)) -> Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0_u8; 2];
    match from.read_exact(&mut head).await {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let length = match head[1] & 0x7f {
        short @ 0..=125 => usize::from(short),
        126 => usize::from(from.read_u16().await?),
        _ => return Err(Error::other(format!("a message is longer than {LONGEST} bytes"))),
    };
    let mut mask = [0_u8; 4];
    if head[1] & 0x80 != 0 {
        from.read_exact(&mut mask).await?;
    }
    let mut content = vec![0; length];
    from.read_exact(&mut content).await?;
    content.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(Some((head[0] & 0x0f, content)))
}

fn frame_of(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind];
    match u16::try_from(content.len()).unwrap_or(u16::MAX) {
        length @ 0..=125 => frame.push(length.to_be_bytes()[1]),
        length => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(content);
    frame
}
