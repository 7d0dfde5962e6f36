//! The real hands: each arm of the dispatch hands its step only those adapters that it uses.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::Value;

use super::run_command::Variables;
use super::{Act, Actor, Answer, Databases, RunTag, Say, Seen, Undone, World};
use crate::adapter::compose::Compose;
use crate::adapter::docker::Docker;
use crate::adapter::http::Http;
use crate::adapter::inside::Inside;
use crate::adapter::postgres::Postgres;
use crate::adapter::process::Process;
use crate::adapter::stack_auth::StackAuth;
use crate::dns::provider::Credentials;
use crate::release::Store;

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
    /// The service that accounts move to; why it cannot be called, where it cannot.
    pub accounts: Option<Result<StackAuth, String>>,
    /// Whoever keeps the names, and what they are called with.
    pub names: Credentials,
    /// Asks programs inside containers.
    pub inside: Inside,
    /// Starts children.
    pub process: Process,
    /// Values of the variables that commands of the plan name.
    pub variables: Variables,
    /// Releases.
    pub store: Store,
    /// State directory.
    pub state: PathBuf,
    /// Run.
    pub run: RunTag,
}

/// Every gate, so that a new act is missed nowhere.
macro_rules! gates {
    () => {
        Act::ExpectServices(_)
            | Act::ExpectHealth(_)
            | Act::ExpectSteady(_)
            | Act::ExpectFrozen(_)
            | Act::ExpectSameRows(_)
            | Act::ExpectDns(_)
            | Act::ExpectCertificate(_)
            | Act::ExpectFiles(_)
            | Act::ExpectCommand(_)
            | Act::ExpectWindow(_)
            | Act::Checkpoint(_)
            | Act::ExpectIdentity(_)
            | Act::ExpectMaintenance(_)
            | Act::ExpectDrained(_)
    };
}

