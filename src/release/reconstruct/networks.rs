//! Networks and ports of a container. Law: what engine and compose add by themselves (names, addresses) is left to them.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use bollard::models::{EndpointSettings, NetworkSettings};
use serde_json::{Value, json};

use super::fields::{Fields, Remarks, Table, put, texts};
use super::names::{Around, Known};

/// The container that is read, as far as its networks need it.
pub(super) struct Own<'a> {
    pub(super) id: &'a str,
    pub(super) known: &'a Known,
    pub(super) hostname: String,
}

/// Reads ports, network mode and networks.
pub(super) fn read(
    own: &Own<'_>,
    host: &mut Fields,
    settings: &NetworkSettings,
    around: &mut Around<'_>,
    (table, remarks): (&mut Table, &mut Remarks),
) -> Result<()> {
    let mode = host.text("NetworkMode");
    if ["host", "none"].contains(&mode.as_str()) || mode.starts_with("container:") {
        put(table, "network_mode", around.mode(&mode, "its network", remarks));
        return Ok(());
    }
    if ["", "default", "bridge"].contains(&mode.as_str()) {
        put(table, "network_mode", "bridge");
        return Ok(());
    }
    let mut joined = settings.networks.clone().unwrap_or_default();
    let is_by_name = joined.contains_key(&mode);
    let first = first_of(&joined, mode, remarks);
    joined.entry(first.clone()).or_default();
    let names: BTreeSet<&String> = joined.keys().collect();
    let mut networks = Table::new();
    let mut links = BTreeSet::new();
    for real in names {
        let end = &joined[real];
        let key = around.networks.key(around.project, real);
        let mut joins = endpoint(own, end, is_by_name && *real == first, around, remarks)?;
        let mac =
            chosen_mac(end.mac_address.as_deref().unwrap_or_default(), end.ip_address.as_deref().unwrap_or_default());
        if !mac.is_empty() {
            remarks.say(format_args!(
                "its hardware address {mac} is in the model, but older engines give it only on a network that compose \
                 names by name, and older versions of compose name these networks by identifier"
            ));
        }
        if *real == first {
            // Older engines know one address for the container; said of the container, newer ones understand it too.
            put(table, "mac_address", mac);
        } else if !mac.is_empty() {
            put(joins.get_or_insert_default(), "mac_address", mac);
        }
        networks.insert(key, joins.map_or(Value::Null, Value::Object));
        links.extend(end.links.clone().unwrap_or_default());
    }
    let first_key = around.networks.key(around.project, &first);
    if networks.keys().any(|key| *key < first_key) {
        // Compose takes them by name where nobody says which comes first, and the first one's endpoint is special.
        let joins = &mut networks[&first_key];
        if joins.is_null() {
            *joins = json!({});
        }
        joins["priority"] = 1.into();
    }
    put(table, "networks", networks);
    read_links(&links, around, table);
    Ok(())
}

/// Real name of the network that comes first. Compose names an external one by its identifier, which a container that
/// was never started does not give the name of.
fn first_of(joined: &HashMap<String, EndpointSettings>, mode: String, remarks: &mut Remarks) -> String {
    let named = joined.iter().find(|(name, end)| **name == mode || end.network_id.as_ref() == Some(&mode));
    if let Some((name, _)) = named {
        return name.clone();
    }
    let mut names: Vec<&String> = joined.keys().collect();
    names.sort();
    match names.first() {
        Some(first) if mode.len() == 64 => {
            if names.len() > 1 {
                remarks.say(format_args!("which of its networks comes first is not known; {first} does"));
            }
            (*first).clone()
        }
        _ => mode,
    }
}

/// How one network is joined; nothing where it is joined as networks are when nothing is said.
fn endpoint(
    own: &Own<'_>,
    end: &EndpointSettings,
    is_named: bool,
    around: &Around<'_>,
    remarks: &mut Remarks,
) -> Result<Option<Table>> {
    let mut fields = Fields::of(end)?;
    let mut joins = Table::new();
    let mut seen = fields.texts("Aliases");
    if !seen.is_empty() && !seen.contains(&own.known.service) {
        remarks.say("it joined a network without its service's name as an alias; it gets the alias");
    }
    let short: String = own.id.chars().take(12).collect();
    seen.retain(|alias| {
        // A network that is joined later, or is named by its identifier, gets the host's name from the engine.
        let is_automatic = *alias == own.known.service
            || *alias == short
            || *alias == own.known.name
            || around.is_usual_name(own.known, alias);
        !is_automatic && (is_named || *alias != own.hostname)
    });
    put(&mut joins, "aliases", seen);
    let ipam = fields.inner("IPAMConfig");
    let is_said = ipam.is_some();
    if let Some(mut ipam) = ipam {
        ipam.hand_over(
            &[("IPv4Address", "ipv4_address"), ("IPv6Address", "ipv6_address"), ("LinkLocalIPs", "link_local_ips")],
            &mut joins,
        );
    }
    fields.hand_over(&[("DriverOpts", "driver_opts"), ("GwPriority", "gw_priority")], &mut joins);
    Ok((is_said || !joins.is_empty()).then_some(joins))
}

