//! What backup and export share: one dump, read back in full, with a manifest that is written last.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{RunTag, Say, World};
use crate::adapter::docker::Docker;
use crate::adapter::files::{self, spoken_size};
use crate::adapter::postgres::{Database, Dump, Postgres};
use crate::data::plural::counted;

/// Name of the running container of the database's service; a name, because it stands in what people read.
///
/// # Errors
/// When there is none.
pub async fn server(docker: &Docker, project: &str, database: &Database) -> Result<String> {
    let containers = docker.containers(project).await?;
    let running = containers
        .into_iter()
        .find(|container| container.service == database.service && container.state.status == "running");
    match running {
        Some(container) => Ok(container.name),
        None => bail!(
            "the database service {} has no running container, so it cannot be dumped; \
             start it (docker compose up -d {0}) or switch the backup off ([backup] enabled = false)",
            database.service
        ),
    }
}

/// Dumps into `path` and writes `path.json` beside it, last: what has it is whole.
///
/// # Errors
/// When the dump fails or cannot be read back.
pub async fn take(
    postgres: &Postgres,
    container: &str,
    database: &Database,
    path: &Path,
    run: &RunTag,
    deadline_s: u64,
    say: Say<'_>,
) -> Result<Dump> {
    let directory = path.parent().unwrap_or_else(|| Path::new("/"));
    files::make_private_directory(directory)?;
    files::sweep(directory)?;
    let tag = run.session();
    postgres.end_our_sessions(container, database, &tag).await.context("cannot clear sessions of an earlier run")?;
    let deadline = Duration::from_secs(deadline_s);
    let dump = postgres.dump(container, database, &tag, path, deadline, say).await?;
    files::write_json(&manifest_of(path), &dump, 0o600)?;
    Ok(dump)
}

/// Whether a dump with its manifest is there.
///
/// # Errors
/// When the manifest cannot be read.
pub fn finished(directory: &Path, file: &str) -> Result<World> {
    let path = directory.join(file);
    let manifest = manifest_of(&path);
    if !manifest.exists() {
        let is_half_there = path.exists() || unfinished(&path).exists();
        return Ok(if is_half_there {
            World::Between(format!("{file} is not finished"))
        } else {
            World::Before(format!("{file} is not there"))
        });
    }
    let dump: Dump = files::read_json(&manifest)?;
    let length = std::fs::metadata(&path).map_or(0, |meta| meta.len());
    Ok(if length == dump.bytes {
        let Dump { tables, rows, bytes, sha256, .. } = dump;
        World::After(format!(
            "{} ({}, {}, {} read back, sha256 {}…)",
            path.display(),
            spoken_size(bytes),
            counted(tables, "table"),
            counted(rows, "row"),
            &sha256[..12]
        ))
    } else {
        World::Between(format!("{file} has {}, its manifest says {}", counted(length, "byte"), dump.bytes))
    })
}

/// Takes away a dump that was not finished, and ends the one who may still be writing it inside the container.
///
/// # Errors
/// When a file cannot be removed, or the server is there and does not end its sessions.
pub async fn abandon(
    docker: &Docker,
    postgres: &Postgres,
    project: &str,
    database: &Database,
    path: &Path,
    run: &RunTag,
) -> Result<()> {
    if let Ok(container) = server(docker, project, database).await {
        postgres
            .end_our_sessions(&container, database, &run.session())
            .await
            .context("cannot end the session that was dumping")?;
    }
    files::remove_if_there(&unfinished(path))?;
    files::remove_if_there(path)?;
    path.parent().map_or(Ok(()), files::sweep)
}

/// Where a dump is written until it was read back.
fn unfinished(dump: &Path) -> PathBuf {
    dump.with_extension("dump.unfinished")
}

/// The file that says what a dump holds; written last.
pub fn manifest_of(dump: &Path) -> PathBuf {
    dump.with_extension("dump.json")
}
