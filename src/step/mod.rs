//! Steps and gates as plain data. A step names both sides of a change; a gate asks the world and changes nothing.
//!
//! `check` is precondition, proof, resume and guard in one: it reads the world and says on which side it is.

pub mod back_up_database;
pub mod build_images;
pub mod containers;
pub mod databases;
pub mod dump;
pub mod end_one_shots;
pub mod expect_health;
pub mod expect_services;
pub mod expect_steady;
pub mod export_database;
pub mod migrate_schema;
pub mod patchwork;
pub mod pin_release;
pub mod plan;
pub mod pull_images;
pub mod record_release;
pub mod save_incident;
pub mod start_services;

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use databases::Databases;
pub use plan::{Change, Item, Plan, RunKind, ServiceChange};

use crate::adapter::compose::Compose;
use crate::adapter::docker::Docker;
use crate::adapter::http::Http;
use crate::adapter::postgres::Postgres;
use crate::adapter::process::Process;
use crate::release::Store;

/// What a step is told while it works goes here, one short line at a time.
pub type Say<'a> = &'a (dyn Fn(String) + Sync);

/// On which side of a step the world is, with what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum World {
    /// As before the step.
    Before(String),
    /// As the step wants it.
    After(String),
    /// Part of the way, in a manner that the step itself brings about: it can be run or undone from here.
    Between(String),
    /// Neither side made this: somebody else did. Nothing is done to it.
    Foreign(String),
}

/// What undoing a step gives back.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "gives_back", content = "why", rename_all = "snake_case")]
pub enum Reversal {
    /// Everything.
    Exact,
    /// Something is lost.
    Lossy(String),
    /// Nothing: the effect stays.
    Nothing(String),
}

/// What undoing did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// It is as before; to be proven by `check`.
    Back,
    /// The effect stays, for this reason.
    Stays(String),
}

/// What a gate answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All is as it should be.
    Passed,
    /// Something is wrong.
    Refused,
    /// It could not be asked to the end: neither good nor bad. The run is held, and a person decides.
    Unknown,
}

/// What a gate saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Whether it lets the run pass.
    pub answer: Answer,
    /// In words.
    pub words: String,
    /// For programs.
    pub data: Value,
}

/// Which run, and where it keeps things.
#[derive(Clone, Debug)]
pub struct RunTag {
    /// Number.
    pub number: u32,
    /// Epoch.
    pub epoch: u32,
    /// Directory beside the journal.
    pub side: PathBuf,
}

impl RunTag {
    /// Directory of another run.
    pub fn beside(&self, number: u32) -> PathBuf {
        self.side.parent().unwrap_or(&self.side).join(format!("{number:04}"))
    }

    /// The mark for database sessions, so that the next run can find and end them.
    pub fn session(&self) -> String {
        format!("cutover run {} epoch {}", self.number, self.epoch)
    }
}

/// The adapters; each arm of the dispatch hands its step only those that it uses.
#[derive(Clone, Debug)]
pub struct Hands {
    /// Engine.
    pub docker: Docker,
    /// Compose.
    pub compose: Compose,
    /// Database in the stack.
    pub postgres: Postgres,
    /// HTTP.
    pub http: Http,
    /// Databases that rows move between.
    pub databases: Databases,
    /// Starts children.
    pub process: Process,
    /// Releases.
    pub store: Store,
    /// State directory.
    pub state: PathBuf,
    /// Run.
    pub run: RunTag,
}

/// The closed set of what a plan may hold.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "act", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is the step of its name")]
pub enum Act {
    PinRelease(pin_release::PinRelease),
    PullImages(pull_images::PullImages),
    BuildImages(build_images::BuildImages),
    BackUpDatabase(back_up_database::BackUpDatabase),
    MigrateSchema(migrate_schema::MigrateSchema),
    StartServices(start_services::StartServices),
    RecordRelease(record_release::RecordRelease),
    EndOneShots(end_one_shots::EndOneShots),
    SaveIncident(save_incident::SaveIncident),
    ExportDatabase(export_database::ExportDatabase),
    ExpectServices(expect_services::ExpectServices),
    ExpectHealth(expect_health::ExpectHealth),
    ExpectSteady(expect_steady::ExpectSteady),
}

impl Act {
    /// Whether it only asks.
    pub fn is_gate(&self) -> bool {
        matches!(self, Self::ExpectServices(_) | Self::ExpectHealth(_) | Self::ExpectSteady(_))
    }

    /// Whether others stand on what it brings about.
    pub fn is_ground(&self) -> bool {
        matches!(self, Self::StartServices(step) if step.is_ground)
    }

    /// Whether the container engine is needed for it.
    pub fn needs_engine(&self) -> bool {
        true
    }

    /// Whether it talks to a database by its connection string.
    pub fn needs_databases(&self) -> bool {
        false
    }

    /// What undoing gives back; gates change nothing.
    pub fn reversal(&self) -> Reversal {
        match self {
            Self::MigrateSchema(step) => step.reversal(),
            _ => Reversal::Exact,
        }
    }

    /// Whether undoing it means to change what serves people (images kept or files written do not).
    pub fn changes_the_world(&self) -> bool {
        matches!(self, Self::MigrateSchema(_) | Self::StartServices(_) | Self::RecordRelease(_))
    }
}

