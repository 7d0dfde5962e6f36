//! Save incident: logs and states of every container and the last samples, before a rollback wipes the traces.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{RunTag, Say, World};
use crate::adapter::docker::Docker;
use crate::adapter::files;
use crate::adapter::http::Http;
use crate::adapter::prometheus::{self, Number};

/// How many lines of each log are kept.
const LINES: usize = 5_000;

/// How the note begins that tells where the logs are that a failed run saved before it went back by itself.
pub const KEPT_TRACES: &str = "logs and states of all containers, as they were before the way back: ";

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct SaveIncident {
    /// Compose project.
    pub project: String,
    /// Other projects whose containers are saved too: the sides beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Prometheus, with the queries whose last values are kept.
    pub prometheus: Option<(String, Vec<String>)>,
}

impl SaveIncident {
    /// Whether it was saved by this run.
    ///
    /// # Errors
    /// None; the signature is that of every step.
    pub fn check(&self, run: &RunTag) -> Result<World> {
        let directory = run.side.join("incident");
        Ok(if directory.join("states.json").exists() {
            World::After(format!("saved in {}", directory.display()))
        } else {
            World::Before("not saved yet".into())
        })
    }

    /// Writes logs first and the states last.
    ///
    /// # Errors
    /// When the engine cannot be asked or the files cannot be written. That Prometheus does not answer is part of
    /// the incident and is written down, not an error.
    pub async fn run(&self, docker: &Docker, http: &Http, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let directory = run.side.join("incident");
        files::make_private_directory(&directory)?;
        let mut containers = docker.containers(&self.project).await?;
        for project in &self.also {
            containers.extend(docker.containers(project).await?);
        }
        let mut lines = 0;
        for container in &containers {
            say(format!("log of {}", container.name));
            let log = docker
                .log_tail(&container.id, LINES)
                .await
                .with_context(|| format!("cannot read the log of {}", container.name))?;
            lines += log.len();
            let path = directory.join(format!("{}.log", container.name));
            files::write_atomically(&path, (log.join("\n") + "\n").as_bytes(), 0o600)?;
        }
        let mut samples = Vec::new();
        for query in self.prometheus.iter().flat_map(|(_, queries)| queries) {
            let base = self.prometheus.as_ref().map(|(base, _)| base.as_str()).unwrap_or_default();
            let answer = prometheus::number(http, base, query, Duration::from_secs(3)).await;
            samples.push(match answer {
                Ok(Number::Value(value)) => json!({ "query": query, "value": value }),
                Ok(Number::Nothing(why) | Number::Unclear(why)) => json!({ "query": query, "nothing": why }),
                Err(error) => json!({ "query": query, "error": format!("{error:#}") }),
            });
        }
        let states = json!({ "schema": "cutover/v1", "containers": containers, "samples": samples });
        files::write_json(&directory.join("states.json"), &states, 0o600)?;
        Ok(json!({ "directory": directory, "containers": containers.len(), "log_lines": lines }))
    }
}
