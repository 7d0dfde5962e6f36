//! What a deployment changes, service by service, and why. Pure: judged from a look at the world.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::look::Look;
use crate::adapter::docker::{Container, has_ended_its_work};
use crate::release::keep::short;
use crate::release::model;
use crate::step::containers::{ModelAt, ServiceSide, Side, Touched, is_running, is_up};
use crate::step::plan::{Change, ServiceChange};

/// The judgement of one service.
#[derive(Clone, Debug)]
pub struct Judged {
    /// For people.
    pub change: ServiceChange,
    /// For the step.
    pub touched: Touched,
}

/// Which services get their image anew in this run.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// By a build.
    pub built: BTreeSet<String>,
    /// By a pull.
    pub pulled: BTreeSet<String>,
    /// By the build of another service, whose image they run too.
    pub shared: BTreeSet<String>,
}

/// Judges the services in the given order.
pub fn judge(look: &Look, project: &str, services: &[String], fetched: &Fetched) -> Vec<Judged> {
    services.iter().map(|service| judge_one(look, project, service, fetched)).collect()
}

fn judge_one(look: &Look, project: &str, service: &str, fetched: &Fetched) -> Judged {
    let own: Vec<&Container> = look.containers.iter().filter(|container| container.service == service).collect();
    let reference = model::image(&look.rendered, project, service);
    let wanted = look.images.get(&reference);
    let runs = own.first().map(|container| container.image_id.clone());
    let mut reasons = Vec::new();
    let files = changed_files(look, service);
    let is_same_hash = own.iter().all(|container| look.hashes.get(service) == Some(&container.hash));
    if own.len() != model::replicas(&look.rendered, service) && !own.is_empty() {
        reasons.push(format!("{} containers become {}", own.len(), model::replicas(&look.rendered, service)));
    }
    if !is_same_hash {
        reasons.extend(differences(look, service));
    }
    let is_same_reference = own.iter().all(|container| container.image == reference);
    if let (Some(runs), Some(wanted)) = (&runs, wanted)
        && runs != wanted
        && is_same_reference
    {
        reasons.push(format!("image: {reference} names another image now ({} → {})", short(runs), short(wanted)));
    }
    reasons.extend(files.iter().map(|path| format!("file: {path} changed")));
    let is_built = fetched.built.contains(service) || fetched.shared.contains(service);
    let is_fetched = is_built || fetched.pulled.contains(service);
    let change = if own.is_empty() && model::replicas(&look.rendered, service) == 0 {
        Change::Keep
    } else if own.is_empty() {
        reasons.insert(0, "does not run yet".into());
        Change::Create
    } else if !reasons.is_empty() {
        Change::Recreate
    } else if is_fetched {
        reasons.push(if is_built { "is built anew".into() } else { "is pulled anew".into() });
        Change::Perhaps
    } else if let Some(down) = own.iter().find(|container| !is_at_work(container, &look.containers)) {
        reasons.push(format!("is {}", down.state.status));
        Change::Start
    } else {
        Change::Keep
    };
    // A file's content does not show in compose's digest, so compose has to be told to replace the container.
    let is_forced = !files.is_empty() && is_same_hash;
    let image_to = wanted.map_or_else(|| reference.clone(), |id| format!("{reference} ({})", short(id)));
    Judged {
        change: ServiceChange {
            service: service.to_owned(),
            change,
            reasons,
            image_from: runs,
            image_to: Some(image_to),
        },
        touched: Touched { service: service.to_owned(), is_forced },
    }
}

fn is_at_work(container: &Container, all: &[Container]) -> bool {
    container.state.status == "running" || has_ended_its_work(container, all)
}

/// Configuration files whose content is not what the running release was given.
fn changed_files(look: &Look, service: &str) -> Vec<String> {
    let Some(record) = look.running.as_ref().and_then(|running| running.record.as_ref()) else { return Vec::new() };
    let before: BTreeMap<&str, &str> = record
        .files
        .iter()
        .filter(|file| file.service == service)
        .map(|file| (file.path.as_str(), file.fingerprint.as_str()))
        .collect();
    let now = look.fingerprints.iter().filter(|((name, _), _)| name == service);
    now.filter_map(|((_, path), fingerprint)| {
        let path = path.display().to_string();
        let changed = before.get(path.as_str()).is_some_and(|before| before != fingerprint);
        let inside = std::path::Path::new(&path).strip_prefix(&look.directory);
        changed.then(|| inside.map_or_else(|_| path.clone(), |inside| inside.display().to_string()))
    })
    .collect()
}

