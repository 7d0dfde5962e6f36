//! One question to one name server, and its whole answer: flags, records, how it came. Nothing is cached, nothing guessed.
//!
//! Over UDP with EDNS; an answer that was cut off is asked for again over TCP, and that this happened is part of the answer.

mod exchange;
mod service;
pub mod tsig;
pub mod update;
pub mod value;

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData};

use super::clock::Stopwatch;

/// The largest answer that is asked for over UDP, in bytes: what passes every path without fragments.
const PAYLOAD: u16 = 1232;

/// How patient questions are; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Dns {
    /// For one answer.
    pub timeout: Duration,
    /// How often a silent server is asked, at least 1.
    pub attempts: u32,
}

/// A question to one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// Who is asked.
    pub server: SocketAddr,
    /// The name, with or without a trailing point.
    pub name: &'a str,
    /// The type, as `AAAA`.
    pub kind: &'a str,
    /// RD: whether the server shall ask others.
    pub is_recursive: bool,
    /// CD: whether the server shall hand out what it holds for forged.
    pub is_unchecked: bool,
    /// DO: whether signatures are wanted.
    pub wants_signatures: bool,
}

impl<'a> Question<'a> {
    /// For an authoritative server: no recursion.
    pub fn direct(server: SocketAddr, name: &'a str, kind: &'a str) -> Self {
        Self { server, name, kind, is_recursive: false, is_unchecked: false, wants_signatures: false }
    }

    /// For a resolver: with recursion, checked, signatures wanted so that AD means something.
    pub fn recursive(server: SocketAddr, name: &'a str, kind: &'a str) -> Self {
        Self { is_recursive: true, wants_signatures: true, ..Self::direct(server, name, kind) }
    }

    /// The same without the resolver's DNSSEC checking.
    #[must_use]
    pub fn unchecked(self) -> Self {
        Self { is_unchecked: true, ..self }
    }
}

/// A record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Owner, in lower case and without the trailing point; the root is `.`.
    pub name: String,
    /// Type, as `AAAA`.
    pub kind: String,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// Its value as text; names in it as [`Entry::name`].
    pub value: String,
}

impl Entry {
    /// Serial and minimum of a SOA record.
    pub fn soa(&self) -> Option<(u32, u32)> {
        let fields: Vec<&str> = self.value.split(' ').collect();
        (self.kind == "SOA" && fields.len() == 7).then(|| Some((fields[2].parse().ok()?, fields[6].parse().ok()?)))?
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The response code by its name: `NOERROR`, `NXDOMAIN`, `SERVFAIL`, `REFUSED`, …
    pub code: String,
    /// AA: the server is an authority for the name.
    pub is_authoritative: bool,
    /// AD: the resolver has checked the signatures.
    pub is_authenticated: bool,
    /// RA: the server asks others.
    pub is_recursion_available: bool,
    /// The answer did not fit into a packet and came over TCP.
    pub came_over_tcp: bool,
    /// Answer section.
    pub answers: Vec<Entry>,
    /// Authority section.
    pub authorities: Vec<Entry>,
    /// Additional section.
    pub additionals: Vec<Entry>,
    /// How long it took, every attempt counted.
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// Nothing came in time.
    #[error("no answer within {}", super::clock::spoken(*.0))]
    Late(Duration),
    /// The network said no; the system's own words.
    #[error("{0}")]
    Away(String),
    /// What came cannot be read or answers something else.
    #[error("the answer cannot be read: {0}")]
    Garbled(String),
    /// The answer over UDP was cut off, and TCP gave none.
    #[error("the answer is too long for a packet, and over TCP: {0}")]
    CutOff(String),
    /// The name or type cannot be asked at all.
    #[error("{0} cannot be asked")]
    Unaskable(String),
}

impl Dns {
    /// Asks, as often as it is patient.
    ///
    /// # Errors
    /// When no readable answer came; what the server refuses is an answer.
    pub async fn ask(&self, question: &Question<'_>) -> Result<Reply, Silence> {
        let watch = Stopwatch::start();
        let mut last = Silence::Late(self.timeout);
        for _ in 0..self.attempts.max(1) {
            match self.once(question, true).await {
                Ok((message, came_over_tcp)) => return Ok(reply(&message, came_over_tcp, watch.elapsed())),
                Err(silence) => last = silence,
            }
            if matches!(last, Silence::Unaskable(_)) {
                break;
            }
        }
        Err(last)
    }

    async fn once(&self, question: &Question<'_>, with_edns: bool) -> Result<(Message, bool), Silence> {
        let message = exchange::message(question, with_edns)?;
        let bytes = message.to_vec().map_err(|error| Silence::Unaskable(format!("{}: {error}", question.name)))?;
        let answer = exchange::over_udp(question.server, &bytes, self.timeout).await?;
        let answer = exchange::read(&message, &answer)?;
        // Servers older than EDNS refuse it by this code and answer without it.
        if with_edns && answer.metadata.response_code == ResponseCode::FormErr && answer.edns.is_none() {
            return Box::pin(self.once(question, false)).await;
        }
        if !answer.metadata.truncation {
            return Ok((answer, false));
        }
        let cut_off = |silence: Silence| Silence::CutOff(silence.to_string());
        let answer = exchange::over_tcp(question.server, &bytes, self.timeout).await.map_err(cut_off)?;
        Ok((exchange::read(&message, &answer)?, true))
    }
}

fn reply(message: &Message, came_over_tcp: bool, took: Duration) -> Reply {
    Reply {
        code: code(message.metadata.response_code),
        is_authoritative: message.metadata.authoritative,
        is_authenticated: message.metadata.authentic_data,
        is_recursion_available: message.metadata.recursion_available,
        came_over_tcp,
        answers: entries(&message.answers),
        authorities: entries(&message.authorities),
        additionals: entries(&message.additionals),
        took,
    }
}

/// The names that dig and every manual use.
fn code(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::YXDomain => "YXDOMAIN".into(),
        ResponseCode::YXRRSet => "YXRRSET".into(),
        ResponseCode::NXRRSet => "NXRRSET".into(),
        ResponseCode::NotAuth => "NOTAUTH".into(),
        ResponseCode::NotZone => "NOTZONE".into(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

fn entries(records: &[hickory_proto::rr::Record]) -> Vec<Entry> {
    let is_internet = |record: &&hickory_proto::rr::Record| record.dns_class == DNSClass::IN;
    let entry = |record: &hickory_proto::rr::Record| Entry {
        name: plain(&record.name),
        kind: record.record_type().to_string(),
        ttl: record.ttl,
        value: value::text(&record.data),
    };
    records.iter().filter(is_internet).filter(|record| !matches!(record.data, RData::OPT(_))).map(entry).collect()
}

/// A name in the one form in which names are compared.
fn plain(name: &Name) -> String {
    if name.is_root() {
        return ".".into();
    }
    name.to_lowercase().to_ascii().trim_end_matches('.').to_owned()
}
