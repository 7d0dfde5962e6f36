//! What the watcher of the window says: a line of `status`, for whoever comes at night and looks there first.

use super::style::Paint;
use crate::data::shell;

/// After so long without a look nobody watches any more, seconds.
const SILENT_S: u64 = 5 * 60;

/// The window as it stands on disk.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Watched {
    /// The verdict, such as `HOLD`.
    pub verdict: String,
    /// Since when, in words.
    pub since: String,
    /// Why; may be empty.
    pub why: String,
    /// Whether the window was accepted.
    pub is_accepted: bool,
    /// Seconds since it was judged last.
    pub judged_ago_s: u64,
    /// Seconds until it goes back by itself, and the file that stops it.
    pub going_back: Option<(u64, String)>,
}

impl Watched {
    /// One line; the time to stop it first.
    pub fn words(&self) -> String {
        let why = if self.why.is_empty() { String::new() } else { format!(": {}", self.why) };
        let said = format!("{} since {}{why}", self.verdict, self.since);
        if self.is_accepted {
            return format!("the window is accepted; {said}");
        }
        let back = self.going_back.as_ref().map_or_else(String::new, |(left, file)| {
            format!("going back by itself in {left} s, to stop it: touch {}; ", shell::word(file))
        });
        let silent = if self.judged_ago_s > SILENT_S {
            format!("; nobody has looked for {} min: is `cutover watch` at work?", self.judged_ago_s / 60)
        } else {
            String::new()
        };
        format!("{back}{said}{silent}")
    }

    /// Its colour.
    pub fn paint(&self) -> Paint {
        match self.verdict.as_str() {
            _ if self.is_accepted => Paint::Good,
            "OK" if self.judged_ago_s <= SILENT_S => Paint::Good,
            "OK" | "WATCH" => Paint::Careful,
            _ => Paint::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_is_told_with_what_is_coming_and_with_the_silence_of_whoever_should_look() {
        let mut watched = Watched {
            verdict: "ROLLBACK-RECOMMENDED".into(),
            since: "2026-01-23 03:00 UTC".into(),
            why: "outage: 6 failures in a row".into(),
            is_accepted: false,
            judged_ago_s: 20,
            going_back: Some((96, "/s/watch/hold".into())),
        };
        assert_eq!(
            watched.words(),
            "going back by itself in 96 s, to stop it: touch /s/watch/hold; ROLLBACK-RECOMMENDED since \
             2026-01-23 03:00 UTC: outage: 6 failures in a row"
        );
        assert_eq!(watched.paint(), Paint::Bad);
        (watched.verdict, watched.why, watched.going_back) = ("OK".into(), String::new(), None);
        watched.judged_ago_s = 660;
        let said = "OK since 2026-01-23 03:00 UTC; nobody has looked for 11 min: is `cutover watch` at work?";
        assert_eq!((watched.words().as_str(), watched.paint()), (said, Paint::Careful));
        watched.is_accepted = true;
        assert_eq!(watched.words(), "the window is accepted; OK since 2026-01-23 03:00 UTC");
    }
}
