//! Carrying a run out: lock, signals, listener, engine; then the result, which says what is true now.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::exit::{self, MidRun};
use super::global::Global;
use super::out;
use super::runbook::{record, waiting};
use super::setup::Setup;
use super::telling::{self, Telling};
use crate::adapter::{clock, files};
use crate::data::plural::counted;
use crate::journal::lock::{self, LockError};
use crate::journal::runs::RunFile;
use crate::journal::{Fact, Lock, Outcome, RunState, runs, state};
use crate::notify::Delivery;
use crate::release::Store;
use crate::report::event::{Both, Deaf};
use crate::report::plain::{Clocks, Plain};
use crate::report::screen::Screen;
use crate::report::{Event, Listener, checkpoint, manifest, result};
use crate::run::begin::{self, Open};
use crate::run::front::Front;
use crate::run::prober::Prober;
use crate::run::{Engine, Refusal, Stop, orphans};
use crate::step::RunKind;

/// Takes the lock of the host, and makes the state directory where there is none.
///
/// # Errors
/// When another run holds it.
pub fn take_lock(state: &Path, verb: &str) -> Result<Lock> {
    files::make_private_directory(state)?;
    let lock = Lock::take(state, verb, clock::now())?;
    tidy_up(state);
    Ok(lock)
}

/// Takes the lock, and ends what a killed run left at work.
///
/// # Errors
/// When a living run holds it, or an orphan does not end.
pub async fn take_lock_from_the_dead(state: &Path, verb: &str) -> Result<(Lock, Vec<String>)> {
    files::make_private_directory(state)?;
    let held = match Lock::take(state, verb, clock::now()) {
        Ok(lock) => {
            tidy_up(state);
            return Ok((lock, Vec::new()));
        }
        Err(LockError::Held(held)) if !held.is_owner_alive => held,
        Err(error) => return Err(error.into()),
    };
    out::say(&format!("cutover: {}; ending it", held.words()));
    let holders = || lock::held(state).ok().flatten().map(|held| held.processes).unwrap_or_default();
    let ended = orphans::end(&held, holders).await?;
    let lock = Lock::take(state, verb, clock::now())?;
    tidy_up(state);
    Ok((lock, ended))
}

/// Tidies up as far as it can be done: a full disk, say, must not stand in the way home.
fn tidy_up(state: &Path) {
    if let Err(error) = tidy(state) {
        tracing::warn!("what an earlier process left unfinished could not be tidied up: {error:#}");
    }
}

/// Clears away files that a killed process had not made whole, and writes the manifest that it did not come to write.
/// Only the holder of the lock may do so: to others such a file may be one that is just being written.
fn tidy(state: &Path) -> Result<()> {
    let runs = state.join("runs");
    let beside = std::fs::read_dir(&runs).into_iter().flatten().flatten().map(|entry| entry.path());
    let beside = beside.flat_map(|path| [path.join("incident"), path]);
    let others = ["", "runs", "backups", "exports", "reports"].map(|name| state.join(name));
    others.into_iter().chain(beside).try_for_each(|directory| files::sweep(&directory))?;
    Store::new(state).tidy()?;
    let all = runs::list(&runs).context("cannot list the runs")?;
    let Some(file) = all.last().filter(|file| file.kind == RunKind::Rollback.word()) else { return Ok(()) };
    let (run, entries) = (file.state()?, file.entries()?);
    if run.outcome.is_some() && !manifest_path(state, run.number).exists() {
        keep_manifest(state, &run, &entries)?;
    }
    Ok(())
}

/// Clears away runs that were killed before anything of them was written down; gives the last one.
///
/// # Errors
/// When a journal cannot be read or a file cannot be removed.
pub fn clear_unbegun(state: &Path) -> Result<Option<RunFile>> {
    let unbegun = runs::unbegun(&state.join("runs"))?;
    for file in &unbegun {
        runs::clear(file).with_context(|| format!("cannot clear run {} away, which began nothing", file.number))?;
    }
    Ok(unbegun.into_iter().next())
}

