//! The metrics of the demo backend. Law: every request is counted once, under a route from a closed list.

use anyhow::Result;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
use std::time::Duration;

/// The routes that may appear as labels; anything else is `other`, or a stranger could fill the memory.
const ROUTES: [&str; 6] = ["/", "/items", "/slow", "/health", "/health/ready", "/metrics"];

/// What `/metrics` shows.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl Metrics {
    /// Registers everything, and the release as an information series.
    ///
    /// # Errors
    /// A name is registered twice.
    pub fn new(release: u32) -> Result<Self> {
        let registry = Registry::new();
        let requests =
            IntCounterVec::new(Opts::new("http_requests_total", "requests answered"), &["method", "route", "code"])?;
        let duration = HistogramVec::new(
            HistogramOpts::new("http_request_duration_seconds", "time to answer"),
            &["method", "route"],
        )?;
        let info = IntGaugeVec::new(Opts::new("demo_info", "the running release"), &["release"])?;
        info.with_label_values(&[release.to_string()]).set(1);
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(info))?;
        Ok(Self { registry, requests, duration })
    }

    /// Counts one answered request.
    pub fn count(&self, method: &str, path: &str, code: u16, took: Duration) {
        let route = ROUTES.iter().find(|route| **route == path).unwrap_or(&"other");
        self.requests.with_label_values(&[method, route, &code.to_string()]).inc();
        self.duration.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// A metric cannot be written as text.
    pub fn text(&self) -> Result<String> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}
