//! What an isolated copy of a stack has of its own: ports, names, directories; as a compose file that is laid over production's.
//!
//! Law: what the services run is not touched. Each thing that both stacks would use and change gets another place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::copy::SUFFIX;
use super::draft::comment;
use super::health::image_name;
use super::stack::{caddy, is_store};
use crate::release::model;

/// The variable by which the Caddyfile of this project takes more lines for its global block.
const CADDY_OPTIONS: &str = "CADDY_GLOBAL_OPTIONS";
/// An authority whose certificates nobody believes and whose limits nobody misses.
const STAGING: &str = "acme_ca https://acme-staging-v02.api.letsencrypt.org/directory";
/// Where directories of the copy are made, beside the compose files.
const PLACE: &str = "rehearsal-files";

/// A stack that a copy is made of.
pub struct Stack<'a> {
    /// Production's model, everything filled in.
    pub model: &'a Value,
    /// Production's compose project.
    pub project: &'a str,
    /// The directory that relative paths start from.
    pub directory: &'a Path,
    /// The directory that Caddy reads at request time, and the copy's.
    pub switch: Option<(PathBuf, PathBuf)>,
    /// Whether a port of this host is free.
    pub is_free: &'a dyn Fn(u16) -> bool,
}

/// The file that is laid over production's, and what has to be told about it.
#[derive(Debug, Default)]
pub struct Laid {
    /// The file; empty where the copy needs nothing of its own.
    pub text: String,
    /// The copy's port for each that production publishes.
    pub ports: BTreeMap<u16, u16>,
    /// What is worth a remark.
    pub remarks: Vec<String>,
}

/// Writes it.
pub fn lay(stack: &Stack<'_>) -> Laid {
    let mut laid = Laid { ports: stack.ports(), ..Laid::default() };
    let mut services = String::new();
    for name in model::services(stack.model) {
        let lines = stack.service(&name, &laid.ports, &mut laid.remarks);
        if !lines.is_empty() {
            services.push_str(&format!("  {name}:\n{lines}"));
        }
    }
    let mut body = if services.is_empty() { String::new() } else { format!("services:\n{services}") };
    for kind in ["volumes", "networks"] {
        body.push_str(&stack.named(kind, &mut laid.remarks));
    }
    if !body.is_empty() {
        let words = "What the copy for rehearsals has of its own, laid over the compose files of production; written by `cutover \
                     rehearse --write-configuration`. What the services run is not touched. `!override` wants docker compose \
                     2.24.4 or newer.";
        laid.text = format!("{}{body}", comment(words));
    }
    laid
}

/// A comment and a line below it, moved to the right.
fn said(why: &str, depth: usize, line: &str) -> String {
    let margin = " ".repeat(depth);
    let words: String = comment(why).lines().map(|line| format!("{margin}{line}\n")).collect();
    format!("{words}{margin}{line}\n")
}

