//! The words of notices about a run that goes wrong while it is at work: it turns back, or it breaks off. Pure.

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
}
