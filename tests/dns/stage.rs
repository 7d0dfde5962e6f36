//! One stage for all situations: a root, a parent, three authorities, three resolvers, and two that never answer well.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cutover::dns::{Name, Origin, Wish};
use cutover::judge::dns::seen::Values;

use crate::lab::{Daemon, ZoneFile, at, free_port, knot, output, unbound};
use crate::situations::{Cached, SITUATIONS, Situation};

/// Addresses by their last number.
pub const ROOT: u8 = 1;
pub const PARENT: u8 = 2;
pub const ONE: u8 = 11;
pub const TWO: u8 = 12;
pub const MUTE: u8 = 14;
pub const CLOSED: u8 = 15;
pub const UDP_ONLY: u8 = 16;
pub const CACHES: [u8; 3] = [21, 22, 23];

pub struct Stage {
    pub port: u16,
    _directory: tempfile::TempDir,
    _daemons: Vec<Daemon>,
    _mute: UdpSocket,
    ends: Arc<AtomicBool>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

impl Stage {
    pub fn wish(&self, names: Vec<Name>) -> Wish {
        Wish {
            names,
            zone: None,
            resolvers: CACHES.iter().map(|last| at(*last, self.port)).collect(),
            roots: vec![at(ROOT, self.port)],
            port: self.port,
            timeout: Duration::from_secs(4),
            origin: Origin {
                addresses: Vec::new(),
                https_port: 443,
                http_port: 80,
                identity_path: "/.well-known/cutover-id".into(),
                ca_certificate: None,
            },
        }
    }
}

/// A name with its sets, written as `A 192.0.2.1`; a type alone means there must be none.
pub fn name(name: &str, sets: &[&str]) -> Name {
    let mut all: BTreeMap<String, Values> = BTreeMap::new();
    for set in sets {
        let (kind, value) = set.split_once(' ').unwrap_or((set, ""));
        let values = all.entry(kind.into()).or_default();
        if !value.is_empty() {
            values.insert(value.into());
        }
    }
    Name { name: name.into(), sets: all, is_proxied: false }
}

pub fn stage() -> Stage {
    let mut addresses: Vec<SocketAddr> =
        [ROOT, PARENT, ONE, TWO, MUTE, CLOSED, UDP_ONLY].iter().chain(&CACHES).map(|last| at(*last, 0)).collect();
    addresses.push("[::1]:0".parse().unwrap());
    let port = free_port(&addresses);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let zone = |name: &str, lines: &str| {
        format!(
            "$ORIGIN {name}.\n$TTL 3600\n@ SOA ns1 admin 2026112101 3600 600 86400 1800\n{}",
            lines.replace("{port}", &port.to_string())
        )
    };
    let mut daemons = Vec::new();
    let delegations: String = SITUATIONS.iter().map(delegation).collect();
    let top =
        format!("@ NS ns.{PARENT_NAME}\n{PARENT_NAME} NS ns.{PARENT_NAME}\nns.{PARENT_NAME} A 127.53.0.{PARENT}\n");
    let top = format!("$ORIGIN .\n$TTL 3600\n@ SOA ns1 admin 1 3600 600 86400 1800\n{top}");
    daemons.push(knot(
        root,
        "root",
        at(ROOT, port),
        &[ZoneFile { name: String::new(), text: top, settings: String::new() }],
        "",
    ));
    let parent = zone("test", &format!("@ NS ns\nns A 127.53.0.{PARENT}\n{delegations}"));
    daemons.push(knot(root, "parent", at(PARENT, port), &[ZoneFile::new("test", parent)], ""));
    daemons.extend(authorities(root.to_owned(), port, &zone));
    daemons.extend(resolvers(root.to_owned(), port));
    let mute = UdpSocket::bind(at(MUTE, port)).unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    cuts_off(UdpSocket::bind(at(UDP_ONLY, port)).unwrap(), &ends);
    Stage { port, _directory: directory, _daemons: daemons, _mute: mute, ends }
}

/// A zone whose signatures have ended.
const ENDED: &str = include_str!("signatures-ended.zone");
const PARENT_NAME: &str = "test.";

fn delegation(situation: &Situation) -> String {
    let zone = situation.zone;
    situation.parent.lines().map(|line| line.trim().replace('@', zone)).fold(String::new(), |all, line| {
        // Owners stand relative to test.; `ns1` in a line means the situation's own.
        all + &line
            .replace("ns1", &format!("ns1.{zone}"))
            .replace("ns2", &format!("ns2.{zone}"))
            .replace("ns3", &format!("ns3.{zone}"))
            + "\n"
    })
}

fn authorities(root: PathBuf, port: u16, zone: &dyn Fn(&str, &str) -> String) -> Vec<Daemon> {
    let full = |situation: &Situation| format!("{}.test", situation.zone);
    let file = |situation: &Situation, lines: &str, serial: &str| {
        if situation.has_ended {
            return ZoneFile::new(&full(situation), ENDED);
        }
        let mut file = ZoneFile::new(&full(situation), zone(&full(situation), lines).replace("2026112101", serial));
        if situation.is_signed {
            file.settings = "    dnssec-signing: on\n    dnssec-policy: lab\n".into();
        }
        file
    };
    let policy = "policy:\n  - id: lab\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n";
    let one: Vec<ZoneFile> =
        SITUATIONS.iter().filter(|one| !one.one.is_empty()).map(|one| file(one, one.one, "2026112102")).collect();
    let two = |situation: &Situation| match situation.two {
        "same" => file(situation, situation.one, "2026112102"),
        // No file: the server holds the zone and cannot load it.
        "broken" => ZoneFile::new(&full(situation), ""),
        lines => file(situation, lines, if situation.is_copy_older { "2026112101" } else { "2026112102" }),
    };
    let twos: Vec<ZoneFile> = SITUATIONS.iter().filter(|one| !one.two.is_empty()).map(two).collect();
    let six: Vec<ZoneFile> = SITUATIONS
        .iter()
        .filter(|one| one.parent.contains("::1"))
        .map(|one| file(one, one.one, "2026112102"))
        .collect();
    let six_at: SocketAddr = SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), port);
    vec![
        knot(&root, "one", at(ONE, port), &one, policy),
        knot(&root, "two", at(TWO, port), &twos, policy),
        knot(&root, "six", six_at, &six, policy),
    ]
}

