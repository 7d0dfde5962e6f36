//! Health endpoints, Prometheus and Caddy, with small servers in their place where the answer must be a chosen one.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use cutover::preflight::Verdict;

use crate::held::free_port;
use crate::stand::{BOX, Stand, holds};

/// A server with this router; gives its address.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn prometheus(vector: &'static str) -> Router {
    let answer = format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":{vector}}}}}");
    Router::new()
        .route("/-/ready", get(|| async { "ready" }))
        .route("/api/v1/query", get(move || async move { answer }))
}

#[tokio::test]
async fn a_sick_endpoint_is_a_warning_while_the_project_runs_and_nothing_before_the_first_deployment() {
    let base =
        serve(Router::new().route("/", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "no database") }))).await;
    let mut stand = Stand::new(BOX, &format!("[[health]]\nname = \"web\"\nurl = \"{base}/\"\n"));
    holds(&stand.one("health").await, Verdict::Ok, &["not deployed yet"]);
    stand.up();
    holds(&stand.one("health").await, Verdict::Warn, &["status 503 instead of 200: no database"]);
    stand.configure(&format!("[[health]]\nname = \"web\"\nurl = \"http://127.0.0.1:{}/\"\n", free_port()));
    holds(&stand.one("health").await, Verdict::Warn, &["no answer"]);
}

#[tokio::test]
async fn an_endpoint_that_a_stranger_answers_before_the_first_deployment_is_a_warning() {
    let base = serve(Router::new().route("/", get(|| async { "hello" }))).await;
    let stand = Stand::new(BOX, &format!("[[health]]\nname = \"web\"\nurl = \"{base}/\"\n"));
    holds(&stand.one("health").await, Verdict::Warn, &["although nothing of the project runs"]);
}

#[tokio::test]
async fn without_any_health_endpoint_nothing_tells_good_from_bad() {
    holds(&Stand::new(BOX, "").one("health").await, Verdict::Warn, &["no [[health]]"]);
}

#[tokio::test]
async fn an_error_ratio_without_a_series_is_a_failure_since_its_gate_could_never_fail() {
    let base = serve(prometheus("[]")).await;
    let mut stand = Stand::new(BOX, &format!("[prometheus]\nurl = \"{base}\"\nerror_ratio = \"none:ratio\"\n"));
    stand.up();
    holds(&stand.one("prometheus").await, Verdict::Fail, &["none:ratio", "could never fail", "no targets"]);
    let base = serve(prometheus(r#"[{"metric":{},"value":[1,"0.5"]}]"#)).await;
    stand.configure(&format!("[prometheus]\nurl = \"{base}\"\nerror_ratio = \"some:ratio\"\n"));
    holds(&stand.one("prometheus").await, Verdict::Ok, &["the error ratio is 0.5000"]);
    stand.configure(&format!("[prometheus]\nurl = \"http://127.0.0.1:{}\"\n", free_port()));
    holds(&stand.one("prometheus").await, Verdict::Fail, &["does not answer"]);
}

#[tokio::test]
async fn a_selector_that_matches_nothing_is_a_warning_that_names_what_is_counted_there() {
    // Only what Caddy counts on srv0 is there.
    let answer = |query: &str| match query {
        "time()" => r#"{"resultType":"scalar","result":[1700000000,"1700000000"]}"#,
        query if query.starts_with("caddy_http_request_duration_seconds_count[") => {
            r#"{"resultType":"matrix","result":[{"metric":{"server":"srv0","handler":"subroute","code":"200"},"values":[[1,"7"]]}]}"#
        }
        query if query.starts_with("caddy_http") => r#"{"resultType":"matrix","result":[]}"#,
        query if query.contains("last_over_time") => r#"{"resultType":"vector","result":[]}"#,
        _ => r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}"#,
    };
    let asked = move |axum::extract::RawQuery(asked): axum::extract::RawQuery| async move {
        let asked = asked.unwrap_or_default();
        let query = url::form_urlencoded::parse(asked.as_bytes()).find(|(name, _)| name == "query").unwrap().1;
        format!("{{\"status\":\"success\",\"data\":{}}}", answer(&query))
    };
    let router = Router::new().route("/-/ready", get(|| async { "ready" })).route("/api/v1/query", get(asked));
    let mut stand = Stand::new(BOX, &format!("[prometheus]\nurl = \"{}\"\n[stabilize]\n", serve(router).await));
    holds(&stand.one("prometheus").await, Verdict::Ok, &["counted in 1 series"]);
    stand.up();
    let found = stand.one("prometheus").await;
    holds(&found, Verdict::Warn, &["server=\"app\"} gives no series", "the watcher could judge no error"]);
    let advice = found.advice.as_deref().unwrap_or_default();
    assert!(advice.contains("seconds_count{server=\"srv0\",handler=\"subroute\"}'"), "{advice}");
}

#[tokio::test]
async fn a_public_route_that_is_silent_fails_and_one_without_an_identity_is_told() {
    let mut stand = Stand::new(BOX, &format!("[caddy]\nurl = \"http://127.0.0.1:{}\"\n", free_port()));
    stand.up();
    holds(&stand.one("caddy").await, Verdict::Fail, &["does not answer", "version is not known"]);
    let base = serve(Router::new().route("/", get(|| async { "hello" }))).await;
    stand.configure(&format!("[caddy]\nurl = \"{base}\"\nservice = \"web\"\n"));
    holds(&stand.one("caddy").await, Verdict::Unknown, &["404 without an identity", "Caddy's version is not known"]);
}
