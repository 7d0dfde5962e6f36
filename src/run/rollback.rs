//! The list of a rollback: the undoing of a run, read from its journal; or an older release, read from its record.
//!
//! It needs no configuration: what it does first was written into the journal by the run that it undoes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

use super::begin::plan_of;
use super::deploy::Planned;
use super::{Refusal, orphans};
use crate::adapter::docker::{Container, Docker};
use crate::journal::runs::{self, RunFile};
use crate::journal::{ItemState, Outcome, RunState, Standing};
use crate::release::keep::{self, short};
use crate::release::{Release, Store};
use crate::step::containers::{ModelAt, ServiceSide, Side, Touched};
use crate::step::expect_services::ExpectServices;
use crate::step::plan::{Change, Item, Plan, RunKind, ServiceChange};
use crate::step::record_release::RecordRelease;
use crate::step::start_services::StartServices;
use crate::step::{Act, World};

/// What is left out at a person's wish.
#[derive(Clone, Copy, Debug, Default)]
pub struct Without {
    /// No export of the database: what was written since is then only where it is.
    pub export: bool,
}

/// The run that a rollback without arguments undoes.
///
/// # Errors
/// [`Refusal`], when there is nothing to undo; or when a journal cannot be read.
pub fn target(state_directory: &Path) -> Result<(RunFile, RunState, Vec<String>)> {
    let mut remarks = Vec::new();
    let all = runs::list(&state_directory.join("runs")).context("cannot list the runs")?;
    for file in all.into_iter().rev() {
        let state = file.state()?;
        let number = state.number;
        let Some(header) = state.header.clone() else { continue };
        match &state.outcome {
            Some((Outcome::RolledBack, _)) => remarks.push(format!("run {number} failed and put itself back")),
            Some((Outcome::Unchanged, _)) => {}
            Some((Outcome::Done, _)) if header.undoes.is_some() => {
                let undone = header.undoes.unwrap_or_default();
                return Err(Refusal::Gate(format!(
                    "nothing to undo: run {undone} was already undone by run {number}; \
                     to go further back, name a release: `cutover releases`, then `cutover rollback --to r…`"
                ))
                .into());
            }
            _ => return Ok((file, state, remarks)),
        }
    }
    Err(Refusal::Gate("nothing to undo: no run on this host has changed anything".into()).into())
}

/// Makes the list that undoes a run.
///
/// # Errors
/// [`Refusal`], when images are gone or somebody else changed the containers since.
pub async fn plan_undo(
    docker: &Docker,
    store: &Store,
    state: &RunState,
    mut remarks: Vec<String>,
    without: Without,
) -> Result<Planned> {
    let undone = plan_of(state)?;
    let number = state.number;
    let was_replacing = |service: &str| was_replacing(&undone, state, service);
    let mut items = first_acts(docker, &undone, without, &was_replacing, &mut remarks).await?;
    items.extend(to_undo(&undone, state));
    let made = match undone.release_to {
        Some(release) => store.read(release)?,
        None => None,
    };
    items.iter_mut().for_each(|item| also_as_brought_back(item, made.as_ref()));
    if !items.iter().any(|item| item.back) {
        return Err(Refusal::Gate(format!(
            "nothing to undo: run {number} stopped before it changed anything; `cutover rollback` closes it"
        ))
        .into());
    }
    for item in items.iter().filter(|item| item.back) {
        whole_enough(docker, store, item).await?;
    }
    if undone.release_from.is_none() {
        remarks.push("nothing ran before this run: the services are stopped and removed, their volumes stay".into());
    }
    items.extend(undone.home.iter().cloned());
    let plan = Plan {
        kind: RunKind::Rollback,
        project: undone.project.clone(),
        environment: undone.environment.clone(),
        release_from: undone.release_to,
        release_to: undone.release_from,
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
        home: Vec::new(),
        way_back: Vec::new(),
        files: BTreeMap::new(),
    };
    Ok(Planned { plan, files: Vec::new() })
}