fn resolvers(root: PathBuf, port: u16) -> Vec<Daemon> {
    let conf = root.join("one/knot.conf");
    let keys = |zone: &str| {
        output("/usr/sbin/keymgr", &["-c", conf.to_str().unwrap(), &format!("{zone}.test."), "ds"], " 13 2 ")
    };
    // No patience with signatures that have just ended.
    let mut anchors = "  val-sig-skew-min: 0\n  val-sig-skew-max: 0\n".to_owned();
    for situation in SITUATIONS.iter().filter(|one| one.has_ended) {
        let key = ENDED.lines().find_map(|line| line.split_once("DNSKEY\t")).unwrap().1;
        anchors += &format!("  trust-anchor: \"{}.test. DNSKEY {key}\"\n", situation.zone);
    }
    for situation in SITUATIONS.iter().filter(|one| one.is_signed) {
        let all = keys(situation.zone);
        let anchor = all.lines().find(|line| line.contains(" 13 2 ")).unwrap_or_else(|| panic!("no DS: {all}"));
        // A DS record of another key: everything below is forged for whoever believes it.
        let anchor = if situation.is_forged { forged(anchor) } else { anchor.to_owned() };
        anchors += &format!("  trust-anchor: \"{anchor}\"\n");
    }
    let start = |(index, last): (usize, &u8)| {
        let mut forwards = vec![("test".to_owned(), at(PARENT, port))];
        for situation in SITUATIONS {
            let to = match situation.cached {
                Cached::Two(which) if which.contains(&index) => at(TWO, port),
                _ => at(ONE, port),
            };
            forwards.push((format!("{}.test", situation.zone), to));
        }
        unbound(&root, &format!("cache{index}"), at(*last, port), &forwards, &anchors)
    };
    CACHES.iter().enumerate().map(start).collect()
}

fn forged(anchor: &str) -> String {
    let (rest, digest) = anchor.rsplit_once(' ').unwrap();
    let turned: String = digest.chars().map(|sign| if sign == '0' { '1' } else { '0' }).collect();
    format!("{rest} {turned}")
}

/// Answers every question with "cut off, ask over TCP", and has no TCP.
fn cuts_off(socket: UdpSocket, ends: &Arc<AtomicBool>) {
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let ends = ends.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while !ends.load(Ordering::Relaxed) {
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let mut answer = buffer[..length].to_vec();
                // QR, AA, TC; the question stays, the OPT record goes.
                answer[2] = 0x86;
                answer[3] = 0;
                answer[10..12].copy_from_slice(&[0, 0]);
                let end = 12 + answer[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
                answer.truncate(end);
                let _ = socket.send_to(&answer, from);
            }
        }
    });
}
