//! Lists of runs that move rows: export, import, copy. What must be true before a row moves is looked at first.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::options::{self, ExportWishes, FillWishes};
use super::{freeze, plan};
use crate::adapter::database::Place;
use crate::adapter::files::spoken_size;
use crate::config::Config;
use crate::data::catalog::TableName;
use crate::data::plural::counted;
use crate::rows::filling::{Filling, Outlook};
use crate::rows::freeze::frozen_since;
use crate::rows::import::{self, ImportState};
use crate::rows::{Say, copy, export};
use crate::run::deploy::Planned;
use crate::run::list::item;
use crate::run::{Refusal, carry_back};
use crate::step::Act;
use crate::step::copy_rows::CopyRows;
use crate::step::expect_frozen::ExpectFrozen;
use crate::step::export_rows::{self, ExportRows};
use crate::step::filling::{Sides, spoken_tables};
use crate::step::import_rows::{ImportRows, older_than};
use crate::step::plan::Item;

/// How long the proof of a freeze may wait, in seconds.
const PROOF_S: u64 = 120;

/// What is known of the source's standing still when a target is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freezing {
    /// No source is configured, or a person said that it does not matter.
    NotAsked,
    /// It stands still since this moment, RFC 3339.
    Since(String),
}

/// Looks whether the source stands still.
///
/// # Errors
/// [`Refusal::Gate`] when it does not, or that cannot be seen.
pub async fn freezing_of(config: &Config, source: Option<Result<&Place>>, is_live_allowed: bool) -> Result<Freezing> {
    let Some(source) = source.filter(|_| !is_live_allowed) else { return Ok(Freezing::NotAsked) };
    let refused = |why: String| {
        Refusal::Gate(format!(
            "{why}; what is written there from now on would be lost: freeze it (cutover data freeze), or say that it may \
             be lost (--live-source)"
        ))
    };
    let cannot =
        |error: anyhow::Error| refused(format!("whether the source still takes writes cannot be seen: {error:#}"));
    let source = source.map_err(cannot)?;
    let record = freeze(config, source.shown(), PROOF_S).record;
    match frozen_since(source, &record).await.map_err(cannot)? {
        Some(since) => Ok(Freezing::Since(since)),
        None => Err(refused(format!("the source {} still takes writes", source.shown())).into()),
    }
}

/// The export of a source.
///
/// # Errors
/// When the source cannot be reached or something stands in the way of an export.
pub async fn exporting(config: &Config, source: &Place, wishes: &ExportWishes) -> Result<Planned> {
    let options = options::export(config, wishes)?;
    let listing = export::list(source, &options).await?;
    if listing.is_blocked {
        return Err(Refusal::Gate(listing.concerns.join("\n")).into());
    }
    let (shown, directory) = (source.shown().to_owned(), options.directory.display().to_string());
    let chosen: Vec<&export::Listed> = listing.tables.iter().filter(|table| !table.is_skipped).collect();
    let bytes = spoken_size(chosen.iter().map(|table| table.bytes).sum());
    let title = format!("export {} ({bytes}) of {shown} into {directory}", spoken_tables(chosen.len()));
    let from = export_rows::standing(&options.directory)?;
    let mut remarks = listing.concerns.clone();
    let left_out = listing.tables.iter().filter(|table| table.is_skipped);
    remarks.extend(left_out.map(|table| format!("{} ({}) is left out", table.table, spoken_size(table.bytes))));
    if from.is_some() {
        remarks.push(format!("the older export in {directory} is replaced"));
    }
    let record = freeze(config, &shown, PROOF_S).record;
    let step = ExportRows { place: shown.clone(), options, freeze: record, from };
    let mut planned =
        plan(config, format!("the export of {shown}"), vec![item("export_rows", title, Act::ExportRows(step))]);
    planned.plan.remarks = remarks;
    Ok(planned)
}

/// The import of an export into a target.
///
/// # Errors
/// When files are missing or are not what `metadata.json` says, the export is older than the freeze, the mapping is
/// missing, an id has no account, or the target holds rows.
pub async fn importing(
    config: &Config,
    source: Option<&Place>,
    target: &Place,
    freezing: &Freezing,
    wishes: &FillWishes,
    say: Say<'_>,
) -> Result<Planned> {
    let directory = config.data.directory.clone();
    let filling = options::filling(config, target.shown(), wishes);
    expect_mapping(&filling)?;
    expect_younger(freezing, &directory)?;
    let mut options = import::Options { directory: directory.clone(), filling, checked: None };
    let outlook = import::outlook(target, &options).await?;
    settle(&mut options.filling, &outlook);
    let identity = import::identity(&options, say).await?;
    let from = standing(target, &options.filling, &identity, &outlook).await?;
    let sides = sides(config, target, identity, from);
    expect_backup(&sides, target, &options.filling, say).await?;
    let checked = import::checked(target, &options, say).await;
    options.checked = Some(checked.map_err(|error| Refusal::Gate(format!("{error:#}")))?);
    let title = format!("import {} of {} into {}", spoken(&outlook), directory.display(), target.shown());
    let deed = format!("the import of {} into {}", directory.display(), target.shown());
    let remarks = remarks(&outlook, &options.filling, freezing);
    let mut items = proof(config, source, freezing);
    let record = source.filter(|_| *freezing != Freezing::NotAsked);
    let record = record.map(|source| freeze(config, source.shown(), PROOF_S).record);
    items.push(item("import_rows", title, Act::ImportRows(ImportRows { sides, options, freeze: record })));
    finished(config, source, target, deed, items, remarks)
}