/// Refuses to begin while an earlier run is open.
///
/// # Errors
/// [`Refusal::Waiting`] where it stands at a checkpoint, else [`Refusal::Interrupted`].
pub fn nothing_open(state: &Path) -> Result<()> {
    let Some(open) = last_open(state)? else { return Ok(()) };
    if let Some(shown) = checkpoint::shown(&open) {
        return Err(Refusal::Waiting(format!(
            "run {} ({}) stands at a checkpoint and waits for {:?}; `cutover approve`, then `cutover resume`; `cutover \
             rollback` undoes it",
            open.number, open.kind, shown.signal
        ))
        .into());
    }
    let step = open.stopped_in().map_or_else(String::new, |item| format!(" in the step {}", item.name));
    Err(Refusal::Interrupted(format!(
        "run {} ({}) stopped{step} and was not finished; `cutover resume` goes on with it, `cutover rollback` undoes it",
        open.number, open.kind
    ))
    .into())
}

/// The last run, where it is open.
///
/// # Errors
/// When a journal cannot be read.
pub fn last_open(state: &Path) -> Result<Option<RunState>> {
    Ok(runs::last(&state.join("runs"))?.filter(RunState::is_open))
}

/// Carries an open run out and prints the result.
///
/// # Errors
/// When the journal cannot be written.
pub async fn carry(global: &Global, setup: &Setup, lock: Lock, open: Open, ended: &[String]) -> Result<u8> {
    carry_as(global, setup, lock, open, ended, exit::of_outcome).await
}

/// The same, with exit codes of the caller's.
///
/// # Errors
/// As [`carry`].
pub async fn carry_as(
    global: &Global,
    setup: &Setup,
    mut lock: Lock,
    mut open: Open,
    ended: &[String],
    exit_of: fn(Outcome) -> u8,
) -> Result<u8> {
    for orphan in ended {
        open.journal
            .append(Fact::Note { text: format!("ended what a killed run left at work: {orphan}") })
            .map_err(MidRun)?;
    }
    let (sender, stop) = watch::channel(0_u8);
    listen_to_signals(sender)?;
    let hands = match hands(setup, &open).await {
        Ok(hands) => hands,
        Err(error) => {
            // The run is open and nothing of it was begun by us: it can be gone on with once the world answers.
            out::say(&format!("cutover: {error:#}; `cutover resume` goes on with run {}", open.tag.number));
            return Ok(exit::INTERRUPTED);
        }
    };
    let listener = logged(listener(global, setup, &open), setup, &open)?;
    listener.hear(began(&open));
    let telling = Telling::begin(setup, &open);
    let listener: Box<dyn Listener> = Box::new(Both(listener, telling.listener(&open)));
    let mut engine = Engine {
        plan: &open.plan,
        actor: &hands,
        journal: &mut open.journal,
        lock: &mut lock,
        number: open.tag.number,
        listener: listener.as_ref(),
        redactor: &setup.redactor,
        stop: Stop::clone(&stop),
    };
    // Accounts of what people met are for runs that replace or switch what serves; a runbook's may deploy.
    let is_probed =
        matches!(open.plan.kind, RunKind::Deploy | RunKind::Rollback | RunKind::Cutover | RunKind::Rehearsal);
    let front = Front::beside(&open.tag.side).filter(|_| is_probed);
    let probes = || front.as_ref().map(|front| Prober::start(&setup.http, front));
    let finish = if open.waits {
        let begins_to_wait = |run: &RunState| telling.waits(&open.plan, run);
        let around =
            waiting::Around { side: &open.tag.side, exit_of, begins_to_wait: &begins_to_wait, probes: &probes };
        waiting::carry_out(&mut engine, &open.state, &around).await
    } else {
        begin::carry_out(&mut engine, &open.state, exit_of, probes()).await.map_err(|error| MidRun(error).into())
    };
    drop(listener);
    match finish {
        Ok(finish) => last_words(global, setup, &mut open, &finish, &telling, exit_of).await,
        Err(error) => {
            let told = telling.broke_off(&open.plan, open.tag.number, &error).await;
            telling::failures(&told).iter().for_each(|words| out::say(words));
            Err(error)
        }
    }
}

