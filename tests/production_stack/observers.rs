//! What Prometheus, Alloy and Grafana read. Law: a name in one file exists in the other.

use crate::cli::{files, production, root, services, stdout, text, want_image};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

fn service_names() -> BTreeSet<String> {
    services(&production()).into_iter().map(|(name, _)| name.to_owned()).collect()
}

/// What stands between quotes in the lines that begin with `key`, after comments are gone.
fn quoted(yaml: &str, key: &str) -> Vec<String> {
    yaml.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim().trim_start_matches("- "))
        .filter(|line| line.starts_with(key))
        .flat_map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Every value under `key`, anywhere in a JSON document.
fn everywhere<'a>(document: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match document {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            if name == key {
                found.push(value);
            }
            everywhere(value, key, found);
        }),
        Value::Array(list) => list.iter().for_each(|value| everywhere(value, key, found)),
        _ => {}
    }
}

fn dashboards() -> Vec<(String, Value)> {
    let found = files("compose/grafana/dashboards", ".json");
    assert!(!found.is_empty(), "there is a dashboard");
    found
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("dashboard");
            let name = path.display().to_string();
            (name.clone(), serde_json::from_str(&text).unwrap_or_else(|why| panic!("{name}: {why}")))
        })
        .collect()
}

#[test]
fn every_prometheus_target_is_a_service() {
    let config = text("compose/prometheus/prometheus.yml");
    let known = service_names();
    let targets: Vec<String> = quoted(&config, "- targets:").into_iter().chain(quoted(&config, "targets:")).collect();
    let names = quoted(&config, "names:");
    assert!(targets.len() >= 5 && names == ["backend", "worker"], "{targets:?} {names:?}");
    for target in targets.iter().chain(&names) {
        let host = target.split(':').next().unwrap_or_default();
        assert!(known.contains(host), "{target} is no service of compose.yaml");
    }
}

#[test]
fn the_addresses_in_the_observers_configurations_are_services() {
    let known = service_names();
    for file in ["compose/alloy/config.alloy", "compose/grafana/provisioning/datasources/datasources.yaml"] {
        let text = text(file);
        let hosts: Vec<&str> = text
            .split("http://")
            .skip(1)
            .map(|rest| rest.split([':', '/', '"', '\n']).next().unwrap_or_default())
            .collect();
        assert!(!hosts.is_empty(), "{file} names an address");
        for host in hosts {
            assert!(known.contains(host), "{file}: {host} is no service of compose.yaml");
        }
    }
}

#[test]
fn every_dashboard_uses_only_provisioned_data_sources() {
    let provisioned: BTreeSet<String> = text("compose/grafana/provisioning/datasources/datasources.yaml")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("uid: ").map(str::to_owned))
        .collect();
    for (name, dashboard) in dashboards() {
        let mut sources = Vec::new();
        everywhere(&dashboard, "datasource", &mut sources);
        assert!(!sources.is_empty(), "{name} asks somebody");
        for source in sources {
            let uid = source["uid"].as_str().unwrap_or_default();
            assert!(provisioned.contains(uid), "{name}: the data source `{uid}` is not provisioned");
        }
    }
}

#[test]
fn every_dashboard_is_one_that_can_be_linked_and_has_no_twin_panels() {
    let mut uids = BTreeSet::new();
    for (name, dashboard) in dashboards() {
        let uid = dashboard["uid"].as_str().unwrap_or_default().to_owned();
        assert!(!uid.is_empty() && uids.insert(uid), "{name} has a uid of its own");
        let panels = dashboard["panels"].as_array().expect("panels");
        let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}: panel ids differ");
        for panel in panels {
            let width = panel["gridPos"]["x"].as_u64().expect("x") + panel["gridPos"]["w"].as_u64().expect("w");
            assert!(width <= 24, "{name}: {} stands outside", panel["title"]);
        }
    }
}

#[test]
fn the_overview_shows_what_a_deploy_has_to_be_judged_by() {
    let (_, overview) = dashboards().swap_remove(0);
    let mut expressions = Vec::new();
    everywhere(&overview, "expr", &mut expressions);
    let all: Vec<&str> = expressions.into_iter().filter_map(Value::as_str).collect();
    for needed in [
        "job:error_ratio",
        "histogram_quantile(0.5",
        "histogram_quantile(0.95",
        "histogram_quantile(0.99",
        "caddy_http_request_duration_seconds_count",
        "process_resident_memory_bytes",
        "pg_up",
        "cutover_release_info",
        "{service=~",
    ] {
        assert!(all.iter().any(|expression| expression.contains(needed)), "nothing asks for {needed}");
    }
}

#[test]
fn every_dashboard_expression_over_recorded_series_names_a_recorded_one() {
    let rules = text("compose/prometheus/rules.yml");
    for (name, dashboard) in dashboards() {
        let mut expressions = Vec::new();
        everywhere(&dashboard, "expr", &mut expressions);
        for word in expressions.iter().filter_map(|value| value.as_str()).flat_map(|text| text.split(['{', ' ', '('])) {
            if word.starts_with("job:") {
                assert!(rules.contains(&format!("record: {word}\n")), "{name}: {word} is not recorded");
            }
        }
    }
}

#[test]
fn every_alert_says_what_to_do() {
    let rules = text("compose/prometheus/rules.yml");
    let count = |what: &str| rules.matches(what).count();
    assert!(count("- alert:") >= 5);
    assert_eq!(count("- alert:"), count("          action:"), "an action for each alert");
    assert_eq!(count("- alert:"), count("        labels: { severity:"), "a severity for each alert");
}

#[test]
fn prometheus_accepts_its_configuration_and_every_rule_was_seen_to_fire_and_to_stay_quiet() {
    let image = "cutover-lab/prometheus:2";
    want_image(image);
    let promtool = |arguments: &[&str]| {
        let mount = format!("{}:/etc/prometheus:ro", root().join("compose/prometheus").display());
        let mut run = Command::new("docker");
        run.args(["run", "--rm", "--network=none", "--entrypoint=/bin/promtool", "-v", &mount, image]);
        stdout(run.args(arguments))
    };
    promtool(&["check", "config", "/etc/prometheus/prometheus.yml"]);
    promtool(&["test", "rules", "/etc/prometheus/rules_test.yml"]);
    let tests = text("compose/prometheus/rules_test.yml");
    for alert in text("compose/prometheus/rules.yml").split("- alert: ").skip(1) {
        let alert = alert.lines().next().unwrap_or_default();
        assert!(tests.contains(&format!("alertname: {alert}\n")), "no case lets {alert} fire");
    }
}
