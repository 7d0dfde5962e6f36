//! Going back: the exact command, what it costs and how long it takes; and what stands against the host doing it by itself.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::database::{WRITTEN_BEGIN, WRITTEN_NOW};
use super::window::{Now, Window};
use super::{exported, keep};
use crate::adapter::clock;
use crate::journal::entry::Fact;
use crate::journal::runs::RunFile;
use crate::journal::state::Standing;
use crate::journal::{Outcome, RunState, lock, runs};
use crate::judge::arm::Conditions;

/// What a person needs who decides at three in the morning.
#[derive(Clone, Debug, Serialize)]
pub struct Recommendation {
    /// The exact command.
    pub command: String,
    /// What is lost or carried back.
    pub cost: String,
    /// How long it takes, as far as the journal tells.
    pub takes: String,
}

/// Puts it together from the journal. `flags` are those that this program was called with.
///
/// # Errors
/// When the runs cannot be read.
pub fn recommend(state: &Path, flags: &str, window: &Window) -> Result<Recommendation> {
    let last = runs::last(&state.join("runs"))?;
    let command = match &last {
        Some(run) if run.is_open() => format!("cutover rollback{flags}    # run {} is still open", run.number),
        _ => format!("cutover rollback{flags}"),
    };
    let written = window.first(WRITTEN_BEGIN).zip(window.first(WRITTEN_NOW)).map(|((begin, _), (now, _))| now - begin);
    let cost = match written {
        Some(0) => "no row was written since the window began: nothing is lost".into(),
        Some(rows) if rows > 0 => format!(
            "{} written, changed or removed since the window began; the rollback exports the database first, and \
             `cutover data diff` and `cutover data apply` carry them back",
            if rows == 1 { "1 row was".to_owned() } else { format!("{rows} rows were") }
        ),
        _ => "how many rows were written since is not known; the rollback exports the database first".into(),
    };
    Ok(Recommendation { command, cost, takes: takes(state, last.as_ref())? })
}

fn takes(state: &Path, last: Option<&RunState>) -> Result<String> {
    for file in runs::list(&state.join("runs"))?.iter().rev() {
        if file.kind != "rollback" {
            continue;
        }
        let run = file.state()?;
        if matches!(run.outcome, Some((Outcome::Done | Outcome::RolledBack, _))) {
            return Ok(format!("about {}, as rollback {} took", spoken(&run), run.number));
        }
    }
    Ok(match last {
        Some(run) => format!("nobody went back on this host yet; run {} took {} on its way", run.number, spoken(run)),
        None => "not known: no run is written down here".into(),
    })
}

fn spoken(run: &RunState) -> String {
    let took: u64 = run.items.iter().map(|item| item.took_ms).sum();
    clock::spoken(std::time::Duration::from_millis(took))
}

/// What is known about going back by itself. `maintenance` is the file whose presence keeps everybody from writing,
/// `target` the database that people write to, where one is configured.
///
/// # Errors
/// When the journals or the lock cannot be read: then nothing goes back by itself.
pub fn conditions(
    state: &Path,
    window: &Window,
    now: &Now,
    maintenance: Option<&Path>,
    target: Option<&str>,
) -> Result<Conditions> {
    let directory = state.join("runs");
    let last = undone_first(&directory)?;
    let is_before_switch = match &last {
        Some(file) if file.kind == "cutover" => {
            let run = file.state()?;
            let switches: Vec<_> = run.items.iter().filter(|item| item.name.to_lowercase().contains("dns")).collect();
            let has_begun = switches.iter().any(|item| item.standing != Standing::Waiting);
            (!switches.is_empty()).then_some(!has_begun)
        }
        // A deployment switches no names: whether anything would be lost is for the other conditions to say.
        _ => None,
    };
    let is_final = |fact: &Fact| matches!(fact, Fact::Approval { signal, .. } if signal.starts_with("final"));
    let is_finalized = match &last {
        Some(file) => Some(file.entries()?.iter().any(|entry| is_final(&entry.fact))),
        None => None,
    };
    let is_rehearsed = runs::list(&directory)?
        .iter()
        .filter(|file| file.kind == "rehearsal")
        .any(|file| file.state().is_ok_and(|run| matches!(run.outcome, Some((Outcome::Done, _)))));
    Ok(Conditions {
        is_before_switch,
        armed_for_s: window.armed.as_ref().and_then(|armed| armed.until.left_s(now)),
        are_writes_gated: maintenance.map(Path::exists),
        export_age_s: exported::age_s(state, target, now.wall_ms)?,
        is_rehearsed: Some(is_rehearsed),
        is_finalized,
        is_held: keep::hold_file(state).exists(),
        is_locked: lock::held(state)?.is_some(),
    })
}

