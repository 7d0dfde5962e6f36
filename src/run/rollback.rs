//! The list of a rollback without arguments: the undoing of a run, read from its journal.
//!
//! It needs no configuration: what it does first was written into the journal by the run that it undoes.

use anyhow::Result;

use super::begin::plan_of;
use super::deploy::Planned;
use super::{Refusal, carry_back, orphans};
use crate::adapter::docker::Docker;
use crate::journal::{ItemState, RunState, Standing};
use crate::release::keep;
use crate::release::{Release, Store};
use crate::step::beside::Stand;
use crate::step::containers::ModelAt;
use crate::step::plan::{Change, Item, Plan, RunKind, ServiceChange};
use crate::step::start_side::StartSide;
use crate::step::{Act, Databases, World};

/// What a blue-green deployment writes down to bring its old side back with.
const OLD_SIDE: [&str; 2] = ["bring_old_side", "expect_old_side"];

/// What is left out at a person's wish.
#[derive(Clone, Copy, Debug, Default)]
pub struct Without {
    /// No export of the database: what was written since is then only where it is; of a target that was filled, it is lost.
    pub export: bool,
    /// What was written to a target since it was filled is saved, and not carried to the source.
    pub application: bool,
}

/// Makes the list that undoes a run; the engine is handed over where the run needed it.
///
/// # Errors
/// [`Refusal`], when images are gone or somebody else changed the containers since.
pub async fn plan_undo(
    docker: Option<&Docker>,
    store: &Store,
    state: &RunState,
    databases: &Databases,
    mut remarks: Vec<String>,
    without: Without,
) -> Result<Planned> {
    let undone = plan_of(state)?;
    let number = state.number;
    let was_replacing = |service: &str| was_replacing(&undone, state, service);
    let first = match docker {
        Some(docker) => first_acts(docker, &undone, without, &was_replacing, &mut remarks).await?,
        None => undone.way_back.clone(),
    };
    let first = carry_back::chosen(first, &undone, state, databases, without, &mut remarks).await?;
    let mut items = switch_first(first, to_undo(&undone, state));
    let made = match undone.release_to {
        Some(release) => store.read(release)?,
        None => None,
    };
    items.iter_mut().filter(|item| item.back).for_each(|item| also_as_brought_back(item, made.as_ref()));
    if !items.iter().any(|item| item.back) {
        return Err(Refusal::Gate(format!(
            "nothing to undo: run {number} stopped before it changed anything; `cutover rollback` closes it"
        ))
        .into());
    }
    still_ours(&items)?;
    for item in &items {
        if let Some(docker) = docker {
            whole_enough(docker, store, item).await?;
        }
    }
    if undone.release_from.is_none() && !undone.services.is_empty() {
        remarks.push("nothing ran before this run: the services are stopped and removed, their volumes stay".into());
    }
    items.extend(undone.home.iter().cloned());
    let plan = Plan {
        release_from: undone.release_to,
        release_to: undone.release_from,
        deed: undone.deed.as_ref().map(|deed| format!("the undoing of {deed}")),
        undoes: Some(number),
        services: undone
            .services
            .iter()
            .filter(|change| change.change != Change::Keep)
            .map(|change| inverse(change, made.as_ref()))
            .collect(),
        remarks,
        rolls_back: false,
        items,
        ..Plan::empty(RunKind::Rollback, &undone.project, &undone.environment)
    };
    Ok(Planned { plan, files: Vec::new() })
}

/// Whether an item brings the old side of a blue-green deployment back.
pub(super) fn is_about_old_side(item: &Item) -> bool {
    OLD_SIDE.contains(&item.name.as_str())
}

/// Where a switch is undone, that comes before everything else: people are led back to the old side, which is seen to run,
/// before anything is saved or taken away.
fn switch_first(first: Vec<Item>, undo: Vec<Item>) -> Vec<Item> {
    let is_switch = |item: &Item| matches!(item.action, Act::SwitchUpstream(_));
    let (switch, rest): (Vec<Item>, Vec<Item>) = undo.into_iter().partition(is_switch);
    let (bring, others): (Vec<Item>, Vec<Item>) = first.into_iter().partition(is_about_old_side);
    let bring = if switch.is_empty() { Vec::new() } else { bring };
    bring.into_iter().chain(switch).chain(others).chain(rest).collect()
}

