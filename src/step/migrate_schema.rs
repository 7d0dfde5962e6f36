//! Migrate schema: one container of the new release runs the migration once. It is detached, so it outlives us.
//!
//! The container stays until the release is recorded: that it ended with 0 is the reason why a resumed run does not do
//! it twice. Done is what `migrated.json` says, which outlives the container: a rollback must know it too.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dump::server;
use super::{Reversal, RunTag, Say, Undone, World};
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::compose::{Compose, OneShot, Sources};
use crate::adapter::docker::{Container, Docker, label};
use crate::adapter::files;
use crate::adapter::postgres::{Database, Postgres};
use crate::data::shell;

/// How often the container is looked at.
const PACE: Duration = Duration::from_millis(150);

/// What undoing the step means.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum OnRollback {
    /// The schema stays; the release before must bear it (expand and contract).
    Keep,
    /// The backup of this run is put back; what was written since is kept aside and does not serve.
    Restore {
        /// Directory of the backups.
        backups: PathBuf,
    },
    /// A command of the new release undoes it.
    Command(Vec<String>),
}

/// What undoing says where there is nothing to undo.
pub const AS_BEFORE: &str = "the schema is as it was before";

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct MigrateSchema {
    /// Compose project.
    pub project: String,
    /// Directory of the project.
    pub directory: PathBuf,
    /// Service whose image holds the migrations.
    pub service: String,
    /// Command that migrates.
    pub command: Vec<String>,
    /// The longest it may take, seconds.
    pub deadline_s: u64,
    /// What undoing means.
    pub on_rollback: OnRollback,
    /// The database, where the stack owns one: its schema is compared before and after.
    pub database: Option<Database>,
    /// The run that migrated; this run when absent.
    pub run: Option<u32>,
}

impl MigrateSchema {
    /// What undoing gives back.
    pub fn reversal(&self) -> Reversal {
        match &self.on_rollback {
            OnRollback::Keep => Reversal::Nothing("the schema stays as it was migrated; the release before will meet it".into()),
            OnRollback::Restore { .. } => Reversal::Lossy(
                "the backup is put back, so rows written since the backup do not serve any more (they are kept in a database aside)".into(),
            ),
            OnRollback::Command(_) => Reversal::Exact,
        }
    }

    /// Directory of the run that migrated.
    fn side(&self, run: &RunTag) -> PathBuf {
        match self.run {
            Some(number) => run.beside(number),
            None => run.side.clone(),
        }
    }

    fn container_name(&self, run: &RunTag, act: &str) -> String {
        format!("{}-{act}-run-{}", self.project, self.run.unwrap_or(run.number))
    }

