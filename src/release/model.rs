//! Reading the compose model that `docker compose config --format json` prints. Pure; knows no file and no engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file or directory of the project that a service gets as configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigSource {
    /// The service.
    pub service: String,
    /// Absolute path on the host.
    pub path: PathBuf,
    /// Whether it is a compose secret: its content is never shown.
    pub is_secret: bool,
}

/// Names of the services, in order.
pub fn services(model: &Value) -> Vec<String> {
    let table = model.get("services").and_then(Value::as_object);
    table.map(|services| services.keys().cloned().collect()).unwrap_or_default()
}

/// A service's own table.
pub fn service<'a>(model: &'a Value, name: &str) -> Option<&'a Value> {
    model.get("services")?.get(name)
}

/// Image reference of a service; a service that is only built has the one that compose gives it.
pub fn image(model: &Value, project: &str, name: &str) -> String {
    let given = service(model, name).and_then(|service| service.get("image")).and_then(Value::as_str);
    given.map_or_else(|| format!("{project}-{name}"), str::to_owned)
}

/// Whether a service has a `build` section.
pub fn is_built(model: &Value, name: &str) -> bool {
    service(model, name).is_some_and(|service| service.get("build").is_some_and(|build| !build.is_null()))
}

/// How many containers a service wants.
pub fn replicas(model: &Value, name: &str) -> usize {
    let service = service(model, name);
    let scale = service.and_then(|service| service.get("scale")).and_then(Value::as_u64);
    let deploy = service.and_then(|service| service.pointer("/deploy/replicas")).and_then(Value::as_u64);
    usize::try_from(deploy.or(scale).unwrap_or(1)).unwrap_or(1)
}

/// Whether a service has a health check of its own in the model (an image may bring one as well).
pub fn has_health_check(model: &Value, name: &str) -> bool {
    service(model, name)
        .and_then(|service| service.get("healthcheck"))
        .is_some_and(|check| !check.is_null() && check.get("disable").and_then(Value::as_bool) != Some(true))
}

/// Services that these need, directly or not, and that are not among them; in the order they should start.
pub fn dependencies(model: &Value, of: &[String]) -> Vec<String> {
    let mut seen: BTreeSet<String> = of.iter().cloned().collect();
    let mut order = Vec::new();
    for name in of {
        visit(model, name, &mut seen, &mut order);
    }
    order
}

fn visit(model: &Value, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<String>) {
    for needed in needs(model, name) {
        if seen.insert(needed.clone()) {
            visit(model, &needed, seen, order);
            order.push(needed);
        }
    }
}

/// Services that others wait for to end: `depends_on` with `service_completed_successfully`.
pub fn ending(model: &Value) -> BTreeSet<String> {
    let tables = model.get("services").and_then(Value::as_object).into_iter().flatten();
    let needed = tables.filter_map(|(_, service)| service.get("depends_on")?.as_object()).flatten();
    let ends = |condition: &Value| {
        condition.get("condition").and_then(Value::as_str) == Some("service_completed_successfully")
    };
    needed.filter(|(_, condition)| ends(condition)).map(|(name, _)| name.clone()).collect()
}

