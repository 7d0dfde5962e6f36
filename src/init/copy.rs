//! The configuration of an isolated copy, for rehearsals: production's own, with other places in the place of its places. Pure.
//!
//! Law: what is done is taken over to the letter; each place gets another, with the reason above it; what cannot be known is
//! left open, marked so that `config check` refuses it by its name.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::draft::comment;
use crate::config::{Config, LEFT_OPEN, Setting, Url, literal};

/// What stands behind the names of a copy's places.
pub const SUFFIX: &str = "-rehearsal";
/// What stands before the name of a variable of the copy.
pub const PREFIX: &str = "REHEARSAL_";
/// How long the copy is watched after its cutover.
const WINDOW: &str = "5m";

/// What the copy is made from.
#[derive(Debug)]
pub struct Original<'a> {
    /// Production's configuration.
    pub config: &'a Config,
    /// The compose files of the copy, as its file names them; empty where production has none.
    pub files: Vec<String>,
    /// The copy's port for each port that production publishes.
    pub ports: BTreeMap<u16, u16>,
}

/// The file, and what has to be told about it.
#[derive(Debug, Default)]
pub struct Written {
    /// The file.
    pub text: String,
    /// Keys that are left to a person, and what is wanted there.
    pub left: Vec<(String, String)>,
    /// Variables and files that the copy takes its secrets from: the key, and the name.
    pub secrets: Vec<(String, String)>,
}

/// What becomes of a key.
enum Put {
    /// As it is.
    Same,
    /// This in its place, for this reason.
    Other(Value, &'static str),
    /// A secret of the copy's own, found under this name.
    Secret(String),
    /// What is wanted of a person.
    Left(String),
    /// It is left out.
    Gone,
}

/// Writes it.
pub fn copy(original: &Original<'_>) -> Written {
    let project = &original.config.project;
    let mut out = Written {
        text: comment(&format!(
            "The isolated copy of {} that rehearsals work on. Written by `cutover rehearse --write-configuration`: it does what \
             production's file does, in other places, and the reason stands above each. A value that begins with {LEFT_OPEN:?} is \
             left to you; `cutover config check` names all of them.",
            project.name
        )),
        ..Written::default()
    };
    let mut table = String::new();
    for setting in original.config.settings.iter().filter(|setting| original.is_written(setting)) {
        let value = setting.value.clone().unwrap_or_default();
        let (parent, name) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
        let (value, why) = match original.put(setting) {
            Put::Gone => continue,
            Put::Same => (value, None),
            Put::Other(other, why) => (other, Some(why.to_owned())),
            Put::Secret(name) => {
                out.secrets.push((setting.key.clone(), name.clone()));
                (json!(name), Some("the copy's own, never production's".to_owned()))
            }
            Put::Left(wanted) => {
                out.left.push((setting.key.clone(), wanted.clone()));
                let was = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (json!(format!("{LEFT_OPEN}{wanted}")), Some(format!("production's is {was}")))
            }
        };
        if parent != table {
            parent.clone_into(&mut table);
            out.text.push_str(&format!("\n{}\n", header(parent)));
        }
        why.iter().for_each(|why| out.text.push_str(&comment(why)));
        out.text.push_str(&format!("{name} = {}\n", literal(&value)));
    }
    let gone = [("notify", original.config.notify.is_some()), ("serve", original.config.serve.is_some())];
    for (name, _) in gone.iter().filter(|(_, is_there)| *is_there) {
        out.text.push_str(&format!("\n{}", comment(&format!("[{name}] is left out: nobody is told of a rehearsal."))));
    }
    out
}

/// `health[0]` is an element of `[[health]]`, `health[0].expect` its `[health.expect]`.
fn header(path: &str) -> String {
    let mut name = String::new();
    let mut is_index = false;
    for letter in path.chars() {
        match letter {
            '[' => is_index = true,
            ']' => is_index = false,
            letter if !is_index => name.push(letter),
            _ => {}
        }
    }
    if path.ends_with(']') { format!("[[{name}]]") } else { format!("[{name}]") }
}

/// The path of a key without the numbers of elements.
fn plain(key: &str) -> String {
    let numbers = |letter: char| letter.is_ascii_digit();
    key.split('[')
        .enumerate()
        .map(|(at, part)| if at == 0 { part } else { part.trim_start_matches(numbers) })
        .collect::<Vec<_>>()
        .join("[")
}

impl Original<'_> {
    /// Whether a key stands in the copy's file: what production says, and each place that the copy must not share.
    fn is_written(&self, setting: &Setting) -> bool {
        match setting.key.as_str() {
            "project.environment" | "state.directory" | "data.directory" => true,
            "compose.files" => !self.files.is_empty(),
            "stabilize.window" => self.config.stabilize.is_some(),
            _ => setting.active && setting.value.is_some() && setting.origin != crate::config::Origin::Default,
        }
    }

