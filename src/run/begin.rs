//! Beginning and going on: a run's number, its files, its journal; and the end, which is written by one function.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::deploy::Planned;
use super::engine::{End, Engine};
use super::prober::{Prober, Tally};
use crate::adapter::{clock, files};
use crate::journal::entry::FORMAT;
use crate::journal::runs::{self, RunFile};
use crate::journal::{Fact, Header, Journal, JournalError, Outcome, RunState, state};
use crate::report::Event;
use crate::step::plan::{Plan, RunKind};
use crate::step::save_incident::KEPT_TRACES;
use crate::step::{Act, Actor, Hands, RunTag, World};

/// What the prober met, beside the journal.
pub const PROBED: &str = "probe.json";

/// The longest that a way back waits for logs to be saved.
const LONGEST_SAVING: Duration = Duration::from_secs(30);

/// A run whose journal is open.
pub struct Open {
    /// What its journal says so far.
    pub state: RunState,
    /// The plan.
    pub plan: Plan,
    /// The journal.
    pub journal: Journal,
    /// Which run, and where it keeps things.
    pub tag: RunTag,
    /// Whether it waits at checkpoints, instead of ending there.
    pub waits: bool,
}

/// Begins a new run: the journal's file takes the number, then come the files beside it, then the first line with the
/// whole plan, durable before anything else. Without that line nothing was begun.
///
/// # Errors
/// When there is no room, or the directory cannot be written; nothing was begun then.
pub fn begin(state_directory: &Path, planned: &Planned, by: &str) -> Result<Open> {
    let directory = state_directory.join("runs");
    files::make_private_directory(&directory)?;
    let number = runs::list(&directory).context("cannot list the runs")?.last().map_or(0, |run| run.number) + 1;
    let plan = planned.plan.clone();
    let path = runs::journal_path(&directory, number, plan.kind.word());
    let journal = Journal::create(&path, clock::boot_id(), clock::now)?;
    let file = RunFile { number, kind: plan.kind.word().to_owned(), path };
    let begun = write_first(&directory, planned, journal, number, by);
    if begun.is_err() {
        // An error here is the one to tell; what cannot be cleared now is cleared by the next run.
        if let Err(error) = runs::clear(&file) {
            tracing::warn!(%error, "what was begun of the run could not be cleared away");
        }
    }
    begun
}

fn write_first(directory: &Path, planned: &Planned, mut journal: Journal, number: u32, by: &str) -> Result<Open> {
    let plan = planned.plan.clone();
    let side = runs::side_directory(directory, number);
    files::make_private_directory(&side)?;
    for (name, content) in &planned.files {
        files::write_json(&side.join(name), content, 0o600)?;
    }
    let header = Header {
        format: FORMAT,
        number,
        run: plan.kind.word().to_owned(),
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        by: by.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        plan_hash: plan.hash(),
        undoes: plan.undoes,
    };
    let first = journal.append(Fact::Planned { header, plan: plan.to_json() })?;
    let state = state::fold(number, plan.kind.word(), &[first]);
    let tag = RunTag { number, epoch: journal.epoch(), side };
    Ok(Open { state, plan, journal, tag, waits: false })
}

/// Opens an interrupted run to go on with it.
///
/// # Errors
/// When its journal cannot be read, is broken, or was written by a newer version.
pub fn go_on(file: &RunFile, why: &str) -> Result<Open> {
    let (mut journal, entries) = Journal::go_on(&file.path, clock::boot_id(), clock::now)?;
    let state = state::fold(file.number, &file.kind, &entries);
    let plan = plan_of(&state)?;
    journal.append(Fact::Note { text: why.to_owned() })?;
    let directory = file.path.parent().unwrap_or_else(|| Path::new("."));
    let tag =
        RunTag { number: file.number, epoch: journal.epoch(), side: runs::side_directory(directory, file.number) };
    Ok(Open { state, plan, journal, tag, waits: false })
}

