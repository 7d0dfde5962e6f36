//! Where a container is: its process on this host, its addresses; and which networks a project made.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use anyhow::Result;
use bollard::query_parameters as ask;

use super::{Docker, label};

/// Where a running container is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its main process, as this host counts.
    pub pid: u32,
    /// Its addresses, one for each network.
    pub addresses: BTreeSet<IpAddr>,
}

impl Docker {
    /// Where a container is; nothing when it does not run.
    ///
    /// # Errors
    /// [`super::EngineAway`], or the engine's own words.
    pub async fn whereabouts(&self, name: &str) -> Result<Option<Whereabouts>> {
        let Some(answer) = self.inspect(name).await? else { return Ok(None) };
        let pid = answer.state.and_then(|state| state.pid).and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        let networks = answer.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let given = networks.into_values().flat_map(|one| [one.ip_address, one.global_ipv6_address]);
        let addresses = given.flatten().filter_map(|text| text.parse().ok()).collect();
        Ok((pid != 0).then_some(Whereabouts { pid, addresses }))
    }

    /// Networks that a compose project made.
    ///
    /// # Errors
    /// [`super::EngineAway`], or the engine's own words.
    pub async fn networks(&self, project: &str) -> Result<Vec<String>> {
        let filters = HashMap::from([("label", vec![format!("{}={project}", label::PROJECT)])]);
        let options = ask::ListNetworksOptionsBuilder::new().filters(&filters).build();
        let found = self.patiently(|| self.engine.list_networks(Some(options.clone()))).await?;
        Ok(found.into_iter().filter_map(|network| network.name).collect())
    }

    /// Containers of every side that runs beside a project, by their marks.
    ///
    /// # Errors
    /// [`super::EngineAway`], or the engine's own words.
    pub async fn sides(&self, base: &str) -> Result<Vec<super::Container>> {
        self.labelled(&[format!("{}={base}", label::SIDE_OF)]).await
    }
}

impl super::Container {
    /// The service of the project's own model: a side's containers have one of their release beside it.
    pub fn plain_service(&self) -> &str {
        self.labels.get(label::OF_SERVICE).map_or(&self.service, String::as_str)
    }

    /// The release of the side that it is part of.
    pub fn side_release(&self) -> Option<u32> {
        self.labels.get(label::RELEASE)?.parse().ok()
    }
}
