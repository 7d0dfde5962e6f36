//! Faults that a test switches on by the environment. Law: with nothing set, nothing goes wrong.

use crate::settings::parsed;
use anyhow::{Result, bail};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The faults of this process; clones share the request count.
#[derive(Clone, Debug)]
pub struct Faults {
    started: Instant,
    /// `DEMO_FAULT_UNHEALTHY_AFTER`: seconds after which `/health` says no for good.
    unhealthy_after: Option<f64>,
    /// `DEMO_FAULT_FLAP`: healthy for that many seconds, then unhealthy for as many, and so on.
    flap: Option<f64>,
    /// `DEMO_FAULT_ERROR_RATIO`: the share of application requests answered with 500, 0 to 1.
    error_ratio: f64,
    /// `DEMO_FAULT_LATENCY_MS`: added to every application request.
    latency: Duration,
    /// `DEMO_FAULT_CRASH_AT_START`: end with an error before listening.
    pub crash_at_start: bool,
    /// `DEMO_FAULT_IGNORE_SIGTERM`: only SIGKILL ends the process.
    pub ignore_sigterm: bool,
    /// `DEMO_FAULT_MIGRATE`: what happens inside a migration's transaction.
    pub migrate: Option<MigrateFault>,
    requests: Arc<AtomicU64>,
}

/// What goes wrong in a migration, after its statements and before its commit.
#[derive(Clone, Copy, Debug)]
pub enum MigrateFault {
    /// `fail`: the transaction is rolled back and the command exits with 1.
    Fail,
    /// `sleep:SECONDS`: the transaction, and its lock, stay open for that long.
    Sleep(Duration),
}

impl Faults {
    /// Reads `DEMO_FAULT_*`; the clock of the timed faults starts now.
    ///
    /// # Errors
    /// A value that cannot be understood, named with its variable.
    pub fn from_environment() -> Result<Self> {
        let error_ratio = asked("ERROR_RATIO")?.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&error_ratio) {
            bail!("DEMO_FAULT_ERROR_RATIO is {error_ratio}: a share from 0 to 1 is meant");
        }
        Ok(Self {
            started: Instant::now(),
            unhealthy_after: asked("UNHEALTHY_AFTER")?,
            flap: asked("FLAP")?.filter(|period| *period > 0.0),
            error_ratio,
            latency: Duration::from_millis(asked("LATENCY_MS")?.unwrap_or(0)),
            crash_at_start: is_on("CRASH_AT_START")?,
            ignore_sigterm: is_on("IGNORE_SIGTERM")?,
            migrate: migrate_fault()?,
            requests: Arc::default(),
        })
    }

    /// Seconds since this process began.
    pub fn uptime(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Why this process calls itself unhealthy now, if it does.
    pub fn illness(&self) -> Option<&'static str> {
        let uptime = self.uptime();
        if self.unhealthy_after.is_some_and(|limit| uptime >= limit) {
            return Some("fault: unhealthy after a while");
        }
        let is_down = self.flap.is_some_and(|period| (uptime / period) % 2.0 >= 1.0);
        is_down.then_some("fault: flapping")
    }

    /// Lets an application request wait, and says whether it shall fail. Failures are spread evenly, not
    /// drawn, so that a test can count them.
    pub async fn disturb(&self) -> bool {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        let due = |requests: u64| (requests as f64 * self.error_ratio).floor();
        due(before + 1) > due(before)
    }
}

/// A fault comes from `DEMO_FAULT_*`, else from `DEMO_BAKED_FAULT_*`, which an image may hold: a compose file
/// that merely passes the former along, unset, takes them away from the image's environment.
fn asked<T: FromStr>(name: &str) -> Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    match parsed(&format!("DEMO_FAULT_{name}"))? {
        None => parsed(&format!("DEMO_BAKED_FAULT_{name}")),
        given => Ok(given),
    }
}

fn is_on(name: &str) -> Result<bool> {
    Ok(asked::<String>(name)?.is_some_and(|value| value != "0" && value != "false"))
}

fn migrate_fault() -> Result<Option<MigrateFault>> {
    let Some(value) = asked::<String>("MIGRATE")? else {
        return Ok(None);
    };
    let seconds = value.strip_prefix("sleep:").map(str::parse::<f64>);
    Ok(Some(match (value.as_str(), seconds) {
        ("fail", _) => MigrateFault::Fail,
        (_, Some(Ok(seconds))) if seconds >= 0.0 => MigrateFault::Sleep(Duration::from_secs_f64(seconds)),
        _ => bail!("DEMO_FAULT_MIGRATE is `{value}`: `fail` or `sleep:SECONDS` is meant"),
    }))
}
