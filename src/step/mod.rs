//! Steps and gates as plain data. A step names both sides of a change; a gate asks the world and changes nothing.
//!
//! `check` is precondition, proof, resume and guard in one: it reads the world and says on which side it is.

pub mod apply_changes;
pub mod back_up_database;
pub mod beside;
pub mod build_images;
pub mod checkpoint;
pub mod compared;
pub mod containers;
pub mod copy_rows;
pub mod create_backup;
pub mod databases;
pub mod drain;
pub mod dump;
pub mod end_one_shots;
pub mod end_side;
pub mod expect_certificate;
pub mod expect_command;
pub mod expect_dns;
pub mod expect_drained;
pub mod expect_files;
pub mod expect_frozen;
pub mod expect_health;
pub mod expect_identity;
pub mod expect_maintenance;
pub mod expect_same_rows;
pub mod expect_services;
pub mod expect_steady;
pub mod expect_window;
pub mod export_database;
pub mod export_rows;
pub mod filling;
pub mod freeze_source;
pub mod hands;
pub mod import_rows;
pub mod kick_caddy;
pub mod let_release_go;
pub mod migrate_schema;
pub mod migrate_users;
pub mod patchwork;
pub mod pin_release;
pub mod plan;
pub mod pull_images;
pub mod record_release;
pub mod restore_backup;
pub mod run_command;
pub mod save_changes;
pub mod save_incident;
pub mod set_maintenance;
pub mod start_services;
pub mod start_side;
pub mod switch_dns;
pub mod switch_upstream;

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use databases::Databases;
pub use hands::Hands;
pub use plan::{Change, Item, Plan, RunKind, ServiceChange};

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
    /// A person has to say that it passes.
    Waiting,
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
    FreezeSource(freeze_source::FreezeSource),
    ExpectFrozen(expect_frozen::ExpectFrozen),
    RunCommand(run_command::RunCommand),
    MigrateUsers(migrate_users::MigrateUsers),
    ExpectSameRows(expect_same_rows::ExpectSameRows),
    CreateBackup(create_backup::CreateBackup),
    RestoreBackup(restore_backup::RestoreBackup),
    ExportRows(export_rows::ExportRows),
    ImportRows(import_rows::ImportRows),
    CopyRows(copy_rows::CopyRows),
    SaveChanges(save_changes::SaveChanges),
    ApplyChanges(apply_changes::ApplyChanges),
    SwitchDns(switch_dns::SwitchDns),
    KickCaddy(kick_caddy::KickCaddy),
    ExpectDns(expect_dns::ExpectDns),
    ExpectCertificate(expect_certificate::ExpectCertificate),
    ExpectFiles(expect_files::ExpectFiles),
    ExpectCommand(expect_command::ExpectCommand),
    ExpectWindow(expect_window::ExpectWindow),
    Checkpoint(checkpoint::Checkpoint),
    SwitchUpstream(switch_upstream::SwitchUpstream),
    ExpectIdentity(expect_identity::ExpectIdentity),
    SetMaintenance(set_maintenance::SetMaintenance),
    ExpectMaintenance(expect_maintenance::ExpectMaintenance),
    StartSide(start_side::StartSide),
    EndSide(end_side::EndSide),
    ExpectDrained(expect_drained::ExpectDrained),
    LetReleaseGo(let_release_go::LetReleaseGo),
}

impl Act {
    /// Whether it only asks.
    pub fn is_gate(&self) -> bool {
        matches!(
            self,
            Self::ExpectServices(_)
                | Self::ExpectHealth(_)
                | Self::ExpectSteady(_)
                | Self::ExpectFrozen(_)
                | Self::ExpectSameRows(_)
                | Self::ExpectDns(_)
                | Self::ExpectCertificate(_)
                | Self::ExpectFiles(_)
                | Self::ExpectCommand(_)
                | Self::ExpectWindow(_)
                | Self::Checkpoint(_)
                | Self::ExpectIdentity(_)
                | Self::ExpectMaintenance(_)
                | Self::ExpectDrained(_)
        )
    }

    /// Whether others stand on what it brings about.
    pub fn is_ground(&self) -> bool {
        matches!(self, Self::StartServices(step) if step.is_ground)
    }

    /// Whether the container engine is needed for it.
    pub fn needs_engine(&self) -> bool {
        if let Self::Checkpoint(gate) = self {
            return gate.gates.iter().chain(&gate.still).any(|gate| gate.action.needs_engine());
        }
        if let Self::ExpectHealth(gate) = self {
            return gate.straight.is_some();
        }
        let is_about_names = matches!(self, Self::SwitchDns(_) | Self::ExpectDns(_) | Self::ExpectCertificate(_));
        let is_of_this_host = matches!(
            self,
            Self::RunCommand(_)
                | Self::MigrateUsers(_)
                | Self::ExpectFiles(_)
                | Self::ExpectCommand(_)
                | Self::ExpectWindow(_)
                | Self::SwitchUpstream(_)
                | Self::ExpectIdentity(_)
                | Self::SetMaintenance(_)
                | Self::ExpectMaintenance(_)
        );
        !self.needs_databases() && !is_about_names && !is_of_this_host
    }

    /// Whether it talks to a database by its connection string.
    pub fn needs_databases(&self) -> bool {
        matches!(
            self,
            Self::FreezeSource(_)
                | Self::ExpectFrozen(_)
                | Self::ExpectSameRows(_)
                | Self::CreateBackup(_)
                | Self::RestoreBackup(_)
                | Self::ExportRows(_)
                | Self::ImportRows(_)
                | Self::CopyRows(_)
                | Self::SaveChanges(_)
                | Self::ApplyChanges(_)
        )
    }

    /// Names of the variables of the environment that it hands to programs.
    pub fn variables(&self) -> Vec<String> {
        match self {
            Self::RunCommand(step) => step.environment.clone(),
            Self::ExpectCommand(gate) => gate.command.environment.clone(),
            Self::Checkpoint(gate) => {
                gate.gates.iter().chain(&gate.still).flat_map(|gate| gate.action.variables()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What undoing gives back; gates change nothing.
    pub fn reversal(&self) -> Reversal {
        match self {
            Self::MigrateSchema(step) => step.reversal(),
            Self::RunCommand(step) => step.reversal(),
            Self::SaveChanges(step) => step.reversal(),
            Self::ImportRows(step) => step.reversal(),
            Self::CopyRows(step) => step.reversal(),
            Self::LetReleaseGo(step) => step.reversal(),
            _ => Reversal::Exact,
        }
    }

    /// Whether all that it leaves are files of ours, which no undoing takes away.
    pub fn only_writes_files(&self) -> bool {
        matches!(self, Self::ExportRows(_) | Self::CreateBackup(_))
    }

    /// Whether undoing it means to change what serves people (images kept or files written do not).
    pub fn changes_the_world(&self) -> bool {
        matches!(
            self,
            Self::MigrateSchema(_)
                | Self::StartServices(_)
                | Self::RecordRelease(_)
                | Self::FreezeSource(_)
                | Self::SwitchDns(_)
                | Self::SwitchUpstream(_)
                | Self::SetMaintenance(_)
                | Self::RunCommand(_)
                | Self::MigrateUsers(_)
                | Self::RestoreBackup(_)
                | Self::ImportRows(_)
                | Self::CopyRows(_)
                | Self::ApplyChanges(_)
        )
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
