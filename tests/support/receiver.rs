//! A receiver of webhooks, at the wire: HTTP/1.1, in the clear or by TLS, that keeps what it was sent and answers as it is
//! told. Law: it takes nothing that a server on the internet would not take, and is stricter where that is free.
//!
//! Checked against RFC 9112 (request line, Host, Content-Length; a body without a length is refused with 411) and, in
//! tests/notify.rs, with curl as another client.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver as Channel, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// When an awaited request counts as never coming.
const NEVER: Duration = Duration::from_secs(60);

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What is answered to the next requests; after that, 200.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This status and body.
    Status(u16, &'static str),
    /// 302 to this address.
    SendOn(String),
    /// Nothing, for as long as the client waits.
    Silence,
    /// The connection ends.
    HangUp,
}

/// A receiver; it ends with the process of the test.
pub struct Receiver {
    pub port: u16,
    scheme: &'static str,
    script: Arc<Mutex<VecDeque<Answer>>>,
    usual: Arc<Mutex<&'static str>>,
    asked: Channel<Asked>,
}

/// A connection in the clear or by TLS.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Certificate and key of a server, as files.
pub type Identity = (PathBuf, PathBuf);

/// A server's side of TLS.
pub fn tls(identity: &Identity) -> Arc<rustls::ServerConfig> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(&identity.0).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&identity.1).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

/// Puts TLS around a connection.
pub fn wrapped(stream: TcpStream, config: &Arc<rustls::ServerConfig>) -> Stream {
    let session = rustls::ServerConnection::new(config.clone()).unwrap();
    Stream::Tls(Box::new(rustls::StreamOwned::new(session, stream)))
}

impl Receiver {
    /// One in the clear.
    pub fn plain() -> Self {
        Self::start(None)
    }

    /// One that shows this certificate.
    pub fn secure(identity: &Identity) -> Self {
        Self::start(Some(tls(identity)))
    }

    fn start(config: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if config.is_some() { "https" } else { "http" };
        let (sender, asked) = channel();
        let script: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        let usual = Arc::new(Mutex::new("ok"));
        let (answers, words) = (script.clone(), usual.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, sender, answers, words) = (config.clone(), sender.clone(), answers.clone(), words.clone());
                std::thread::spawn(move || {
                    let stream = match &config {
                        Some(config) => wrapped(stream, config),
                        None => Stream::Plain(stream),
                    };
                    serve(stream, &sender, &answers, &words);
                });
            }
        });
        Self { port, scheme, script, usual, asked }
    }

    /// Its address with a path, under a name or a number.
    pub fn url(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port)
    }

    /// What the next requests are answered.
    pub fn then(&self, answers: &[Answer]) {
        self.script.lock().unwrap().extend(answers.iter().cloned());
    }

    /// The body of every other answer.
    pub fn says(&self, body: &'static str) {
        *self.usual.lock().unwrap() = body;
    }

    /// The next request.
    pub fn next(&self) -> Asked {
        self.asked.recv_timeout(NEVER).expect("nothing was sent")
    }

    /// Requests that came until now and were not taken.
    pub fn rest(&self) -> Vec<Asked> {
        self.asked.try_iter().collect()
    }
}

fn serve(stream: Stream, sender: &Sender<Asked>, script: &Mutex<VecDeque<Answer>>, usual: &Mutex<&'static str>) {
    let mut stream = BufReader::new(stream);
    // A handshake that was broken off, or a look at the port alone, is no request.
    let Some(asked) = read(&mut stream) else { return };
    let answer = script.lock().unwrap().pop_front();
    let answer = answer.unwrap_or(Answer::Status(200, *usual.lock().unwrap()));
    let is_whole = asked.is_ok();
    let text = match (asked, answer) {
        (Err(status), _) => format!("HTTP/1.1 {status} Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        (Ok(asked), answer) => {
            sender.send(asked).ok();
            match answer {
                Answer::Status(status, body) => format!(
                    "HTTP/1.1 {status} x\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                ),
                Answer::SendOn(to) => {
                    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                }
                Answer::Silence => {
                    std::thread::sleep(NEVER);
                    return;
                }
                Answer::HangUp => return,
            }
        }
    };
    assert!(is_whole || text.contains(" 4"));
    stream.get_mut().write_all(text.as_bytes()).and_then(|()| stream.get_mut().flush()).ok();
}

/// Reads a request; the status to refuse it with where it is not one.
fn read(stream: &mut BufReader<Stream>) -> Option<Result<Asked, u16>> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let [method, target, version] = &words[..] else { return Some(Err(400)) };
    if version != "HTTP/1.1" {
        return Some(Err(505));
    }
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { return Some(Err(400)) };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked { method: method.clone(), target: target.clone(), headers, body: String::new() };
    if asked.header("host").is_none() {
        return Some(Err(400));
    }
    let length = asked.header("content-length").and_then(|length| length.parse::<usize>().ok());
    if length.is_none() && method != "GET" {
        return Some(Err(411));
    }
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).ok()?;
    Some(Ok(asked))
}
