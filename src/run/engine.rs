//! Forward and rewind: the only two loops that change the world.
//!
//! `started` is durable before an act, `done` is written after the world was looked at again. A failure of the journal
//! itself ends the process at once: what cannot be written down must not be done.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::sync::watch;

use super::approvals::{self, Ruling};
use super::rest::{self, is_back};
use crate::adapter::clock::{self, Stopwatch};
use crate::journal::{Fact, ItemState, Journal, JournalError, Lock, Outcome, RunState, state};
use crate::redact::Redactor;
use crate::report::{Event, Listener};
use crate::step::plan::{Item, Plan};
use crate::step::{Actor, Answer, Seen, Undone, World};

/// How often a person asked to stop: once ends the run after the current step, twice ends it now.
pub type Stop = watch::Receiver<u8>;

/// How a loop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every item is done.
    Done,
    /// An item failed.
    Failed {
        /// Its index.
        item: usize,
        /// Why.
        why: String,
    },
    /// A gate could not be asked to the end: neither good nor bad.
    Unknown {
        /// Its index.
        item: usize,
        /// What could not be asked, and why.
        why: String,
    },
    /// A person asked to stop.
    Interrupted,
    /// It stands at a checkpoint, and a person has to say that it passes.
    Waiting,
}

/// Carries a plan out.
pub struct Engine<'a, A: Actor> {
    /// The plan.
    pub plan: &'a Plan<A::Act>,
    /// Whoever acts.
    pub actor: &'a A,
    /// The journal.
    pub journal: &'a mut Journal,
    /// The lock, which says where the run is.
    pub lock: &'a mut Lock,
    /// Number of the run.
    pub number: u32,
    /// Who hears of it.
    pub listener: &'a dyn Listener,
    /// Blots secrets out of what is written down.
    pub redactor: &'a Redactor,
    /// Whether to stop.
    pub stop: Stop,
}

