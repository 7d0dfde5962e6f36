//! Stopping containers, and finding the one-shots of ours that are at work, by their mark. None is removed here, because
//! how one ended is what tells how far its work came.

use anyhow::Result;
use bollard::query_parameters as ask;

use super::{Container, Docker, absent_is_none, label};

/// Seconds that a one-shot gets to end by itself after it was asked to.
const GRACE: i32 = 10;

impl Docker {
    /// The one-shot containers that runs of ours have at work in a project.
    ///
    /// # Errors
    /// [`super::EngineAway`], or the engine's own words.
    pub async fn one_shots_at_work(&self, project: &str) -> Result<Vec<Container>> {
        let marks = [format!("{}={project}", label::PROJECT), label::RUN.to_owned()];
        let mut shots = self.labelled(&marks).await?;
        shots.retain(|shot| !matches!(shot.state.status.as_str(), "created" | "exited" | "dead"));
        Ok(shots)
    }

    /// Stops a one-shot; one that is not there or has ended is no error.
    ///
    /// # Errors
    /// The engine's own words.
    pub async fn stop(&self, name: &str) -> Result<()> {
        self.stop_as(name, Some(ask::StopContainerOptionsBuilder::new().t(GRACE).build())).await
    }

    /// Stops a service's container, which has the time that its model gives it; returns once it is down.
    ///
    /// # Errors
    /// The engine's own words.
    pub async fn stop_service(&self, name: &str) -> Result<()> {
        self.stop_as(name, None).await
    }

    async fn stop_as(&self, name: &str, options: Option<ask::StopContainerOptions>) -> Result<()> {
        match self.patiently(|| self.engine.stop_container(name, options.clone())).await {
            // 304: it has ended already.
            Err(error) if status_of(&error) == Some(304) => Ok(()),
            answer => absent_is_none(answer).map(|_| ()),
        }
    }
}

fn status_of(error: &anyhow::Error) -> Option<u16> {
    match error.downcast_ref::<bollard::errors::Error>() {
        Some(bollard::errors::Error::DockerResponseServerError { status_code, .. }) => Some(*status_code),
        _ => None,
    }
}