/// The result, and what is kept of it.
async fn last_words(
    global: &Global,
    setup: &Setup,
    open: &mut Open,
    finish: &begin::Finish,
    telling: &Telling,
    exit_of: fn(Outcome) -> u8,
) -> Result<u8> {
    let entries = crate::journal::read(open.journal.path()).map_err(MidRun)?;
    let run = state::fold(open.tag.number, open.plan.kind.word(), &entries);
    if open.plan.kind == RunKind::Rollback
        && let Err(error) = keep_manifest(&setup.state, &run, &entries)
    {
        // The run has ended as it has ended; a disk without room for a paper about it changes nothing of that.
        let again = "it is written once there is room, by the next verb that takes the lock";
        out::say(&format!("cutover: the manifest of this rollback could not be written: {error:#}; {again}"));
    }
    if global.is_json() {
        let mut document = match finish.is_waiting {
            true => checkpoint::waiting_json(&run),
            false => result::result_json(open.plan.kind, finish.outcome, &run, &open.plan),
        };
        if let Some(tally) = &finish.probed {
            document["public_route"] = tally.to_json();
        }
        if setup.notifier.is_some() {
            let told = telling.end(setup, &open.plan, &run, finish).await;
            document["told"] = telling::document(&told);
            keep_told(setup, open, &told);
        }
        out::json(document);
    } else {
        // Who sits here reads it now; the others are told after that.
        let style = result_style(global);
        out::result(&match finish.is_waiting {
            true => checkpoint::waiting_text(&run, &style),
            false => result::result_text(open.plan.kind, finish.outcome, &run, &open.plan, &style),
        });
        if let Some(tally) = &finish.probed {
            out::result(&tally.words());
        }
        let told = telling.end(setup, &open.plan, &run, finish).await;
        telling::failures(&told).iter().for_each(|words| out::result(words));
        keep_told(setup, open, &told);
    }
    if finish.is_waiting {
        return Ok(exit::WAITING);
    }
    Ok(finish.outcome.map_or(exit::INTERRUPTED, exit_of))
}

/// Who was not told is kept with the run, for its page and its history. The run does not depend on that either.
fn keep_told(setup: &Setup, open: &mut Open, told: &[Delivery]) {
    for text in telling::remarks(told) {
        if let Err(error) = open.journal.append(Fact::Note { text: setup.redactor.clean(&text) }) {
            tracing::warn!("who was not told could not be kept in the journal: {error}");
        }
    }
}

/// The hands for an open run: with the variables of its commands, and the engine where it is needed.
///
/// # Errors
/// When the engine does not answer, or what a killed run left at work does not end.
pub async fn hands(setup: &Setup, open: &Open) -> Result<crate::step::Hands> {
    let mut hands = setup.hands(open.tag.clone());
    hands.variables = variables(&open.plan);
    setup.redactor.learn(hands.variables.iter().map(|(_, value)| value.clone()));
    ready(hands, open).await
}

/// The variables that commands of the plan get, from this process's environment.
pub fn variables(plan: &crate::step::Plan) -> Vec<(String, String)> {
    let acts = plan.items.iter().chain(&plan.way_back).map(|item| &item.action);
    let mut names: Vec<String> = acts.flat_map(|act| act.variables()).collect();
    names.sort();
    names.dedup();
    crate::config::Environment::of_process().chosen(&names)
}

