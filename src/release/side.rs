//! A release as a compose project of its own (`NAME-r12`), beside the one that serves. Pure: from a rendered model.
//!
//! Its services are named for the release (`backend-r12`), because compose gives every container its service's name on
//! every network: under the plain name, others would reach both sides in turn. Among themselves the services of a side
//! keep their plain names, on a network of the side's own.

mod obstacles;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::model;
use crate::adapter::docker::label;
use crate::adapter::files;

pub use obstacles::{Obstacle, obstacles};

/// Key of the side's own network in its model.
const OWN_NETWORK: &str = "cutover-side";

/// Project of a release's side.
pub fn project(base: &str, release: u32) -> String {
    format!("{base}-r{release}")
}

/// The release whose side a compose project is, if it is one of this base.
pub fn release_of(base: &str, project: &str) -> Option<u32> {
    project.strip_prefix(base)?.strip_prefix("-r")?.parse().ok()
}

/// Name of a service in the side's model.
pub fn key(service: &str, release: u32) -> String {
    format!("{service}-r{release}")
}

/// The host name under which Caddy reaches a service of a side, on every network of the base.
pub fn host(base: &str, release: u32, service: &str) -> String {
    format!("{base}-r{release}-{service}")
}

/// A side, rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Its compose project.
    pub project: String,
    /// Its model, without the marks of the run that starts it.
    pub model: Value,
    /// SHA-256 of that model; its containers carry it.
    pub digest: String,
}

/// Renders the side of a release with these services of the model.
pub fn render(model: &Value, base: &str, release: u32, chosen: &[String]) -> Rendered {
    let project = project(base, release);
    let chosen: BTreeSet<&str> = chosen.iter().map(String::as_str).collect();
    let side = Side { model, base, release, chosen };
    let services: Map<String, Value> =
        side.chosen.iter().filter_map(|name| Some((key(name, release), side.service(name)?))).collect();
    let mut made = json!({ "name": project, "services": services });
    side.networks(&mut made);
    side.borrowed("volumes", &mut made);
    for kind in ["secrets", "configs"] {
        side.copied(kind, &mut made);
    }
    let digest = files::sha256(made.to_string().as_bytes());
    mark(&mut made, label::MODEL, &digest);
    Rendered { project, model: made, digest }
}

/// The model with the marks of the run that starts it.
pub fn marked(side: &Value, run: u32, epoch: u32) -> Value {
    let mut side = side.clone();
    mark(&mut side, label::RUN, &run.to_string());
    mark(&mut side, label::EPOCH, &epoch.to_string());
    side
}

fn mark(side: &mut Value, key: &str, value: &str) {
    for (_, service) in side.get_mut("services").and_then(Value::as_object_mut).into_iter().flatten() {
        service["labels"][key] = value.into();
    }
}

/// The model without these services, and without what waits for them: for a project beside which they run.
pub fn without(model: &Value, gone: &BTreeSet<String>) -> Value {
    let mut model = model.clone();
    if let Some(services) = model.get_mut("services").and_then(Value::as_object_mut) {
        services.retain(|name, _| !gone.contains(name));
        for (_, service) in services {
            if let Some(needed) = service.get_mut("depends_on").and_then(Value::as_object_mut) {
                needed.retain(|name, _| !gone.contains(name));
                if needed.is_empty()
                    && let Some(table) = service.as_object_mut()
                {
                    table.shift_remove("depends_on");
                }
            }
        }
    }
    model
}

struct Side<'a> {
    model: &'a Value,
    base: &'a str,
    release: u32,
    chosen: BTreeSet<&'a str>,
}

