//! `releases`: what is kept, what serves, and whether each is still whole.

use std::time::Duration;

use anyhow::Result;

use super::arguments::Global;
use super::setup::Setup;
use super::{exit, out, setup};
use crate::release::keep;
use crate::report::releases::{releases_json, releases_text};

/// How long the engine may take; the list is shown without it too.
const DEADLINE: Duration = Duration::from_secs(2);

/// The verb.
///
/// # Errors
/// When a record cannot be read.
pub async fn run(global: &Global) -> Result<u8> {
    let (state, config) = setup::state_directory(global)?;
    let setup = Setup::new(global, state, config.as_ref())?;
    let current = setup.store.current()?;
    let docker = setup.docker.clone().negotiate().await.ok();
    let mut rows = Vec::new();
    for number in setup.store.numbers()? {
        let Some(release) = setup.store.read(number)? else { continue };
        let is_whole = match &docker {
            Some(docker) => {
                let missing = tokio::time::timeout(DEADLINE, keep::missing(docker, &release)).await;
                missing.ok().and_then(Result::ok).map(|missing| missing.is_empty())
            }
            None => None,
        };
        rows.push((release, current == Some(number), is_whole));
    }
    let style = setup::style(global, &crate::config::Environment::of_process(), out::is_result_shown());
    if global.is_json() {
        out::json(releases_json(&rows));
    } else {
        out::result(&releases_text(&rows, &style));
    }
    Ok(exit::DONE)
}
