//! Ports: each port that the model publishes is free, or held by a container of ours; else its holder is named.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use super::finding::{Found, Parts};
use super::sockets::{self, Listener, Owner};
use super::{Ask, reads};
use crate::adapter::docker::Listed;
use crate::config::Config;
use crate::release::model;

/// A port that the model publishes, or a range of which one will be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) service: String,
    /// None means every address of both families.
    pub(super) address: Option<IpAddr>,
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) is_udp: bool,
}

/// Who holds a port.
#[derive(Debug, PartialEq, Eq)]
enum Holder {
    Nobody,
    Ours(String),
    Container(String),
    Socket(u64),
}

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let listening = ask.files("the kernel's list of sockets", || sockets::listeners(Path::new("/proc")));
    let (model, everyone, listeners) = tokio::join!(ask.model(), ask.everyone(), listening);
    let wanted = match model {
        Ok(model) => published(&model.value),
        Err(unread) => return unread.found("which ports the model publishes"),
    };
    if wanted.is_empty() {
        return Found::ok("the model publishes no port of its own choosing");
    }
    let everyone = match everyone {
        Ok(everyone) => everyone,
        Err(unread) => return unread.found("who holds the ports"),
    };
    let listeners = match listeners {
        Ok(Ok(listeners)) => listeners,
        Ok(Err(why)) => return Found::unknown(why, "mount /proc"),
        Err(found) => return found,
    };
    let held: Vec<(Wanted, u16, Holder)> =
        wanted.into_iter().map(|one| hold(ask.config(), one, &everyone, &listeners)).collect();
    let inodes: BTreeSet<u64> = held.iter().filter_map(|(_, _, holder)| holder.inode()).collect();
    let owners = if inodes.is_empty() {
        BTreeMap::new()
    } else {
        match ask.files("the processes of the host", move || sockets::owners(Path::new("/proc"), &inodes)).await {
            Ok(owners) => owners,
            Err(found) => return found,
        }
    };
    tell(&held, &everyone, &owners)
}

impl Holder {
    fn inode(&self) -> Option<u64> {
        match self {
            Self::Socket(inode) => Some(*inode),
            _ => None,
        }
    }
}

/// What the model publishes. A port without a number of its own gets a free one from the engine and is left out.
pub(super) fn published(model: &Value) -> Vec<Wanted> {
    let mut found = Vec::new();
    for service in model::services(model) {
        let ports = model::service(model, &service).and_then(|one| one.get("ports")).and_then(Value::as_array);
        for port in ports.into_iter().flatten() {
            let text = |key: &str| match port.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => String::new(),
            };
            let published = text("published");
            let (first, last) = published.split_once('-').unwrap_or((&published, &published));
            let (Ok(first), Ok(last)) = (first.parse(), last.parse()) else { continue };
            let address = text("host_ip").parse().ok().filter(|address: &IpAddr| !address.is_unspecified());
            found.push(Wanted { service: service.clone(), address, first, last, is_udp: text("protocol") == "udp" });
        }
    }
    found
}

/// Whether a socket on `other` is in the way of one on `wanted`. A socket on `::` usually takes IPv4 as well.
fn overlap(wanted: Option<IpAddr>, other: IpAddr) -> bool {
    match wanted {
        None => true,
        Some(wanted) => {
            wanted == other || (other.is_unspecified() && (other.is_ipv6() || wanted.is_ipv4() == other.is_ipv4()))
        }
    }
}

/// Who holds a wanted port; of a range, one that is free or ours, else the first.
fn hold(config: &Config, wanted: Wanted, everyone: &[Listed], listeners: &[Listener]) -> (Wanted, u16, Holder) {
    let mut worst = None;
    for port in wanted.first..=wanted.last {
        let holder = holder(config, &wanted, port, everyone, listeners);
        if matches!(holder, Holder::Nobody | Holder::Ours(_)) {
            return (wanted, port, holder);
        }
        worst.get_or_insert((port, holder));
    }
    let (port, holder) = worst.unwrap_or((wanted.first, Holder::Nobody));
    (wanted, port, holder)
}

fn holder(config: &Config, wanted: &Wanted, port: u16, everyone: &[Listed], listeners: &[Listener]) -> Holder {
    let leads_in = |one: &&Listed| {
        let mut ports = one.ports.iter();
        ports.any(|held| held.port == port && held.is_udp == wanted.is_udp && overlap(wanted.address, held.address))
    };
    if let Some(container) = everyone.iter().find(leads_in) {
        return if reads::is_ours(config, &container.project) {
            Holder::Ours(container.name.clone())
        } else {
            Holder::Container(container.name.clone())
        };
    }
    let listens = listeners
        .iter()
        .find(|one| one.port == port && one.is_udp == wanted.is_udp && overlap(wanted.address, one.address));
    listens.map_or(Holder::Nobody, |one| Holder::Socket(one.inode))
}