impl Side<'_> {
    fn service(&self, name: &str) -> Option<Value> {
        let mut service = model::service(self.model, name)?.as_object()?.clone();
        let container_name = service.shift_remove("container_name");
        for key in ["ports", "build", "profiles", "pull_policy"] {
            service.shift_remove(key);
        }
        service.insert("image".into(), model::image(self.model, self.base, name).into());
        self.depends_on(&mut service);
        self.links(&mut service);
        for key in ["network_mode", "ipc", "pid"] {
            self.beside_another(&mut service, key);
        }
        let mut plain = vec![name.to_owned()];
        plain.extend(container_name.as_ref().and_then(Value::as_str).map(str::to_owned));
        self.joined(name, plain, &mut service);
        let mut labels = labels(&service);
        labels.insert(label::SIDE_OF.into(), self.base.into());
        labels.insert(label::RELEASE.into(), self.release.to_string().into());
        labels.insert(label::OF_SERVICE.into(), name.into());
        service.insert("labels".into(), labels.into());
        Some(service.into())
    }

    /// Waits only for its own side: that the others are up is asked before it starts.
    fn depends_on(&self, service: &mut Map<String, Value>) {
        let needed = service.shift_remove("depends_on");
        let kept: Map<String, Value> = match needed {
            Some(Value::Object(table)) => table
                .into_iter()
                .filter(|(name, _)| self.chosen.contains(name.as_str()))
                .map(|(name, how)| (key(&name, self.release), how))
                .collect(),
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .filter(|name| self.chosen.contains(name))
                .map(|name| (key(name, self.release), json!({ "condition": "service_started", "required": true })))
                .collect(),
            _ => Map::new(),
        };
        if !kept.is_empty() {
            service.insert("depends_on".into(), kept.into());
        }
    }

    /// A link to a service of the side stays one; to any other it becomes a link to that one's container.
    fn links(&self, service: &mut Map<String, Value>) {
        let Some(Value::Array(links)) = service.shift_remove("links") else { return };
        let (mut own, mut outside) = (Vec::new(), Vec::new());
        for link in links.iter().filter_map(Value::as_str) {
            let (target, alias) = link.split_once(':').unwrap_or((link, link));
            if self.chosen.contains(target) {
                own.push(Value::from(format!("{}:{alias}", key(target, self.release))));
            } else {
                let named = model::service(self.model, target).and_then(|one| one.get("container_name")?.as_str());
                let container = named.map_or_else(|| format!("{}-{target}-1", self.base), str::to_owned);
                outside.push(Value::from(format!("{container}:{alias}")));
            }
        }
        if !own.is_empty() {
            service.insert("links".into(), own.into());
        }
        if !outside.is_empty() {
            let before = service.shift_remove("external_links");
            let before = before.as_ref().and_then(Value::as_array).into_iter().flatten().cloned();
            service.insert("external_links".into(), before.chain(outside).collect::<Vec<_>>().into());
        }
    }

    /// `network_mode: service:x` and its like follow x into the side.
    fn beside_another(&self, service: &mut Map<String, Value>, what: &str) {
        let other = service.get(what).and_then(Value::as_str).and_then(|mode| mode.strip_prefix("service:"));
        if let Some(other) = other.filter(|other| self.chosen.contains(other)) {
            let mode = format!("service:{}", key(other, self.release));
            service.insert(what.to_owned(), mode.into());
        }
    }

    /// Joins the base's networks under a name of the release alone, and the side's own under the plain names.
    fn joined(&self, name: &str, mut plain: Vec<String>, service: &mut Map<String, Value>) {
        let Some(networks) = service.get_mut("networks").and_then(Value::as_object_mut) else { return };
        for (_, join) in networks.iter_mut() {
            let mut table = join.as_object().cloned().unwrap_or_default();
            let aliases = table.shift_remove("aliases");
            let aliases = aliases.as_ref().and_then(Value::as_array).into_iter().flatten();
            plain.extend(aliases.filter_map(Value::as_str).map(str::to_owned));
            table.insert("aliases".into(), json!([host(self.base, self.release, name)]));
            *join = table.into();
        }
        if self.has_own_network() && !networks.is_empty() {
            plain.dedup();
            networks.insert(OWN_NETWORK.into(), json!({ "aliases": plain }));
        }
    }

    /// Alone, a service has nobody to call by its plain name.
    fn has_own_network(&self) -> bool {
        self.chosen.len() > 1
    }

    fn networks(&self, made: &mut Value) {
        self.borrowed("networks", made);
        let is_used = made["networks"].get(OWN_NETWORK).is_some();
        if is_used {
            // The engine asks a container's networks in the order of their names: this one has to come first, or a plain
            // name could be answered by a neighbour on the base's network. An inner network stays without a way out.
            let used: Vec<&Value> = self.named("networks", made);
            let is_internal = !used.is_empty()
                && used.iter().all(|network| network.get("internal").and_then(Value::as_bool) == Some(true));
            let name = format!("0-{}", project(self.base, self.release));
            let mut own = json!({ "name": name });
            if is_internal {
                own["internal"] = true.into();
            }
            made["networks"][OWN_NETWORK] = own;
        }
    }

    fn named(&self, kind: &str, made: &Value) -> Vec<&Value> {
        let names = made[kind].as_object().into_iter().flatten().map(|(name, _)| name);
        names.filter_map(|name| self.model.get(kind)?.get(name)).collect()
    }

    /// Networks or volumes that the services name: the base's own, by their names on the engine.
    fn borrowed(&self, kind: &str, made: &mut Value) {
        let names: BTreeSet<String> = made["services"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(_, service)| match kind {
                "networks" => {
                    service["networks"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
                }
                _ => sources(service, "volume"),
            })
            .collect();
        if names.is_empty() {
            return;
        }
        let mut table = Map::new();
        for name in names {
            let known = self.model.get(kind).and_then(|all| all.get(&name)).and_then(|one| one.get("name"));
            let known = known.and_then(Value::as_str).map_or_else(|| format!("{}_{name}", self.base), str::to_owned);
            table.insert(name, json!({ "name": known, "external": true }));
        }
        made[kind] = table.into();
    }

    /// Secrets or configs that the services name, as they are.
    fn copied(&self, kind: &str, made: &mut Value) {
        let used: BTreeSet<String> = made["services"]
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(_, service)| service[kind].as_array().into_iter().flatten())
            .filter_map(|one| one.get("source").and_then(Value::as_str).or_else(|| one.as_str()).map(str::to_owned))
            .collect();
        let table: Map<String, Value> = used
            .into_iter()
            .filter_map(|name| Some((name.clone(), self.model.get(kind)?.get(&name)?.clone())))
            .collect();
        if !table.is_empty() {
            made[kind] = table.into();
        }
    }
}

/// Sources of a service's mounts of a kind.
fn sources(service: &Value, kind: &str) -> Vec<String> {
    let mounts = service["volumes"].as_array().into_iter().flatten();
    let own = mounts.filter(|mount| mount.get("type").and_then(Value::as_str) == Some(kind));
    own.filter_map(|mount| mount.get("source").and_then(Value::as_str)).map(str::to_owned).collect()
}

/// Labels as a table, whichever way they were written.
fn labels(service: &Map<String, Value>) -> Map<String, Value> {
    match service.get("labels") {
        Some(Value::Object(table)) => table.clone(),
        Some(Value::Array(list)) => {
            let pairs = list.iter().filter_map(Value::as_str).map(|line| line.split_once('=').unwrap_or((line, "")));
            pairs.map(|(key, value)| (key.to_owned(), value.into())).collect()
        }
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
