//! What a journal's plan says, read leniently: a plan that an older or newer version wrote must still be told.

use serde_json::Value;

use super::text::gist;
use crate::data::plural::counted;
use crate::journal::{ItemState, Outcome, RunState, Standing};
use crate::step::RunKind;

/// Title of an item for people; its name where the plan has none.
pub fn title(run: &RunState, item: usize) -> String {
    let titled = run.plan.pointer(&format!("/items/{item}/title")).and_then(Value::as_str);
    let name = || run.items.get(item).map_or_else(|| "proof of the old state".to_owned(), |state| state.name.clone());
    titled.map_or_else(name, str::to_owned)
}

/// What kind of act an item is, such as `start_services`.
pub fn act(run: &RunState, item: usize) -> &str {
    run.plan.pointer(&format!("/items/{item}/action/act")).and_then(Value::as_str).unwrap_or_default()
}

/// Whether an item only asks.
pub fn is_gate(run: &RunState, item: usize) -> bool {
    act(run, item).starts_with("expect_") || act(run, item) == "checkpoint"
}

/// A text anywhere in the plan of an item.
pub fn text_of<'a>(run: &'a RunState, item: usize, pointer: &str) -> Option<&'a str> {
    run.plan.pointer(&format!("/items/{item}/action{pointer}")).and_then(Value::as_str)
}

/// What a run is, in words: what it does where its plan says so, else its kind.
pub fn deed(run: &RunState) -> &str {
    run.plan.get("deed").and_then(Value::as_str).unwrap_or(&run.kind)
}

/// Release before and after, as the plan names them.
pub fn releases(run: &RunState) -> (Option<u32>, Option<u32>) {
    if found_at_work(run).is_some() {
        return (None, None);
    }
    let number = |key: &str| run.plan.get(key).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    (number("release_from"), number("release_to"))
}

/// The release that a deployment found at work already; it leads from nothing to nothing.
pub fn found_at_work(run: &RunState) -> Option<u64> {
    run.plan.get("release_from").and_then(Value::as_u64).filter(|_| run.is_nothing_new())
}

/// `r2`, or words where there is none.
pub fn release_name(release: Option<u32>) -> String {
    release.map_or_else(|| "what ran before".into(), |number| format!("r{number}"))
}

/// Names and titles of the gates that prove the old state.
pub fn home_gates(run: &RunState) -> Vec<(&str, &str)> {
    let home = run.plan.get("home").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    fn text<'a>(gate: &'a Value, key: &str) -> &'a str {
        gate.get(key).and_then(Value::as_str).unwrap_or("?")
    }
    home.iter().map(|gate| (text(gate, "name"), text(gate, "title"))).collect()
}

/// Whether an act only keeps something or fetches it: that it stays asks nothing of anybody.
pub fn only_keeps(act: &str) -> bool {
    const KEEPERS: [&str; 7] = [
        "pin_release",
        "pull_images",
        "build_images",
        "back_up_database",
        "create_backup",
        "save_incident",
        "export_database",
    ];
    KEEPERS.contains(&act)
}

/// Where a run failed, and why; of a run that is stuck, where its way back failed.
pub fn cause(run: &RunState, is_stuck: bool) -> Option<(String, String)> {
    let failed = run.failure.as_ref().and_then(|(index, why)| {
        let item = run.items.get(*index)?;
        let is_of_the_way_back = item.standing == Standing::Undoing || run.kind == RunKind::Rollback.word();
        (!is_stuck || is_of_the_way_back).then(|| (item.name.clone(), why.clone()))
    });
    // A proof of the old state that did not pass leaves a note, and no item failed.
    let unproven = || {
        let gates = home_gates(run);
        run.notes.iter().rev().find_map(|(_, text)| {
            let (name, seen) = text.split_once(": ")?;
            gates.iter().any(|(gate, _)| *gate == name).then(|| (name.to_owned(), seen.to_owned()))
        })
    };
    if is_stuck { failed.or_else(unproven) } else { failed }
}

/// The same as one line: name, title, and the gist of the cause.
pub fn cause_line(run: &RunState, is_stuck: bool) -> Option<String> {
    let (name, why) = cause(run, is_stuck)?;
    Some(titled(run, &name, &gist(&why)))
}

/// A cause behind the name and the title of what it happened in.
fn titled(run: &RunState, name: &str, first: &str) -> String {
    let index = run.items.iter().position(|item| item.name == name);
    let home = || home_gates(run).iter().find(|(gate, _)| *gate == name).map(|(_, title)| (*title).to_owned());
    let title = index.map(|index| title(run, index)).or_else(home).filter(|title| *title != name);
    title.map_or_else(|| format!("{name}: {first}"), |title| format!("{name} ({title}): {first}"))
}

/// The most lines of a cause at the end of a run.
const MOST_LINES: usize = 12;

/// The cause with as much of what stands behind its first line as is enough to act on: the end of a log, mostly.
pub fn cause_lines(run: &RunState, is_stuck: bool) -> Vec<String> {
    let Some((name, why)) = cause(run, is_stuck) else { return Vec::new() };
    let mut rest = why.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let first = rest.next().unwrap_or_default();
    let rest: Vec<&str> = rest.collect();
    let left_out = rest.len().saturating_sub(MOST_LINES);
    let mut lines = vec![titled(run, &name, &shorter(first))];
    if left_out > 0 {
        lines.push(format!("  … {} more: cutover history {}", counted(left_out, "line"), run.number));
    }
    lines.extend(rest.iter().skip(left_out).map(|line| format!("  {}", shorter(line))));
    lines
}

/// A line that is not endless.
pub fn shorter(line: &str) -> String {
    const WIDEST: usize = 400;
    match line.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line.to_owned(),
    }
}

/// Whether its journal says that the run is stuck.
pub fn is_stuck(run: &RunState) -> bool {
    matches!(run.outcome, Some((Outcome::Stuck, _)))
}

/// Items with their index that stand so.
pub fn standing(run: &RunState, wanted: impl Fn(&ItemState) -> bool) -> Vec<(usize, &ItemState)> {
    run.items.iter().enumerate().filter(|(_, item)| wanted(item)).collect()
}

/// Time that the items took together, where the journal tells it.
pub fn took(run: &RunState) -> std::time::Duration {
    std::time::Duration::from_millis(run.items.iter().map(|item| item.took_ms).sum())
}

/// How far an item came, in a word; what waits in a run that has its end was not reached.
pub fn word(standing: Standing, is_ended: bool) -> &'static str {
    match standing {
        Standing::Waiting if is_ended => "not reached",
        Standing::Waiting => "waiting",
        Standing::Started => "started",
        Standing::Done => "done",
        Standing::Failed => "failed",
        Standing::Undoing => "undoing",
        Standing::Undone => "undone",
        Standing::Stays => "stays",
    }
}
