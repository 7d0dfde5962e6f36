//! Connections of a container, read from its own table in /proc. Law: only what others opened to it counts, and only while
//! it is established; its own calls to a database say nothing about whether it serves.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many connections are established to ports that the process listens on; nothing when the process is gone. With
/// `from`, only those of these addresses count.
///
/// # Errors
/// When the table cannot be read.
pub fn established(pid: u32, from: Option<&BTreeSet<IpAddr>>) -> io::Result<Option<usize>> {
    let mut tables = String::new();
    for name in ["tcp", "tcp6"] {
        match std::fs::read_to_string(format!("/proc/{pid}/net/{name}")) {
            Ok(text) => tables.push_str(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3) => {
                // Without IPv6 there is no second table; without either, there is no process.
                if name == "tcp" {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(count(&tables, from)))
}

/// A line of the table: local port, remote address, state.
struct Line {
    port: u16,
    remote: IpAddr,
    state: u8,
}

fn count(tables: &str, from: Option<&BTreeSet<IpAddr>>) -> usize {
    const ESTABLISHED: u8 = 0x01;
    const LISTENS: u8 = 0x0A;
    let lines: Vec<Line> = tables.lines().filter_map(line).collect();
    let ports: BTreeSet<u16> = lines.iter().filter(|line| line.state == LISTENS).map(|line| line.port).collect();
    let is_counted = |line: &&Line| {
        let is_wanted = from.is_none_or(|from| from.contains(&line.remote));
        line.state == ESTABLISHED && ports.contains(&line.port) && !line.remote.is_loopback() && is_wanted
    };
    lines.iter().filter(is_counted).count()
}

fn line(text: &str) -> Option<Line> {
    let mut fields = text.split_whitespace();
    let (local, remote, state) = (fields.nth(1)?, fields.next()?, fields.next()?);
    let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    Some(Line { port, remote: address(remote.rsplit_once(':')?.0)?, state: u8::from_str_radix(state, 16).ok()? })
}

/// The kernel prints each word of an address as the host's byte order has it.
fn address(hex: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = (0..hex.len() / 8)
        .map(|at| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<_>>()?;
    match words[..] {
        [word] => Some(Ipv4Addr::from(word).into()),
        [a, b, c, d] => {
            let bytes: [u8; 16] = [a, b, c, d].concat().try_into().ok()?;
            let address = Ipv6Addr::from(bytes);
            Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 020012AC:0BB8 030012AC:D431 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 020012AC:0BB8 030012AC:D432 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1
   3: 0100007F:0BB8 0100007F:D433 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1
   4: 020012AC:D434 040012AC:1538 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4 30 10 -1
";
    const TABLE6: &str = "\
   0: 00000000000000000000000000000000:0BB9 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1
   1: 0000000000000000FFFF0000020012AC:0BB9 0000000000000000FFFF0000030012AC:D431 01 0:0 00:0 0 0 0 1
";

    #[test]
    fn only_established_connections_from_others_to_a_port_that_listens_count() {
        assert_eq!(count(TABLE, None), 1);
        assert_eq!(count(&format!("{TABLE}{TABLE6}"), None), 2);
        let caddy = BTreeSet::from(["172.18.0.3".parse().unwrap()]);
        assert_eq!(count(&format!("{TABLE}{TABLE6}"), Some(&caddy)), 2);
        let other = BTreeSet::from(["172.18.0.9".parse().unwrap()]);
        assert_eq!(count(TABLE, Some(&other)), 0);
    }

    #[test]
    fn a_process_that_is_gone_has_no_table() {
        assert_eq!(established(u32::MAX, None).unwrap(), None);
        assert!(established(std::process::id(), None).unwrap().is_some());
    }
}
