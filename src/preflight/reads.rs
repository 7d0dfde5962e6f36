//! What several checks need to know, read once: each read starts when it is first wanted and is shared by all who want it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use serde_json::Value;

use super::finding::Found;
use super::{Asked, database};
use crate::adapter::compose::{Compose, Sources};
use crate::adapter::docker::{Container, Docker, EngineFacts, Listed};
use crate::adapter::postgres::{self, Postgres};
use crate::config::{Config, Environment};

/// A read that failed: why, and which check has the whole story.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    pub(super) why: String,
    pub(super) told_by: &'static str,
}

impl Unread {
    fn new(told_by: &'static str, error: &anyhow::Error) -> Self {
        Self { why: format!("{error:#}"), told_by }
    }

    /// The answer of a check that needed it: unknown, never ok.
    pub(super) fn found(&self, what: &str) -> Found {
        // The first line alone, and not the colon behind which the next ones stood.
        let first = self.why.lines().next().unwrap_or_default().trim_end_matches(':');
        let advice = format!("put right what the check {} says, then ask again", self.told_by);
        Found::unknown(format!("{what} is not known: {first}"), advice)
    }
}

pub(super) type Read<T> = Result<Arc<T>, Unread>;
type Later<'a, T> = Shared<BoxFuture<'a, Read<T>>>;

/// The compose model, and what compose warned of while it read.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) value: Value,
    pub(super) warnings: Vec<String>,
}

/// What is known of the stack's own database.
#[derive(Debug)]
pub(super) enum DatabaseSight {
    /// The stack owns none.
    None,
    /// It owns one, and nothing of the project runs yet.
    NotDeployed(postgres::Database),
    /// The project runs, the database does not; holds its state.
    NotRunning(postgres::Database, String),
    /// It was asked.
    Asked(postgres::Database, Result<postgres::Sight, String>),
}

/// The shared reads; a clone shares them.
#[derive(Clone)]
pub(super) struct Reads<'a> {
    pub(super) docker: Later<'a, Docker>,
    pub(super) facts: Later<'a, EngineFacts>,
    pub(super) everyone: Later<'a, Vec<Listed>>,
    pub(super) ours: Later<'a, Vec<Container>>,
    pub(super) model: Later<'a, Model>,
    pub(super) database: Later<'a, DatabaseSight>,
}

impl<'a> Reads<'a> {
    pub(super) fn new(asked: &'a Asked<'a>) -> Self {
        let docker = later(async move {
            let handle = asked.docker.as_ref().map_err(|error| Unread::new("engine", error))?;
            let once = handle.with_patience(Duration::ZERO).negotiate().await;
            once.map(Arc::new).map_err(|error| Unread::new("engine", &error))
        });
        let handle = docker.clone();
        let facts = later(async move {
            let facts = handle.await?.facts().await;
            facts.map(Arc::new).map_err(|error| Unread::new("engine", &error))
        });
        let handle = docker.clone();
        let everyone = later(async move {
            let everyone = handle.await?.everyone().await;
            everyone.map(Arc::new).map_err(|error| Unread::new("engine", &error))
        });
        let (handle, list) = (docker.clone(), everyone.clone());
        let ours = later(async move { inspect(asked.config, &*handle.await?, &list.await?).await });
        let model = later(render(asked));
        let (drawn, running) = (model.clone(), ours.clone());
        let database = later(async move { look_at_database(asked, &*drawn.await?, &running.await?).await });
        Self { docker, facts, everyone, ours, model, database }
    }
}

fn later<'a, T>(read: impl Future<Output = Read<T>> + Send + 'a) -> Later<'a, T> {
    read.boxed().shared()
}

/// Whether a compose project is ours: the project itself, or one side of a blue-green deployment (`NAME-r12`).
pub(super) fn is_ours(config: &Config, project: &str) -> bool {
    let side = |rest: &str| rest.strip_prefix("-r").is_some_and(|number| number.parse::<u32>().is_ok());
    project.strip_prefix(config.compose_project()).is_some_and(|rest| rest.is_empty() || side(rest))
}

/// The project's containers, one-shots left out.
async fn inspect(config: &Config, docker: &Docker, everyone: &[Listed]) -> Read<Vec<Container>> {
    let wanted = everyone.iter().filter(|one| is_ours(config, &one.project) && !one.is_one_off);
    let inspected = join_all(wanted.map(|one| docker.container(&one.id))).await;
    let mut containers = Vec::new();
    for container in inspected {
        // One that vanished between the list and the look is not there.
        containers.extend(container.map_err(|error| Unread::new("engine", &error))?);
    }
    Ok(Arc::new(containers))
}

/// The compose files of the configuration, as `docker compose` is given them.
fn sources(config: &Config, environment: &Environment) -> Sources {
    Sources {
        project: config.compose_project().to_owned(),
        directory: config.directory.clone(),
        files: config.compose.files.clone(),
        env_files: config.compose.env_files.clone(),
        profiles: config.compose.profiles.clone(),
        model: None,
        variables: environment.chosen(&config.secrets.variables),
    }
}

async fn render(asked: &Asked<'_>) -> Read<Model> {
    if asked.config.compose.files.is_empty() {
        let why = format!("no compose file is named, and none stands in {}", asked.config.directory.display());
        return Err(Unread { why, told_by: "model" });
    }
    let Some(docker) = asked.docker_cli.clone() else {
        return Err(Unread { why: "no docker command-line client was found".into(), told_by: "tools" });
    };
    let compose = Compose::new(docker, asked.process.clone());
    let (value, warnings) = compose
        .render(&sources(asked.config, asked.environment))
        .await
        .map_err(|error| Unread::new("model", &error))?;
    Ok(Arc::new(Model { value, warnings }))
}

async fn look_at_database(asked: &Asked<'_>, model: &Model, ours: &[Container]) -> Read<DatabaseSight> {
    let Some(owned) = database::owned(asked.config, &model.value) else { return Ok(Arc::new(DatabaseSight::None)) };
    let container = ours.iter().find(|one| one.service == owned.service);
    let Some(docker) = asked.docker_cli.clone() else {
        return Err(Unread { why: "no docker command-line client was found".into(), told_by: "tools" });
    };
    let sight = match container {
        Some(container) if container.state.status == "running" => {
            let postgres = Postgres::new(docker, asked.process.clone());
            let look = postgres.look(&container.id, &owned, "cutover preflight", asked.config.preflight.deadline).await;
            DatabaseSight::Asked(owned, look.map_err(|error| format!("{error:#}")))
        }
        Some(container) => DatabaseSight::NotRunning(owned, container.state.status.clone()),
        None if ours.iter().any(|one| one.state.status == "running") => {
            DatabaseSight::NotRunning(owned, "absent".to_owned())
        }
        None => DatabaseSight::NotDeployed(owned),
    };
    Ok(Arc::new(sight))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    #[test]
    fn a_side_of_a_blue_green_deployment_is_ours_and_a_neighbour_is_not() {
        let text = "schema = \"cutover/v1\"\n[project]\nname = \"shop\"\n";
        let path = std::path::Path::new("/nowhere/cutover.toml");
        let config = config::parse(text, path, &Environment::default()).unwrap();
        let ours = ["shop", "shop-r12"];
        assert!(ours.iter().all(|project| is_ours(&config, project)));
        let strangers = ["", "shop-r", "shop-rx", "shop-r1-db", "shopping", "shop2"];
        assert!(!strangers.iter().any(|project| is_ours(&config, project)));
    }
}
