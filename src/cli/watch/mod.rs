//! `watch`: the window after a cutover, by a daemon or by cron. Looking holds no lock; going back takes the host's, like a person.

mod armed;
mod fed;
mod kept;
mod names;
mod parts;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use self::fed::Fed;
use self::parts::Parts;
use super::flags::Watch;
use super::global::{Format, Global};
use super::setup::{self, Setup};
use super::{exit, out};
use crate::adapter::clock;
use crate::adapter::systemd::Manager;
use crate::config::{Config, Environment};
use crate::judge::ladder::Level;
use crate::judge::probe::{Asked, PACE_MS};
use crate::run::Refusal;
use crate::watch::going_back::{self, Recommendation};
use crate::watch::keep::Shelf;
use crate::watch::tick::Verdicts;
use crate::watch::window::{TICK_MS, Window};
use crate::watch::{gather, record, words};

/// The verb.
///
/// # Errors
/// When the configuration is not valid or names no window, another watcher is at work, or the state cannot be kept.
pub async fn run(global: &Global, verb: &Watch) -> Result<u8> {
    match prepare(global, verb).await {
        Ok(watch) if verb.once => watch.once(verb).await,
        Ok(watch) => watch.on_and_on().await,
        // A monitoring system reads a plugin's exit code: what could not be asked is unknown, not a usage error.
        Err(error) if verb.format == Some(Format::Nagios) => {
            out::result(&format!("CUTOVER UNKNOWN - {error:#}").replace('|', "/"));
            Ok(3)
        }
        Err(error) => Err(error),
    }
}

/// A watcher that is ready.
struct Watching<'a> {
    global: &'a Global,
    config: Config,
    setup: Setup,
    shelf: Shelf,
    parts: Parts,
    window: Window,
    failed_before: u32,
    telling: tokio::task::JoinSet<()>,
    /// Since when the window cannot be written, milliseconds of Unix time.
    unkept_ms: Option<i64>,
    /// Why it is not known what is to be watched, where the runs cannot be read.
    doubt: Option<String>,
}

async fn prepare<'a>(global: &'a Global, verb: &Watch) -> Result<Watching<'a>> {
    let config = setup::config(global)?;
    let Some(stabilize) = config.stabilize.clone() else {
        let why =
            "there is no window to watch: add [stabilize] to the configuration; an empty table takes the defaults";
        return Err(Refusal::Usage(why.into()).into());
    };
    let setup = Setup::without_engine(global, config.state.directory.clone(), Some(&config))?;
    let shelf = Shelf::open(&setup.state)?;
    let parts = Parts::new(&config, &stabilize, &setup)?;
    let old = if verb.new { None } else { shelf.read()? };
    let window = parts.window(old, &stabilize, &setup).await?;
    shelf.write(&window)?;
    let failed_before = window.row.failures();
    let telling = tokio::task::JoinSet::new();
    let (unkept_ms, doubt) = (None, None);
    let mut watching =
        Watching { global, config, setup, shelf, parts, window, failed_before, telling, unkept_ms, doubt };
    armed::change(&mut watching, verb)?;
    Ok(watching)
}

