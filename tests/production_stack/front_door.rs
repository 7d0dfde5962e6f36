//! What Caddy reads. Law: Caddy itself is asked whether it understands, and what it understood is judged.

use crate::cli::{root, stdout, text, want_image};
use serde_json::Value;
use std::process::Command;

/// The JSON that Caddy makes of our Caddyfile, with the given lines in its global block.
fn adapted(global: &str) -> Value {
    let image = "cutover-lab/caddy:2";
    want_image(image);
    let mount = format!("{}:/etc/caddy:ro", root().join("caddy").display());
    let mut run = Command::new("docker");
    run.args(["run", "--rm", "--network=none", "-v", &mount, "-e", "ACME_EMAIL=ops@example.com"]);
    run.args(["-e", "CUTOVER_DOMAIN=api.example.com", "-e", &format!("CADDY_GLOBAL_OPTIONS={global}"), image]);
    let json = stdout(run.args(["caddy", "adapt", "--validate", "--config", "/etc/caddy/Caddyfile"]));
    serde_json::from_str(&json).expect("caddy prints JSON")
}

#[test]
fn caddy_accepts_the_caddyfile_in_production_and_in_the_lab() {
    for global in ["", "local_certs"] {
        let config = adapted(global);
        assert_eq!(config["admin"]["listen"], "localhost:2019", "the admin API is on loopback");
        assert!(config["apps"]["http"]["metrics"].is_object(), "request metrics are on");
        let servers = config["apps"]["http"]["servers"].as_object().expect("servers");
        // Prometheus tells the listeners apart by these names (rules.yml).
        assert_eq!(servers["app"]["listen"], serde_json::json!([":443"]));
        assert_eq!(servers["internal"]["listen"], serde_json::json!([":9180"]));
        assert!(servers["app"]["logs"].is_object(), "there is an access log");
    }
}

#[test]
fn caddy_reads_everything_that_a_switch_changes_from_files() {
    let config = adapted("").to_string();
    assert!(config.contains(r#""dial":"{file./run/cutover/app}:3000""#), "the upstream");
    assert!(config.contains(r#""keep_alive":{"idle_timeout":2000000000}"#), "idle connections to the old side end");
    assert!(config.contains(r#""body":"{file./run/cutover/id}""#), "the identity");
    assert!(config.contains(r#""try_files":["maintenance"]"#), "the maintenance flag");
    assert!(!config.contains("backend"), "no upstream is fixed");
}

#[test]
fn the_maintenance_page_loads_nothing() {
    let page = text("caddy/maintenance.html");
    for loader in ["src=", "href=", "url(", "@import", "<script", "http://", "https://"] {
        assert!(!page.contains(loader), "`{loader}` would ask somebody who may be away");
    }
}
