//! The only place that reads a clock: wall time is for people, boot time is for durations.
//!
//! Boot time (`CLOCK_BOOTTIME`) goes on while the host sleeps and never jumps, so a deadline kept
//! with it means what it says. Wall time may jump; it is written down and shown, never subtracted.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Wall time now, RFC 3339 in UTC with millisecond precision, as it stands in the journal.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn now() -> String {
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{now:.3}")
}

/// Wall time now in seconds since 1970, for what other systems count by.
pub fn unix_seconds() -> u64 {
    u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or(0)
}

/// The seconds since 1970 of a moment in RFC 3339, or nothing where it is none.
pub fn seconds_of(moment: &str) -> Option<u64> {
    u64::try_from(moment.parse::<jiff::Timestamp>().ok()?.as_second()).ok()
}

/// Wall time now in milliseconds since 1970: it names the minutes of other systems and measures nothing of ours.
pub fn wall_ms() -> i64 {
    let time = clock_gettime(ClockId::Realtime);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// Time since the host was started, sleep included.
pub fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The kernel's identifier of this boot; empty where the kernel does not tell.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// A point from which elapsed time is measured on the boot clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Duration);

impl Stopwatch {
    /// Starts to measure now.
    pub fn start() -> Self {
        Self(since_boot())
    }

    /// Time gone since the start.
    pub fn elapsed(&self) -> Duration {
        since_boot().saturating_sub(self.0)
    }

    /// What is left of `deadline`, or nothing once it has passed.
    pub fn left(&self, deadline: Duration) -> Option<Duration> {
        deadline.checked_sub(self.elapsed()).filter(|left| !left.is_zero())
    }
}

/// A duration as people read it at night: `850 ms`, `4.2 s`, `3 min 05 s`, `2 h 10 min`.
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=59 => format!("{:.1} s", duration.as_secs_f64()),
        60..=3599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_spoken_in_the_unit_that_people_use() {
        let spoken_of = |ms| spoken(Duration::from_millis(ms));
        assert_eq!(spoken_of(850), "850 ms");
        assert_eq!(spoken_of(4_200), "4.2 s");
        assert_eq!(spoken_of(185_000), "3 min 05 s");
        assert_eq!(spoken_of(7_800_000), "2 h 10 min");
    }

    #[test]
    fn wall_time_is_rfc_3339_in_utc() {
        let now = now();
        assert!(now.ends_with('Z') && now.as_bytes()[10] == b'T', "{now}");
        assert_eq!(now.len(), "2026-01-23T00:00:00.000Z".len(), "{now}");
    }
}