/// The hands for a plan: the engine answers where it is needed, and nothing that a killed run left is at work.
async fn ready(hands: crate::step::Hands, open: &Open) -> Result<crate::step::Hands> {
    let is_gone_on_with = open.tag.epoch > 1;
    if is_gone_on_with && open.plan.items.iter().any(|item| item.action.needs_databases()) {
        for place in hands.databases.all() {
            let ended = crate::rows::sessions::end_ours(place).await?;
            if ended > 0 {
                out::say(&format!(
                    "cutover: ended {} that a killed run left on {}",
                    counted(ended, "session"),
                    place.shown()
                ));
            }
        }
    }
    if !open.plan.needs_engine() {
        return Ok(hands);
    }
    let docker = hands.docker.clone().negotiate().await?;
    if is_gone_on_with {
        orphans::settle(&docker, &open.plan.project).await?;
    }
    Ok(crate::step::Hands { docker, ..hands })
}

fn result_style(global: &Global) -> crate::report::style::Style {
    super::setup::style(global, &crate::config::Environment::of_process(), out::is_result_shown())
}

fn began(open: &Open) -> Event {
    Event::Began {
        run: open.tag.number,
        kind: open.plan.kind.word().to_owned(),
        items: open.plan.items.iter().map(|item| (item.name.clone(), item.title.clone())).collect(),
        epoch: open.tag.epoch,
    }
}

fn manifest_path(state: &Path, run: u32) -> PathBuf {
    state.join("reports").join(format!("{run:04}-manifest.json"))
}

fn keep_manifest(state: &Path, run: &RunState, entries: &[crate::journal::Entry]) -> Result<()> {
    let undone = run.header.as_ref().and_then(|header| header.undoes).and_then(|number| {
        let all = runs::list(&state.join("runs")).ok()?;
        all.iter().find(|file| file.number == number)?.state().ok()
    });
    let path = manifest_path(state, run.number);
    files::make_private_directory(&state.join("reports"))?;
    files::write_json(&path, &manifest::manifest(run, entries, undone.as_ref()), 0o600)?;
    out::say(&format!("manifest: {}", path.display()));
    Ok(())
}

/// A run of data is written to the log file too, where there is one.
fn logged(listener: Box<dyn Listener>, setup: &Setup, open: &Open) -> Result<Box<dyn Listener>> {
    let Some(path) = setup.log.as_ref().filter(|_| open.plan.kind == RunKind::Data) else { return Ok(listener) };
    let log = Plain::new(out::log_file(path)?, Clocks { now: clock::now, since_boot: clock::since_boot });
    Ok(Box::new(Both(listener, Box::new(log))))
}

fn listener(global: &Global, setup: &Setup, open: &Open) -> Box<dyn Listener> {
    if global.quiet {
        Box::new(Deaf)
    } else if super::setup::is_live(global, &crate::config::Environment::of_process()) {
        let pace = record::pace(&setup.state, &open.state).unwrap_or_else(|error| {
            tracing::warn!("how long the steps may take is not known: {error:#}");
            None
        });
        Box::new(match pace {
            Some(pace) => Screen::paced(setup.style, pace),
            None => Screen::new(setup.style),
        })
    } else {
        Box::new(Plain::new(std::io::stderr(), Clocks { now: clock::now, since_boot: clock::since_boot }))
    }
}

/// One request ends the run after the current step, a second one ends it now. A lost terminal ends nothing.
fn listen_to_signals(sender: watch::Sender<u8>) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen to SIGHUP")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {
                    tracing::warn!("the terminal is gone; the run goes on, `cutover status` tells how it stands");
                    continue;
                }
            }
            let times = *sender.borrow() + 1;
            out::say(match times {
                1 => "cutover: stopping after the current step; press Ctrl-C once more to stop at once",
                _ => "cutover: stopping at once; `cutover resume` or `cutover rollback` takes it from here",
            });
            if sender.send(times.min(2)).is_err() {
                return;
            }
        }
    });
    Ok(())
}
