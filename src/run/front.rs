//! The front: the public route of a run, and the switch behind it. Kept beside the journal, so that a way back needs no
//! configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deploy::Planned;
use crate::adapter::files;
use crate::config::{Config, Strategy};

/// Name of the file.
pub const FILE: &str = "front.json";

/// The front.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Front {
    /// The public route that is asked throughout.
    pub url: String,
    /// Where Caddy itself tells who serves.
    pub identity: String,
    /// The directory whose files Caddy reads, where runs switch.
    pub directory: Option<PathBuf>,
    /// Route and the service that it leads to.
    pub routes: BTreeMap<String, String>,
    /// Project and service that is Caddy.
    pub proxy: Option<(String, String)>,
    /// The longest wait for those who still call an old side, seconds.
    pub drain_s: u64,
}

impl Front {
    /// The front of a configuration, where it has one.
    pub fn of(config: &Config) -> Option<Self> {
        let caddy = config.caddy.as_ref()?;
        let identity = caddy.url.join(&caddy.identity_path).ok()?;
        let mut routes = caddy.routes.clone();
        if routes.is_empty() {
            routes.extend(config.deploy.services.first().map(|service| ("app".to_owned(), service.clone())));
        }
        let is_switched = config.deploy.strategy == Strategy::BlueGreen;
        Some(Self {
            url: caddy.url.to_string(),
            identity: identity.to_string(),
            directory: caddy.directory.clone().filter(|_| is_switched),
            routes,
            proxy: caddy.service.clone().map(|service| (config.compose_project().to_owned(), service)),
            drain_s: config.deploy.drain_timeout.as_secs(),
        })
    }

    /// As the file that a run keeps.
    pub fn to_file(&self) -> (String, Value) {
        (FILE.to_owned(), serde_json::to_value(self).unwrap_or_default())
    }

    /// The front of a run, where it has one: from the directory beside its journal.
    pub fn beside(side: &std::path::Path) -> Option<Self> {
        files::read_json(&side.join(FILE)).ok()
    }
}

/// The file of a configuration's front.
pub(super) fn file(config: &Config) -> Option<(String, Value)> {
    Front::of(config).map(|front| front.to_file())
}

/// Keeps the front with a plan whose run is to be asked throughout.
pub fn keep(planned: &mut Planned, front: Option<Front>) {
    if let Some(front) = front {
        planned.files.push(front.to_file());
        name_files(planned);
    }
}

/// Names a plan's files, with their digests, in the plan itself.
pub(super) fn name_files(planned: &mut Planned) {
    let named = planned.files.iter().map(|(name, value)| (name.clone(), files::sha256(value.to_string().as_bytes())));
    planned.plan.files = named.collect();
}
