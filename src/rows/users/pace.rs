//! How fast requests go: evenly spaced, never more per second than allowed, and all of them wait when the service asks.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::adapter::clock;

/// The first pause after a failure; it doubles from try to try.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause of our own.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause that the service may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// A bucket that holds one token: whoever takes it waits for the next one.
#[derive(Debug)]
pub(super) struct Pace {
    spacing: Duration,
    next: Mutex<Duration>,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        Self { spacing: Duration::from_secs(1) / per_second.max(1), next: Mutex::new(Duration::ZERO) }
    }

    /// Waits for the turn of the next request.
    pub(super) async fn turn(&self) {
        loop {
            let now = clock::since_boot();
            let wait = {
                let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
                if *next <= now {
                    *next = now + self.spacing;
                    return;
                }
                *next - now
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Lets nobody begin before a pause that the service asked for is over.
    pub(super) fn hold(&self, pause: Duration) {
        let until = clock::since_boot() + pause.min(LONGEST_ASKED);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = until.max(*next);
    }
}

/// The pause after the `failed`-th failure in a row: doubled each time, by a random part shorter, so that those who failed
/// together do not come back together.
pub(super) fn pause(failed: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1_u32 << failed.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let chance = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
    whole.mul_f64(0.5 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_differ() {
        for failed in 1..=40 {
            let whole = FIRST_PAUSE * 2_u32.pow((failed - 1).min(10));
            let pause = pause(failed);
            assert!(pause <= whole.min(LONGEST_PAUSE) && pause >= whole.min(LONGEST_PAUSE) / 2, "{failed}: {pause:?}");
        }
        let some: std::collections::HashSet<_> = (0..20).map(|_| pause(5)).collect();
        assert!(some.len() > 1);
    }

    #[tokio::test]
    async fn requests_are_spaced_and_held_together() {
        let pace = Pace::new(200);
        let start = clock::since_boot();
        futures_util::future::join_all((0..20).map(|_| pace.turn())).await;
        assert!(clock::since_boot() - start >= Duration::from_millis(19 * 5), "20 turns need 19 spaces");
        let start = clock::since_boot();
        pace.hold(Duration::from_millis(80));
        pace.turn().await;
        assert!(clock::since_boot() - start >= Duration::from_millis(80));
    }
}
