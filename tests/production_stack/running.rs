//! The production stack running on the lab's images. Law: everything is asked from outside, as a visitor or Prometheus would.

use crate::project::Project;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::Value;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

/// A visitor who trusts Caddy's own authority and nobody else, and who finds `localhost` at the chosen port.
struct Visitor {
    client: Client,
    port: u16,
}

impl Visitor {
    fn of(project: &Project) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = project.exec("caddy", &["cat", "/data/caddy/pki/authorities/local/root.crt"]);
        let address = project.address("caddy", 443);
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(authority.as_bytes()).expect("Caddy's root certificate")])
            .resolve("localhost", address)
            .timeout(Duration::from_secs(60))
            .build()
            .expect("client");
        Self { client, port: address.port() }
    }

    async fn ask(&self, method: Method, path: &str, accept: &str) -> (StatusCode, HeaderMap, String) {
        let url = format!("https://localhost:{}{path}", self.port);
        let answer = self.client.request(method, &url).header(ACCEPT, accept).send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        (status, headers, answer.text().await.expect("a body"))
    }

    async fn status(&self, path: &str) -> StatusCode {
        self.ask(Method::GET, path, "*/*").await.0
    }
}

fn header(headers: &HeaderMap, name: impl reqwest::header::AsHeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The value of one metric that Caddy shows on its own listener.
fn caddy_metric(project: &Project, name: &str) -> String {
    let metrics = project.exec("caddy", &["wget", "-q", "-O", "-", "http://127.0.0.1:9180/metrics"]);
    let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_stack_serves_switches_and_counts_without_a_reload() {
    let project = Project::up();
    project.wait_until_healthy(Duration::from_secs(300));
    let visitor = Visitor::of(&project);
    let loaded = caddy_metric(&project, "caddy_config_last_reload_success_timestamp_seconds");
    assert!(!loaded.is_empty(), "Caddy says when it last loaded its configuration");

    serves_the_application(&visitor).await;
    shows_its_identity(&project, &visitor).await;
    shows_the_maintenance_page_while_the_file_exists(&project, &visitor).await;
    counts_errors_so_that_the_gate_can_fail(&project, &visitor).await;
    refuses_when_nothing_was_chosen(&project, &visitor).await;
    keeps_to_itself_what_is_nobodys_business(&project);

    let now = caddy_metric(&project, "caddy_config_last_reload_success_timestamp_seconds");
    assert_eq!(now, loaded, "not one of these switches was a reload");
}

async fn serves_the_application(visitor: &Visitor) {
    let (status, headers, body) = visitor.ask(Method::GET, "/", "*/*").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&answer["service"], &answer["rows"]), (&"demo-backend".into(), &0.into()), "migrated and reached");
    assert!(header(&headers, "strict-transport-security").contains("max-age="));
    assert_eq!(header(&headers, "x-content-type-options"), "nosniff");
    assert!(headers.get("server").is_none() && headers.get("via").is_none(), "no product is named");
}

async fn shows_its_identity(project: &Project, visitor: &Visitor) {
    for identity in ["first", "r12"] {
        project.put("id", identity);
        let (status, _, body) = visitor.ask(Method::GET, "/.well-known/cutover-id", "*/*").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, identity), "without the file's line break");
    }
}