/// A hardware address that somebody chose. The engine makes one from the IPv4 address, newer ones by chance, and
/// marks it as local; what is neither was chosen.
fn chosen_mac(mac: &str, address: &str) -> String {
    let octets: Vec<u8> = address.split('.').filter_map(|octet| octet.parse().ok()).collect();
    let made: String = [2, 0x42].iter().chain(&octets).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":");
    let first = mac.split(':').next().and_then(|byte| u8::from_str_radix(byte, 16).ok()).unwrap_or(2);
    let is_chance = first & 2 != 0 && !mac.starts_with("02:42:");
    if mac == made || is_chance || octets.len() != 4 { String::new() } else { mac.to_owned() }
}

/// Links are written as `container:alias`; compose adds two of its own for each.
fn read_links(links: &BTreeSet<String>, around: &Around<'_>, table: &mut Table) {
    let (mut inner, mut outer) = (BTreeSet::new(), BTreeSet::new());
    for link in links {
        let (name, alias) = link.split_once(':').unwrap_or((link, link));
        let name = name.rsplit('/').next().unwrap_or(name);
        let known = around.containers.values().find(|known| known.name == name);
        // Without the two that compose adds, it is a link to a container that happens to be of this project.
        match known.filter(|_| links.iter().any(|link| link.ends_with(&format!("{name}:{name}")))) {
            Some(known) => {
                let added = ["-", "_"].map(|dash| format!("{}{dash}{}", known.service, known.number));
                if alias != name && !added.iter().any(|added| added == alias) {
                    let service = &known.service;
                    inner.insert(if alias == service { service.clone() } else { format!("{service}:{alias}") });
                }
            }
            None => {
                outer.insert(format!("{name}:{alias}"));
            }
        }
    }
    put(table, "links", inner.into_iter().collect::<Vec<_>>());
    put(table, "external_links", outer.into_iter().collect::<Vec<_>>());
}

/// Reads published and exposed ports.
pub(super) fn ports(
    host: &mut Fields,
    config: &mut Fields,
    image: &[String],
    (table, remarks): (&mut Table, &mut Remarks),
) {
    let mut exposed = config.keys("ExposedPorts");
    let bound = host.inner("PortBindings").map(Fields::into_pairs).unwrap_or_default();
    exposed.retain(|port| !image.contains(port) && !bound.iter().any(|(target, _)| target == port));
    put(table, "expose", exposed);
    let mut ports = Vec::new();
    for (target, bindings) in &bound {
        for binding in bindings.as_array().into_iter().flatten() {
            ports.extend(port(target, binding));
        }
    }
    if ports.len() < bound.len() {
        remarks.say("a port is bound in a way that is not understood");
    }
    put(table, "ports", ports);
}

/// One published port; without a number of its own the engine chooses one, at every start another.
fn port(target: &str, binding: &Value) -> Option<Value> {
    let (number, protocol) = target.split_once('/').unwrap_or((target, "tcp"));
    let mut read = Table::from_iter([("mode".to_owned(), Value::from("ingress"))]);
    let text = |key: &str| texts(Some(&json!([binding.get(key)]))).pop().unwrap_or_default();
    put(&mut read, "host_ip", text("HostIp"));
    put(&mut read, "target", number.parse::<u16>().ok()?);
    put(&mut read, "published", text("HostPort"));
    put(&mut read, "protocol", protocol);
    Some(Value::Object(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_keep_their_host_address_number_and_protocol() {
        let one = port("80/tcp", &json!({"HostIp": "127.0.0.1", "HostPort": "8080"}));
        let whole =
            json!({"mode": "ingress", "host_ip": "127.0.0.1", "target": 80, "published": "8080", "protocol": "tcp"});
        assert_eq!(one, Some(whole));
        let chosen = port("53/udp", &json!({"HostIp": "", "HostPort": ""}));
        assert_eq!(chosen, Some(json!({"mode": "ingress", "target": 53, "protocol": "udp"})));
    }

    #[test]
    fn exposed_ports_are_those_that_neither_the_image_nor_a_binding_has() {
        let mut host = Fields::of(&json!({"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "1"}]}})).unwrap();
        let mut config = Fields::of(&json!({"ExposedPorts": {"80/tcp": {}, "90/tcp": {}, "99/udp": {}}})).unwrap();
        let (mut table, mut remarks) = (Table::new(), Remarks::of("web"));
        ports(&mut host, &mut config, &["90/tcp".to_owned()], (&mut table, &mut remarks));
        assert_eq!(table["expose"], json!(["99/udp"]));
        assert_eq!(table["ports"][0]["published"], "1");
    }

    #[test]
    fn a_hardware_address_is_kept_only_when_somebody_chose_it() {
        assert_eq!(chosen_mac("02:42:ac:11:00:02", "172.17.0.2"), "");
        assert_eq!(chosen_mac("a6:11:22:33:44:55", "172.17.0.2"), "");
        assert_eq!(chosen_mac("02:42:ac:11:65:43", "172.17.0.2"), "02:42:ac:11:65:43");
        assert_eq!(chosen_mac("00:16:3e:11:22:33", "172.17.0.2"), "00:16:3e:11:22:33");
        assert_eq!(chosen_mac("", ""), "");
    }
}
