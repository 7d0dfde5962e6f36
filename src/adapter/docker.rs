//! Everything read from the engine; the two things written to it directly stand in `holds`.
//!
//! Containers are made by `docker compose` alone; only what a killed `docker compose` left half-way is put right
//! directly. A read that meets an engine which is away (restarting,
//! say) is tried again for as long as `patience` allows, then fails with [`EngineAway`].

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use bollard::Docker as Engine;
use bollard::models::{ContainerInspectResponse, ImageInspect};
use bollard::query_parameters as ask;
use futures_util::{StreamExt, future};
use serde::{Deserialize, Serialize};

use self::answer::{absent_is_none, is_away, reason};
use super::clock::Stopwatch;
use crate::redact::Redactor;

mod answer;
mod holds;
mod inspected;
mod listed;
mod one_shots;
mod places;
mod work;

pub use listed::{Listed, Published};
pub use places::Whereabouts;
pub use work::{has_ended_its_work, has_ended_well};

/// Labels that `docker compose` puts on its containers.
pub mod label {
    /// The project's name.
    pub const PROJECT: &str = "com.docker.compose.project";
    /// The service's name.
    pub const SERVICE: &str = "com.docker.compose.service";
    /// Digest of the service's configuration.
    pub const HASH: &str = "com.docker.compose.config-hash";
    /// `True` for containers of `compose run`.
    pub const ONE_OFF: &str = "com.docker.compose.oneoff";
    /// Our mark: the run that started a one-shot container.
    pub const RUN: &str = "dev.cutover.run";
    /// Our mark: the release that a holder container keeps.
    pub const HOLDS: &str = "dev.cutover.holds";
    /// Our mark: the project beside which a side runs.
    pub const SIDE_OF: &str = "dev.cutover.side-of";
    /// Our mark: the release that a side is.
    pub const RELEASE: &str = "dev.cutover.release";
    /// Our mark: the service of the project's model that a side's container is.
    pub const OF_SERVICE: &str = "dev.cutover.service";
    /// Our mark: digest of the model that a side was rendered to.
    pub const MODEL: &str = "dev.cutover.model";
    /// Our mark: the epoch of the run that started a container.
    pub const EPOCH: &str = "dev.cutover.epoch";
}

/// The engine did not answer; nothing is known about the world.
#[derive(Debug, thiserror::Error)]
#[error("the docker engine at {socket} does not answer: {why}; {advice}")]
pub struct EngineAway {
    socket: String,
    why: String,
    advice: &'static str,
}

impl EngineAway {
    /// The socket is tried by itself: the client's own words do not tell one cause from another.
    async fn seen(socket: &str, words: String) -> Self {
        let path = socket.trim_start_matches("unix://");
        let tried = tokio::time::timeout(Duration::from_secs(1), tokio::net::UnixStream::connect(path)).await;
        let (why, advice) = reason(tried.ok().and_then(Result::err), words);
        Self { socket: socket.to_owned(), why, advice }
    }

    fn unseen(socket: &str, words: String) -> Self {
        let (why, advice) = reason(None, words);
        Self { socket: socket.to_owned(), why, advice }
    }
}

/// The state of a container, as the engine tells it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct State {
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub status: String,
    /// `starting`, `healthy` or `unhealthy`; absent without a health check.
    pub health: Option<String>,
    /// Last words of the health check, when there are any.
    pub health_said: Option<String>,
    /// Exit code of the last process.
    pub exit_code: i64,
    /// RFC 3339 time of the last start.
    pub started_at: String,
    /// How often the engine restarted it by itself.
    pub restarts: i64,
    /// Whether the kernel ended it for want of memory.
    pub was_oom_killed: bool,
    /// The engine's error text, when it could not be started.
    pub error: String,
}

/// A container of the project.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Container {
    /// Full identifier.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Service in the compose model.
    pub service: String,
    /// Digest of the configuration it was made from.
    pub hash: String,
    /// Image reference it was made from.
    pub image: String,
    /// Identifier (digest of the configuration) of that image.
    pub image_id: String,
    /// Whether `compose run` made it.
    pub is_one_off: bool,
    /// Restart policy's name: `no`, `always`, `on-failure`, `unless-stopped`.
    pub restart: String,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// State at the time of asking.
    pub state: State,
}

/// A handle on the engine; cheap to clone.
#[derive(Clone)]
pub struct Docker {
    engine: Engine,
    socket: String,
    patience: Duration,
    redactor: Redactor,
}

impl std::fmt::Debug for Docker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Docker({})", self.socket)
    }
}

/// Version and place of the engine.
#[derive(Clone, Debug)]
pub struct EngineFacts {
    /// Its version, such as `20.10.24`.
    pub version: String,
    /// Where it keeps images and volumes.
    pub root: PathBuf,
    /// Memory of the host in bytes.
    pub memory: u64,
}

