//! Draining: whoever calls the containers that no route leads to any more is waited for, as their own tables tell it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Say;
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::connections;
use crate::adapter::docker::Docker;

/// Between two looks.
const PACE: Duration = Duration::from_millis(100);
/// How long nothing may be seen before it counts: the proxy may just be opening a connection.
const QUIET: Duration = Duration::from_millis(300);

/// Whose connections are watched.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Drain {
    /// Compose project of the containers.
    pub project: String,
    /// Their services, as the project's own model names them.
    pub services: BTreeSet<String>,
    /// Project and service of the proxy: only its connections count. Without it, everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<(String, String)>,
    /// The longest wait, seconds.
    pub timeout_s: u64,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nobody calls any more, seen after this time.
    Idle(Duration),
    /// The time is over, and so many connections are left.
    Left(usize),
}

impl Drained {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Idle(after) => format!("seen idle after {}", spoken(*after)),
            Self::Left(1) => "1 connection is left".into(),
            Self::Left(count) => format!("{count} connections are left"),
        }
    }
}

impl Drain {
    /// Waits until nobody calls any more, or the time is over.
    ///
    /// # Errors
    /// When the tables cannot be read at the end of the time.
    pub async fn wait(&self, docker: &Docker, say: Say<'_>) -> Result<Drained> {
        let watch = Stopwatch::start();
        let timeout = Duration::from_secs(self.timeout_s);
        let mut quiet: Option<Stopwatch> = None;
        loop {
            let open = self.connections(docker).await;
            let is_over = watch.left(timeout + QUIET).is_none();
            match open {
                Ok(0) => {
                    if quiet.get_or_insert_with(Stopwatch::start).elapsed() >= QUIET {
                        return Ok(Drained::Idle(watch.elapsed()));
                    }
                }
                Ok(count) if is_over => return Ok(Drained::Left(count)),
                Ok(count) => {
                    quiet = None;
                    let noun = if count == 1 { "connection" } else { "connections" };
                    say(format!("{count} {noun} to {}", self.project));
                }
                Err(error) if is_over => return Err(error),
                Err(error) => say(format!("{error:#}")),
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn connections(&self, docker: &Docker) -> Result<usize> {
        let from = self.callers(docker).await?;
        let mut count = 0;
        for container in docker.containers(&self.project).await? {
            if !self.services.contains(container.plain_service()) {
                continue;
            }
            let Some(place) = docker.whereabouts(&container.id).await? else { continue };
            let open = connections::established(place.pid, from.as_ref())
                .with_context(|| format!("the connections of {} cannot be read", container.name))?;
            count += open.unwrap_or(0);
        }
        Ok(count)
    }

    /// Addresses of the proxy; it may get others when it is restarted, so they are asked each time.
    async fn callers(&self, docker: &Docker) -> Result<Option<BTreeSet<IpAddr>>> {
        let Some((project, service)) = &self.proxy else { return Ok(None) };
        let mut addresses = BTreeSet::new();
        for container in docker.containers(project).await?.iter().filter(|one| &one.service == service) {
            addresses.extend(docker.whereabouts(&container.id).await?.unwrap_or_default().addresses);
        }
        Ok(Some(addresses))
    }
}