/// The undoing of everything that a run began and has not undone itself: last first, but the ground before all.
fn to_undo(undone: &Plan, state: &RunState) -> Vec<Item> {
    let begun = undone.items.iter().zip(&state.items).rev().filter(|(item, state)| {
        let is_back = matches!(state.standing, Standing::Undone | Standing::Stays);
        state.was_begun && !is_back && !item.back && !item.action.is_gate()
    });
    let mut items: Vec<Item> = begun.filter_map(|(item, _)| backwards(item, state.number)).collect();
    // What others stand on comes back before them, as in the run's own way home.
    items.sort_by_key(|item| !item.action.is_ground());
    items
}

/// Whether a finished run of data changed nothing that could be undone: it exported, or ended a freeze. A plan that this
/// version cannot read is not passed by.
pub(super) fn leaves_nothing(state: &RunState) -> bool {
    plan_of(state)
        .is_ok_and(|plan| matches!(plan.kind, RunKind::Data | RunKind::Deploy) && to_undo(&plan, state).is_empty())
}

/// Whether a run that stopped has left nothing that a rollback would undo; then it is closed instead.
///
/// # Errors
/// When this version cannot read its plan.
pub fn has_nothing_to_undo(state: &RunState) -> Result<bool> {
    Ok(to_undo(&plan_of(state)?, state).is_empty())
}

/// Whether a run stopped while it was replacing the container of a service.
fn was_replacing(undone: &Plan, state: &RunState, service: &str) -> bool {
    let is_about_it = |act: &Act| matches!(act, Act::StartServices(step) if step.services.iter().any(|touched| touched.service == service));
    let is_half_way = |state: &ItemState| state.was_begun && state.standing != Standing::Done;
    undone.items.iter().zip(&state.items).any(|(item, state)| is_about_it(&item.action) && is_half_way(state))
}

/// What comes before anything is undone.
pub(super) async fn first_acts(
    docker: &Docker,
    undone: &Plan,
    without: Without,
    was_replacing: &dyn Fn(&str) -> bool,
    remarks: &mut Vec<String>,
) -> Result<Vec<Item>> {
    let mut items: Vec<Item> = orphans::one_shots(docker, &undone.project).await?.into_iter().collect();
    for item in &undone.way_back {
        if let Act::ExportDatabase(export) = &item.action {
            if without.export {
                remarks.push(
                    "the database is not exported, as you asked: what was written since stays only in its volume"
                        .into(),
                );
                continue;
            }
            let containers = docker.containers(&export.project).await?;
            let own = || containers.iter().filter(|container| container.service == export.database.service);
            match own().find(|container| container.state.status == "running").or(own().next()) {
                None => {
                    remarks.push("the database has no container, so there is nothing to export".into());
                    continue;
                }
                Some(container) if container.state.status != "running" && was_replacing(&container.service) => {
                    // It is down because the run was killed, and it is the rollback that brings it up again.
                    remarks.push(format!(
                        "{} is {}, because the run stopped while it was replacing it: the database is not exported, its \
                         volume stays untouched",
                        container.name, container.state.status
                    ));
                    continue;
                }
                Some(container) if container.state.status != "running" => {
                    return Err(Refusal::Gate(format!(
                        "the database cannot be exported: {} is {}; start it (`docker start {0}`), or go back without the \
                         export (--without-export; its volume stays untouched either way)",
                        container.name, container.state.status
                    ))
                    .into());
                }
                Some(_) => {}
            }
        }
        items.push(item.clone());
    }
    Ok(items)
}

/// The undoing of an item, with the run it belongs to written into it.
fn backwards(item: &Item, number: u32) -> Option<Item> {
    let mut back = item.clone();
    match &mut back.action {
        Act::StartServices(step) => {
            for side in [&mut step.from, &mut step.to] {
                if side.model == ModelAt::Run(None) {
                    side.model = ModelAt::Run(Some(number));
                }
            }
        }
        Act::MigrateSchema(step) => step.run = Some(step.run.unwrap_or(number)),
        Act::RecordRelease(_) | Act::PullImages(_) | Act::BuildImages(_) => {}
        Act::SwitchUpstream(_) | Act::SetMaintenance(_) => {}
        Act::StartSide(step) if step.side.model == ModelAt::Run(None) => step.side.model = ModelAt::Run(Some(number)),
        Act::StartSide(_) => {}
        Act::SwitchDns(_) | Act::FreezeSource(_) | Act::MigrateUsers(_) | Act::RestoreBackup(_) => {}
        Act::ImportRows(step) => step.sides.run = Some(step.sides.run.unwrap_or(number)),
        Act::CopyRows(step) => step.sides.run = Some(step.sides.run.unwrap_or(number)),
        Act::ApplyChanges(_) => {}
        Act::RunCommand(step) => step.run_number = Some(step.run_number.unwrap_or(number)),
        _ => return None,
    }
    back.name = format!("undo_{}", item.name);
    back.title = item.undo_title();
    back.back = true;
    Some(back)
}