/// What differs between the model that runs and today's: keys, and names of variables; never a value.
fn differences(look: &Look, service: &str) -> Vec<String> {
    let old = look.running.as_ref().and_then(|running| model::service(&running.model, service));
    let (Some(old), Some(new)) = (old, model::service(&look.rendered, service)) else {
        return vec!["configuration: changed".into()];
    };
    let was_image =
        look.running.as_ref().and_then(|running| running.services.get(service)).map(|kept| kept.image.clone());
    let is_image = new.get("image").and_then(Value::as_str).map(str::to_owned);
    let mut reasons = Vec::new();
    if let (Some(was), Some(is)) = (was_image, is_image)
        && was != is
        && !is.starts_with("sha256:")
    {
        reasons.push(if was.starts_with("cutover.invalid/") || was.starts_with("sha256:") {
            format!("image: {is} instead of the kept image that a rollback brought back")
        } else {
            format!("image: {was} → {is}")
        });
    }
    let variables = changed_keys(old.get("environment"), new.get("environment"));
    if !variables.is_empty() {
        reasons.push(format!("env: {}", variables.join(", ")));
    }
    let quiet = ["image", "environment", "build", "depends_on", "pull_policy", "volumes", "configs", "secrets"];
    let keys: Vec<String> =
        changed_keys(Some(old), Some(new)).into_iter().filter(|key| !quiet.contains(&key.as_str())).collect();
    if !keys.is_empty() {
        reasons.push(format!("config: {}", keys.join(", ")));
    }
    if mounts(old) != mounts(new) {
        reasons.push("config: volumes".into());
    }
    if reasons.is_empty() {
        reasons.push("config: brought back by a rollback, or changed by hand".into());
    }
    reasons
}

/// Targets of the mounts; sources differ between a release's copies and the project's files.
fn mounts(service: &Value) -> BTreeSet<String> {
    let list = service.get("volumes").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|mount| mount.get("target").and_then(Value::as_str)).map(str::to_owned).collect()
}

fn changed_keys(old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
    let empty = serde_json::Map::new();
    let old = old.and_then(Value::as_object).unwrap_or(&empty);
    let new = new.and_then(Value::as_object).unwrap_or(&empty);
    let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    all.into_iter().filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
}

/// The side that runs now, for these services.
pub fn from_side(look: &Look, judged: &[Judged]) -> Side {
    let Some(running) = &look.running else { return Side::default() };
    let mut services = BTreeMap::new();
    for one in judged {
        let name = &one.touched.service;
        let own: Vec<&Container> = look.containers.iter().filter(|container| &container.service == name).collect();
        let Some(kept) = running.services.get(name).filter(|_| !own.is_empty()) else { continue };
        let mut hashes = BTreeSet::new();
        hashes.extend(running.pinned_hashes.get(name).cloned());
        if !one.touched.is_forced {
            // A forced service has the same digest on both sides: only its containers tell them apart.
            hashes.insert(kept.hash.clone());
            hashes.extend(own.iter().map(|container| container.hash.clone()));
        }
        let ids = own.iter().map(|container| container.id.clone()).collect();
        let running = own.iter().filter(|one| is_running(one)).map(|container| container.id.clone()).collect();
        let side = ServiceSide { hashes, image: kept.image_id.clone(), replicas: own.len(), ids, running };
        services.insert(name.clone(), side);
    }
    Side { release: Some(running.number), model: ModelAt::Release(running.number), services }
}

/// The side that today's files want, for these services.
pub fn to_side(look: &Look, project: &str, release: u32, judged: &[Judged]) -> Side {
    let side = |name: &String| ServiceSide {
        hashes: look.hashes.get(name).cloned().into_iter().collect(),
        image: model::image(&look.rendered, project, name),
        replicas: model::replicas(&look.rendered, name),
        ids: BTreeSet::new(),
        running: BTreeSet::new(),
    };
    let wanted = judged.iter().map(|one| &one.touched.service);
    let services = wanted.map(|name| (name.clone(), side(name))).collect();
    Side { release: Some(release), model: ModelAt::Run(None), services }
}

/// Services whose containers are up now, and how many: what a way back must bring about again.
pub fn up_now(look: &Look) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut sick = BTreeSet::new();
    for container in &look.containers {
        *counts.entry(container.service.clone()).or_default() += 1;
        let is_sick = container.state.health.as_deref() == Some("unhealthy")
            || !is_at_work(container, &look.containers)
            || !is_up(container);
        if is_sick {
            sick.insert(container.service.clone());
        }
    }
    counts.retain(|service, _| !sick.contains(service));
    counts
}
