//! Requests from Prometheus: raw samples of everything since the last tick, with enough before it that nothing is missed.

use std::time::Duration;

use anyhow::{Result, bail};

use super::tick::Fetched;
use super::window::{TICK_MS, Window};
use crate::adapter::http::Http;
use crate::adapter::prometheus::{self, Number, RawSeries};
use crate::judge::counts::{self, Sample, Series};

/// How far before the last tick samples are fetched: further than the oldest that may count as fresh.
const OVERLAP_MS: i64 = 10 * TICK_MS;
/// The most that is caught up in one tick.
const LONGEST_MS: i64 = 6 * 60 * TICK_MS;
/// A clock that is further off names other minutes than ours, milliseconds.
const SKEW_MS: i64 = 30_000;

/// Where and what to ask.
#[derive(Clone, Debug)]
pub struct Source {
    /// Prometheus.
    pub base: String,
    /// The selector of the counters.
    pub selector: String,
    /// The job of their target.
    pub job: String,
    /// The longest wait for one answer.
    pub deadline: Duration,
}

impl Source {
    /// Fetches what the window has not judged yet.
    ///
    /// # Errors
    /// When Prometheus cannot be asked, warns, or has another idea of the time.
    pub async fn fetch(&self, http: &Http, window: &Window) -> Result<Fetched> {
        let clock = prometheus::clock_ms(http, &self.base, self.deadline).await?;
        let skew = clock - crate::adapter::clock::wall_ms();
        if skew.abs() > SKEW_MS {
            bail!("the clock of Prometheus is {} s off: its minutes are not ours; set both clocks by NTP", skew / 1000);
        }
        let upto_ms = Window::settled(&window.now).min(window.grid_ms + LONGEST_MS);
        let upto_ms = upto_ms.max(window.grid_ms);
        let reach = u64::try_from(upto_ms - window.grid_ms + OVERLAP_MS).unwrap_or(0);
        let of = async |selector: String| {
            let reach = Duration::from_millis(reach);
            prometheus::raw(http, &self.base, &selector, reach, upto_ms, self.deadline).await
        };
        let job = self.job.replace('\\', "\\\\").replace('"', "\\\"");
        // First the counters: whatever scrape they come from, the start of its process is then known too, and a counter
        // that began anew is not taken once for the old one going on and once for a new one.
        let counters = of(self.selector.clone()).await?;
        let (up, starts, maintenance) = tokio::try_join!(
            of(format!("up{{job=\"{job}\"}}")),
            of(format!("process_start_time_seconds{{job=\"{job}\"}}")),
            of("cutover_maintenance".to_owned()),
        )?;
        let window = counts::Window { counters: series(counters), up: series(up), starts: series(starts) };
        Ok(Fetched { window, upto_ms, maintenance: series(maintenance) })
    }

    /// Requests per minute of the day before; none where nobody knows.
    pub async fn traffic(&self, http: &Http) -> Option<f64> {
        let query = format!("sum(increase({}[1d])) / 1440", self.selector);
        match prometheus::number(http, &self.base, &query, self.deadline).await {
            Ok(Number::Value(rate)) if rate >= 0.0 => Some(rate),
            _ => None,
        }
    }
}

fn series(raw: Vec<RawSeries>) -> Vec<Series> {
    let of = |one: RawSeries| Series {
        labels: one.labels,
        samples: one.samples.into_iter().map(|(at_ms, value)| Sample { at_ms, value }).collect(),
    };
    raw.into_iter().map(of).collect()
}
