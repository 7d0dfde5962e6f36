//! A receiver of mail, at the wire: SMTP in the clear, with STARTTLS, or by TLS from the first byte. Law: it says what the
//! RFCs say and refuses what they forbid; what it took is kept.
//!
//! Checked against RFC 5321 (greeting, EHLO, order of commands, dots at the begin of a line), RFC 3207 (after STARTTLS all
//! that was said before is forgotten), RFC 4954 (AUTH PLAIN and LOGIN, never in the clear), and, in tests/notify.rs, with
//! curl as another client.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Channel, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::receiver::{Identity, Stream, tls, wrapped};

const NEVER: Duration = Duration::from_secs(60);
/// Who may log in.
pub const USER: &str = "ann@example.com";
/// With this.
pub const PASSWORD: &str = "mail-pässword-hunter2";

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Letter {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
    /// Whether it came by TLS.
    pub was_secret: bool,
    /// Who had logged in.
    pub user: Option<String>,
}

impl Letter {
    /// A header, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.text.split("\r\n\r\n").next()?.replace("\r\n ", " ");
        let of = |line: &str| line.strip_prefix(&format!("{name}: ")).map(str::to_owned);
        head.split("\r\n").find_map(of)
    }

    /// The body with quoted-printable undone.
    pub fn body(&self) -> String {
        let body = self.text.split_once("\r\n\r\n").unwrap().1;
        if self.header("Content-Transfer-Encoding").as_deref() != Some("quoted-printable") {
            return body.replace("\r\n", "\n");
        }
        let joined = body.replace("=\r\n", "");
        let mut bytes = Vec::new();
        let mut rest = joined.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            if byte == b'=' {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
                rest = &after[2..];
            } else {
                bytes.push(byte);
                rest = after;
            }
        }
        String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
    }
}

/// How TLS begins.
#[derive(Clone)]
pub enum Secrecy {
    None,
    StartTls(Arc<rustls::ServerConfig>),
    Wrapped(Arc<rustls::ServerConfig>),
}

/// A mail server; it ends with the process of the test.
pub struct Mailbox {
    pub port: u16,
    letters: Channel<Letter>,
    /// Recipients that are refused, and how.
    refused: Arc<Mutex<Vec<(String, &'static str)>>>,
}

impl Mailbox {
    pub fn plain() -> Self {
        Self::start(Secrecy::None)
    }

    pub fn with_starttls(identity: &Identity) -> Self {
        Self::start(Secrecy::StartTls(tls(identity)))
    }

    pub fn wrapped(identity: &Identity) -> Self {
        Self::start(Secrecy::Wrapped(tls(identity)))
    }

    fn start(secrecy: Secrecy) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, letters) = channel();
        let refused: Arc<Mutex<Vec<(String, &'static str)>>> = Arc::default();
        let known = refused.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (secrecy, sender, known) = (secrecy.clone(), sender.clone(), known.clone());
                std::thread::spawn(move || converse(stream, &secrecy, &sender, &known));
            }
        });
        Self { port, letters, refused }
    }

    /// Refuses a recipient with this answer, such as `550 no such user`; every time.
    pub fn refuse(&self, recipient: &str, answer: &'static str) {
        self.refused.lock().unwrap().push((recipient.to_owned(), answer));
    }

    /// The next letter.
    pub fn next(&self) -> Letter {
        self.letters.recv_timeout(NEVER).expect("no letter came")
    }

    /// Letters that came until now and were not taken.
    pub fn rest(&self) -> Vec<Letter> {
        self.letters.try_iter().collect()
    }
}

