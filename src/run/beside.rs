//! The list of a blue-green deployment: the new side beside the old one, healthy for a stretch, one rename, a watch, a drain.

mod parts;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::changes::{self, Fetched, Judged};
use super::deploy::{Planned, healthy_now};
use super::front::{self, Front};
use super::list::{List, item};
use super::look::Look;
use super::sides::{self, Handled, Live};
use crate::adapter::compose::Compose;
use crate::adapter::docker::Docker;
use crate::adapter::http::Http;
use crate::adapter::postgres::Database;
use crate::adapter::switch::Pointing;
use crate::config::{Config, OnFailure, When};
use crate::release::{Store, model, side};
use crate::step::Act;
use crate::step::expect_health::ExpectHealth;
use crate::step::plan::{Change, Item, Plan, RunKind};

/// Whoever is asked while the plan is made.
pub(super) struct Asked<'a> {
    pub docker: &'a Docker,
    pub compose: &'a Compose,
    pub http: &'a Http,
    pub store: &'a Store,
}

/// Everything that the list is made from.
struct Beside<'a> {
    config: &'a Config,
    /// What the services of the project itself are compared with: the model without those that run beside it.
    base: List<'a>,
    /// The whole model.
    full: List<'a>,
    front: Front,
    handled: Handled,
    now: Pointing,
    live: Live,
    release: u32,
    before: Option<u32>,
    side: side::Rendered,
    compared: Vec<Judged>,
}

/// Makes the plan.
///
/// # Errors
/// [`super::Refusal`], when something cannot run twice and nobody said how it is handled, or there is nothing to switch.
pub(super) async fn plan(
    config: &Config,
    look: &Look,
    asked: &Asked<'_>,
    (database, fetched, wanted): (Option<Database>, Fetched, BTreeMap<String, String>),
) -> Result<Planned> {
    let Some(front) = Front::of(config) else {
        let why =
            "blue-green switches behind Caddy: [caddy] with url and directory is missing; docs/switching.md says how";
        return Err(super::Refusal::Usage(why.into()).into());
    };
    let project = config.compose_project();
    let handled = sides::handled(config, look)?;
    let now = sides::now(&front)?;
    let live = sides::live(&front, &now, project, look);
    let without: BTreeSet<String> = handled.together.iter().cloned().collect();
    let rest = rest(config, look, asked.compose, &without).await?;
    let beside = beside_look(look, &live);
    let list = |look, healthy| List {
        config,
        look,
        database: database.clone(),
        fetched: fetched.clone(),
        wanted: wanted.clone(),
        healthy,
        store: asked.store,
        without: without.clone(),
    };
    let full = list(look, BTreeSet::new());
    let release = full.next_release()?;
    let before = look.running.as_ref().map(|running| running.number);
    let made = Beside {
        compared: changes::judge(&beside, project, &handled.together, &fetched),
        side: side::render(&look.rendered, project, release, &handled.together),
        base: list(&rest, BTreeSet::new()),
        full,
        config,
        front,
        handled,
        now,
        live,
        release,
        before,
    };
    let healthy = healthy_now(&made.old_health(), asked.docker, asked.http, look).await;
    made.planned(&healthy)
}

/// The look at the project without the services that run beside it.
async fn rest(config: &Config, look: &Look, compose: &Compose, without: &BTreeSet<String>) -> Result<Look> {
    let mut rest = look.clone();
    rest.rendered = side::without(&look.rendered, without);
    rest.containers.retain(|container| !without.contains(&container.service));
    let hashes = compose.hashes(config.compose_project(), &config.directory, &rest.rendered).await?;
    // What runs from the whole model is not replaced because others left it.
    let is_whole = |service: &String| {
        let mut own = rest.containers.iter().filter(|container| &container.service == service).peekable();
        own.peek().is_some() && own.all(|container| look.hashes.get(service) == Some(&container.hash))
    };
    let chosen =
        hashes.into_iter().map(|(service, hash)| match look.hashes.get(&service).filter(|_| is_whole(&service)) {
            Some(whole) => (service, whole.clone()),
            None => (service, hash),
        });
    rest.hashes = chosen.collect();
    if let Some(running) = &mut rest.running {
        running.model = side::without(&running.model, without);
    }
    Ok(rest)
}

/// The look at what serves: a side's containers under the names of the project's own model.
fn beside_look(look: &Look, live: &Live) -> Look {
    let mut seen = look.clone();
    if let Live::Side(release) = live {
        let kept = look.running.as_ref().map(|running| &running.services);
        let own = look.sides.iter().filter(|one| one.side_release() == Some(*release)).cloned();
        seen.containers = own
            .map(|mut one| {
                one.service = one.plain_service().to_owned();
                if let Some(kept) = kept.and_then(|kept| kept.get(&one.service)) {
                    (one.hash, one.image) = (kept.hash.clone(), kept.image.clone());
                }
                one
            })
            .collect();
    }
    seen
}

