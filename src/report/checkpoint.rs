//! A checkpoint for people and for programs: what was built, what the gates saw, what a person has to say, what is missing.

use serde_json::{Value, json};

use super::SCHEMA;
use super::style::{Mark, Paint, Style};
use super::text::{hang, harmless, lead, next_text, short_ids};
use crate::journal::{Approved, RunState, Waiting};
use crate::step::checkpoint::Shown;

/// What a waiting run shows; nothing where it does not wait, or a newer version wrote it.
pub fn shown(run: &RunState) -> Option<Shown> {
    let Waiting { item, shown, .. } = run.waiting.as_ref()?;
    let mut shown: Shown = serde_json::from_value(shown.clone()).ok()?;
    // What was shown stands as it was seen then; approvals came since. Whether they still count is asked by `resume`.
    let is_for_this = |one: &&Approved| one.given.item == *item && one.given.evidence_hash == shown.evidence_hash;
    let mut given: Vec<&str> = run.approvals.iter().filter(is_for_this).map(|one| one.given.user.as_str()).collect();
    given.sort_unstable();
    given.dedup();
    let (before, now) = (shown.wanted(&[]), shown.wanted(&given));
    shown.missing.retain(|one| Some(one) != before.as_ref());
    shown.missing.extend(now);
    Some(shown)
}

/// Where a run stands that waits, in words.
pub fn stands(shown: &Shown) -> String {
    match shown.missing.as_slice() {
        [] => format!("at a checkpoint, {:?} was given", shown.signal),
        missing => format!("at a checkpoint, missing: {}", missing.join("; ")),
    }
}

/// The next commands at a checkpoint.
pub fn next(run: &RunState, shown: &Shown) -> Vec<(String, String)> {
    let signal = if shown.signal.contains(' ') { format!("{:?}", shown.signal) } else { shown.signal.clone() };
    let names: Vec<&str> = shown.statements.iter().map(|one| one.name.as_str()).collect();
    let confirms = if names.is_empty() { String::new() } else { format!(" --confirms {}", names.join(",")) };
    let back = ("cutover rollback".to_owned(), format!("undo run {}", run.number));
    if shown.missing.is_empty() {
        return vec![("cutover resume".to_owned(), "ask the gates once more, and go on".to_owned()), back];
    }
    vec![
        (format!("cutover approve {signal}{confirms}"), "once all of it is true".to_owned()),
        ("cutover resume".to_owned(), "ask again, and go on where it is approved".to_owned()),
        back,
    ]
}

/// The checkpoint as a page.
pub fn shown_text(shown: &Shown, style: &Style) -> String {
    let mut out = String::new();
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            out.push_str(&format!("{}\n{body}", style.paint(Paint::Strong, title)));
        }
    };
    let built = shown.built.as_deref().unwrap_or_default().trim();
    section("What was built", built.lines().map(|line| hang("  ", &harmless(line), style.width)).collect());
    let done = shown.done.iter().map(|(name, said)| {
        hang(
            &format!("  {} ", style.painted(Mark::Done)),
            &short_ids(&harmless(&format!("{name}: {said}"))),
            style.width,
        )
    });
    section("What was done", done.collect());
    let gates = shown.gates.iter().map(|gate| {
        let mark = match gate.answer.as_str() {
            "passed" => Mark::Done,
            "refused" => Mark::Failed,
            _ => Mark::Asks,
        };
        let words = short_ids(&harmless(&format!("{}: {}: {}", gate.name, gate.title, gate.words)));
        hang(&format!("  {} ", style.painted(mark)), &words, style.width)
    });
    section("What the gates saw", gates.collect());
    let statements = shown.statements.iter().map(|one| {
        let words = harmless(&format!("{}: {}", one.name, one.words));
        hang(&format!("  {} ", style.painted(Mark::Asks)), &words, style.width)
    });
    section("What a person confirms", statements.collect());
    section("What is missing", shown.missing.iter().map(|one| hang("  ", &harmless(one), style.width)).collect());
    let hash = shown.evidence_hash.get(..12).unwrap_or(&shown.evidence_hash);
    out.push_str(&style.lines(Paint::Faint, &format!("evidence {hash}"), 0));
    out
}

/// The last words of a run that waits.
pub fn waiting_text(run: &RunState, style: &Style) -> String {
    let Some(shown) = shown(run) else { return "WAITING: for an approval\n".to_owned() };
    let head = format!("{}: ", style.paint(Paint::Live, "WAITING"));
    let sentence = format!("run {} stands at a checkpoint, for the signal {:?}", run.number, shown.signal);
    let mut out = lead(&head, &harmless(&sentence), 2, style.width);
    out.push_str(&shown_text(&shown, style));
    out.push_str(&next_text(&next(run, &shown), style));
    out
}

/// The same for programs.
pub fn waiting_json(run: &RunState) -> Value {
    let shown = shown(run);
    json!({
        "schema": SCHEMA,
        "run": run.number,
        "kind": run.kind,
        "outcome": "waiting",
        "plan_hash": run.header.as_ref().map(|header| &header.plan_hash),
        "checkpoint": shown,
        "since": run.waiting.as_ref().map(|waiting| &waiting.since),
        "approvals": run.approvals.iter().map(|one| json!({
            "at": one.at, "user": one.given.user, "host": one.given.host, "note": one.note,
            "evidence_hash": one.given.evidence_hash, "confirmed": one.given.confirmed,
        })).collect::<Vec<_>>(),
        "next": shown.map(|shown| next(run, &shown).into_iter().map(|(command, _)| command).collect::<Vec<_>>()),
    })
}