impl<A: Actor> Engine<'_, A> {
    /// Does what is left of the plan.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn forward(&mut self, state: &RunState) -> Result<End, JournalError> {
        let plan = self.plan;
        for index in rest::left(state, plan.items.len(), |index| self.actor.is_gate(&plan.items[index].action)) {
            let item = &plan.items[index];
            let is_gate = self.actor.is_gate(&item.action);
            if *self.stop.borrow() > 0 {
                return Ok(End::Interrupted);
            }
            self.lock.say(self.number, &item.name);
            let end = if is_gate {
                self.ask(index, item).await?
            } else if item.back {
                self.undo(index, item).await?
            } else {
                self.act(index, item).await?
            };
            if end != End::Done {
                return Ok(end);
            }
        }
        Ok(End::Done)
    }

    /// Undoes, last first, every step that was begun; then proves the old state, where there is something to prove.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub async fn rewind(&mut self, state: &RunState, must_prove: bool) -> Result<End, JournalError> {
        self.listener.hear(Event::TurnsBack);
        let plan = self.plan;
        // What others stand on comes back before them; all else strictly last first.
        let is_ground = |index: &usize| self.actor.is_ground(&plan.items[*index].action);
        let (ground, rest): (Vec<usize>, Vec<usize>) = (0..plan.items.len()).rev().partition(is_ground);
        for index in ground.into_iter().chain(rest) {
            let item = &plan.items[index];
            // What was found done, or was refused before it was begun, is not this run's to undo.
            let is_ours = |item: &ItemState| item.was_begun && !is_back(item.standing);
            if !state.items.get(index).is_some_and(is_ours) || self.actor.is_gate(&item.action) {
                continue;
            }
            if *self.stop.borrow() > 0 {
                return Ok(End::Interrupted);
            }
            self.lock.say(self.number, &format!("undoing {}", item.name));
            let end = self.undo(index, item).await?;
            if end != End::Done {
                return Ok(end);
            }
        }
        if must_prove { self.prove_home().await } else { Ok(End::Done) }
    }

    async fn prove_home(&mut self) -> Result<End, JournalError> {
        let plan = self.plan;
        for item in &plan.home {
            self.lock.say(self.number, &item.name);
            self.listener.hear(Event::ProvesHome { title: item.title.clone(), seen: None });
            let silent = |_: String| ();
            let answer = tokio::select! {
                answer = self.actor.ask(&item.action, &silent) => answer,
                () = asked_to_stop(self.stop.clone(), 1) => return Ok(End::Interrupted),
            };
            let (is_passed, words) = match answer {
                Ok(seen) => (seen.answer == Answer::Passed, self.redactor.clean(&seen.words)),
                Err(error) => (false, self.redactor.clean(&format!("{error:#}"))),
            };
            self.journal.append(Fact::Note { text: format!("{}: {words}", item.name) })?;
            self.listener.hear(Event::ProvesHome { title: item.title.clone(), seen: Some((is_passed, words.clone())) });
            if !is_passed {
                return Ok(End::Failed { item: plan.items.len(), why: format!("{}: {words}", item.title) });
            }
        }
        Ok(End::Done)
    }

    async fn ask(&mut self, index: usize, item: &Item<A::Act>) -> Result<End, JournalError> {
        self.begin(index, item, Fact::Started { item: index, name: item.name.clone() })?;
        let watch = Stopwatch::start();
        let (listener, redactor) = (self.listener, self.redactor);
        let say = move |text: String| listener.hear(Event::Says { item: index, text: redactor.clean(&text) });
        let answer = tokio::select! {
            answer = self.actor.ask(&item.action, &say) => answer,
            () = asked_to_stop(self.stop.clone(), 1) => return Ok(End::Interrupted),
        };
        match answer {
            Ok(seen) => {
                if matches!(seen.answer, Answer::Refused | Answer::Unknown) && seen.data.get("trail").is_some() {
                    // How it went until then is for the report; a failure has words alone.
                    let (name, words) = (item.name.clone(), self.redactor.clean(&seen.words));
                    let data = self.redactor.clean_json(seen.data.clone());
                    self.journal.append(Fact::Observed { item: index, name, seen: words, data })?;
                }
                match seen.answer {
                    Answer::Passed => self.done(index, item, seen.words, false, watch.elapsed(), seen.data),
                    Answer::Refused => self.failed(index, item, seen.words, false, watch.elapsed()),
                    Answer::Unknown => self.unknown(index, item, &seen.words, watch.elapsed()),
                    Answer::Waiting => self.checkpoint(index, item, seen, watch.elapsed()),
                }
            }
            Err(error) => self.unknown(index, item, &format!("{error:#}"), watch.elapsed()),
        }
    }

    /// A checkpoint passes when the approvals in the journal are for what was seen just now.
    fn checkpoint(
        &mut self,
        index: usize,
        item: &Item<A::Act>,
        seen: Seen,
        took: Duration,
    ) -> Result<End, JournalError> {
        let now_s = clock::unix_seconds();
        let run = state::fold(self.number, self.plan.kind.word(), &crate::journal::read(self.journal.path())?);
        let Ok(shown) = serde_json::from_value(seen.data) else {
            return self.unknown(index, item, "what the checkpoint shows cannot be read", took);
        };
        let shown = approvals::complete(shown, &run, index, now_s);
        let data = self.redactor.clean_json(serde_json::to_value(&shown).unwrap_or_default());
        match approvals::judge(&run, index, &shown, now_s) {
            Ruling::Passes(words) => self.done(index, item, words, false, took, data),
            Ruling::Expired(why) => self.failed(index, item, why, false, took),
            Ruling::Waits => {
                let is_shown =
                    run.waiting.as_ref().is_some_and(|waiting| waiting.item == index && waiting.shown == data);
                if !is_shown {
                    let seen = self.redactor.clean(&seen.words);
                    self.journal.append(Fact::Observed { item: index, name: item.name.clone(), seen, data })?;
                }
                self.listener.hear(Event::Waits { item: index, missing: shown.missing });
                Ok(End::Waiting)
            }
        }
    }

    async fn act(&mut self, index: usize, item: &Item<A::Act>) -> Result<End, JournalError> {
        let watch = Stopwatch::start();
        match self.actor.check(&item.action).await {
            Ok(World::After(seen)) => return self.done(index, item, seen, true, watch.elapsed(), Value::Null),
            Ok(World::Foreign(why)) => {
                let why = format!("somebody else changed it: {why}");
                return self.failed(index, item, why, false, watch.elapsed());
            }
            Ok(World::Before(_) | World::Between(_)) => {}
            Err(error) => return self.failed(index, item, format!("{error:#}"), false, watch.elapsed()),
        }
        self.begin(index, item, Fact::Started { item: index, name: item.name.clone() })?;
        let (listener, redactor) = (self.listener, self.redactor);
        let say = move |text: String| listener.hear(Event::Says { item: index, text: redactor.clean(&text) });
        for attempt in 1.. {
            let outcome = tokio::select! {
                outcome = self.actor.run(&item.action, &say) => outcome,
                () = asked_to_stop(self.stop.clone(), 2) => return Ok(End::Interrupted),
            };
            // Whatever the command said, the world has the last word.
            let world = self.actor.check(&item.action).await;
            match (outcome, world) {
                (Ok(data), Ok(World::After(seen))) => {
                    return self.done(index, item, seen, false, watch.elapsed(), data);
                }
                (Err(error), Ok(World::After(seen))) if self.actor.is_away(&error) => {
                    return self.done(index, item, seen, false, watch.elapsed(), Value::Null);
                }
                (Err(error), Ok(World::Before(_) | World::Between(_)))
                    if self.actor.is_away(&error) && attempt == 1 =>
                {
                    say("the engine was away; trying once more".into());
                }
                (Err(error), _) => return self.failed(index, item, format!("{error:#}"), false, watch.elapsed()),
                (Ok(_), Ok(World::Before(seen) | World::Between(seen) | World::Foreign(seen))) => {
                    let why =
                        format!("everything ended without an error, but the world is not as it should be: {seen}");
                    return self.failed(index, item, why, false, watch.elapsed());
                }
                (Ok(_), Err(error)) => return self.failed(index, item, format!("{error:#}"), false, watch.elapsed()),
            }
        }
        Ok(End::Done)
    }

    async fn undo(&mut self, index: usize, item: &Item<A::Act>) -> Result<End, JournalError> {
        let watch = Stopwatch::start();
        match self.actor.check(&item.action).await {
            Ok(World::Before(seen)) => return self.undone(index, item, seen, false, watch.elapsed()),
            Ok(World::Foreign(why)) => {
                let why = format!("somebody else changed it since: {why}");
                return self.failed(index, item, why, true, watch.elapsed());
            }
            Ok(World::After(_) | World::Between(_)) => {}
            Err(error) => return self.failed(index, item, format!("{error:#}"), true, watch.elapsed()),
        }
        self.begin(index, item, Fact::Undoing { item: index, name: item.name.clone() })?;
        let (listener, redactor) = (self.listener, self.redactor);
        let say = move |text: String| listener.hear(Event::Says { item: index, text: redactor.clean(&text) });
        for attempt in 1.. {
            let outcome = tokio::select! {
                outcome = self.actor.undo(&item.action, &say) => outcome,
                () = asked_to_stop(self.stop.clone(), 2) => return Ok(End::Interrupted),
            };
            if let Ok(Undone::Stays(why)) = outcome {
                return self.undone(index, item, why, true, watch.elapsed());
            }
            match (outcome, self.actor.check(&item.action).await) {
                (Ok(_), Ok(World::Before(seen))) => return self.undone(index, item, seen, false, watch.elapsed()),
                (Err(error), Ok(World::Before(seen))) if self.actor.is_away(&error) => {
                    return self.undone(index, item, seen, false, watch.elapsed());
                }
                (Err(error), Ok(World::After(_) | World::Between(_))) if self.actor.is_away(&error) && attempt == 1 => {
                    say("the engine was away; trying once more".into());
                }
                (Err(error), _) | (Ok(_), Err(error)) => {
                    return self.failed(index, item, format!("{error:#}"), true, watch.elapsed());
                }
                (Ok(_), Ok(World::After(seen) | World::Between(seen) | World::Foreign(seen))) => {
                    let why = format!("it was undone, but the world is not as before: {seen}");
                    return self.failed(index, item, why, true, watch.elapsed());
                }
            }
        }
        Ok(End::Done)
    }

    fn begin(&mut self, index: usize, item: &Item<A::Act>, fact: Fact) -> Result<(), JournalError> {
        let back = matches!(fact, Fact::Undoing { .. });
        self.journal.append(fact)?;
        tracing::debug!(item = %item.name, back, "begins");
        self.listener.hear(Event::Started { item: index, back });
        Ok(())
    }

    fn done(
        &mut self,
        index: usize,
        item: &Item<A::Act>,
        seen: String,
        already: bool,
        took: Duration,
        data: Value,
    ) -> Result<End, JournalError> {
        let seen = self.redactor.clean(&seen);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (name, words) = (item.name.clone(), seen.clone());
        let data = self.redactor.clean_json(data);
        self.journal.append(Fact::Done { item: index, name, seen: words, already, took_ms, data })?;
        self.listener.hear(Event::Done { item: index, seen, already, took });
        Ok(End::Done)
    }

    fn undone(
        &mut self,
        index: usize,
        item: &Item<A::Act>,
        seen: String,
        stays: bool,
        took: Duration,
    ) -> Result<End, JournalError> {
        let seen = self.redactor.clean(&seen);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.journal.append(Fact::Undone {
            item: index,
            name: item.name.clone(),
            seen: seen.clone(),
            stays,
            took_ms,
        })?;
        self.listener.hear(Event::Undone { item: index, seen, stays, took });
        Ok(End::Done)
    }

    fn failed(
        &mut self,
        index: usize,
        item: &Item<A::Act>,
        why: String,
        back: bool,
        took: Duration,
    ) -> Result<End, JournalError> {
        let why = self.write_failure(index, item, &why, (back, false), took)?;
        Ok(End::Failed { item: index, why })
    }

    fn unknown(&mut self, index: usize, item: &Item<A::Act>, why: &str, took: Duration) -> Result<End, JournalError> {
        let why = self.write_failure(index, item, &format!("not known: {why}"), (false, true), took)?;
        Ok(End::Unknown { item: index, why })
    }

    fn write_failure(
        &mut self,
        index: usize,
        item: &Item<A::Act>,
        why: &str,
        (back, unknown): (bool, bool),
        took: Duration,
    ) -> Result<String, JournalError> {
        let why = self.redactor.clean(why);
        let (name, took_ms) = (item.name.clone(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.journal.append(Fact::Failed { item: index, name, why: why.clone(), back, unknown, took_ms })?;
        self.listener.hear(Event::Failed { item: index, why: why.clone() });
        Ok(why)
    }

    /// Writes the end of the run.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn finish(&mut self, outcome: Outcome, exit: u8, said: &str) -> Result<(), JournalError> {
        self.journal.append(Fact::Finished { outcome, exit, said: self.redactor.clean(said) }).map(|_| ())
    }
}

/// Resolves once a person has asked to stop at least `times` times.
async fn asked_to_stop(mut stop: Stop, times: u8) {
    loop {
        if *stop.borrow_and_update() >= times {
            return;
        }
        if stop.changed().await.is_err() {
            // Nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}
