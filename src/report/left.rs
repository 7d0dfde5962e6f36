//! What a rollback leaves to somebody although it went as it should: a target that takes no writes, names that caches remember,
//! files. Every word comes from the journals.

use serde_json::Value;

use super::planned::{act, releases, text_of};
use crate::journal::{ItemState, Outcome, RunState, Standing};
use crate::step::RunKind;

/// What a rollback leaves as it must be, and what somebody has to know of it: a target that takes no writes, names that caches
/// still remember.
pub(super) fn left_over(run: &RunState) -> Vec<(&'static str, String)> {
    let mut left = Vec::new();
    if run.kind != RunKind::Rollback.word() {
        return left;
    }
    for (index, item) in run.items.iter().enumerate().filter(|(_, item)| item.standing == Standing::Done) {
        if act(run, index) == "freeze_source" && !item.back {
            let place = text_of(run, index, "/place").unwrap_or("the target");
            let words = format!(
                "{place} refuses writes from now on, so that there is one writer; before rows are moved there again: cutover \
                 data unfreeze --of target"
            );
            left.push(("operator", words));
        }
        let until = item.data.get("old_until").and_then(Value::as_i64).filter(|_| act(run, index) == "expect_dns");
        if let Some(until) = until.and_then(|until| jiff::Timestamp::from_second(until).ok()) {
            let until = until.strftime("%F %H:%M:%S UTC");
            let words = format!(
                "caches may remember the records that were taken back until {until}: until then some people are still led \
                 to the new side"
            );
            left.push(("DNS owner", words));
        }
    }
    left
}

/// Password hashes that the export of the undone run has left in a file.
pub(super) fn left_of_export(undone: &RunState) -> Option<(&'static str, String)> {
    let notes = |item: &ItemState| item.data.pointer("/moved/notes").and_then(Value::as_array).cloned();
    let notes = undone.items.iter().filter_map(notes).flatten();
    let found =
        notes.into_iter().find_map(|note| note.as_str().filter(|note| note.contains(PURGE)).map(str::to_owned))?;
    Some(("operator", format!("the export of run {} stays: {found}", undone.number)))
}

/// The command that an export names where it has left password hashes.
const PURGE: &str = "cutover data purge";

/// The compose files and `.env` are a person's: no way back changes them, and the next deploy does what they say.
pub(super) fn left_in_files(run: &RunState) -> Option<(&'static str, String)> {
    let has_services = run.plan.get("services").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let is_done = run.kind == RunKind::Rollback.word() && matches!(run.outcome, Some((Outcome::Done, _)));
    let from = releases(run).0.filter(|_| is_done && has_services)?;
    let words = format!(
        "the compose files and their .env were not changed and may still ask for what r{from} ran: put them right before \
         the next `cutover deploy`, or it brings that up again"
    );
    Some(("developer", words))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::journal::Fact;
    use crate::report::manifest::manifest;
    use crate::report::sample;

    #[test]
    fn what_a_rollback_leaves_closed_remembered_or_lying_about_has_somebody_who_minds_it() {
        let mut undone = sample::run(&sample::entries(sample::well(&sample::keeping())));
        undone.items[1].data = json!({ "moved": { "tables": [], "seconds": 1.0, "notes": ["100 users are in auth_users.json",
            "password hashes are in auth_secrets.json; remove them once the accounts are made: cutover data purge"] } });
        let plan = sample::keeping();
        let mut facts = vec![sample::planned(&plan)];
        facts.extend(sample::done(&plan, 1, "it refuses every write", Value::Null));
        facts.extend(sample::done(&plan, 2, "authority 1/1", json!({ "old_until": 1_795_266_541 })));
        facts.push(Fact::Finished { outcome: Outcome::Done, exit: 0, said: String::new() });
        let mut entries = sample::entries(facts);
        let Fact::Planned { plan, .. } = &mut entries[0].fact else { panic!("the head comes first") };
        plan["items"][1]["action"] = json!({ "act": "freeze_source", "place": "app@db2/fresh" });
        plan["items"][2]["action"] = json!({ "act": "expect_dns" });
        plan["services"] = json!([]);
        let mut run = sample::run(&entries);
        run.kind = "rollback".into();
        let value = manifest(&run, &entries, Some(&undone));
        let left: Vec<(&str, &str)> = value["remaining"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["who"].as_str().unwrap(), one["what"].as_str().unwrap()))
            .collect();
        assert_eq!(
            left,
            [
                (
                    "operator",
                    "app@db2/fresh refuses writes from now on, so that there is one writer; before rows are moved there \
                     again: cutover data unfreeze --of target"
                ),
                (
                    "DNS owner",
                    "caches may remember the records that were taken back until 2026-11-21 13:09:01 UTC: until then some \
                     people are still led to the new side"
                ),
                (
                    "operator",
                    "the export of run 7 stays: password hashes are in auth_secrets.json; remove them once the accounts are \
                     made: cutover data purge"
                ),
            ]
        );
    }
}
