//! Dynamic update (RFC 2136): whole record sets are exchanged in one message, under the condition that they are still as seen.
//!
//! The server does all of it or nothing of it.

use std::net::SocketAddr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Record, RecordType};

use super::tsig::{self, Key};
use super::{Dns, Silence, exchange, value};

/// One record set: what must be there before, and what is there after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Name.
    pub name: String,
    /// Type.
    pub kind: String,
    /// The values that must be there now; empty means the set must not exist.
    pub before: Vec<String>,
    /// The values that shall be there.
    pub after: Vec<String>,
    /// Their TTL, in seconds.
    pub ttl: u32,
}

/// Why an update did not take place, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// A value cannot be written.
    #[error("{0}")]
    Unwritable(String),
    /// No readable answer came: it may have taken place.
    #[error("{server} gave no answer to the update, so it may have been done or not: {silence}")]
    Silent {
        /// The server.
        server: SocketAddr,
        /// Why.
        silence: Silence,
    },
    /// The server refused; nothing was changed.
    #[error("{server} refused the update ({code}): {why}")]
    Refused {
        /// The server.
        server: SocketAddr,
        /// Response code by its name.
        code: String,
        /// What that means, and what to do.
        why: String,
    },
    /// An answer came that this key did not sign.
    #[error("the answer of {server} to the update is not to be trusted: {why}")]
    Untrusted {
        /// The server.
        server: SocketAddr,
        /// Why.
        why: String,
    },
}

impl Dns {
    /// Sends an update over TCP, once: whoever calls looks at the world before trying again.
    ///
    /// # Errors
    /// Tells whether it may have taken place.
    pub async fn update(
        &self,
        server: SocketAddr,
        zone: &str,
        exchanges: &[Exchange],
        key: &Key,
        unix_seconds: u64,
    ) -> Result<(), UpdateError> {
        let message = message(zone, exchanges).map_err(UpdateError::Unwritable)?;
        let bytes = message.to_vec().map_err(|error| UpdateError::Unwritable(error.to_string()))?;
        let (signed, mac) = key.sign(&bytes, unix_seconds).map_err(UpdateError::Unwritable)?;
        let silent = |silence| UpdateError::Silent { server, silence };
        let answer = exchange::over_tcp(server, &signed, self.timeout).await.map_err(silent)?;
        let parsed = exchange::read(&message, &answer).map_err(silent)?;
        let response = parsed.metadata.response_code;
        let verified = key.verify(&answer, &mac, unix_seconds);
        match (response, verified) {
            (ResponseCode::NoError, Ok(())) => Ok(()),
            (ResponseCode::NoError, Err(why)) => Err(UpdateError::Untrusted { server, why }),
            (_, verified) => {
                let error = tsig::signature(&parsed).and_then(|signature| signature.error).map_or(0, u16::from);
                let why = match verified {
                    Err(_) if error != 0 => tsig::refusal(error, &key.name, key.digest),
                    _ => meaning(response, zone, &key.name),
                };
                Err(UpdateError::Refused { server, code: super::code(response), why })
            }
        }
    }
}

fn message(zone: &str, exchanges: &[Exchange]) -> Result<Message, String> {
    let mut message = Message::query();
    message.metadata.message_type = MessageType::Query;
    message.metadata.op_code = OpCode::Update;
    message.add_query(Query::query(value::absolute(zone)?, RecordType::SOA));
    for exchange in exchanges {
        let name = value::absolute(&exchange.name)?;
        let kind: RecordType = exchange.kind.parse().map_err(|_| format!("there is no type {}", exchange.kind))?;
        // Prerequisite: the set is exactly this, or does not exist (class NONE, no data).
        for text in &exchange.before {
            message.add_answer(Record::from_rdata(name.clone(), 0, value::data(&exchange.kind, text)?));
        }
        if exchange.before.is_empty() {
            message.add_answer(bare(&name, kind, DNSClass::NONE));
        }
        // Update: the whole set goes (class ANY, no data), the new one comes.
        message.add_authority(bare(&name, kind, DNSClass::ANY));
    }
    // An alias excludes all else: every old set must be gone before a new one is added.
    for exchange in exchanges {
        let name = value::absolute(&exchange.name)?;
        for text in &exchange.after {
            let data = value::data(&exchange.kind, text)?;
            message.add_authority(Record::from_rdata(name.clone(), exchange.ttl, data));
        }
    }
    Ok(message)
}

fn bare(name: &hickory_proto::rr::Name, kind: RecordType, class: DNSClass) -> Record {
    let mut record = Record::update0(name.clone(), 0, kind);
    record.dns_class = class;
    record
}

fn meaning(code: ResponseCode, zone: &str, key: &str) -> String {
    match code {
        ResponseCode::NXRRSet | ResponseCode::YXRRSet | ResponseCode::NXDomain | ResponseCode::YXDomain => {
            "the records are not any more as they were when this was planned; nothing was changed, plan it again".into()
        }
        ResponseCode::NotAuth => format!(
            "it is no primary server of {zone}, or does not know the key {key}; look at dns.server and dns.tsig_name"
        ),
        ResponseCode::Refused => {
            format!("its rules do not let the key {key} change {zone}; allow updates for this key there")
        }
        ResponseCode::NotZone => format!("a name is not in the zone {zone}; look at dns.zone"),
        _ => "the server's own log says more".into(),
    }
}