/// The run that a rollback would undo. What a rollback passes by says nothing of it: who only looked, what changed nothing, and
/// maintenance, which is often switched on around one.
fn undone_first(directory: &Path) -> Result<Option<RunFile>> {
    for file in runs::list(directory)?.into_iter().rev() {
        let run = file.state()?;
        let is_passed_by = match run.outcome {
            Some((Outcome::Unchanged, _)) => true,
            Some((Outcome::Done, _)) => run.kind == "maintenance" || run.is_nothing_new(),
            _ => false,
        };
        if !is_passed_by {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::arm::objections;
    use crate::judge::cusum::Terms;
    use crate::watch::window::{Armed, Until};

    fn window(now: &Now) -> Window {
        Window::begin(now.clone(), String::new(), 1440, Terms::new(0.01, 0.05, 0), None)
    }

    #[test]
    fn on_a_host_without_a_journal_much_stands_against_it() {
        let state = tempfile::tempdir().unwrap();
        let now = Now { wall_ms: 0, boot_ms: 0, boot: "a".into() };
        let mut window = window(&now);
        window.armed = Some(Armed { by: "me".into(), until: Until::after(&now, 7200) });
        let known = conditions(state.path(), &window, &now, None, None).unwrap();
        assert_eq!(known.armed_for_s, Some(7200));
        assert!(objections(&known).len() >= 2, "{:?}", objections(&known));
    }

    #[test]
    fn a_hold_file_and_a_maintenance_page_are_seen() {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("watch")).unwrap();
        std::fs::write(keep::hold_file(state.path()), "").unwrap();
        let now = Now { wall_ms: 0, boot_ms: 0, boot: "a".into() };
        let known = conditions(state.path(), &window(&now), &now, Some(state.path()), None).unwrap();
        assert!(known.is_held && known.are_writes_gated == Some(true));
    }

    /// A run's journal in the state directory: its kind, its items, and what happened.
    fn journal(state: &Path, number: u32, kind: &str, items: &[&str], facts: Vec<Fact>) {
        let directory = state.join("runs");
        std::fs::create_dir_all(&directory).unwrap();
        let path = runs::journal_path(&directory, number, kind);
        let mut journal = crate::journal::Journal::create(&path, "boot".into(), clock::now).unwrap();
        let header = crate::journal::entry::Header::of_test(number, kind);
        let items: Vec<_> = items.iter().map(|name| serde_json::json!({ "name": name })).collect();
        journal.append(Fact::Planned { header, plan: serde_json::json!({ "items": items }) }).unwrap();
        facts.into_iter().for_each(|fact| drop(journal.append(fact).unwrap()));
    }

    #[test]
    fn a_switch_that_has_begun_and_a_move_that_was_declared_final_are_seen_in_the_journal() {
        let now = Now { wall_ms: 0, boot_ms: 0, boot: "a".into() };
        let known = |items: &[&str], facts: Vec<Fact>| {
            let state = tempfile::tempdir().unwrap();
            journal(state.path(), 1, "cutover", items, facts);
            conditions(state.path(), &window(&now), &now, None, None).unwrap()
        };
        let started = |item| Fact::Started { item, name: String::new() };
        let both = ["freeze_source", "switch_dns"];
        assert_eq!(known(&both, vec![started(0)]).is_before_switch, Some(true));
        assert_eq!(known(&both, vec![started(0), started(1)]).is_before_switch, Some(false));
        assert_eq!(known(&both[..1], vec![started(0)]).is_before_switch, None, "there is no switch to be before");
        let approved = |signal: &str| {
            let approval = Fact::Approval { signal: signal.into(), by: "me".into(), note: String::new(), given: None };
            known(&both, vec![started(0), approval]).is_finalized
        };
        assert_eq!((approved("frozen"), approved("finalized")), (Some(false), Some(true)));
    }

    #[test]
    fn what_a_rollback_passes_by_does_not_hide_that_a_move_was_declared_final() {
        let now = Now { wall_ms: 0, boot_ms: 0, boot: "a".into() };
        let end = |outcome| Fact::Finished { outcome, exit: 0, said: String::new() };
        let is_finalized = |kind: &str, outcome| {
            let state = tempfile::tempdir().unwrap();
            let signal = "finalized".to_owned();
            let final_word = Fact::Approval { signal, by: "me".into(), note: String::new(), given: None };
            journal(state.path(), 1, "cutover", &["switch_dns"], vec![final_word]);
            journal(state.path(), 2, kind, &[], vec![end(outcome)]);
            conditions(state.path(), &window(&now), &now, None, None).unwrap().is_finalized
        };
        assert_eq!(is_finalized("maintenance", Outcome::Done), Some(true));
        assert_eq!(is_finalized("deploy", Outcome::Unchanged), Some(true));
        assert_eq!(is_finalized("deploy", Outcome::Done), Some(false), "that deploy is what would be undone");
    }

    #[test]
    fn only_a_rehearsal_that_ended_well_shows_the_way_back() {
        let now = Now { wall_ms: 0, boot_ms: 0, boot: "a".into() };
        let is_rehearsed = |outcome| {
            let state = tempfile::tempdir().unwrap();
            let end = Fact::Finished { outcome, exit: 0, said: String::new() };
            journal(state.path(), 1, "rehearsal", &[], vec![end]);
            conditions(state.path(), &window(&now), &now, None, None).unwrap().is_rehearsed
        };
        assert_eq!((is_rehearsed(Outcome::Done), is_rehearsed(Outcome::RolledBack)), (Some(true), Some(false)));
    }

    #[test]
    fn what_it_costs_is_said_with_the_number_of_rows() {
        let state = tempfile::tempdir().unwrap();
        let now = Now { wall_ms: 0, boot_ms: 0, boot: "a".into() };
        let mut window = window(&now);
        window.remember(WRITTEN_BEGIN, 100, 0);
        window.remember(WRITTEN_NOW, 1304, 0);
        let said = recommend(state.path(), " --config x.toml", &window).unwrap();
        assert_eq!(said.command, "cutover rollback --config x.toml");
        assert!(said.cost.starts_with("1204 rows were written"), "{}", said.cost);
    }
}
