//! Waiting at a checkpoint with `--wait`: approvals are heard, and the checks go on, until it passes, expires, or somebody stops it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::mailbox;
use crate::adapter::clock::Stopwatch;
use crate::cli::exit::MidRun;
use crate::journal::{Outcome, RunState};
use crate::report::Event;
use crate::run::approvals::Ruling;
use crate::run::begin::{self, Finish};
use crate::run::checkpoints::{Desk, Heard};
use crate::run::prober::Prober;
use crate::run::{Engine, approvals};
use crate::step::Hands;

/// Between two looks into the mailbox.
const LOOK: Duration = Duration::from_millis(200);

/// What a run that waits is surrounded by.
pub struct Around<'a> {
    /// The directory beside its journal.
    pub side: &'a Path,
    /// The exit code of an outcome.
    pub exit_of: fn(Outcome) -> u8,
    /// Called before each wait.
    pub begins_to_wait: &'a (dyn Fn(&RunState) + Sync),
    /// Begins to ask the public route; while it waits for a person, nobody does.
    pub probes: &'a (dyn Fn() -> Option<Prober> + Sync),
}

/// Carries a run out to its end, and waits at its checkpoints.
///
/// # Errors
/// When the journal cannot be written, or a checkpoint cannot be looked at.
pub async fn carry_out(engine: &mut Engine<'_, Hands>, before: &RunState, around: &Around<'_>) -> Result<Finish> {
    let mut state = before.clone();
    loop {
        let finish = begin::carry_out(engine, &state, around.exit_of, (around.probes)()).await.map_err(MidRun)?;
        if !finish.is_waiting {
            return Ok(finish);
        }
        let entries = crate::journal::read(engine.journal.path()).map_err(MidRun)?;
        (around.begins_to_wait)(&crate::journal::state::fold(before.number, &before.kind, &entries));
        if !wait(engine, around.side).await? {
            return Ok(finish);
        }
        let entries = crate::journal::read(engine.journal.path()).map_err(MidRun)?;
        state = crate::journal::state::fold(before.number, &before.kind, &entries);
    }
}

/// Waits; tells whether the run can go on (to pass, or to carry out what an expiry leads to).
///
/// # Errors
/// When the world cannot be asked or the journal fails.
pub async fn wait(engine: &mut Engine<'_, Hands>, side: &Path) -> Result<bool> {
    let stop = engine.stop.clone();
    let (listener, number) = (engine.listener, engine.number);
    let mut desk =
        Desk { plan: engine.plan, journal: engine.journal, hands: engine.actor, redactor: engine.redactor, number };
    let (mut shown, _) = desk.look().await?;
    let item = approvals::checkpoint(desk.plan, &desk.state()?).map_or(0, |(item, _)| item);
    engine.lock.say(number, &format!("waiting for {:?}", shown.signal));
    listener.hear(Event::Waits { item, missing: shown.missing.clone() });
    let mut watch = Stopwatch::start();
    loop {
        if *stop.borrow() > 0 {
            return Ok(false);
        }
        for (question, request) in mailbox::requests(side)? {
            let heard = desk.hear(&request).await?;
            mailbox::answer(&question, &heard)?;
            if let Heard::Refused(why) = &heard {
                listener.hear(Event::Note { text: format!("{} was not heard: {why}", request.by) });
            }
            if let Heard::Passes(_) = heard {
                return Ok(true);
            }
            watch = Stopwatch::start();
        }
        if watch.left(Duration::from_millis(shown.recheck_ms)).is_none() {
            let (now, ruling) = desk.look().await?;
            if now.missing != shown.missing {
                listener.hear(Event::Waits { item, missing: now.missing.clone() });
            }
            shown = now;
            if ruling != Ruling::Waits {
                return Ok(true);
            }
            watch = Stopwatch::start();
        }
        tokio::time::sleep(LOOK).await;
    }
}
