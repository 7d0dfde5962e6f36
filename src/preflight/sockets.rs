//! Who listens on this host, as the kernel tells it under /proc. Reads only; needs root to name processes of others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// A socket that takes connections or datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) is_udp: bool,
    pub(super) inode: u64,
}

/// A process that has a socket open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) pid: u32,
    pub(super) name: String,
    /// Identifier of the container that it runs in, when the kernel names one.
    pub(super) container: Option<String>,
}

/// Every listening socket.
pub(super) fn listeners(proc: &Path) -> Result<Vec<Listener>, String> {
    let mut all = Vec::new();
    for (table, is_udp) in [("tcp", false), ("tcp6", false), ("udp", true), ("udp6", true)] {
        let path = proc.join("net").join(table);
        match std::fs::read_to_string(&path) {
            Ok(text) => all.extend(parse(&text, is_udp)),
            // A kernel without IPv6 has no such tables.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && table.ends_with('6') => {}
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        }
    }
    Ok(all)
}

/// Rows of a socket table that listen: state 0A for TCP, 07 (unconnected) for UDP.
fn parse(text: &str, is_udp: bool) -> Vec<Listener> {
    let wanted = if is_udp { "07" } else { "0A" };
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (address, port) = words.nth(1)?.split_once(':')?;
        let state = words.nth(1)?;
        let inode = words.nth(5)?.parse().ok()?;
        let listener =
            Listener { address: parse_address(address)?, port: u16::from_str_radix(port, 16).ok()?, is_udp, inode };
        (state == wanted).then_some(listener)
    };
    text.lines().skip(1).filter_map(row).collect()
}

/// The kernel prints addresses as 32-bit words in the host's byte order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0_u8; 16];
            for part in 0..4 {
                bytes[part * 4..part * 4 + 4].copy_from_slice(&word(part * 8)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// Who has these sockets open. What may not be looked at is left out.
pub(super) fn owners(proc: &Path, inodes: &BTreeSet<u64>) -> BTreeMap<u64, Owner> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(proc).into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        for open in std::fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten() {
            let Some(inode) = std::fs::read_link(open.path()).ok().and_then(|link| socket_inode(&link)) else {
                continue;
            };
            if inodes.contains(&inode) {
                found.entry(inode).or_insert_with(|| owner(&entry.path(), pid));
            }
        }
        if found.len() == inodes.len() {
            break;
        }
    }
    found
}

fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn owner(process: &Path, pid: u32) -> Owner {
    let read = |name: &str| std::fs::read_to_string(process.join(name)).unwrap_or_default();
    Owner { pid, name: read("comm").trim().to_owned(), container: container_of(&read("cgroup")) }
}

/// The container in a cgroup path: `/docker/<64 hex>` or `docker-<64 hex>.scope`.
fn container_of(cgroup: &str) -> Option<String> {
    let words = cgroup.split(['/', '\n']);
    let bare = words.map(|word| word.strip_prefix("docker-").unwrap_or(word).trim_end_matches(".scope"));
    let is_id = |word: &&str| word.len() == 64 && word.chars().all(|letter| letter.is_ascii_hexdigit());
    bare.rev().find(is_id).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0
   1: 0100007F:1F91 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn only_listening_rows_are_taken() {
        let expected = Listener { address: Ipv4Addr::LOCALHOST.into(), port: 8080, is_udp: false, inode: 4242 };
        assert_eq!(parse(TCP, false), [expected]);
        assert_eq!(parse(TCP, true), []);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_are_read_in_both_families_and_mapped_ones_are_version_4() {
        assert_eq!(parse_address("00000000").unwrap(), IpAddr::from(Ipv4Addr::UNSPECIFIED));
        assert_eq!(parse_address("00000000000000000000000001000000").unwrap(), IpAddr::from(Ipv6Addr::LOCALHOST));
        assert_eq!(parse_address("0000000000000000FFFF00000100007F").unwrap(), IpAddr::from(Ipv4Addr::LOCALHOST));
        assert_eq!(parse_address("0100"), None);
    }

    #[test]
    fn our_own_listener_is_found_with_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let all = listeners(Path::new("/proc")).unwrap();
        let found = all.iter().find(|one| one.port == port && !one.is_udp).unwrap();
        let owners = owners(Path::new("/proc"), &BTreeSet::from([found.inode]));
        assert_eq!(owners[&found.inode].pid, std::process::id());
    }

    #[test]
    fn a_container_is_known_by_its_cgroup() {
        let id = "a1".repeat(32);
        assert_eq!(container_of(&format!("0::/system.slice/docker-{id}.scope\n")), Some(id.clone()));
        assert_eq!(container_of(&format!("12:cpu:/docker/{id}\n0::/\n")), Some(id));
        assert_eq!(container_of("0::/user.slice\n"), None);
    }
}
