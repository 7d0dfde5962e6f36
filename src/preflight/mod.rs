//! The questions before a change: asked side by side, each with its own deadline. Law: nothing is changed, and unknown is never ok.
//!
//! A layer of its own: it may use `adapter`, `config`, `release` (reading), `secret` and `redact`; it must never
//! use `step`, `run`, `journal`, `cli`, nor print. One check, one file. What several checks need to know
//! (the rendered model, the list of containers, the engine's facts) is read once, in [`reads`].

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;

use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::docker::{Container, Docker, EngineFacts, Listed};
use crate::adapter::http::{Answer, Http};
use crate::adapter::process::Process;
use crate::config::{Config, Environment, nearest};
use crate::redact::Redactor;

mod backup;
mod caddy;
mod clock;
mod compose;
mod containers;
mod database;
mod disk;
pub mod dns;
mod engine;
pub(crate) mod env_files;
mod finding;
mod health;
mod images;
mod memory;
mod model;
mod notify;
mod places;
mod ports;
mod prometheus;
mod reads;
mod requests;
mod secrets;
mod sockets;
mod state;
mod tools;
mod value;
mod variables;
mod version;

pub use finding::{Finding, Limit, Perf, Report, Verdict};

use finding::Found;
use reads::{Read, Reads};

/// Every check: its id, which is stable, and what it asks.
pub const CHECKS: &[(&str, &str)] = &[
    ("disk", "free space and inodes where the engine, the state and the backups are"),
    ("memory", "available memory"),
    ("clock", "the system clock is synchronised"),
    ("tools", "the docker command-line client is there"),
    ("engine", "the container engine answers and is new enough"),
    ("compose", "the docker compose plugin answers and is new enough"),
    ("model", "the compose files are valid, every variable is set, every service that is named exists"),
    ("env-files", "the env files exist, can be read, and show no secret to everyone"),
    ("variables", "the required variables are set and no placeholders"),
    ("secrets", "every secret file exists, is closed to others, is not empty and no placeholder"),
    ("state", "the state directory is private and can be written"),
    ("ports", "each published port is free or held by this project"),
    ("images", "each image is here, is built here, or can be pulled"),
    ("containers", "what runs of the project is well"),
    ("health", "each health endpoint answers as expected"),
    ("database", "the stack's PostgreSQL answers, and its dump tools are as new as the server"),
    ("backup", "backups can be written, and there is room for one and its trial"),
    ("caddy", "the public route and the identity are answered by a Caddy that is new enough"),
    ("dns", "the names are as configured, or can be switched: zone well, TTL low for long enough, issuer allowed"),
    (
        "prometheus",
        "Prometheus answers, and what is counted there can show a failure: each request once, with its code",
    ),
    ("notify", "each channel for notices can be reached and lets us in; nobody is told anything"),
];

/// What preflight is given.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The environment, read once.
    pub environment: &'a Environment,
    /// What `Docker::new` gave: a handle on the engine, negotiated or not, of any patience (each question is asked
    /// once), or why there is none, which the check `engine` tells.
    pub docker: anyhow::Result<Docker>,
    /// The docker command-line client, when one was found.
    pub docker_cli: Option<PathBuf>,
    /// Starts children.
    pub process: Process,
    /// The HTTP client.
    pub http: Http,
    /// Knows what must not be shown.
    pub redactor: Redactor,
    /// What somebody else changed in the switch since a run led it.
    pub changed_switch: Option<String>,
    /// Ids of the checks to ask; empty means all. Wins over `preflight.skip` of the file.
    pub only: Vec<String>,
    /// Ids of the checks not to ask; wins over `only`.
    pub skip: Vec<String>,
}

/// An id that no check has: a usage error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no check {id:?} (in {place}){}", hint(.near))]
pub struct UnknownCheck {
    /// The id as given.
    pub id: String,
    /// Where it was given.
    pub place: &'static str,
    /// The nearest id that exists, when one is near.
    pub near: Option<&'static str>,
}

