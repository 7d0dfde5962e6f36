//! The list of `releases prune`: sides that do not serve are taken away, and releases beyond those that are kept are let go.
//!
//! Law: never what a rollback needs. The current release, those of the run that a rollback would undo, and one that runs stay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use super::begin::plan_of;
use super::deploy::Planned;
use super::front::Front;
use super::list::item;
use super::{Refusal, data, which};
use crate::adapter::docker::{Container, Docker};
use crate::adapter::switch;
use crate::config::Config;
use crate::data::plural::{counted, verb};
use crate::release::{Store, side};
use crate::step::Act;
use crate::step::beside::{Beside, SideService};
use crate::step::containers::ModelAt;
use crate::step::end_side::EndSide;
use crate::step::let_release_go::LetReleaseGo;
use crate::step::plan::Item;

/// What a person wants let go.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Sides that are kept warm, or why they stay.
    pub sides: Result<(), String>,
    /// How many releases are kept beside the current one.
    pub keep: u32,
}

/// The letting go of sides that no route leads to, and of the oldest releases.
///
/// # Errors
/// [`Refusal`], when there is nothing to let go; or when the engine, the switch or the runs cannot be read.
pub async fn plan(config: &Config, docker: &Docker, store: &Store, state: &Path, wish: &Wish) -> Result<Planned> {
    let project = config.compose_project();
    let all = docker.sides(project).await?;
    let idle = idle(config, &all)?;
    let mut remarks = Vec::new();
    let mut items = Vec::new();
    match &wish.sides {
        Ok(()) => items.extend(ends(config, &idle)),
        Err(why) if !idle.is_empty() => remarks.push(why.clone()),
        Err(_) => {}
    }
    if !items.is_empty() {
        remarks
            .push("a rollback then starts the release before from its record, instead of leading back at once".into());
    }
    let running = all.iter().filter_map(Container::side_release).collect();
    for number in surplus(store, project, &needed(store, state, running)?, wish.keep)? {
        let step = Act::LetReleaseGo(LetReleaseGo { release: number });
        items.push(item(&format!("let_release_r{number}_go"), format!("let the release r{number} go"), step));
    }
    if items.is_empty() {
        let sides = remarks.pop().unwrap_or_else(|| "no side runs that does not serve".into());
        return Err(Refusal::Gate(format!(
            "nothing to let go: {sides}; and no more than {} {} kept beside the current one, or a rollback needs more (--keep N \
             keeps fewer)",
            counted(wish.keep, "release"),
            verb(wish.keep, "is", "are")
        ))
        .into());
    }
    let names: Vec<&str> =
        items.iter().map(|item| item.title.trim_start_matches("let ").trim_end_matches(" go")).collect();
    let mut planned = data::plan(config, format!("the letting go of {}", names.join(", ")), items);
    planned.plan.remarks = remarks;
    Ok(planned)
}

type Idle = BTreeMap<u32, BTreeMap<String, SideService>>;

/// Sides that no route leads to.
fn idle(config: &Config, all: &[Container]) -> Result<Idle> {
    let project = config.compose_project();
    let mut idle = Idle::new();
    let front = Front::of(config).and_then(|front| Some((front.directory.clone()?, front)));
    let Some((directory, front)) = front else { return Ok(idle) };
    let now = switch::read(&directory, front.routes.keys())?;
    for one in all {
        let Some(release) = one.side_release() else { continue };
        // A side that any route leads to serves, whatever else the switch says.
        let is_led_to = now.routes.values().any(|to| *to == side::host(project, release, one.plain_service()))
            || now.id.as_deref() == Some(&side::project(project, release));
        if !is_led_to {
            let services = idle.entry(release).or_default();
            let service = services
                .entry(one.plain_service().to_owned())
                .or_insert(SideService { image: one.image_id.clone(), replicas: 0 });
            service.replicas += 1;
        }
    }
    Ok(idle)
}

fn ends(config: &Config, idle: &Idle) -> Vec<Item> {
    let Some(front) = Front::of(config) else { return Vec::new() };
    let ends = idle.iter().map(|(release, services)| {
        let side = Beside {
            base: config.compose_project().to_owned(),
            release: *release,
            is_in_place: false,
            directory: config.directory.clone(),
            services: services.clone(),
            model: ModelAt::Release(*release),
            deadline_s: config.deploy.start_deadline.as_secs(),
            stop_timeout_s: config.deploy.stop_timeout.map(|timeout| timeout.as_secs()),
            proxy: front.proxy.clone(),
            drain_s: front.drain_s,
        };
        let title = format!("let {} go", side.project());
        item(&format!("let_go_r{release}"), title, Act::EndSide(EndSide { side, is_way_back: false }))
    });
    ends.collect()
}

/// Releases that stay, whatever a person wants: the current one, those of the run that a rollback would undo, and those
/// that run.
fn needed(store: &Store, state: &Path, running: BTreeSet<u32>) -> Result<BTreeSet<u32>> {
    let mut needed = running;
    needed.extend(store.current()?);
    match which::last(state) {
        Ok((_, run, _)) => {
            let plan = plan_of(&run)?;
            needed.extend([plan.release_from, plan.release_to].into_iter().flatten());
        }
        // There is nothing to undo: then no release is needed for it.
        Err(error) if error.is::<Refusal>() => {}
        Err(error) => return Err(error),
    }
    Ok(needed)
}

/// The oldest releases beyond those that are kept, without those that are needed.
fn surplus(store: &Store, project: &str, needed: &BTreeSet<u32>, keep: u32) -> Result<Vec<u32>> {
    let current = store.current()?;
    let mut others = Vec::new();
    for number in store.numbers()?.into_iter().filter(|number| Some(*number) != current) {
        if store.read(number)?.is_some_and(|release| release.project == project) {
            others.push(number);
        }
    }
    let beyond = others.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
    Ok(others.into_iter().filter(|number| !needed.contains(number)).take(beyond).collect())
}
