//! The words of notices about work that goes wrong itself: a run turns back or breaks off, a watcher cannot write down what
//! it judges. Pure.

use serde_json::json;

use super::words::{Place, moment, notice};
use crate::adapter::notify::{Notice, Severity};

/// A run has failed, and undoes what it did.
#[derive(Clone, Debug)]
pub struct TurnsBack {
    /// Where.
    pub place: Place,
    /// Its number.
    pub run: u32,
    /// What it was to do.
    pub deed: String,
    /// Title of what failed.
    pub step: String,
    /// Why.
    pub why: String,
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
}

/// A run broke off because of an error of its own, such as a full disk.
#[derive(Clone, Debug)]
pub struct BrokeOff {
    /// Where.
    pub place: Place,
    /// Its number.
    pub run: u32,
    /// What it was to do.
    pub deed: String,
    /// Why.
    pub why: String,
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
}

/// The watcher cannot write its window down; or it can again.
#[derive(Clone, Debug)]
pub struct Unkept {
    /// Where.
    pub place: Place,
    /// Why it cannot; none once it can again.
    pub why: Option<String>,
    /// Where the window is.
    pub directory: String,
    /// Since when it could not, milliseconds of Unix time.
    pub since_ms: i64,
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
}

/// A verdict of the watcher has no line in the journal of the run that it watches.
#[derive(Clone, Debug)]
pub struct Unwritten {
    /// Where.
    pub place: Place,
    /// The number of the run.
    pub run: u32,
    /// The verdict that waits for its line.
    pub verdict: String,
    /// Why it has none.
    pub why: String,
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
}

impl TurnsBack {
    /// The notice.
    pub fn notice(&self) -> Notice {
        let Self { place, run, deed, step, why, at_ms } = self;
        let host = &place.host;
        let text = format!(
            "What: {deed} has failed on {host} (run {run}) in \"{step}\": {why}\n\
             Since: {}.\n\
             How bad: it is undone now, and what served before is to serve again; until then people may feel it.\n\
             What to do: nothing yet; another notice says how it ended. `cutover status` on {host} tells how far it is.\n",
            moment(*at_ms)
        );
        let facts = json!({ "run": run, "deed": deed, "step": step, "why": why, "host": host });
        let title = format!("run {run} has failed and turns back: {step}");
        notice(place, "run_turns_back", Severity::Bad, *at_ms, &title, text, facts)
    }
}

impl BrokeOff {
    /// The notice.
    pub fn notice(&self) -> Notice {
        let Self { place, run, deed, why, at_ms } = self;
        let host = &place.host;
        let text = format!(
            "What: {deed} broke off on {host} (run {run}): {why}\n\
             Since: {}.\n\
             How bad: it stands half-way, and stays so until somebody goes on or back.\n\
             What to do: put the cause right, then on {host}:\n\n    cutover resume\n",
            moment(*at_ms)
        );
        let facts = json!({ "run": run, "deed": deed, "why": why, "host": host });
        notice(place, "run_interrupted", Severity::Bad, *at_ms, &format!("run {run} broke off: {why}"), text, facts)
    }
}

impl Unkept {
    /// The notice.
    pub fn notice(&self) -> Notice {
        let Self { place, why, directory, since_ms, at_ms } = self;
        let (host, since) = (&place.host, moment(*since_ms));
        let facts = json!({ "why": why, "directory": directory, "since": since, "host": host });
        let Some(why) = why else {
            let text = format!(
                "What: `cutover watch` on {host} writes down again what it judges.\n\
                 Since: {}; it could not since {since}.\n\
                 How bad: all is well with it. What it judged meanwhile is kept now.\n\
                 What to do: nothing.\n",
                moment(*at_ms)
            );
            let title = "the watcher writes down again what it judges";
            return notice(place, "watch_kept_again", Severity::Good, *at_ms, title, text, facts);
        };
        let text = format!(
            "What: `cutover watch` on {host} judges, but cannot write it down: {why}\n\
             Since: {since}.\n\
             How bad: it goes on and tells every change. It does not go back by itself meanwhile, and what it finds now is \
             lost if it ends before it could write.\n\
             What to do: see on {host} whether the disk is full or read-only; it tries again every minute, and tells when \
             it can:\n\n    df -h {directory}; ls -la {directory}\n"
        );
        let title = format!("the watcher cannot write down what it judges: {why}");
        notice(place, "watch_not_kept", Severity::Bad, *at_ms, &title, text, facts)
    }
}

