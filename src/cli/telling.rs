//! Telling of runs: that one begins, waits, or turns back, in the background, and how it ended, before the program ends.
//! Nothing waits for a channel but the end, and nothing fails because of one.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::out;
use super::setup::Setup;
use crate::adapter::clock;
use crate::adapter::notify::Notice;
use crate::journal::RunState;
use crate::notify::{Begun, BrokeOff, Delivery, Ended, Notifier, Place, Topic, TurnsBack, Waits};
use crate::report::style::Style;
use crate::report::text::moment;
use crate::report::{Event, Listener, checkpoint, result};
use crate::run::begin::{Finish, Open};
use crate::step::Plan;
use crate::watch::metrics;

/// Columns of a result in a notice: telephones are narrow.
const WIDTH: usize = 72;

/// Who is told of a run, and what they are being told.
#[derive(Clone)]
pub struct Telling {
    notifier: Option<Notifier>,
    /// One after the other, so that nobody hears of an end before its begin.
    under_way: Arc<Mutex<Option<JoinHandle<Vec<Delivery>>>>>,
}

/// The place that notices name.
pub fn place(project: &str, environment: &str) -> Place {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Place { project: project.to_owned(), environment: environment.to_owned(), host }
}

impl Telling {
    /// Tells that a run begins, or goes on; the run does not wait for it.
    pub fn begin(setup: &Setup, open: &Open) -> Self {
        let telling = Self { notifier: setup.notifier.clone(), under_way: Arc::default() };
        let header = open.state.header.as_ref();
        let begun = Begun {
            place: place(&open.plan.project, &open.plan.environment),
            run: open.tag.number,
            deed: deed(&open.plan),
            by: header.map(|header| header.by.clone()).unwrap_or_default(),
            items: open.plan.items.len(),
            goes_on: open.tag.epoch > 1,
            at_ms: clock::wall_ms(),
        };
        telling.tell(Topic::Runs, begun.notice());
        telling
    }

    /// Tells in the background; the end waits for it.
    fn tell(&self, topic: Topic, notice: Notice) {
        let Some(notifier) = self.notifier.clone() else { return };
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let before = under_way.take();
        *under_way = Some(tokio::spawn(async move {
            let mut told = ended(before).await;
            told.extend(notifier.tell(topic, &notice).await);
            told
        }));
    }

    /// What came of everything that was told until now.
    async fn told(&self) -> Vec<Delivery> {
        let before = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended(before).await
    }

    /// Tells that it waits for a person, and goes on waiting itself; the run does not wait for the telling.
    pub fn waits(&self, plan: &Plan, run: &RunState) {
        if let Some(waits) = waits_of(plan, run) {
            self.tell(Topic::Checkpoints, waits.notice());
        }
    }

    /// A listener that tells when the run has failed and turns back: the way back can take long, and somebody may want to
    /// be there.
    pub fn listener(&self, open: &Open) -> Box<dyn Listener> {
        let items = open.plan.items.iter().map(|item| item.title.clone()).collect();
        let (run, deed) = (open.tag.number, deed(&open.plan));
        let place = place(&open.plan.project, &open.plan.environment);
        let words = TurnsBack { place, run, deed, step: String::new(), why: String::new(), at_ms: 0 };
        Box::new(Turn { telling: self.clone(), items, words: Mutex::new(words) })
    }

    /// Tells that it ended in the middle because of an error of its own.
    pub async fn broke_off(&self, plan: &Plan, run: u32, error: &anyhow::Error) -> Vec<Delivery> {
        let place = place(&plan.project, &plan.environment);
        let why = format!("{error:#}");
        self.tell(Topic::Runs, BrokeOff { place, run, deed: deed(plan), why, at_ms: clock::wall_ms() }.notice());
        self.told().await
    }