#[derive(Default)]
struct Session {
    has_greeted: bool,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

fn converse(
    stream: TcpStream,
    secrecy: &Secrecy,
    sender: &Sender<Letter>,
    refused: &Mutex<Vec<(String, &'static str)>>,
) {
    let raw = stream.try_clone().unwrap();
    let mut is_secret = matches!(secrecy, Secrecy::Wrapped(_));
    let stream = match secrecy {
        Secrecy::Wrapped(config) => wrapped(stream, config),
        _ => Stream::Plain(stream),
    };
    let mut stream = BufReader::new(stream);
    let mut session = Session::default();
    say(&mut stream, "220 mail.test ESMTP");
    while let Some(line) = hear(&mut stream) {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        match verb.as_str() {
            "EHLO" => {
                session = Session { has_greeted: true, user: session.user, ..Session::default() };
                let starttls =
                    if matches!(secrecy, Secrecy::StartTls(_)) && !is_secret { "250-STARTTLS\r\n" } else { "" };
                let auth = if is_secret { "250-AUTH PLAIN LOGIN\r\n" } else { "" };
                say(&mut stream, &format!("250-mail.test\r\n{starttls}{auth}250 8BITMIME"));
            }
            "STARTTLS" => {
                let Secrecy::StartTls(config) = secrecy else {
                    say(&mut stream, "502 not here");
                    continue;
                };
                say(&mut stream, "220 go on");
                // All that was said before is forgotten.
                session = Session::default();
                stream = BufReader::new(wrapped(raw.try_clone().unwrap(), config));
                is_secret = true;
            }
            "AUTH" if !is_secret => say(&mut stream, "538 5.7.11 encryption required"),
            "AUTH" => {
                session.user = log_in(&mut stream, &line);
                say(
                    &mut stream,
                    if session.user.is_some() { "235 2.7.0 ok" } else { "535 5.7.8 wrong user or password" },
                );
            }
            "MAIL" if session.has_greeted => {
                session.from = bracketed(&line);
                say(&mut stream, "250 ok");
            }
            "RCPT" if session.from.is_some() => {
                let to = bracketed(&line).unwrap_or_default();
                let known = refused.lock().unwrap().iter().find(|(one, _)| *one == to).map(|(_, answer)| *answer);
                if known.is_none() {
                    session.to.push(to);
                }
                say(&mut stream, known.unwrap_or("250 ok"));
            }
            "DATA" if !session.to.is_empty() => {
                say(&mut stream, "354 end with a point");
                let Some(text) = data(&mut stream) else { return };
                let letter = Letter {
                    from: session.from.take().unwrap_or_default(),
                    to: std::mem::take(&mut session.to),
                    text,
                    was_secret: is_secret,
                    user: session.user.clone(),
                };
                sender.send(letter).ok();
                say(&mut stream, "250 taken");
            }
            "NOOP" => say(&mut stream, "250 ok"),
            "RSET" => {
                (session.from, session.to) = (None, Vec::new());
                say(&mut stream, "250 ok");
            }
            "QUIT" => return say(&mut stream, "221 bye"),
            _ => say(&mut stream, "503 bad sequence of commands"),
        }
    }
}

fn say(stream: &mut BufReader<Stream>, text: &str) {
    let stream = stream.get_mut();
    stream.write_all(format!("{text}\r\n").as_bytes()).and_then(|()| stream.flush()).ok();
}

fn hear(stream: &mut BufReader<Stream>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    Some(line.trim_end().to_owned())
}

fn bracketed(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('<')?;
    rest.split_once('>').map(|(address, _)| address.to_owned())
}

fn data(stream: &mut BufReader<Stream>) -> Option<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        assert!(line.ends_with("\r\n"), "a line of a message ends in CR LF: {line:?}");
        if line == ".\r\n" {
            return Some(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

/// Gives the user who was let in.
fn log_in(stream: &mut BufReader<Stream>, line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (user, password) = match words.get(1).map(|kind| kind.to_uppercase()).as_deref() {
        Some("PLAIN") => {
            let given = match words.get(2) {
                Some(given) => (*given).to_owned(),
                None => {
                    say(stream, "334 ");
                    hear(stream)?
                }
            };
            let parts = unbase64(&given);
            let mut parts = parts.split('\0').skip(1).map(str::to_owned);
            (parts.next()?, parts.next()?)
        }
        Some("LOGIN") => {
            say(stream, "334 VXNlcm5hbWU6");
            let user = unbase64(&hear(stream)?);
            say(stream, "334 UGFzc3dvcmQ6");
            (user, unbase64(&hear(stream)?))
        }
        _ => return None,
    };
    (user == USER && password == PASSWORD).then_some(user)
}

fn unbase64(text: &str) -> String {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values: Vec<usize> = text.trim_end_matches('=').chars().filter_map(|digit| DIGITS.find(digit)).collect();
    let mut bytes = Vec::new();
    for four in values.chunks(4) {
        let bits = (0..4).fold(0, |bits, at| bits << 6 | four.get(at).copied().unwrap_or(0));
        let all = [bits >> 16 & 255, bits >> 8 & 255, bits & 255].map(|byte| u8::try_from(byte).unwrap());
        bytes.extend(&all[..four.len() - 1]);
    }
    String::from_utf8(bytes).unwrap()
}
