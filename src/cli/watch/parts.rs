//! From the configuration to the watcher: what is asked, how often, and the window that it goes on with.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::names;

use crate::adapter::clock;
use crate::cli::setup::Setup;
use crate::config::{Config, Stabilize};
use crate::journal::{Outcome, RunState, Standing, runs};
use crate::judge::cusum::Terms;
use crate::watch::asked::Route;
use crate::watch::gather::{self, Watcher};
use crate::watch::own::Places;
use crate::watch::requests::Source;
use crate::watch::window::Window;

/// Kinds of runs after which something else is there to be watched.
const BRINGING_UP: [&str; 4] = ["deploy", "rollback", "cutover", "dns"];

/// The watcher, and what its words need.
pub struct Parts {
    /// The watcher.
    pub watcher: Watcher,
    /// How long a person can stop it from going back by itself.
    pub cancel: std::time::Duration,
    /// The flags that a command needs to mean the same place.
    pub flags: String,
}

impl Parts {
    /// Puts the watcher together; nothing is asked yet.
    ///
    /// # Errors
    /// When the names of the configuration cannot be looked at.
    pub fn new(config: &Config, stabilize: &Stabilize, setup: &Setup) -> Result<Self> {
        let prometheus = config.prometheus.as_ref();
        let source = prometheus.map(|prometheus| Source {
            base: prometheus.url.to_string(),
            selector: stabilize.requests.clone(),
            job: stabilize.job.clone(),
            deadline: prometheus.timeout,
        });
        let url = stabilize.probe.as_ref().or(config.caddy.as_ref().map(|caddy| &caddy.url));
        let control = stabilize.control.as_ref().map(ToString::to_string);
        let route = url.map(|url| Route { url: url.to_string(), control });
        let has_services = !config.compose.files.is_empty();
        let engine = has_services.then(|| (setup.docker.clone(), config.compose_project().to_owned()));
        let least = config.preflight.min_disk.bytes();
        let mut rooms = vec![("state".to_owned(), setup.state.clone(), least)];
        let backups = config.backup_directory();
        if backups.exists() {
            rooms.push(("backups".to_owned(), backups.clone(), least));
        }
        let has_backups = config.backup.enabled == Some(true) || (config.backup.enabled.is_none() && backups.exists());
        let places = Places {
            http: setup.http.clone(),
            prometheus: prometheus.map(|prometheus| prometheus.url.to_string()),
            loki: stabilize.loki.as_ref().map(ToString::to_string),
            databases: setup.databases.clone(),
            deadline: prometheus.map_or(std::time::Duration::from_secs(10), |prometheus| prometheus.timeout),
        };
        let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let directory = config.caddy.as_ref().and_then(|caddy| caddy.directory.clone());
        let maintenance = directory.map(|directory| directory.join("maintenance"));
        let watcher = Watcher {
            source,
            route,
            maintenance,
            engine,
            rooms,
            state: setup.state.clone(),
            places,
            rules: stabilize.rules.clone(),
            has: (config.target.is_some(), config.source.is_some()),
            connections: stabilize.connections.ratio(),
            backups: has_backups.then_some((backups, stabilize.backup_age.as_secs())),
            others: names::questions(config, &setup.state, stabilize.certificate_days)?,
            accept: stabilize.accept.ratio(),
            clock: gather::now,
            cadence: (millis(stabilize.close), millis(stabilize.pace)),
        };
        let flags = format!(" --config {}", config.path.display());
        Ok(Self { watcher, cancel: stabilize.cancel, flags })
    }

