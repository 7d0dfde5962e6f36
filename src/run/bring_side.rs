//! The list of a rollback to a release that is named, where a switch is in play: one side is brought up, and the other ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Result;

use super::bring_back::{directory_of, switch_to};
use super::front::Front;
use super::list::item;
use super::sides;
use crate::adapter::docker::{Container, Docker};
use crate::adapter::switch::{self, Pointing};
use crate::release::{Release, Store, side};
use crate::step::Act;
use crate::step::beside::{Beside, SideService};
use crate::step::containers::ModelAt;
use crate::step::end_side::EndSide;
use crate::step::expect_drained::ExpectDrained;
use crate::step::expect_identity::ExpectIdentity;
use crate::step::expect_services::ExpectServices;
use crate::step::plan::{Change, Item, Plan, ServiceChange};
use crate::step::start_services::StartServices;
use crate::step::start_side::StartSide;
use crate::step::switch_upstream::SwitchUpstream;

/// Everything that the list is made from.
pub(super) struct BringSide<'a> {
    pub store: &'a Store,
    pub release: &'a Release,
    pub basis: &'a Plan,
    pub front: &'a Front,
    pub containers: Vec<Container>,
    pub sides: Vec<Container>,
    directory: PathBuf,
    now: Pointing,
}

/// Whether a switch is in play: the release runs as a side, or something does now.
pub(super) async fn look<'a>(
    docker: &Docker,
    store: &'a Store,
    release: &'a Release,
    basis: &'a Plan,
    front: Option<&'a Front>,
) -> Result<Option<BringSide<'a>>> {
    let Some((front, directory)) = front.and_then(|front| Some((front, front.directory.clone()?))) else {
        return Ok(None);
    };
    let sides = docker.sides(&release.project).await?;
    if sides.is_empty() && release.side.is_none() {
        return Ok(None);
    }
    let now = switch::read(&directory, front.routes.keys())?;
    let containers = docker.containers(&release.project).await?;
    Ok(Some(BringSide { store, release, basis, front, containers, sides, directory, now }))
}