impl Beside<'_> {
    fn planned(&self, healthy: &BTreeSet<String>) -> Result<Planned> {
        let (first, rest) = self.groups();
        let project = self.config.compose_project();
        let judge = |services: &[String]| changes::judge(self.base.look, project, services, &self.base.fetched);
        let (needed, others, single) = (judge(&first), judge(&rest), judge(&self.handled.single));
        let mut changes: Vec<_> =
            needed.iter().chain(&others).chain(&single).map(|judged| judged.change.clone()).collect();
        changes.extend(self.compared.iter().map(|judged| {
            let mut change = judged.change.clone();
            if change.change == Change::Keep || change.change == Change::Start {
                change.change = Change::Recreate;
                change.reasons.push("starts anew beside the one that serves".into());
            }
            change
        }));
        let mut files = vec![
            ("model.json".to_owned(), self.full.look.rendered.clone()),
            ("side.json".to_owned(), self.side.model.clone()),
            self.front.to_file(),
        ];
        if let Some(running) = self.full.look.running.as_ref().filter(|running| running.record.is_none()) {
            files.push(("before.json".into(), running.model.clone()));
        }
        let plan = Plan {
            kind: RunKind::Deploy,
            project: project.to_owned(),
            environment: self.config.project.environment.clone(),
            release_from: self.before,
            release_to: Some(self.release),
            deed: None,
            undoes: None,
            services: changes,
            remarks: self.remarks(healthy),
            rolls_back: self.config.deploy.on_failure == OnFailure::Rollback,
            items: self.items(&needed, &others, &single),
            home: self.home(healthy),
            way_back: self.way_back(),
            files: BTreeMap::new(),
            course: None,
        };
        let mut planned = Planned { plan, files };
        front::name_files(&mut planned);
        Ok(planned)
    }

    /// What the sides and the migration depend on, and everything else of the project itself.
    fn groups(&self) -> (Vec<String>, Vec<String>) {
        let is_own = |name: &String| {
            let handled = &self.handled;
            !handled.together.contains(name) && !handled.single.contains(name) && !handled.left.contains(name)
        };
        let mut named = self.config.deploy.services.clone();
        named.extend(self.config.deploy.migrate.iter().map(|migrate| migrate.service.clone()));
        let mut first = model::dependencies(&self.full.look.rendered, &named);
        first.retain(is_own);
        let mut rest: Vec<String> = model::services(&self.full.look.rendered).into_iter().filter(is_own).collect();
        rest.retain(|name| !first.contains(name));
        (first, rest)
    }

    fn items(&self, needed: &[Judged], others: &[Judged], single: &[Judged]) -> Vec<Item> {
        let is_changed = |judged: &[Judged]| judged.iter().any(|one| one.change.change != Change::Keep);
        let names = |judged: &[Judged]| judged.iter().map(|one| one.touched.service.clone()).collect::<Vec<_>>();
        let migrate = self.config.deploy.migrate.as_ref();
        let mut items = Vec::new();
        items.extend(self.full.pin());
        items.extend(self.full.pull());
        items.extend(self.full.build());
        items.extend(self.full.back_up());
        items.extend(self.named());
        items.extend(self.let_go());
        if is_changed(needed) {
            items.push(self.base.start(
                "start_dependencies",
                "start what the services depend on",
                needed,
                self.release,
            ));
        }
        if !needed.is_empty() {
            let gate = self.base.expect_services(&names(needed), 0);
            items.push(item("expect_dependencies", format!("{} healthy", names(needed).join(", ")), gate));
        }
        items.extend(self.full.migrate().filter(|_| migrate.is_some_and(|one| one.when == When::Before)));
        if is_changed(others) {
            items.push(self.base.start("start_services", "start the other services", others, self.release));
            let gate = self.base.expect_services(&names(others), 0);
            items.push(item("expect_services", format!("{} healthy", names(others).join(", ")), gate));
        }
        items.extend(self.new_side());
        if is_changed(single) {
            items.push(self.base.start("start_singles", "replace in place", single, self.release));
            let gate = self.base.expect_services(&names(single), super::deploy::ms(self.config.deploy.stable_for));
            items.push(item("expect_singles", format!("{} healthy", names(single).join(", ")), gate));
        }
        items.extend(self.switched());
        items.extend(self.drained());
        items.extend(self.full.migrate().filter(|_| migrate.is_some_and(|one| one.when == When::After)));
        items.push(self.recorded());
        items.extend(self.ended());
        items
    }

    /// What a person should know before saying yes.
    fn remarks(&self, healthy: &BTreeSet<String>) -> Vec<String> {
        let gates = self.old_health().into_iter();
        let sick = gates.filter(|gate| !healthy.contains(&gate.name) && self.live != Live::Nobody);
        let mut remarks = self.base.plain_remarks();
        remarks.extend(sick.map(|gate| format!("{} is not as expected now, so it cannot prove a way back", gate.url)));
        if let Live::Stranger(words) = &self.live {
            remarks.push(format!(
                "the switch was changed by hand: {words}; this plan takes its place, and a rollback leads there again"
            ));
        }
        if let Some(migrate) = &self.config.deploy.migrate {
            let when = match migrate.when {
                When::Before => "before the switch: the release before goes on serving on the migrated schema",
                When::After => "after the switch: the new release serves on the old schema until then",
            };
            let kept = "while both run, and after a rollback, both releases meet the same schema";
            remarks.push(format!("the schema is migrated {when}; {kept} (docs/migrations.md)"));
        }
        for name in &self.handled.left {
            remarks.push(format!("{name} is left as it runs"));
        }
        remarks.extend(self.not_published());
        remarks
    }

    /// Ports of the host that lead to nobody once a side serves.
    fn not_published(&self) -> Option<String> {
        let ports = model::published(&self.full.look.rendered).into_iter();
        let own = ports.filter(|(service, ..)| self.handled.together.contains(service));
        let named: Vec<String> = own.map(|(service, _, port, _)| format!("{port} ({service})")).collect();
        (!named.is_empty()).then(|| {
            format!("a side publishes no port of the host: {} is reached through Caddy, not there", named.join(", "))
        })
    }

    /// Health of what serves now, asked as it can be asked: an old side has no port on the host.
    fn old_health(&self) -> Vec<ExpectHealth> {
        let at = match self.live {
            Live::Side(release) => Some(side::project(self.config.compose_project(), release)),
            _ => None,
        };
        self.health_at(at.as_deref())
    }

    fn act(name: &str, title: String, action: Act) -> Item {
        item(name, title, action)
    }
}