/// Writes down that items of an open rollback are left out at a person's wish; they stay as they are.
///
/// # Errors
/// When the journal cannot be written.
pub fn leave_out(open: &mut Open, items: &[usize], why: &str) -> Result<()> {
    for index in items {
        let name = open.plan.items[*index].name.clone();
        let seen = why.to_owned();
        open.journal.append(Fact::Undone { item: *index, name, seen, stays: true, took_ms: 0 })?;
    }
    let entries = crate::journal::read(open.journal.path())?;
    open.state = state::fold(open.state.number, &open.state.kind, &entries);
    Ok(())
}

/// The plan that a journal holds.
///
/// # Errors
/// When this version cannot read it.
pub fn plan_of(state: &RunState) -> Result<Plan> {
    serde_json::from_value(state.plan.clone())
        .with_context(|| format!("the plan of run {} cannot be read by this version of cutover", state.number))
}

/// How a run ended: the outcome and what to say. No outcome means that it was interrupted and can be gone on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// The outcome.
    pub outcome: Option<Outcome>,
    /// Why it failed, where it did.
    pub why: Option<String>,
    /// Whether it stands at a checkpoint: it was not interrupted, it waits for a person.
    pub is_waiting: bool,
    /// What the public route was seen to answer meanwhile, where it was asked.
    pub probed: Option<Tally>,
}

/// Carries a run out to its end: forward, and back again where it fails and the plan says so.
///
/// # Errors
/// When the journal cannot be written.
pub async fn carry_out(
    engine: &mut Engine<'_, Hands>,
    before: &RunState,
    exit_of: impl Fn(Outcome) -> u8,
    prober: Option<Prober>,
) -> Result<Finish, JournalError> {
    let ended = carry(engine, before).await?;
    let probed = match prober {
        Some(prober) => prober.end().await,
        None => None,
    };
    // Hours of a runbook may pass before there is anybody to be asked: that is worth no line.
    let probed = probed.filter(|tally| engine.plan.course.is_none() || tally.is_of_use());
    if let Some(tally) = &probed {
        engine.journal.append(Fact::Note { text: tally.words() })?;
        let directory = engine.journal.path().parent().unwrap_or_else(|| Path::new("."));
        keep_tally(&runs::side_directory(directory, engine.number).join(PROBED), tally);
    }
    let (outcome, why) = match ended {
        Ended::With(outcome, why) => (outcome, why),
        Ended::Waiting => return Ok(Finish { outcome: None, why: None, is_waiting: true, probed }),
        Ended::Interrupted => {
            engine.journal.append(Fact::Note { text: "interrupted by a person or a signal".into() })?;
            return Ok(Finish { outcome: None, why: None, is_waiting: false, probed });
        }
    };
    engine.finish(outcome, exit_of(outcome), why.as_deref().unwrap_or("done"))?;
    Ok(Finish { outcome: Some(outcome), why, is_waiting: false, probed })
}

/// Adds what was met to what earlier processes of the run met. The journal has it in words already; the file is for the
/// page of the run.
fn keep_tally(path: &Path, tally: &Tally) {
    let before: Option<serde_json::Value> = path.exists().then(|| files::read_json(path).ok()).flatten();
    let whole = before.map_or_else(|| tally.clone(), |before| tally.clone().after(&before));
    if let Err(error) = files::write_json(path, &whole.to_json(), 0o600) {
        tracing::warn!("what the prober saw could not be written to {}: {error:#}", path.display());
    }
}

/// How far it came.
enum Ended {
    /// To an end.
    With(Outcome, Option<String>),
    /// A person asked to stop.
    Interrupted,
    /// To a checkpoint.
    Waiting,
}

