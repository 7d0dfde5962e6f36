//! Names: which records were changed, and how authorities and caches looked, one moment after another.

use serde_json::Value;

use super::moves::{number, text};
use super::{NameSight, RecordChange, Tone};
use crate::journal::{Entry, Fact, RunState, Standing};
use crate::report::planned::act;

/// Records that were changed, or brought back.
pub fn records(run: &RunState) -> Vec<RecordChange> {
    let mut found = Vec::new();
    for (index, item) in run.items.iter().enumerate().filter(|(index, _)| act(run, *index) == "switch_dns") {
        if matches!(item.standing, Standing::Waiting) {
            continue;
        }
        let changes = run.plan.pointer(&format!("/items/{index}/action/changes")).and_then(Value::as_array);
        for change in changes.into_iter().flatten() {
            let about = [text(change, "/name"), text(change, "/kind")].map(Option::unwrap_or_default).join(" ");
            found.push(RecordChange {
                about,
                from: side(change.get("from")),
                to: side(change.get("to")),
                is_back: matches!(item.standing, Standing::Undone),
            });
        }
    }
    found
}

fn side(side: Option<&Value>) -> String {
    let values = side.and_then(|side| side.get("values"));
    let texts: Vec<String> = match values {
        Some(Value::Array(values)) => {
            values.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
    let ttl = side.and_then(|side| number(side, "/ttl")).map_or_else(String::new, |ttl| format!(" (TTL {ttl} s)"));
    if texts.is_empty() { "none".into() } else { format!("{}{ttl}", texts.join(", ")) }
}

/// Every answer about names, in the order of time.
pub fn sights(run: &RunState, entries: &[Entry]) -> Vec<NameSight> {
    let is_about_names = |item: usize| ["expect_dns", "expect_certificate", "switch_dns"].contains(&act(run, item));
    let mut found = Vec::new();
    for entry in entries {
        let (item, name, words, data, tone) = match &entry.fact {
            Fact::Done { item, name, seen, data, .. } => (*item, name, seen, data, Tone::Good),
            Fact::Observed { item, name, seen, data } => (*item, name, seen, data, Tone::Plain),
            Fact::Failed { item, name, why, unknown, .. } => {
                (*item, name, why, &Value::Null, if *unknown { Tone::Careful } else { Tone::Bad })
            }
            Fact::Undone { item, name, seen, .. } => (*item, name, seen, &Value::Null, Tone::Careful),
            _ => continue,
        };
        if !is_about_names(item) {
            continue;
        }
        let sight = |at: &str, data: &Value, words: &str, tone| NameSight {
            at: at.to_owned(),
            step: name.clone(),
            authority: count(data, "authority"),
            caches: count(data, "caches"),
            words: words.to_owned(),
            tone,
        };
        // The way there; its last picture is what the line itself tells.
        let trail = data.get("trail").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let before = trail.get(..trail.len().saturating_sub(1)).unwrap_or_default();
        found.extend(
            before.iter().filter_map(|one| Some(sight(one.get("at")?.as_str()?, one, "not there yet", Tone::Plain))),
        );
        found.push(sight(&entry.at, data, words, tone));
    }
    found
}

/// How many are right, and of how many.
fn count(data: &Value, key: &str) -> Option<(u64, u64)> {
    Some((number(data, &format!("/{key}/right"))?, number(data, &format!("/{key}/of"))?))
}
