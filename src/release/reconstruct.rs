//! Reconstruct: a compose model read back from containers, for a release that ran before cutover came.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use bollard::models::{ContainerInspectResponse, ImageInspect};
use serde_json::Value;

/// What was read back.
pub struct Reconstruction {
    /// The model.
    pub model: Value,
    /// What could not be read back exactly.
    pub remarks: Vec<String>,
}

/// The model of a project as its containers have it.
///
/// # Errors
/// When a container has something that a compose model cannot say.
pub fn model(
    _project: &str,
    _containers: &[ContainerInspectResponse],
    _images: &BTreeMap<String, ImageInspect>,
) -> Result<Reconstruction> {
    bail!("what runs differs from today's files")
}
