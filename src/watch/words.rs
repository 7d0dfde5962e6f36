//! Verdicts in words, for a person at three in the morning, for monitoring plugins, and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::going_back::Recommendation;
use super::tick::{Said, Verdicts};
use super::window::Window;
use crate::adapter::clock::spoken;
use crate::data::plural::counted;
use crate::judge::accept::Acceptance;
use crate::judge::ladder::Level;
use crate::judge::rules::Verdict;

/// Changes that one line tells; of the others it tells the number.
const MOST_CHANGES: usize = 8;

/// A moment of Unix milliseconds as people write it, in UTC.
pub fn moment(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map_or_else(|_| "?".into(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

fn minutes(minutes: u64) -> String {
    if minutes < 60 {
        return format!("{minutes} min");
    }
    spoken(Duration::from_secs(minutes * 60))
}

/// One line on what has changed; for cron, whose mail it becomes.
pub fn line(verdicts: &Verdicts, environment: &str) -> String {
    let mut parts = Vec::new();
    if verdicts.level == verdicts.before && verdicts.level == Level::Ok && verdicts.is_blind() {
        parts.push("OK as far as is known".to_owned());
    } else if verdicts.level == verdicts.before {
        parts.push(verdicts.level.word().to_owned());
    } else {
        let (now, was) = (verdicts.level.word(), verdicts.before.word());
        parts.push(format!("{now} since {} (was {was}): {}", moment(verdicts.since_ms), verdicts.why));
    }
    parts.extend(verdicts.notes.iter().cloned());
    let mut changes: Vec<(Vec<&str>, &Said)> = Vec::new();
    for said in verdicts.rules.iter().filter(|said| said.has_changed) {
        // One cause is told once, however many rules it keeps from knowing.
        let is_same = |(_, other): &&mut (Vec<&str>, &Said)| {
            let (one, other) = (&said.standing, &other.standing);
            one.verdict.is_unknown() && one.verdict == other.verdict && one.evidence == other.evidence
        };
        match changes.iter_mut().find(is_same) {
            Some((names, _)) => names.push(&said.rule.name),
            None => changes.push((vec![&said.rule.name], said)),
        }
    }
    // The worst first: a mail's first lines are read, and a telephone shows no others.
    changes.sort_by_key(|(_, said)| order(said.standing.verdict));
    parts.extend(changes.iter().take(MOST_CHANGES).map(|(names, said)| change(names, said)));
    let more = changes.len().saturating_sub(MOST_CHANGES);
    parts.extend((more > 0).then(|| format!("{} more", counted(more, "change"))));
    format!("cutover {environment}: {}", parts.join("; "))
}

fn change(names: &[&str], Said { rule, standing, .. }: &Said) -> String {
    let advice = match standing.verdict {
        Verdict::Breach if !rule.advice.is_empty() => format!(" (to do: {})", rule.advice),
        _ => String::new(),
    };
    let names = match names {
        [one] => (*one).to_owned(),
        [one, rest @ ..] => format!("{one} and {}", counted(rest.len(), "other rule")),
        [] => String::new(),
    };
    format!("{names} {}: {}{advice}", standing.verdict.word(), standing.evidence)
}

/// The worst first, then what is not known.
fn order(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Breach => 0,
        Verdict::CannotAsk => 1,
        Verdict::NoData => 2,
        Verdict::Ok => 3,
    }
}

/// Everything, the verdict first.
pub fn text(verdicts: &Verdicts, window: &Window, advice: Option<&Recommendation>) -> String {
    let mut lines = vec![headline(verdicts)];
    lines.push(format!(
        "  observed {} of {}; {}, {} failed; {} unknown",
        minutes(verdicts.evidence.observed_min),
        minutes(window.length_min),
        counted(verdicts.evidence.requests, "request"),
        verdicts.evidence.errors,
        minutes(verdicts.unknown_min)
    ));
    lines.push(format!("  {}", acceptance(&verdicts.acceptance)));
    if verdicts.level > Level::Ok {
        let calm = minutes(u64::from(window.ladder.calm_missing()));
        lines.push(format!("  {} is left after {calm} more of observed calm", verdicts.level.word()));
    }
    let mut rules: Vec<&Said> = verdicts.rules.iter().collect();
    rules.sort_by_key(|said| order(said.standing.verdict));
    let widest = rules.iter().map(|said| said.rule.name.chars().count()).max().unwrap_or(0);
    for said in rules {
        let standing = &said.standing;
        let since = moment(standing.since_ms);
        let name = &said.rule.name;
        lines.push(format!("  {:<10}  {name:<widest$}  {}, since {since}", standing.verdict.word(), standing.evidence));
        if standing.verdict == Verdict::Breach && !said.rule.advice.is_empty() {
            lines.push(format!("  {:<10}  {:<widest$}  to do: {}", "", "", said.rule.advice));
        }
    }
    lines.push(format!("  {}", verdicts.honesty));
    lines.extend(verdicts.notes.iter().map(|note| format!("  note: {note}")));
    lines.extend(advice.map(recommendation));
    lines.join("\n")
}

fn headline(verdicts: &Verdicts) -> String {
    if verdicts.level == Level::Ok && verdicts.is_blind() {
        return format!(
            "OK as far as is known since {}, but the errors cannot be judged now",
            moment(verdicts.since_ms)
        );
    }
    let why = if verdicts.why.is_empty() { String::new() } else { format!(": {}", verdicts.why) };
    format!("{} since {}{why}", verdicts.level.word(), moment(verdicts.since_ms))
}

fn acceptance(acceptance: &Acceptance) -> String {
    match acceptance {
        Acceptance::Accepted { bound } => {
            format!("accepted: at most {:.2} % of the requests fail, with 95 % confidence", bound * 100.0)
        }
        Acceptance::TooEarly { minutes: left } => {
            format!("not over: {} more of observed time are needed", minutes(*left))
        }
        Acceptance::TooLittle { requests, bound } => format!(
            "over, but not accepted: up to {:.1} % of the requests may fail for all that is known; {} without an error \
             {} needed",
            bound * 100.0,
            counted(*requests, "more request"),
            if *requests == 1 { "is" } else { "are" }
        ),
    }
}

/// The recommendation to go back.
pub fn recommendation(advice: &Recommendation) -> String {
    format!("To go back:\n\n    {}\n\n  cost: {}\n  time: {}", advice.command, advice.cost, advice.takes)
}

/// The same in one line.
pub fn in_one_line(advice: &Recommendation) -> String {
    let command = advice.command.split("    #").next().unwrap_or_default();
    format!("to go back: `{command}` ({}; {})", advice.cost, advice.takes)
}

/// The status that the service manager shows.
pub fn status(verdicts: &Verdicts, window: &Window) -> String {
    let (seen, all) = (minutes(verdicts.evidence.observed_min), minutes(window.length_min));
    let left = left_s(window).map_or_else(String::new, |left| format!("{}; ", countdown(left)));
    format!("{left}{}; observed {seen} of {all}", headline(verdicts))
}

/// How long there is to stop it from going back by itself.
pub fn countdown(left_s: u64) -> String {
    format!("going back by itself in {left_s} s")
}

/// Seconds until it goes back by itself, as of the last tick, where it has announced that.
fn left_s(window: &Window) -> Option<u64> {
    window.going_back.as_ref()?.left_s(&window.now)
}

/// As a monitoring plugin says it, with its exit code.
pub fn nagios(verdicts: &Verdicts, window: &Window) -> (String, u8) {
    let (word, code) = match verdicts.level {
        Level::Ok if verdicts.is_blind() => ("UNKNOWN", 3),
        Level::Ok => ("OK", 0),
        Level::Watch => ("WARNING", 1),
        Level::Hold | Level::RollbackRecommended | Level::Rollback => ("CRITICAL", 2),
    };
    // A bar would begin the numbers.
    let said = headline(verdicts).replace('|', "/");
    let counted = |verdict: Verdict| verdicts.rules.iter().filter(|said| said.standing.verdict == verdict).count();
    let unknown = counted(Verdict::NoData) + counted(Verdict::CannotAsk);
    let text = format!(
        "CUTOVER {word} - {said} | 'evidence'={:.1}%;25;50;0;200 'requests'={}c;;;0 'errors'={}c;;;0 'observed'={}m;;;0;{} \
         'breaches'={};;;0 'unknown'={unknown};;;0",
        verdicts.alarm_share * 100.0,
        verdicts.evidence.requests,
        verdicts.evidence.errors,
        verdicts.evidence.observed_min,
        window.length_min,
        counted(Verdict::Breach),
    );
    (text, code)
}

/// For programs.
pub fn document(verdicts: &Verdicts, window: &Window, advice: Option<&Recommendation>) -> Value {
    json!({
        "schema": "cutover/v1",
        "verdict": verdicts.level.word(),
        "before": verdicts.before.word(),
        "since": moment(verdicts.since_ms),
        "why": verdicts.why,
        "changed": verdicts.has_changed(),
        "blind": verdicts.is_blind(),
        "acceptance": verdicts.acceptance,
        "accepted": window.is_accepted,
        "evidence": verdicts.evidence,
        "unknownMin": verdicts.unknown_min,
        "windowMin": window.length_min,
        "begunAt": window.begun_at,
        "alarmShare": verdicts.alarm_share,
        "rules": verdicts.rules,
        "detectable": verdicts.honesty,
        "notes": verdicts.notes,
        "recommendation": advice,
        "armed": window.armed,
        "goingBackInS": left_s(window),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::accept::Evidence;
    use crate::judge::rules::{Rule, Standing};

    fn said(name: &str, verdict: Verdict, evidence: &str, has_changed: bool) -> Said {
        let rule = Rule { name: name.into(), level: Level::Hold, patience_s: 0, advice: "look at its log".into() };
        Said { rule, standing: Standing { verdict, evidence: evidence.into(), since_ms: 0 }, has_changed }
    }

    fn verdicts(level: Level, rules: Vec<Said>) -> Verdicts {
        Verdicts {
            level,
            before: Level::Ok,
            why: "services: backend is unhealthy".into(),
            since_ms: 1_769_126_400_000,
            rules,
            acceptance: Acceptance::TooEarly { minutes: 90 },
            evidence: Evidence { observed_min: 10, requests: 60, errors: 1 },
            unknown_min: 2,
            alarm_share: 0.1,
            honesty: "honest".into(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn one_line_says_what_since_when_how_bad_and_what_to_do() {
        let rules = vec![
            said("services", Verdict::Breach, "backend is unhealthy", true),
            said("disk", Verdict::Ok, "9 GiB", false),
        ];
        assert_eq!(
            line(&verdicts(Level::Hold, rules), "production"),
            "cutover production: HOLD since 2026-01-23 00:00 UTC (was OK): services: backend is unhealthy; services breach: \
             backend is unhealthy (to do: look at its log)"
        );
    }

    #[test]
    fn the_time_that_is_left_to_stop_it_stands_first() {
        let now = crate::watch::window::Now { wall_ms: 0, boot_ms: 1000, boot: "a".into() };
        let terms = crate::judge::cusum::Terms::new(0.01, 0.05, 0);
        let mut window = Window::begin(now.clone(), String::new(), 60, terms, None);
        let verdicts = verdicts(Level::RollbackRecommended, Vec::new());
        assert!(document(&verdicts, &window, None)["goingBackInS"].is_null());
        window.going_back = Some(crate::watch::window::Until::after(&now, 120));
        window.now.boot_ms += 24_000;
        assert_eq!(document(&verdicts, &window, None)["goingBackInS"], 96);
        let said = status(&verdicts, &window);
        assert!(said.starts_with("going back by itself in 96 s; ROLLBACK-RECOMMENDED since "), "{said}");
    }

    #[test]
    fn a_verdict_says_how_much_calm_it_takes_to_leave_it() {
        let now = crate::watch::window::Now { wall_ms: 0, boot_ms: 0, boot: String::new() };
        let window = Window::begin(now, String::new(), 1440, crate::judge::cusum::Terms::new(0.01, 0.05, 0), None);
        let said = |level| text(&verdicts(level, Vec::new()), &window, None);
        assert!(
            said(Level::Hold).contains("\n  HOLD is left after 30 min more of observed calm\n"),
            "{}",
            said(Level::Hold)
        );
        assert!(!said(Level::Ok).contains("calm"));
    }

    #[test]
    fn one_cause_that_blinds_many_rules_is_told_once_and_many_changes_are_cut_with_their_number() {
        let why = "cannot ask Prometheus at http://127.0.0.1:9090: connection refused";
        let mut rules: Vec<Said> =
            (0..50).map(|one| said(&format!("rule {one}"), Verdict::CannotAsk, why, true)).collect();
        rules.push(said("services", Verdict::Breach, "backend is unhealthy", true));
        rules.push(said("errors", Verdict::CannotAsk, why, true));
        let mut verdicts = verdicts(Level::Ok, rules);
        assert_eq!(
            line(&verdicts, "production"),
            format!(
                "cutover production: OK as far as is known; services breach: backend is unhealthy (to do: look at its log); \
                 rule 0 and 50 other rules cannot ask: {why}"
            )
        );
        verdicts.rules.iter_mut().for_each(|said| said.standing.verdict = Verdict::Ok);
        let line = line(&verdicts, "production");
        assert!(
            line.starts_with("cutover production: OK; rule 0 ok: ") && line.ends_with("; 44 changes more"),
            "{line}"
        );
    }

    #[test]
    fn a_plugin_never_says_ok_when_the_errors_cannot_be_judged() {
        let now = crate::watch::window::Now { wall_ms: 0, boot_ms: 0, boot: String::new() };
        let terms = crate::judge::cusum::Terms::new(0.01, 0.05, 0);
        let window = Window::begin(now, String::new(), 1440, terms, None);
        let code = |level, verdict| nagios(&verdicts(level, vec![said("errors", verdict, "?", false)]), &window).1;
        assert_eq!(code(Level::Ok, Verdict::Ok), 0);
        assert_eq!(code(Level::Ok, Verdict::CannotAsk), 3);
        assert_eq!(code(Level::Ok, Verdict::NoData), 3);
        let outage = verdicts(
            Level::Ok,
            vec![said("errors", Verdict::Ok, "1 of 60", false), said("outage", Verdict::NoData, "?", false)],
        );
        assert_eq!(nagios(&outage, &window).1, 3, "what the route says is not known either");
        let disk = verdicts(Level::Ok, vec![said("disk state", Verdict::CannotAsk, "?", false)]);
        assert_eq!(nagios(&disk, &window).1, 0, "another rule does not blind it");
        assert_eq!(code(Level::Watch, Verdict::Ok), 1);
        assert_eq!(code(Level::Hold, Verdict::CannotAsk), 2);
    }
}