/// The release that a run made may run from its pinned model since, after another rollback: that is its work too.
fn also_as_brought_back(item: &mut Item, made: Option<&Release>) {
    let (Act::StartServices(step), Some(made)) = (&mut item.action, made) else { return };
    for (service, side) in &mut step.to.services {
        if let Some(record) = made.services.get(service) {
            side.hashes.insert(record.pinned_hash.clone());
            side.image.clone_from(&record.image_id);
        }
    }
}

/// Refuses to lead the routes away from where somebody else led them. Of several switches the last is undone first, and that
/// one must be as the run left it.
fn still_ours(items: &[Item]) -> Result<()> {
    let first = items.iter().find_map(|item| match &item.action {
        Act::SwitchUpstream(step) if item.back => Some(step),
        _ => None,
    });
    let Some(step) = first else { return Ok(()) };
    let World::Foreign(seen) = step.check()? else { return Ok(()) };
    let to = step.from.id.as_deref().and_then(|id| id.rsplit_once("-r"));
    let to = to.map_or_else(|| "r…".to_owned(), |(_, number)| format!("r{number}"));
    Err(Refusal::Gate(format!(
        "somebody changed the switch since: {seen}; to lead the routes to a release all the same, name it: `cutover \
         rollback --to {to}`"
    ))
    .into())
}

/// Refuses to begin what could not be finished: the images are here, and nobody else changed the containers.
async fn whole_enough(docker: &Docker, store: &Store, item: &Item) -> Result<()> {
    let step = match &item.action {
        Act::StartServices(step) if item.back => step,
        Act::StartSide(step) if is_about_old_side(item) => return side_enough(docker, store, step).await,
        _ => return Ok(()),
    };
    if let ModelAt::Release(number) = step.from.model {
        let Some(release) = store.read(number)? else {
            return Err(Refusal::Gate(format!("the record of r{number} is gone, so it cannot be brought back")).into());
        };
        all_here(docker, &release).await?;
    }
    if let World::Foreign(seen) = step.check(docker).await? {
        let to = step.from.release.map_or_else(|| "r…".to_owned(), |number| format!("r{number}"));
        return Err(Refusal::Gate(format!(
            "somebody changed the containers since, so undoing would undo their work too: {seen}; \
             to bring a release back all the same, name it: `cutover rollback --to {to}`"
        ))
        .into());
    }
    Ok(())
}

/// The same for a side that the way back leads to: it runs still, or its images are here.
async fn side_enough(docker: &Docker, store: &Store, step: &StartSide) -> Result<()> {
    if matches!(step.side.look(docker).await?, Stand::Up(_)) {
        return Ok(());
    }
    let number = step.side.release;
    match store.read(number)? {
        Some(release) => all_here(docker, &release).await,
        None => Err(Refusal::Gate(format!("the record of r{number} is gone, so it cannot be brought back")).into()),
    }
}

pub(super) async fn all_here(docker: &Docker, release: &Release) -> Result<()> {
    let missing = keep::missing(docker, release).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let name = release.name();
    Err(Refusal::Gate(format!(
        "{name} cannot be brought back, images are gone: {}; somebody removed them by force. Load or rebuild them, tag \
         them as named here, and try again; or choose another release: `cutover releases`",
        missing.join(", ")
    ))
    .into())
}

fn inverse(change: &ServiceChange, made: Option<&Release>) -> ServiceChange {
    let record = made.and_then(|made| made.services.get(&change.service));
    let kind = match change.change {
        Change::Create => Change::Remove,
        Change::Remove => Change::Create,
        other => other,
    };
    ServiceChange {
        service: change.service.clone(),
        change: kind,
        reasons: vec!["as it was before".into()],
        image_from: record.map(|record| record.image_id.clone()),
        image_to: change.image_from.clone(),
    }
}
