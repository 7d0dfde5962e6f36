//! The window's state: plain data in one file. Its clock is boot time, so neither a jump of the wall clock nor a restart moves it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::accept::Evidence;
use crate::judge::counts::Counter;
use crate::judge::cusum::{Cusum, Terms};
use crate::judge::ladder::{Ladder, Level};
use crate::judge::probe::Row;
use crate::judge::rules::{Rule, Standing};

/// Version of the file that this program writes.
pub const FORMAT: u32 = 1;
/// Milliseconds of a tick.
pub const TICK_MS: i64 = 60_000;
/// How long a scrape may take until its samples are all there, milliseconds.
pub const SETTLE_MS: i64 = 10_000;
/// Wall time that differs from boot time by more than this has jumped, milliseconds.
const JUMP_MS: i64 = 30_000;
/// Minutes of a day.
const DAY_MIN: i64 = 1440;
/// The last judged minute is ahead of the clock by more than this only where the clock was set back.
const SET_BACK_MIN: i64 = 10;
/// Points of one number that are remembered.
const MOST_POINTS: usize = 3000;
/// Minutes of the trail that are kept one by one; beyond that, every other one is let go.
const MOST_MINUTES: usize = 3000;
/// Changes of the verdict that are kept.
const MOST_LEVELS: usize = 200;

/// The clocks at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Wall time, milliseconds of Unix time: it names minutes of Prometheus and nothing else.
    pub wall_ms: i64,
    /// Time since the host was started, milliseconds.
    pub boot_ms: u64,
    /// The kernel's identifier of this boot.
    pub boot: String,
}

/// A moment that holds until the host is started anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Until {
    /// The boot in which it holds.
    pub boot: String,
    /// Time since that boot, milliseconds.
    pub boot_ms: u64,
}

impl Until {
    /// So many seconds from now.
    pub fn after(now: &Now, seconds: u64) -> Self {
        Self { boot: now.boot.clone(), boot_ms: now.boot_ms + seconds * 1000 }
    }

    /// Seconds that are left; none once it has passed or the host was started anew.
    pub fn left_s(&self, now: &Now) -> Option<u64> {
        (self.boot == now.boot && self.boot_ms > now.boot_ms).then(|| (self.boot_ms - now.boot_ms).div_ceil(1000))
    }
}

/// Going back by itself is allowed for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// Who allowed it.
    pub by: String,
    /// Until when; a restart of the host disarms.
    pub until: Until,
}

/// The state of a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// `cutover/v1`.
    pub schema: String,
    /// Version of this file.
    pub format: u32,
    /// The last run when it was begun.
    pub run: Option<u32>,
    /// Wall time of its begin, for people.
    pub begun_at: String,
    /// Observed minutes that it takes.
    pub length_min: u64,
    /// What is being told apart.
    pub terms: Terms,
    /// The count of requests.
    pub counter: Counter,
    /// The evidence of errors.
    pub cusum: Cusum,
    /// The verdict.
    pub ladder: Ladder,
    /// Direct questions.
    pub row: Row,
    /// What was seen so far.
    pub evidence: Evidence,
    /// Minutes in which nothing was known.
    pub unknown_min: u64,
    /// The last minute that was judged, milliseconds of Unix time.
    pub grid_ms: i64,
    /// The clocks at the last tick.
    pub now: Now,
    /// Milliseconds since its begin, as far as the host was running.
    pub elapsed_ms: u64,
    /// What the rules say.
    pub rules: BTreeMap<String, Standing>,
    /// The rules themselves, as they were asked last: not all are asked in every tick.
    pub known: BTreeMap<String, Rule>,
    /// Numbers that rules compare with: milliseconds since the begin, and the number.
    pub numbers: BTreeMap<String, Vec<(u64, i64)>>,
    /// The decision, minute by minute, for the report: milliseconds of Unix time, evidence in millionths of the alarm, requests,
    /// failed ones.
    #[serde(default)]
    pub trail: Vec<(i64, i64, u64, u64)>,
    /// Verdicts as they changed: milliseconds of Unix time, and the verdict from then on.
    #[serde(default)]
    pub levels: Vec<(i64, Level)>,
    /// When the slow questions were asked last, milliseconds since the begin.
    pub slow_ms: Option<u64>,
    /// Whether it was accepted; then nothing is judged any more.
    pub is_accepted: bool,
    /// Whether it may go back by itself.
    pub armed: Option<Armed>,
    /// It will go back by itself then, unless somebody stops it.
    pub going_back: Option<Until>,
    /// Whether the maintenance page was shown at the last tick.
    #[serde(default)]
    pub was_maintenance: bool,
    /// Verdicts that wait for their line in the journal, and why each was given.
    #[serde(default)]
    pub unwritten: Vec<(String, String)>,
    /// Whether it was told that they cannot be written.
    #[serde(default)]
    pub is_unwritten_told: bool,
}

