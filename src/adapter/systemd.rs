//! The service manager: ready, alive, and what is at work, by datagrams to its socket. Without a socket nothing is sent.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::{Context, Result};

/// The way to the service manager.
#[derive(Debug, Default)]
pub struct Manager(Option<(UnixDatagram, SocketAddr)>);

impl Manager {
    /// Prepares it; `address` is what `NOTIFY_SOCKET` holds: a path, or `@` and an abstract name.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(address: Option<&str>) -> Result<Self> {
        let Some(address) = address else { return Ok(Self(None)) };
        let to = match address.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(address),
        };
        let to = to.with_context(|| format!("NOTIFY_SOCKET is {address:?}, which is no socket"))?;
        let socket = UnixDatagram::unbound().context("cannot make a socket")?;
        Ok(Self(Some((socket, to))))
    }

    /// Says these lines, such as `READY=1`. The manager may be gone; that is no reason to stop.
    pub fn say(&self, lines: &str) {
        if let Some((socket, to)) = &self.0
            && let Err(error) = socket.send_to_addr(lines.as_bytes(), to)
        {
            tracing::warn!(%error, "the service manager does not listen");
        }
    }

    /// Says that the work loop came round once more, and what it found. One line: a line break would be another message.
    pub fn alive(&self, status: &str) {
        self.say(&format!("WATCHDOG=1\nSTATUS={}", status.replace('\n', " ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_of_the_loop_is_heard_at_the_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        let manager = Manager::new(path.to_str()).unwrap();
        manager.alive("OK since noon\nmore");
        let mut heard = [0; 100];
        let length = ear.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"WATCHDOG=1\nSTATUS=OK since noon more");
        drop(ear);
        manager.say("READY=1");
        Manager::new(None).unwrap().alive("nobody listens");
    }
}
