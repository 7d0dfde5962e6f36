//! Telling of runs: that one begins, in the background, and how it ended, before the program ends. Nothing waits for a
//! channel but the end, and nothing fails because of one.

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::out;
use super::setup::Setup;
use crate::adapter::clock;
use crate::journal::RunState;
use crate::notify::{Begun, Delivery, Ended, Notifier, Place, Topic, Waits};
use crate::report::style::Style;
use crate::report::text::moment;
use crate::report::{checkpoint, result};
use crate::run::begin::{Finish, Open};
use crate::step::Plan;
use crate::watch::metrics;

/// Columns of a result in a notice: telephones are narrow.
const WIDTH: usize = 72;

/// Who is told of a run.
pub struct Telling {
    notifier: Option<Notifier>,
    begun: Option<JoinHandle<Vec<Delivery>>>,
}

/// The place that notices name.
pub fn place(project: &str, environment: &str) -> Place {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Place { project: project.to_owned(), environment: environment.to_owned(), host }
}

impl Telling {
    /// Tells that a run begins, or goes on; the run does not wait for it.
    pub fn begin(setup: &Setup, open: &Open) -> Self {
        let notifier = setup.notifier.clone();
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
        let task = notifier.clone().map(|notifier| {
            let notice = begun.notice();
            tokio::spawn(async move { notifier.tell(Topic::Runs, &notice).await })
        });
        Self { notifier, begun: task }
    }

    /// Tells that it waits for a person, and goes on waiting itself; the run does not wait for the telling.
    pub fn waits(&self, plan: &Plan, run: &RunState) {
        let (Some(notifier), Some(waits)) = (self.notifier.clone(), waits_of(plan, run)) else { return };
        tokio::spawn(async move { notifier.tell(Topic::Checkpoints, &waits.notice()).await });
    }

    /// Tells how it ended, or that it waits for a person; gives what came of telling, also of its begin.
    pub async fn end(self, setup: &Setup, plan: &Plan, run: &RunState, finish: &Finish) -> Vec<Delivery> {
        let Some(notifier) = &self.notifier else { return Vec::new() };
        let mut told = match self.begun {
            Some(task) => task.await.unwrap_or_default(),
            None => Vec::new(),
        };
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

/// For programs.
pub fn document(told: &[Delivery]) -> Value {
    json!(told)
}
