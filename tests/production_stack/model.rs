//! The rendered model of compose.yaml with compose.production.yaml. Law: each promise of the stack is one sentence here.

use crate::cli::{production, services, strings, want_compose};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Asserts `holds` for every service and names all that break the promise at once.
fn every_service(promise: &str, holds: impl Fn(&str, &Value) -> bool) {
    let model = production();
    let broken: Vec<&str> =
        services(&model).into_iter().filter(|(name, service)| !holds(name, service)).map(|(name, _)| name).collect();
    assert!(broken.is_empty(), "{promise}, but not: {}", broken.join(", "));
}

#[test]
fn the_stack_has_the_services_it_promises() {
    let model = production();
    let found: BTreeSet<&str> = services(&model).into_iter().map(|(name, _)| name).collect();
    let promised =
        "alloy backend caddy grafana loki minio postgres postgres-exporter prometheus redis uptime-kuma worker";
    assert_eq!(found, promised.split(' ').collect());
}

#[test]
fn every_service_has_a_health_check_with_a_deadline() {
    every_service("every service proves its health", |_, service| {
        let check = &service["healthcheck"];
        let is_asked = strings(&check["test"]).first().is_some_and(|kind| *kind != "NONE");
        is_asked && check["timeout"].is_string() && check["interval"].is_string() && check["retries"].is_u64()
    });
}

#[test]
fn every_service_is_limited_in_memory_processors_and_processes() {
    every_service("every service has its limits", |_, service| {
        let limits = &service["deploy"]["resources"]["limits"];
        limits["memory"].is_string() && limits["cpus"].is_number() && limits["pids"].is_number()
    });
}

#[test]
fn every_image_is_pinned_to_an_exact_version() {
    every_service("every image names an exact version", |_, service| {
        let image = service["image"].as_str().unwrap_or_default();
        let (_, tag) = image.rsplit_once(':').unwrap_or((image, ""));
        // Two dots or dashes between numbers: 15.18, 2.11.7, 2025-10-15; never `latest`, `2` or `alpine`.
        let numbers = tag.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).count();
        !image.contains("latest") && !tag.contains('/') && numbers >= 2
    });
}

#[test]
fn only_caddy_is_published_to_the_world_and_only_on_80_and_443() {
    let model = production();
    let mut world = BTreeSet::new();
    for (name, service) in services(&model) {
        for port in service["ports"].as_array().into_iter().flatten() {
            let published = port["published"].as_str().unwrap_or("any");
            let protocol = port["protocol"].as_str().unwrap_or("tcp");
            match port["host_ip"].as_str() {
                Some("127.0.0.1") => {}
                elsewhere => {
                    world.insert(format!("{name} {published}/{protocol} on {}", elsewhere.unwrap_or("every address")));
                }
            }
        }
    }
    let expected = ["443/tcp", "443/udp", "80/tcp"].map(|port| format!("caddy {port} on every address"));
    assert_eq!(world, expected.into_iter().collect());
}

#[test]
fn no_service_uses_the_hosts_network_processes_or_devices() {
    every_service("no service shares the host's namespaces", |_, service| {
        let shared = ["network_mode", "pid", "ipc", "userns_mode", "devices", "cgroup_parent"];
        shared.iter().all(|key| service[key].is_null())
    });
}

#[test]
fn no_service_holds_the_engines_socket() {
    every_service("nobody may ask the engine for root", |_, service| {
        let mounts = service["volumes"].as_array().into_iter().flatten();
        !mounts.filter_map(|mount| mount["source"].as_str()).any(|source| source.ends_with(".sock") || source == "/")
    });
}

#[test]
fn every_service_drops_all_capabilities_and_adds_only_those_that_are_explained() {
    every_service("no privileges beyond the explained ones", |name, service| {
        let allowed: &[&str] = match name {
            "caddy" => &["NET_BIND_SERVICE"],
            "alloy" => &["DAC_READ_SEARCH"],
            _ => &[],
        };
        service["privileged"].as_bool() != Some(true)
            && strings(&service["cap_drop"]) == ["ALL"]
            && strings(&service["cap_add"]) == allowed
            && strings(&service["security_opt"]).contains(&"no-new-privileges:true")
    });
}

