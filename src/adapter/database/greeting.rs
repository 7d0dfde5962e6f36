//! Greeting: what answers at an address when it is asked for TLS as a PostgreSQL server is. Only to name what is the matter.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::settings::{Server, shown_server};
use super::trouble::{Reason, Trouble};

/// `SSLRequest` of the protocol: its length and its code.
const ASKS_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// The longest that the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why it is no PostgreSQL server that refused TLS; nothing where it is one, or it cannot be told.
pub(super) async fn of_another(server: &Server) -> Option<Reason> {
    if server.is_socket() {
        return None;
    }
    let letter = tokio::time::timeout(PATIENCE, letter(server)).await.ok()?.ok()?;
    // `S` and `N` are the protocol's yes and no, `E` is a server that has something to say.
    if matches!(letter, b'S' | b'N' | b'E') {
        return None;
    }
    let what = format!(
        "what answers at {} is no PostgreSQL server: asked for TLS, it begins with {:?} instead of yes or no; are host and \
         port right, or does a proxy for something else stand there?",
        shown_server(server),
        char::from(letter)
    );
    Some((Trouble::Other, what))
}

async fn letter(server: &Server) -> std::io::Result<u8> {
    let mut stream = match server.address {
        Some(address) => TcpStream::connect((address, server.port)).await?,
        None => TcpStream::connect((server.host.as_str(), server.port)).await?,
    };
    stream.write_all(&ASKS_FOR_TLS).await?;
    stream.read_u8().await
}