impl BringSide<'_> {
    fn to(&self) -> Pointing {
        match &self.release.side {
            Some(side) => side.pointing.clone(),
            None => sides::in_place(self.front, &self.release.project, self.release.number),
        }
    }

    fn chosen(&self) -> BTreeSet<String> {
        let own = self.release.side.iter().flat_map(|side| side.services.iter().cloned());
        own.chain(self.sides.iter().map(|one| one.plain_service().to_owned())).collect()
    }

    fn side(&self, release: u32, services: BTreeMap<String, SideService>) -> Beside {
        Beside {
            base: self.release.project.clone(),
            release,
            is_in_place: false,
            directory: directory_of(self.basis),
            services,
            model: ModelAt::Release(release),
            deadline_s: 180,
            stop_timeout_s: None,
            proxy: self.front.proxy.clone(),
            drain_s: self.front.drain_s,
        }
    }

    fn wanted(&self) -> Option<Beside> {
        let side = self.release.side.as_ref()?;
        let kept = self.release.services.iter().filter(|(name, _)| side.services.contains(*name));
        let services =
            kept.map(|(name, one)| (name.clone(), SideService { image: one.image_id.clone(), replicas: one.replicas }));
        Some(self.side(self.release.number, services.collect()))
    }

    /// What runs and is not wanted: other sides, and what ran in place where a side is wanted.
    fn others(&self) -> Vec<Beside> {
        let mut found: BTreeMap<Option<u32>, BTreeMap<String, SideService>> = BTreeMap::new();
        let mut add = |release: Option<u32>, one: &Container| {
            let services = found.entry(release).or_default();
            let service = services
                .entry(one.plain_service().to_owned())
                .or_insert(SideService { image: one.image_id.clone(), replicas: 0 });
            service.replicas += 1;
        };
        let wanted = self.release.side.as_ref().map(|_| self.release.number);
        self.sides.iter().filter(|one| one.side_release() != wanted).for_each(|one| add(one.side_release(), one));
        let chosen = self.chosen();
        let stale = self.containers.iter().filter(|one| wanted.is_some() && chosen.contains(&one.service));
        stale.for_each(|one| add(None, one));
        let made = found.into_iter().map(|(release, services)| match release {
            Some(release) => self.side(release, services),
            None => Beside { is_in_place: true, ..self.side(0, services) },
        });
        made.collect()
    }

    /// The services of the project itself: without those of the side, where the release runs as one.
    fn base(&self) -> Result<StartServices> {
        let mut release = self.release.clone();
        let mut containers = self.containers.clone();
        let mut without = BTreeSet::new();
        if release.side.is_some() {
            without = self.chosen();
            release.services.retain(|name, _| !without.contains(name));
            containers.retain(|one| !without.contains(&one.service));
        }
        let mut step = switch_to(self.store, &release, &containers)?;
        step.without = without;
        Ok(step)
    }

    /// What happens to each service.
    pub(super) fn changes(&self) -> Result<Vec<ServiceChange>> {
        let base = self.base()?;
        let mut changes: Vec<ServiceChange> =
            base.services.iter().map(|touched| super::bring_back::change(touched, &base, &self.containers)).collect();
        let live = self.live();
        for (name, record) in self.release.services.iter().filter(|_| self.release.side.is_some()) {
            if base.services.iter().any(|touched| &touched.service == name) {
                continue;
            }
            let runs = live.iter().find(|one| one.plain_service() == name).map(|one| one.image_id.clone());
            changes.push(ServiceChange {
                service: name.clone(),
                change: if self.is_live() { Change::Keep } else { Change::Recreate },
                reasons: vec![format!("{} serves again", self.release.name())],
                image_from: runs,
                image_to: Some(record.image_id.clone()),
            });
        }
        Ok(changes)
    }

    /// Whether the routes lead to the release already.
    pub(super) fn is_live(&self) -> bool {
        self.now == self.to()
    }

    fn live(&self) -> Vec<&Container> {
        let is_led_to = |one: &&Container| {
            let base = &self.release.project;
            one.side_release().is_some_and(|release| self.now.id.as_deref() == Some(&side::project(base, release)))
        };
        self.sides.iter().filter(is_led_to).collect()
    }

    /// The list, up to the record and after it.
    pub(super) fn items(&self) -> Result<(Vec<Item>, Vec<Item>)> {
        let base = self.base()?;
        let mut items = Vec::new();
        let counts = base.to.services.iter().map(|(name, one)| (name.clone(), one.replicas)).collect();
        if !base.services.is_empty() {
            let title = format!("the other services as {} has them", self.release.name());
            items.push(item("start_services", title, Act::StartServices(base)));
            items.push(healthy("expect_services", &self.release.project, counts));
        }
        if let Some(side) = self.wanted() {
            let (project, counts) = (side.project(), side.counts());
            let title = format!("{project} runs, warm or started again");
            items.push(item("start_side", title, Act::StartSide(StartSide { side })));
            items.push(healthy("expect_side", &project, counts));
        }
        let to = self.to();
        let id = to.id.clone().unwrap_or_default();
        let (straight, public) = self.health();
        items.extend(straight);
        let title = format!("lead {} to {id}", self.front.routes.keys().cloned().collect::<Vec<_>>().join(", "));
        let step = SwitchUpstream { directory: self.directory.clone(), from: self.now.clone(), to };
        items.push(item("switch_upstream", title, Act::SwitchUpstream(step)));
        let gate = ExpectIdentity { url: self.front.identity.clone(), id: id.clone(), deadline_s: 10 };
        items.push(item("expect_identity", format!("{} tells {id}", gate.url), Act::ExpectIdentity(gate)));
        items.extend(public);
        let others = self.others();
        for (index, side) in others.iter().enumerate() {
            let drain = side.drain();
            let title = format!("nobody calls {} any more, or {} s are over", drain.project, drain.timeout_s);
            let gate = Act::ExpectDrained(ExpectDrained { drain });
            items.push(item(&format!("expect_drained_{}", index + 1), title, gate));
        }
        let ends = others.into_iter().map(|side| {
            let name = if side.is_in_place { "end_in_place".to_owned() } else { format!("end_side_r{}", side.release) };
            let title =
                format!("let {} go", if side.is_in_place { "what ran in place".into() } else { side.project() });
            item(&name, title, Act::EndSide(EndSide { side, is_way_back: false }))
        });
        Ok((items, ends.collect()))
    }

    /// The questions of the last deployment about health, aimed at the release.
    fn health(&self) -> (Vec<Item>, Vec<Item>) {
        let mut all: Vec<Item> =
            self.basis.items.iter().filter(|item| matches!(item.action, Act::ExpectHealth(_))).cloned().collect();
        for item in &mut all {
            let Act::ExpectHealth(gate) = &mut item.action else { continue };
            match (&mut gate.straight, &self.release.side) {
                (Some(straight), Some(side)) => straight.project.clone_from(&side.project),
                (straight, _) => *straight = None,
            }
        }
        all.into_iter().partition(|item| matches!(&item.action, Act::ExpectHealth(gate) if gate.straight.is_some()))
    }

    /// What proves the state before, once this rollback has been undone.
    pub(super) fn home(&self) -> Vec<Item> {
        let mut home = Vec::new();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for one in self.containers.iter().filter(|one| one.state.status == "running") {
            *counts.entry(one.service.clone()).or_default() += 1;
        }
        home.push(healthy("expect_services", &self.release.project, counts));
        let live = self.live();
        if let Some(release) = live.first().and_then(|one| one.side_release()) {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            live.iter().for_each(|one| *counts.entry(one.service.clone()).or_default() += 1);
            home.push(healthy("expect_old_side", &side::project(&self.release.project, release), counts));
        }
        if let Some(id) = &self.now.id {
            let gate = ExpectIdentity { url: self.front.identity.clone(), id: id.clone(), deadline_s: 10 };
            home.push(item("expect_identity", format!("{} tells {id}", gate.url), Act::ExpectIdentity(gate)));
        }
        let public = |item: &&Item| matches!(&item.action, Act::ExpectHealth(gate) if gate.straight.is_none());
        home.extend(self.basis.home.iter().filter(public).cloned());
        home
    }

    /// What a rollback of this rollback does first.
    pub(super) fn way_back(&self) -> Vec<Item> {
        let others = self.basis.way_back.iter().filter(|item| !super::rollback::is_about_old_side(item)).cloned();
        let live = self.live();
        let Some(release) = live.first().and_then(|one| one.side_release()) else { return others.collect() };
        let mut services: BTreeMap<String, SideService> = BTreeMap::new();
        for one in live {
            let service = services
                .entry(one.plain_service().to_owned())
                .or_insert(SideService { image: one.image_id.clone(), replicas: 0 });
            service.replicas += 1;
        }
        let side = self.side(release, services);
        let (project, counts) = (side.project(), side.counts());
        let bring = item(
            "bring_old_side",
            format!("{project} runs, warm or started again"),
            Act::StartSide(StartSide { side }),
        );
        [bring, healthy("expect_old_side", &project, counts)].into_iter().chain(others).collect()
    }
}

fn healthy(name: &str, project: &str, services: BTreeMap<String, usize>) -> Item {
    let gate = ExpectServices {
        project: project.to_owned(),
        services,
        stable_ms: if name == "expect_old_side" { 0 } else { 2_000 },
        deadline_s: 180,
        ending: BTreeSet::new(),
    };
    item(name, format!("{project} healthy"), Act::ExpectServices(gate))
}