fn hint(near: &Option<&'static str>) -> String {
    match near {
        Some(near) => format!("; did you mean {near:?}?"),
        None => format!("; the checks are {}", ids().collect::<Vec<_>>().join(", ")),
    }
}

fn ids() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|(id, _)| *id)
}

/// Asks everything, side by side.
///
/// # Errors
/// Only for an id that no check has; whatever the world answers is a finding.
pub async fn run(asked: &Asked<'_>) -> Result<Report, UnknownCheck> {
    let chosen = choose(&asked.only, &asked.skip, &asked.config.preflight.skip)?;
    let watch = Stopwatch::start();
    let reads = Reads::new(asked);
    let findings = join_all(chosen.into_iter().map(|(id, skipped)| one(asked, reads.clone(), id, skipped))).await;
    Ok(Report { findings, took: watch.elapsed() })
}

/// The checks that stand in the report, and why one is not asked.
fn choose(
    only: &[String],
    skip: &[String],
    skip_in_file: &[String],
) -> Result<Vec<(&'static str, Option<&'static str>)>, UnknownCheck> {
    for (place, list) in [("--only", only), ("--skip", skip), ("preflight.skip", skip_in_file)] {
        if let Some(id) = list.iter().find(|id| !ids().any(|known| known == *id)) {
            return Err(UnknownCheck { id: id.clone(), place, near: nearest(id, ids()) });
        }
    }
    let is_in = |list: &[String], id: &str| list.iter().any(|one| one == id);
    let chosen = ids().filter(|id| only.is_empty() || is_in(only, id)).map(|id| {
        let why = if is_in(skip, id) {
            Some("skipped by --skip")
        } else if only.is_empty() && is_in(skip_in_file, id) {
            Some("skipped by preflight.skip")
        } else {
            None
        };
        (id, why)
    });
    Ok(chosen.collect())
}

async fn one<'a>(asked: &'a Asked<'a>, reads: Reads<'a>, id: &'static str, skipped: Option<&str>) -> Finding {
    let watch = Stopwatch::start();
    let found = match skipped {
        Some(why) => Found::skipped(why),
        None => within_deadline(asked, reads, id).await,
    };
    Finding {
        id,
        verdict: found.verdict,
        seen: asked.redactor.clean(&found.seen),
        advice: found.advice.map(|advice| asked.redactor.clean(&advice)),
        took: watch.elapsed(),
        perf: found.perf,
    }
}

async fn within_deadline<'a>(asked: &'a Asked<'a>, reads: Reads<'a>, id: &'static str) -> Found {
    let deadline = asked.config.preflight.deadline;
    let ask = Ask { asked, reads, waiting: Mutex::default() };
    match tokio::time::timeout(deadline, check(id, &ask)).await {
        Ok(found) => found,
        Err(_) => Found::unknown(
            format!("no answer within {}; it waited for {}", spoken(deadline), ask.waits_for()),
            "look why that is slow, or give it longer with preflight.deadline",
        ),
    }
}

async fn check(id: &str, ask: &Ask<'_>) -> Found {
    match id {
        "disk" => disk::check(ask).await,
        "memory" => memory::check(ask).await,
        "clock" => clock::check(ask).await,
        "tools" => tools::check(ask).await,
        "engine" => engine::check(ask).await,
        "compose" => compose::check(ask).await,
        "model" => model::check(ask).await,
        "env-files" => env_files::check(ask).await,
        "variables" => variables::check(ask).await,
        "secrets" => secrets::check(ask).await,
        "state" => state::check(ask).await,
        "ports" => ports::check(ask).await,
        "images" => images::check(ask).await,
        "containers" => containers::check(ask).await,
        "health" => health::check(ask).await,
        "database" => database::check(ask).await,
        "backup" => backup::check(ask).await,
        "caddy" => caddy::check(ask).await,
        "dns" => dns::check(ask).await,
        "prometheus" => prometheus::check(ask).await,
        "notify" => notify::check(ask).await,
        other => Found::unknown(format!("the check {other} has no question"), "please report this"),
    }
}

