//! The items of a deployment, in order, from a look at the world. Pure: everything was read before.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::Refusal;
use super::changes::{self, Fetched, Judged};
use super::deploy::{Planned, health_gate, ms};
use super::look::Look;
use crate::adapter::files;
use crate::adapter::postgres::Database;
use crate::config::{Config, OnFailure, When};
use crate::data::plural::counted;
use crate::release::{Origin, Store, model};
use crate::step::Act;
use crate::step::back_up_database::BackUpDatabase;
use crate::step::build_images::BuildImages;
use crate::step::containers::Touched;
use crate::step::expect_services::ExpectServices;
use crate::step::expect_steady::ExpectSteady;
use crate::step::migrate_schema::{MigrateSchema, OnRollback};
use crate::step::pin_release::PinRelease;
use crate::step::plan::{Change, Item, Plan, RunKind};
use crate::step::pull_images::PullImages;
use crate::step::record_release::RecordRelease;
use crate::step::start_services::StartServices;

/// Everything that the list is made from.
pub(super) struct List<'a> {
    pub config: &'a Config,
    pub look: &'a Look,
    pub database: Option<Database>,
    pub fetched: Fetched,
    pub wanted: BTreeMap<String, String>,
    pub healthy: BTreeSet<String>,
    pub store: &'a Store,
    /// Services that run in a project of their own.
    pub without: BTreeSet<String>,
}

/// One item.
pub fn item(name: &str, title: String, action: Act) -> Item {
    Item { name: name.into(), title, back: false, action }
}