/// The copy of a source into a target.
///
/// # Errors
/// When something cannot be moved, the mapping is missing, or the target holds rows.
pub async fn copying(
    config: &Config,
    source: &Place,
    target: &Place,
    freezing: &Freezing,
    wishes: &FillWishes,
    say: Say<'_>,
) -> Result<Planned> {
    let mut filling = options::filling(config, target.shown(), wishes);
    expect_mapping(&filling)?;
    if *freezing != Freezing::NotAsked {
        // A source that stands still is the baseline itself, and rows that nobody looks at pass faster.
        filling.baselines = None;
    }
    let mut options = copy::Options { filling, is_source_frozen: false };
    let outlook = copy::outlook(source, target, &options).await?;
    settle(&mut options.filling, &outlook);
    let identity = copy::identity(source, &options)?;
    let from = standing(target, &options.filling, &identity, &outlook).await?;
    let sides = sides(config, target, identity, from);
    expect_backup(&sides, target, &options.filling, say).await?;
    let title = format!("copy {} of {} into {}", spoken(&outlook), source.shown(), target.shown());
    let deed = format!("the copy of {} into {}", source.shown(), target.shown());
    let remarks = remarks(&outlook, &options.filling, freezing);
    let record = freeze(config, source.shown(), PROOF_S).record;
    let step = CopyRows { source: source.shown().to_owned(), sides, filling: options.filling, freeze: record };
    let mut items = proof(config, Some(source), freezing);
    items.push(item("copy_rows", title, Act::CopyRows(step)));
    finished(config, Some(source), target, deed, items, remarks)
}

/// The plan of a filling: before it, a freeze of the target by an earlier rollback is ended; its way back saves first.
fn finished(
    config: &Config,
    source: Option<&Place>,
    target: &Place,
    deed: String,
    mut items: Vec<Item>,
    remarks: Vec<String>,
) -> Result<Planned> {
    items.splice(0..0, carry_back::thaw_target(config, target.shown())?);
    let way_back = carry_back::way_back(config, source, &items);
    let mut planned = plan(config, deed, items);
    (planned.plan.remarks, planned.plan.way_back) = (remarks, way_back);
    Ok(planned)
}

fn sides(config: &Config, target: &Place, identity: String, from: Option<String>) -> Sides {
    let target = target.shown().to_owned();
    Sides { target, identity: Some(identity), from, backups: options::backups(config), run: None }
}

/// The gate that nobody writes to the source.
fn proof(config: &Config, source: Option<&Place>, freezing: &Freezing) -> Vec<Item> {
    let (Some(source), Freezing::Since(_)) = (source, freezing) else { return Vec::new() };
    let options = freeze(config, source.shown(), PROOF_S);
    let gate = ExpectFrozen { place: source.shown().to_owned(), options };
    vec![item(
        "expect_frozen",
        "writes of every kind are attempted at the source, and refused".into(),
        Act::ExpectFrozen(gate),
    )]
}

/// Where accounts moved, their ids changed.
fn expect_mapping(filling: &Filling) -> Result<()> {
    let Some(path) = filling.mapping.as_ref().filter(|path| !path.exists()) else { return Ok(()) };
    Err(Refusal::Gate(format!(
        "[users] or data.user_columns say that ids change, but there is no {}: make the accounts first (cutover data \
         users), or fill the target with the old ids (--without-mapping)",
        path.display()
    ))
    .into())
}

/// What was written between an export and a freeze is in no file.
fn expect_younger(freezing: &Freezing, directory: &std::path::Path) -> Result<()> {
    let Freezing::Since(frozen) = freezing else { return Ok(()) };
    match older_than(directory, frozen)? {
        Some(why) => Err(Refusal::Gate(format!("{why}, or say that it may be lost (--live-source)")).into()),
        None => Ok(()),
    }
}

/// Nothing is emptied where nothing is.
fn settle(filling: &mut Filling, outlook: &Outlook) {
    if outlook.full.is_none() {
        filling.is_truncating_first = false;
        filling.backup_token = None;
    }
}

