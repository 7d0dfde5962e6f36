//! Why a service cannot run twice at once. Pure: read from the model; said at plan time, before anything is started.

use serde_json::Value;

use super::sources;
use crate::release::model;

/// A reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The service.
    pub service: String,
    /// What stands in the way.
    pub why: String,
    /// Whether nobody's word can help: the engine would refuse it, or send both sides' traffic to one place.
    pub is_hard: bool,
}

/// What stands in the way of a second container of this service beside the first. `chosen` are those that start together.
pub fn obstacles(model: &Value, service: &str, chosen: &[String]) -> Vec<Obstacle> {
    let Some(table) = model::service(model, service) else { return Vec::new() };
    let mut found = Vec::new();
    let mut note = |is_hard: bool, why: String| found.push(Obstacle { service: service.to_owned(), why, is_hard });
    let text = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default();
    match text("network_mode") {
        "host" => note(true, "it uses the host's own network, where a port is there only once".into()),
        mode if mode.starts_with("container:") => {
            note(true, format!("it uses the network of a fixed container ({mode})"))
        }
        mode => {
            let other = mode.strip_prefix("service:").filter(|other| !chosen.iter().any(|one| one == other));
            if let Some(other) = other {
                note(true, format!("it shares the network of {other}, which does not start with it"));
            }
        }
    }
    for (network, join) in table.get("networks").and_then(Value::as_object).into_iter().flatten() {
        for key in ["ipv4_address", "ipv6_address", "mac_address"] {
            if let Some(address) = join.get(key).and_then(Value::as_str) {
                note(true, format!("it has the fixed address {address} on the network {network}"));
            }
        }
    }
    if !text("mac_address").is_empty() {
        note(true, format!("it has the fixed address {}", text("mac_address")));
    }
    for key in ["ipc", "pid"] {
        let other = text(key).strip_prefix("service:").filter(|other| !chosen.iter().any(|one| one == other));
        if let Some(other) = other {
            note(true, format!("it shares the {key} namespace of {other}, which does not start with it"));
        }
    }
    if table.get("volumes_from").and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
        note(true, "it takes volumes from another container (volumes_from)".into());
    }
    if table.get("devices").and_then(Value::as_array).is_some_and(|list| !list.is_empty()) {
        note(false, "it holds a device of the host".into());
    }
    for volume in written(table, "volume") {
        note(false, format!("it writes to the volume {volume}"));
    }
    for path in written(table, "bind") {
        note(false, format!("it writes to {path} on the host"));
    }
    let key = super::host("", u32::MAX, service);
    if key.len() > 60 || service.starts_with(['-', '.', '_']) {
        note(true, "its name is too long, or no host name, for a name of its own in each release".into());
    }
    found
}

/// Sources that the service can write to. What stands under /run or /var/run is a socket or other state of the host.
fn written(service: &Value, kind: &str) -> Vec<String> {
    let mut service = service.clone();
    if let Some(mounts) = service.get_mut("volumes").and_then(Value::as_array_mut) {
        mounts.retain(|mount| mount.get("read_only").and_then(Value::as_bool) != Some(true));
    }
    let mut all = sources(&service, kind);
    all.retain(|source| {
        !["/run/", "/var/run/", "/dev/", "/sys/", "/proc/"].iter().any(|head| source.starts_with(head))
    });
    all
}
