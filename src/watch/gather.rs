//! Gathering: every question of a tick side by side, each with its deadline. Changes nothing, holds no lock of the host.

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use futures_util::future;

use super::asked::Route;
use super::host::{self, Number, Serving};
use super::own::{self, Places};
use super::requests::Source;
use super::tick::Inputs;
use super::window::{Now, Window};
use super::{database, exported, tick};
use crate::adapter::clock;
use crate::adapter::database::Place;
use crate::adapter::docker::Docker;
use crate::config::StabilizeRule;
use crate::judge::ladder::Level;
use crate::judge::probe::Asked;
use crate::judge::rules::{Finding, Rule};
use crate::release::Store;
use crate::rows::backup;
use crate::run::data::freeze_record;

/// No question may take longer: the next tick is to come.
const DEADLINE: Duration = Duration::from_secs(25);

/// A question that somebody else knows how to ask: names, certificates. It is told from its answer only.
pub type Question = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Finding> + Send>> + Send + Sync>;

/// Everything that is asked.
pub struct Watcher {
    /// Where requests are counted.
    pub source: Option<Source>,
    /// The public route.
    pub route: Option<Route>,
    /// The file whose presence shows the maintenance page to everybody.
    pub maintenance: Option<PathBuf>,
    /// The engine, and the project whose services run there; none where there are none.
    pub engine: Option<(Docker, String)>,
    /// Disks: what for, where, and how many bytes must be free.
    pub rooms: Vec<(String, PathBuf, u64)>,
    /// The state directory.
    pub state: PathBuf,
    /// Where the configuration's own rules ask.
    pub places: Places,
    /// The configuration's own rules.
    pub rules: Vec<StabilizeRule>,
    /// Whether the configuration has a target and a source.
    pub has: (bool, bool),
    /// The share of connections that may be in use.
    pub connections: f64,
    /// Where backups are, and how old the newest verified one may be, seconds; none where none are taken.
    pub backups: Option<(PathBuf, u64)>,
    /// Questions of others.
    pub others: Vec<(Rule, Question)>,
    /// The share that the window is accepted with.
    pub accept: f64,
    /// The clocks: this host's, or those of a day that is told faster.
    pub clock: fn() -> Now,
    /// For how long everything is asked in every tick, and how often slow questions are asked then, milliseconds.
    pub cadence: (u64, u64),
}

/// The clocks now.
pub fn now() -> Now {
    Now {
        wall_ms: clock::wall_ms(),
        boot_ms: u64::try_from(clock::since_boot().as_millis()).unwrap_or(u64::MAX),
        boot: clock::boot_id(),
    }
}

type Seen = (Rule, Finding, Vec<Number>);

impl Watcher {
    /// Asks everything that is due, and judges it.
    pub async fn tick(&self, window: Window, probes: Option<Vec<Asked>>) -> (Window, tick::Verdicts) {
        let mut window = window;
        let now = (self.clock)();
        // The questions want to know which minutes are over; the tick itself moves the clock on and says what it found.
        let mut ahead = window.clone();
        drop(ahead.advance(&now));
        let (close_ms, pace_ms) = self.cadence;
        let is_slow_due = ahead.is_slow_due(close_ms, pace_ms);
        let counts = async {
            let source = self.source.as_ref()?;
            let fetched = timed(source.fetch(&self.places.http, &ahead)).await;
            Some(fetched.unwrap_or_else(|| Err(anyhow::anyhow!(late()))).map_err(|error| format!("{error:#}")))
        };
        let slow = async { if is_slow_due { self.slow(&ahead).await } else { Vec::new() } };
        let (counts, looked, slow) = tokio::join!(counts, self.engine(&ahead), slow);
        let mut findings = looked.findings;
        findings.extend(self.rooms.iter().map(|(name, path, least)| host::room(name, path, *least)));
        let shown = self.maintenance.as_ref().map(|file| (file, file.try_exists()));
        if let Some((file, Err(error))) = &shown {
            findings.push(page_unknown(file, error));
        }
        let (mut numbers, seen) = (looked.numbers.clone(), looked.numbers);
        for (rule, finding, more) in slow {
            findings.push((rule, finding));
            numbers.extend(more);
        }
        let inputs = Inputs {
            now,
            counts,
            probes,
            engine: looked.engine,
            findings,
            is_maintenance: matches!(shown, Some((_, Ok(true)))),
            is_complete: is_slow_due,
            accept: self.accept,
        };
        if is_slow_due {
            window.slow_ms = Some(ahead.elapsed_ms);
        }
        let (mut window, verdicts) = tick::tick(&inputs, window);
        numbers.iter().for_each(|(name, value, keep_ms)| window.remember(name, *value, *keep_ms));
        host::forget_gone(&mut window, &seen);
        (window, verdicts)
    }

    async fn engine(&self, window: &Window) -> host::Looked {
        let Some((docker, project)) = &self.engine else {
            let engine = crate::judge::probe::Engine::Unknown("no engine is watched".into());
            return host::Looked { engine, findings: Vec::new(), numbers: Vec::new() };
        };
        let serving = match self.serving() {
            Ok(serving) => serving,
            Err(error) => return unasked(&format!("which release serves is not known: {error:#}")),
        };
        let looked = timed(host::look(docker, project, serving.as_ref(), window)).await;
        looked.unwrap_or_else(|| unasked(&late()))
    }

    /// The side that serves, where the current release runs as one.
    fn serving(&self) -> anyhow::Result<Option<Serving>> {
        let store = Store::new(&self.state);
        let Some(release) = store.current()? else { return Ok(None) };
        let side = store.read(release)?.and_then(|record| record.side);
        Ok(side.map(|side| Serving { release, services: side.services }))
    }