impl Window {
    /// Begins a window of so many observed minutes. `expected` is how many requests it will hold.
    pub fn begin(now: Now, begun_at: String, length_min: u64, terms: Terms, run: Option<u32>) -> Self {
        let grid_ms = now.wall_ms - now.wall_ms.rem_euclid(TICK_MS);
        Self {
            schema: "cutover/v1".into(),
            format: FORMAT,
            run,
            begun_at,
            length_min,
            terms,
            counter: Counter::since(grid_ms),
            cusum: Cusum::default(),
            ladder: Ladder::at(now.wall_ms),
            row: Row::default(),
            evidence: Evidence::default(),
            unknown_min: 0,
            grid_ms,
            now,
            elapsed_ms: 0,
            rules: BTreeMap::new(),
            known: BTreeMap::new(),
            numbers: BTreeMap::new(),
            trail: Vec::new(),
            levels: Vec::new(),
            slow_ms: None,
            is_accepted: false,
            armed: None,
            going_back: None,
            was_maintenance: false,
            unwritten: Vec::new(),
            is_unwritten_told: false,
        }
    }

    /// Moves its clock on; says so when the wall clock has jumped or the host was started anew.
    pub fn advance(&mut self, now: &Now) -> Option<String> {
        let (wall, is_same_boot) = (now.wall_ms - self.now.wall_ms, now.boot == self.now.boot);
        let passed = if is_same_boot { now.boot_ms.saturating_sub(self.now.boot_ms) } else { now.boot_ms };
        self.elapsed_ms += passed;
        self.now = now.clone();
        if !is_same_boot {
            // Both would have to be judged by a clock that does not exist any more.
            let was_armed = self.armed.take().is_some();
            self.going_back = None;
            let armed = if was_armed { "; going back by itself is disarmed" } else { "" };
            return Some(format!("the host was started anew{armed}"));
        }
        let jump = wall - i64::try_from(passed).unwrap_or(i64::MAX);
        if jump.abs() <= JUMP_MS {
            return None;
        }
        // What has lasted for a minute has lasted for a minute, whatever the clock on the wall shows now.
        self.rules.values_mut().for_each(|standing| standing.since_ms += jump);
        self.row.shift(jump);
        self.ladder.since_ms += jump;
        Some(format!("the wall clock jumped by {} s", jump / 1000))
    }

    /// Why no minute is judged, where the wall clock stands long before the last one that was.
    pub fn is_set_back(&self, now: &Now) -> Option<String> {
        let minutes = (self.grid_ms - Self::settled(now)) / TICK_MS;
        (minutes > SET_BACK_MIN).then(|| {
            format!(
                "the clock was set back: the next {minutes} min were judged already, and their samples are not taken twice; \
                 if the clock is right now, `cutover watch --new` begins a new window"
            )
        })
    }

    /// The last minute whose samples are all there.
    pub fn settled(now: &Now) -> i64 {
        let settled = now.wall_ms - SETTLE_MS;
        settled - settled.rem_euclid(TICK_MS)
    }

    /// Passes by minutes that nobody can have asked in, but for the last day: a clock that was wrong by years makes millions.
    pub fn pass_by(&mut self, upto_ms: i64) {
        let passed = (upto_ms - self.grid_ms) / TICK_MS - DAY_MIN;
        if let Some(minutes) = u64::try_from(passed).ok().filter(|minutes| *minutes > 0) {
            self.grid_ms += passed * TICK_MS;
            self.unknown_min += minutes;
        }
    }

