//! `status`: the verdict first. It reads the state directory, and takes one short look at the engine on this host.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};

use super::global::Global;
use super::runbook::record;
use super::setup::Setup;
use super::{exit, out, setup};
use crate::adapter::clock;
use crate::adapter::docker::{Container, has_ended_its_work};
use crate::journal::{Outcome, RunState, lock, runs};
use crate::release::side;
use crate::report::paced;
use crate::report::status::{Current, HeldFact, ServiceFact, StatusFacts, status_json, status_text};
use crate::report::untold::Untold;
use crate::report::watched::Watched;
use crate::report::way_back::WayBack;
use crate::run::data::standing::standing;
use crate::run::front::Front;
use crate::run::{approvals, before, public, which};
use crate::watch::{keep, words};

/// How long the engine may take to answer; the verdict is given without it too, and says so.
const DEADLINE: Duration = Duration::from_millis(500);

/// A week, milliseconds.
const WEEK_MS: u64 = 7 * 24 * 3600 * 1000;

/// The verb.
///
/// # Errors
/// When the state directory cannot be read.
pub async fn run(global: &Global) -> Result<u8> {
    let (state, config) = setup::state_directory(global)?;
    let setup = Setup::without_engine(global, state, config.as_ref())?;
    let mut facts = gather(&setup).await?;
    if let (true, Some(config)) = (facts.project.is_empty(), &config) {
        facts.project = config.compose_project().to_owned();
        facts.environment.clone_from(&config.project.environment);
    }
    let style = setup::style(global, &crate::config::Environment::of_process(), out::is_result_shown());
    if global.is_json() {
        out::json(status_json(&facts));
    } else {
        out::result(&status_text(&facts, &style));
    }
    Ok(exit::DONE)
}

/// Everything that the verdict rests on.
///
/// # Errors
/// When the state directory cannot be read.
pub async fn gather(setup: &Setup) -> Result<StatusFacts> {
    let last_run = runs::last(&setup.state.join("runs")).context("cannot read the runs")?;
    let header = last_run.as_ref().and_then(|run| run.header.as_ref());
    let project = header.map(|header| header.project.clone()).unwrap_or_default();
    let environment = header.map(|header| header.environment.clone()).unwrap_or_default();
    let held = lock::held(&setup.state).context("cannot look at the lock")?;
    let open = last_run.as_ref().filter(|run| run.is_open());
    let pace = open.map(|run| record::pace(&setup.state, run)).transpose()?.flatten();
    let progress = open.zip(pace).and_then(|(run, pace)| {
        let is_at_work = held.as_ref().is_some_and(|held| held.is_owner_alive);
        let since = |moment: &str| {
            let begun = clock::seconds_of(moment).unwrap_or_else(clock::unix_seconds);
            clock::unix_seconds().saturating_sub(begun) * 1000
        };
        paced::progress(run, &pace, &since, is_at_work)
    });
    let current = current(setup)?;
    // Before the first release nobody can be missed.
    let front = front(setup, last_run.as_ref()).filter(|_| current.is_some() || open.is_some());
    let led = front.as_ref().and_then(public::leads).and_then(Result::ok).and_then(|leads| leads.id);
    let led = led.and_then(|id| side::release_of(&project, &id));
    let asked = async { public::look(front.as_ref()?, &setup.state, &setup.http).await };
    let (engine, back, route) = tokio::join!(engine(setup, &project, led), way_back(setup), asked);
    let (engine, beside) = engine.map_or_else(|why| (Err(why), Vec::new()), |(own, beside)| (Ok(own), beside));
    let expired = open.and_then(|run| approvals::expired(run, clock::unix_seconds()));
    Ok(StatusFacts {
        expired,
        moves: standing(&setup.state)?,
        engine,
        beside,
        route,
        back: back?,
        current,
        kept: setup.store.numbers()?,
        is_undoable: which::last(&setup.state).is_ok(),
        held: held.map(|held| HeldFact { words: held.words(), is_owner_alive: held.is_owner_alive }),
        project,
        environment,
        last_run,
        watched: watched(setup),
        untold: untold(setup),
        progress,
    })
}

/// The public route: as configured, else as the last run kept it.
fn front(setup: &Setup, last_run: Option<&RunState>) -> Option<Front> {
    let kept = |run: &RunState| Front::beside(&runs::side_directory(&setup.state.join("runs"), run.number));
    setup.front.clone().or_else(|| last_run.and_then(kept))
}

/// The release that a rollback leads to, and whether it is whole, as far as the engine tells in time.
async fn way_back(setup: &Setup) -> Result<Option<WayBack>> {
    let Some(number) = before::number(&setup.state)? else { return Ok(None) };
    let looked = tokio::time::timeout(DEADLINE, before::look(&setup.docker, &setup.store, number, setup.least)).await;
    let late = || format!("the engine did not answer within {} ms", DEADLINE.as_millis());
    Ok(Some(looked.unwrap_or_else(|_| WayBack { release: number, is_warm: false, troubles: Err(late()) })))
}

