//! One list of every container of the host, whoever's it is: names, states and published ports. Reads only.

use std::net::IpAddr;

use anyhow::Result;
use bollard::models::{ContainerSummary, PortSummary, PortSummaryTypeEnum};
use bollard::query_parameters as ask;

use super::{Docker, label};

/// A container as a list shows it: less than an inspection tells, for all of them in one question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Full identifier.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Compose project; empty when it is of none.
    pub project: String,
    /// Compose service; empty when it is of none.
    pub service: String,
    /// Whether `compose run` made it.
    pub is_one_off: bool,
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub state: String,
    /// Ports of the host that lead into it now.
    pub ports: Vec<Published>,
}

/// A port of the host that leads into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Address of the host; unspecified (`0.0.0.0`, `::`) means all.
    pub address: IpAddr,
    /// Port of the host.
    pub port: u16,
    /// Whether it is UDP; else TCP (SCTP is left out).
    pub is_udp: bool,
}

impl Docker {
    /// Every container of the host, ordered by name.
    ///
    /// # Errors
    /// [`super::EngineAway`], or the engine's own words.
    pub async fn everyone(&self) -> Result<Vec<Listed>> {
        let options = ask::ListContainersOptionsBuilder::new().all(true).build();
        let found = self.patiently(|| self.engine.list_containers(Some(options.clone()))).await?;
        let mut all: Vec<Listed> = found.into_iter().map(from_summary).collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(all)
    }
}

fn from_summary(summary: ContainerSummary) -> Listed {
    let labels = summary.labels.unwrap_or_default();
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let name = summary.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    Listed {
        id: summary.id.unwrap_or_default(),
        name: name.trim_start_matches('/').to_owned(),
        project: label(label::PROJECT),
        service: label(label::SERVICE),
        is_one_off: label(label::ONE_OFF) == "True",
        state: summary.state.map(|state| state.to_string()).unwrap_or_default(),
        ports: summary.ports.unwrap_or_default().into_iter().filter_map(from_port).collect(),
    }
}

fn from_port(port: PortSummary) -> Option<Published> {
    let is_udp = match port.typ {
        Some(PortSummaryTypeEnum::SCTP) => return None,
        kind => kind == Some(PortSummaryTypeEnum::UDP),
    };
    Some(Published { address: port.ip?.parse().ok()?, port: port.public_port?, is_udp })
}