    /// Remembers a number, and for how long.
    pub fn remember(&mut self, name: &str, value: i64, keep_ms: u64) {
        let points = self.numbers.entry(name.to_owned()).or_default();
        points.push((self.elapsed_ms, value));
        let begin = self.elapsed_ms.saturating_sub(keep_ms);
        // The last one before the time that counts stays: the number had that value when it began.
        let kept_from = points.partition_point(|(at, _)| *at <= begin).saturating_sub(1);
        points.drain(..kept_from);
        if points.len() > MOST_POINTS {
            let mut place = 0;
            points.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
    }

    /// Remembers what a minute came to.
    pub fn trace(&mut self, at_ms: i64, requests: u64, errors: u64) {
        let share = (self.cusum.share(&self.terms) * 1e6).round() as i64;
        self.trail.push((at_ms, share, requests, errors));
        if self.trail.len() > MOST_MINUTES {
            let mut place = 0;
            self.trail.retain(|(.., errors)| {
                place += 1;
                // A minute with a failure is what people look for.
                place % 2 == 1 || *errors > 0
            });
        }
    }

    /// Remembers the verdict, where it is another one than before.
    pub fn trace_level(&mut self) {
        let (at, level) = (self.ladder.since_ms, self.ladder.level);
        if self.levels.last().is_none_or(|(_, last)| *last != level) {
            self.levels.push((at, level));
            let more = self.levels.len().saturating_sub(MOST_LEVELS);
            self.levels.drain(..more);
        }
    }

    /// The first remembered value, and how long ago that was, milliseconds.
    pub fn first(&self, name: &str) -> Option<(i64, u64)> {
        let (at, value) = self.numbers.get(name)?.first()?;
        Some((*value, self.elapsed_ms.saturating_sub(*at)))
    }

    /// Forgets numbers of what is not there any more.
    pub fn forget(&mut self, is_gone: impl Fn(&str) -> bool) {
        self.numbers.retain(|name, _| !is_gone(name));
    }

    /// Whether the window is still in its first, closely watched time.
    pub fn is_close(&self, close_ms: u64) -> bool {
        self.elapsed_ms < close_ms
    }

    /// Whether the slow questions are due.
    pub fn is_slow_due(&self, close_ms: u64, pace_ms: u64) -> bool {
        // Half a tick of slack: a tick that comes a second early must not put them off by a whole minute.
        let gone = self.slow_ms.map(|at| self.elapsed_ms.saturating_sub(at) + 30_000);
        self.is_close(close_ms) || gone.is_none_or(|gone| gone >= pace_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(wall_ms: i64, boot_ms: u64, boot: &str) -> Now {
        Now { wall_ms, boot_ms, boot: boot.into() }
    }

    fn window() -> Window {
        Window::begin(now(90_500, 1000, "a"), String::new(), 1440, Terms::new(0.01, 0.05, 0), None)
    }

    #[test]
    fn its_clock_goes_on_over_restarts_and_is_not_moved_by_the_wall() {
        let mut window = window();
        assert_eq!(window.grid_ms, 60_000);
        assert_eq!(window.advance(&now(150_500, 61_000, "a")), None);
        assert_eq!(window.advance(&now(9_150_500, 121_000, "a")).as_deref(), Some("the wall clock jumped by 8940 s"));
        assert_eq!(window.elapsed_ms, 120_000);
        assert!(window.advance(&now(9_250_500, 5000, "b")).is_some_and(|note| note.contains("started anew")));
        assert_eq!(window.elapsed_ms, 125_000, "only the time that the host was running is known");
    }

    #[test]
    fn a_restart_of_the_host_disarms() {
        let mut window = window();
        let by = "somebody".into();
        window.armed = Some(Armed { by, until: Until::after(&window.now, 7200) });
        window.going_back = Some(Until::after(&window.now, 120));
        window.advance(&now(99_000, 10, "b"));
        assert!(window.armed.is_none() && window.going_back.is_none());
    }

    #[test]
    fn a_minute_is_over_once_its_last_scrape_can_be_there() {
        let settled = |wall_ms| Window::settled(&now(wall_ms, 0, "a"));
        assert_eq!((settled(129_999), settled(130_000)), (60_000, 120_000));
    }

    #[test]
    fn a_moment_holds_in_its_own_boot_alone() {
        let until = Until::after(&now(0, 1000, "a"), 120);
        assert_eq!(until.left_s(&now(0, 1500, "a")), Some(120));
        assert_eq!(until.left_s(&now(0, 121_000, "a")), None);
        assert_eq!(until.left_s(&now(0, 1500, "b")), None, "whose clock that is, nobody knows");
    }

    #[test]
    fn what_is_remembered_reaches_back_as_long_as_it_counts() {
        let mut window = window();
        for minute in 0..10 {
            window.elapsed_ms = minute * 60_000;
            window.remember("rows", i64::try_from(minute).unwrap(), 180_000);
        }
        assert_eq!(window.first("rows"), Some((6, 180_000)));
    }
}