    fn put(&self, setting: &Setting) -> Put {
        let key = plain(&setting.key);
        let text = setting.value.as_ref().and_then(Value::as_str).unwrap_or_default();
        match key.as_str() {
            "project.name" => Put::Other(json!(format!("{text}{SUFFIX}")), "its containers, volumes and networks are called after this"),
            "project.environment" => Put::Other(json!("rehearsal"), "part of the phrases that destructive steps ask for"),
            "compose.project_name" => Put::Other(json!(format!("{text}{SUFFIX}")), "a compose project of its own"),
            "compose.files" => {
                Put::Other(json!(self.files), "production's files; the last one gives ports, names and directories of the copy's own")
            }
            "state.directory" | "data.directory" | "backup.directory" | "caddy.directory" => {
                Put::Other(json!(format!("{}{SUFFIX}", text.trim_end_matches('/'))), "beside production's, and not in it")
            }
            "data.log_file" => Put::Other(json!(beside(text)), "beside production's"),
            "stabilize.window" => {
                Put::Other(json!(WINDOW), "a rehearsal shows that the watch works; production is watched for as long as it says")
            }
            "stabilize.probe" | "stabilize.loki" | "health[].url" | "caddy.url" | "prometheus.url" | "stabilize.rule[].url" => {
                self.address(text)
            }
            "dns.record[].name" => Put::Left("a name of the copy's own, or this one at a name server of its own, with dns.roots, dns.resolvers and dns.port of that".into()),
            "dns.record[].A" | "dns.record[].AAAA" | "dns.record[].CNAME" | "dns.origin" => {
                Put::Left("where the copy serves; none of production's addresses".into())
            }
            _ => by_family(&key, text),
        }
    }

    /// An address of the copy: the same page behind the copy's own port.
    fn address(&self, text: &str) -> Put {
        let wanted = || {
            Put::Left("the same page of the copy; no port that the compose files publish leads to production's".into())
        };
        let Ok(mut url) = text.parse::<Url>() else { return wanted() };
        let is_here = url.host_str().is_some_and(|host| {
            let host = host.trim_matches(['[', ']']);
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok()
        });
        let port = url.port_or_known_default().and_then(|port| self.ports.get(&port));
        match port {
            Some(port) if is_here && url.set_port(Some(*port)).is_ok() && url.set_host(Some("127.0.0.1")).is_ok() => {
                Put::Other(json!(url.as_str()), "the same page behind the copy's port")
            }
            _ => wanted(),
        }
    }
}

/// What is decided by the table, or by the end of the name.
fn by_family(key: &str, text: &str) -> Put {
    let is_of = |tables: &[&str]| tables.iter().any(|table| key.starts_with(table));
    if is_of(&["notify.", "serve.", "rehearsal."]) {
        Put::Gone
    } else if !is_of(&["source.", "target.", "users.", "dns."]) {
        Put::Same
    } else if key.ends_with("_env") {
        Put::Secret(format!("{PREFIX}{text}"))
    } else if key.ends_with("_file") {
        Put::Secret(beside(text))
    } else {
        Put::Same
    }
}