impl Hands {
    fn accounts(&self) -> Result<&StackAuth> {
        match &self.accounts {
            Some(Ok(accounts)) => Ok(accounts),
            Some(Err(why)) => bail!("{why}"),
            None => bail!("[users] is missing; it says which service the accounts move to"),
        }
    }
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
            Act::CreateBackup(step) => step.check(),
            Act::RestoreBackup(step) => step.check(&self.databases).await,
            Act::ExportRows(step) => step.check(),
            Act::ImportRows(step) => step.check(&self.databases, &self.run).await,
            Act::CopyRows(step) => step.check(&self.databases, &self.run).await,
            Act::SaveChanges(step) => step.check(&self.run),
            Act::ApplyChanges(step) => step.check(&self.databases, &self.run).await,
            Act::MigrateUsers(step) => step.check(self.accounts()?).await,
            Act::RunCommand(step) => step.check(&self.process, &self.variables, &self.run).await,
            Act::FreezeSource(step) => step.check(self.databases.shown(&step.place)?).await,
            Act::SwitchDns(step) => step.check(&self.names).await,
            Act::KickCaddy(step) => step.check(&self.run),
            Act::SwitchUpstream(step) => step.check(),
            Act::StartSide(step) => step.check(&self.docker).await,
            Act::EndSide(step) => step.check(&self.docker).await,
            Act::LetReleaseGo(step) => step.check(&self.store),
            Act::SetMaintenance(step) => step.check(),
            gates!() => Ok(World::Before("a gate has no sides".into())),
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
            Act::CreateBackup(step) => step.run(&self.databases, &self.process, &self.run, say).await,
            Act::RestoreBackup(step) => step.run(&self.databases, &self.process, &self.run, say).await,
            Act::ExportRows(step) => step.run(&self.databases, &self.process, &self.run, say).await,
            Act::ImportRows(step) => step.run(&self.databases, &self.run, say).await,
            Act::CopyRows(step) => step.run(&self.databases, &self.run, say).await,
            Act::SaveChanges(step) => step.run(&self.databases, &self.run, say).await,
            Act::ApplyChanges(step) => step.run(&self.databases, &self.run, say).await,
            Act::MigrateUsers(step) => step.run(self.accounts()?, say).await,
            Act::RunCommand(step) => step.run(&self.process, &self.variables, &self.run, say).await,
            Act::FreezeSource(step) => step.run(self.databases.shown(&step.place)?, &self.run, say).await,
            Act::SwitchDns(step) => step.run(&self.names, say).await,
            Act::KickCaddy(step) => step.run(&self.docker, &self.inside, &self.run, say).await,
            Act::SwitchUpstream(step) => step.run(),
            Act::StartSide(step) => step.run(&self.docker, &self.compose, &self.store, &self.run, say).await,
            Act::EndSide(step) => step.run(&self.docker, &self.compose, say).await,
            Act::LetReleaseGo(step) => step.run(&self.docker, &self.store, say).await,
            Act::SetMaintenance(step) => step.run(),
            gates!() => Ok(Value::Null),
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
            Act::CreateBackup(_) => Ok(Undone::Stays("the backup stays".into())),
            Act::RestoreBackup(step) => step.undo(&self.databases, &self.run, say).await,
            Act::ExportRows(_) => Ok(Undone::Stays("the exported files stay".into())),
            Act::ImportRows(step) => step.undo(&self.databases, &self.run, say).await,
            Act::CopyRows(step) => step.undo(&self.databases, &self.run, say).await,
            Act::SaveChanges(_) => Ok(Undone::Stays("the saved changes stay".into())),
            Act::ApplyChanges(step) => step.undo(&self.databases, &self.run, say).await,
            Act::MigrateUsers(step) => step.undo(self.accounts()?, say).await,
            Act::RunCommand(step) => step.undo(&self.process, &self.variables, &self.run, say).await,
            Act::FreezeSource(step) => step.undo(self.databases.shown(&step.place)?, &self.run, say).await,
            Act::SaveIncident(_) => Ok(Undone::Stays("what was saved stays".into())),
            Act::ExportDatabase(_) => Ok(Undone::Stays("the export stays".into())),
            Act::SwitchDns(step) => step.undo(&self.names, say).await,
            Act::SwitchUpstream(step) => step.undo(),
            Act::StartSide(step) => step.undo(&self.docker, &self.compose, say).await,
            Act::EndSide(step) => step.undo(&self.docker, &self.compose, &self.store, &self.run, say).await,
            Act::SetMaintenance(step) => step.undo(),
            Act::LetReleaseGo(_) => Ok(Undone::Stays("a release that was let go is not kept any more".into())),
            Act::KickCaddy(_) => Ok(Undone::Stays("a reload leaves nothing to undo".into())),
            gates!() => Ok(Undone::Stays("a gate changes nothing".into())),
        }
    }

    /// Asks a gate until it passes, refuses, or its deadline ends.
    ///
    /// # Errors
    /// When the world could not be asked at all within the deadline.
    async fn ask(&self, act: &Act, say: Say<'_>) -> Result<Seen> {
        match act {
            Act::ExpectServices(gate) => gate.ask(&self.docker, say).await,
            Act::ExpectHealth(gate) => gate.ask(&self.docker, &self.http, say).await,
            Act::ExpectSteady(gate) => gate.ask(&self.docker, &self.http, say).await,
            Act::ExpectFrozen(gate) => gate.ask(self.databases.shown(&gate.place)?, say).await,
            Act::ExpectDns(gate) => gate.ask(say).await,
            Act::ExpectCertificate(gate) => gate.ask(say).await,
            Act::ExpectFiles(gate) => gate.ask(),
            Act::ExpectCommand(gate) => gate.ask(&self.process, &self.variables, &self.run, say).await,
            Act::ExpectWindow(gate) => gate.ask(say).await,
            Act::Checkpoint(gate) => gate.ask(|act| Box::pin(self.ask(act, say))).await,
            Act::ExpectIdentity(gate) => gate.ask(&self.http, say).await,
            Act::ExpectMaintenance(gate) => gate.ask(&self.http, say).await,
            Act::ExpectDrained(gate) => gate.ask(&self.docker, say).await,
            Act::ExpectSameRows(gate) => gate.ask(&self.databases, &self.run.session(), say).await,
            _ => Ok(Seen { answer: Answer::Passed, words: "not a gate".into(), data: Value::Null }),
        }
    }
}