async fn shows_the_maintenance_page_while_the_file_exists(project: &Project, visitor: &Visitor) {
    project.put("maintenance", "");
    let (status, headers, body) = visitor.ask(Method::GET, "/any/page", "text/html").await;
    assert_eq!((status, header(&headers, RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "120"));
    assert!(header(&headers, CONTENT_TYPE).starts_with("text/html") && body.contains("<h1>"), "{body}");

    let (status, headers, body) = visitor.ask(Method::GET, "/items", "application/json").await;
    assert_eq!((status, header(&headers, CONTENT_TYPE)), (StatusCode::SERVICE_UNAVAILABLE, "application/json"));
    assert_eq!(serde_json::from_str::<Value>(&body).expect("JSON")["status"], "maintenance");

    let (status, headers, _) = visitor.ask(Method::POST, "/items", "*/*").await;
    assert_eq!(
        (status, header(&headers, RETRY_AFTER)),
        (StatusCode::SERVICE_UNAVAILABLE, "120"),
        "a POST may come back"
    );
    let (status, _, _) = visitor.ask(Method::GET, "/.well-known/cutover-id", "*/*").await;
    assert_eq!(status, StatusCode::OK, "the identity can be asked all the time");

    project.remove("maintenance");
    assert_eq!(visitor.status("/").await, StatusCode::OK);
}

async fn counts_errors_so_that_the_gate_can_fail(project: &Project, visitor: &Visitor) {
    let prometheus = project.address("prometheus", 9090);
    let ratio = async || -> Option<f64> {
        let url = format!("http://{prometheus}/api/v1/query?query=job:error_ratio");
        let answer: Value = visitor.client.get(url).send().await.ok()?.json().await.ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    };
    let deadline = Instant::now() + LIMIT;
    // The upstream of nobody: every request fails, as after a switch to a release that is not there.
    project.put("app", "nobody");
    while ratio().await.is_none_or(|ratio| ratio <= 0.05) {
        assert!(Instant::now() < deadline, "the error ratio stays at {:?} although every request fails", ratio().await);
        assert_eq!(visitor.status("/").await, StatusCode::BAD_GATEWAY);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    project.put("app", "backend");
    assert_eq!(visitor.status("/").await, StatusCode::OK, "the way back is the same rename");

    let url = format!("http://{prometheus}/api/v1/query?query=up");
    let is_up = async |job: &str| {
        let up: Value = visitor.client.get(&url).send().await.expect("Prometheus").json().await.expect("JSON");
        let mut all = up["data"]["result"].as_array().into_iter().flatten();
        all.any(|series| series["metric"]["job"] == job && series["value"][1] == "1")
    };
    for job in ["caddy", "cutover", "backend", "prometheus"] {
        // A second is all that a question may take here; on a busy machine one comes too late, and the next does not.
        let deadline = Instant::now() + LIMIT;
        while !is_up(job).await {
            assert!(Instant::now() < deadline, "Prometheus does not reach {job}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    // Nothing of the lab answers for it: so a target that is away is really seen to be away.
    assert!(!is_up("postgres").await, "the exporter has no image here");
}

async fn refuses_when_nothing_was_chosen(project: &Project, visitor: &Visitor) {
    project.remove("app");
    let (status, headers, body) = visitor.ask(Method::GET, "/", "*/*").await;
    assert_eq!((status, header(&headers, RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "30"));
    assert!(body.contains("no release has been chosen"), "{body}");
    project.put("app", "backend");
    assert_eq!(visitor.status("/").await, StatusCode::OK);
}

fn keeps_to_itself_what_is_nobodys_business(project: &Project) {
    let address = project.exec("caddy", &["hostname", "-i"]);
    let door = format!("exec 3<>/dev/tcp/{}/80", address.trim());
    let knocked = project
        .compose()
        .args(["exec", "-T", "postgres", "timeout", "2", "bash", "-c", &door])
        .output()
        .expect("docker starts");
    assert!(!knocked.status.success(), "the database reaches {address}");
    assert_eq!(
        project.network("data")["Internal"],
        Value::Bool(true),
        "and the engine made its network an internal one"
    );

    let asked = project
        .compose()
        .args(["exec", "-T", "prometheus", "wget", "-q", "-T", "2", "-O", "-", "http://caddy:2019/config/"])
        .output()
        .expect("docker starts");
    assert!(!asked.status.success(), "Caddy's admin API answers a neighbour");

    let denied = project.exec("redis", &["redis-cli", "ping"]);
    assert!(denied.contains("NOAUTH"), "Redis lets nobody in without its password: {denied}");

    for entry in std::fs::read_dir(project.home().join("secrets")).expect("secrets") {
        let path = entry.expect("entry").path();
        let secret = std::fs::read_to_string(&path).expect("secret");
        for container in project.containers() {
            let id = container["ID"].as_str().expect("id");
            let inspected = crate::cli::stdout(std::process::Command::new("docker").args(["inspect", id]));
            assert!(!inspected.contains(secret.trim()), "{} shows {}", container["Service"], path.display());
        }
    }
}
