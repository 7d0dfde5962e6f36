//! What a deployment writes down for the way back: the proof of the old state, and what a rollback does first.

use std::collections::BTreeSet;

use super::changes;
use super::deploy::{health_gate, ms};
use super::list::{List, item};
use crate::release::model;
use crate::step::Act;
use crate::step::expect_services::ExpectServices;
use crate::step::export_database::ExportDatabase;
use crate::step::plan::Item;
use crate::step::save_incident::SaveIncident;

impl List<'_> {
    /// What proves the old state after a way back: what is well now must be well again.
    pub(super) fn home(&self) -> Vec<Item> {
        let up = changes::up_now(self.look);
        let mut home = Vec::new();
        if !up.is_empty() {
            let names: Vec<String> = up.keys().cloned().collect();
            let gate = ExpectServices {
                project: self.config.compose_project().to_owned(),
                services: up,
                stable_ms: ms(self.config.deploy.stable_for).min(2_000),
                deadline_s: self.config.deploy.start_deadline.as_secs(),
                ending: BTreeSet::new(),
            };
            home.push(item(
                "expect_services",
                format!("{} healthy as before", names.join(", ")),
                Act::ExpectServices(gate),
            ));
        }
        for health in self.config.health.iter().filter(|health| self.healthy.contains(&health.name)) {
            let title = format!("{} answers as before", health.url);
            home.push(item(&format!("expect_health_{}", health.name), title, Act::ExpectHealth(health_gate(health))));
        }
        home
    }

    /// What a rollback of this run does before it undoes anything.
    pub(super) fn way_back(&self) -> Vec<Item> {
        let project = self.config.compose_project().to_owned();
        let prometheus = self.config.prometheus.as_ref();
        let samples = prometheus.map(|one| (one.url.to_string(), vec![one.error_query().to_owned(), "up".into()]));
        let save = SaveIncident { project: project.clone(), also: Vec::new(), prometheus: samples };
        let mut items =
            vec![item("save_incident", "save logs and states of all containers".into(), Act::SaveIncident(save))];
        if let Some(database) = &self.database {
            let export = ExportDatabase {
                project,
                database: database.clone(),
                directory: self.config.state.directory.join("exports"),
                deadline_s: self.config.backup.deadline.as_secs(),
            };
            let title = format!("export the database {} and read the dump back in full", database.name);
            items.push(item("export_database", title, Act::ExportDatabase(export)));
        }
        items
    }

    /// What a person should know before saying yes.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = self.plain_remarks();
        for health in &self.config.health {
            if !self.look.containers.is_empty() && !self.healthy.contains(&health.name) {
                remarks.push(format!("{} is not as expected now, so it cannot prove a way back", health.url));
            }
        }
        remarks
    }

    /// The same, without what was asked of health.
    pub(super) fn plain_remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let unset = self.look.warnings.iter().filter(|warning| warning.contains("variable is not set"));
        remarks.extend(unset.map(|warning| format!("compose warns: {warning}")));
        let known = model::services(&self.look.rendered);
        let strangers: BTreeSet<&str> = self
            .look
            .containers
            .iter()
            .map(|container| container.service.as_str())
            .filter(|service| !known.iter().any(|known| known == service))
            .collect();
        remarks.extend(
            strangers
                .iter()
                .map(|service| format!("{service} runs, but today's model does not have it; it is left as it is")),
        );
        if let Some(running) = &self.look.running {
            remarks.extend(running.remarks.iter().cloned());
        }
        if self.database.is_some() && self.running_database().is_none() {
            remarks.push("the database does not run yet, so there is nothing to back up".into());
        }
        remarks
    }
}