impl Watching<'_> {
    /// One tick, for cron.
    async fn once(mut self, verb: &Watch) -> Result<u8> {
        let probes = match &self.parts.watcher.route {
            // A monitoring system gives a plugin some seconds; the row of failures is kept from call to call.
            Some(route) if verb.format.is_some() => Some(vec![route.ask(&self.setup.http).await]),
            Some(route) => Some(route.ask_until_known(&self.setup.http, self.failed_before).await),
            None => None,
        };
        let verdicts = self.tick(probes).await;
        self.shelf.write(&self.window)?;
        self.tell_others(&verdicts);
        let advice = self.advice(&verdicts);
        if let Some(Format::Nagios) = verb.format {
            let (text, code) = words::nagios(&verdicts, &self.window);
            out::result(&text);
            self.told().await;
            return Ok(code);
        }
        if self.global.is_json() {
            out::json(words::document(&verdicts, &self.window, advice.as_ref()));
        } else if self.global.verbose > 0 {
            out::result(&words::text(&verdicts, &self.window, advice.as_ref()));
        } else if verdicts.has_changed() {
            out::result(&self.line(&verdicts, advice.as_ref()));
        }
        let gone_back = armed::act(&mut self, &verdicts).await;
        self.told().await;
        Ok(gone_back?.unwrap_or(code_of(verdicts.level)))
    }

    /// Until the window is accepted, or somebody ends it.
    async fn on_and_on(mut self) -> Result<u8> {
        let environment = Environment::of_process();
        let manager = Arc::new(Manager::new(environment.get("NOTIFY_SOCKET"))?);
        let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut probes: Vec<Asked> = Vec::new();
        let mut last: Option<Verdicts> = None;
        manager.say("READY=1");
        loop {
            let round = clock::Stopwatch::start();
            probes.extend(self.ask().await);
            if self.begin_anew().await? {
                last = None;
            }
            let is_due = self.is_tick_due() || last.is_none();
            if is_due {
                let asked = self.parts.watcher.route.as_ref().map(|_| std::mem::take(&mut probes));
                let verdicts = self.tick(asked).await;
                self.keep();
                self.tell(&verdicts, last.is_none());
                self.tell_others(&verdicts);
                // Those that have ended are let go of.
                while self.telling.try_join_next().is_some() {}
                manager.alive(&words::status(&verdicts, &self.window));
                if self.window.is_accepted && self.unkept_ms.is_none() {
                    let advice = self.advice(&verdicts);
                    out::result(&words::text(&verdicts, &self.window, advice.as_ref()));
                    manager.say("STOPPING=1");
                    self.told().await;
                    return Ok(exit::DONE);
                }
                last = Some(verdicts);
            } else {
                self.between_ticks(&manager);
            }
            // While it counts down, every round looks whether somebody has stopped it.
            let is_act_due = self.unkept_ms.is_none() && (is_due || self.window.going_back.is_some());
            if let Some(verdicts) = last.as_ref().filter(|_| is_act_due) {
                let _fed = Fed::every(Duration::from_millis(PACE_MS), &manager);
                if let Some(code) = armed::act(&mut self, verdicts).await? {
                    self.told().await;
                    return Ok(code);
                }
            }
            let rest = Duration::from_millis(PACE_MS).saturating_sub(round.elapsed());
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = end.recv() => break,
                _ = tokio::signal::ctrl_c() => break,
            }
        }
        manager.say("STOPPING=1");
        self.told().await;
        out::say("cutover: the watcher was ended; the window is kept, and goes on when it is started again");
        Ok(code_of(self.window.ladder.level))
    }

    /// Begins a window anew where a later run has brought up something else, as a watcher does that is started then; gives
    /// whether it did.
    async fn begin_anew(&mut self) -> Result<bool> {
        let (state, run) = (&self.setup.state, self.window.run);
        let last = match parts::watched(state, run) {
            Ok(last) => last,
            Err(error) => {
                let why = format!("{error:#}");
                if self.doubt.as_ref() != Some(&why) {
                    out::say(&format!(
                        "cutover: whether a later run has brought up something else is not known: {why}"
                    ));
                }
                self.doubt = Some(why);
                return Ok(false);
            }
        };
        self.doubt = None;
        let Some(stabilize) = self.config.stabilize.clone().filter(|_| last != run) else { return Ok(false) };
        let was_armed = self.window.armed.is_some();
        self.window = self.parts.window(Some(self.window.clone()), &stabilize, &self.setup).await?;
        let number = last.map_or_else(String::new, |number| format!(": run {number} has brought up something else"));
        let armed = if was_armed { "; going back by itself is disarmed" } else { "" };
        out::say(&format!("cutover: a new window begins{number}{armed}"));
        self.keep();
        Ok(true)
    }

    /// A round in which no minute is over: a sign of life, and what cannot wait for the next tick.
    fn between_ticks(&mut self, manager: &Manager) {
        let left = self.window.going_back.as_ref().and_then(|until| until.left_s(&gather::now()));
        match left {
            Some(left) => manager.alive(&words::countdown(left)),
            None => manager.say("WATCHDOG=1"),
        }
        if self.unkept_ms.is_some() {
            self.keep();
        }
    }

    /// One round of direct questions.
    async fn ask(&self) -> Option<Asked> {
        match &self.parts.watcher.route {
            Some(route) => Some(route.ask(&self.setup.http).await),
            None => None,
        }
    }

    /// Whether a minute is over that was not judged.
    fn is_tick_due(&self) -> bool {
        let now = gather::now();
        let gone = now.boot_ms.saturating_sub(self.window.now.boot_ms);
        Window::settled(&now) > self.window.grid_ms && gone >= TICK_MS.unsigned_abs() / 2
            || gone >= TICK_MS.unsigned_abs()
            || now.boot != self.window.now.boot
    }

    /// Judges. The window is to be written down before anybody hears of it.
    async fn tick(&mut self, probes: Option<Vec<Asked>>) -> Verdicts {
        let (window, verdicts) = self.parts.watcher.tick(self.window.clone(), probes).await;
        self.window = window;
        if verdicts.level != verdicts.before {
            record::remember(&mut self.window, verdicts.level.word(), &verdicts.why);
        }
        self.write_verdicts();
        verdicts
    }

    fn advice(&self, verdicts: &Verdicts) -> Option<Recommendation> {
        if verdicts.level < Level::RollbackRecommended {
            return None;
        }
        match going_back::recommend(&self.setup.state, &self.parts.flags, &self.window) {
            Ok(advice) => Some(advice),
            Err(error) => {
                out::say(&format!("cutover: how to go back cannot be told in full: {error:#}"));
                None
            }
        }
    }

    fn line(&self, verdicts: &Verdicts, advice: Option<&Recommendation>) -> String {
        let line = words::line(verdicts, &self.config.project.environment);
        match advice {
            Some(advice) if verdicts.level != verdicts.before => format!("{line}; {}", words::in_one_line(advice)),
            _ => line,
        }
    }

    /// The daemon's line on stderr, and the whole at its first tick.
    fn tell(&self, verdicts: &Verdicts, is_first: bool) {
        let advice = self.advice(verdicts);
        if is_first && !self.global.quiet {
            out::say(&words::text(verdicts, &self.window, advice.as_ref()));
        } else if verdicts.has_changed() {
            out::say(&format!("{} {}", clock::now(), self.line(verdicts, advice.as_ref())));
        }
    }
}

fn code_of(level: Level) -> u8 {
    match level {
        Level::Ok | Level::Watch => exit::DONE,
        Level::Hold | Level::RollbackRecommended | Level::Rollback => exit::REFUSED,
    }
}
