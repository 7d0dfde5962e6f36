//! Fillings of a run that makes their files and their mapping itself: what they are filled with is known when they begin.
//!
//! The step reads then what is there, writes it beside the journal, and is bound to it from then on.

use anyhow::Result;

use super::options::{self, FillWishes};
use super::{freeze, plan};
use crate::adapter::database::Place;
use crate::config::Config;
use crate::rows::filling::Filling;
use crate::rows::import;
use crate::run::Refusal;
use crate::run::carry_back;
use crate::run::deploy::Planned;
use crate::run::list::item;
use crate::step::Act;
use crate::step::copy_rows::CopyRows;
use crate::step::filling::Sides;
use crate::step::import_rows::ImportRows;
use crate::step::plan::Item;

/// How long the proof of a freeze may wait, in seconds.
const PROOF_S: u64 = 120;

/// The import of files that the same run exports.
///
/// # Errors
/// [`Refusal`], when the target holds rows already; or when a side cannot be asked.
pub async fn importing_later(
    config: &Config,
    source: Option<&Place>,
    target: &Place,
    wishes: &FillWishes,
) -> Result<Planned> {
    let filling = options::filling(config, target.shown(), wishes);
    expect_empty(target, source, &filling).await?;
    let directory = config.data.directory.clone();
    let title = format!("import {} into {}", directory.display(), target.shown());
    let sides = sides(config, target).await?;
    let record = source.map(|source| freeze(config, source.shown(), PROOF_S).record);
    let options = import::Options { directory, filling, checked: None };
    let act = Act::ImportRows(ImportRows { sides, options, freeze: record });
    listed(config, source, target, item("import_rows", title, act))
}

/// The copy of a source that the same run freezes.
///
/// # Errors
/// As [`importing_later`].
pub async fn copying_later(config: &Config, source: &Place, target: &Place, wishes: &FillWishes) -> Result<Planned> {
    let mut filling = options::filling(config, target.shown(), wishes);
    // A source that stands still is the baseline itself, and rows that nobody looks at pass faster.
    filling.baselines = None;
    expect_empty(target, Some(source), &filling).await?;
    let title = format!("copy {} into {}", source.shown(), target.shown());
    let record = freeze(config, source.shown(), PROOF_S).record;
    let sides = sides(config, target).await?;
    let act = Act::CopyRows(CopyRows { source: source.shown().to_owned(), sides, filling, freeze: record });
    listed(config, Some(source), target, item("copy_rows", title, act))
}

fn listed(config: &Config, source: Option<&Place>, target: &Place, filling: Item) -> Result<Planned> {
    let mut items: Vec<Item> = carry_back::thaw_target(config, target.shown())?.into_iter().collect();
    items.push(filling);
    let way_back = carry_back::way_back(config, source, &items);
    let mut planned = plan(config, String::new(), items);
    planned.plan.way_back = way_back;
    Ok(planned)
}

/// What would stop it after the source was frozen is seen before anything is begun.
async fn expect_empty(target: &Place, source: Option<&Place>, filling: &Filling) -> Result<()> {
    match import::first_filled(target, source, filling).await? {
        None => Ok(()),
        Some(table) => Err(Refusal::Gate(format!(
            "the table {table} of the target {} holds rows, and only empty tables are filled: empty it first, take an \
             earlier import back (cutover rollback), or name another database in [target]; `cutover data import \
             --truncate-first` replaces rows under a verified backup, by itself and not in a runbook",
            target.shown()
        ))
        .into()),
    }
}

/// What an earlier filling left in the target is known now; what this one fills in is not.
async fn sides(config: &Config, target: &Place) -> Result<Sides> {
    let session = target.connect("cutover").await?;
    let from = match import::recorded(&session).await? {
        Some(one) if !one.is_complete => {
            return Err(Refusal::Gate(format!(
                "an unfinished import stands in {}: finish that one where it was begun (cutover resume), or take it back \
                 there (cutover rollback)",
                target.shown()
            ))
            .into());
        }
        recorded => recorded.map(|one| one.identity),
    };
    let target = target.shown().to_owned();
    Ok(Sides { target, identity: None, from, backups: options::backups(config), run: None })
}