async fn carry(engine: &mut Engine<'_, Hands>, before: &RunState) -> Result<Ended, JournalError> {
    if before.is_going_back {
        let why = before.failure.as_ref().map(|(_, why)| why.clone());
        return home(engine, before, why).await;
    }
    if let Some((_, why)) = before.failure.as_ref().filter(|(item, _)| turns_back(engine, before, *item)) {
        // It was killed between its failure and the first step back: that decision stands.
        return home(engine, before, Some(why.clone())).await;
    }
    let (item, failure) = match engine.forward(before).await? {
        End::Done => return Ok(Ended::With(Outcome::Done, None)),
        End::Interrupted => return Ok(Ended::Interrupted),
        End::Waiting => return Ok(Ended::Waiting),
        End::Unknown { why, .. } if was_touched(engine, &reread(engine, before)?) => {
            return Ok(Ended::With(Outcome::Held, Some(why)));
        }
        End::Unknown { item, why } | End::Failed { item, why } => (item, why),
    };
    let now = reread(engine, before)?;
    let was_touched = was_touched(engine, &now);
    if engine.plan.kind == RunKind::Rollback {
        // The way home is never turned around: what is done stays done, and a person sees where things stand.
        let outcome = if was_touched { Outcome::Stuck } else { Outcome::Unchanged };
        return Ok(Ended::With(outcome, Some(failure)));
    }
    if was_touched && !engine.plan.turns_back_at(item) {
        return Ok(Ended::With(Outcome::Held, Some(failure)));
    }
    home(engine, &now, Some(failure)).await
}

/// Whether the failure that the journal holds leads home. A person who resumes a held run wants it tried again.
fn turns_back(engine: &Engine<'_, Hands>, state: &RunState, item: usize) -> bool {
    let is_for_good = state.failure.is_some() && !state.is_failure_unknown;
    let leads_back = engine.plan.turns_back_at(item) || !was_touched(engine, state);
    is_for_good && engine.plan.kind != RunKind::Rollback && leads_back
}

fn was_touched(engine: &Engine<'_, Hands>, state: &RunState) -> bool {
    let mut pairs = state.items.iter().zip(&engine.plan.items);
    pairs.any(|(state, item)| state.was_begun && (item.back || item.action.changes_the_world()))
}

async fn home(engine: &mut Engine<'_, Hands>, state: &RunState, why: Option<String>) -> Result<Ended, JournalError> {
    let was_touched = state
        .items
        .iter()
        .zip(&engine.plan.items)
        .any(|(state, item)| state.was_begun && item.action.changes_the_world());
    if was_touched && let Some(words) = save_traces(engine).await {
        engine.journal.append(Fact::Note { text: words.clone() })?;
        engine.listener.hear(Event::Note { text: words });
    }
    Ok(match engine.rewind(state, was_touched).await? {
        End::Done if was_touched => Ended::With(Outcome::RolledBack, why),
        End::Done => Ended::With(Outcome::Unchanged, why),
        // Gates are passed by on the way back, so nothing waits there.
        End::Interrupted | End::Waiting => Ended::Interrupted,
        End::Failed { why: stuck, .. } | End::Unknown { why: stuck, .. } => {
            let first = why.map_or_else(String::new, |why| format!("{why}; and on the way back: "));
            Ended::With(Outcome::Stuck, Some(format!("{first}{stuck}")))
        }
    })
}

/// Saves the logs of what the way back is about to remove: with its containers goes the cause. That is a help and no
/// condition, so nothing about it stands in the way home. What was saved by a process before this one stays as it is.
async fn save_traces(engine: &mut Engine<'_, Hands>) -> Option<String> {
    let save = engine.plan.way_back.iter().find(|item| matches!(item.action, Act::SaveIncident(_)))?;
    if matches!(engine.actor.check(&save.action).await, Ok(World::After(_))) {
        return None;
    }
    engine.lock.say(engine.number, &save.name);
    let mut stop = engine.stop.clone();
    let is_ended_now = async {
        if stop.wait_for(|times| *times >= 2).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let silent = |_: String| ();
    let saved = tokio::select! {
        saved = tokio::time::timeout(LONGEST_SAVING, engine.actor.run(&save.action, &silent)) => saved,
        () = is_ended_now => return None,
    };
    let words = match saved {
        Ok(Ok(facts)) => {
            let directory = facts["directory"].as_str().unwrap_or_default();
            format!("{KEPT_TRACES}{directory}")
        }
        Ok(Err(error)) => format!("the logs could not be saved before the way back: {error:#}"),
        Err(_) => format!("the logs could not be saved before the way back within {} s", LONGEST_SAVING.as_secs()),
    };
    Some(engine.redactor.clean(&words))
}

fn reread(engine: &Engine<'_, Hands>, before: &RunState) -> Result<RunState, JournalError> {
    let entries = crate::journal::read(engine.journal.path())?;
    Ok(state::fold(before.number, &before.kind, &entries))
}
