//! A look at the world before a plan is made: what the files say, what runs, and which release that is. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;
use futures_util::future::join_all;
use serde_json::Value;

use super::Refusal;
use crate::adapter::compose::{Compose, Sources};
use crate::adapter::docker::{Container, Docker};
use crate::adapter::postgres::Database;
use crate::config::{Config, Environment};
use crate::release::freeze::{self, Fingerprints};
use crate::release::keep::KeptService;
use crate::release::{Origin, Release, Store, model, reconstruct};

/// What was seen.
#[derive(Clone)]
pub struct Look {
    /// Directory of the project.
    pub directory: PathBuf,
    /// Model that today's files give.
    pub rendered: Value,
    /// What compose warned of.
    pub warnings: Vec<String>,
    /// Digest of each service's configuration today.
    pub hashes: BTreeMap<String, String>,
    /// Containers of the project.
    pub containers: Vec<Container>,
    /// Containers of the sides that run beside it.
    pub sides: Vec<Container>,
    /// What runs now, as a release.
    pub running: Option<Running>,
    /// Identifier of the image that each reference names here.
    pub images: BTreeMap<String, String>,
    /// Fingerprints of the configuration files today; empty before the first deployment.
    pub fingerprints: BTreeMap<(String, PathBuf), String>,
}

/// What runs now.
#[derive(Clone)]
pub struct Running {
    /// Its number: a recorded release's, or the one that it gets when it is pinned.
    pub number: u32,
    /// Its record, where it has one.
    pub record: Option<Release>,
    /// How its model is known.
    pub origin: Origin,
    /// Its model: the pinned one of a recorded release, else the one that it will be recorded with.
    pub model: Value,
    /// Its services.
    pub services: BTreeMap<String, KeptService>,
    /// Digest of each service in its pinned model.
    pub pinned_hashes: BTreeMap<String, String>,
    /// What could not be read back exactly from the containers.
    pub remarks: Vec<String>,
}

/// The compose files of a configuration.
pub fn sources(config: &Config, environment: &Environment) -> Sources {
    Sources {
        project: config.compose_project().to_owned(),
        directory: config.directory.clone(),
        files: config.compose.files.clone(),
        env_files: config.compose.env_files.clone(),
        profiles: config.compose.profiles.clone(),
        model: None,
        variables: environment.chosen(&config.secrets.variables),
    }
}

/// Looks.
///
/// # Errors
/// When the files are not valid, or the engine or the store cannot be read.
pub async fn look(
    config: &Config,
    environment: &Environment,
    docker: &Docker,
    compose: &Compose,
    store: &Store,
) -> Result<Look> {
    let project = config.compose_project();
    let sources = sources(config, environment);
    let (rendered, containers, sides) =
        tokio::join!(compose.render(&sources), docker.containers(project), docker.sides(project));
    let ((rendered, warnings), containers, sides) = (rendered?, containers?, sides?);
    if model::services(&rendered).is_empty() {
        return Err(
            Refusal::Usage("the compose files name no service; look at [compose] files and profiles".into()).into()
        );
    }
    let (hashes, images) =
        tokio::join!(compose.hashes(project, &config.directory, &rendered), images(docker, project, &rendered));
    let (hashes, images) = (hashes?, images?);
    let found = Found {
        config,
        docker,
        compose,
        store,
        rendered: &rendered,
        hashes: &hashes,
        containers: &containers,
        sides: &sides,
    };
    let running = found.running().await?;
    let fingerprints = match Fingerprints::read(&config.state.directory)? {
        Some(key) => key.of_sources(&model::config_sources(&rendered, &config.directory))?,
        None => BTreeMap::new(),
    };
    Ok(Look {
        directory: config.directory.clone(),
        rendered,
        warnings,
        hashes,
        containers,
        sides,
        running,
        images,
        fingerprints,
    })
}

/// Identifier of the image that each reference of the model names here.
async fn images(docker: &Docker, project: &str, rendered: &Value) -> Result<BTreeMap<String, String>> {
    let references: BTreeSet<String> =
        model::services(rendered).iter().map(|service| model::image(rendered, project, service)).collect();
    let asked = join_all(references.iter().map(|reference| docker.image_id(reference))).await;
    let mut images = BTreeMap::new();
    for (reference, id) in references.into_iter().zip(asked) {
        images.extend(id?.map(|id| (reference, id)));
    }
    Ok(images)
}

struct Found<'a> {
    config: &'a Config,
    docker: &'a Docker,
    compose: &'a Compose,
    store: &'a Store,
    rendered: &'a Value,
    hashes: &'a BTreeMap<String, String>,
    containers: &'a [Container],
    sides: &'a [Container],
}

