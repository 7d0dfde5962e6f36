//! A deployment of what runs already: nothing is changed and nothing recorded; its gates look at the world all the same.
//!
//! Law: only what is known before it begins counts. A build, a pull, a stopped container, another migration is something new.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use super::deploy::Planned;
use super::list::List;
use crate::adapter::docker::Docker;
use crate::config::Config;
use crate::journal::{Outcome, RunState, runs};
use crate::release::{Release, keep, model};
use crate::step::plan::{Change, Plan};

/// The plan that only looks, where the deployment would change nothing.
///
/// # Errors
/// When the engine or a journal cannot be read.
pub(super) async fn plan(list: &List<'_>, made: &Planned, docker: &Docker) -> Result<Option<Planned>> {
    let Some(record) = list.look.running.as_ref().and_then(|running| running.record.as_ref()) else { return Ok(None) };
    if made.plan.services.iter().any(|service| service.change != Change::Keep)
        || !list.fetched.built.is_empty()
        || !list.fetched.pulled.is_empty()
        || !has_same_services(list, record)
        || !keep::missing(docker, record).await?.is_empty()
        || !is_migrated_alike(list.config, record)?
    {
        return Ok(None);
    }
    let plan = Plan {
        deed: Some(format!("already runs {}, nothing to do", record.name())),
        release_from: Some(record.number),
        release_to: None,
        rolls_back: true,
        items: list.proofs(),
        home: Vec::new(),
        way_back: Vec::new(),
        files: std::collections::BTreeMap::new(),
        ..made.plan.clone()
    };
    Ok(Some(Planned { plan, files: Vec::new() }))
}

fn has_same_services(list: &List<'_>, record: &Release) -> bool {
    let rendered = &list.look.rendered;
    let todays = model::services(rendered).into_iter().filter(|service| model::replicas(rendered, service) > 0);
    todays.collect::<BTreeSet<_>>() == record.services.keys().cloned().collect()
}

/// Whether the deployment that recorded the release migrated the schema in the words of today's configuration.
fn is_migrated_alike(config: &Config, record: &Release) -> Result<bool> {
    let Some(migrate) = &config.deploy.migrate else { return Ok(true) };
    let all = runs::list(&config.state.directory.join("runs")).context("cannot list the runs")?;
    let Some(file) = all.into_iter().find(|file| file.number == record.run) else { return Ok(false) };
    let run = file.state()?;
    let was_done = matches!(run.outcome, Some((Outcome::Done, _))) && run.plan["release_to"] == record.number;
    let is_alike = |step: &Value| {
        step["service"] == migrate.service.as_str() && step["command"] == serde_json::json!(migrate.command)
    };
    Ok(was_done && migration(&run).is_some_and(is_alike))
}

/// The migration of a run, as its plan has it.
fn migration(run: &RunState) -> Option<&Value> {
    let items = run.plan["items"].as_array()?;
    items.iter().map(|item| &item["action"]).find(|action| action["act"] == "migrate_schema")
}
