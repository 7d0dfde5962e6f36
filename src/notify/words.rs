//! The words of notices to those who run the project: what, since when, how bad, what to do. Pure.
//!
//! They are read at three in the morning, on a telephone, by somebody who was not there: each names project, environment
//! and host, and ends with what can be typed.

use serde_json::{Value, json};

use crate::adapter::files::sha256;
use crate::adapter::notify::{Notice, Severity};
use crate::journal::Outcome;

/// Where it happens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The project.
    pub project: String,
    /// The environment.
    pub environment: String,
    /// The host.
    pub host: String,
}

/// A run begins, or goes on.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Where.
    pub place: Place,
    /// Its number.
    pub run: u32,
    /// What it does, such as `the deploy of r3`.
    pub deed: String,
    /// Who began it.
    pub by: String,
    /// How many steps and gates it has.
    pub items: usize,
    /// Whether it was interrupted before and goes on.
    pub goes_on: bool,
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
}

/// A run ended, or was interrupted.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Where.
    pub place: Place,
    /// Its number.
    pub run: u32,
    /// How; none where it was interrupted.
    pub outcome: Option<Outcome>,
    /// The verdict and its sentence, as the result has them.
    pub headline: String,
    /// The whole result, as it was printed.
    pub result: String,
    /// The same for programs.
    pub facts: Value,
    /// When it began, in words.
    pub begun_at: String,
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
}

/// A run waits for a person.
#[derive(Clone, Debug)]
pub struct Waits {
    /// Where.
    pub place: Place,
    /// Its number.
    pub run: u32,
    /// The signal that lets it go on.
    pub signal: String,
    /// What the person is asked to see to.
    pub asked: String,
    /// What is shown as evidence; may be empty.
    pub evidence: Vec<String>,
    /// The command that lets it go on.
    pub command: String,
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
}

/// The verdict of the watcher changed, or what follows from it.
#[derive(Clone, Debug)]
pub struct VerdictChange {
    /// What happened; a word that stays the same.
    pub event: &'static str,
    /// Where.
    pub place: Place,
    /// The verdict now, such as `HOLD`.
    pub verdict: String,
    /// The one before.
    pub before: String,
    /// How bad it is.
    pub severity: Severity,
    /// Why.
    pub why: String,
    /// Since when, in words.
    pub since: String,
    /// How bad that is for people, in a sentence.
    pub how_bad: String,
    /// What to do, line by line; the exact command among it where there is one.
    pub to_do: Vec<String>,
    /// Everything, as the watcher prints it.
    pub whole: String,
    /// The same for programs.
    pub facts: Value,
    /// When, milliseconds of Unix time.
    pub at_ms: i64,
}

impl Begun {
    /// The notice.
    pub fn notice(&self) -> Notice {
        let Self { place, run, deed, by, items, goes_on, at_ms } = self;
        let verb = if *goes_on { "goes on" } else { "has begun" };
        let steps = if *items == 1 { "1 step".to_owned() } else { format!("{items} steps") };
        let host = &place.host;
        let text = format!(
            "What: {deed} {verb} on {host} (run {run}, {steps}).\n\
             Since: {}, by {by}.\n\
             How bad: nothing is wrong. It may be felt for a moment.\n\
             What to do: nothing; another notice says how it ended. `cutover status` on {host} tells how far it is.\n",
            moment(*at_ms)
        );
        let event = if *goes_on { "run_resumed" } else { "run_begun" };
        let facts = json!({ "run": run, "deed": deed, "by": by, "items": items, "host": host });
        notice(place, event, Severity::Info, *at_ms, &format!("run {run} {verb}: {deed}"), text, facts)
    }
}

