//! `docker compose down` of a whole project, by its name alone: what is to go may have no model any more.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{Compose, Sources};

impl Compose {
    /// Stops and removes every container and network that a project made; it needs no model. Volumes stay.
    ///
    /// # Errors
    /// Compose's own words.
    pub async fn down(
        &self,
        project: &str,
        directory: &Path,
        stop_timeout: Option<Duration>,
        deadline: Duration,
        line: &(dyn Fn(&str) + Sync),
    ) -> Result<()> {
        let arguments = arguments(project, directory, stop_timeout);
        self.process.run(self.command(arguments, deadline), line).await?;
        Ok(())
    }
}

fn arguments(project: &str, directory: &Path, stop_timeout: Option<Duration>) -> Vec<String> {
    let sources = Sources { project: project.to_owned(), directory: directory.to_owned(), ..Sources::default() };
    let mut arguments = sources.arguments();
    arguments.push("down".into());
    if let Some(timeout) = stop_timeout {
        arguments.extend(["--timeout".into(), timeout.as_secs().to_string()]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_goes_by_its_name_alone_and_its_volumes_stay() {
        let line = arguments("shop-r1", Path::new("/srv"), Some(Duration::from_secs(5))).join(" ");
        assert_eq!(
            line,
            "compose --project-name shop-r1 --project-directory /srv --env-file /dev/null down --timeout 5"
        );
    }
}
