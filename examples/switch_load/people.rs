//! What people do: of a hundred requests so many on kept connections, on new ones, over TLS, slow, uploading.

use std::collections::VecDeque;
use std::io::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Method;

use super::http1::{self, Answer, Question};
use super::http2::Shared;
use super::met::Met;
use super::way::{Connection, Way};

/// A person gives up then.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a slow request takes by itself; it is not counted as waiting.
const SLOW: Duration = Duration::from_millis(200);
/// HTTP/2 connections.
const SHARED: usize = 6;

/// A kind of request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kept,
    New,
    KeptTls,
    NewTls,
    Http2,
    Slow,
    SlowHttp2,
    Upload,
    UploadHttp2,
}

impl Kind {
    /// The kind of the request with this number: of a hundred, 40 kept, 12 new, 10 kept over TLS, 2 new over TLS,
    /// 26 HTTP/2, 3 slow, 2 slow over HTTP/2, 3 uploads, 2 uploads over HTTP/2; spread out by a step without a common divisor.
    fn of(index: u64) -> Self {
        match index * 37 % 100 {
            0..40 => Self::Kept,
            40..52 => Self::New,
            52..62 => Self::KeptTls,
            62..64 => Self::NewTls,
            64..90 => Self::Http2,
            90..93 => Self::Slow,
            93..95 => Self::SlowHttp2,
            95..98 => Self::Upload,
            _ => Self::UploadHttp2,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Kept => "kept connection",
            Self::New => "new connection",
            Self::KeptTls => "kept connection, TLS",
            Self::NewTls => "new connection, TLS",
            Self::Http2 => "HTTP/2",
            Self::Slow => "slow",
            Self::SlowHttp2 => "slow, HTTP/2",
            Self::Upload => "upload",
            Self::UploadHttp2 => "upload, HTTP/2",
        }
    }

    fn question(self) -> (Method, &'static str) {
        match self {
            Self::Slow | Self::SlowHttp2 => (Method::GET, "/slow?ms=200"),
            Self::Upload | Self::UploadHttp2 => (Method::POST, "/upload"),
            _ => (Method::GET, "/health"),
        }
    }
}

/// Connections that are kept; the one that rested longest is used next.
type Pool = Mutex<VecDeque<Connection>>;

/// All of them.
pub struct People {
    pub way: Arc<Way>,
    plain: Pool,
    tls: Pool,
    shared: [Shared; SHARED],
    turn: AtomicUsize,
    body: Vec<u8>,
}

impl People {
    /// Nobody is connected yet.
    pub fn new(way: Way) -> Self {
        let body = vec![b'x'; 50_000];
        let (plain, tls, shared, turn) = Default::default();
        Self { way: Arc::new(way), plain, tls, shared, turn, body }
    }

    async fn answer(&self, kind: Kind) -> Result<Answer> {
        let (method, path) = kind.question();
        let body = if method == Method::POST { self.body.as_slice() } else { &[] };
        let head = format!("{method} {path}");
        let question = |is_kept| Question { head: &head, body, is_kept };
        match kind {
            Kind::Kept | Kind::Slow | Kind::Upload => self.kept(&self.plain, false, &question(true)).await,
            Kind::KeptTls => self.kept(&self.tls, true, &question(true)).await,
            Kind::New => http1::ask(&mut self.way.plain().await?, &question(false)).await,
            Kind::NewTls => http1::ask(&mut self.way.tls().await?, &question(false)).await,
            Kind::Http2 | Kind::SlowHttp2 | Kind::UploadHttp2 => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed) % SHARED;
                self.shared[turn].ask(&self.way, method, path, body).await
            }
        }
    }

    async fn kept(&self, pool: &Pool, is_tls: bool, question: &Question<'_>) -> Result<Answer> {
        let mut stream = loop {
            let rested = pool.lock().map_err(|_| Error::other("the pool is lost"))?.pop_front();
            let Some(mut stream) = rested else {
                break if is_tls { self.way.tls().await? } else { self.way.plain().await? };
            };
            if !http1::is_closed(&mut stream).await {
                break stream;
            }
        };
        let answer = http1::ask(&mut stream, question).await?;
        pool.lock().map_err(|_| Error::other("the pool is lost"))?.push_back(stream);
        Ok(answer)
    }
}

/// One request, from when it was due to the end of its answer.
pub async fn ask(people: &People, met: &Met, index: u64, due: Instant) {
    let kind = Kind::of(index);
    let answer = tokio::time::timeout(PATIENCE, people.answer(kind)).await;
    let by_itself = if matches!(kind, Kind::Slow | Kind::SlowHttp2) { SLOW } else { Duration::ZERO };
    match answer {
        Ok(Ok(answer)) if answer.status < 500 => met.good(due, by_itself, answer.release),
        Ok(Ok(answer)) => met.failed(&format!("{}: status {}", kind.words(), answer.status)),
        Ok(Err(error)) => met.failed(&format!("{}: {error}", kind.words())),
        Err(_) => met.failed(&format!("{}: no answer after {} s", kind.words(), PATIENCE.as_secs())),
    }
}
