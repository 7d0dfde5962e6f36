//! `releases`: what is kept, what serves, and whether each is still whole.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::arguments::Global;
use super::data::go::go;
use super::setup::Setup;
use super::{exit, out, setup};
use crate::adapter::clock;
use crate::adapter::docker::Docker;
use crate::release::{Release, keep};
use crate::report::releases::{releases_json, releases_text};
use crate::run::{Refusal, prune};

/// How long the engine may take; the list is shown without it too.
const DEADLINE: Duration = Duration::from_secs(2);

/// `releases`.
#[derive(Args, Debug)]
pub struct Releases {
    /// What to do with them; without it they are shown
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Let sides go that ran on as a way back, once deploy.keep_warm is over; their releases stay kept
    Prune {
        /// Now, however long they have been kept warm
        #[arg(long)]
        warm: bool,
        /// Show the plan and stop
        #[arg(long)]
        dry_run: bool,
    },
}

async fn prune(global: &Global, is_now: bool, is_dry: bool) -> Result<u8> {
    let config = setup::config(global)?;
    let setup = Setup::new(global, config.state.directory.clone(), Some(&config))?;
    let since = setup.store.current_since()?;
    let age = since.map(|since| Duration::from_secs(clock::unix_seconds().saturating_sub(since)));
    if let Some(age) = age.filter(|age| !is_now && *age < config.deploy.keep_warm) {
        return Err(Refusal::Gate(format!(
            "nothing to let go yet: the last switch was {} ago, and deploy.keep_warm is {}; --warm lets go now",
            clock::spoken(age),
            clock::spoken(config.deploy.keep_warm)
        ))
        .into());
    }
    let docker = setup.docker.clone().negotiate().await?;
    go(global, &setup, "releases prune", is_dry, async || prune::warm_sides(&config, &docker).await).await
}

/// The verb.
///
/// # Errors
/// When a record cannot be read.
pub async fn run(global: &Global, verb: &Releases) -> Result<u8> {
    if let Some(What::Prune { warm, dry_run }) = &verb.what {
        return prune(global, *warm, *dry_run).await;
    }
    let (state, config) = setup::state_directory(global)?;
    let setup = Setup::new(global, state, config.as_ref())?;
    let current = setup.store.current()?;
    let docker = setup.docker.clone().negotiate().await;
    if let Err(error) = &docker {
        out::say(&format!("cutover: whether the images are kept is not known: {error:#}"));
    }
    let mut rows = Vec::new();
    for number in setup.store.numbers()? {
        let Some(release) = setup.store.read(number)? else { continue };
        let is_whole = match &docker {
            Ok(docker) => are_images_kept(docker, &release).await,
            Err(_) => None,
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

/// Whether all images of a release are here; nothing where that is not known, and then why is said.
async fn are_images_kept(docker: &Docker, release: &Release) -> Option<bool> {
    let why = match tokio::time::timeout(DEADLINE, keep::missing(docker, release)).await {
        Ok(Ok(missing)) => return Some(missing.is_empty()),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("the engine did not answer within {} s", DEADLINE.as_secs()),
    };
    out::say(&format!("cutover: whether the images of {} are kept is not known: {why}", release.name()));
    None
}
