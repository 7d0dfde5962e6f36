//! Ports for tests. Law: a port is one test's until its process ends, and no connection that goes out, and no port that the
//! engine chooses, ever comes upon it: those are taken from the range above.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test program uses its own part, and stops where there is no port"
)]

use std::fs::File;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range that Linux gives to outgoing connections (from 32768), above what services are known by.
const FROM: u32 = 12_000;
const COUNT: u32 = 20_000;

/// Locks on the files that say whose a port is.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
static ASKED: AtomicU32 = AtomicU32::new(0);

/// A port that nobody has now.
pub fn free_port() -> u16 {
    free_port_at(&[SocketAddr::from(([127, 0, 0, 1], 0))])
}

/// A port that is free for UDP and TCP at all these addresses.
pub fn free_port_at(addresses: &[SocketAddr]) -> u16 {
    let directory = std::env::temp_dir().join("cutover-test-ports");
    std::fs::create_dir_all(&directory).unwrap();
    for _ in 0..1000 {
        // Neighbours in time are far apart in number, in one process and in two.
        let asked = ASKED.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(101));
        let port = u16::try_from(FROM + asked.wrapping_mul(7919) % COUNT).unwrap();
        let lock = File::options().create(true).append(true).open(directory.join(port.to_string())).unwrap();
        if lock.try_lock().is_err() {
            continue;
        }
        let is_free = |address: &SocketAddr| {
            let address = SocketAddr::new(address.ip(), port);
            TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
        };
        // Containers publish at every address, too.
        let everywhere = SocketAddr::from(([0, 0, 0, 0], port));
        if addresses.iter().all(is_free) && is_free(&everywhere) {
            HELD.lock().unwrap().push(lock);
            return port;
        }
    }
    panic!("no port is free at all of {addresses:?}");
}