impl List<'_> {
    /// The whole plan.
    pub fn plan(&self) -> Result<Planned> {
        let (first, rest) = self.groups()?;
        let project = self.config.compose_project();
        let needed = changes::judge(self.look, project, &first, &self.fetched);
        let others = changes::judge(self.look, project, &rest, &self.fetched);
        let before = self.look.running.as_ref().map(|running| running.number);
        let release = self.next_release()?;
        let items = self.items(&needed, &others, release);
        let mut files = vec![("model.json".to_owned(), self.look.rendered.clone())];
        if let Some(running) = self.look.running.as_ref().filter(|running| running.record.is_none()) {
            files.push(("before.json".into(), running.model.clone()));
        }
        let digests = files.iter().map(|(name, value)| (name.clone(), files::sha256(value.to_string().as_bytes())));
        let plan = Plan {
            kind: RunKind::Deploy,
            project: self.config.compose_project().to_owned(),
            environment: self.config.project.environment.clone(),
            release_from: before,
            release_to: Some(release),
            deed: None,
            undoes: None,
            services: needed.iter().chain(&others).map(|judged| judged.change.clone()).collect(),
            remarks: self.remarks(),
            rolls_back: self.config.deploy.on_failure == OnFailure::Rollback,
            items,
            home: self.home(),
            way_back: self.way_back(),
            files: digests.collect(),
            course: None,
        };
        Ok(Planned { plan, files })
    }

    pub(super) fn next_release(&self) -> Result<u32> {
        let next = self.store.next_number()?;
        let is_pinned_first = self.look.running.as_ref().is_some_and(|running| running.record.is_none());
        Ok(if is_pinned_first { next + 1 } else { next })
    }

    /// What the deployed services and the migration depend on, and everything else; each in the order it starts.
    fn groups(&self) -> Result<(Vec<String>, Vec<String>)> {
        let all = model::services(&self.look.rendered);
        let mut named = self.config.deploy.services.clone();
        named.extend(self.config.deploy.migrate.iter().map(|migrate| migrate.service.clone()));
        for service in &named {
            if !all.contains(service) {
                let known = all.join(", ");
                let why =
                    format!("[deploy] names the service {service:?}, which the model does not have; it has {known}");
                return Err(Refusal::Usage(why).into());
            }
        }
        let first = model::dependencies(&self.look.rendered, &named);
        let rest = all.into_iter().filter(|service| !first.contains(service)).collect();
        Ok((first, rest))
    }

    fn items(&self, needed: &[Judged], others: &[Judged], release: u32) -> Vec<Item> {
        let deploy = &self.config.deploy;
        let mut items = Vec::new();
        items.extend(self.pin());
        items.extend(self.pull());
        items.extend(self.build());
        items.extend(self.back_up());
        let is_needed_changed = needed.iter().any(|judged| judged.change.change != Change::Keep);
        if is_needed_changed {
            items.push(self.start("start_dependencies", "start what the services depend on", needed, release));
        }
        let migrate = deploy.migrate.as_ref();
        if is_needed_changed || (migrate.is_some() && !needed.is_empty()) {
            let services: Vec<String> = needed.iter().map(|judged| judged.touched.service.clone()).collect();
            let title = format!("{} healthy", services.join(", "));
            items.push(item("expect_dependencies", title, self.expect_services(&services, 0)));
        }
        let is_before = migrate.is_some_and(|migrate| migrate.when == When::Before);
        items.extend(self.migrate().filter(|_| is_before));
        if !others.is_empty() {
            items.push(self.start("start_services", "start the services", others, release));
        }
        items.push(self.all_healthy());
        items.extend(self.migrate().filter(|_| !is_before));
        items.extend(self.answers());
        items.extend(self.steady(&self.running()));
        items.push(self.record(release));
        items
    }

    /// Gates that say whether all is well now.
    pub(super) fn proofs(&self) -> Vec<Item> {
        std::iter::once(self.all_healthy()).chain(self.answers()).collect()
    }

    /// Services that have containers.
    fn running(&self) -> Vec<String> {
        let all = model::services(&self.look.rendered);
        all.into_iter().filter(|service| model::replicas(&self.look.rendered, service) > 0).collect()
    }

    fn all_healthy(&self) -> Item {
        let stable_for = self.config.deploy.stable_for;
        let title = format!("all services healthy for {}", crate::config::units::format_duration(stable_for));
        item("expect_services", title, self.expect_services(&self.running(), ms(stable_for)))
    }

    fn answers(&self) -> impl Iterator<Item = Item> {
        self.config.health.iter().map(|health| {
            let title = format!("{} answers as expected, {}", health.url, counted(health.successes, "time"));
            item(&format!("expect_health_{}", health.name), title, Act::ExpectHealth(health_gate(health)))
        })
    }

    pub(super) fn pin(&self) -> Option<Item> {
        let running = self.look.running.as_ref()?;
        let number = running.number;
        let title = match (&running.record, running.origin) {
            (Some(_), _) => format!("r{number}, which runs now, is kept"),
            (None, Origin::Reconstructed) => format!("keep what runs now as r{number}, read back from its containers"),
            (None, _) => format!("keep what runs now as r{number}"),
        };
        let step = PinRelease {
            release: number,
            project: self.config.compose_project().to_owned(),
            environment: self.config.project.environment.clone(),
            directory: self.config.directory.clone(),
            origin: running.origin,
            services: running.services.clone(),
        };
        Some(item("pin_release", title, Act::PinRelease(step)))
    }

    pub(super) fn images_of(
        &self,
        services: &BTreeSet<String>,
    ) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let project = self.config.compose_project();
        let images: BTreeMap<String, String> = services
            .iter()
            .map(|service| (service.clone(), model::image(&self.look.rendered, project, service)))
            .collect();
        let named =
            images.values().filter_map(|reference| Some((reference.clone(), self.look.images.get(reference)?.clone())));
        let from = named.collect();
        (images, from)
    }

    pub(super) fn pull(&self) -> Option<Item> {
        if self.fetched.pulled.is_empty() {
            return None;
        }
        let (images, from) = self.images_of(&self.fetched.pulled);
        let described: BTreeSet<String> = images
            .values()
            .map(|reference| match self.wanted.get(reference) {
                Some(digest) => format!("{reference}@{digest}"),
                None => reference.clone(),
            })
            .collect();
        let title = format!("pull {}", described.into_iter().collect::<Vec<_>>().join(", "));
        let step = PullImages {
            project: self.config.compose_project().to_owned(),
            directory: self.config.directory.clone(),
            images,
            from,
            wanted: self.wanted.clone(),
            deadline_s: self.config.deploy.pull_deadline.as_secs(),
        };
        Some(item("pull_images", title, Act::PullImages(step)))
    }

    pub(super) fn build(&self) -> Option<Item> {
        if self.fetched.built.is_empty() {
            return None;
        }
        let (images, from) = self.images_of(&self.fetched.built);
        let described: BTreeSet<&str> = images.values().map(String::as_str).collect();
        let title = format!("build {}", described.into_iter().collect::<Vec<_>>().join(", "));
        let step = BuildImages {
            project: self.config.compose_project().to_owned(),
            directory: self.config.directory.clone(),
            images,
            from,
            deadline_s: self.config.deploy.build_deadline.as_secs(),
        };
        Some(item("build_images", title, Act::BuildImages(step)))
    }

    /// The database, where its server runs now: one that does not run yet holds nothing to back up.
    pub(super) fn running_database(&self) -> Option<&Database> {
        let database = self.database.as_ref()?;
        let runs = |container: &crate::adapter::docker::Container| {
            container.service == database.service && container.state.status == "running"
        };
        self.look.containers.iter().any(runs).then_some(database)
    }

    pub(super) fn back_up(&self) -> Option<Item> {
        let database = self.running_database()?;
        let step = BackUpDatabase {
            project: self.config.compose_project().to_owned(),
            database: database.clone(),
            directory: self.config.backup_directory(),
            keep: self.config.backup.keep,
            deadline_s: self.config.backup.deadline.as_secs(),
        };
        let title = format!("back up the database {} and read the dump back in full", database.name);
        Some(item("back_up_database", title, Act::BackUpDatabase(step)))
    }

    pub(super) fn start(&self, name: &str, title: &str, judged: &[Judged], release: u32) -> Item {
        let project = self.config.compose_project();
        let changed: Vec<&str> = judged
            .iter()
            .filter(|judged| judged.change.change != Change::Keep)
            .map(|judged| judged.change.service.as_str())
            .collect();
        let which = if changed.is_empty() { "nothing changes".to_owned() } else { changed.join(", ") };
        let touched: Vec<Touched> = judged.iter().map(|judged| judged.touched.clone()).collect();
        let step = StartServices {
            project: project.to_owned(),
            directory: self.config.directory.clone(),
            services: touched,
            from: changes::from_side(self.look, judged),
            to: changes::to_side(self.look, project, release, judged),
            deadline_s: self.config.deploy.start_deadline.as_secs(),
            stop_timeout_s: self.config.deploy.stop_timeout.map(|timeout| timeout.as_secs()),
            // What was not there before goes last instead: others need it until they are gone.
            is_ground: name == "start_dependencies" && !changes::from_side(self.look, judged).services.is_empty(),
            without: self.without.clone(),
        };
        item(name, format!("{title}: {which}"), Act::StartServices(step))
    }

    pub(super) fn migrate(&self) -> Option<Item> {
        let migrate = self.config.deploy.migrate.as_ref()?;
        let on_rollback = match (migrate.on_rollback, &migrate.undo) {
            (crate::config::OnRollback::Restore, _) => OnRollback::Restore { backups: self.config.backup_directory() },
            (crate::config::OnRollback::Command, Some(command)) => OnRollback::Command(command.clone()),
            (crate::config::OnRollback::Command | crate::config::OnRollback::Keep, _) => OnRollback::Keep,
        };
        // Without a server that runs now there is no backup, so nothing could be restored.
        let has_backup = self.running_database().is_some();
        let on_rollback = match on_rollback {
            OnRollback::Restore { .. } if !has_backup => OnRollback::Keep,
            other => other,
        };
        let step = MigrateSchema {
            project: self.config.compose_project().to_owned(),
            directory: self.config.directory.clone(),
            service: migrate.service.clone(),
            command: migrate.command.clone(),
            deadline_s: migrate.deadline.as_secs(),
            on_rollback,
            database: self.database.clone(),
            run: None,
        };
        let title = format!("migrate the schema: `{}` in {}", migrate.command.join(" "), migrate.service);
        Some(item("migrate_schema", title, Act::MigrateSchema(step)))
    }

    pub(super) fn expect_services(&self, services: &[String], stable_ms: u64) -> Act {
        let count = |service: &String| (service.clone(), model::replicas(&self.look.rendered, service));
        Act::ExpectServices(ExpectServices {
            project: self.config.compose_project().to_owned(),
            services: services.iter().map(count).collect(),
            stable_ms,
            deadline_s: self.config.deploy.start_deadline.as_secs(),
            ending: model::ending(&self.look.rendered),
        })
    }

    pub(super) fn steady(&self, services: &[String]) -> Option<Item> {
        let deploy = &self.config.deploy;
        if deploy.observe.is_zero() {
            return None;
        }
        let prometheus = self.config.prometheus.as_ref();
        let errors = prometheus.map(|prometheus| {
            let query = prometheus.error_query().to_owned();
            (prometheus.url.to_string(), query, deploy.max_error_ratio.ratio())
        });
        let step = ExpectSteady {
            project: self.config.compose_project().to_owned(),
            services: services.to_vec(),
            for_ms: ms(deploy.observe),
            patience_ms: ms(deploy.start_deadline),
            health: self.config.health.iter().map(health_gate).collect(),
            errors,
        };
        let title = format!("steady for {}", crate::config::units::format_duration(deploy.observe));
        Some(item("expect_steady", title, Act::ExpectSteady(step)))
    }

    pub(super) fn record(&self, release: u32) -> Item {
        let project = self.config.compose_project();
        let rendered = &self.look.rendered;
        let services = model::services(rendered).into_iter().map(|service| {
            let hash = self.look.hashes.get(&service).cloned().unwrap_or_default();
            let facts = (model::image(rendered, project, &service), hash, model::replicas(rendered, &service));
            (service, facts)
        });
        let step = RecordRelease {
            release,
            before: self.look.running.as_ref().map(|running| running.number),
            project: self.config.compose_project().to_owned(),
            environment: self.config.project.environment.clone(),
            directory: self.config.directory.clone(),
            services: services.collect(),
            is_known: false,
            keep_releases: self.config.deploy.keep_releases,
            side: None,
        };
        item("record_release", format!("record the release r{release}"), Act::RecordRelease(step))
    }
}
