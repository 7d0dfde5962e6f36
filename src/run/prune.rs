//! The list of `releases prune`: sides that do not serve are taken away; their releases stay kept.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Refusal;
use super::deploy::Planned;
use super::front::Front;
use super::list::item;
use crate::adapter::docker::Docker;
use crate::adapter::switch;
use crate::config::Config;
use crate::release::side;
use crate::step::Act;
use crate::step::beside::{Beside, SideService};
use crate::step::containers::ModelAt;
use crate::step::end_side::EndSide;
use crate::step::plan::{Plan, RunKind};

/// The letting go of every side that no route leads to.
///
/// # Errors
/// [`Refusal`], when there is none; or when the engine or the switch cannot be asked.
pub async fn warm_sides(config: &Config, docker: &Docker) -> Result<Planned> {
    let project = config.compose_project();
    let front = Front::of(config).filter(|front| front.directory.is_some()).ok_or_else(|| {
        Refusal::Usage(
            "no side runs beside this project: strategy = \"blue-green\" and caddy.directory are not set".into(),
        )
    })?;
    let now = switch::read(&front.directory.clone().unwrap_or_default(), front.routes.keys())?;
    let mut idle: BTreeMap<u32, BTreeMap<String, SideService>> = BTreeMap::new();
    for one in docker.sides(project).await? {
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
    if idle.is_empty() {
        return Err(Refusal::Gate("nothing to let go: no side runs that does not serve".into()).into());
    }
    let names: Vec<String> = idle.keys().map(|release| side::project(project, *release)).collect();
    let items = idle.into_iter().map(|(release, services)| {
        let side = Beside {
            base: project.to_owned(),
            release,
            is_in_place: false,
            directory: config.directory.clone(),
            services,
            model: ModelAt::Release(release),
            deadline_s: config.deploy.start_deadline.as_secs(),
            stop_timeout_s: config.deploy.stop_timeout.map(|timeout| timeout.as_secs()),
            proxy: front.proxy.clone(),
            drain_s: front.drain_s,
        };
        let title = format!("let {} go", side.project());
        item(&format!("let_go_r{release}"), title, Act::EndSide(EndSide { side, is_way_back: false }))
    });
    let plan = Plan {
        kind: RunKind::Data,
        project: project.to_owned(),
        environment: config.project.environment.clone(),
        release_from: None,
        release_to: None,
        deed: Some(format!("the letting go of {}", names.join(", "))),
        undoes: None,
        services: Vec::new(),
        remarks: vec![
            "a rollback then starts the release before from its record, instead of leading back at once".into(),
        ],
        rolls_back: true,
        items: items.collect(),
        home: Vec::new(),
        way_back: Vec::new(),
        files: BTreeMap::new(),
        course: None,
    };
    Ok(Planned { plan, files: Vec::new() })
}
