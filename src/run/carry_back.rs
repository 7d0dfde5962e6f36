//! What a rollback does before it takes rows back: nothing that was written to the target since it was filled is lost.
//!
//! The target refuses writes; what was written is told apart and saved, with count and digest; the source gets it, ids
//! mapped back; the source takes writes again. Only then is anything undone. What cannot be saved stops the rollback.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Refusal;
use super::data::changes::exports;
use super::data::freeze;
use super::list::item;
use super::rollback::Without;
use crate::adapter::database::Place;
use crate::config::Config;
use crate::journal::{RunState, Standing};
use crate::rows::freeze::{Phase, read_record};
use crate::rows::import;
use crate::step::apply_changes::ApplyChanges;
use crate::step::compared::Against;
use crate::step::expect_frozen::ExpectFrozen;
use crate::step::freeze_source::FreezeSource;
use crate::step::plan::{Item, Plan};
use crate::step::save_changes::{ChangesAt, SaveChanges, counted};
use crate::step::{Act, Databases, RunTag, Say, World};

/// The longest that sessions of others may stand in the way of a freeze or its end, in seconds.
const FREEZE_S: u64 = 120;

const KEEP_ASIDE: &str = "only save it, to be applied later: --keep-changes-aside";
const GIVE_UP: &str = "give it up for good: --without-export";

/// What the way back of a run that fills a target does first; written down when the run is planned, from its items.
pub fn way_back(config: &Config, source: Option<&Place>, items: &[Item]) -> Vec<Item> {
    let Some(save) = items.iter().rev().find_map(|item| filled(&item.action, exports(config))) else {
        return Vec::new();
    };
    let (target, users_table) = (save.compared.target.clone(), save.compared.users_table.clone());
    let target = target.as_str();
    let (guard, mapping) = (freeze(config, target, FREEZE_S), save.compared.mapping.clone());
    let freeze_target = FreezeSource { place: target.to_owned(), options: guard.clone() };
    let gate = ExpectFrozen { place: target.to_owned(), options: guard };
    let mut list = vec![
        item("freeze_target", format!("make every table of {target} refuse writes"), Act::FreezeSource(freeze_target)),
        item(
            "expect_target_frozen",
            "writes of every kind are attempted there, and refused".into(),
            Act::ExpectFrozen(gate),
        ),
        item("save_changes", format!("save what was written to {target} since it was filled"), Act::SaveChanges(save)),
    ];
    let Some(source) = source.map(Place::shown) else { return list };
    let apply = ApplyChanges {
        changes: ChangesAt::Run(exports(config)),
        sha256: None,
        source: source.to_owned(),
        target: target.to_owned(),
        mapping,
        users_table,
        // An account that was made since must not keep the old system from serving; it is named in the manifest.
        keeps_new_accounts: true,
    };
    let title = format!("write it to {source}, ids mapped back, and count it there");
    list.push(item("apply_changes", title, Act::ApplyChanges(apply)));
    let thaw = FreezeSource { place: source.to_owned(), options: freeze(config, source, FREEZE_S) };
    let thaw = item("unfreeze_source", format!("let {source} take writes again"), Act::FreezeSource(thaw));
    list.push(Item { back: true, ..thaw });
    list
}

/// What was written since a target was filled, of an act that fills one.
fn filled(act: &Act, directory: PathBuf) -> Option<SaveChanges> {
    match act {
        Act::ImportRows(step) => Some(step.changes(directory)),
        Act::CopyRows(step) => Some(step.changes(directory)),
        _ => None,
    }
}

