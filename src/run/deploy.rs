//! The list of a deployment: what is asked before it is made. By reading only; the same world gives the same list.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;

use super::Refusal;
use super::changes::Fetched;
use super::list::List;
use super::look::{self, Look};
use super::{before, beside, front, nothing_new};
use crate::adapter::compose::Compose;
use crate::adapter::docker::Docker;
use crate::adapter::http::Http;
use crate::config::{Config, Environment, PullPolicy, Strategy};
use crate::release::{Store, model};
use crate::step::expect_health::ExpectHealth;
use crate::step::plan::Plan;

/// A plan, and the files that its run keeps beside the journal.
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// Name and content.
    pub files: Vec<(String, Value)>,
}

/// What a person may ask for beside the configuration.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The environment: the variables that `[secrets] variables` names are taken from it.
    pub environment: Environment,
    /// Do not build, use the images that are here.
    pub without_build: bool,
    /// Every step, also where nothing is new.
    pub is_whole: bool,
}

/// Makes the plan.
///
/// # Errors
/// When the world or the files cannot be read, or the deployment cannot be carried out as configured.
pub async fn plan(
    config: &Config,
    docker: &Docker,
    compose: &Compose,
    http: &Http,
    store: &Store,
    wishes: Wishes,
) -> Result<Planned> {
    let look = look::look(config, &wishes.environment, docker, compose, store).await?;
    let asked = beside::Asked { docker, compose, http, store };
    let mut planned = listed(config, &look, &asked, &wishes).await?;
    if let Some(record) = look.running.as_ref().and_then(|running| running.record.as_ref()) {
        let back = before::of(docker, store, record, before::least(Some(config))).await;
        if back.is_whole() != Some(true) {
            planned.plan.remarks.push(format!("the way back: {}", back.words()));
        }
    }
    Ok(planned)
}

/// The plan for what was seen.
async fn listed(config: &Config, look: &Look, asked: &beside::Asked<'_>, wishes: &Wishes) -> Result<Planned> {
    let database = look::database(config, &look.rendered)?;
    let fetched = fetched(config, look, wishes)?;
    let wanted = wanted_digests(config, asked.docker, look, &fetched).await?;
    if config.deploy.strategy == Strategy::BlueGreen {
        return beside::plan(config, look, asked, (database, fetched, wanted)).await;
    }
    nobody_beside(look)?;
    let gates: Vec<ExpectHealth> = config.health.iter().map(health_gate).collect();
    let healthy = healthy_now(&gates, asked.docker, asked.http, look).await;
    let store = asked.store;
    let list = List { config, look, database, fetched, wanted, healthy, store, without: BTreeSet::new() };
    let mut planned = list.plan()?;
    if !wishes.is_whole
        && let Some(looks) = nothing_new::plan(&list, &planned, asked.docker).await?
    {
        return Ok(looks);
    }
    planned.files.extend(front::file(config));
    front::name_files(&mut planned);
    Ok(planned)
}

/// Refuses to change in place what nobody is led to.
fn nobody_beside(look: &Look) -> Result<()> {
    let side =
        look.running.as_ref().and_then(|running| running.record.as_ref()).and_then(|record| record.side.as_ref());
    match side {
        None => Ok(()),
        Some(side) => Err(Refusal::Usage(format!(
            "{} serves beside the project, and [deploy] strategy = \"recreate\" would change containers that nobody is led \
             to; set it to \"blue-green\", or bring back a release that was deployed in place: `cutover releases`, then \
             `cutover rollback --to r…`",
            side.project
        ))
        .into()),
    }
}

/// Which services are built and which are pulled.
fn fetched(config: &Config, look: &Look, wishes: &Wishes) -> Result<Fetched> {
    let project = config.compose_project();
    let all = model::services(&look.rendered);
    let mut fetched = Fetched::default();
    for service in &config.compose.build {
        if !model::is_built(&look.rendered, service) {
            let known = all.join(", ");
            let why =
                format!("[compose] build names {service:?}, which has no `build` in the model (services: {known})");
            return Err(Refusal::Usage(why).into());
        }
    }
    let is_built_now = |service: &&String| !wishes.without_build && config.compose.build.contains(service);
    let built_now: BTreeSet<String> =
        all.iter().filter(is_built_now).map(|service| model::image(&look.rendered, project, service)).collect();
    for service in &all {
        let reference = model::image(&look.rendered, project, service);
        let is_here = look.images.contains_key(&reference);
        if is_built_now(&service) {
            fetched.built.insert(service.clone());
        } else if built_now.contains(&reference) {
            fetched.shared.insert(service.clone());
        } else if model::is_built(&look.rendered, service) {
            if !is_here {
                let why = format!(
                    "the image {reference} of {service} is not on this host and would have to be built; \
                     add {service:?} to [compose] build"
                );
                return Err(Refusal::Usage(why).into());
            }
        } else if config.compose.pull == PullPolicy::Always || (!is_here && config.compose.pull == PullPolicy::Missing)
        {
            fetched.pulled.insert(service.clone());
        } else if !is_here {
            let why = format!("the image {reference} of {service} is not on this host and [compose] pull = \"never\"");
            return Err(Refusal::Gate(why).into());
        }
    }
    Ok(fetched)
}

/// Asks the registry for the digest of every image that is pulled; pulls that would change nothing are left out.
async fn wanted_digests(
    config: &Config,
    docker: &Docker,
    look: &Look,
    fetched: &Fetched,
) -> Result<BTreeMap<String, String>> {
    let references: BTreeSet<String> =
        fetched.pulled.iter().map(|service| model::image(&look.rendered, config.compose_project(), service)).collect();
    let ask = |reference: String| async move {
        let digest = docker.registry_digest(&reference).await;
        (reference, digest)
    };
    let mut wanted = BTreeMap::new();
    for (reference, digest) in futures_util::future::join_all(references.into_iter().map(ask)).await {
        let digest = digest.map_err(|error| {
            Refusal::Gate(format!(
                "the image {reference} cannot be pulled: {error:#}; it is needed before anything is changed"
            ))
        })?;
        wanted.extend(digest.map(|digest| (reference, digest)));
    }
    Ok(wanted)
}

/// Health endpoints that answer as expected now: only those can prove a way back.
pub(super) async fn healthy_now(gates: &[ExpectHealth], docker: &Docker, http: &Http, look: &Look) -> BTreeSet<String> {
    if look.containers.is_empty() {
        return BTreeSet::new();
    }
    let ask = |gate: ExpectHealth| async move { gate.once(docker, http).await.ok().map(|()| gate.name) };
    let answers = futures_util::future::join_all(gates.iter().cloned().map(ask)).await;
    answers.into_iter().flatten().collect()
}

/// The gate of a health endpoint.
pub fn health_gate(health: &crate::config::Health) -> ExpectHealth {
    ExpectHealth {
        name: health.name.clone(),
        url: health.url.to_string(),
        status: health.expect.status,
        json: health.expect.json.clone(),
        body_contains: health.expect.body_contains.clone(),
        successes: health.successes,
        interval_ms: ms(health.interval),
        timeout_ms: ms(health.timeout),
        deadline_s: health.deadline.as_secs(),
        straight: None,
    }
}

/// Whole milliseconds.
pub(super) fn ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
