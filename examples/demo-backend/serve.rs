//! The HTTP side. Law: listening comes first, the database when it is asked for; health never waits for anyone.

use crate::database::Database;
use crate::items;
use crate::log;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::shutdown::Farewell;
use crate::socket;
use anyhow::{Result, bail};
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;

struct App {
    settings: Settings,
    database: Database,
    metrics: Metrics,
    /// Tells open sockets that the end has come.
    ending: Arc<watch::Sender<bool>>,
}

type Shared = State<Arc<App>>;

/// Serves until it is asked to end.
///
/// # Errors
/// The port is taken, or the fault says so.
pub async fn run(settings: Settings) -> Result<()> {
    if settings.faults.crash_at_start {
        bail!("fault: crash at start");
    }
    let farewell = Farewell::listen(&settings)?;
    let listener = TcpListener::bind(("0.0.0.0", settings.port)).await?;
    log(&format!("release {} serves on port {}", settings.release, settings.port));
    let metrics = Metrics::new(settings.release)?;
    let ending = Arc::new(watch::Sender::new(false));
    let app = Arc::new(App { settings, database: Database::default(), metrics, ending: Arc::clone(&ending) });
    axum::serve(listener, routes(app)).with_graceful_shutdown(farewell.wait()).await?;
    socket::end_all(&ending).await;
    log("ended");
    Ok(())
}

fn routes(app: Arc<App>) -> Router {
    // Faults fall on the application's own routes; what watches it must stay believable.
    let application = Router::new()
        .route("/", get(root))
        .route("/items", get(list_items).post(add_item))
        .route("/slow", get(slow))
        .route("/upload", post(upload))
        .route("/socket", get(open_socket))
        .layer(from_fn_with_state(Arc::clone(&app), disturb));
    Router::new()
        .route("/health", get(health))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .merge(application)
        .layer(from_fn_with_state(Arc::clone(&app), count))
        .with_state(app)
}

async fn count(State(app): Shared, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    app.metrics.count(method.as_str(), &path, response.status().as_u16(), began.elapsed());
    if let Ok(release) = app.settings.release.to_string().parse() {
        response.headers_mut().insert("x-demo-release", release);
    }
    response
}

async fn disturb(State(app): Shared, request: Request, next: Next) -> Response {
    if app.settings.faults.disturb().await {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "fault: error ratio");
    }
    next.run(request).await
}

async fn health(State(app): Shared) -> (StatusCode, Json<Value>) {
    let release = app.settings.release.to_string();
    let uptime = app.settings.faults.uptime();
    match app.settings.faults.illness() {
        None => (StatusCode::OK, Json(json!({ "status": "healthy", "release": release, "uptime_seconds": uptime }))),
        Some(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unhealthy", "release": release, "reason": why })))
        }
    }
}

async fn ready(State(app): Shared) -> (StatusCode, Json<Value>) {
    match app.database.ping().await {
        Ok(()) => (StatusCode::OK, Json(json!({ "ready": true, "database": "connected" }))),
        Err(problem) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "ready": false, "database": "disconnected", "reason": format!("{problem:#}") })),
        ),
    }
}

async fn metrics(State(app): Shared) -> Response {
    match app.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(problem) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &format!("{problem:#}")),
    }
}

async fn root(State(app): Shared) -> Response {
    let mut page = json!({
        "service": "demo-backend",
        "release": app.settings.release.to_string(),
        "hostname": app.settings.hostname,
    });
    let counted = match app.database.client().await {
        Ok(client) => items::count(&client, app.settings.release).await,
        Err(problem) => Err(problem),
    };
    if let (Ok(Value::Object(counts)), Some(shown)) = (&counted, page.as_object_mut()) {
        shown.extend(counts.clone());
    }
    answer(StatusCode::OK, counted.map(|_| page))
}

async fn list_items(State(app): Shared) -> Response {
    let listed = match app.database.client().await {
        Ok(client) => items::list(&client, app.settings.release).await,
        Err(problem) => Err(problem),
    };
    answer(StatusCode::OK, listed)
}

async fn add_item(State(app): Shared, body: Bytes) -> Response {
    let Ok(asked) = serde_json::from_slice::<Value>(&body) else {
        return refusal(StatusCode::BAD_REQUEST, "the body is not JSON: {\"name\": \"…\"} is meant");
    };
    let Some(name) = asked["name"].as_str() else {
        return refusal(StatusCode::BAD_REQUEST, "`name` is missing or not a text");
    };
    let note = asked["note"].as_str().unwrap_or_default();
    let added = match app.database.client().await {
        Ok(client) => items::add(&client, app.settings.release, name, note).await,
        Err(problem) => Err(problem),
    };
    answer(StatusCode::CREATED, added)
}

/// Takes as long as `?ms=` says, at most a minute: a request that is in flight while something is switched.
async fn slow(State(app): Shared, uri: Uri) -> Response {
    let asked = uri.query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("ms="));
    let Some(pause) = asked.unwrap_or("0").parse().ok().filter(|ms| *ms <= 60_000) else {
        return refusal(StatusCode::BAD_REQUEST, "`ms` is not a number from 0 to 60000");
    };
    tokio::time::sleep(Duration::from_millis(pause)).await;
    let release = app.settings.release.to_string();
    Json(json!({ "release": release, "slept_ms": pause })).into_response()
}

/// Takes a body in and says how long it was; the database is left alone.
async fn upload(State(app): Shared, body: Bytes) -> Response {
    let release = app.settings.release.to_string();
    Json(json!({ "release": release, "bytes": body.len() })).into_response()
}

async fn open_socket(State(app): Shared, request: Request) -> Response {
    socket::open(request, app.settings.release, app.ending.subscribe())
}

/// A failed question to the database is 503: the server is well, what it needs is not.
fn answer(success: StatusCode, outcome: Result<Value>) -> Response {
    match outcome {
        Ok(value) => (success, Json(value)).into_response(),
        Err(problem) => {
            log(&format!("database: {problem:#}"));
            refusal(StatusCode::SERVICE_UNAVAILABLE, &format!("{problem:#}"))
        }
    }
}

fn refusal(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}
