//! What people met. Law: every request is in it once, good or failed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// An answer of the other release counts as a change only so long after the change before it: slower answers of the side
/// before may still come in.
const SETTLED: Duration = Duration::from_millis(500);
/// What is near a change, before and after.
const NEAR: Duration = Duration::from_secs(1);

/// What was met.
#[derive(Default)]
pub struct Met {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// When each good answer came, and after how many microseconds.
    good: Vec<(Instant, u32)>,
    failures: BTreeMap<String, u64>,
    last_good: Option<Instant>,
    stall: Duration,
    serving: Option<u32>,
    changes: Vec<Instant>,
    sockets: Sockets,
}

#[derive(Default)]
struct Sockets {
    opened: u64,
    echoed: u64,
    /// Closed with a goodbye, after people had been led to the other release.
    drained: u64,
    broken: BTreeMap<String, u64>,
}

impl Met {
    /// A good answer; quick ones tell which release serves.
    pub fn good(&self, due: Instant, by_itself: Duration, release: Option<u32>) {
        let now = Instant::now();
        let took = now.duration_since(due).saturating_sub(by_itself);
        let Ok(mut met) = self.inner.lock() else { return };
        met.good.push((now, u32::try_from(took.as_micros()).unwrap_or(u32::MAX)));
        let since = met.last_good.replace(now).map(|last| now.duration_since(last));
        met.stall = met.stall.max(since.unwrap_or_default());
        let Some(release) = release.filter(|_| by_itself.is_zero()) else { return };
        let is_settled = met.changes.last().is_none_or(|last| due > *last + SETTLED);
        if met.serving != Some(release) && is_settled && met.serving.replace(release).is_some() {
            met.changes.push(now);
        }
    }

    /// A failure.
    pub fn failed(&self, why: &str) {
        let Ok(mut met) = self.inner.lock() else { return };
        *met.failures.entry(why.to_owned()).or_default() += 1;
    }

    /// A socket is open.
    pub fn socket_opened(&self) {
        let Ok(mut met) = self.inner.lock() else { return };
        met.sockets.opened += 1;
    }

    /// A socket was answered.
    pub fn socket_echoed(&self) {
        let Ok(mut met) = self.inner.lock() else { return };
        met.sockets.echoed += 1;
    }

    /// A socket to this release was closed: with its goodbye, or with none.
    pub fn socket_closed(&self, release: Option<u32>, goodbye: Result<(), String>) {
        let Ok(mut met) = self.inner.lock() else { return };
        let is_elsewhere = release.is_some() && met.serving != release;
        let why = match goodbye {
            Ok(()) if is_elsewhere => {
                met.sockets.drained += 1;
                return;
            }
            Ok(()) => "said goodbye while people were still led to it".to_owned(),
            Err(why) => why,
        };
        *met.sockets.broken.entry(why).or_default() += 1;
    }

    /// One document.
    pub fn told(&self, took: Duration, unanswered: u64) -> Value {
        let Ok(met) = self.inner.lock() else { return Value::Null };
        let mut all: Vec<u32> = met.good.iter().map(|(_, micros)| *micros).collect();
        let is_near = |at: Instant| {
            let place = met.changes.partition_point(|change| *change + NEAR < at);
            met.changes.get(place).is_some_and(|change| at + NEAR >= *change)
        };
        let mut near: Vec<u32> = met.good.iter().filter(|(at, _)| is_near(*at)).map(|(_, micros)| *micros).collect();
        all.sort_unstable();
        near.sort_unstable();
        let failed = met.failures.values().sum::<u64>() + unanswered;
        let broken = met.sockets.broken.values().sum::<u64>();
        json!({
            "seconds": took.as_secs_f64(),
            "asked": all.len() as u64 + failed,
            "failed": failed,
            "failures": met.failures,
            "longest_stall_ms": ms(met.stall.as_micros() as f64),
            "longest_wait_ms": at(&all, 1.0),
            "p50_ms": at(&all, 0.5),
            "p99_ms": at(&all, 0.99),
            "changes_seen": met.changes.len(),
            "near_a_change": near.len(),
            "p50_near_ms": at(&near, 0.5),
            "p99_near_ms": at(&near, 0.99),
            "sockets_opened": met.sockets.opened,
            "sockets_echoed": met.sockets.echoed,
            "sockets_drained": met.sockets.drained,
            "sockets_broken": broken,
            "socket_failures": met.sockets.broken,
        })
    }
}

fn ms(micros: f64) -> f64 {
    (micros / 10.0).round() / 100.0
}

/// The value that this share of the sorted times does not exceed, ms.
fn at(sorted: &[u32], share: f64) -> Option<f64> {
    let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().checked_sub(1)?);
    Some(ms(f64::from(sorted[index])))
}
