//! The last words of a run: what happened, what changed, what is true now, the next command.
//!
//! Read by tired people: the first word is the verdict, and only success is called complete.

use serde_json::{Value, json};

use super::SCHEMA;
use super::changed::{changed, changes, deeds};
use super::planned::{act, cause, cause_line, is_gate, only_keeps, release_name, standing, took};
use super::status::next_text;
use super::style::{Paint, Style};
use super::text::{hang, harmless, lead, moment, short_ids};
use crate::adapter::clock::spoken;
use crate::journal::{Outcome, RunState, Standing};
use crate::step::{Plan, RunKind, ServiceChange};

/// The verdict, its sentence, and its paint. `outcome` is absent when the run was interrupted.
fn verdict(kind: RunKind, outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> (&'static str, String, Paint) {
    let after = release_name(plan.release_to);
    let before = before(plan);
    let place = format!("{} in {}", plan.project, plan.environment);
    let at = failed_at(run, outcome);
    let deed = match (&plan.deed, kind) {
        (Some(deed), _) => deed.clone(),
        (None, RunKind::Deploy) => format!("the deploy of {after}"),
        (None, _) => "the rollback".to_owned(),
    };
    match outcome {
        Some(Outcome::Done) if plan.deed.is_some() => {
            ("COMPLETE", format!("{deed} is done, and was seen to be"), Paint::Good)
        }
        Some(Outcome::Done) => ("COMPLETE", format!("{after} serves {place}"), Paint::Good),
        Some(Outcome::Unchanged) if run.failure.is_none() => (
            "GIVEN UP, NOTHING CHANGED",
            format!("{deed} was closed before it changed anything; {before} is as it was"),
            Paint::Careful,
        ),
        Some(Outcome::Unchanged) => {
            ("FAILED, NOTHING CHANGED", format!("{deed} failed{at}; {before} is as it was"), Paint::Careful)
        }
        Some(Outcome::RolledBack) => {
            let words = format!("{deed} failed{at} and was undone; {before} is back, and that was observed");
            ("FAILED AND ROLLED BACK", words, Paint::Careful)
        }
        Some(Outcome::Held) if run.is_failure_unknown => {
            let words =
                format!("{deed} could not be judged{at}; nothing was undone, {place} stands as it is until you decide");
            ("HELD, NOT KNOWN", words, Paint::Bad)
        }
        Some(Outcome::Held) => {
            let words = format!("{deed} failed{at}; nothing was undone, {place} stands half-way until you decide");
            ("FAILED AND HELD", words, Paint::Bad)
        }
        Some(Outcome::Stuck) => {
            let words = format!("the way back failed{at}; {place} is neither old nor new, and a person is needed now");
            ("STUCK", words, Paint::Bad)
        }
        None if !run.was_begun() => {
            ("INTERRUPTED", format!("{deed} stopped before its first step; nothing was changed"), Paint::Careful)
        }
        None => {
            let back = if run.is_going_back { " on its way back" } else { "" };
            let at = run.stopped_in().map_or_else(String::new, |item| format!(" in {}", item.name));
            let words = format!("{deed} stopped{back}{at}; {place} stands half-way until it is resumed or undone");
            ("INTERRUPTED", words, Paint::Bad)
        }
    }
}

/// The verdict and its sentence in one line, for whoever was not there.
pub fn headline(kind: RunKind, outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> String {
    let (word, sentence, _) = verdict(kind, outcome, run, plan);
    harmless(&format!("{word}: {sentence}"))
}

/// What is there again after a way back.
fn before(plan: &Plan) -> String {
    if plan.deed.is_some() { "all".into() } else { release_name(plan.release_from) }
}

fn failed_at(run: &RunState, outcome: Option<Outcome>) -> String {
    cause(run, outcome == Some(Outcome::Stuck)).map_or_else(String::new, |(name, _)| format!(" in {name}"))
}

/// What to type next, with what it does.
fn next(outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> Vec<(String, String)> {
    let before = release_name(plan.release_from);
    let history = (format!("cutover history {}", run.number), "what it did, step by step".to_owned());
    match outcome {
        Some(Outcome::Done) => {
            let mut next = vec![("cutover status".to_owned(), "how it is now".to_owned())];
            if plan.deed.is_some() && plan.kind != RunKind::Rollback {
                next.push(("cutover rollback".to_owned(), format!("undo run {}", run.number)));
            }
            if plan.kind == RunKind::Deploy && plan.release_from.is_some() {
                next.push(("cutover rollback".to_owned(), format!("go back to {before}")));
            }
            next
        }
        Some(Outcome::Unchanged | Outcome::RolledBack) => {
            let again = ("cutover deploy".to_owned(), "try again, once the cause is put right".to_owned());
            if plan.deed.is_some() { vec![history] } else { vec![history, again] }
        }
        Some(Outcome::Held) => vec![
            (
                "cutover resume".to_owned(),
                if run.is_failure_unknown { "ask again and go on" } else { "try the failed step again and go on" }
                    .to_owned(),
            ),
            ("cutover rollback".to_owned(), format!("undo run {}", run.number)),
        ],
        Some(Outcome::Stuck) => {
            vec![
                history,
                ("cutover resume".to_owned(), "go on with the way back once the cause is put right".to_owned()),
            ]
        }
        None if run.is_going_back => vec![("cutover resume".to_owned(), "finish the way back".to_owned())],
        None => vec![
            ("cutover resume".to_owned(), "go on where it stopped".to_owned()),
            ("cutover rollback".to_owned(), format!("undo run {}", run.number)),
        ],
    }
}

/// The last words.
pub fn result_text(kind: RunKind, outcome: Option<Outcome>, run: &RunState, plan: &Plan, style: &Style) -> String {
    let (word, sentence, paint) = verdict(kind, outcome, run, plan);
    let mut out = lead(&format!("{}: ", style.paint(paint, word)), &harmless(&sentence), 2, style.width);
    if outcome != Some(Outcome::Done) {
        out.push_str(&section(
            "Why",
            &cause_line(run, outcome == Some(Outcome::Stuck)).into_iter().collect::<Vec<_>>(),
            style,
        ));
    }
    // What is merely kept, such as images and backups, is told by `cutover history`.
    let stays = stays(run).into_iter().filter(|(act, ..)| !only_keeps(act));
    let stays: Vec<String> = stays.map(|(_, name, why)| format!("{name}: {why}")).collect();
    let changed = changed(outcome, run, plan);
    if changed.is_empty() {
        let words = match outcome {
            Some(Outcome::Done) if plan.deed.is_some() => deeds(run),
            Some(Outcome::Done) => vec!["no container was replaced".to_owned()],
            Some(Outcome::Unchanged) => vec!["nothing that serves".to_owned()],
            Some(Outcome::RolledBack) if stays.is_empty() => vec!["nothing: all of it was undone".to_owned()],
            Some(Outcome::RolledBack) => vec!["nothing but what stays; the rest was undone".to_owned()],
            _ => Vec::new(),
        };
        out.push_str(&section("What changed", &words, style));
    } else {
        out.push_str(&format!("{}\n{}", style.paint(Paint::Strong, "What changed"), changes(&changed, style)));
    }
    out.push_str(&section("What stays", &stays, style));
    out.push_str(&section("What is half-way", &half_way(outcome, run), style));
    out.push_str(&section("What is true now", &truths(outcome, run, plan), style));
    out.push_str(&times(outcome, run, style));
    out.push_str(&next_text(&next(outcome, run, plan), style));
    out
}

fn times(outcome: Option<Outcome>, run: &RunState, style: &Style) -> String {
    let verb = if outcome.is_some() { "ended" } else { "stopped" };
    let ended = run.times.as_ref().map_or_else(String::new, |(_, last)| format!(", {verb} {}", moment(last)));
    let words = format!("run {}: its steps took {}{ended}", run.number, spoken(took(run)));
    let painted = |line: &str| style.paint(Paint::Faint, line) + "\n";
    lead("", &words, 2, style.width).lines().map(painted).collect()
}

fn section(title: &str, lines: &[String], style: &Style) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let body: String = lines.iter().map(|line| hang("  ", &short_ids(&harmless(line)), style.width)).collect();
    format!("{}\n{body}", style.paint(Paint::Strong, title))
}

/// Act, name and reason of what stays.
fn stays(run: &RunState) -> Vec<(&str, &str, &str)> {
    let stays = standing(run, |item| item.standing == Standing::Stays);
    stays.into_iter().map(|(index, item)| (act(run, index), item.name.as_str(), item.said.as_str())).collect()
}

/// Items whose effect is there or not: nobody has looked since.
fn half_way(outcome: Option<Outcome>, run: &RunState) -> Vec<String> {
    if !matches!(outcome, None | Some(Outcome::Held | Outcome::Stuck)) {
        return Vec::new();
    }
    let open = |item: &crate::journal::ItemState| {
        matches!(item.standing, Standing::Started | Standing::Failed | Standing::Undoing)
    };
    let words = |(index, item): (usize, &crate::journal::ItemState)| {
        let state = match item.standing {
            Standing::Undoing => "its undoing was begun, its end was not seen",
            Standing::Failed => "failed; how far it came was not seen",
            _ => "was begun, its end was not seen",
        };
        (!is_gate(run, index)).then(|| format!("{}: {state}", item.name))
    };
    standing(run, open).into_iter().filter_map(words).collect()
}

fn current_release(plan: &Plan) -> Option<String> {
    plan.deed.is_none().then(|| format!("current release: {}", release_name(plan.release_from)))
}

/// What was seen last and still counts.
fn truths(outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    match outcome {
        Some(Outcome::Done) => {
            if let Some(number) = plan.release_to {
                lines.push(format!("current release: r{number}"));
            }
            let gates = standing(run, |item| item.standing == Standing::Done);
            let gates = gates.into_iter().filter(|(index, _)| is_gate(run, *index));
            lines.extend(gates.map(|(_, item)| item.said.clone()).filter(|said| !said.is_empty()));
        }
        Some(Outcome::RolledBack) => {
            lines.extend(current_release(plan));
            // Each round of proofs begins with the first gate; the last round is the one that passed.
            let first = plan.home.first().map(|gate| format!("{}: ", gate.name)).unwrap_or_default();
            let round = run.notes.iter().rposition(|(_, text)| !first.is_empty() && text.starts_with(&first));
            let heads: Vec<String> = plan.home.iter().map(|gate| format!("{}: ", gate.name)).collect();
            let notes = round.map_or(&[][..], |at| &run.notes[at..]);
            lines.extend(notes.iter().filter_map(|(_, text)| {
                heads.iter().find_map(|head| text.strip_prefix(head.as_str())).map(str::to_owned)
            }));
        }
        Some(Outcome::Unchanged) => lines.extend(current_release(plan)),
        Some(Outcome::Held | Outcome::Stuck) | None => {
            lines.push("not known: nobody has looked since; `cutover status` looks".into());
        }
    }
    lines
}

/// The last words for programs.
pub fn result_json(kind: RunKind, outcome: Option<Outcome>, run: &RunState, plan: &Plan) -> Value {
    let (_, words, _) = verdict(kind, outcome, run, plan);
    let change = |(service, now): (&ServiceChange, Option<String>)| {
        json!({
            "service": service.service,
            "change": service.change,
            "image_from": service.image_from,
            "image_to": now.or_else(|| service.image_to.clone()),
        })
    };
    let current = match outcome {
        Some(Outcome::Done) => plan.release_to,
        Some(Outcome::Unchanged | Outcome::RolledBack) => plan.release_from,
        _ => None,
    };
    json!({
        "schema": SCHEMA,
        "run": run.number,
        "kind": kind,
        "outcome": outcome.map_or_else(|| "interrupted".into(), |outcome| serde_json::to_value(outcome).unwrap_or_default()),
        "words": words,
        "failure": cause(run, outcome == Some(Outcome::Stuck)).map(|(item, why)| json!({ "item": item, "why": why })),
        "changed": changed(outcome, run, plan).into_iter().map(change).collect::<Vec<_>>(),
        "stays": stays(run).into_iter().map(|(_, name, why)| json!({ "item": name, "why": why })).collect::<Vec<_>>(),
        "half_way": half_way(outcome, run),
        "release": current,
        "truths": truths(outcome, run, plan),
        "took_ms": u64::try_from(took(run).as_millis()).unwrap_or(u64::MAX),
        "next": next(outcome, run, plan).into_iter().map(|(command, _)| command).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Fact;
    use crate::report::sample;

    fn text(outcome: Option<Outcome>, facts: Vec<Fact>) -> String {
        let run = sample::run(&sample::entries(facts));
        result_text(RunKind::Deploy, outcome, &run, &sample::keeping(), &Style::plain(80))
    }

    #[test]
    fn success_says_what_changed_what_is_true_and_the_next_command() {
        let expected = "\
COMPLETE: r3 serves shop in production
What changed
  backend  replaced  aaaaaaaaaaaa → dddddddddddd
What is true now
  current release: r3
  healthy for 10.0 s: backend, worker
  http://127.0.0.1:3000/health answers as expected, 3 times in a row
run 7: its steps took 12.0 s, ended 2026-11-05 03:00:17 UTC
next: cutover status    how it is now
      cutover rollback  go back to r2
";
        // `worker` was built anew and came out as the same image, so it is not among what changed.
        assert_eq!(text(Some(Outcome::Done), sample::well(&sample::keeping())), expected);
    }

    #[test]
    fn a_rollback_by_itself_is_a_failure_first_and_names_what_stays() {
        let expected = "\
FAILED AND ROLLED BACK: the deploy of r3 failed in expect_services and was
  undone; r2 is back, and that was observed
Why
  expect_services (backend and worker are healthy for 10 s): backend exited with
  1
What changed
  nothing but what stays; the rest was undone
What stays
  migrate_schema: the schema stays as it was migrated, no row is lost
What is true now
  current release: r2
  healthy for 10.0 s: backend, worker
  answers as expected, 3 times in a row
run 7: its steps took 7.5 s, ended 2026-11-05 03:00:25 UTC
next: cutover history 7  what it did, step by step
      cutover deploy     try again, once the cause is put right
";
        assert_eq!(text(Some(Outcome::RolledBack), sample::rolled_back(&sample::keeping(), true)), expected);
    }

    #[test]
    fn a_way_back_that_could_not_be_proven_is_stuck_there_and_not_in_the_first_failure() {
        let mut facts = sample::rolled_back(&sample::keeping(), true);
        facts.pop();
        facts.pop();
        facts.push(Fact::Note { text: "home_health: status 502 instead of 200".into() });
        let text = text(Some(Outcome::Stuck), facts);
        assert!(text.starts_with("STUCK: the way back failed in home_health; shop in production is"), "{text}");
        assert!(text.contains("home_health (http://127.0.0.1:3000/health answers as expected): status 502"), "{text}");
        assert!(text.contains("next: cutover history 7"), "{text}");
    }

    #[test]
    fn an_interruption_names_where_it_stands_and_both_ways_on() {
        let mut facts = sample::half(&sample::keeping());
        facts.pop();
        let text = text(None, facts);
        assert!(text.starts_with("INTERRUPTED: the deploy of r3 stopped in start_services; "), "{text}");
        assert!(text.contains("  start_services: was begun, its end was not seen\n"), "{text}");
        assert!(text.contains("next: cutover resume    go on where it stopped\n      cutover rollback"), "{text}");
    }

    #[test]
    fn nothing_begun_is_nothing_changed() {
        let text = text(None, vec![sample::planned(&sample::keeping())]);
        assert!(text.starts_with("INTERRUPTED: the deploy of r3 stopped before its first step; nothing was changed\n"));
    }

    #[test]
    fn programs_get_the_same() {
        let plan = sample::keeping();
        let run = sample::run(&sample::entries(sample::well(&plan)));
        let value = result_json(RunKind::Deploy, Some(Outcome::Done), &run, &plan);
        assert_eq!(value["outcome"], "done");
        assert_eq!(value["release"], 3);
        assert_eq!(value["changed"][0]["image_to"], sample::image('d'));
        let interrupted = result_json(RunKind::Deploy, None, &run, &plan);
        assert_eq!((&interrupted["outcome"], &interrupted["release"]), (&"interrupted".into(), &Value::Null));
    }
}
