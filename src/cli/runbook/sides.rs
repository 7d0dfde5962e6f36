//! Health where releases run as sides: a side publishes no port of the host, so whoever serves is asked at its own containers.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cli::setup::Setup;
use crate::config::{Config, Environment, Health, Strategy};
use crate::release::model;
use crate::run::look::sources;
use crate::step::expect_health::Straight;

/// What tells which address means a side.
pub struct Sides {
    model: Value,
    directory: PathBuf,
}

impl Sides {
    /// Nothing where releases do not run as sides.
    ///
    /// # Errors
    /// When the compose files are not valid.
    pub async fn of(config: &Config, setup: &Setup) -> Result<Option<Self>> {
        let directory = config.caddy.as_ref().and_then(|caddy| caddy.directory.clone());
        let Some(directory) = directory.filter(|_| config.deploy.strategy == Strategy::BlueGreen) else {
            return Ok(None);
        };
        let rendered = setup.compose.render(&sources(config, &Environment::of_process())).await;
        let (model, _) = rendered.context("health is asked at the containers of the side that serves")?;
        setup.learn(&model);
        Ok(Some(Self { model, directory }))
    }

    /// How an address on a port that a switched service publishes is asked.
    pub fn straight(&self, config: &Config, health: &Health) -> Option<Straight> {
        let asked = health.url.port_or_known_default()?;
        let (service, port) = model::published_by(&self.model, &config.deploy.services, asked)?;
        let (project, switch) = (config.compose_project().to_owned(), Some(self.directory.clone()));
        Some(Straight { project, service: service.clone(), port, switch })
    }
}