    /// Tells how it ended, or that it waits for a person; gives what came of all that was told.
    pub async fn end(&self, setup: &Setup, plan: &Plan, run: &RunState, finish: &Finish) -> Vec<Delivery> {
        let Some(notifier) = &self.notifier else { return Vec::new() };
        let mut told = self.told().await;
        if finish.is_waiting {
            if let Some(waits) = waits_of(plan, run) {
                told.extend(notifier.tell(Topic::Checkpoints, &waits.notice()).await);
            }
            return told;
        }
        let outcome = finish.outcome;
        let first = run.times.as_ref().map(|(first, _)| moment(first)).unwrap_or_default();
        let ended = Ended {
            place: place(&plan.project, &plan.environment),
            run: run.number,
            outcome,
            headline: result::headline(plan.kind, outcome, run, plan),
            result: result::result_text(plan.kind, outcome, run, plan, &Style::plain(WIDTH)),
            facts: result::result_json(plan.kind, outcome, run, plan),
            begun_at: first,
            at_ms: clock::wall_ms(),
        };
        let notice = ended.notice();
        let numbers = metrics::text(&setup.state, &plan.project, &plan.environment);
        let (notices, counted) = tokio::join!(notifier.tell(Topic::Runs, &notice), async {
            match &numbers {
                Ok(text) => notifier.count(text).await,
                Err(error) => {
                    out::say(&format!("cutover: the numbers for Prometheus cannot be put together: {error:#}"));
                    Vec::new()
                }
            }
        });
        told.extend(notices);
        told.extend(counted);
        told
    }
}

async fn ended(task: Option<JoinHandle<Vec<Delivery>>>) -> Vec<Delivery> {
    match task {
        Some(task) => task.await.unwrap_or_default(),
        None => Vec::new(),
    }
}

/// Hears why a run failed, and tells it once the run turns back because of it.
struct Turn {
    telling: Telling,
    items: Vec<String>,
    words: Mutex<TurnsBack>,
}

impl Listener for Turn {
    fn hear(&self, event: Event) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Failed { item, why } => {
                (words.step, words.why) = (self.items.get(item).cloned().unwrap_or_default(), why);
            }
            Event::TurnsBack if !words.why.is_empty() => {
                words.at_ms = clock::wall_ms();
                self.telling.tell(Topic::Runs, words.notice());
            }
            _ => {}
        }
    }
}

/// What a run waits for; nothing where it does not wait.
fn waits_of(plan: &Plan, run: &RunState) -> Option<Waits> {
    let shown = checkpoint::shown(run)?;
    let (command, _) = checkpoint::next(run, &shown).into_iter().next()?;
    let statements: Vec<&str> = shown.statements.iter().map(|one| one.words.as_str()).collect();
    let built = shown.built.as_deref().map(str::trim).filter(|built| !built.is_empty());
    let asked = match (&statements[..], built) {
        ([], Some(built)) => built.lines().next().unwrap_or_default().to_owned(),
        ([], None) => format!("the signal {:?}", shown.signal),
        (all, _) => all.join("; "),
    };
    let gates = shown.gates.iter().map(|gate| format!("{} {}: {}", gate.name, gate.answer, gate.words));
    let missing = shown.missing.iter().map(|one| format!("missing: {one}"));
    Some(Waits {
        place: place(&plan.project, &plan.environment),
        run: run.number,
        signal: shown.signal.clone(),
        asked,
        evidence: gates.chain(missing).collect(),
        command: format!("{command} && cutover resume"),
        at_ms: clock::wall_ms(),
    })
}

fn deed(plan: &Plan) -> String {
    plan.deed.clone().unwrap_or_else(|| match plan.release_to {
        Some(release) => format!("the {} of r{release}", plan.kind.word()),
        None => format!("the {}", plan.kind.word()),
    })
}

/// What did not arrive, for the result; nothing where all did.
pub fn failures(told: &[Delivery]) -> Option<String> {
    let failed: Vec<&Delivery> = told.iter().filter(|one| !one.has_arrived).collect();
    let last = failed.last()?;
    let mut lines: Vec<String> = failed.iter().map(|one| format!("  {} ({})", one.words(), one.event)).collect();
    lines.insert(0, "Not everybody was told (the run does not depend on it)".into());
    lines.push(format!("  try it: cutover notify test {:?}", last.channel));
    Some(lines.join("\n"))
}

/// The same for the journal: one line for each that was not told. What arrived is not worth a line.
pub fn remarks(told: &[Delivery]) -> Vec<String> {
    let failed = told.iter().filter(|one| !one.has_arrived);
    failed.map(|one| format!("{} ({})", one.words(), one.event)).collect()
}

/// For programs.
pub fn document(told: &[Delivery]) -> Value {
    json!(told)
}