/// Channels that failed when they were told something last. One that is not configured any more is nobody's trouble.
fn untold(setup: &Setup) -> Vec<Untold> {
    let known = setup.notifier.as_ref().map(|notifier| notifier.channels().iter().map(|one| one.name.as_str()));
    let known: Vec<&str> = known.into_iter().flatten().collect();
    let failed = crate::notify::last_of_all(&setup.state).into_iter().filter(|kept| !kept.has_arrived);
    let failed = failed.filter(|kept| known.contains(&kept.channel.as_str()));
    failed
        .map(|kept| Untold { channel: kept.channel, failures: kept.failures, since: kept.since, why: kept.said })
        .collect()
}

/// The window, as the watcher has left it. One that nobody has gone on with for a week is no news.
fn watched(setup: &Setup) -> Option<Result<Watched, String>> {
    let window = match keep::look(&setup.state) {
        Ok(window) => window?,
        Err(error) => return Some(Err(format!("{error:#}"))),
    };
    let now = crate::watch::gather::now();
    let left = window.going_back.as_ref().and_then(|until| until.left_s(&now));
    let ago_ms = u64::try_from(now.wall_ms - window.now.wall_ms).unwrap_or(0);
    if ago_ms > WEEK_MS {
        return None;
    }
    Some(Ok(Watched {
        verdict: window.ladder.level.word().to_owned(),
        since: words::moment(window.ladder.since_ms),
        why: window.ladder.why.clone(),
        is_accepted: window.is_accepted,
        judged_ago_s: ago_ms / 1000,
        going_back: left.map(|left| (left, keep::hold_file(&setup.state).display().to_string())),
    }))
}

fn current(setup: &Setup) -> Result<Option<Current>> {
    let Some(number) = setup.store.current()? else { return Ok(None) };
    let Some(release) = setup.store.read(number)? else { return Ok(None) };
    // A release that was brought back serves since then, and not since it was recorded.
    for file in runs::list(&setup.state.join("runs")).context("cannot list the runs")?.iter().rev() {
        let run = file.state()?;
        let is_done = matches!(run.outcome, Some((Outcome::Done, _)));
        if is_done && run.plan["release_to"] == number {
            let since = run.times.map_or(release.recorded_at, |(_, last)| last);
            return Ok(Some(Current { number, since, run: file.number }));
        }
    }
    Ok(Some(Current { number, since: release.recorded_at, run: release.run }))
}

/// What is there of the release that serves and of the one that the switch leads to; and what else runs beside them.
async fn engine(
    setup: &Setup,
    project: &str,
    led: Option<u32>,
) -> Result<(Vec<ServiceFact>, Vec<ServiceFact>), String> {
    if project.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let current = setup.store.current().ok().flatten();
    let asked = async {
        let (own, sides) = tokio::join!(setup.docker.containers(project), setup.docker.sides(project));
        let (mut all, sides) = (own?, sides?);
        // Of the sides, the one that serves decides; what is kept warm beside it is no reason to call anything ill.
        let is_serving = |one: &Container| one.side_release() == current || led.is_some() && one.side_release() == led;
        let (serving, beside): (Vec<_>, Vec<_>) = sides.into_iter().partition(is_serving);
        all.extend(serving);
        Ok::<_, anyhow::Error>((all, beside))
    };
    let asked = tokio::time::timeout(DEADLINE, asked).await;
    match asked {
        Ok(Ok((own, beside))) => Ok((services(&own), services(&beside))),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err(format!("the engine did not answer within {} ms", DEADLINE.as_millis())),
    }
}

fn services(containers: &[Container]) -> Vec<ServiceFact> {
    let mut services: BTreeMap<&str, Vec<&Container>> = BTreeMap::new();
    for container in containers {
        services.entry(&container.service).or_default().push(container);
    }
    services.into_iter().map(|(service, own)| fact(service, &own, containers)).collect()
}

fn fact(service: &str, own: &[&Container], all: &[Container]) -> ServiceFact {
    let words = own.iter().map(|container| {
        let state = &container.state;
        match &state.health {
            Some(health) => format!("{}, {health}", state.status),
            None if state.status == "exited" => format!("exited with {}", state.exit_code),
            None => state.status.clone(),
        }
    });
    let is_well = own.iter().all(|container| {
        let state = &container.state;
        let is_running = state.status == "running" && state.health.as_deref().is_none_or(|health| health == "healthy");
        is_running || has_ended_its_work(container, all)
    });
    ServiceFact { service: service.to_owned(), words: words.collect::<Vec<_>>().join("; "), is_well }
}