/// What a check may ask, and what it waits for at this moment.
struct Ask<'a> {
    asked: &'a Asked<'a>,
    reads: Reads<'a>,
    waiting: Mutex<Vec<String>>,
}

impl Ask<'_> {
    /// Waits, and lets it be known for what: told when the deadline passes.
    async fn wait<T>(&self, what: impl Into<String>, work: impl Future<Output = T>) -> T {
        let what = what.into();
        self.waiting_list(|list| list.push(what.clone()));
        let done = work.await;
        self.waiting_list(|list| {
            if let Some(at) = list.iter().position(|one| *one == what) {
                list.remove(at);
            }
        });
        done
    }

    fn waiting_list<T: Default>(&self, change: impl FnOnce(&mut Vec<String>) -> T) -> T {
        self.waiting.lock().map(|mut list| change(&mut list)).unwrap_or_default()
    }

    fn waits_for(&self) -> String {
        self.waiting_list(|list| list.join(" and "))
    }

    fn config(&self) -> &Config {
        self.asked.config
    }

    /// Work on the file system, on a thread of its own: a file system that hangs must not hang the others.
    async fn files<T: Send + 'static>(
        &self,
        what: impl Into<String>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Found> {
        let done = self.wait(what, tokio::task::spawn_blocking(work)).await;
        done.map_err(|error| Found::unknown(format!("the look ended early: {error}"), "please report this"))
    }

    /// A little less than the check has: one silent server must not hide what the others answered.
    fn patience(&self, wanted: Duration) -> Duration {
        wanted.min(self.config().preflight.deadline * 9 / 10)
    }

    async fn http(&self, url: &str, wanted: Duration) -> Result<Answer, String> {
        let deadline = self.patience(wanted);
        self.wait(url, self.asked.http.get(url, deadline)).await.map_err(|error| format!("{error:#}"))
    }

    async fn facts(&self) -> Read<EngineFacts> {
        self.wait("the engine's facts", self.reads.facts.clone()).await
    }

    async fn everyone(&self) -> Read<Vec<Listed>> {
        self.wait("the engine's list of containers", self.reads.everyone.clone()).await
    }

    async fn ours(&self) -> Read<Vec<Container>> {
        self.wait("the engine's word on the project's containers", self.reads.ours.clone()).await
    }

    async fn model(&self) -> Read<reads::Model> {
        self.wait("docker compose config", self.reads.model.clone()).await
    }

    async fn database(&self) -> Read<reads::DatabaseSight> {
        self.wait("the database in its container", self.reads.database.clone()).await
    }

    async fn negotiated(&self) -> Read<Docker> {
        self.wait("the engine's version", self.reads.docker.clone()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    #[test]
    fn an_unknown_id_is_refused_with_the_nearest_one() {
        let error = choose(&list(&["port"]), &[], &[]).unwrap_err();
        assert_eq!(error.to_string(), "there is no check \"port\" (in --only); did you mean \"ports\"?");
        let error = choose(&[], &[], &list(&["qqqqqqqq"])).unwrap_err();
        assert!(error.to_string().contains("the checks are disk, memory"), "{error}");
    }

    #[test]
    fn what_is_skipped_stays_in_the_report_and_flags_win_over_the_file() {
        let chosen = choose(&[], &list(&["disk"]), &list(&["clock"])).unwrap();
        assert_eq!(chosen.len(), CHECKS.len());
        let why = |id: &str| chosen.iter().find(|(one, _)| *one == id).unwrap().1;
        assert_eq!(why("disk"), Some("skipped by --skip"));
        assert_eq!(why("clock"), Some("skipped by preflight.skip"));
        assert_eq!(why("memory"), None);
        assert_eq!(choose(&list(&["clock"]), &[], &list(&["clock"])).unwrap(), [("clock", None)]);
    }
}