/// The undoing of everything that a run began and has not undone itself, last first.
fn to_undo(undone: &Plan, state: &RunState) -> Vec<Item> {
    let begun = undone.items.iter().zip(&state.items).rev().filter(|(item, state)| {
        let is_back = matches!(state.standing, Standing::Undone | Standing::Stays);
        state.was_begun && !is_back && !item.back && !item.action.is_gate()
    });
    begun.filter_map(|(item, _)| backwards(item, state.number)).collect()
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
async fn first_acts(
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
        _ => return None,
    }
    back.name = format!("undo_{}", item.name);
    back.title = format!("undo: {}", item.title);
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

/// Refuses to begin what could not be finished: the images are here, and nobody else changed the containers.
async fn whole_enough(docker: &Docker, store: &Store, item: &Item) -> Result<()> {
    let Act::StartServices(step) = &item.action else { return Ok(()) };
    if let ModelAt::Release(number) = step.from.model {
        let Some(release) = store.read(number)? else {
            return Err(Refusal::Gate(format!("the record of r{number} is gone, so it cannot be brought back")).into());
        };
        all_here(docker, &release).await?;
    }
    if let World::Foreign(seen) = step.check(docker).await? {
        return Err(Refusal::Gate(format!(
            "somebody changed the containers since, so undoing would undo their work too: {seen}; \
             to bring a release back all the same, name it: `cutover rollback --to r…`"
        ))
        .into());
    }
    Ok(())
}

async fn all_here(docker: &Docker, release: &Release) -> Result<()> {
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

/// Makes the list that brings an older release back.
///
/// # Errors
/// [`Refusal`], when the release is not there, serves already, or is not whole.
pub async fn plan_to(
    docker: &Docker,
    store: &Store,
    to: u32,
    basis: &Plan,
    keep_releases: u32,
    without: Without,
) -> Result<Planned> {
    let Some(release) = store.read(to)? else {
        let known: Vec<String> = store.numbers()?.iter().map(|number| format!("r{number}")).collect();
        return Err(Refusal::Gate(format!("there is no release r{to}; there are {}", known.join(", "))).into());
    };
    all_here(docker, &release).await?;
    let project = release.project.clone();
    let containers = docker.containers(&project).await?;
    let step = switch_to(store, &release, &containers)?;
    let model = store.model(to)?;
    let services: Vec<ServiceChange> =
        step.services.iter().map(|touched| change(touched, &step, &containers)).collect();
    if services.iter().all(|change| change.change == Change::Keep) && store.current()? == Some(to) {
        return Err(Refusal::Gate(format!("r{to} serves already")).into());
    }
    let mut remarks = vec!["the schema and the rows stay as they are".to_owned()];
    let mut items = first_acts(docker, basis, without, &|_| false, &mut remarks).await?;
    let item = |name: &str, title: String, action: Act| Item { name: name.into(), title, back: false, action };
    let current = store.current()?;
    let counts: BTreeMap<String, usize> =
        release.services.iter().map(|(name, one)| (name.clone(), one.replicas)).collect();
    items.push(item("start_services", format!("bring {} back", release.name()), Act::StartServices(step)));
    let gate = ExpectServices { project: project.clone(), services: counts, stable_ms: 2_000, deadline_s: 180 };
    items.push(item("expect_services", "all services healthy".into(), Act::ExpectServices(gate)));
    items.extend(basis.items.iter().filter(|item| matches!(item.action, Act::ExpectHealth(_))).cloned());
    let record = RecordRelease {
        release: to,
        before: current,
        project: project.clone(),
        environment: release.environment.clone(),
        directory: directory_of(basis),
        services: BTreeMap::new(),
        is_known: true,
        keep_releases,
    };
    items.push(item("record_release", format!("name r{to} the current release"), Act::RecordRelease(record)));
    let plan = Plan {
        kind: RunKind::Rollback,
        project,
        environment: release.environment.clone(),
        release_from: current,
        release_to: Some(to),
        undoes: None,
        services,
        remarks,
        rolls_back: false,
        items,
        home: basis.home.clone(),
        way_back: basis.way_back.clone(),
        files: BTreeMap::from([("model.json".to_owned(), crate::adapter::files::sha256(model.to_string().as_bytes()))]),
    };
    Ok(Planned { plan, files: vec![("model.json".into(), model)] })
}

fn directory_of(basis: &Plan) -> std::path::PathBuf {
    let found = basis.items.iter().find_map(|item| match &item.action {
        Act::StartServices(step) => Some(step.directory.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| "/".into())
}

fn switch_to(store: &Store, release: &Release, containers: &[Container]) -> Result<StartServices> {
    let current = match store.current()? {
        Some(number) => store.read(number)?,
        None => None,
    };
    let at = current.as_ref().map_or(ModelAt::Nothing, |one| ModelAt::Release(one.number));
    let mut from = BTreeMap::new();
    let mut to = BTreeMap::new();
    let names: BTreeSet<String> =
        release.services.keys().cloned().chain(containers.iter().map(|one| one.service.clone())).collect();
    let mut services = Vec::new();
    for name in names {
        let own: Vec<&Container> = containers.iter().filter(|container| container.service == name).collect();
        let files_changed = files_of(current.as_ref(), &name) != files_of(Some(release), &name);
        if let Some(first) = own.first() {
            from.insert(
                name.clone(),
                ServiceSide {
                    hashes: own.iter().map(|container| container.hash.clone()).collect(),
                    image: first.image_id.clone(),
                    replicas: own.len(),
                    ids: own.iter().map(|container| container.id.clone()).collect(),
                    running: BTreeSet::new(),
                },
            );
        }
        if let Some(record) = release.services.get(&name) {
            let mut hashes = BTreeSet::from([record.pinned_hash.clone()]);
            if !files_changed {
                hashes.insert(record.hash.clone());
            }
            to.insert(
                name.clone(),
                ServiceSide {
                    hashes,
                    image: record.image_id.clone(),
                    replicas: record.replicas,
                    ..ServiceSide::default()
                },
            );
        }
        services.push(Touched { service: name, is_forced: false });
    }
    let directory = working_directory(containers);
    Ok(StartServices {
        project: release.project.clone(),
        directory,
        services,
        from: Side { release: current.as_ref().map(|one| one.number), model: at, services: from },
        to: Side { release: Some(release.number), model: ModelAt::Release(release.number), services: to },
        deadline_s: 180,
        stop_timeout_s: None,
    })
}

fn files_of(release: Option<&Release>, service: &str) -> BTreeSet<(String, String)> {
    let files = release.into_iter().flat_map(|release| &release.files);
    files.filter(|file| file.service == service).map(|file| (file.path.clone(), file.fingerprint.clone())).collect()
}

/// The project's directory, as compose wrote it on the containers.
fn working_directory(containers: &[Container]) -> std::path::PathBuf {
    let label = containers.iter().find_map(|container| container.labels.get("com.docker.compose.project.working_dir"));
    label.map_or_else(|| "/".into(), Into::into)
}

fn change(touched: &Touched, step: &StartServices, containers: &[Container]) -> ServiceChange {
    let name = &touched.service;
    let own = containers.iter().find(|container| &container.service == name);
    let wanted = step.to.services.get(name);
    let change = match (own, wanted) {
        (None, _) => Change::Create,
        (Some(_), None) => Change::Remove,
        (Some(own), Some(side)) if side.hashes.contains(&own.hash) && side.image == own.image_id => Change::Keep,
        (Some(_), Some(_)) => Change::Recreate,
    };
    let reasons = match change {
        Change::Create => vec!["the release has it".into()],
        Change::Remove => vec!["the release does not have it".into()],
        Change::Recreate => vec!["the release has another image or configuration".into()],
        _ => Vec::new(),
    };
    ServiceChange {
        service: name.clone(),
        change,
        reasons,
        image_from: own.map(|container| container.image_id.clone()),
        image_to: wanted.map(|side| short(&side.image).to_owned()),
    }
}
