//! Keeping a release: its images get a tag and a holder of ours, its files are copied, its record is written last.
//!
//! A tag survives `docker image prune`, a holder survives `docker image prune --all`; only removing every container
//! first (`docker system prune --all`) takes both, and then a rollback says so instead of trying.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use futures_util::future;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::freeze::{self, Fingerprints};
use super::record::{Origin, Release, ReleaseSide, ServiceRecord};
use super::store::Store;
use crate::adapter::compose::Compose;
use crate::adapter::docker::Docker;

/// Version of the record that is written.
const FORMAT: u32 = 1;

/// What is known of a service that is to be kept.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct KeptService {
    /// Image reference in the model.
    pub image: String,
    /// Identifier of the image.
    pub image_id: String,
    /// Digest of the configuration.
    pub hash: String,
    /// How many containers.
    pub replicas: usize,
}

/// A release that is to be kept.
#[derive(Clone, Debug)]
pub struct Keep<'a> {
    /// Its number.
    pub number: u32,
    /// Project.
    pub project: &'a str,
    /// Environment.
    pub environment: &'a str,
    /// Directory that the project's relative paths start from.
    pub directory: PathBuf,
    /// How its model is known.
    pub origin: Origin,
    /// The run that keeps it.
    pub run: u32,
    /// Wall time.
    pub recorded_at: String,
    /// The rendered model.
    pub model: &'a Value,
    /// Its services.
    pub services: &'a BTreeMap<String, KeptService>,
    /// Its services that run as a project of their own.
    pub side: Option<ReleaseSide>,
}

/// Name of the container that holds an image for a release.
pub fn holder_name(project: &str, service: &str, number: u32) -> String {
    format!("{project}-{service}-held-by-cutover-r{number}")
}

/// Pins the images, freezes the files, and writes the record.
///
/// # Errors
/// When an image is gone, a file cannot be copied, or the record cannot be written.
pub async fn keep(
    docker: &Docker,
    compose: &Compose,
    store: &Store,
    fingerprints: &Fingerprints,
    keep: &Keep<'_>,
) -> Result<Release> {
    let aside = store.begin(keep.number)?;
    let place = store.place(keep.number);
    let pinned = freeze::pin(keep.model, &keep.directory, keep.number, keep.project, &place);
    let files = pinned.copy(&aside, fingerprints)?;
    let pins = keep.services.iter().map(|(service, kept)| async move {
        let record = pin(docker, keep, service, kept).await?;
        Ok::<_, anyhow::Error>((service.clone(), record))
    });
    // Compose takes as long to tell the digests as the engine takes for tags and holders.
    let hashes = hashes(compose, keep, &pinned.model);
    let (records, hashes) = tokio::join!(future::join_all(pins), hashes);
    let mut records = records.into_iter().collect::<Result<BTreeMap<_, _>>>()?;
    let hashes = hashes?;
    for (service, record) in &mut records {
        record.pinned_hash =
            hashes.get(service).cloned().with_context(|| format!("compose told no digest of {service}"))?;
    }
    let release = Release {
        format: FORMAT,
        number: keep.number,
        project: keep.project.to_owned(),
        environment: keep.environment.to_owned(),
        origin: keep.origin,
        recorded_at: keep.recorded_at.clone(),
        run: keep.run,
        services: records,
        files,
        side: keep.side.clone(),
    };
    store.finish(&aside, &release, keep.model, &pinned.model)?;
    Ok(release)
}

/// Digests of the services in the pinned model; what runs beside a side is brought up from the model without it.
async fn hashes(compose: &Compose, keep: &Keep<'_>, pinned: &Value) -> Result<BTreeMap<String, String>> {
    let mut hashes = compose.hashes(keep.project, &keep.directory, pinned).await?;
    if let Some(beside) = &keep.side {
        let rest = super::side::without(pinned, &beside.services);
        hashes.extend(compose.hashes(keep.project, &keep.directory, &rest).await?);
    }
    Ok(hashes)
}

async fn pin(docker: &Docker, keep: &Keep<'_>, service: &str, kept: &KeptService) -> Result<ServiceRecord> {
    let Some(image) = docker.image(&kept.image_id).await? else {
        bail!(
            "the image {} of the service {service} is not on this host any more, so it cannot be kept",
            kept.image_id
        );
    };
    let pinned = freeze::pinned_reference(keep.project, service, keep.number);
    let (repository, tag) = pinned.rsplit_once(':').unwrap_or((&pinned, "kept"));
    docker.tag(&kept.image_id, repository, tag).await?;
    let holder = holder_name(keep.project, service, keep.number);
    docker.hold(&holder, &pinned, &format!("{}/r{}", keep.project, keep.number)).await?;
    let repo_digest = image.repo_digests.unwrap_or_default().into_iter().next();
    Ok(ServiceRecord {
        image: kept.image.clone(),
        image_id: kept.image_id.clone(),
        repo_digest,
        pinned,
        hash: kept.hash.clone(),
        pinned_hash: String::new(),
        replicas: kept.replicas,
    })
}

/// What of a release's images is missing on this host: `service: image`; empty when it is whole.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn missing(docker: &Docker, release: &Release) -> Result<Vec<String>> {
    let asked = release.services.values().map(|record| docker.image_id(&record.pinned));
    let mut missing = Vec::new();
    for ((service, record), found) in release.services.iter().zip(future::join_all(asked).await) {
        if found?.as_deref() != Some(record.image_id.as_str()) {
            missing.push(format!("{service}: {} ({})", record.pinned, short(&record.image_id)));
        }
    }
    Ok(missing)
}

/// Tags and holders of a release that are there: without a record, a killed run left them.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn pieces<'a>(
    docker: &Docker,
    project: &str,
    services: impl Iterator<Item = &'a String>,
    number: u32,
) -> Result<Vec<String>> {
    let mut pieces = Vec::new();
    for service in services {
        let (pinned, holder) = names(project, service, number);
        if docker.image_id(&pinned).await?.is_some() || docker.container(&holder).await?.is_some() {
            pieces.push(service.clone());
        }
    }
    Ok(pieces)
}

/// Removes the tags and holders of a release that has no record.
///
/// # Errors
/// When the engine refuses.
pub async fn drop_pieces<'a>(
    docker: &Docker,
    project: &str,
    services: impl Iterator<Item = &'a String>,
    number: u32,
) -> Result<()> {
    for service in services {
        let (pinned, holder) = names(project, service, number);
        docker.remove(&holder).await?;
        docker.untag(&pinned).await?;
    }
    Ok(())
}

fn names(project: &str, service: &str, number: u32) -> (String, String) {
    (freeze::pinned_reference(project, service, number), holder_name(project, service, number))
}

/// Lets a release go: holders, tags, record.
///
/// # Errors
/// When a holder or tag cannot be removed; the record then stays.
pub async fn let_go(docker: &Docker, store: &Store, release: &Release) -> Result<()> {
    let gone = release.services.iter().map(|(service, record)| async move {
        docker.remove(&holder_name(&release.project, service, release.number)).await?;
        docker.untag(&record.pinned).await
    });
    future::join_all(gone).await.into_iter().collect::<Result<Vec<()>>>()?;
    store.remove(release.number)
}

/// The first twelve digits of an identifier, as the engine prints them.
pub fn short(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..12).unwrap_or(digits)
}