/// A file beside another one.
fn beside(file: &str) -> String {
    let path = Path::new(file);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!("rehearsal-{name}")).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, LEFT_TO_YOU, parse};

    const PRODUCTION: &str = r#"
schema = "cutover/v1"
[project]
name = "shop"
[compose]
files = ["compose.yaml"]
[deploy.services]
app = "together"
[[health]]
name = "app"
url = "http://localhost:3000/health?deep=1"
expect = { json = { "/status" = "healthy" } }
[[health]]
name = "public"
url = "https://shop.example.com/"
[caddy]
url = "http://127.0.0.1:8080"
routes = { app = "app" }
directory = "/var/lib/cutover/run/"
[source]
url_env = "OLD_URL"
[target]
url_file = "secrets/new.txt"
[data]
user_columns = { profiles = ["user_id"] }
[dns]
provider = "cloudflare"
token_env = "DNS_TOKEN"
[[dns.record]]
name = "shop.example.com"
A = ["192.0.2.1"]
[stabilize]
healthy = "2%"
[notify]
webhook_env = "HOOK"
"#;

    fn written(production: &str) -> Written {
        let config = parse(production, Path::new("/srv/shop/cutover.toml"), &Environment::default()).unwrap();
        let ports = [(3000, 13000), (8080, 18080)].into();
        copy(&Original { config: &config, files: vec!["compose.yaml".into(), "copy.yaml".into()], ports })
    }

    #[test]
    fn every_place_is_another_one_and_everything_else_is_the_same() {
        let text = written(PRODUCTION).text;
        for part in [
            "\nname = \"shop-rehearsal\"\n",
            "\nenvironment = \"rehearsal\"\n",
            "\nfiles = [\"compose.yaml\", \"copy.yaml\"]\n",
            "\nservices = { \"app\" = \"together\" }\n",
            "\nurl = \"http://127.0.0.1:13000/health?deep=1\"\n",
            "\n[health.expect]\njson = { \"/status\" = \"healthy\" }\n",
            "\nurl = \"http://127.0.0.1:18080/\"\n",
            "\ndirectory = \"/var/lib/cutover/run-rehearsal\"\n",
            "\ndirectory = \"/var/lib/cutover-rehearsal\"\n",
            "\ndirectory = \"migration-data-rehearsal\"\n",
            "\nurl_env = \"REHEARSAL_OLD_URL\"\n",
            "\nurl_file = \"secrets/rehearsal-new.txt\"\n",
            "\ntoken_env = \"REHEARSAL_DNS_TOKEN\"\n",
            "\nwindow = \"5m\"\n",
            "\nhealthy = \"2%\"\n",
            "\n# [notify] is left out: nobody is told of a rehearsal.\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(!text.contains("HOOK"), "{text}");
    }

    #[test]
    fn what_cannot_be_known_is_refused_by_name_and_nothing_else_is() {
        let copy = written(PRODUCTION);
        let left: Vec<&str> = copy.left.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(left, ["health[1].url", "dns.record[0].name", "dns.record[0].A"]);
        let problems = parse(&copy.text, Path::new("/srv/shop/rehearsal.toml"), &Environment::default()).unwrap_err();
        let mut found: Vec<&str> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, ["dns.record[0].A", "dns.record[0].name", "health[1].url"], "{problems}");
        assert!(problems.0.iter().all(|problem| problem.found == LEFT_TO_YOU), "{problems}");
    }

    #[test]
    fn a_configuration_whose_places_are_all_known_is_whole() {
        let production = PRODUCTION.split("[[health]]\nname = \"public\"").next().unwrap();
        let copy = written(production);
        parse(&copy.text, Path::new("/srv/shop/rehearsal.toml"), &Environment::default())
            .unwrap_or_else(|problems| panic!("{problems}\n{}", copy.text));
        assert!(copy.left.is_empty());
    }
}
