//! The list of a cutover: the lists of its entries, one after another, with windows and checkpoints between them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;

use super::Refusal;
use super::deploy::Planned;
use super::list::item;
use crate::adapter::files::sha256;
use crate::config::runbook::Window;
use crate::config::{Config, OnFailure};
use crate::step::Act;
use crate::step::checkpoint::{CheckGate, Checkpoint};
use crate::step::expect_window::ExpectWindow;
use crate::step::plan::{Course, Item, PhaseAt, Plan, RunKind, Substitution};

/// How long a gate that is asked again at a checkpoint may take, seconds.
const AGAIN_S: u64 = 5;

/// An entry with the list that was made of it.
pub struct Cooked {
    /// Name of the entry.
    pub name: String,
    /// Its own title.
    pub title: Option<String>,
    /// What happens when it fails, where the runbook says so.
    pub on_failure: Option<OnFailure>,
    /// Its list.
    pub planned: Planned,
    /// What of it cannot be known before the run.
    pub later: Option<String>,
    /// Its words in the runbook: what a rehearsal has in common with the run.
    pub recipe: String,
}

/// A phase with its entries.
pub struct CookedPhase {
    /// Name.
    pub name: String,
    /// Title.
    pub title: String,
    /// When it may begin.
    pub window: Window,
    /// Entries.
    pub entries: Vec<Cooked>,
}

/// What the plan says of the runbook.
pub struct About {
    /// Kind of the run.
    pub kind: RunKind,
    /// Name, title, file and its digest.
    pub course: Course,
    /// What happens when an entry fails.
    pub on_failure: OnFailure,
    /// The runbook's own window.
    pub window: Window,
    /// What was put in another one's place.
    pub substitutions: Vec<Substitution>,
}

/// Joins the lists.
///
/// # Errors
/// [`Refusal::Usage`], when two entries cannot stand in one run.
pub fn plan(config: &Config, about: About, phases: Vec<CookedPhase>) -> Result<Planned> {
    let mut made = Making {
        plan: empty(config, &about),
        files: Vec::new(),
        course: Course { substitutions: about.substitutions.clone(), ..about.course.clone() },
        recipe: Vec::new(),
        is_switched: false,
        still: BTreeMap::new(),
        is_deployed: false,
    };
    for (index, phase) in phases.into_iter().enumerate() {
        made.phase(&about, phase, index == 0)?;
    }
    made.course.recipe = sha256(Value::from(made.recipe).to_string().as_bytes());
    made.plan.deed = Some(deed(&about));
    made.plan.course = Some(made.course);
    Ok(Planned { plan: made.plan, files: made.files })
}

fn deed(about: &About) -> String {
    let what = &about.course.runbook;
    if about.kind == RunKind::Rehearsal { format!("the rehearsal of {what}") } else { format!("the cutover {what}") }
}

fn empty(config: &Config, about: &About) -> Plan {
    Plan::empty(about.kind, config.compose_project(), &config.project.environment)
}

struct Making {
    plan: Plan,
    files: Vec<(String, Value)>,
    course: Course,
    recipe: Vec<String>,
    is_switched: bool,
    is_deployed: bool,
    /// What was brought about and must still be true at every checkpoint after it.
    still: BTreeMap<String, CheckGate>,
}

impl Making {
    fn phase(&mut self, about: &About, phase: CookedPhase, is_first: bool) -> Result<()> {
        let first = self.plan.items.len();
        let own = |is: bool, value: &Option<String>| value.clone().filter(|_| is);
        let earliest = phase.window.earliest.clone().or_else(|| own(is_first, &about.window.earliest));
        let latest = phase.window.latest.clone().or_else(|| about.window.latest.clone());
        if earliest.is_some() || latest.is_some() {
            let title = format!("the window of {} is open", phase.title);
            let action = Act::ExpectWindow(ExpectWindow { earliest, latest });
            self.push(item(&format!("window-{}", phase.name), title, action), OnFailure::Rollback);
        }
        for entry in phase.entries {
            self.entry(about, entry)?;
        }
        self.recipe.push(format!("phase {}", phase.name));
        self.course.phases.push(PhaseAt { name: phase.name, title: phase.title, first });
        Ok(())
    }

