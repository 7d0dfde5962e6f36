//! A Caddy and a Prometheus of the lab's images, of their own for one test. Law: they are gone when the value is dropped.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cutover::adapter::prometheus;

/// When an awaited event counts as never coming.
const NEVER: Duration = Duration::from_secs(60);
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(30);

const CADDYFILE: &str = "{\n\tadmin off\n\tmetrics\n\tservers :81 {\n\t\tname chain\n\t}\n}\n:80 {\n\trespond /well 200\n\trespond /ill 502\n}\n\
     :81 {\n\theader X-Chain 1\n\tencode gzip\n\trespond /well 200\n\treverse_proxy 127.0.0.1:1\n}\n\
     :9180 {\n\tmetrics /metrics\n}\n:9181 {\n\troot * /test\n\tfile_server\n}\n";
/// A target whose counter is no number.
const NO_NUMBER: &str = "caddy_http_request_duration_seconds_count{code=\"200\",server=\"srv0\"} NaN\n";

/// The two, running.
pub struct Front {
    network: String,
    home: tempfile::TempDir,
}

pub fn docker(arguments: &[&str]) -> String {
    let ran = Command::new("docker").args(arguments).output().unwrap();
    assert!(ran.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

impl Front {
    /// Starts both, and waits until Prometheus has asked Caddy.
    pub fn up() -> Self {
        let home = tempfile::Builder::new().prefix("cutover-watch-").tempdir().unwrap();
        let name = home.path().file_name().unwrap().to_str().unwrap().replace('.', "").to_lowercase();
        let front = Self { network: name, home };
        docker(&["network", "create", &front.network]);
        std::fs::write(front.home.path().join("Caddyfile"), CADDYFILE).unwrap();
        let config = "global: { scrape_interval: 1s, scrape_timeout: 1s }\nscrape_configs:\n\
                      - { job_name: caddy, static_configs: [ { targets: [\"caddy:9180\"] } ] }\n\
                      - { job_name: again, static_configs: [ { targets: [\"caddy:9180\"] } ] }\n\
                      - { job_name: nan, metrics_path: /nan.prom, static_configs: [ { targets: [\"caddy:9181\"] } ] }\n";
        std::fs::write(front.home.path().join("prometheus.yml"), config).unwrap();
        std::fs::write(front.home.path().join("nan.prom"), NO_NUMBER).unwrap();
        open(front.home.path());
        front.run("caddy", &["80", "81"], "cutover-lab/caddy:2", &["caddy", "run", "--config", "/test/Caddyfile"]);
        let arguments = ["--config.file=/test/prometheus.yml", "--storage.tsdb.path=/tmp/data"];
        let mut all = vec!["prometheus"];
        all.extend(arguments);
        front.run("prometheus", &["9090"], "cutover-lab/prometheus:2", &all);
        front
    }

    fn container(&self, what: &str) -> String {
        format!("{}-{what}", self.network)
    }

    fn run(&self, what: &str, ports: &[&str], image: &str, command: &[&str]) {
        let (name, home) = (self.container(what), format!("{}:/test:ro", self.home.path().display()));
        let ports: Vec<String> = ports.iter().map(|port| format!("--publish=127.0.0.1::{port}")).collect();
        let mut arguments = vec!["run", "--detach", "--name", &name, "--network", &self.network];
        arguments.extend(["--network-alias", what, "--volume", &home]);
        arguments.extend(ports.iter().map(String::as_str));
        arguments.extend(["--user", "0", "--entrypoint", command[0], image]);
        arguments.extend(&command[1..]);
        docker(&arguments);
    }

    fn address(&self, what: &str, port: &str) -> String {
        let printed = docker(&["port", &self.container(what), port]);
        format!("http://{}", printed.lines().next().unwrap())
    }

    /// Where Prometheus is; it has asked Caddy at least once when this returns for the first time.
    pub fn prometheus(&self) -> String {
        self.address("prometheus", "9090")
    }

    /// Asks Caddy so many times.
    pub async fn ask(&self, path: &str, times: usize) {
        self.ask_at("80", path, times).await;
    }

    /// Asks the site on this port; that on 81 has a chain of handlers.
    pub async fn ask_at(&self, port: &str, path: &str, times: usize) {
        let http = cutover::adapter::http::Http::new().unwrap();
        self.wait_for_scrapes(&http).await;
        let url = format!("{}{path}", self.address("caddy", port));
        for _ in 0..times {
            http.get(&url, PATIENCE).await.unwrap();
        }
    }

    /// Until both jobs were asked twice: a series is known to be new only after a scrape without it.
    async fn wait_for_scrapes(&self, http: &cutover::adapter::http::Http) {
        let url = format!("{}/api/v1/query?query=min(sum_over_time(up[3s]))%20%3E%3D%202", self.prometheus());
        let begun = Instant::now();
        loop {
            let answer = http.get(&url, PATIENCE).await;
            if answer.is_ok_and(|answer| answer.body.contains("\"value\"")) {
                return;
            }
            assert!(begun.elapsed() < NEVER, "Prometheus does not reach Caddy");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Starts Caddy anew: its counters begin at 0. Prometheus has asked the new one when this returns.
    pub async fn restart_caddy(&self) {
        let http = cutover::adapter::http::Http::new().unwrap();
        let started = async || {
            let query = "max(process_start_time_seconds{job=\"caddy\"})";
            match prometheus::number(&http, &self.prometheus(), query, PATIENCE).await {
                Ok(prometheus::Number::Value(at)) => Some(at),
                _ => None,
            }
        };
        let old = started().await.unwrap();
        docker(&["restart", "--time", "1", &self.container("caddy")]);
        let begun = Instant::now();
        while started().await.is_none_or(|now| now <= old) {
            assert!(begun.elapsed() < NEVER, "Prometheus does not reach the new Caddy");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Stops Caddy: the target is gone.
    pub fn stop_caddy(&self) {
        docker(&["stop", "--time", "1", &self.container("caddy")]);
    }

    /// Starts Prometheus anew; what it had scraped is kept.
    pub fn restart_prometheus(&self) {
        docker(&["restart", "--time", "5", &self.container("prometheus")]);
    }

    /// Stops Prometheus.
    pub fn stop_prometheus(&self) {
        docker(&["rm", "--force", "--volumes", &self.container("prometheus")]);
    }
}

/// Lets the containers read the files.
fn open(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
}

impl Drop for Front {
    fn drop(&mut self) {
        for what in ["caddy", "prometheus"] {
            let name = self.container(what);
            let _ = Command::new("docker").args(["rm", "--force", "--volumes", &name]).output();
        }
        let _ = Command::new("docker").args(["network", "rm", &self.network]).output();
    }
}
