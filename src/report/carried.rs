//! What a rollback did about the rows that were written to a target since it was filled. Every word comes from the journal.

use serde_json::{Value, json};

use super::manifest::evidence;
use super::planned::act;
use crate::data::plural::counted;
use crate::journal::{RunState, Standing};

/// How many accounts are named.
const NAMED: usize = 5;

/// What was written to a target since it was filled: how much, where it is kept, and whether the source has it.
pub fn carried_back(run: &RunState) -> Value {
    let of = |kind: &str| (0..run.items.len()).find(|index| act(run, *index) == kind).map(|index| &run.items[index]);
    let Some(saved) = of("save_changes") else { return Value::Null };
    let applied = of("apply_changes");
    let counted = |key: &str| saved.data.get(key).cloned().unwrap_or_default();
    json!({
        "saved": saved.standing == Standing::Done && !is_given_up(run),
        "seen": saved.said,
        "inserted": counted("inserted"), "updated": counted("updated"), "deleted": counted("deleted"),
        "sha256": counted("sha256"), "tables": counted("tables"),
        "applied": applied.is_some_and(|item| item.standing == Standing::Done),
        "proof": applied.map(|item| &item.said),
        "kept_accounts": applied.and_then(|item| item.data.get("keptAccounts")),
        "left_aside": applied.and_then(|item| item.data.get("aside")),
        "not_in_the_baseline": saved.data.get("notInTheBaseline"),
    })
}

/// The same as lines of a page.
pub fn carried_lines(carried: &Value) -> Vec<String> {
    if carried.is_null() {
        return Vec::new();
    }
    let said = |key: &str| carried[key].as_str().unwrap_or_default().to_owned();
    let applied = if carried["applied"] == true { said("proof") } else { "not written to the source".to_owned() };
    vec![format!("saved: {}", said("seen")), format!("applied: {applied}")]
}

/// Whether the changes were given up at a person's wish.
pub fn is_given_up(run: &RunState) -> bool {
    let mut items = run.plan.get("items").and_then(Value::as_array).into_iter().flatten();
    items.any(|item| item.pointer("/action/is_given_up") == Some(&Value::Bool(true)))
}

/// The change file that is saved and not in the source.
pub fn kept_aside(run: &RunState) -> Option<String> {
    let carried = carried_back(run);
    let is_none = carried["seen"].as_str().is_some_and(|seen| seen.starts_with("no change"));
    let is_aside = carried["saved"] == true && carried["applied"] == false && !is_none;
    change_file(run).filter(|_| is_aside)
}

fn change_file(run: &RunState) -> Option<String> {
    let found = evidence(run).into_iter().find(|one| one["what"] == "changes")?;
    found["path"].as_str().map(str::to_owned)
}

/// The first of some names, with a sign that there are more.
fn named(names: &Value) -> String {
    let names: Vec<&str> = names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let more = if names.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", "))
}

/// What is left to do about those changes.
pub fn left_of_changes(run: &RunState) -> Vec<(&'static str, String)> {
    let mut left = Vec::new();
    if let Some(file) = kept_aside(run) {
        let words = format!("what was written to the target is saved and not in the source: cutover data apply {file}");
        left.push(("operator", words));
    }
    let carried = carried_back(run);
    if let Some(count) = carried["left_aside"]["changes"].as_u64().filter(|count| *count > 0) {
        let file = change_file(run).unwrap_or_else(|| "the change file".to_owned());
        let words = format!(
            "{} of accounts that the source does not have {} not in the source, for its foreign keys ask for them: {}; make \
             those users there with these ids, then: cutover data apply {file} --keep-new-accounts",
            counted(usize::try_from(count).unwrap_or(usize::MAX), "change"),
            if count == 1 { "is" } else { "are" },
            named(&carried["left_aside"]["accounts"])
        );
        left.push(("developer", words));
    }
    for table in carried["not_in_the_baseline"].as_array().into_iter().flatten() {
        let said = table["words"].as_str().unwrap_or_default();
        left.push(("developer", format!("{said}; the rows stay in the target")));
    }
    if let Some(accounts) = carried["kept_accounts"].as_array().filter(|accounts| !accounts.is_empty()) {
        let words = format!(
            "{} that the old service does not have: {}; make those users there",
            counted(accounts.len(), "id"),
            named(&carried["kept_accounts"])
        );
        left.push(("developer", words));
    }
    left
}
