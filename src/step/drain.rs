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
use crate::data::plural::counted;

/// Between two looks.
const PACE: Duration = Duration::from_millis(100);
/// How long what the engine told of where they are is good for: people are served meanwhile, by the same machine.
const GOOD_FOR: Duration = Duration::from_secs(1);
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
        let (mut known, mut must_look): (Option<Known>, _) = (None, true);
        loop {
            let is_fresh = must_look || known.as_ref().is_none_or(|known| known.since.elapsed() >= GOOD_FOR);
            let before = if is_fresh { known.take() } else { None };
            let open = self.connections(docker, &mut known).await;
            must_look = open.is_err();
            if before.is_some_and(|before| known.as_ref().is_some_and(|now| !before.is_same(now))) {
                // Who was looked at before is not who is looked at now.
                quiet = None;
            }
            let is_over = watch.left(timeout + QUIET).is_none();
            match open {
                Ok(0) => {
                    if quiet.get_or_insert_with(Stopwatch::start).elapsed() >= QUIET {
                        if is_fresh {
                            return Ok(Drained::Idle(watch.elapsed()));
                        }
                        // It counts when it is so at the places where they are now.
                        must_look = true;
                        continue;
                    }
                }
                Ok(count) if is_over => return Ok(Drained::Left(count)),
                Ok(count) => {
                    quiet = None;
                    say(format!("{} to {}", counted(count, "connection"), self.project));
                }
                Err(error) if is_over => return Err(error),
                Err(error) => say(format!("{error:#}")),
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn connections(&self, docker: &Docker, known: &mut Option<Known>) -> Result<usize> {
        let known = match known.take() {
            Some(good) => known.insert(good),
            None => known.insert(self.look(docker).await?),
        };
        let mut count = 0;
        for (name, pid) in &known.places {
            let open = connections::established(*pid, known.callers.as_ref())
                .with_context(|| format!("the connections of {name} cannot be read"))?;
            count += open.unwrap_or(0);
        }
        Ok(count)
    }

    async fn look(&self, docker: &Docker) -> Result<Known> {
        let (since, callers, mut places) = (Stopwatch::start(), self.callers(docker).await?, Vec::new());
        for container in docker.containers(&self.project).await? {
            if !self.services.contains(container.plain_service()) {
                continue;
            }
            let Some(place) = docker.whereabouts(&container.id).await? else { continue };
            places.push((container.name, place.pid));
        }
        Ok(Known { since, callers, places })
    }

    /// Addresses of the proxy; it may get others when it is restarted.
    async fn callers(&self, docker: &Docker) -> Result<Option<BTreeSet<IpAddr>>> {
        let Some((project, service)) = &self.proxy else { return Ok(None) };
        let mut addresses = BTreeSet::new();
        for container in docker.containers(project).await?.iter().filter(|one| &one.service == service) {
            addresses.extend(docker.whereabouts(&container.id).await?.unwrap_or_default().addresses);
        }
        Ok(Some(addresses))
    }
}

/// Where the proxy and the containers are, as the engine told it.
struct Known {
    since: Stopwatch,
    /// Whose connections count; everybody's where there is no proxy.
    callers: Option<BTreeSet<IpAddr>>,
    /// Name and process of each container.
    places: Vec<(String, u32)>,
}

impl Known {
    fn is_same(&self, other: &Self) -> bool {
        (&self.callers, &self.places) == (&other.callers, &other.places)
    }
}