fn list<'a>(service: &'a Value, key: &str) -> &'a [Value] {
    service.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn published_text(port: &Value) -> Option<String> {
    Some(match port.get("published")? {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

fn published(port: &Value) -> Option<u16> {
    published_text(port)?.parse().ok().filter(|number| *number > 0)
}

/// The first and the last port, where the engine may choose one of several.
fn range(port: &Value) -> Option<(u16, u16)> {
    let text = published_text(port)?;
    let (first, last) = text.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Where a port of the copy is looked for first.
fn apart(port: u16) -> u16 {
    if port < 50_000 { port + 10_000 } else { port - 10_000 }
}

impl Stack<'_> {
    /// Another port for each that is published: the same with 10000 more where that is free, else the next one that is.
    fn ports(&self) -> BTreeMap<u16, u16> {
        let mut own: Vec<u16> = model::services(self.model)
            .iter()
            .filter_map(|name| model::service(self.model, name))
            .flat_map(|service| list(service, "ports").iter().filter_map(published))
            .collect();
        own.sort_unstable();
        own.dedup();
        let mut ports: BTreeMap<u16, u16> = BTreeMap::new();
        for port in &own {
            let first = apart(*port);
            let is_good =
                |next: &u16| !own.contains(next) && !ports.values().any(|taken| taken == next) && (self.is_free)(*next);
            if let Some(found) = (first..=u16::MAX).chain(1024..first).find(is_good) {
                ports.insert(*port, found);
            }
        }
        ports
    }

    fn service(&self, name: &str, ports: &BTreeMap<u16, u16>, remarks: &mut Vec<String>) -> String {
        let Some(own) = model::service(self.model, name) else { return String::new() };
        let mut lines = String::new();
        if let Some(container) = own.get("container_name").and_then(Value::as_str) {
            lines.push_str(&said(
                "no two containers have one name",
                4,
                &format!("container_name: {}", json!(format!("{container}{SUFFIX}"))),
            ));
        }
        let moved: Vec<String> =
            list(own, "ports").iter().map(|port| format!("      - {}\n", moved(port, ports))).collect();
        if !moved.is_empty() && list(own, "ports").iter().any(|port| published(port).is_some() || range(port).is_some())
        {
            lines.push_str(&said("other ports, for this host alone", 4, "ports: !override"));
            moved.iter().for_each(|line| lines.push_str(line));
        }
        let mounts: String = list(own, "volumes").iter().filter_map(|mount| self.mount(name, mount, remarks)).collect();
        if !mounts.is_empty() {
            lines.push_str(&format!("    volumes:\n{mounts}"));
        }
        if let Some(options) = self.authority(name, own, remarks) {
            let why = "the authority for trials: a rehearsal must not spend what the real one grants for these names";
            lines.push_str(&format!(
                "    environment:\n{}",
                said(why, 6, &format!("{CADDY_OPTIONS}: {}", json!(options)))
            ));
        }
        if own.get("network_mode").and_then(Value::as_str) == Some("host") {
            remarks.push(format!(
                "{name} is on the network of the host (network_mode: host), so its ports are production's; give it ports of its own \
                 in the copy, or leave it out of the rehearsal"
            ));
        }
        lines
    }

    /// A mount from the host in the copy; nothing where it stays as it is.
    fn mount(&self, service: &str, mount: &Value, remarks: &mut Vec<String>) -> Option<String> {
        if mount.get("type").and_then(Value::as_str) != Some("bind") {
            return None;
        }
        let source = Path::new(mount.get("source")?.as_str()?);
        let mut other = mount.clone();
        let is_read_only = mount.get("read_only").and_then(Value::as_bool) == Some(true);
        let why = if let Some((_, theirs)) = self.switch.as_ref().filter(|(ours, _)| source.starts_with(ours)) {
            other["source"] = json!(theirs);
            "what the copy's Caddy reads is switched by itself"
        } else if is_read_only || source.extension().is_some_and(|end| end == "sock") {
            return None;
        } else if source.is_file() || (is_full(source) && !is_store(&image_name(self.model, self.project, service))) {
            other["read_only"] = json!(true);
            "production's own, to be read only: nothing that the copy does may change it"
        } else {
            let place = self.place(source);
            remarks.push(format!(
                "{service}: {} is another directory in the copy, {place}, which is empty until you put something in it",
                source.display()
            ));
            other["source"] = json!(format!("./{place}"));
            "a directory of the copy's own"
        };
        Some(said(why, 6, &format!("- {other}")))
    }

    /// The directory of the copy for one of production's, the same for every service that has it.
    fn place(&self, source: &Path) -> String {
        let inside = source.strip_prefix(self.directory).unwrap_or(source);
        let parts: Vec<String> = inside
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_)))
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        if parts.is_empty() { format!("{PLACE}/project") } else { format!("{PLACE}/{}", parts.join("-")) }
    }

    /// What the copy's Caddy is told of authorities; nothing where it cannot be told, or asks none.
    fn authority(&self, name: &str, own: &Value, remarks: &mut Vec<String>) -> Option<String> {
        let (service, _) = caddy(self.model, self.project).filter(|(service, _)| service == name)?;
        let Some(said) = own.get("environment").and_then(|all| all.get(CADDY_OPTIONS)) else {
            let asks = list(own, "ports").iter().any(|port| port.get("target").and_then(Value::as_u64) == Some(443));
            if asks {
                remarks.push(format!(
                    "{service} publishes port 443: a rehearsal would ask the real authority for certificates, unless its Caddyfile \
                     takes `acme_ca` from a variable that differs in the copy"
                ));
            }
            return None;
        };
        let said = said.as_str().unwrap_or_default();
        if said.contains("acme_ca") || said.contains("local_certs") {
            return None;
        }
        Some(if said.is_empty() { STAGING.to_owned() } else { format!("{said}\n{STAGING}") })
    }

    /// Volumes or networks whose names are not made from the project's.
    fn named(&self, kind: &str, remarks: &mut Vec<String>) -> String {
        let mut lines = String::new();
        for (key, one) in self.model.get(kind).and_then(Value::as_object).into_iter().flatten() {
            let Some(name) = one.get("name").and_then(Value::as_str) else { continue };
            if name == format!("{}_{key}", self.project) {
                continue;
            }
            let is_external = one.get("external").and_then(Value::as_bool) == Some(true);
            let why = if is_external {
                "made for the copy; production's is somebody else's to make"
            } else {
                "the copy's own"
            };
            let name = format!("{name}{SUFFIX}");
            lines.push_str(&said(why, 2, &format!("{key}:")));
            lines.push_str(&format!("    name: {}\n", json!(name)));
            if is_external {
                lines.push_str("    external: false\n");
                remarks.push(format!(
                    "{kind}.{key}: production's is made by somebody else; the copy has {name}, empty and alone"
                ));
            }
        }
        if lines.is_empty() { lines } else { format!("{kind}:\n{lines}") }
    }
}