#[test]
fn every_root_filesystem_but_one_is_read_only() {
    every_service("the root filesystem is read-only", |name, service| {
        service["read_only"].as_bool() == Some(true) || name == "uptime-kuma"
    });
}

#[test]
fn no_service_runs_as_root_but_the_three_that_are_explained() {
    every_service("a service runs as a user of its own", |name, service| {
        let user = service["user"].as_str().unwrap_or_default();
        let is_root = user.is_empty() || user.starts_with("0:") || user == "0" || user == "root";
        !is_root || ["caddy", "alloy", "uptime-kuma"].contains(&name)
    });
}

#[test]
fn databases_have_no_way_out() {
    let model = production();
    assert_eq!(model["networks"]["data"]["internal"], Value::Bool(true), "the data network is internal");
    for name in ["postgres", "redis", "minio"] {
        let networks = model["services"][name]["networks"].as_object().expect("networks");
        assert_eq!(networks.keys().collect::<Vec<_>>(), ["data"], "{name} is on the data network alone");
        assert!(model["services"][name]["ports"].is_null(), "{name} publishes no port");
    }
    for (name, service) in services(&model) {
        assert!(service["networks"]["default"].is_null(), "{name} says which networks it is on");
    }
}

#[test]
fn logs_are_rotated_and_carry_the_service_name() {
    every_service("logs cannot fill the disk", |_, service| {
        let logging = &service["logging"];
        logging["driver"] == "json-file"
            && logging["options"]["max-size"].is_string()
            && logging["options"]["max-file"].is_string()
            && logging["options"]["labels"].as_str().is_some_and(|labels| labels.contains("com.docker.compose.service"))
    });
}

#[test]
fn what_a_rollback_stopped_stays_stopped_after_a_reboot() {
    every_service("the restart policy is unless-stopped", |_, service| service["restart"] == "unless-stopped");
}

#[test]
fn no_environment_variable_holds_a_secret() {
    every_service("secrets are files", |_, service| {
        service["environment"].as_object().into_iter().flatten().all(|(name, value)| {
            let value = value.as_str().unwrap_or_default();
            let is_secret =
                ["PASSWORD", "SECRET", "TOKEN", "_KEY", "_PASS", "CREDENTIAL"].iter().any(|word| name.contains(word));
            let names_a_file = name.ends_with("_FILE") && value.starts_with("/run/secrets/");
            let has_credentials = value.contains("://") && value.contains('@');
            (!is_secret || names_a_file) && !has_credentials
        })
    });
}

#[test]
fn every_secret_is_a_file_and_every_one_is_used() {
    let model = production();
    let secrets = model["secrets"].as_object().expect("secrets");
    let used: BTreeSet<&str> = services(&model)
        .into_iter()
        .flat_map(|(_, service)| service["secrets"].as_array().into_iter().flatten())
        .filter_map(|secret| secret["source"].as_str())
        .collect();
    for (name, secret) in secrets {
        let file = secret["file"].as_str().unwrap_or_else(|| panic!("{name} is not a file"));
        assert!(file.ends_with(&format!("/secrets/{name}.txt")), "{name} is at {file}");
        assert!(used.contains(name.as_str()), "nobody reads {name}");
    }
    assert_eq!(used.len(), secrets.len(), "every secret that is read is declared");
}

#[test]
fn every_file_variable_names_a_secret_that_the_service_was_given() {
    every_service("a variable for a file has its file", |_, service| {
        let given: Vec<&str> = service["secrets"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|secret| secret["source"].as_str())
            .collect();
        service["environment"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(_, value)| value.as_str()?.strip_prefix("/run/secrets/"))
            .all(|name| given.contains(&name))
    });
}

#[test]
fn backend_and_worker_are_one_image() {
    let model = production();
    assert_eq!(model["services"]["backend"]["image"], model["services"]["worker"]["image"]);
}

#[test]
fn without_a_host_name_production_is_refused_in_a_sentence() {
    want_compose();
    let refused = Command::new("docker")
        .current_dir(crate::cli::root())
        .env_remove("CUTOVER_DOMAIN")
        .args([
            "compose",
            "--env-file",
            "/dev/null",
            "-f",
            "compose/compose.yaml",
            "-f",
            "compose/compose.production.yaml",
        ])
        .args(["config", "-q"])
        .output()
        .expect("docker starts");
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("the public host name"), "{said}");
}