impl Ended {
    /// The notice.
    pub fn notice(&self) -> Notice {
        let (event, severity, how_bad) = match self.outcome {
            Some(Outcome::Done) => ("run_finished", Severity::Good, "all is well."),
            Some(Outcome::Unchanged) => {
                ("run_failed", Severity::Warn, "people notice nothing; what served before still serves.")
            }
            Some(Outcome::RolledBack) => {
                ("run_rolled_back", Severity::Warn, "people have what they had before. It can wait until the morning.")
            }
            Some(Outcome::Held) => {
                ("run_held", Severity::Bad, "it stands half-way, and stays so until somebody decides.")
            }
            Some(Outcome::Stuck) => {
                ("run_stuck", Severity::Bad, "it is neither old nor new, and people may be without service. Look now.")
            }
            None => {
                ("run_interrupted", Severity::Bad, "it stands half-way, and stays so until somebody goes on or back.")
            }
        };
        let text = format!(
            "{}\nSince: begun {}, ended {} on {}.\nHow bad: {how_bad}\n",
            self.result.trim_end(),
            self.begun_at,
            moment(self.at_ms),
            self.place.host
        );
        let mut facts = self.facts.clone();
        facts["host"] = self.place.host.clone().into();
        let title = format!("run {}: {}", self.run, self.headline);
        notice(&self.place, event, severity, self.at_ms, &title, text, facts)
    }
}

impl Waits {
    /// The notice.
    pub fn notice(&self) -> Notice {
        let Self { place, run, signal, asked, evidence, command, at_ms } = self;
        let shown: String = evidence.iter().map(|line| format!("  {line}\n")).collect();
        let evidence = if shown.is_empty() { shown } else { format!("What was seen:\n{shown}") };
        let text = format!(
            "What: run {run} waits on {} for a person: {asked}\n\
             {evidence}\
             Since: {}.\n\
             How bad: nothing is wrong; nothing goes on either. A maintenance window may be running.\n\
             What to do: look at it, then on {}:\n\n    {command}\n",
            place.host,
            moment(*at_ms),
            place.host
        );
        let facts = json!({ "run": run, "signal": signal, "command": command, "host": place.host });
        notice(
            place,
            "checkpoint_waits",
            Severity::Warn,
            *at_ms,
            &format!("run {run} waits for {signal:?}"),
            text,
            facts,
        )
    }
}

impl VerdictChange {
    /// The notice.
    pub fn notice(&self) -> Notice {
        let to_do: String = self.to_do.iter().map(|line| format!("  {line}\n")).collect();
        let to_do = if to_do.is_empty() { "  nothing.\n".to_owned() } else { to_do };
        let text = format!(
            "What: the verdict on {} is {} (it was {}): {}\nSince: {}.\nHow bad: {}\nWhat to do:\n{to_do}\n{}\n",
            self.place.host,
            self.verdict,
            self.before,
            self.why,
            self.since,
            self.how_bad,
            self.whole.trim_end()
        );
        let mut facts = self.facts.clone();
        facts["host"] = self.place.host.clone().into();
        let title = format!("{} (was {}): {}", self.verdict, self.before, self.why);
        notice(&self.place, self.event, self.severity, self.at_ms, &title, text, facts)
    }
}

/// A notice of this place. Its id comes from its content, so that the same one has the same id wherever it is made.
pub(super) fn notice(
    place: &Place,
    event: &str,
    severity: Severity,
    at_ms: i64,
    title: &str,
    text: String,
    facts: Value,
) -> Notice {
    let Place { project, environment, .. } = place;
    let id = sha256(format!("{project}\n{environment}\n{event}\n{at_ms}\n{title}").as_bytes());
    Notice {
        id: id[..24].to_owned(),
        event: event.to_owned(),
        severity,
        at_ms,
        project: project.clone(),
        environment: environment.clone(),
        title: format!("{project} {environment}: {title}"),
        text,
        facts,
    }
}