impl Unwritten {
    /// The notice.
    pub fn notice(&self) -> Notice {
        let Self { place, run, verdict, why, at_ms } = self;
        let host = &place.host;
        let text = format!(
            "What: the verdict {verdict} on {host} is not in the journal of run {run}: {why}\n\
             Since: {}.\n\
             How bad: people notice nothing, and the verdict counts; `cutover watch` goes on. But a rollback would have to \
             write there, too.\n\
             What to do: put the cause right on {host}. The line is tried again every minute; then it is in\n\n    \
             cutover history {run}\n",
            moment(*at_ms)
        );
        let facts = json!({ "run": run, "verdict": verdict, "why": why, "host": host });
        let title = format!("the verdict {verdict} is not in the journal of run {run}: {why}");
        notice(place, "verdict_not_written", Severity::Warn, *at_ms, &title, text, facts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::{AT_MS, place};
    use super::*;

    #[test]
    fn a_run_that_turns_back_says_what_failed_and_that_another_notice_comes() {
        let turn = TurnsBack {
            place: place(),
            run: 7,
            deed: "the deploy of r3".into(),
            step: "backend is healthy".into(),
            why: "it answers 500".into(),
            at_ms: AT_MS,
        };
        let notice = turn.notice();
        assert_eq!(notice.title, "freshtrack production: run 7 has failed and turns back: backend is healthy");
        assert_eq!(
            notice.text,
            "What: the deploy of r3 has failed on web-1 (run 7) in \"backend is healthy\": it answers 500\n\
             Since: 2026-01-23 03:05 UTC.\n\
             How bad: it is undone now, and what served before is to serve again; until then people may feel it.\n\
             What to do: nothing yet; another notice says how it ended. `cutover status` on web-1 tells how far it is.\n"
        );
        assert_eq!((notice.event.as_str(), notice.severity), ("run_turns_back", Severity::Bad));
    }

    #[test]
    fn a_run_that_breaks_off_ends_with_what_can_be_typed() {
        let broken = BrokeOff {
            place: place(),
            run: 7,
            deed: "the deploy of r3".into(),
            why: "the journal could not be written: no space left".into(),
            at_ms: AT_MS,
        };
        let notice = broken.notice();
        assert_eq!((notice.event.as_str(), notice.severity), ("run_interrupted", Severity::Bad));
        assert!(notice.text.ends_with("then on web-1:\n\n    cutover resume\n"), "{}", notice.text);
    }

    #[test]
    fn what_the_watcher_cannot_keep_is_told_with_what_it_does_not_do_meanwhile() {
        let mut unkept = Unkept {
            place: place(),
            why: Some("cannot write window.json: no space left".into()),
            directory: "/var/lib/cutover/watch".into(),
            since_ms: AT_MS,
            at_ms: AT_MS + 600_000,
        };
        let told = unkept.notice();
        assert_eq!((told.event.as_str(), told.severity), ("watch_not_kept", Severity::Bad));
        assert!(told.text.contains("Since: 2026-01-23 03:05 UTC.\nHow bad: it goes on"), "{}", told.text);
        assert!(
            told.text.ends_with("\n\n    df -h /var/lib/cutover/watch; ls -la /var/lib/cutover/watch\n"),
            "{}",
            told.text
        );
        unkept.why = None;
        let told = unkept.notice();
        assert_eq!((told.event.as_str(), told.severity), ("watch_kept_again", Severity::Good));
        assert!(told.text.contains("Since: 2026-01-23 03:15 UTC; it could not since 2026-01-23 03:05 UTC."));
    }
}
