//! `approve`: a person passes a checkpoint. Everything is asked again before it counts; where a run waits, that run asks.

use anyhow::{Context, Result};

use super::arguments::Approve;
use super::{cook, mailbox};
use crate::adapter::clock;
use crate::cli::carry::{hands, last_open, take_lock, take_lock_from_the_dead};
use crate::cli::confirm::ask_plainly;
use crate::cli::global::Global;
use crate::cli::setup::{self, Setup};
use crate::cli::{exit, out, resume};
use crate::config::Environment;
use crate::journal::lock::LockError;
use crate::journal::{Lock, RunState, runs};
use crate::report::checkpoint::{shown, shown_text, waiting_json};
use crate::run::approvals::{self, Request};
use crate::run::checkpoints::{Desk, Heard};
use crate::run::{Refusal, begin};

/// The verb.
///
/// # Errors
/// [`Refusal`], when it does not count; or when the world cannot be asked.
pub async fn run(global: &Global, verb: &Approve) -> Result<u8> {
    let (state, config) = setup::state_directory(global)?;
    let setup = Setup::without_engine(global, state, config.as_ref())?;
    let Some(open) = last_open(&setup.state)? else {
        let why = "no run waits for an approval; `cutover status` tells how things stand";
        return Err(Refusal::Gate(why.into()).into());
    };
    let plan = begin::plan_of(&open)?;
    if let Some(why) = cook::drift(&plan).filter(|_| !verb.cancel) {
        return Err(Refusal::Gate(why).into());
    }
    let request = request(global, &open, verb);
    if let Some(why) = approvals::refusal(&open, &plan, &request, clock::unix_seconds()) {
        return Err(Refusal::Gate(why).into());
    }
    let (heard, is_waited_for) = match take_lock(&setup.state, "approve") {
        Ok(lock) => (at_the_desk(&setup, &lock, open.number, &request).await?, false),
        Err(error) => match error.downcast_ref::<LockError>() {
            // Whoever waits has the journal: he asks, and writes the approval down.
            Some(LockError::Held(held)) if held.is_owner_alive => {
                let side = runs::side_directory(&setup.state.join("runs"), open.number);
                (mailbox::ask(&setup.state, &side, &request).await?, true)
            }
            // The run stands at this checkpoint, so what a killed process left there is a gate that only looks.
            Some(LockError::Held(_)) => {
                let (lock, _) = take_lock_from_the_dead(&setup.state, "approve").await?;
                (at_the_desk(&setup, &lock, open.number, &request).await?, false)
            }
            _ => return Err(error),
        },
    };
    answer(global, &setup, &open, heard, is_waited_for)
}

/// Without a run that waits: the journal is opened, the gates are asked, the approval is written down.
async fn at_the_desk(setup: &Setup, lock: &Lock, number: u32, request: &Request) -> Result<Heard> {
    tracing::trace!(?lock, "the lock is held while the approval is judged");
    let mut open = resume::open(setup, number, &format!("looked at by {}", request.by))?;
    let hands = hands(setup, &open).await?;
    let mut desk =
        Desk { plan: &open.plan, journal: &mut open.journal, hands: &hands, redactor: &setup.redactor, number };
    desk.hear(request).await
}

fn request(global: &Global, open: &RunState, verb: &Approve) -> Request {
    let mut confirmed = verb.confirms.clone();
    let page = shown(open).filter(|page| page.signal == verb.signal && !verb.cancel);
    if let Some(page) = page.filter(|_| out::can_ask() && !global.no_input) {
        let style = setup::style(global, &Environment::of_process(), out::is_progress_shown());
        out::say(&shown_text(&page, &style));
        for statement in page.statements.iter().filter(|one| !verb.confirms.contains(&one.name)) {
            if ask_plainly(&format!("{}? [y/N] ", statement.words)) {
                confirmed.push(statement.name.clone());
            }
        }
    }
    Request {
        signal: verb.signal.clone(),
        user: setup::person(),
        host: setup::host(),
        by: setup::by(),
        note: verb.note.clone().unwrap_or_default(),
        confirmed,
        plan: verb.plan.clone(),
        evidence: verb.evidence.clone(),
        cancels: verb.cancel,
    }
}

fn answer(global: &Global, setup: &Setup, open: &RunState, heard: Heard, is_waited_for: bool) -> Result<u8> {
    let number = open.number;
    let (words, next, code) = match heard {
        Heard::Refused(why) => return Err(Refusal::Gate(why).into()),
        Heard::Passes(words) => (words, format!("cutover resume  goes on with run {number}"), exit::DONE),
        Heard::TakenBack(words) => (words, format!("cutover status  how run {number} stands"), exit::DONE),
        Heard::Counts(words) => (words, "cutover approve  by another person".to_owned(), exit::WAITING),
    };
    if global.is_json() {
        let all = runs::list(&setup.state.join("runs")).context("cannot list the runs")?;
        let run = all.iter().find(|file| file.number == number).context("the run's journal is gone")?.state()?;
        let mut document = waiting_json(&run);
        document["words"] = words.into();
        document["exit"] = code.into();
        out::json(document);
    } else {
        let by_itself = "the run that waits goes on by itself".to_owned();
        let next = if is_waited_for && code == exit::DONE { by_itself } else { format!("next: {next}") };
        out::result(&format!("{words}\n{next}"));
    }
    Ok(code)
}