pub(super) fn moment(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| "?".into(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn place() -> Place {
        Place { project: "freshtrack".into(), environment: "production".into(), host: "web-1".into() }
    }

    pub const AT_MS: i64 = 1_769_137_500_000;

    #[test]
    fn a_run_that_begins_says_who_began_it_and_that_nothing_is_to_be_done() {
        let begun = Begun {
            place: place(),
            run: 7,
            deed: "the deploy of r3".into(),
            by: "ann@web-1 (process 71)".into(),
            items: 12,
            goes_on: false,
            at_ms: AT_MS,
        };
        let notice = begun.notice();
        assert_eq!(notice.title, "freshtrack production: run 7 has begun: the deploy of r3");
        assert_eq!(
            notice.text,
            "What: the deploy of r3 has begun on web-1 (run 7, 12 steps).\n\
             Since: 2026-01-23 03:05 UTC, by ann@web-1 (process 71).\n\
             How bad: nothing is wrong. It may be felt for a moment.\n\
             What to do: nothing; another notice says how it ended. `cutover status` on web-1 tells how far it is.\n"
        );
        assert_eq!((notice.event.as_str(), notice.severity), ("run_begun", Severity::Info));
        assert_eq!(notice.id, begun.notice().id);
    }

    #[test]
    fn each_end_has_its_event_and_says_how_bad_it_is() {
        let notice = |outcome| {
            let ended = Ended {
                place: place(),
                run: 7,
                outcome,
                headline: "STUCK: the way back failed in switch_dns".into(),
                result: "STUCK: …\nnext: cutover history 7\n".into(),
                facts: json!({ "run": 7 }),
                begun_at: "2026-01-23 03:00:00 UTC".into(),
                at_ms: AT_MS,
            };
            ended.notice()
        };
        let stuck = notice(Some(Outcome::Stuck));
        assert_eq!((stuck.event.as_str(), stuck.severity), ("run_stuck", Severity::Bad));
        assert_eq!(
            stuck.text,
            "STUCK: …\nnext: cutover history 7\n\
             Since: begun 2026-01-23 03:00:00 UTC, ended 2026-01-23 03:05 UTC on web-1.\n\
             How bad: it is neither old nor new, and people may be without service. Look now.\n"
        );
        let others = [Outcome::Done, Outcome::Unchanged, Outcome::RolledBack, Outcome::Held];
        let events: Vec<String> = others.map(|outcome| notice(Some(outcome)).event).into();
        assert_eq!(events, ["run_finished", "run_failed", "run_rolled_back", "run_held"]);
        assert_eq!(notice(None).event, "run_interrupted");
    }

    #[test]
    fn a_checkpoint_ends_with_what_can_be_typed() {
        let waits = Waits {
            place: place(),
            run: 9,
            signal: "frozen".into(),
            asked: "is the old system read-only?".into(),
            evidence: vec!["4 of 4 writes were refused".into()],
            command: "cutover approve frozen".into(),
            at_ms: AT_MS,
        };
        let notice = waits.notice();
        assert_eq!(notice.title, "freshtrack production: run 9 waits for \"frozen\"");
        assert!(notice.text.ends_with("look at it, then on web-1:\n\n    cutover approve frozen\n"), "{}", notice.text);
        assert!(notice.text.contains("What was seen:\n  4 of 4 writes were refused\nSince: "), "{}", notice.text);
    }

    #[test]
    fn a_verdict_says_what_since_when_how_bad_and_what_to_do_in_this_order() {
        let change = VerdictChange {
            event: "verdict_changed",
            place: place(),
            verdict: "HOLD".into(),
            before: "OK".into(),
            severity: Severity::Bad,
            why: "services: backend is unhealthy".into(),
            since: "2026-01-23 03:00 UTC".into(),
            how_bad: "people may see errors.".into(),
            to_do: vec!["look at the log of backend".into()],
            whole: "HOLD since …".into(),
            facts: json!({}),
            at_ms: AT_MS,
        };
        let notice = change.notice();
        assert_eq!(notice.title, "freshtrack production: HOLD (was OK): services: backend is unhealthy");
        let places: Vec<_> =
            ["What: ", "Since: ", "How bad: ", "What to do:"].map(|part| notice.text.find(part)).into();
        assert!(places.is_sorted() && places.iter().all(Option::is_some), "{}", notice.text);
    }
}
