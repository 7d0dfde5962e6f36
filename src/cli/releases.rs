//! `releases`: what is kept, what serves, and whether each is still whole.

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::data::go::go;
use super::global::Global;
use super::setup::Setup;
use super::{exit, out, setup};
use crate::adapter::clock;
use crate::adapter::docker::Docker;
use crate::release::{Release, keep, whole};
use crate::report::releases::{Kept, releases_json, releases_text};
use crate::run::prune;

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
    /// Let sides go that ran on as a way back, once deploy.keep_warm is over, and releases beyond deploy.keep_releases;
    /// never what a rollback needs
    Prune {
        /// Sides now, however long they have been kept warm
        #[arg(long)]
        warm: bool,
        /// Keep so many releases beside the current one, instead of deploy.keep_releases
        #[arg(long, value_name = "N")]
        keep: Option<u32>,
        /// Show the plan and stop
        #[arg(long)]
        dry_run: bool,
    },
}

async fn prune(global: &Global, is_now: bool, keep: Option<u32>, is_dry: bool) -> Result<u8> {
    let config = setup::config(global)?;
    let setup = Setup::new(global, config.state.directory.clone(), Some(&config))?;
    let since = setup.store.current_since()?;
    let age = since.map(|since| Duration::from_secs(clock::unix_seconds().saturating_sub(since)));
    let sides = match age.filter(|age| !is_now && *age < config.deploy.keep_warm) {
        Some(age) => Err(format!(
            "the last switch was {} ago, and deploy.keep_warm is {}; --warm lets sides go now",
            clock::spoken(age),
            clock::spoken(config.deploy.keep_warm)
        )),
        None => Ok(()),
    };
    let wish = prune::Wish { sides, keep: keep.unwrap_or(config.deploy.keep_releases) };
    let docker = setup.docker.clone().negotiate().await?;
    let plan = async || prune::plan(&config, &docker, &setup.store, &setup.state, &wish).await;
    go(global, &setup, "releases prune", is_dry, plan).await
}

/// The verb.
///
/// # Errors
/// When a record cannot be read.
pub async fn run(global: &Global, verb: &Releases) -> Result<u8> {
    if let Some(What::Prune { warm, keep, dry_run }) = &verb.what {
        return prune(global, *warm, *keep, *dry_run).await;
    }
    let (state, config) = setup::state_directory(global)?;
    let setup = Setup::new(global, state, config.as_ref())?;
    let current = setup.store.current()?;
    let docker = setup.docker.clone().negotiate().await;
    if let Err(error) = &docker {
        out::say(&format!("cutover: what the engine holds of them is not known: {error:#}"));
    }
    let mut releases = Vec::new();
    for number in setup.store.numbers()? {
        releases.extend(setup.store.read(number)?);
    }
    let sizes = match &docker {
        Ok(docker) => asked("how big the images are", whole::sizes(docker, &releases)).await,
        Err(_) => None,
    };
    let mut rows = Vec::new();
    for (index, release) in releases.into_iter().enumerate() {
        let (is_whole, is_warm) = match &docker {
            Ok(docker) => (
                are_images_kept(docker, &release).await,
                asked("what is warm", whole::is_warm(docker, &setup.store, &release)).await,
            ),
            Err(_) => (None, None),
        };
        let is_current = current == Some(release.number);
        let size = sizes.as_ref().and_then(|sizes| sizes.get(index).copied());
        rows.push(Kept { release, is_current, is_warm, is_whole, size });
    }
    let style = setup::style(global, &crate::config::Environment::of_process(), out::is_result_shown());
    if global.is_json() {
        out::json(releases_json(&rows));
    } else {
        out::result(&releases_text(&rows, &style));
    }
    Ok(exit::DONE)
}

/// Whether all images of a release are here.
async fn are_images_kept(docker: &Docker, release: &Release) -> Option<bool> {
    let what = format!("whether the images of {} are kept", release.name());
    asked(&what, keep::missing(docker, release)).await.map(|missing| missing.is_empty())
}

/// What the engine answers in time; nothing where that is not known, and then why is said.
async fn asked<T>(what: &str, question: impl Future<Output = Result<T>>) -> Option<T> {
    let why = match tokio::time::timeout(DEADLINE, question).await {
        Ok(Ok(answer)) => return Some(answer),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => format!("the engine did not answer within {} s", DEADLINE.as_secs()),
    };
    out::say(&format!("cutover: {what} is not known: {why}"));
    None
}