/// A published port of the copy: another number, on the loopback address.
fn moved(port: &Value, ports: &BTreeMap<u16, u16>) -> Value {
    let mut other = port.clone();
    if let Some(number) = published(port).and_then(|number| ports.get(&number)) {
        other["published"] = json!(number.to_string());
        other["host_ip"] = json!("127.0.0.1");
    } else if let Some((first, last)) = range(port) {
        // As many as before; which of them are free is looked at when one is taken.
        let (low, high) = (apart(first), apart(first).saturating_add(last.saturating_sub(first)));
        other["published"] = json!(format!("{low}-{high}"));
        other["host_ip"] = json!("127.0.0.1");
    }
    other
}

fn is_full(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_names_and_directories_are_the_copys_own_and_what_runs_is_not_touched() {
        let full = tempfile::tempdir().unwrap();
        std::fs::write(full.path().join("index.html"), "x").unwrap();
        let model = json!({
            "services": {
                "db": {
                    "image": "postgres:16", "container_name": "shop-db",
                    "ports": [{ "target": 5432, "published": "5432", "host_ip": "0.0.0.0" }],
                    "volumes": [{ "type": "bind", "source": "/srv/shop/pgdata", "target": "/data" }],
                },
                "web": {
                    "image": "caddy:2", "environment": { "CADDY_GLOBAL_OPTIONS": "debug" },
                    "ports": [{ "target": 80, "published": "80" }, { "target": 9000 }, { "target": 81, "published": "8100-8109" }],
                    "volumes": [
                        { "type": "bind", "source": full.path(), "target": "/pages" },
                        { "type": "bind", "source": "/run/cutover/shop", "target": "/run/cutover", "read_only": true },
                        { "type": "volume", "source": "data", "target": "/d" },
                    ],
                },
                "agent": { "image": "agent", "network_mode": "host" },
            },
            "volumes": { "data": { "name": "shop_data" }, "old": { "name": "old", "external": true } },
            "networks": { "default": { "name": "shop_default" } },
        });
        let switch = Some((PathBuf::from("/run/cutover/shop"), PathBuf::from("/run/cutover/shop-rehearsal")));
        let is_free = |port: u16| port != 10080;
        let laid = lay(&Stack {
            model: &model,
            project: "shop",
            directory: Path::new("/srv/shop"),
            switch,
            is_free: &is_free,
        });
        assert_eq!(laid.ports, [(80, 10081), (5432, 15432)].into());
        for part in [
            "    container_name: \"shop-db-rehearsal\"\n",
            "    ports: !override\n      - {\"target\":5432,\"published\":\"15432\",\"host_ip\":\"127.0.0.1\"}\n",
            "\"source\":\"./rehearsal-files/pgdata\"",
            "\"source\":\"/run/cutover/shop-rehearsal\",\"target\":\"/run/cutover\",\"read_only\":true",
            "      - {\"target\":9000}\n",
            "      - {\"target\":81,\"published\":\"18100-18109\",\"host_ip\":\"127.0.0.1\"}\n",
            "CADDY_GLOBAL_OPTIONS: \"debug\\nacme_ca https://acme-staging-v02",
            "  old:\n    name: \"old-rehearsal\"\n    external: false\n",
        ] {
            assert!(laid.text.contains(part), "{part:?} is not in\n{}", laid.text);
        }
        assert!(
            laid.text.contains(&format!(
                "\"source\":\"{}\",\"target\":\"/pages\",\"read_only\":true",
                full.path().display()
            )),
            "{}",
            laid.text
        );
        assert!(!laid.text.contains("image") && !laid.text.contains("shop_data"), "{}", laid.text);
        assert!(
            laid.remarks.iter().any(|remark| remark.contains("agent is on the network of the host")),
            "{:?}",
            laid.remarks
        );
    }

    #[test]
    fn a_stack_that_shares_nothing_needs_no_file() {
        let model = json!({ "services": { "worker": { "image": "x" } }, "networks": { "default": { "name": "shop_default" } } });
        let laid =
            lay(&Stack { model: &model, project: "shop", directory: Path::new("/"), switch: None, is_free: &|_| true });
        assert!(laid.text.is_empty() && laid.remarks.is_empty());
    }
}
