//! The plan: a flat list of items with everything a person needs to judge it. Made by reading only; hashed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Act, Reversal};
use crate::data::shell;

/// What kind of run a plan is for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// A new release is brought up.
    Deploy,
    /// A run is undone, or an older release brought back.
    Rollback,
    /// Rows or accounts are moved, or a database is frozen or backed up; no container changes.
    Data,
    /// The public names are changed.
    Dns,
    /// A runbook is carried out.
    Cutover,
    /// A runbook is carried out against an isolated copy.
    Rehearsal,
    /// Maintenance is switched on or off.
    Maintenance,
}

impl RunKind {
    /// The word in file names and on the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Data => "data",
            Self::Dns => "dns",
            Self::Cutover => "cutover",
            Self::Rehearsal => "rehearsal",
            Self::Maintenance => "maintenance",
        }
    }
}

/// One entry of the list.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Item<A = Act> {
    /// Unique in the plan; a verb and a noun.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Whether the step is to be undone instead of done (in a rollback's plan).
    #[serde(default)]
    pub back: bool,
    /// What it is.
    pub action: A,
}

impl Item {
    /// How its undoing is called: a command by the words that undo it, for its own say how it is done.
    pub fn undo_title(&self) -> String {
        match &self.action {
            Act::RunCommand(step) if self.title == format!("run `{}`", shell::line(&step.run)) => match &step.undo {
                Some(undo) => format!("undo {}: run `{}`", step.name, shell::line(undo)),
                None => format!("undo {}: it has no undo command", step.name),
            },
            _ => format!("undo: {}", self.title),
        }
    }
}

/// What happens to a service.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It does not run yet.
    Create,
    /// Its container is replaced.
    Recreate,
    /// It is replaced if the build or pull gives another image.
    Perhaps,
    /// Its container is stopped and is started again as it is.
    Start,
    /// It stays untouched.
    Keep,
    /// It is stopped and removed; volumes stay.
    Remove,
}

/// A service and what happens to it, and why.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ServiceChange {
    /// Service.
    pub service: String,
    /// What happens.
    pub change: Change,
    /// Why, one reason each.
    pub reasons: Vec<String>,
    /// Image before: identifier, or nothing.
    pub image_from: Option<String>,
    /// Image after: reference, with its identifier where it is here already.
    pub image_to: Option<String>,
}

/// The runbook that a plan was made from.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Course {
    /// Its name.
    pub runbook: String,
    /// Its title.
    pub title: String,
    /// The file, absolute.
    pub file: PathBuf,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Its phases.
    pub phases: Vec<PhaseAt>,
    /// Items whose failure is held, although the plan rolls back.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub held: BTreeSet<usize>,
    /// What cannot be known before the run: the step finds it out by itself, and how it does that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_later: Vec<String>,
    /// SHA-256 of what the runbook asks for: phases, entries, what each is told, in order. A rehearsal has the same.
    pub recipe: String,
    /// What was put in another one's place for a rehearsal: name, what stood there, what stands there now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substitutions: Vec<Substitution>,
}

/// One thing that a rehearsal puts in the place of another.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Substitution {
    /// What it is, such as `target database`.
    pub name: String,
    /// What stands there in production.
    pub from: String,
    /// What stands there in the rehearsal.
    pub to: String,
}

/// A phase, and where it begins.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct PhaseAt {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Index of its first item.
    pub first: usize,
}

/// A plan.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Plan<A = Act> {
    /// Kind of run.
    pub kind: RunKind,
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Release that runs before, where one is known.
    pub release_from: Option<u32>,
    /// Release that will run after.
    pub release_to: Option<u32>,
    /// What is done, as `the import of migration-data into app@db:5432/app`; absent where the releases say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deed: Option<String>,
    /// For a rollback: the run that is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<u32>,
    /// What happens to each service.
    pub services: Vec<ServiceChange>,
    /// What a person should know before saying yes.
    pub remarks: Vec<String>,
    /// Whether a failure is rolled back (else it is held as it stands).
    pub rolls_back: bool,
    /// The list.
    pub items: Vec<Item<A>>,
    /// Gates that prove the old state after a way back.
    pub home: Vec<Item<A>>,
    /// What a rollback of this run does first; written down now, so that it needs no configuration then.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub way_back: Vec<Item<A>>,
    /// Files that the run keeps beside its journal: name and content's SHA-256.
    pub files: BTreeMap<String, String>,
    /// The runbook, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<Course>,
}

impl<A> Plan<A> {
    /// A plan that does nothing yet; a failure is rolled back.
    pub fn empty(kind: RunKind, project: &str, environment: &str) -> Self {
        Self {
            kind,
            project: project.to_owned(),
            environment: environment.to_owned(),
            release_from: None,
            release_to: None,
            deed: None,
            undoes: None,
            services: Vec::new(),
            remarks: Vec::new(),
            rolls_back: true,
            items: Vec::new(),
            home: Vec::new(),
            way_back: Vec::new(),
            files: BTreeMap::new(),
            course: None,
        }
    }

    /// Whether the failure of an item leads back, where something was changed.
    pub fn turns_back_at(&self, item: usize) -> bool {
        self.rolls_back && !self.course.as_ref().is_some_and(|course| course.held.contains(&item))
    }
}

impl Plan {
    /// Index of the first step that cannot be undone exactly.
    pub fn point_of_no_return(&self) -> Option<usize> {
        self.items.iter().position(|item| !item.back && item.action.reversal() != Reversal::Exact)
    }

    /// Why a phrase is needed before this plan may run; empty when none is.
    pub fn losses(&self) -> Vec<String> {
        let lossy = |item: &Item| match item.action.reversal() {
            // A forward run may have to go the lossy way by itself; a rollback goes it now.
            Reversal::Lossy(why) if item.back || self.rolls_back || self.kind == RunKind::Rollback => {
                Some(format!("{}: {why}", item.name))
            }
            _ => None,
        };
        self.items.iter().filter_map(lossy).collect()
    }

    /// Whether the container engine is needed to carry it out or undo it.
    pub fn needs_engine(&self) -> bool {
        self.items.iter().chain(&self.home).chain(&self.way_back).any(|item| item.action.needs_engine())
    }

    /// Whether it is a deployment of what runs already: it only looks.
    pub fn is_nothing_new(&self) -> bool {
        self.kind == RunKind::Deploy && self.deed.is_some()
    }

    /// Whether any container changes.
    pub fn changes_services(&self) -> bool {
        self.services.iter().any(|service| service.change != Change::Keep)
    }
}

impl<A: Serialize> Plan<A> {
    /// The plan as JSON, in the order in which it is declared.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// SHA-256 of the plan: the same hash means the same items, images and sides.
    pub fn hash(&self) -> String {
        crate::adapter::files::sha256(self.to_json().to_string().as_bytes())
    }

    /// Blots secrets out of what it says in words; what its steps need to act is left alone.
    pub fn clean(&mut self, redactor: &crate::redact::Redactor) {
        let reasons = self.services.iter_mut().flat_map(|change| &mut change.reasons);
        let titles = self.items.iter_mut().chain(&mut self.home).chain(&mut self.way_back).map(|item| &mut item.title);
        for words in self.remarks.iter_mut().chain(reasons).chain(titles) {
            *words = redactor.clean(words);
        }
    }
}
