//! HTTPS records as they are written in the file (RFC 9460): their form, and that no hint leads away from the record's addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::read::{Reader, join};
use super::shape::host;
use super::value::Value;

/// `1 . alpn=h2,h3 ipv4hint=203.0.113.10`: a priority, a target, and parameters, none twice. An alias (priority 0) has none.
pub(super) fn fits(text: &str) -> bool {
    let mut fields = text.split_whitespace();
    let (Some(priority), Some(target)) = (fields.next(), fields.next()) else { return false };
    let Ok(priority) = priority.parse::<u16>() else { return false };
    let parameters: Vec<(&str, &str)> = fields.map(|field| field.split_once('=').unwrap_or((field, ""))).collect();
    let is_alone = |key: &str| parameters.iter().filter(|(other, _)| *other == key).count() == 1;
    (target == "." || host(target))
        && (priority > 0 || parameters.is_empty())
        && parameters.iter().all(|(key, value)| is_alone(key) && is_parameter(key, value.trim_matches('"')))
}

fn is_parameter(key: &str, value: &str) -> bool {
    let each = |is: fn(&str) -> bool| value.split(',').all(is);
    match key {
        "alpn" | "mandatory" => each(|one| !one.is_empty() && !one.contains('\\')),
        "no-default-alpn" => value.is_empty(),
        "port" => value.parse::<u16>().is_ok(),
        "ipv4hint" => each(|one| one.parse::<Ipv4Addr>().is_ok()),
        "ipv6hint" => each(|one| one.parse::<Ipv6Addr>().is_ok()),
        "ech" => !value.is_empty(),
        _ => key.strip_prefix("key").is_some_and(|number| number.parse::<u16>().is_ok()),
    }
}

/// The addresses that a record of this name hints at; one with another target speaks of another name.
fn hints(text: &str) -> Vec<(&str, IpAddr)> {
    let mut fields = text.split_whitespace();
    if fields.nth(1) != Some(".") {
        return Vec::new();
    }
    let lists = fields.filter_map(|field| field.split_once('=')).filter(|(key, _)| key.ends_with("hint"));
    let each = |(key, list)| {
        let list: &str = list;
        list.trim_matches('"').split(',').filter_map(move |one| Some((key, one.parse().ok()?)))
    };
    lists.flat_map(each).collect()
}

/// Browsers go to a hint before they ask for addresses, so a hint that is none of them sends people elsewhere.
pub(super) fn validate(reader: &mut Reader<'_>, table: &str) {
    let items = |name: &str| match reader.values.get(&join(table, name)).map(|found| &found.value) {
        Some(Value::List(items)) => Some(items),
        _ => None,
    };
    let addresses = |name| items(name).map(|items| items.iter().filter_map(|item| item.text.parse().ok()).collect());
    let (v4, v6): (Option<Vec<IpAddr>>, Option<Vec<IpAddr>>) = (addresses("A"), addresses("AAAA"));
    let mut stray = Vec::new();
    for (index, item) in items("HTTPS").into_iter().flatten().enumerate() {
        for (key, address) in hints(&item.text) {
            // Where the addresses are wrong themselves, that is the one thing to say.
            let known = if address.is_ipv4() { &v4 } else { &v6 };
            if known.as_ref().is_some_and(|known| !known.contains(&address)) {
                stray.push((item.at, index, format!("{key}={address}")));
            }
        }
    }
    for (at, index, found) in stray {
        let path = format!("{}[{index}]", join(table, "HTTPS"));
        let hint = "browsers go to a hint before they ask for addresses";
        reader.push(at, &path, found, "an address of this record's A or AAAA", Some(hint));
    }
}