/// Whoever carries acts out: the real hands, or a synthetic world that proves the engine.
pub trait Actor {
    /// The acts it knows.
    type Act;
    /// Whether an act only asks.
    fn is_gate(&self, act: &Self::Act) -> bool;
    /// Reads on which side the world is.
    fn check(&self, act: &Self::Act) -> impl Future<Output = Result<World>>;
    /// Does it.
    fn run(&self, act: &Self::Act, say: Say<'_>) -> impl Future<Output = Result<Value>>;
    /// Undoes it.
    fn undo(&self, act: &Self::Act, say: Say<'_>) -> impl Future<Output = Result<Undone>>;
    /// Asks a gate.
    fn ask(&self, act: &Self::Act, say: Say<'_>) -> impl Future<Output = Result<Seen>>;
    /// Whether others stand on what the act brings about, so that it is undone before them.
    fn is_ground(&self, _act: &Self::Act) -> bool {
        false
    }
    /// Whether the world was merely out of reach, so that another look is worth while.
    fn is_away(&self, error: &anyhow::Error) -> bool;
}

impl Actor for Hands {
    type Act = Act;

    fn is_gate(&self, act: &Act) -> bool {
        act.is_gate()
    }

    fn is_ground(&self, act: &Act) -> bool {
        act.is_ground()
    }

    fn is_away(&self, error: &anyhow::Error) -> bool {
        error.chain().any(|cause| {
            let text = cause.to_string();
            cause.is::<crate::adapter::docker::EngineAway>()
                || ["Cannot connect to the Docker daemon", "error during connect", "unexpected EOF", "connection reset"]
                    .iter()
                    .any(|words| text.contains(words))
        })
    }

    /// Reads on which side the world is.
    ///
    /// # Errors
    /// When the world cannot be asked.
    async fn check(&self, act: &Act) -> Result<World> {
        match act {
            Act::PinRelease(step) => step.check(&self.docker, &self.store).await,
            Act::PullImages(step) => step.check(&self.docker).await,
            Act::BuildImages(step) => step.check(&self.docker, &self.run).await,
            Act::BackUpDatabase(step) => step.check(&self.run),
            Act::MigrateSchema(step) => step.check(&self.docker, &self.run).await,
            Act::StartServices(step) => step.check(&self.docker).await,
            Act::RecordRelease(step) => step.check(&self.docker, &self.store, &self.run).await,
            Act::EndOneShots(step) => step.check(&self.docker).await,
            Act::SaveIncident(step) => step.check(&self.run),
            Act::ExportDatabase(step) => step.check(&self.run),
            Act::ExpectServices(_) | Act::ExpectHealth(_) | Act::ExpectSteady(_) => {
                Ok(World::Before("a gate has no sides".into()))
            }
        }
    }

    /// Does it; what it returns is kept in the journal.
    ///
    /// # Errors
    /// When it did not take effect, or that is not known.
    async fn run(&self, act: &Act, say: Say<'_>) -> Result<Value> {
        match act {
            Act::PinRelease(step) => step.run(&self.docker, &self.compose, &self.store, &self.state, &self.run).await,
            Act::PullImages(step) => step.run(&self.compose, &self.run, say).await,
            Act::BuildImages(step) => step.run(&self.docker, &self.compose, &self.run, say).await,
            Act::BackUpDatabase(step) => step.run(&self.docker, &self.postgres, &self.run, say).await,
            Act::MigrateSchema(step) => step.run(&self.docker, &self.compose, &self.postgres, &self.run, say).await,
            Act::StartServices(step) => step.run(&self.docker, &self.compose, &self.store, &self.run, say).await,
            Act::RecordRelease(step) => {
                step.run(&self.docker, &self.compose, &self.store, &self.state, &self.run, say).await
            }
            Act::EndOneShots(step) => step.run(&self.docker, say).await,
            Act::SaveIncident(step) => step.run(&self.docker, &self.http, &self.run, say).await,
            Act::ExportDatabase(step) => step.run(&self.docker, &self.postgres, &self.run, say).await,
            Act::ExpectServices(_) | Act::ExpectHealth(_) | Act::ExpectSteady(_) => Ok(Value::Null),
        }
    }

    /// Undoes it.
    ///
    /// # Errors
    /// When it could not be undone, or that is not known.
    async fn undo(&self, act: &Act, say: Say<'_>) -> Result<Undone> {
        match act {
            Act::PullImages(step) => step.undo(&self.docker).await,
            Act::BuildImages(step) => step.undo(&self.docker, &self.run).await,
            Act::MigrateSchema(step) => step.undo(&self.docker, &self.compose, &self.postgres, &self.run, say).await,
            Act::StartServices(step) => step.undo(&self.docker, &self.compose, &self.store, &self.run, say).await,
            Act::RecordRelease(step) => step.undo(&self.docker, &self.store).await,
            Act::PinRelease(step) => step.undo(&self.docker, &self.store).await,
            Act::BackUpDatabase(step) => step.undo(&self.docker, &self.postgres, &self.run).await,
            Act::EndOneShots(_) => Ok(Undone::Stays("what was ended stays ended".into())),
            Act::SaveIncident(_) => Ok(Undone::Stays("what was saved stays".into())),
            Act::ExportDatabase(_) => Ok(Undone::Stays("the export stays".into())),
            Act::ExpectServices(_) | Act::ExpectHealth(_) | Act::ExpectSteady(_) => {
                Ok(Undone::Stays("a gate changes nothing".into()))
            }
        }
    }

    /// Asks a gate until it passes, refuses, or its deadline ends.
    ///
    /// # Errors
    /// When the world could not be asked at all within the deadline.
    async fn ask(&self, act: &Act, say: Say<'_>) -> Result<Seen> {
        match act {
            Act::ExpectServices(gate) => gate.ask(&self.docker, say).await,
            Act::ExpectHealth(gate) => gate.ask(&self.http, say).await,
            Act::ExpectSteady(gate) => gate.ask(&self.docker, &self.http, say).await,
            _ => Ok(Seen { answer: Answer::Passed, words: "not a gate".into(), data: Value::Null }),
        }
    }
}