fn needs(model: &Value, name: &str) -> Vec<String> {
    let list = service(model, name).and_then(|service| service.get("depends_on"));
    match list {
        Some(Value::Object(table)) => table.keys().cloned().collect(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Environment of a service, as the model has it.
pub fn environment(model: &Value, name: &str) -> BTreeMap<String, String> {
    let table = service(model, name).and_then(|service| service.get("environment")).and_then(Value::as_object);
    let pairs = table.into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect()
}

/// Published ports: service, host address, port, protocol.
pub fn published(model: &Value) -> Vec<(String, String, u16, String)> {
    let mut found = Vec::new();
    for name in services(model) {
        let ports = service(model, &name).and_then(|service| service.get("ports")).and_then(Value::as_array);
        for port in ports.into_iter().flatten() {
            let text = |key: &str| port.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Ok(number) = text("published").parse() {
                found.push((name.clone(), text("host_ip"), number, text("protocol")));
            }
        }
    }
    found
}

/// Which of these services publishes a port of the host, and the port that it listens on itself.
pub fn published_by<'a>(model: &Value, services: &'a [String], port: u16) -> Option<(&'a String, u16)> {
    services.iter().find_map(|name| {
        let ports = service(model, name)?.get("ports")?.as_array()?;
        let found = ports
            .iter()
            .find(|one| one.get("published").and_then(Value::as_str).and_then(|one| one.parse().ok()) == Some(port))?;
        Some((name, u16::try_from(found.get("target")?.as_u64()?).ok()?))
    })
}

/// What stands inside the project's directory and reaches a service as configuration: compose `configs` and
/// `secrets` that are files, and read-only bind mounts. Mounts from elsewhere (`/run/cutover`, sockets) are state.
pub fn config_sources(model: &Value, directory: &Path) -> Vec<ConfigSource> {
    let mut found = BTreeSet::new();
    for name in services(model) {
        let Some(service) = service(model, &name) else { continue };
        for mount in service.get("volumes").and_then(Value::as_array).into_iter().flatten() {
            let is_bind = mount.get("type").and_then(Value::as_str) == Some("bind");
            let is_read_only = mount.get("read_only").and_then(Value::as_bool) == Some(true);
            let source = mount.get("source").and_then(Value::as_str).map(PathBuf::from).unwrap_or_default();
            // What a container sees under /run is state that changes while it runs (the switch directory, sockets).
            let target = mount.get("target").and_then(Value::as_str).unwrap_or_default();
            let is_state = target.starts_with("/run/") || target.starts_with("/var/run/");
            // A model that was read back from containers has compose secrets as what compose makes of them: binds.
            let is_secret = target.starts_with("/run/secrets/");
            let is_given = is_secret || (!is_state && source.starts_with(directory) && source != directory);
            if is_bind && is_read_only && is_given {
                found.insert(ConfigSource { service: name.clone(), path: source, is_secret });
            }
        }
        for (table, is_secret) in [("configs", false), ("secrets", true)] {
            for used in service.get(table).and_then(Value::as_array).into_iter().flatten() {
                let source = used.get("source").and_then(Value::as_str).unwrap_or_default();
                let file = model.get(table).and_then(|all| all.get(source)).and_then(|one| one.get("file"));
                if let Some(path) = file.and_then(Value::as_str) {
                    found.insert(ConfigSource { service: name.clone(), path: path.into(), is_secret });
                }
            }
        }
    }
    found.into_iter().collect()
}

/// The service of the stack that looks like a PostgreSQL server, with the role and database its environment names.
pub fn postgres_service(model: &Value, project: &str) -> Option<(String, String, String)> {
    const IMAGES: [&str; 6] = ["postgres", "postgis", "timescaledb", "pgvector", "timescaledb-ha", "postgresql"];
    services(model).into_iter().find_map(|name| {
        let reference = image(model, project, &name);
        let last = reference.rsplit('/').next().unwrap_or_default();
        let plain = last.split([':', '@']).next().unwrap_or_default();
        let environment = environment(model, &name);
        let is_server = ["POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE", "POSTGRES_HOST_AUTH_METHOD"]
            .iter()
            .any(|key| environment.contains_key(*key));
        if !IMAGES.contains(&plain) || !is_server {
            return None;
        }
        let user = environment.get("POSTGRES_USER").cloned().unwrap_or_else(|| "postgres".to_owned());
        let database = environment.get("POSTGRES_DB").cloned().unwrap_or_else(|| user.clone());
        Some((name, user, database))
    })
}

/// Values in environments whose name says that they are secret; for redaction, never for show.
pub fn secret_values(model: &Value) -> Vec<String> {
    let names = services(model);
    let pairs = names.iter().flat_map(|name| environment(model, name));
    pairs.filter(|(key, value)| is_secret(key, value)).map(|(_, value)| value.replace("$$", "$")).collect()
}

/// Files of the compose secrets, also of those that a model which was read back has as binds.
pub fn secret_files(model: &Value) -> BTreeSet<PathBuf> {
    let table = model.get("secrets").and_then(Value::as_object).into_iter().flatten();
    let named = table.filter_map(|(_, one)| one.get("file").and_then(Value::as_str)).map(PathBuf::from);
    let sources = config_sources(model, Path::new("/")).into_iter().filter(|source| source.is_secret);
    named.chain(sources.map(|source| source.path)).collect()
}

/// Whether a variable holds a secret: its name says so, or its value is an address with a password.
pub fn is_secret(key: &str, value: &str) -> bool {
    sounds_secret(key) || crate::redact::holds_password(value)
}

/// Whether a variable's name says that its value is secret.
pub fn sounds_secret(key: &str) -> bool {
    let upper = key.to_ascii_uppercase();
    let words = [
        "PASS",
        "SECRET",
        "TOKEN",
        "KEY",
        "CREDENTIAL",
        "PRIVATE",
        "_PWD",
        "SALT",
        "DSN",
        "DATABASE_URL",
        "_URI",
        "DB_URL",
        "WEBHOOK",
    ];
    words.iter().any(|word| upper.contains(word)) && !upper.ends_with("_FILE")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn model() -> Value {
        json!({
            "services": {
                "api": {
                    "image": "shop/api:2",
                    "depends_on": {"db": {"condition": "service_healthy"}, "cache": {"condition": "service_started"}},
                    "environment": {"DATABASE_URL": "postgres://u:p$$w@db/shop", "PORT": "3000"},
                    "volumes": [
                        {"type": "bind", "source": "/srv/shop/conf", "target": "/conf", "read_only": true},
                        {"type": "bind", "source": "/srv/shop/data", "target": "/data"},
                        {"type": "bind", "source": "/srv/shop/run", "target": "/run/cutover", "read_only": true},
                        {"type": "bind", "source": "/etc/ssl", "target": "/etc/ssl", "read_only": true}
                    ],
                    "secrets": [{"source": "token", "target": "/run/secrets/token"}],
                    "deploy": {"replicas": 2}
                },
                "db": {
                    "image": "registry.example/library/postgres:15@sha256:aa",
                    "environment": {"POSTGRES_PASSWORD_FILE": "/run/secrets/pw", "POSTGRES_USER": "shop"},
                    "ports": [{"host_ip": "127.0.0.1", "target": 5432, "published": "15432", "protocol": "tcp"}]
                },
                "cache": {"depends_on": {"db": {}}, "healthcheck": {"test": ["CMD", "true"]}}
            },
            "secrets": {"token": {"file": "/srv/shop/secrets/token.txt"}}
        })
    }

    #[test]
    fn dependencies_come_in_the_order_they_start_and_without_the_services_themselves() {
        assert_eq!(dependencies(&model(), &["api".into()]), ["db", "cache"]);
        assert_eq!(dependencies(&model(), &["api".into(), "db".into()]), ["cache"]);
    }

    #[test]
    fn read_only_mounts_and_secrets_of_the_project_are_configuration_and_state_is_not() {
        let found = config_sources(&model(), Path::new("/srv/shop"));
        let paths: Vec<_> = found.iter().map(|source| (source.path.to_str().unwrap(), source.is_secret)).collect();
        assert_eq!(paths, [("/srv/shop/conf", false), ("/srv/shop/secrets/token.txt", true)]);
    }

    #[test]
    fn what_is_bound_where_secrets_are_is_a_secret() {
        let mount = json!({"type": "bind", "source": "/etc/token", "target": "/run/secrets/t", "read_only": true});
        let found = config_sources(&json!({"services": {"api": {"volumes": [mount]}}}), Path::new("/srv/shop"));
        assert_eq!(found, [ConfigSource { service: "api".into(), path: "/etc/token".into(), is_secret: true }]);
    }

    #[test]
    fn a_postgres_server_is_recognised_by_image_and_environment() {
        assert_eq!(postgres_service(&model(), "shop"), Some(("db".into(), "shop".into(), "shop".into())));
    }

    #[test]
    fn a_service_that_others_wait_for_to_end_is_known() {
        let model = json!({"services": {"api": {"depends_on": {
            "init": {"condition": "service_completed_successfully"}, "db": {"condition": "service_healthy"}}}}});
        assert_eq!(ending(&model).into_iter().collect::<Vec<_>>(), ["init"]);
    }

    #[test]
    fn replicas_images_ports_and_health_checks_are_read() {
        assert_eq!(replicas(&model(), "api"), 2);
        assert_eq!(image(&model(), "shop", "cache"), "shop-cache");
        assert!(has_health_check(&model(), "cache") && !has_health_check(&model(), "api"));
        assert_eq!(published(&model()), [("db".into(), "127.0.0.1".into(), 15432, "tcp".into())]);
    }

    #[test]
    fn secret_values_are_found_by_the_name_of_their_variable_as_the_container_sees_them() {
        assert_eq!(secret_values(&model()), ["postgres://u:p$w@db/shop"]);
    }
}
