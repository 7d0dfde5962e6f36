//! Compose: the plugin answers, and is new enough.

use super::finding::Found;
use super::{Ask, engine};
use crate::adapter::compose::Compose;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let Some(docker) = ask.asked.docker_cli.clone() else {
        return Found::fail("without the docker client there is no docker compose", "see the check tools");
    };
    let compose = Compose::new(docker, ask.asked.process.clone());
    match ask.wait("docker compose version", compose.version()).await {
        Ok(found) => {
            engine::judge("docker compose", &found, &ask.config().preflight.compose_min, "preflight.compose_min")
        }
        Err(error) => {
            Found::fail(format!("docker compose does not answer: {error:#}"), "install the compose plugin, version 2")
        }
    }
}