    /// Looks at the one-shot container of the run.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn check(&self, docker: &Docker, run: &RunTag) -> Result<World> {
        if self.side(run).join("migrated.json").exists() {
            return Ok(World::After("the migration was done by this run".into()));
        }
        let name = self.container_name(run, "migrate");
        Ok(match docker.container(&name).await? {
            // It was begun, so something of it may be in the database although its container is gone.
            None if self.side(run).join("schema-before.json").exists() => {
                World::Between(format!("begun by this run, and {name} is gone"))
            }
            None => World::Before("not migrated by this run".into()),
            Some(shot) => {
                World::Between(format!("{name} is {}, exit code {}", shot.state.status, shot.state.exit_code))
            }
        })
    }

    /// Runs the migration, or waits for the one that an earlier process of this run began.
    ///
    /// # Errors
    /// When it does not end with 0 in time; its last lines are in the error.
    pub async fn run(
        &self,
        docker: &Docker,
        compose: &Compose,
        postgres: &Postgres,
        run: &RunTag,
        say: Say<'_>,
    ) -> Result<Value> {
        self.end_sessions(docker, postgres, run).await?;
        let before = self.schema(docker, postgres, run).await?;
        let before_file = run.side.join("schema-before.json");
        if !before_file.exists() {
            files::write_json(&before_file, &before, 0o600)?;
        }
        let before: Option<String> = files::read_json(&before_file)?;
        self.one_shot(docker, compose, run, "migrate", &self.command, say).await?;
        let after = self.schema(docker, postgres, run).await?;
        let changed = match (&before, &after) {
            (Some(before), Some(after)) => Some(before != after),
            _ => None,
        };
        files::write_json(&run.side.join("migrated.json"), &json!({ "before": before, "after": after }), 0o600)?;
        Ok(json!({ "schema_before": before, "schema_after": after, "schema_changed": changed }))
    }

    async fn schema(&self, docker: &Docker, postgres: &Postgres, run: &RunTag) -> Result<Option<String>> {
        let Some(database) = &self.database else { return Ok(None) };
        let container = server(docker, &self.project, database).await?;
        let digest = postgres.schema_digest(&container, database, &run.session()).await;
        digest.map(Some).context("cannot read the schema of the database")
    }

    /// A dump that a killed process left inside the container holds locks that a migration would wait for.
    async fn end_sessions(&self, docker: &Docker, postgres: &Postgres, run: &RunTag) -> Result<()> {
        let Some(database) = &self.database else { return Ok(()) };
        let container = server(docker, &self.project, database).await?;
        let ended = postgres.end_our_sessions(&container, database, &run.session()).await;
        ended.context("cannot clear sessions of an earlier run")
    }

    async fn one_shot(
        &self,
        docker: &Docker,
        compose: &Compose,
        run: &RunTag,
        act: &str,
        command: &[String],
        say: Say<'_>,
    ) -> Result<()> {
        let name = self.container_name(run, act);
        match docker.container(&name).await? {
            // Made but never started, or failed: it proves nothing and stands in the way.
            Some(old)
                if old.state.status == "created" || (old.state.status == "exited" && old.state.exit_code != 0) =>
            {
                docker.remove(&old.id).await?;
            }
            Some(old) => say(format!("{} is {} from before the interruption", old.name, old.state.status)),
            None => {}
        }
        if docker.container(&name).await?.is_none() {
            let model = self.side(run).join("model.json");
            let labels = [format!("{}={}", label::RUN, run.number)];
            let shot = OneShot { name: &name, service: &self.service, command, labels: &labels };
            let sources = Sources::rendered(&self.project, &self.directory, &model);
            compose.run_detached(&sources, &shot).await?;
        }
        let ended = self.wait(docker, &name, say).await?;
        let log = docker.log_tail(&name, 2_000).await?;
        files::write_atomically(&run.side.join(format!("{act}.log")), (log.join("\n") + "\n").as_bytes(), 0o600)?;
        if ended.state.exit_code != 0 {
            let tail = log[log.len().saturating_sub(15)..].join("\n");
            bail!(
                "`{}` in {} exited {}; its last lines:\n{tail}",
                command.join(" "),
                self.service,
                ended.state.exit_code
            );
        }
        Ok(())
    }

    async fn wait(&self, docker: &Docker, name: &str, say: Say<'_>) -> Result<Container> {
        let watch = Stopwatch::start();
        let deadline = Duration::from_secs(self.deadline_s);
        loop {
            let Some(shot) = docker.container(name).await? else {
                bail!("{name} is gone; somebody removed it while it was at work, and how far it came is not known");
            };
            if matches!(shot.state.status.as_str(), "exited" | "dead") {
                return Ok(shot);
            }
            if watch.left(deadline).is_none() {
                docker.remove(&shot.id).await.context("the migration passed its deadline and could not be ended")?;
                bail!("`{}` did not end within {} and was ended", shell::line(&self.command), spoken(deadline));
            }
            say(format!("{name} runs for {} of at most {}", spoken(watch.elapsed()), spoken(deadline)));
            tokio::time::sleep(PACE).await;
        }
    }

    /// Undoes it as configured. A schema that the migration did not change needs nothing.
    ///
    /// # Errors
    /// When the undo command or the restore fails.
    pub async fn undo(
        &self,
        docker: &Docker,
        compose: &Compose,
        postgres: &Postgres,
        run: &RunTag,
        say: Say<'_>,
    ) -> Result<Undone> {
        let name = self.container_name(run, "migrate");
        docker.stop(&name).await?;
        let undone = self.undo_as_configured(docker, compose, postgres, run, say).await?;
        // Last: while it is there, a process that comes after us knows that there is something to undo.
        docker.remove(&name).await?;
        Ok(undone)
    }

    async fn undo_as_configured(
        &self,
        docker: &Docker,
        compose: &Compose,
        postgres: &Postgres,
        run: &RunTag,
        say: Say<'_>,
    ) -> Result<Undone> {
        let number = self.run.unwrap_or(run.number);
        let before_file = self.side(run).join("schema-before.json");
        if before_file.exists() {
            let before: Option<String> = files::read_json(&before_file)?;
            if before.is_some() && before == self.schema(docker, postgres, run).await? {
                return Ok(Undone::Stays(AS_BEFORE.into()));
            }
        }
        match &self.on_rollback {
            OnRollback::Keep => Ok(Undone::Stays("the schema stays as it was migrated, no row is lost".into())),
            OnRollback::Command(command) => {
                // The mark outlives a crash that the container does not need to outlive: it is undone once.
                let mark = self.side(run).join("migration-undone.json");
                if !mark.exists() {
                    self.one_shot(docker, compose, run, "undo-migrate", command, say).await?;
                    files::write_json(&mark, &json!({ "command": command }), 0o600)?;
                }
                docker.remove(&self.container_name(run, "undo-migrate")).await?;
                Ok(Undone::Stays(format!("`{}` undid the migration", command.join(" "))))
            }
            OnRollback::Restore { backups } => {
                let Some(database) = &self.database else { bail!("no database is known to restore into") };
                let container = server(docker, &self.project, database).await?;
                let aside = format!("{}_before_rollback_{number:04}", database.name);
                if !postgres.exists(&container, database, &run.session(), &aside).await? {
                    let archive = backups.join(format!("{number:04}-{}.dump", database.name));
                    say(format!("restoring {}", archive.display()));
                    let deadline = Duration::from_secs(self.deadline_s);
                    postgres.restore(&container, database, &run.session(), &archive, &aside, deadline).await?;
                }
                Ok(Undone::Stays(format!(
                    "the backup serves again; what was written since stands in the database {aside}"
                )))
            }
        }
    }
}