impl Found<'_> {
    /// Which release runs: the recorded one if every container is of it, else one that has no record yet.
    async fn running(&self) -> Result<Option<Running>> {
        if self.containers.is_empty() {
            return Ok(None);
        }
        if let Some(number) = self.store.current()?
            && let Some(record) = self.store.read(number)?
            && record.project == self.config.compose_project()
            && let Some(remarks) = self.is_running(&record)
        {
            return Ok(Some(Running {
                number,
                origin: record.origin,
                model: self.store.model(number)?,
                services: kept_from(&record),
                pinned_hashes: record
                    .services
                    .iter()
                    .map(|(name, one)| (name.clone(), one.pinned_hash.clone()))
                    .collect(),
                record: Some(record),
                remarks,
            }));
        }
        self.unrecorded().await.map(Some)
    }

    /// Whether this release runs; with what a person should know where it does.
    fn is_running(&self, record: &Release) -> Option<Vec<String>> {
        let Some(side) = &record.side else {
            return self.containers.iter().all(|container| is_of(record, container)).then(Vec::new);
        };
        // In place there may still be what served before the side; of the side itself every container is by its own mark.
        let base = self.containers.iter().filter(|container| !side.services.contains(&container.service));
        let drifted: Vec<&str> = base.filter(|one| !is_of(record, one)).map(|one| one.name.as_str()).collect();
        let is_there = self.sides.iter().any(|one| one.side_release() == Some(record.number));
        let mut remarks = Vec::new();
        if !drifted.is_empty() {
            let names = drifted.join(", ");
            remarks.push(format!("{names}: not as {} was recorded; a way back brings the recorded one", record.name()));
        }
        if !is_there {
            remarks.push(format!(
                "{} is the current release, but its side {} does not run",
                record.name(),
                side.project
            ));
        }
        Some(remarks)
    }

    async fn unrecorded(&self) -> Result<Running> {
        let number = self.store.next_number()?;
        let project = self.config.compose_project();
        let is_todays =
            self.containers.iter().all(|container| self.hashes.get(&container.service) == Some(&container.hash));
        let (origin, mut model, remarks) = if is_todays {
            (Origin::Adopted, self.rendered.clone(), Vec::new())
        } else {
            let read = self.read_back(project).await?;
            (Origin::Reconstructed, read.model, read.remarks)
        };
        let runs: BTreeSet<&str> = self.containers.iter().map(|container| container.service.as_str()).collect();
        if let Some(services) = model.get_mut("services").and_then(Value::as_object_mut) {
            services.retain(|name, _| runs.contains(name.as_str()));
        }
        let place = self.store.place(number);
        let pinned = freeze::pin(&model, &self.config.directory, number, project, &place);
        let pinned_hashes = self.compose.hashes(project, &self.config.directory, &pinned.model).await?;
        let services = runs.into_iter().map(|name| (name.to_owned(), self.kept(name))).collect();
        Ok(Running { number, record: None, origin, model, services, pinned_hashes, remarks })
    }

    async fn read_back(&self, project: &str) -> Result<reconstruct::Reconstruction> {
        let mut inspected = Vec::new();
        let mut images = BTreeMap::new();
        for container in self.containers {
            inspected.extend(self.docker.inspect(&container.id).await?);
            if let Some(image) = self.docker.image(&container.image_id).await? {
                images.insert(container.image_id.clone(), image);
            }
        }
        reconstruct::model(project, &inspected, &images)
    }

    fn kept(&self, service: &str) -> KeptService {
        let own: Vec<&Container> = self.containers.iter().filter(|container| container.service == service).collect();
        KeptService {
            image: own[0].image.clone(),
            image_id: own[0].image_id.clone(),
            hash: own[0].hash.clone(),
            replicas: own.len(),
        }
    }
}

fn is_of(record: &Release, container: &Container) -> bool {
    record.services.get(&container.service).is_some_and(|service| {
        service.image_id == container.image_id && [&service.hash, &service.pinned_hash].contains(&&container.hash)
    })
}

fn kept_from(record: &Release) -> BTreeMap<String, KeptService> {
    let kept = |service: &crate::release::ServiceRecord| KeptService {
        image: service.image.clone(),
        image_id: service.image_id.clone(),
        hash: service.hash.clone(),
        replicas: service.replicas,
    };
    record.services.iter().map(|(name, service)| (name.clone(), kept(service))).collect()
}

/// The database that the stack owns: as configured, or found by image and environment.
///
/// # Errors
/// When a service is configured that the model does not have.
pub fn database(config: &Config, rendered: &Value) -> Result<Option<Database>> {
    if config.backup.enabled == Some(false) {
        return Ok(None);
    }
    let project = config.compose_project();
    let found = model::postgres_service(rendered, project);
    let (service, user, name) = match (&config.backup.service, found) {
        (Some(service), _) if model::service(rendered, service).is_none() => {
            let known = model::services(rendered).join(", ");
            return Err(Refusal::Usage(format!(
                "[backup] service = {service:?}: the model has no such service; it has {known}"
            ))
            .into());
        }
        (Some(service), found) => {
            let (user, name) = found
                .filter(|(found, _, _)| found == service)
                .map_or_else(|| ("postgres".to_owned(), "postgres".to_owned()), |(_, user, name)| (user, name));
            (service.clone(), user, name)
        }
        (None, Some(found)) => found,
        (None, None) if config.backup.enabled == Some(true) => {
            return Err(Refusal::Usage(
                "[backup] enabled = true, but no service of the model looks like PostgreSQL; name it: [backup] service"
                    .into(),
            )
            .into());
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(Database {
        service,
        user: config.backup.user.clone().unwrap_or(user),
        name: config.backup.database.clone().unwrap_or(name),
    }))
}
