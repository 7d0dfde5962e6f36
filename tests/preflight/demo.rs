//! The demo project, whole: database, Caddy and Prometheus as they run. Law: nothing here is a double.

use cutover::preflight::Verdict;
use cutover::report;

use crate::held::free_port;
use crate::stand::{Stand, holds, of, want_image};

const FILES: [&str; 4] = ["Caddyfile", "compose.yaml", "prometheus.yml", "seed.sql"];

fn demo() -> (Stand, String) {
    for image in ["demo:1", "postgres:15", "caddy:2", "prometheus:2"] {
        want_image(&format!("cutover-lab/{image}"));
    }
    let mut stand = Stand::new("", "");
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("compose/demo");
    for file in FILES {
        std::fs::copy(source.join(file), stand.path(file)).unwrap();
    }
    std::fs::create_dir(stand.path("rules")).unwrap();
    std::fs::copy(source.join("rules/errors.yml"), stand.path("rules/errors.yml")).unwrap();
    stand.put("run/app", "backend\n", 0o644);
    stand.put("run/id", "first\n", 0o644);
    stand.put("secrets/database_password.txt", "hunter2-hunter2", 0o600);
    let (http, backend, prometheus) = (free_port(), free_port(), free_port());
    let ports = format!("DEMO_HTTP_PORT={http}\nDEMO_BACKEND_PORT={backend}\nDEMO_PROMETHEUS_PORT={prometheus}\n");
    stand.put(".env", &format!("DEMO_TAG=1\n{ports}"), 0o600);
    let toml = format!(
        "[compose]\nenv_files = [\".env\"]\n\
         [caddy]\nurl = \"http://127.0.0.1:{http}\"\nservice = \"caddy\"\ndirectory = \"run\"\n\
         [prometheus]\nurl = \"http://127.0.0.1:{prometheus}\"\n\
         [[health]]\nname = \"backend\"\nurl = \"http://127.0.0.1:{backend}/health\"\n"
    );
    stand.configure(&toml);
    (stand, toml)
}

#[tokio::test]
async fn the_demo_passes_before_and_after_it_is_deployed_and_a_wrong_role_is_found_out() {
    let (mut stand, toml) = demo();
    let report = stand.ask_without(&[], &["clock"]).await;
    for id in ["database", "caddy", "prometheus", "health", "containers"] {
        holds(of(&report, id), Verdict::Ok, &["not deployed yet"]);
    }
    assert_eq!(report.verdict(), Verdict::Ok, "{}", report::preflight::text(&report, &report::Style::plain(100)));
    stand.start();
    // Until the schema is there the backend answers 503, and preflight would rightly warn.
    let migrated = stand.compose(&["run", "--rm", "--no-deps", "-T", "backend", "demo-backend", "migrate"]);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    wait_for_series(&stand).await;
    let report = stand.ask_without(&[], &["clock"]).await;
    assert_eq!(report.verdict(), Verdict::Ok, "{}", report::preflight::text(&report, &report::Style::plain(100)));
    holds(of(&report, "database"), Verdict::Ok, &["db is PostgreSQL 15", "pg_dump 15", "pg_restore 15"]);
    holds(of(&report, "backup"), Verdict::Ok, &["for a database of"]);
    holds(of(&report, "caddy"), Verdict::Ok, &["the identity is \"first\"", "Caddy is v2"]);
    holds(of(&report, "prometheus"), Verdict::Ok, &["2 of 2 targets are up"]);
    holds(of(&report, "ports"), Verdict::Ok, &["held by our container"]);
    let (nagios, code) = report::preflight::nagios(&report);
    assert!(code == 0 && nagios.starts_with("CUTOVER OK - ") && nagios.contains("'database'="), "{nagios}");
    assert!(!format!("{report:?}").contains("hunter2"));

    stand.configure(&format!("{toml}[backup]\nuser = \"no_such_role\"\n"));
    holds(&stand.one("database").await, Verdict::Fail, &["no_such_role", "does not exist"]);
    holds(&stand.one("backup").await, Verdict::Unknown, &["is not known"]);
    stand.configure(&toml.replace("[prometheus]\n", "[prometheus]\nerror_ratio = \"no:such:ratio\"\n"));
    holds(&stand.one("prometheus").await, Verdict::Fail, &["no:such:ratio", "could never fail"]);
}

/// Asks until everything is well.
async fn wait_for_series(stand: &Stand) {
    let begun = cutover::adapter::clock::Stopwatch::start();
    loop {
        let report = stand.ask(&["containers", "health", "prometheus"]).await;
        let sees_all = of(&report, "prometheus").seen.contains("2 of 2 targets");
        if report.verdict() == Verdict::Ok && sees_all {
            return;
        }
        let is_late = begun.elapsed().as_secs() >= 60;
        let text = || report::preflight::text(&report, &report::Style::plain(100));
        assert!(!is_late, "the demo did not become well:\n{}", text());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
