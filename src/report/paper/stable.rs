//! The watched window, from the file that the watcher keeps. Read leniently: a newer watcher may know more.

use serde_json::Value;

use super::moves::{number, text};
use super::{Stabilization, Tone};
use crate::journal::RunState;

/// The same for a run; nothing where the window was begun for another one. What a run watched itself is its own, whatever
/// an older watcher took to be the watched run.
pub fn of_run(window: &Value, run: &RunState) -> Option<Stabilization> {
    let begun_at = text(window, "/begun_at").unwrap_or_default();
    // Times of one shape compare as texts.
    let is_within = run.times.as_ref().is_some_and(|(first, last)| *first <= begun_at && begun_at <= *last);
    (is_within || number(window, "/run") == Some(u64::from(run.number))).then(|| of(window)).flatten()
}

/// What the window says.
pub fn of(window: &Value) -> Option<Stabilization> {
    let level = text(window, "/ladder/level")?;
    let is_accepted = window.get("is_accepted") == Some(&Value::Bool(true));
    let tone = match level.as_str() {
        "ok" => Tone::Good,
        "watch" => Tone::Careful,
        _ => Tone::Bad,
    };
    let count = |pointer: &str| number(window, pointer).unwrap_or(0);
    Some(Stabilization {
        tone,
        why: text(window, "/ladder/why").unwrap_or_default(),
        level: level.to_uppercase(),
        is_accepted,
        begun_at: text(window, "/begun_at").unwrap_or_default(),
        minutes: (count("/evidence/observed_min"), count("/length_min"), count("/unknown_min")),
        requests: (count("/evidence/requests"), count("/evidence/errors")),
        trail: read(window, "trail"),
        levels: read(window, "levels"),
        rules: rules(window),
    })
}

/// A list of the window; one of another shape is none.
fn read<T: serde::de::DeserializeOwned>(window: &Value, key: &str) -> Vec<T> {
    let list = window.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|one| serde_json::from_value(one.clone()).ok()).collect()
}

fn rules(window: &Value) -> Vec<(String, String, String)> {
    let rules = window.get("rules").and_then(Value::as_object);
    let of = |(name, rule): (&String, &Value)| {
        let verdict = text(rule, "/verdict").unwrap_or_default().replace('_', " ");
        (name.clone(), verdict, text(rule, "/evidence").unwrap_or_default())
    };
    rules.into_iter().flatten().map(of).collect()
}