/// Whether the run that is undone filled a target to its end, and that still stands: the target itself tells.
async fn is_filled(undone: &Plan, state: &RunState, databases: &Databases) -> Result<bool> {
    let begun = undone.items.iter().zip(&state.items).filter(|(_, state)| state.was_begun);
    let targets = begun.filter_map(|(item, _)| filled(&item.action, PathBuf::new())).map(|save| save.compared.target);
    for target in targets {
        reached(databases, &target, "saved", GIVE_UP).await?;
        let session = databases.shown(&target)?.connect("cutover").await?;
        if import::recorded(&session).await?.is_some_and(|recorded| recorded.is_complete) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Of what the undone run wrote down for its way back, what this rollback does; all else is as it was.
///
/// # Errors
/// [`Refusal`], when the source is to get the changes and cannot be reached.
pub async fn chosen(
    first: Vec<Item>,
    undone: &Plan,
    state: &RunState,
    databases: &Databases,
    without: Without,
    remarks: &mut Vec<String>,
) -> Result<Vec<Item>> {
    if !first.iter().any(|item| matches!(item.action, Act::SaveChanges(_))) {
        return Ok(first);
    }
    if !without.export && !is_filled(undone, state, databases).await? {
        remarks.push("the target is not filled to its end, so nothing was written to it since".into());
        return Ok(first.into_iter().filter(|item| !is_ours(&item.action)).collect());
    }
    let is_undone_too = |place: &str| {
        undone.items.iter().any(|item| matches!(&item.action, Act::FreezeSource(step) if step.place == place))
    };
    let mut list = Vec::new();
    for mut item in first {
        match &mut item.action {
            Act::FreezeSource(step) if item.back => {
                // What this run froze is undone with it; a freeze of an earlier run ends here, so that the source serves.
                let is_standing = read_record(&step.options.record)?.is_some_and(|frozen| frozen.phase != Phase::Undone);
                if !is_standing || is_undone_too(&step.place) {
                    continue;
                }
            }
            Act::FreezeSource(_) | Act::ExpectFrozen(_) if without.export => continue,
            Act::FreezeSource(step) => remarks.push(format!(
                "{0} refuses writes from then on, also when all is done; `cutover data unfreeze --of target` ends that, \
                 and so does the next import",
                step.place
            )),
            Act::SaveChanges(step) if without.export => {
                step.is_given_up = true;
                item.name = "give_up_changes".into();
                item.title = format!("give up what was written to {} since it was filled", step.compared.target);
            }
            Act::SaveChanges(step) => {
                // What was copied is told apart from the source itself.
                if let (Some(_), Against::Place(source)) = (&step.still, &step.compared.against) {
                    reached(databases, source, "told apart", GIVE_UP).await?;
                }
                if let Some(why) = step.moved_since(databases, "cutover").await? {
                    return Err(Refusal::Gate(format!("{why}; then {GIVE_UP}")).into());
                }
            }
            Act::ApplyChanges(step) => {
                if without.export {
                    continue;
                }
                if without.application {
                    remarks.push(format!(
                        "what was written is saved and not carried to {}, as you asked: `cutover data apply FILE` does that \
                         later, as long as nobody writes to the same rows there",
                        step.source
                    ));
                    continue;
                }
                reached(databases, &step.source, "carried back", KEEP_ASIDE).await?;
                remarks.push(format!(
                    "a row that was changed on both sides is found once the target refuses writes: then nothing is written to {}, \
                     and the rollback stops there, to be gone on with by --keep-changes-aside; --dry-run looks for one now",
                    step.source
                ));
            }
            _ => {}
        }
        list.push(item);
    }
    if !list.iter().any(|item| matches!(item.action, Act::ApplyChanges(_))) && !without.application && !without.export {
        remarks.push("no [source] was configured, so what was written is saved and carried nowhere".into());
    }
    Ok(list)
}

/// What the carrying back would meet if it were now: told apart in `directory`, which is thrown away; nothing is frozen, and
/// nothing is written to either side. Nothing where nothing would be carried back.
///
/// # Errors
/// When a side cannot be read.
pub async fn look_ahead(
    plan: &Plan,
    databases: &Databases,
    directory: &Path,
    say: Say<'_>,
) -> Result<Option<(String, World)>> {
    let save = plan.items.iter().find_map(|item| match &item.action {
        Act::SaveChanges(step) if !step.is_given_up => Some(step),
        _ => None,
    });
    let apply = plan.items.iter().find_map(|item| match &item.action {
        Act::ApplyChanges(step) if matches!(step.changes, ChangesAt::Run(_)) => Some(step),
        _ => None,
    });
    let (Some(save), Some(apply)) = (save, apply) else { return Ok(None) };
    let found = save.make(databases, directory, "cutover", say).await?;
    let apply = ApplyChanges { changes: ChangesAt::File(found.file.clone()), ..apply.clone() };
    // No run has a number yet; a file that is named asks for none.
    let tag = RunTag { number: 0, epoch: 0, side: directory.to_owned() };
    let world = apply.check(databases, &tag).await?;
    Ok(Some((counted(&found.head), world)))
}

/// Whether it belongs to the carrying of changes.
fn is_ours(act: &Act) -> bool {
    matches!(act, Act::FreezeSource(_) | Act::ExpectFrozen(_) | Act::SaveChanges(_) | Act::ApplyChanges(_))
}

/// Items of an open rollback that a person wants left out, by index.
pub fn left_out(plan: &Plan, state: &RunState, without: Without) -> Vec<usize> {
    let is_meant = |item: &Item| match &item.action {
        Act::ApplyChanges(_) => without.application || without.export,
        Act::FreezeSource(_) => without.export && !item.back,
        Act::SaveChanges(_) | Act::ExpectFrozen(_) => without.export,
        _ => false,
    };
    let open = |index: &usize| state.items.get(*index).is_some_and(|item| item.standing != Standing::Done);
    (0..plan.items.len()).filter(|index| is_meant(&plan.items[*index])).filter(open).collect()
}

/// A rollback that would lose what was written is not begun.
async fn reached(databases: &Databases, place: &str, what: &str, else_what: &str) -> Result<()> {
    let attempt = async || -> Result<()> {
        databases.shown(place)?.connect("cutover").await?;
        Ok(())
    };
    attempt().await.map_err(|error| {
        let words = format!(
            "what was written to the target since it was filled cannot be {what}: {error:#}; put that right, or {else_what}"
        );
        Refusal::Gate(words).into()
    })
}

/// What lets a target take rows again that an earlier rollback stopped; none where no freeze of ours stands.
///
/// # Errors
/// When the record of the freeze cannot be read.
pub fn thaw_target(config: &Config, target: &str) -> Result<Option<Item>> {
    let options = freeze(config, target, FREEZE_S);
    if read_record(&options.record)?.is_none_or(|frozen| frozen.phase == Phase::Undone) {
        return Ok(None);
    }
    let title = format!("let {target} take writes again, which a rollback stopped");
    let thaw = FreezeSource { place: target.to_owned(), options };
    Ok(Some(Item { back: true, ..item("unfreeze_target", title, Act::FreezeSource(thaw)) }))
}
