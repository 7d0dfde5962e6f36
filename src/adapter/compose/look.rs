//! Looks at a project as its files have it, before anything is filled in. Reads only; needs no engine.

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Compose, Sources, config_arguments, words};

impl Compose {
    /// The merged files with their variables still in them.
    ///
    /// # Errors
    /// When the files are not valid; compose's words name file and key.
    pub async fn written(&self, sources: &Sources) -> Result<Value> {
        let arguments = config_arguments(sources, &["--no-interpolate", "--format", "json"]);
        let bytes = self.asked(sources, arguments).await?;
        serde_json::from_slice(&bytes).context("docker compose config printed no JSON")
    }

    /// The profiles that the files know; every variable must have its value.
    ///
    /// # Errors
    /// As for [`Self::written`].
    pub async fn profiles(&self, sources: &Sources) -> Result<Vec<String>> {
        let bytes = self.asked(sources, config_arguments(sources, &["--profiles"])).await?;
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).filter(|line| !line.is_empty()).collect())
    }

    async fn asked(&self, sources: &Sources, arguments: Vec<String>) -> Result<Vec<u8>> {
        let asked = self.process.run(self.reading(sources, arguments)?, &|_| ()).await;
        asked.map_err(words::without_values).context("the compose files are not valid")
    }
}
