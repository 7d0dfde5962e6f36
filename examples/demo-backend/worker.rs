//! The worker: one heartbeat row a second. Law: healthy means that the last beat was written, not that the loop turns.

use crate::database::Database;
use crate::log;
use crate::settings::Settings;
use crate::shutdown::Farewell;
use anyhow::{Result, bail};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// A beat older than this, in seconds of uptime, is an illness.
const STALE_AFTER: u64 = 10;

const BEAT: &str = "INSERT INTO heartbeats (worker, release, beats, at) VALUES ('demo', $1, 1, now())
    ON CONFLICT (worker) DO UPDATE SET release = excluded.release, beats = heartbeats.beats + 1, at = now()";

struct Worker {
    settings: Settings,
    last_beat: AtomicU64,
}

/// Beats and answers `/health` until it is asked to end.
///
/// # Errors
/// The port is taken, or the fault says so. A database that is away only makes the worker unhealthy.
pub async fn run(settings: Settings) -> Result<()> {
    if settings.faults.crash_at_start {
        bail!("fault: crash at start");
    }
    let farewell = Farewell::listen(&settings)?;
    let listener = TcpListener::bind(("0.0.0.0", settings.port)).await?;
    let worker = Arc::new(Worker { settings, last_beat: AtomicU64::new(0) });
    let beating = tokio::spawn(beat_for_ever(Arc::clone(&worker)));
    let routes = Router::new().route("/health", get(health)).with_state(worker);
    log("worker started");
    axum::serve(listener, routes).with_graceful_shutdown(farewell.wait()).await?;
    beating.abort();
    Ok(())
}

async fn beat_for_ever(worker: Arc<Worker>) {
    let database = Database::default();
    let release = i32::try_from(worker.settings.release).unwrap_or(i32::MAX);
    let mut was_well = true;
    loop {
        let outcome = match database.client().await {
            Ok(client) => client.execute(BEAT, &[&release]).await.map_err(anyhow::Error::from),
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(_) => worker.last_beat.store(worker.settings.faults.uptime() as u64, Ordering::Relaxed),
            Err(ref problem) if was_well => log(&format!("no heartbeat: {problem:#}")),
            Err(_) => {}
        }
        was_well = outcome.is_ok();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn health(State(worker): State<Arc<Worker>>) -> (StatusCode, Json<Value>) {
    let faults = &worker.settings.faults;
    let age = (faults.uptime() as u64).saturating_sub(worker.last_beat.load(Ordering::Relaxed));
    let illness = faults.illness().or((age > STALE_AFTER).then_some("no heartbeat was written lately"));
    let release = worker.settings.release.to_string();
    match illness {
        None => (StatusCode::OK, Json(json!({ "status": "healthy", "release": release, "beat_age_seconds": age }))),
        Some(why) => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "unhealthy", "release": release, "reason": why })))
        }
    }
}
