//! What the services of a stack are: databases, a proxy, Prometheus, things that run once. Told by images, names and commands.

use std::path::Path;

use serde_json::Value;

use super::health::{image_name, reached};
use crate::release::model;

/// Images of things that keep data.
const STORES: [&str; 20] = [
    "postgres",
    "postgis",
    "timescaledb",
    "timescaledb-ha",
    "pgvector",
    "postgresql",
    "mysql",
    "mariadb",
    "mongo",
    "redis",
    "valkey",
    "keydb",
    "memcached",
    "rabbitmq",
    "elasticsearch",
    "opensearch",
    "clickhouse-server",
    "nats",
    "percona",
    "cassandra",
];
/// Databases that are not PostgreSQL, and how people call them.
const OTHERS: [(&str, &str); 5] = [
    ("mysql", "MySQL"),
    ("mariadb", "MariaDB"),
    ("mongo", "MongoDB"),
    ("percona", "MySQL"),
    ("cassandra", "Cassandra"),
];

/// Whether an image keeps data and shows no page.
pub fn is_store(image: &str) -> bool {
    STORES.contains(&image)
}

/// Services with databases that are no PostgreSQL: service, kind, and the named volumes it has.
pub fn other_databases(model: &Value, project: &str) -> Vec<(String, &'static str, Vec<String>)> {
    let of = |service: String| {
        let image = image_name(model, project, &service);
        let (_, kind) = OTHERS.iter().find(|(name, _)| *name == image)?;
        let volumes = named_volumes(model, &service);
        Some((service, *kind, volumes))
    };
    model::services(model).into_iter().filter_map(of).collect()
}

/// The named volumes of a service.
pub fn named_volumes(model: &Value, service: &str) -> Vec<String> {
    let named = mounts(model, service).filter(|one| one.get("type").and_then(Value::as_str) == Some("volume"));
    named.filter_map(|one| Some(one.get("source")?.as_str()?.to_owned())).collect()
}

/// What a service has mounted for writing from inside a directory: source within it, and target.
pub fn writable_mounts(model: &Value, service: &str, directory: &Path) -> Vec<(String, String)> {
    let of = |one: &Value| {
        let is_meant = one.get("type").and_then(Value::as_str) == Some("bind")
            && one.get("read_only").and_then(Value::as_bool) != Some(true);
        let source = Path::new(one.get("source")?.as_str()?).strip_prefix(directory).ok()?.display().to_string();
        is_meant.then_some((source, one.get("target")?.as_str()?.to_owned()))
    };
    mounts(model, service).filter_map(of).collect()
}

/// The service that is Caddy, and where the host reaches its pages.
pub fn caddy(model: &Value, project: &str) -> Option<(String, Option<String>)> {
    let is_caddy = |service: &String| {
        let image = image_name(model, project, service);
        image == "caddy" || image.ends_with("-caddy") || image.starts_with("caddy-") || mounts_caddyfile(model, service)
    };
    let service = model::services(model).into_iter().find(is_caddy)?;
    let page = [80, 8080, 8000, 2015].into_iter().find_map(|port| reached(model, &service, port));
    Some((service, page))
}

/// The directory on the host whose files Caddy reads at request time, and how it is known.
pub fn switch_directory(model: &Value, service: &str) -> Option<(String, &'static str)> {
    let binds = || mounts(model, service).filter(|one| one.get("type").and_then(Value::as_str) == Some("bind"));
    let text = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
    let is_read = |one: &&Value| text(one, "target").is_some_and(|target| target.trim_end_matches('/') == READ_AT);
    let at_its_place =
        || text(binds().find(is_read)?, "source").map(|source| (source, "it is mounted where the snippet reads"));
    let holds_them = |source: &String| ["app", "id"].iter().all(|name| Path::new(source).join(name).is_file());
    let by_its_files = || {
        let source = binds().filter_map(|one| text(one, "source")).find(holds_them)?;
        Some((source, "it is mounted into Caddy, and holds `app` and `id`"))
    };
    at_its_place().or_else(by_its_files)
}

/// Where the snippet of the Caddyfile reads its files.
const READ_AT: &str = "/run/cutover";

fn mounts_caddyfile(model: &Value, service: &str) -> bool {
    let target =
        |one: &Value| one.get("target").and_then(Value::as_str).is_some_and(|path| path.ends_with("/Caddyfile"));
    mounts(model, service).any(target)
}

fn mounts<'a>(model: &'a Value, service: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let own = model::service(model, service).and_then(|own| own.get("volumes")).and_then(Value::as_array);
    own.into_iter().flatten()
}

/// The service that is Prometheus, and where the host reaches it.
pub fn prometheus(model: &Value, project: &str) -> Option<(String, Option<String>)> {
    let service =
        model::services(model).into_iter().find(|service| image_name(model, project, service) == "prometheus")?;
    let page = reached(model, &service, 9090);
    Some((service, page))
}

/// The longest that the health checks of the model may take until they have spoken, in seconds, and whose it is.
pub fn slowest_start(model: &Value) -> Option<(String, u64)> {
    let of = |service: String| {
        let check = model::service(model, &service)?.get("healthcheck")?;
        let seconds = |key: &str, usual: u64| {
            let text = check.get(key).and_then(Value::as_str).unwrap_or_default();
            crate::config::units::parse_duration(text).map_or(usual, |duration| duration.as_secs())
        };
        let retries = check.get("retries").and_then(Value::as_u64).unwrap_or(3);
        // A check that fails does so at once, as a rule: its timeout counts once.
        let patience = seconds("start_period", 0) + retries * seconds("interval", 30) + seconds("timeout", 30);
        Some((service, patience))
    };
    model::services(model).into_iter().filter_map(of).max_by_key(|(_, seconds)| *seconds)
}

/// Services that end by themselves: others wait for their end.
pub fn one_shots(model: &Value) -> Vec<String> {
    model::ending(model).into_iter().collect()
}

/// What a service is told to run, entrypoint and command in one line.
pub fn command_line(model: &Value, service: &str) -> String {
    let words = |key: &str| {
        let value = model::service(model, service).and_then(|own| own.get(key));
        let list = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        list.collect::<Vec<_>>().join(" ")
    };
    format!("{} {}", words("entrypoint"), words("command")).trim().to_owned()
}
