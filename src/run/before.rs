//! The release before: the one that a rollback leads to, and whether it is whole. Reads only.

use std::path::Path;

use anyhow::Result;

use super::begin::plan_of;
use super::{Refusal, which};
use crate::adapter::docker::Docker;
use crate::config::Config;
use crate::release::whole::{self, Least};
use crate::release::{Release, Store};
use crate::report::way_back::WayBack;

/// What a configuration says that a release needs to be started.
pub fn least(config: Option<&Config>) -> Least {
    config.map_or_else(Least::default, |config| Least {
        memory: config.preflight.min_memory.bytes(),
        disk: config.preflight.min_disk.bytes(),
    })
}

/// The release that a rollback without arguments leads to.
///
/// # Errors
/// When a journal cannot be read.
pub fn number(state: &Path) -> Result<Option<u32>> {
    match which::last(state) {
        Ok((_, run, _)) => Ok(plan_of(&run)?.release_from),
        Err(error) if error.is::<Refusal>() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks whether a release is whole; what cannot be asked is told as not known.
pub async fn look(docker: &Docker, store: &Store, number: u32, least: Least) -> WayBack {
    let unknown = |why: String| WayBack { release: number, is_warm: false, troubles: Err(why) };
    match store.read(number) {
        Err(error) => unknown(format!("{error:#}")),
        Ok(None) => {
            WayBack { release: number, is_warm: false, troubles: Ok(vec![format!("the record of r{number} is gone")]) }
        }
        Ok(Some(release)) => of(docker, store, &release, least).await,
    }
}

/// The same for a release whose record is at hand.
pub async fn of(docker: &Docker, store: &Store, release: &Release, least: Least) -> WayBack {
    match whole::look(docker, store, release, least).await {
        Ok(seen) => WayBack { release: release.number, is_warm: seen.is_warm, troubles: Ok(seen.troubles) },
        Err(error) => WayBack { release: release.number, is_warm: false, troubles: Err(format!("{error:#}")) },
    }
}
