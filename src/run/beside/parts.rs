//! The parts of a blue-green list: naming, the new side, the switch, the old side, the record, and the way back.

use std::collections::{BTreeMap, BTreeSet};

use super::Beside;
use super::sides;
use crate::config::units::format_duration;
use crate::data::plural::counted;
use crate::release::{ReleaseSide, model, side};
use crate::run::changes;
use crate::run::deploy::{health_gate, ms};
use crate::run::sides::Live;
use crate::step::Act;
use crate::step::beside::{Beside as SideOf, SideService};
use crate::step::containers::{ModelAt, ServiceSide, Side, Touched};
use crate::step::drain::Drain;
use crate::step::end_side::EndSide;
use crate::step::expect_drained::ExpectDrained;
use crate::step::expect_health::{ExpectHealth, Straight};
use crate::step::expect_identity::ExpectIdentity;
use crate::step::expect_services::ExpectServices;
use crate::step::expect_steady::ExpectSteady;
use crate::step::plan::Item;
use crate::step::start_services::StartServices;
use crate::step::start_side::StartSide;
use crate::step::switch_upstream::SwitchUpstream;

/// A switch that Caddy reads shows at the next request.
const SHOWN_S: u64 = 10;

impl Beside<'_> {
    fn project(&self) -> &str {
        self.config.compose_project()
    }

    fn directory(&self) -> std::path::PathBuf {
        self.front.directory.clone().unwrap_or_default()
    }

    fn side_of(&self, release: u32, services: BTreeMap<String, SideService>, model: ModelAt) -> SideOf {
        SideOf {
            base: self.project().to_owned(),
            release,
            is_in_place: false,
            directory: self.config.directory.clone(),
            services,
            model,
            deadline_s: self.config.deploy.start_deadline.as_secs(),
            stop_timeout_s: self.config.deploy.stop_timeout.map(|timeout| timeout.as_secs()),
            proxy: self.front.proxy.clone(),
            drain_s: self.front.drain_s,
        }
    }

    /// The new side.
    fn new_one(&self) -> SideOf {
        let rendered = &self.full.look.rendered;
        let services = self.handled.together.iter().map(|name| {
            let image = model::image(rendered, self.project(), name);
            (name.clone(), SideService { image, replicas: model::replicas(rendered, name) })
        });
        self.side_of(self.release, services.collect(), ModelAt::Run(None))
    }

    /// The side that serves before, where it is one.
    fn old_one(&self) -> Option<SideOf> {
        let Live::Side(release) = self.live else { return None };
        let running = self.full.look.running.as_ref().filter(|running| running.number == release)?;
        let side = running.record.as_ref()?.side.as_ref()?;
        let kept = running.services.iter().filter(|(name, _)| side.services.contains(*name));
        let services =
            kept.map(|(name, one)| (name.clone(), SideService { image: one.image_id.clone(), replicas: one.replicas }));
        Some(self.side_of(release, services.collect(), ModelAt::Release(release)))
    }

    /// Where the routes lead before this deployment, once they have been named.
    fn from(&self) -> crate::adapter::switch::Pointing {
        self.naming().map_or_else(|| self.now.clone(), |(_, to)| to)
    }

    /// The first deployment of this kind says who serves already, before anything else is done.
    fn naming(&self) -> Option<(crate::adapter::switch::Pointing, crate::adapter::switch::Pointing)> {
        let before = self.before.filter(|_| self.live == Live::InPlace)?;
        let mut to = sides::in_place(&self.front, self.project(), before);
        if !self.now.routes.is_empty() {
            to.routes.clone_from(&self.now.routes);
        }
        (to != self.now).then(|| (self.now.clone(), to))
    }

    /// Says who serves, and proves that Caddy reads what the switch writes.
    pub(super) fn named(&self) -> Vec<Item> {
        let Some((from, to)) = self.naming() else { return Vec::new() };
        let id = to.id.clone().unwrap_or_default();
        let step = SwitchUpstream { directory: self.directory(), from, to };
        vec![
            Self::act("name_release", format!("say that {id} serves"), Act::SwitchUpstream(step)),
            self.identity("expect_named", &id),
        ]
    }

    fn identity(&self, name: &str, id: &str) -> Item {
        let gate = ExpectIdentity { url: self.front.identity.clone(), id: id.to_owned(), deadline_s: SHOWN_S };
        Self::act(name, format!("{} tells {id}", self.front.identity), Act::ExpectIdentity(gate))
    }

    /// What ran on as a way back until now.
    pub(super) fn let_go(&self) -> Vec<Item> {
        let mut items = Vec::new();
        for (release, containers) in sides::idle(self.full.look, &self.live) {
            let mut services: BTreeMap<String, SideService> = BTreeMap::new();
            for one in &containers {
                let service = services
                    .entry(one.plain_service().to_owned())
                    .or_insert(SideService { image: one.image_id.clone(), replicas: 0 });
                service.replicas += 1;
            }
            let step = EndSide { side: self.side_of(release, services, ModelAt::Release(release)), is_way_back: false };
            let title = format!("let {} go, which ran on as a way back", step.side.project());
            items.push(Self::act(&format!("let_go_r{release}"), title, Act::EndSide(step)));
        }
        let is_replaced = matches!(self.live, Live::Side(_));
        let stale: BTreeMap<String, SideService> = self
            .full
            .look
            .containers
            .iter()
            .filter(|one| is_replaced && self.handled.together.contains(&one.service))
            .map(|one| (one.service.clone(), SideService { image: one.image_id.clone(), replicas: 1 }))
            .collect();
        if !stale.is_empty() {
            let names = stale.keys().cloned().collect::<Vec<_>>().join(", ");
            let mut side = self.side_of(self.before.unwrap_or_default(), stale, ModelAt::Nothing);
            side.is_in_place = true;
            let step = EndSide { side, is_way_back: false };
            let title = format!("let {names} go, which ran on in place as a way back");
            items.push(Self::act("let_go_in_place", title, Act::EndSide(step)));
        }
        items
    }

    /// The new side, healthy for a stretch before anybody is led to it.
    pub(super) fn new_side(&self) -> Vec<Item> {
        let side = self.new_one();
        let (project, counts) = (side.project(), side.counts());
        let stretch = format_duration(self.config.deploy.stable_for);
        let names = self.handled.together.join(", ");
        let gate = ExpectServices {
            project: project.clone(),
            services: counts,
            stable_ms: ms(self.config.deploy.stable_for),
            deadline_s: self.config.deploy.start_deadline.as_secs(),
            ending: BTreeSet::new(),
        };
        let mut items = vec![
            Self::act("start_side", format!("start {names} as {project}"), Act::StartSide(StartSide { side })),
            Self::act("expect_side", format!("{project} healthy for {stretch}"), Act::ExpectServices(gate)),
        ];
        items.extend(self.health_at(Some(&project)).into_iter().filter(|gate| gate.straight.is_some()).map(|gate| {
            let title =
                format!("{} answers as expected at the new containers, {}", gate.name, counted(gate.successes, "time"));
            Self::act(&format!("expect_health_{}", gate.name), title, Act::ExpectHealth(gate))
        }));
        items
    }

    /// The questions about health; where a project is given, those to published ports go to its own containers.
    pub(super) fn health_at(&self, project: Option<&str>) -> Vec<ExpectHealth> {
        let health = self.config.health.iter().map(health_gate);
        health.map(|gate| ExpectHealth { straight: project.and_then(|at| self.straight(&gate, at)), ..gate }).collect()
    }

    /// A URL on a published port of a service that runs as a side is asked at the containers.
    fn straight(&self, gate: &ExpectHealth, project: &str) -> Option<Straight> {
        let url = crate::config::Url::parse(&gate.url).ok()?;
        let asked = url.port_or_known_default()?;
        let (service, port) = model::published_by(&self.full.look.rendered, &self.handled.together, asked)?;
        Some(Straight { project: project.to_owned(), service: service.clone(), port, switch: None })
    }

    /// The switch; then the new side is watched, and put back by itself if it fails.
    pub(super) fn switched(&self) -> Vec<Item> {
        let to = sides::beside(&self.front, self.project(), self.release);
        let project = side::project(self.project(), self.release);
        let step = SwitchUpstream { directory: self.directory(), from: self.from(), to };
        let title = format!("lead {} to {project}", self.front.routes.keys().cloned().collect::<Vec<_>>().join(", "));
        let mut items = vec![
            Self::act("switch_upstream", title, Act::SwitchUpstream(step)),
            self.identity("expect_identity", &project),
        ];
        let health = self.health_at(Some(&project));
        items.extend(health.iter().filter(|gate| gate.straight.is_none()).map(|gate| {
            let title = format!("{}, {}", gate.expected(), counted(gate.successes, "time"));
            Self::act(&format!("expect_health_{}", gate.name), title, Act::ExpectHealth(gate.clone()))
        }));
        let deploy = &self.config.deploy;
        if !deploy.observe.is_zero() {
            let errors = self.config.prometheus.as_ref().map(|prometheus| {
                let query = prometheus.error_query().to_owned();
                (prometheus.url.to_string(), query, deploy.max_error_ratio.ratio())
            });
            let gate = ExpectSteady {
                services: self.new_one().counts().into_keys().collect(),
                project: project.clone(),
                for_ms: ms(deploy.observe),
                patience_ms: ms(deploy.start_deadline),
                health,
                errors,
            };
            let title = format!("{project} steady for {}", format_duration(deploy.observe));
            items.push(Self::act("expect_steady", title, Act::ExpectSteady(gate)));
        }
        items
    }

    /// Those who still call the old side are waited for.
    pub(super) fn drained(&self) -> Option<Item> {
        let drain = match &self.live {
            Live::InPlace => Drain {
                project: self.project().to_owned(),
                services: self.handled.together.iter().cloned().collect(),
                proxy: self.front.proxy.clone(),
                timeout_s: self.front.drain_s,
            },
            Live::Side(_) => self.old_one()?.drain(),
            Live::Nobody | Live::Stranger(_) => return None,
        };
        let title = format!("nobody calls the old side any more, or {} s are over", drain.timeout_s);
        Some(Self::act("expect_drained", title, Act::ExpectDrained(ExpectDrained { drain })))
    }

    /// The record, with what runs as a side.
    pub(super) fn recorded(&self) -> Item {
        let mut item = self.full.record(self.release);
        if let Act::RecordRelease(step) = &mut item.action {
            for (name, (_, hash, _)) in &mut step.services {
                if let Some(base) = self.base.look.hashes.get(name) {
                    hash.clone_from(base);
                }
            }
            step.side = Some(ReleaseSide {
                project: side::project(self.project(), self.release),
                services: self.handled.together.iter().cloned().collect(),
                pointing: sides::beside(&self.front, self.project(), self.release),
            });
        }
        item
    }

    /// Lets the old side go at once, where none is kept warm.
    pub(super) fn ended(&self) -> Option<Item> {
        if !self.config.deploy.keep_warm.is_zero() {
            return None;
        }
        let action = match &self.live {
            Live::Side(_) => Act::EndSide(EndSide { side: self.old_one()?, is_way_back: true }),
            Live::InPlace => {
                let mut step = self.bring_in_place()?;
                std::mem::swap(&mut step.from, &mut step.to);
                Act::StartServices(step)
            }
            Live::Nobody | Live::Stranger(_) => return None,
        };
        Some(Self::act("let_old_go", "let the old side go, as keep_warm = \"0s\" asks".into(), action))
    }

    /// The services of the project itself as they serve now, brought up from nothing.
    fn bring_in_place(&self) -> Option<StartServices> {
        let judged: Vec<_> = self.compared.iter().map(|one| one.touched.service.clone()).collect();
        let running = self.full.look.running.as_ref()?;
        let mut to = Side { release: Some(running.number), model: ModelAt::Release(running.number), ..Side::default() };
        for name in &judged {
            let own = self.full.look.containers.iter().filter(|one| &one.service == name);
            let Some(kept) = running.services.get(name) else { continue };
            let mut hashes: BTreeSet<String> = own.map(|one| one.hash.clone()).collect();
            hashes.insert(kept.hash.clone());
            hashes.extend(running.pinned_hashes.get(name).cloned());
            let (image, replicas) = (kept.image_id.clone(), kept.replicas);
            to.services.insert(name.clone(), ServiceSide { hashes, image, replicas, ..ServiceSide::default() });
        }
        let services = to.services.keys().map(|name| Touched { service: name.clone(), is_forced: false }).collect();
        Some(StartServices {
            project: self.project().to_owned(),
            directory: self.config.directory.clone(),
            services,
            from: Side::default(),
            to,
            deadline_s: self.config.deploy.start_deadline.as_secs(),
            stop_timeout_s: self.config.deploy.stop_timeout.map(|timeout| timeout.as_secs()),
            is_ground: false,
            without: BTreeSet::new(),
        })
    }

    /// What a rollback does first: the old side is there and well, whether it is still warm or not.
    pub(super) fn way_back(&self) -> Vec<Item> {
        let mut items = Vec::new();
        let expect = |project: String, services: BTreeMap<String, usize>| {
            let deadline_s = self.config.deploy.start_deadline.as_secs();
            let title = format!("{project} healthy");
            let gate = ExpectServices { project, services, stable_ms: 0, deadline_s, ending: BTreeSet::new() };
            Self::act("expect_old_side", title, Act::ExpectServices(gate))
        };
        match &self.live {
            Live::Side(_) => {
                if let Some(side) = self.old_one() {
                    let (project, counts) = (side.project(), side.counts());
                    let title = format!("{project} runs, warm or started again");
                    items.push(Self::act("bring_old_side", title, Act::StartSide(StartSide { side })));
                    items.push(expect(project, counts));
                }
            }
            Live::InPlace => {
                if let Some(step) = self.bring_in_place() {
                    let counts = step.to.services.iter().map(|(name, one)| (name.clone(), one.replicas)).collect();
                    let title = "the old services run in place, warm or started again".to_owned();
                    items.push(Self::act("bring_old_side", title, Act::StartServices(step)));
                    items.push(expect(self.project().to_owned(), counts));
                }
            }
            Live::Nobody | Live::Stranger(_) => {}
        }
        let mut others = self.base.way_back();
        for item in &mut others {
            if let Act::SaveIncident(step) = &mut item.action {
                step.also.push(side::project(self.project(), self.release));
            }
        }
        items.extend(others);
        items
    }

    /// What proves the old state after a way back by itself.
    pub(super) fn home(&self, healthy: &BTreeSet<String>) -> Vec<Item> {
        let mut home = Vec::new();
        let mut up = match self.live {
            Live::InPlace => changes::up_now(self.full.look),
            _ => changes::up_now(self.base.look),
        };
        up.retain(|name, _| !self.handled.left.contains(name));
        let mut expect = |name: &str, project: String, services: BTreeMap<String, usize>| {
            if services.is_empty() {
                return;
            }
            let title = format!("{} healthy as before", services.keys().cloned().collect::<Vec<_>>().join(", "));
            let gate = ExpectServices {
                project,
                services,
                stable_ms: ms(self.config.deploy.stable_for).min(2_000),
                deadline_s: self.config.deploy.start_deadline.as_secs(),
                ending: BTreeSet::new(),
            };
            home.push(Self::act(name, title, Act::ExpectServices(gate)));
        };
        expect("expect_services", self.project().to_owned(), up);
        if let Some(side) = self.old_one() {
            expect("expect_old_side", side.project(), side.counts());
        }
        // Where nobody was named before, that is undone too.
        if let Some(id) = self.now.id.as_ref().filter(|_| matches!(self.live, Live::InPlace | Live::Side(_))) {
            home.push(self.identity("expect_identity", id));
        }
        home.extend(self.old_health().into_iter().filter(|gate| healthy.contains(&gate.name)).map(|gate| {
            let title = format!("{} answers as before", gate.place());
            Self::act(&format!("expect_health_{}", gate.name), title, Act::ExpectHealth(gate))
        }));
        home
    }
}
