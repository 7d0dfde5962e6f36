//! What a journal's plan says, read leniently: a plan that an older or newer version wrote must still be told.

use serde_json::Value;

use crate::journal::{ItemState, RunState, Standing};

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
    act(run, item).starts_with("expect_")
}

/// A text anywhere in the plan of an item.
pub fn text_of<'a>(run: &'a RunState, item: usize, pointer: &str) -> Option<&'a str> {
    run.plan.pointer(&format!("/items/{item}/action{pointer}")).and_then(Value::as_str)
}

/// Release before and after, as the plan names them.
pub fn releases(run: &RunState) -> (Option<u32>, Option<u32>) {
    let number = |key: &str| run.plan.get(key).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    (number("release_from"), number("release_to"))
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

/// Items with their index that stand so.
pub fn standing(run: &RunState, wanted: impl Fn(&ItemState) -> bool) -> Vec<(usize, &ItemState)> {
    run.items.iter().enumerate().filter(|(_, item)| wanted(item)).collect()
}

/// Time that the items took together, where the journal tells it.
pub fn took(run: &RunState) -> std::time::Duration {
    std::time::Duration::from_millis(run.items.iter().map(|item| item.took_ms).sum())
}

/// How far an item came, in a word.
pub fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Waiting => "waiting",
        Standing::Started => "started",
        Standing::Done => "done",
        Standing::Failed => "failed",
        Standing::Undoing => "undoing",
        Standing::Undone => "undone",
        Standing::Stays => "stays",
    }
}