    /// The window to go on with: the old one, or a new one where there is none or where a later run has brought up something else.
    ///
    /// # Errors
    /// When the runs cannot be read.
    pub async fn window(&self, old: Option<Window>, stabilize: &Stabilize, setup: &Setup) -> Result<Window> {
        let last = watched(&setup.state, old.as_ref().and_then(|old| old.run))?;
        if let Some(old) = old.filter(|old| old.run == last) {
            return Ok(old);
        }
        let length_min = stabilize.window.as_secs().div_ceil(60);
        let traffic = match &self.watcher.source {
            Some(source) => source.traffic(&setup.http).await,
            None => None,
        };
        let expected = traffic.unwrap_or(0.0) * length_min as f64;
        let terms = Terms::new(stabilize.healthy.ratio(), stabilize.breach.ratio(), expected as u64);
        Ok(Window::begin(gather::now(), clock::now(), length_min, terms, last))
    }
}

/// The run whose work is watched: the last one that ended well and has brought up something else, or a runbook's that has come
/// to its own watching, or is past it and waits for its last signals. A backup or an export taken meanwhile is none; they
/// count only where there is nothing else. `known` is the one that is watched until now.
///
/// # Errors
/// When the runs cannot be read.
pub fn watched(state: &Path, known: Option<u32>) -> Result<Option<u32>> {
    let mut other = None;
    for file in runs::list(&state.join("runs"))?.iter().rev() {
        if known == Some(file.number) {
            return Ok(known);
        }
        let run = file.state()?;
        let is_done = matches!(run.outcome, Some((Outcome::Done, _)));
        let brings_up = BRINGING_UP.contains(&file.kind.as_str()) && !run.is_nothing_new();
        if (is_done && brings_up) || (run.is_open() && watches_itself(&run)) {
            return Ok(Some(file.number));
        }
        other = other.or(is_done.then_some(file.number));
    }
    Ok(other)
}

/// Whether a run has begun a gate that is this program's own watching.
fn watches_itself(run: &RunState) -> bool {
    let is_watch = |index: usize| {
        let words = run.plan.pointer(&format!("/items/{index}/action/command/run")).and_then(Value::as_array);
        words.is_some_and(|words| words.ends_with(&["watch".into(), "--new".into()]))
    };
    let begun = run.items.iter().enumerate().filter(|(_, item)| item.standing != Standing::Waiting);
    !run.is_going_back && begun.map(|(index, _)| index).any(is_watch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::entry::Header;
    use crate::journal::{Fact, Journal};

    /// A run of this kind that ended like this, or is still at work.
    fn ran(state: &Path, number: u32, kind: &str, outcome: Option<Outcome>) {
        let directory = state.join("runs");
        std::fs::create_dir_all(&directory).unwrap();
        let path = runs::journal_path(&directory, number, kind);
        let mut journal = Journal::create(&path, "boot".into(), clock::now).unwrap();
        journal.append(Fact::Planned { header: Header::of_test(number, kind), plan: Value::Null }).unwrap();
        if let Some(outcome) = outcome {
            journal.append(Fact::Finished { outcome, exit: 0, said: String::new() }).unwrap();
        }
    }

    #[test]
    fn an_export_or_a_rehearsal_begins_no_new_window_and_a_deployment_does() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path();
        assert_eq!(watched(state, None).unwrap(), None);
        ran(state, 1, "data", Some(Outcome::Done));
        assert_eq!(watched(state, None).unwrap(), Some(1), "where there is nothing else");
        ran(state, 2, "deploy", Some(Outcome::Done));
        assert_eq!(watched(state, Some(1)).unwrap(), Some(2));
        // Who arms the watcher takes exports meanwhile; nobody watches from the begin again because of that.
        ran(state, 3, "data", Some(Outcome::Done));
        ran(state, 4, "rehearsal", Some(Outcome::Done));
        ran(state, 5, "maintenance", Some(Outcome::Done));
        ran(state, 6, "deploy", Some(Outcome::RolledBack));
        ran(state, 7, "rollback", None);
        assert_eq!((watched(state, Some(2)).unwrap(), watched(state, None).unwrap()), (Some(2), Some(2)));
        ran(state, 8, "rollback", Some(Outcome::Done));
        assert_eq!(watched(state, Some(2)).unwrap(), Some(8));
    }
}
