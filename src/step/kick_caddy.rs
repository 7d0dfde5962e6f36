//! Kick Caddy: one forced reload after the names have changed. Started before them it waits longer and longer between two
//! attempts at a certificate, up to hours; a reload begins at once, and only one is made, since failures are counted outside.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{RunTag, Say, World};
use crate::adapter::docker::Docker;
use crate::adapter::files;
use crate::adapter::inside::Inside;

/// A reload answers within seconds; a configuration that is wrong too.
const PATIENCE: Duration = Duration::from_secs(60);

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct KickCaddy {
    /// Compose project.
    pub project: String,
    /// The service that is Caddy.
    pub service: String,
}

impl KickCaddy {
    /// Whether this run has done it.
    ///
    /// # Errors
    /// None; the signature is that of every step.
    pub fn check(&self, run: &RunTag) -> Result<World> {
        Ok(match run.side.join("caddy-kicked.json").exists() {
            true => World::After(format!("{} was reloaded once by this run", self.service)),
            false => World::Before(format!("{} was not reloaded by this run", self.service)),
        })
    }

    /// Reloads the configuration that it has, by force: Caddy passes by one that has not changed otherwise.
    ///
    /// # Errors
    /// When the service does not run, or Caddy refuses the configuration (it goes on with the one it has).
    pub async fn run(&self, docker: &Docker, inside: &Inside, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let containers = docker.containers(&self.project).await?;
        let mut own = containers.iter().filter(|one| one.service == self.service && one.state.status == "running");
        let Some(container) = own.next() else {
            bail!("no container of the service {} runs; start it, then `cutover resume`", self.service);
        };
        say(format!("reloading the configuration of {}", container.name));
        let words = ["caddy", "reload", "--force", "--config", "/etc/caddy/Caddyfile"];
        inside.ask(&container.id, &words, PATIENCE).await.with_context(|| {
            format!("{} could not be reloaded; it goes on with the configuration that it has", container.name)
        })?;
        files::write_json(&run.side.join("caddy-kicked.json"), &json!({ "container": container.id }), 0o600)?;
        Ok(json!({ "container": container.name }))
    }
}
