//! The list of a rollback to a release that is named: read from its record, undone by what was read from the engine.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::Refusal;
use super::bring_side;
use super::deploy::Planned;
use super::front::Front;
use super::list::item;
use super::rollback::{Without, all_here, first_acts};
use crate::adapter::docker::{Container, Docker};
use crate::release::keep::short;
use crate::release::{Release, Store};
use crate::step::Act;
use crate::step::containers::{ModelAt, ServiceSide, Side, Touched};
use crate::step::expect_services::ExpectServices;
use crate::step::plan::{Change, Item, Plan, RunKind, ServiceChange};
use crate::step::record_release::RecordRelease;
use crate::step::start_services::StartServices;

/// Makes the list that brings an older release back.
///
/// # Errors
/// [`Refusal`], when the release is not there, serves already, or is not whole.
pub async fn plan_to(
    docker: &Docker,
    store: &Store,
    to: u32,
    (basis, front): (&Plan, Option<&Front>),
    keep_releases: u32,
    without: Without,
) -> Result<Planned> {
    let Some(release) = store.read(to)? else {
        let known: Vec<String> = store.numbers()?.iter().map(|number| format!("r{number}")).collect();
        return Err(Refusal::Gate(format!("there is no release r{to}; there are {}", known.join(", "))).into());
    };
    all_here(docker, &release).await?;
    let project = release.project.clone();
    let current = store.current()?;
    let switched = bring_side::look(docker, store, &release, basis, front).await?;
    let (services, brought, ended) = match &switched {
        Some(switched) => {
            let (items, ended) = switched.items()?;
            (switched.changes()?, items, ended)
        }
        None => {
            let (services, items) = in_place(docker, store, &release, basis).await?;
            (services, items, Vec::new())
        }
    };
    let is_led_to = switched.as_ref().is_none_or(bring_side::BringSide::is_live);
    if services.iter().all(|change| change.change == Change::Keep) && current == Some(to) && is_led_to {
        return Err(Refusal::Gate(format!("r{to} serves already")).into());
    }
    let model = store.model(to)?;
    let mut remarks = vec!["the schema and the rows stay as they are".to_owned()];
    let mut items = first_acts(docker, basis, without, &|_| false, &mut remarks).await?;
    items.retain(|item| !super::rollback::is_about_old_side(item));
    items.extend(brought);
    let record = RecordRelease {
        release: to,
        before: current,
        project: project.clone(),
        environment: release.environment.clone(),
        directory: directory_of(basis),
        services: BTreeMap::new(),
        is_known: true,
        keep_releases,
        side: None,
    };
    items.push(item("record_release", format!("name r{to} the current release"), Act::RecordRelease(record)));
    items.extend(ended);
    let way_back = switched.as_ref().map_or_else(|| basis.way_back.clone(), bring_side::BringSide::way_back);
    let home = switched.as_ref().map_or_else(|| basis.home.clone(), bring_side::BringSide::home);
    let mut files = vec![("model.json".to_owned(), model)];
    files.extend(front.map(Front::to_file));
    let plan = Plan {
        kind: RunKind::Rollback,
        project,
        environment: release.environment.clone(),
        release_from: current,
        release_to: Some(to),
        deed: None,
        undoes: None,
        services,
        remarks,
        rolls_back: false,
        items,
        home,
        way_back,
        files: BTreeMap::new(),
        course: None,
    };
    let mut planned = Planned { plan, files };
    super::front::name_files(&mut planned);
    Ok(planned)
}

/// The release in place: its containers take the place of those that run.
async fn in_place(
    docker: &Docker,
    store: &Store,
    release: &Release,
    basis: &Plan,
) -> Result<(Vec<ServiceChange>, Vec<Item>)> {
    let containers = docker.containers(&release.project).await?;
    let step = switch_to(store, release, &containers)?;
    let services = step.services.iter().map(|touched| change(touched, &step, &containers)).collect();
    let counts = release.services.iter().map(|(name, one)| (name.clone(), one.replicas)).collect();
    let gate = ExpectServices {
        project: release.project.clone(),
        services: counts,
        stable_ms: 2_000,
        deadline_s: 180,
        ending: BTreeSet::new(),
    };
    let mut items = vec![
        item("start_services", format!("bring {} back", release.name()), Act::StartServices(step)),
        item("expect_services", "all services healthy".into(), Act::ExpectServices(gate)),
    ];
    items.extend(basis.items.iter().filter(|item| matches!(item.action, Act::ExpectHealth(_))).cloned());
    Ok((services, items))
}

pub(super) fn directory_of(basis: &Plan) -> std::path::PathBuf {
    let found = basis.items.iter().find_map(|item| match &item.action {
        Act::StartServices(step) => Some(step.directory.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| "/".into())
}

pub(super) fn switch_to(store: &Store, release: &Release, containers: &[Container]) -> Result<StartServices> {
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
            let mut hashes: BTreeSet<String> = own.iter().map(|container| container.hash.clone()).collect();
            // Undone, it runs from the pinned model.
            let record = current.as_ref().and_then(|one| one.services.get(&name));
            hashes.extend(record.map(|record| record.pinned_hash.clone()));
            from.insert(
                name.clone(),
                ServiceSide {
                    hashes,
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
        is_ground: false,
        without: BTreeSet::new(),
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

pub(super) fn change(touched: &Touched, step: &StartServices, containers: &[Container]) -> ServiceChange {
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