    fn push(&mut self, item: Item, on_failure: OnFailure) {
        if on_failure == OnFailure::Hold {
            self.course.held.insert(self.plan.items.len());
        }
        self.plan.items.push(item);
    }

    fn entry(&mut self, about: &About, entry: Cooked) -> Result<()> {
        let Cooked { name, title, on_failure, planned, later, recipe } = entry;
        let mut part = planned.plan;
        self.recipe.push(format!("{name} {recipe}"));
        self.course.known_later.extend(later.map(|words| format!("{name}: {words}")));
        let is_one = part.items.len() == 1;
        // From the switch of names on the public goes the new way: a person decides about the way back.
        self.is_switched |= part.items.iter().any(|item| matches!(item.action, Act::SwitchDns(_)));
        let by_itself = if part.rolls_back && !self.is_switched { about.on_failure } else { OnFailure::Hold };
        for mut item in std::mem::take(&mut part.items) {
            item.name = if is_one { name.clone() } else { format!("{name}.{}", item.name) };
            if let Some(title) = title.as_ref().filter(|_| is_one) {
                item.title.clone_from(title);
            }
            if let Act::Checkpoint(gate) = &mut item.action {
                gate.still = self.still.values().cloned().collect();
            }
            self.remember(&item);
            self.push(item, on_failure.unwrap_or(by_itself));
        }
        self.join(&name, part, planned.files)
    }

    /// What belongs to the whole plan: releases, services, the way back, what proves the old state.
    fn join(&mut self, name: &str, part: Plan, files: Vec<(String, Value)>) -> Result<()> {
        if part.release_to.is_some() {
            if self.is_deployed {
                let why = format!("{name}: a run brings up one release; a second deploy belongs into another runbook");
                return Err(Refusal::Usage(why).into());
            }
            self.is_deployed = true;
            (self.plan.release_from, self.plan.release_to) = (part.release_from, part.release_to);
        }
        self.plan.services.extend(part.services);
        self.plan.remarks.extend(part.remarks.into_iter().map(|remark| format!("{name}: {remark}")));
        let names: BTreeSet<String> =
            self.plan.home.iter().chain(&self.plan.way_back).map(|item| item.name.clone()).collect();
        let fresh = |mut item: Item| {
            if names.contains(&item.name) {
                item.name = format!("{name}.{}", item.name);
            }
            item
        };
        self.plan.home.extend(part.home.into_iter().map(fresh));
        self.plan.way_back.extend(part.way_back.into_iter().map(fresh));
        self.plan.files.extend(part.files);
        self.files.extend(files);
        Ok(())
    }

    /// What is asked again at every checkpoint that follows: the source is frozen, the stack is healthy.
    fn remember(&mut self, item: &Item) {
        let (key, action) = match &item.action {
            Act::ExpectFrozen(gate) => (format!("still-frozen {}", gate.place), Act::ExpectFrozen(gate.clone())),
            Act::FreezeSource(step) if item.back => {
                self.still.remove(&format!("still-frozen {}", step.place));
                return;
            }
            Act::ExpectServices(gate) => {
                let mut gate = gate.clone();
                (gate.stable_ms, gate.deadline_s) = (0, AGAIN_S);
                ("still-up".to_owned(), Act::ExpectServices(gate))
            }
            Act::ExpectHealth(gate) if item.name.contains("expect_health_") => {
                let mut gate = gate.clone();
                (gate.successes, gate.deadline_s) = (1, AGAIN_S);
                (format!("still-healthy-{}", gate.name), Act::ExpectHealth(gate))
            }
            _ => return,
        };
        let name = key.split(' ').next().unwrap_or(&key).to_owned();
        let gate = CheckGate { name, title: item.title.clone(), action: Box::new(action) };
        self.still.insert(key, gate);
    }
}

/// A checkpoint as the list of its entry.
pub fn checkpoint(config: &Config, name: &str, title: String, gate: Checkpoint) -> Planned {
    super::data::plan(config, String::new(), vec![item(name, title, Act::Checkpoint(gate))])
}
