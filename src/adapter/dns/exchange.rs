//! Bytes to a name server and back, over UDP or TCP. What answers another question is not taken.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::{PAYLOAD, Question, Silence, value};

/// The message of a question.
pub(super) fn message(question: &Question<'_>, with_edns: bool) -> Result<Message, Silence> {
    let name = value::absolute(question.name).map_err(Silence::Unaskable)?;
    let kind = RecordType::from_str(question.kind)
        .map_err(|_| Silence::Unaskable(format!("the record type {:?}", question.kind)))?;
    let mut message = Message::query();
    message.metadata.message_type = MessageType::Query;
    message.metadata.op_code = OpCode::Query;
    message.metadata.recursion_desired = question.is_recursive;
    message.metadata.checking_disabled = question.is_unchecked;
    message.add_query(Query::query(name, kind));
    if with_edns {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD).set_version(0).set_dnssec_ok(question.wants_signatures);
        message.set_edns(edns);
    }
    Ok(message)
}

/// The answer to a message, if it is one.
pub(super) fn read(asked: &Message, bytes: &[u8]) -> Result<Message, Silence> {
    let answer = Message::from_vec(bytes).map_err(|error| Silence::Garbled(error.to_string()))?;
    let is_ours = answer.metadata.id == asked.metadata.id
        && answer.metadata.message_type == MessageType::Response
        // Some refusals come without the question.
        && (answer.queries.is_empty() || same(&answer.queries, &asked.queries));
    if is_ours { Ok(answer) } else { Err(Silence::Garbled("it answers another question".into())) }
}

fn same(one: &[Query], other: &[Query]) -> bool {
    let key = |queries: &[Query]| {
        queries.iter().map(|query| (query.name.to_lowercase(), query.query_type)).collect::<Vec<_>>()
    };
    key(one) == key(other)
}

/// Sends over UDP from a port of its own and takes the first packet with the same id.
pub(super) async fn over_udp(server: SocketAddr, bytes: &[u8], timeout: Duration) -> Result<Vec<u8>, Silence> {
    let exchange = async {
        let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).await?;
        // Connected: packets of others are not seen, and a closed port is told at once.
        socket.connect(server).await?;
        socket.send(bytes).await?;
        let mut buffer = vec![0_u8; usize::from(u16::MAX)];
        loop {
            let length = socket.recv(&mut buffer).await?;
            if length >= 12 && buffer[..2] == bytes[..2] {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    };
    within(timeout, exchange).await
}

/// The same over TCP, where a length stands before each message.
pub(super) async fn over_tcp(server: SocketAddr, bytes: &[u8], timeout: Duration) -> Result<Vec<u8>, Silence> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    within(timeout, exchange).await
}

async fn within(
    timeout: Duration,
    exchange: impl Future<Output = std::io::Result<Vec<u8>>>,
) -> Result<Vec<u8>, Silence> {
    match tokio::time::timeout(timeout, exchange).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(Silence::Away(plainly(&error))),
        Err(_) => Err(Silence::Late(timeout)),
    }
}

/// Without the number of the system, which helps nobody at night.
fn plainly(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        // The second: no address of ours is of that family.
        std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::AddrNotAvailable => "network unreachable".into(),
        std::io::ErrorKind::HostUnreachable => "host unreachable".into(),
        _ => error.to_string(),
    }
}