    /// The slow questions, side by side.
    async fn slow(&self, window: &Window) -> Vec<Seen> {
        let own = self.rules.iter().map(|own| async move {
            let asked = timed(own::ask(own, &self.places, window)).await;
            let (finding, numbers) = asked.unwrap_or_else(|| (Finding::cannot_ask(late()), Vec::new()));
            (own::rule(own), finding, numbers)
        });
        let others = self.others.iter().map(|(rule, question)| async move {
            let finding = timed(question()).await.unwrap_or_else(|| Finding::cannot_ask(late()));
            (rule.clone(), finding, Vec::new())
        });
        let (own, others, target, source) =
            tokio::join!(future::join_all(own), future::join_all(others), self.target(window), self.frozen());
        let backup = self.backups.as_ref().map(|(directory, most_s)| {
            let target = self.places.databases.side("target").ok().map(Place::shown);
            let of_runs = exported::age_s(&self.state, target, window.now.wall_ms);
            let (rule, finding) = backup(directory, *most_s, of_runs);
            (rule, finding, Vec::new())
        });
        own.into_iter().chain(others).chain(target).chain(source).chain(backup).collect()
    }

    async fn target(&self, window: &Window) -> Option<Seen> {
        if !self.has.0 {
            return None;
        }
        let rule = || Rule { name: "database".into(), level: Level::Watch, patience_s: 120, advice: String::new() };
        let place = match self.places.databases.side("target") {
            Ok(place) => place,
            Err(error) => return Some((rule(), Finding::cannot_ask(format!("{error:#}")), Vec::new())),
        };
        match timed(database::target(place, self.connections, window)).await {
            Some(((rule, finding), numbers)) => Some((rule, finding, numbers)),
            None => Some((rule(), Finding::cannot_ask(late()), Vec::new())),
        }
    }

    async fn frozen(&self) -> Option<Seen> {
        if !self.has.1 {
            return None;
        }
        let rule = || Rule { name: database::FROZEN.into(), level: Level::Hold, patience_s: 0, advice: String::new() };
        let place = match self.places.databases.side("source") {
            Ok(place) => place,
            Err(error) => return Some((rule(), Finding::cannot_ask(format!("{error:#}")), Vec::new())),
        };
        let record = freeze_record(&self.state, place.shown());
        let asked = timed(database::frozen(place, &record)).await;
        let (rule, finding) = asked.unwrap_or_else(|| Some((rule(), Finding::cannot_ask(late()))))?;
        Some((rule, finding, Vec::new()))
    }
}

/// The engine was not asked to the end.
fn unasked(why: &str) -> host::Looked {
    let advice = "look at the engine".to_owned();
    let rule = Rule { name: "services".into(), level: Level::Hold, patience_s: 0, advice };
    host::Looked {
        engine: crate::judge::probe::Engine::Unknown(why.to_owned()),
        findings: vec![(rule, Finding::cannot_ask(why))],
        numbers: Vec::new(),
    }
}

/// Whether everybody is shown the maintenance page cannot be seen: then what fails is held against the system.
fn page_unknown(file: &std::path::Path, error: &std::io::Error) -> (Rule, Finding) {
    let advice =
        "let the watcher read the directory: while it cannot, what is meant to fail counts as a failure".to_owned();
    let rule = Rule { name: "maintenance page".into(), level: Level::Watch, patience_s: 0, advice };
    (rule, Finding::cannot_ask(format!("{}: {error}", file.display())))
}

async fn timed<T>(question: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(DEADLINE, question).await.ok()
}

fn late() -> String {
    format!("no answer within {}", clock::spoken(DEADLINE))
}

/// The age of the newest backup that was restored on trial, or that a run took and read back in full.
fn backup(directory: &std::path::Path, most_s: u64, of_runs: anyhow::Result<Option<u64>>) -> (Rule, Finding) {
    let rule = Rule {
        name: "backup".into(),
        level: Level::Watch,
        patience_s: 0,
        advice: "`cutover backup create`: it takes one and restores it on trial".into(),
    };
    let listed = match backup::list(directory) {
        Ok(listed) => listed,
        Err(error) => return (rule, Finding::cannot_ask(format!("{error:#}"))),
    };
    let is_proven = |one: &&backup::Listed| one.token.as_ref().is_some_and(|token| token.verified.is_some());
    let ages = listed.iter().filter(is_proven).filter_map(|one| one.age_s);
    let of_runs = match of_runs {
        Ok(age) => age,
        Err(error) => return (rule, Finding::cannot_ask(format!("{error:#}"))),
    };
    let finding = match ages.filter_map(|age| u64::try_from(age).ok()).chain(of_runs).min() {
        None => Finding::breach(format!("no verified backup in {}", directory.display())),
        Some(age_s) => {
            let said = format!("the newest verified backup is {} old", clock::spoken(Duration::from_secs(age_s)));
            if age_s > most_s { Finding::breach(said) } else { Finding::ok(said) }
        }
    };
    (rule, finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::rules::Verdict;

    #[test]
    fn a_backup_counts_by_its_age_and_one_that_cannot_be_looked_at_is_not_a_young_one() {
        let none = tempfile::tempdir().unwrap();
        let verdict = |of_runs| backup(none.path(), 100, of_runs).1.verdict;
        assert_eq!((verdict(Ok(Some(100))), verdict(Ok(Some(101)))), (Verdict::Ok, Verdict::Breach));
        assert_eq!(verdict(Ok(None)), Verdict::Breach, "no backup is no young one");
        assert_eq!(verdict(Err(anyhow::anyhow!("no journal"))), Verdict::CannotAsk);
    }
}
