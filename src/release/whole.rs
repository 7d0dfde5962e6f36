//! Whether a kept release could be brought back now: images, model, files, room. Reads only; what is not known is not a yes.

use anyhow::Result;

use super::record::Release;
use super::store::Store;
use super::{keep, model};
use crate::adapter::docker::{Container, Docker};
use crate::adapter::files::spoken_size;
use crate::adapter::room;

/// What a release that has to be started needs of the host, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Least {
    /// Available memory.
    pub memory: u64,
    /// Room where the engine keeps containers.
    pub disk: u64,
}

/// How a release stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wholeness {
    /// Whether it runs still, so that nothing has to be started.
    pub is_warm: bool,
    /// What stands in the way of bringing it back.
    pub troubles: Vec<String>,
}

/// Looks at a release.
///
/// # Errors
/// When the engine or the store cannot be asked.
pub async fn look(docker: &Docker, store: &Store, release: &Release, least: Least) -> Result<Wholeness> {
    let (is_warm, missing) = tokio::join!(is_warm(docker, store, release), keep::missing(docker, release));
    let (is_warm, missing) = (is_warm?, missing?);
    let mut troubles: Vec<String> = missing.into_iter().map(|image| format!("the image of {image} is gone")).collect();
    troubles.extend(on_disk(store, release));
    if !is_warm {
        troubles.extend(narrow(docker, least).await?);
    }
    Ok(Wholeness { is_warm, troubles })
}

/// Whether the release runs beside the one that serves: as its side, or in place where a side serves.
///
/// # Errors
/// When the engine or the store cannot be asked.
pub async fn is_warm(docker: &Docker, store: &Store, release: &Release) -> Result<bool> {
    let current = store.current()?.filter(|current| *current != release.number);
    let Some(current) = current.map(|number| store.read(number)).transpose()?.flatten() else { return Ok(false) };
    let runs = |one: &Container| one.state.status == "running";
    if let Some(side) = &release.side {
        let sides = docker.sides(&release.project).await?;
        let own: Vec<_> = sides.iter().filter(|one| one.side_release() == Some(release.number) && runs(one)).collect();
        return Ok(side.services.iter().all(|service| own.iter().any(|one| one.plain_service() == service)));
    }
    let Some(serving) = current.side else { return Ok(false) };
    let own = docker.containers(&release.project).await?;
    let is_there = |service: &String| {
        let image = release.services.get(service).map(|record| &record.image_id);
        image.is_none() || own.iter().any(|one| &one.service == service && runs(one) && Some(&one.image_id) == image)
    };
    let shared = serving.services.iter().any(|service| release.services.contains_key(service));
    Ok(shared && serving.services.iter().all(is_there))
}

/// The model and the copies of files that the release is started from.
fn on_disk(store: &Store, release: &Release) -> Vec<String> {
    let mut troubles = Vec::new();
    match store.model(release.number) {
        Err(error) => troubles.push(format!("its model cannot be read: {error:#}")),
        Ok(kept) => {
            let gone = release.services.keys().filter(|name| model::service(&kept, name).is_none());
            troubles.extend(gone.map(|name| format!("its model does not have {name}")));
        }
    }
    let place = store.place(release.number);
    let gone = release.files.iter().filter(|file| !place.join(&file.copy).exists());
    troubles.extend(gone.map(|file| format!("the copy of {} is gone", file.path)));
    troubles
}

/// What the host lacks for starting it.
async fn narrow(docker: &Docker, least: Least) -> Result<Option<String>> {
    let memory = room::memory()?;
    if memory < least.memory {
        return Ok(Some(format!(
            "{} of memory are available, less than preflight.min_memory ({})",
            spoken_size(memory),
            spoken_size(least.memory)
        )));
    }
    let root = docker.facts().await?.root;
    let disk = room::disk(&root)?;
    Ok((disk < least.disk).then(|| {
        let (free, least) = (spoken_size(disk), spoken_size(least.disk));
        format!("{free} are free in {}, less than preflight.min_disk ({least})", root.display())
    }))
}

/// Bytes of the images of releases, each image once; of each release all of them, and those that no other release uses.
///
/// # Errors
/// When the engine cannot be asked.
pub async fn sizes(docker: &Docker, releases: &[Release]) -> Result<Vec<(u64, u64)>> {
    let mut known = std::collections::BTreeMap::new();
    let ids = releases.iter().flat_map(|release| release.services.values().map(|record| &record.image_id));
    for id in ids {
        if !known.contains_key(id) {
            let size = docker.image(id).await?.and_then(|image| image.size).unwrap_or_default();
            known.insert(id.clone(), u64::try_from(size).unwrap_or_default());
        }
    }
    let has = |release: &Release, id: &String| release.services.values().any(|record| &record.image_id == id);
    let of = |release: &Release| {
        let own = known.iter().filter(|(id, _)| has(release, id));
        let is_alone = |id: &String| !releases.iter().any(|other| other.number != release.number && has(other, id));
        own.fold((0, 0), |(all, alone), (id, size)| (all + size, alone + if is_alone(id) { *size } else { 0 }))
    };
    Ok(releases.iter().map(of).collect())
}