fn tell(held: &[(Wanted, u16, Holder)], everyone: &[Listed], owners: &BTreeMap<u64, Owner>) -> Found {
    let mut parts = Parts::default();
    for (wanted, port, holder) in held {
        let kind = if wanted.is_udp { "udp" } else { "tcp" };
        let port = format!("{port}/{kind} for {}", wanted.service);
        let advice = "end it, or publish another port";
        match holder {
            Holder::Nobody => parts.good(format!("{port} is free")),
            Holder::Ours(name) => parts.good(format!("{port} is held by our container {name}")),
            Holder::Container(name) => {
                parts.fail(format!("{port} is held by the container {name}, which is not of this project"), advice);
            }
            Holder::Socket(inode) => match owners.get(inode) {
                Some(owner) => parts.fail(format!("{port} is held by {}", who(owner, everyone)), advice),
                None => {
                    parts.fail(format!("{port} is held by a process that this user may not see"), "ask again as root")
                }
            },
        }
    }
    parts.found("the model publishes no port")
}

fn who(owner: &Owner, everyone: &[Listed]) -> String {
    let process = format!("the process {} (pid {})", owner.name, owner.pid);
    let inside = owner.container.as_ref().and_then(|id| everyone.iter().find(|one| one.id == *id));
    inside.map_or(process.clone(), |container| format!("{process} of the container {}", container.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::docker::Published;
    use crate::config::{self, Environment};
    use crate::preflight::Verdict;
    use serde_json::json;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn config() -> Config {
        let text = "schema = \"cutover/v1\"\n[project]\nname = \"shop\"\n";
        config::parse(text, Path::new("/nowhere/cutover.toml"), &Environment::default()).unwrap()
    }

    fn container(name: &str, project: &str, at: &str, port: u16) -> Listed {
        let ports = vec![Published { address: address(at), port, is_udp: false }];
        Listed { name: name.into(), project: project.into(), ports, ..Listed::default() }
    }

    fn wanted(at: Option<&str>, first: u16, last: u16) -> Wanted {
        Wanted { service: "web".into(), address: at.map(address), first, last, is_udp: false }
    }

    #[test]
    fn ports_are_read_with_their_address_protocol_and_range() {
        let model = json!({"services": {"web": {"ports": [
            {"host_ip": "127.0.0.1", "target": 80, "published": "8080", "protocol": "tcp"},
            {"target": 81, "published": "9000-9005", "protocol": "tcp"},
            {"host_ip": "0.0.0.0", "target": 53, "published": "53", "protocol": "udp"},
            {"target": 84, "protocol": "tcp"}
        ]}}});
        let udp = Wanted { is_udp: true, ..wanted(None, 53, 53) };
        assert_eq!(published(&model), [wanted(Some("127.0.0.1"), 8080, 8080), wanted(None, 9000, 9005), udp]);
    }

    #[test]
    fn an_address_is_in_the_way_of_itself_and_of_all() {
        let local = Some(address("127.0.0.1"));
        assert!(overlap(local, address("0.0.0.0")) && overlap(local, address("::")) && overlap(None, address("::1")));
        assert!(!overlap(local, address("10.0.0.1")) && !overlap(Some(address("::1")), address("0.0.0.0")));
    }

    #[test]
    fn our_container_may_hold_a_port_and_a_neighbour_may_not() {
        let everyone = [container("shop-web-1", "shop", "0.0.0.0", 80), container("other-1", "other", "127.0.0.1", 81)];
        let found = |wanted| {
            let held = [hold(&config(), wanted, &everyone, &[])];
            tell(&held, &everyone, &BTreeMap::new())
        };
        assert_eq!(found(wanted(None, 80, 80)).seen, "80/tcp for web is held by our container shop-web-1");
        let theirs = found(wanted(None, 81, 81));
        assert!(theirs.verdict == Verdict::Fail && theirs.seen.contains("the container other-1"), "{}", theirs.seen);
        assert_eq!(found(wanted(Some("10.0.0.1"), 81, 81)).verdict, Verdict::Ok);
    }

    #[test]
    fn a_stranger_is_named_by_process_and_a_range_needs_only_one_free_port() {
        let listener = Listener { address: address("::"), port: 90, is_udp: false, inode: 7 };
        let held = [hold(&config(), wanted(None, 90, 90), &[], std::slice::from_ref(&listener))];
        let owner = Owner { pid: 12, name: "nginx".into(), container: None };
        let found = tell(&held, &[], &BTreeMap::from([(7, owner)]));
        assert_eq!(found.seen, "90/tcp for web is held by the process nginx (pid 12)");
        assert_eq!(tell(&held, &[], &BTreeMap::new()).verdict, Verdict::Fail);
        let (_, port, holder) = hold(&config(), wanted(None, 90, 91), &[], &[listener]);
        assert_eq!((port, holder), (91, Holder::Nobody));
    }
}
