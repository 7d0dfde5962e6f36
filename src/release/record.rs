//! The record of a release: plain data, written once, read at three in the morning by a program that may be older.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::adapter::switch::Pointing;

/// How the model of a release came to be known.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// cutover deployed it from this model.
    Deployed,
    /// It ran before cutover came; today's files describe it exactly.
    Adopted,
    /// It ran before cutover came and today's files describe something else; read back from the containers.
    Reconstructed,
}

/// A service of a release.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ServiceRecord {
    /// Image reference in the model as it was deployed.
    pub image: String,
    /// Identifier of the image that ran: the digest of its configuration.
    pub image_id: String,
    /// Digest in a registry, where the image came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_digest: Option<String>,
    /// Our tag that keeps the image.
    pub pinned: String,
    /// Digest of the configuration as it was deployed.
    pub hash: String,
    /// Digest of the configuration in the pinned model.
    pub pinned_hash: String,
    /// How many containers.
    pub replicas: usize,
}

/// A file that the release was given, and where its copy stands.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct FrozenFile {
    /// Service that reads it.
    pub service: String,
    /// Path as the project has it.
    pub path: String,
    /// Keyed fingerprint of its content: equal contents have equal fingerprints, nothing else can be learnt from it.
    pub fingerprint: String,
    /// Path of the copy, relative to the release's directory.
    pub copy: String,
}

/// The services of a release that run beside its project.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ReleaseSide {
    /// Compose project, such as `shop-r12`.
    pub project: String,
    /// Services, as the release's model names them.
    pub services: BTreeSet<String>,
    /// Where the routes lead when it serves.
    pub pointing: Pointing,
}

/// A release.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Release {
    /// Version of this record.
    pub format: u32,
    /// Number; `r12` to people.
    pub number: u32,
    /// Project's name.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// How its model is known.
    pub origin: Origin,
    /// Wall time when it was recorded.
    pub recorded_at: String,
    /// The run that recorded it.
    pub run: u32,
    /// Its services.
    pub services: BTreeMap<String, ServiceRecord>,
    /// Its configuration files.
    pub files: Vec<FrozenFile>,
    /// Its services that run as a project of their own, where it was switched to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<ReleaseSide>,
}

impl Release {
    /// `r12`.
    pub fn name(&self) -> String {
        format!("r{}", self.number)
    }
}