impl Docker {
    /// Prepares a handle; nothing is asked yet. `host` is what `DOCKER_HOST` holds, or the usual socket.
    ///
    /// # Errors
    /// When `host` is of a kind that is not supported (only `unix://`).
    pub fn new(host: Option<&str>, patience: Duration) -> Result<Self> {
        let socket = host.unwrap_or("unix:///var/run/docker.sock").to_owned();
        let path = socket.strip_prefix("unix://").with_context(|| {
            format!(
                "DOCKER_HOST is {socket:?}: cutover runs on the host itself and speaks to a unix:// socket only; \
                 unset DOCKER_HOST, or name this host's socket, such as unix:///var/run/docker.sock"
            )
        })?;
        // The client wants a file that is there already to make a handle of. Where there is none yet, every question is
        // answered by "away", not the making: rows move on hosts without an engine.
        let there = if std::path::Path::new(path).exists() { path } else { "/" };
        let engine = Engine::connect_with_unix(there, 120, bollard::API_DEFAULT_VERSION)
            .map_err(|error| EngineAway::unseen(&socket, error.to_string()))?;
        Ok(Self { engine, socket, patience, redactor: Redactor::default() })
    }

    /// The same engine; what containers say (logs, health checks) is cleaned before anybody gets it, and before it is cut.
    #[must_use]
    pub fn with_redactor(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// The same engine, with another patience.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Agrees on the newest API version that both sides speak.
    ///
    /// # Errors
    /// [`EngineAway`].
    pub async fn negotiate(mut self) -> Result<Self> {
        let engine = self.engine.clone();
        self.engine = self.patiently(|| engine.clone().negotiate_version()).await?;
        Ok(self)
    }

    /// Asks again while the engine is away and patience lasts.
    async fn patiently<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let watch = Stopwatch::start();
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) if is_away(&error) => {
                    if watch.left(self.patience).is_none() {
                        return Err(EngineAway::seen(&self.socket, error.to_string()).await.into());
                    }
                    tracing::debug!(%error, "the engine is away");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Version, data directory and memory.
    ///
    /// # Errors
    /// [`EngineAway`].
    pub async fn facts(&self) -> Result<EngineFacts> {
        let info = self.patiently(|| self.engine.info()).await?;
        Ok(EngineFacts {
            version: info.server_version.unwrap_or_default(),
            root: info.docker_root_dir.unwrap_or_else(|| "/var/lib/docker".into()).into(),
            memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        })
    }

    /// All containers with these labels (`key=value` or `key`), inspected, ordered by name.
    ///
    /// # Errors
    /// [`EngineAway`], or the engine's own words.
    pub async fn labelled(&self, labels: &[String]) -> Result<Vec<Container>> {
        let filters = HashMap::from([("label", labels.to_vec())]);
        let options = ask::ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.patiently(|| self.engine.list_containers(Some(options.clone()))).await?;
        let ids = found.into_iter().filter_map(|summary| summary.id);
        let inspected = future::join_all(ids.map(|id| async move { self.container(&id).await })).await;
        let mut containers: Vec<Container> = Vec::new();
        for container in inspected {
            // One that vanished between the list and the look is not there: that is an answer, not an error.
            containers.extend(container?);
        }
        containers.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(containers)
    }

    /// The containers of a compose project; one-shots, and what only holds an image, left out.
    ///
    /// # Errors
    /// [`EngineAway`], or the engine's own words.
    pub async fn containers(&self, project: &str) -> Result<Vec<Container>> {
        let mut containers = self.labelled(&[format!("{}={project}", label::PROJECT)]).await?;
        containers.retain(|container| !container.is_one_off && !container.labels.contains_key(label::HOLDS));
        Ok(containers)
    }

    /// One container by name or identifier, or nothing.
    ///
    /// # Errors
    /// [`EngineAway`], or the engine's own words.
    pub async fn container(&self, name: &str) -> Result<Option<Container>> {
        Ok(self.inspect(name).await?.map(|answer| inspected::container(answer, &self.redactor)))
    }

    /// Everything the engine knows about a container, or nothing.
    ///
    /// # Errors
    /// [`EngineAway`], or the engine's own words.
    pub async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>> {
        absent_is_none(self.patiently(|| self.engine.inspect_container(name, None)).await)
    }

    /// An image by reference or identifier, or nothing.
    ///
    /// # Errors
    /// [`EngineAway`], or the engine's own words.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageInspect>> {
        absent_is_none(self.patiently(|| self.engine.inspect_image(reference)).await)
    }

    /// Identifier of the image that a reference stands for here and now, or nothing.
    ///
    /// # Errors
    /// [`EngineAway`], or the engine's own words.
    pub async fn image_id(&self, reference: &str) -> Result<Option<String>> {
        Ok(self.image(reference).await?.and_then(|image| image.id))
    }

    /// Digest that the registry has for a reference.
    ///
    /// # Errors
    /// When the registry cannot be reached or does not know it.
    pub async fn registry_digest(&self, reference: &str) -> Result<Option<String>> {
        let found = self.engine.inspect_registry_image(reference, None).await?;
        Ok(found.descriptor.digest)
    }

    /// The last lines of a container's log, both streams as they came.
    ///
    /// # Errors
    /// [`EngineAway`], or the engine's own words.
    pub async fn log_tail(&self, name: &str, lines: usize) -> Result<Vec<String>> {
        let options = ask::LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let mut stream = self.engine.logs(name, Some(options));
        let mut text = String::new();
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(piece) => text.push_str(&String::from_utf8_lossy(&piece.into_bytes())),
                Err(error) if is_away(&error) => {
                    return Err(EngineAway::seen(&self.socket, error.to_string()).await.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.redactor.clean(&text).lines().map(str::to_owned).collect())
    }
}
