//! How old the youngest proof is that what the target holds can be had again: a backup, an export, or a file of changes
//! that is still there, whole. Read from the journals; what cannot be read counts for nothing.

use std::path::Path;

use anyhow::{Context, Result};

use crate::journal::ItemState;
use crate::journal::runs::{self, RunFile, side_directory};
use crate::journal::state::Standing;
use crate::run::begin::plan_of;
use crate::step::{Act, RunTag, World};

/// Runs that are looked at, from the newest on.
const LATEST: usize = 20;

/// Age of the youngest one, seconds; `now_ms` is Unix time, `target` the database that people write to, where there is one.
///
/// # Errors
/// When the runs cannot be listed.
pub fn age_s(state: &Path, target: Option<&str>, now_ms: i64) -> Result<Option<u64>> {
    let directory = state.join("runs");
    let files = runs::list(&directory).context("cannot list the runs")?;
    let ages = files.iter().rev().take(LATEST).filter_map(|file| youngest(&directory, file, target, now_ms));
    Ok(ages.min())
}

fn youngest(directory: &Path, file: &RunFile, target: Option<&str>, now_ms: i64) -> Option<u64> {
    let run = file.state().ok()?;
    let plan = plan_of(&run).ok()?;
    let tag = RunTag { number: run.number, epoch: run.epoch, side: side_directory(directory, run.number) };
    let is_whole = |act: &Act| matches!(check(act, target, &tag), Some(Ok(World::After(_))));
    let done = |item: &&ItemState| item.standing == Standing::Done && !item.already;
    let pairs = run.items.iter().zip(&plan.items).filter(|(item, _)| done(item));
    pairs.filter(|(_, planned)| is_whole(&planned.action)).filter_map(|(item, _)| since(item, now_ms)).min()
}

/// Whether an act has brought about such a proof, of what people write to.
fn check(act: &Act, target: Option<&str>, tag: &RunTag) -> Option<Result<World>> {
    match act {
        Act::ExportDatabase(step) => Some(step.check(tag)),
        Act::BackUpDatabase(step) => Some(step.check(tag)),
        Act::CreateBackup(step) if target == Some(step.place.as_str()) => Some(step.check()),
        // What is given up is done, too, and nothing of it can be had again.
        Act::SaveChanges(step) if !step.is_given_up && target == Some(step.compared.target.as_str()) => {
            Some(step.check(tag))
        }
        _ => None,
    }
}

/// Seconds since it was begun: it holds nothing that was written later. A begin in the future says that a clock is wrong.
fn since(item: &ItemState, now_ms: i64) -> Option<u64> {
    let (first, _) = item.times.as_ref()?;
    let begun: jiff::Timestamp = first.parse().ok()?;
    u64::try_from((now_ms - begun.as_millisecond()) / 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::change_file::{Head, Writer};
    use crate::journal::entry::Header;
    use crate::journal::{Fact, Journal};
    use crate::step::compared::{Against, Compared};
    use crate::step::plan::{Item, Plan, RunKind};
    use crate::step::save_changes::SaveChanges;

    const TARGET: &str = "app@db:5432/app";

    /// A host on which run 4 has saved, or given up, what was written to the target, a minute ago; the file is whole.
    fn after_saving(is_given_up: bool) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("exports/0004-changes");
        std::fs::create_dir_all(&place).unwrap();
        let mut head = Head { target: TARGET.into(), ..Head::default() };
        let (lines, first) = Writer::new(Vec::new()).finish(&mut head).unwrap();
        std::fs::write(place.join(crate::rows::diff::FILE), [first, lines].concat()).unwrap();
        let compared = Compared {
            against: Against::Place("old@db:5432/app".into()),
            target: TARGET.into(),
            include: Vec::new(),
            exclude: Vec::new(),
            tables: Vec::new(),
            user_columns: Default::default(),
            unmapped: Default::default(),
            users_table: String::new(),
            mapping: None,
            workers: 1,
        };
        let directory = home.path().join("exports");
        let step = SaveChanges { compared, sidecars: None, directory, is_given_up, is_narrowed: false, still: None };
        let name = "save_changes".to_owned();
        let item = Item { name: name.clone(), title: String::new(), back: false, action: Act::SaveChanges(step) };
        let plan = Plan { rolls_back: false, items: vec![item], ..Plan::empty(RunKind::Rollback, "", "") };
        let runs = home.path().join("runs");
        std::fs::create_dir(&runs).unwrap();
        let path = runs::journal_path(&runs, 4, "rollback");
        let mut journal = Journal::create(&path, "boot".into(), || "2026-01-02T12:05:00.000Z".into()).unwrap();
        let header = Header::of_test(4, "rollback");
        journal.append(Fact::Planned { header, plan: serde_json::to_value(plan).unwrap() }).unwrap();
        journal.append(Fact::Started { item: 0, name: name.clone() }).unwrap();
        let done = Fact::Done {
            item: 0,
            name,
            seen: String::new(),
            already: false,
            took_ms: 0,
            data: serde_json::Value::Null,
        };
        journal.append(done).unwrap();
        home
    }

    /// A minute after that.
    const NOW_MS: i64 = 1_767_355_560_000;

    #[test]
    fn what_was_saved_can_be_had_again_and_what_was_given_up_cannot() {
        let age = |home: &tempfile::TempDir, target| age_s(home.path(), target, NOW_MS).unwrap();
        let saved = after_saving(false);
        assert_eq!(age(&saved, Some(TARGET)), Some(60));
        assert_eq!(age(&saved, Some("app@db:5432/other")), None, "changes of another database");
        assert_eq!(age(&after_saving(true), Some(TARGET)), None, "given up is no export");
        std::fs::write(saved.path().join("exports/0004-changes").join(crate::rows::diff::FILE), "{").unwrap();
        assert_eq!(age(&saved, Some(TARGET)), None, "a file that is not whole counts for nothing");
    }
}
