//! Who serves, and what can run beside it: read from the switch, from the containers' marks, and from the model.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::Refusal;
use super::front::Front;
use super::look::Look;
use crate::adapter::docker::Container;
use crate::adapter::switch::{self, Pointing};
use crate::config::{Config, Handling};
use crate::release::{model, side};

/// Who serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Live {
    /// Nobody yet.
    Nobody,
    /// The services of the project itself.
    InPlace,
    /// The side of a release.
    Side(u32),
    /// Somebody whom the switch names and we do not know.
    Stranger(String),
}

/// The services of a deployment, by how each is handled.
#[derive(Clone, Debug, Default)]
pub(super) struct Handled {
    /// Beside the old ones, and switched.
    pub together: Vec<String>,
    /// In place, the old container first.
    pub single: Vec<String>,
    /// Left as they are.
    pub left: BTreeSet<String>,
}

/// Sorts the services of `[deploy]`; what cannot run twice must be said how to handle.
pub(super) fn handled(config: &Config, look: &Look) -> Result<Handled> {
    let deploy = &config.deploy;
    if deploy.services.is_empty() {
        let why = "[deploy] services must name what runs beside the release before: blue-green does not start every \
                   service twice";
        return Err(Refusal::Usage(why.into()).into());
    }
    let said = |name: &String| deploy.handling.get(name).copied();
    let may: Vec<String> =
        deploy.services.iter().filter(|name| said(name).is_none_or(|how| how == Handling::Together)).cloned().collect();
    let mut handled = Handled::default();
    let mut trouble = Vec::new();
    for name in &deploy.services {
        match said(name) {
            Some(Handling::StopFirst) => handled.single.push(name.clone()),
            Some(Handling::Leave) => {
                handled.left.insert(name.clone());
            }
            how => {
                let found = side::obstacles(&look.rendered, name, &may);
                let stands = found.into_iter().filter(|one| one.is_hard || how.is_none());
                let stands: Vec<(String, bool)> = stands.map(|one| (one.why, one.is_hard)).collect();
                if !stands.is_empty() {
                    let words = stands.iter().map(|(why, _)| why.as_str()).collect::<Vec<_>>().join(", and ");
                    let can = if stands.iter().any(|(_, is_hard)| *is_hard) { "" } else { "\"together\", " };
                    trouble.push(format!(
                        "{name} cannot simply run twice: {words}; say how it is handled: [deploy.services.{name}] \
                         handling = {can}\"stop-first\" or \"leave\""
                    ));
                }
                handled.together.push(name.clone());
            }
        }
    }
    let is_proxy = config.caddy.as_ref().and_then(|caddy| caddy.service.as_ref());
    if let Some(proxy) = is_proxy.filter(|proxy| handled.together.contains(proxy)) {
        trouble.push(format!("{proxy} is Caddy, through which is switched; take it out of [deploy] services"));
    }
    if handled.together.is_empty() {
        trouble.push("no service is left that runs beside the release before; use strategy = \"recreate\"".into());
    }
    if trouble.is_empty() { Ok(handled) } else { Err(Refusal::Usage(trouble.join("; ")).into()) }
}

/// What the switch says now.
///
/// # Errors
/// [`Refusal`], when there is no directory to switch in; or when a file cannot be read.
pub(super) fn now(front: &Front) -> Result<Pointing> {
    let Some(directory) = &front.directory else {
        let why = "blue-green needs caddy.directory: the directory that Caddy reads at /run/cutover, where the switch is \
                   a rename; docs/switching.md says how";
        return Err(Refusal::Usage(why.into()).into());
    };
    if !directory.is_dir() {
        let why = format!("caddy.directory: {} is no directory; make it, and mount it into Caddy", directory.display());
        return Err(Refusal::Usage(why).into());
    }
    switch::read(directory, front.routes.keys())
}

/// Who serves, by what the switch says.
pub(super) fn live(front: &Front, now: &Pointing, base: &str, look: &Look) -> Live {
    let releases: BTreeSet<u32> = look.sides.iter().filter_map(Container::side_release).collect();
    let current = look.running.as_ref().map(|running| running.number);
    let leads = |to: &dyn Fn(&str) -> Vec<String>| {
        front.routes.iter().all(|(route, service)| now.routes.get(route).is_some_and(|one| to(service).contains(one)))
    };
    for release in releases.into_iter().chain(current) {
        if leads(&|service| vec![side::host(base, release, service)]) {
            return Live::Side(release);
        }
    }
    let own = |service: &str| {
        let containers = look.containers.iter().filter(|one| one.service == service);
        let named = model::service(&look.rendered, service).and_then(|one| one.get("container_name")?.as_str());
        let names = containers.map(|one| one.name.clone()).chain(named.map(str::to_owned));
        names.chain([service.to_owned()]).collect::<Vec<_>>()
    };
    let is_any_there =
        || front.routes.values().any(|service| look.containers.iter().any(|one| &one.service == service));
    match (now.routes.is_empty(), is_any_there()) {
        (true, false) => Live::Nobody,
        (true, true) => Live::InPlace,
        (false, is_there) if leads(&own) => {
            if is_there {
                Live::InPlace
            } else {
                Live::Nobody
            }
        }
        (false, _) => Live::Stranger(now.words()),
    }
}

/// Where the routes lead when the services of the project itself serve.
pub(super) fn in_place(front: &Front, base: &str, release: u32) -> Pointing {
    Pointing { id: Some(side::project(base, release)), routes: front.routes.clone() }
}

/// Where they lead when the side of a release serves.
pub(super) fn beside(front: &Front, base: &str, release: u32) -> Pointing {
    let routes = front.routes.iter().map(|(route, service)| (route.clone(), side::host(base, release, service)));
    Pointing { id: Some(side::project(base, release)), routes: routes.collect() }
}

/// Sides that run and do not serve, by release.
pub(super) fn idle(look: &Look, live: &Live) -> BTreeMap<u32, Vec<Container>> {
    let mut found: BTreeMap<u32, Vec<Container>> = BTreeMap::new();
    for container in &look.sides {
        if let Some(release) = container.side_release().filter(|release| *live != Live::Side(*release)) {
            found.entry(release).or_default().push(container.clone());
        }
    }
    found
}