/// Rows that are to be removed are in a backup; what the run would be refused for is told before it begins.
async fn expect_backup(sides: &Sides, target: &Place, filling: &Filling, say: Say<'_>) -> Result<()> {
    let lacks = sides.lacks_backup(target, filling, say).await;
    match lacks.map_err(|error| Refusal::Gate(format!("{error:#}")))? {
        Some(why) => Err(Refusal::Gate(why).into()),
        None => Ok(()),
    }
}

/// What is recorded in the target now; refuses one that holds rows of others.
async fn standing(target: &Place, filling: &Filling, identity: &str, outlook: &Outlook) -> Result<Option<String>> {
    let from = match import::state(target, filling, identity).await? {
        ImportState::Complete { .. } => return Ok(None),
        ImportState::Partial => match import::holder(target, &filling.session).await? {
            Some(held) => return Err(Refusal::Gate(held.to_string()).into()),
            None => return Ok(None),
        },
        ImportState::Foreign { why, is_complete: false, .. } => {
            let words = format!("{why}: finish that one where it was begun, or take it back there (cutover rollback)");
            return Err(Refusal::Gate(words).into());
        }
        ImportState::Foreign { identity, .. } => {
            expect_alone(target, filling, outlook).await?;
            Some(identity)
        }
        ImportState::Untouched => None,
    };
    match &outlook.full {
        Some(table) if !filling.is_truncating_first => Err(Refusal::Gate(format!(
            "the target's table {table} holds rows, and only empty tables are filled: have them emptied first \
             (--truncate-first, which wants a verified backup and a phrase), or fill another database"
        ))
        .into()),
        Some(_) => outlook.outsider.clone().map_or(Ok(from), |why| Err(Refusal::Gate(why).into())),
        None => Ok(from),
    }
}

/// The target records one filling. A second one of other tables would put its record in the place of the first one's, and
/// then nobody could tell what was written to those tables since.
async fn expect_alone(target: &Place, filling: &Filling, outlook: &Outlook) -> Result<()> {
    let filled = import::filled_tables(target, &filling.session).await?;
    let is_left = |table: &&TableName| !outlook.tables.iter().any(|coming| coming.table == **table);
    let left: Vec<String> = filled.iter().filter(is_left).map(ToString::to_string).collect();
    if left.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = outlook.tables.iter().map(|coming| coming.table.to_string()).chain(left.clone()).collect();
    Err(Refusal::Gate(format!(
        "an earlier import or copy filled {}, and only one is recorded in the target: after a second one nobody could tell \
         what was written there since; take the earlier one back (cutover rollback), and fill all of them at once \
         (without --table, or --table {})",
        left.join(", "),
        all.join(",")
    ))
    .into())
}

fn spoken(outlook: &Outlook) -> String {
    let bytes = spoken_size(outlook.tables.iter().map(|table| table.bytes).sum());
    let rows: Option<u64> = outlook.tables.iter().map(|table| table.rows).sum();
    let rows = rows.map_or_else(String::new, |rows| format!("{}, ", counted(rows, "row")));
    format!("{} ({rows}{bytes})", spoken_tables(outlook.tables.len()))
}

fn remarks(outlook: &Outlook, filling: &Filling, freezing: &Freezing) -> Vec<String> {
    let mut remarks = outlook.concerns.clone();
    if *freezing == Freezing::NotAsked {
        remarks.push("nobody looks whether the source still takes writes: what is written there now is lost".into());
    }
    if filling.mapping.is_none() {
        remarks.push("no mapping of user ids: every id stays what it is".into());
    }
    for (table, columns) in &filling.unmapped {
        remarks.push(format!("ids without an account may stay in {table}: {}", columns.join(", ")));
    }
    remarks
}

/// Refuses a backup whose trial could not be made; asked before the dump, and before a run that takes it is begun.
///
/// # Errors
/// [`Refusal::Gate`] with the statement that lets the role do it; or when the server cannot be asked.
pub async fn expect_trial(place: &Place) -> Result<()> {
    // Whoever does not answer is told in the words of the connection.
    place.connect("cutover").await?;
    let may = crate::rows::backup::may_be_made(place, "cutover").await;
    may.map_err(|error| Refusal::Gate(format!("{error:#}")).into())
}

/// The newest backup of a target that was restored on trial.
///
/// # Errors
/// [`Refusal::Gate`] when there is none.
pub fn proven_backup(config: &Config, target: &str) -> Result<String> {
    let directory: PathBuf = options::backups(config);
    let found = crate::rows::backup::list(&directory).context("the backups cannot be listed")?;
    let proven = found.into_iter().filter_map(|one| one.token).find(|token| {
        token.place == target && token.verified.is_some() && token.kind == crate::rows::backup::Kind::Database
    });
    let words = || {
        format!("there is no verified backup of {target} in {}; take one: cutover backup create", directory.display())
    };
    Ok(proven.map(|token| token.id).ok_or_else(|| Refusal::Gate(words()))?)
}
