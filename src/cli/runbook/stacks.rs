//! What two compose models would share, were both brought up on one host: volumes, networks, containers, ports,
//! directories, the host's own network.
//!
//! Law: a rehearsal that shares one of them with production would work on production, and is not begun.

use std::collections::BTreeSet;

use serde_json::Value;

/// Names each thing that both models would use, and change.
pub fn shared(ours: Option<&Value>, theirs: Option<&Value>) -> Vec<String> {
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return Vec::new() };
    let own = all(ours);
    all(theirs).into_iter().filter(|one| own.contains(one)).collect()
}

/// Everything that bringing a model up would use, and change.
fn all(model: &Value) -> Vec<String> {
    let kinds = [
        ("the volume", names(model, "volumes")),
        ("the network", names(model, "networks")),
        ("the container", containers(model)),
        ("the port", ports(model)),
        ("the directory", directories(model)),
        ("the host's network, by the service", on_the_host(model)),
    ];
    kinds.into_iter().flat_map(|(what, found)| found.into_iter().map(move |one| format!("{what} {one}"))).collect()
}

/// What compose itself makes is called after the project; what has a name of its own, or is external, need not be.
fn names(model: &Value, kind: &str) -> BTreeSet<String> {
    let table = model.get(kind).and_then(Value::as_object);
    table.into_iter().flatten().filter_map(|(_, one)| one.get("name")?.as_str().map(str::to_owned)).collect()
}

fn services(model: &Value) -> impl Iterator<Item = &Value> {
    model.get("services").and_then(Value::as_object).into_iter().flatten().map(|(_, service)| service)
}

fn containers(model: &Value) -> BTreeSet<String> {
    services(model).filter_map(|service| service.get("container_name")?.as_str().map(str::to_owned)).collect()
}

fn list<'a>(service: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    service.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn ports(model: &Value) -> BTreeSet<String> {
    let word = |port: &Value, key: &str| match port.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let published = |port: &Value| {
        let number = word(port, "published").filter(|number| number != "0")?;
        Some(format!("{}:{number}", word(port, "host_ip").unwrap_or_else(|| "0.0.0.0".into())))
    };
    services(model).flat_map(|service| list(service, "ports")).filter_map(published).collect()
}

/// Services whose ports are the host's own, whatever they are.
fn on_the_host(model: &Value) -> BTreeSet<String> {
    let table = model.get("services").and_then(Value::as_object).into_iter().flatten();
    table
        .filter(|(_, one)| one.get("network_mode").is_some_and(|mode| mode == "host"))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Directories of the host that containers may write to; what is only read stays what it is.
fn directories(model: &Value) -> BTreeSet<String> {
    let is_written = |mount: &&Value| {
        mount.get("type").is_some_and(|kind| kind == "bind") && mount.get("read_only").is_none_or(|only| only == false)
    };
    let mounts = services(model).flat_map(|service| list(service, "volumes")).filter(is_written);
    // The engine's own socket is given to both on purpose, and is no place where data is kept.
    let sources = mounts.filter_map(|mount| mount.get("source")?.as_str().map(str::to_owned));
    sources.filter(|source| !source.ends_with(".sock")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model(volume: &str, port: &str, source: &str, is_read_only: bool) -> Value {
        json!({
            "services": { "db": {
                "container_name": format!("{volume}-db"),
                "network_mode": if is_read_only { "bridge" } else { "host" },
                "ports": [{ "host_ip": "127.0.0.1", "target": 5432, "published": port }, { "target": 9, "published": "0" }],
                "volumes": [{ "type": "bind", "source": source, "target": "/d", "read_only": is_read_only }],
            } },
            "volumes": { "data": { "name": volume } },
            "networks": { "default": { "name": format!("{volume}_default") } },
        })
    }

    #[test]
    fn each_thing_that_both_would_change_is_named() {
        let ours = model("shop", "5432", "/srv/shop", false);
        let same = shared(Some(&ours), Some(&ours));
        assert_eq!(
            same,
            [
                "the volume shop",
                "the network shop_default",
                "the container shop-db",
                "the port 127.0.0.1:5432",
                "the directory /srv/shop",
                "the host's network, by the service db",
            ]
        );
    }

    #[test]
    fn what_is_apart_or_only_read_is_not_named() {
        let (ours, theirs) = (model("shop", "5432", "/srv/shop", false), model("copy", "15432", "/srv/copy", false));
        assert_eq!(shared(Some(&ours), Some(&theirs)), ["the host's network, by the service db"]);
        let (ours, theirs) = (model("shop", "5432", "/etc/shop", true), model("copy", "15432", "/etc/shop", true));
        assert!(shared(Some(&ours), Some(&theirs)).is_empty());
        assert!(shared(None, Some(&theirs)).is_empty());
    }
}
