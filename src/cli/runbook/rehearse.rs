//! `rehearse`: the same runbook against an isolated copy: run, undone, run again; timed, and what was found is kept.
//!
//! Each part is a process of its own that gets the copy's configuration and the copy's variables, and nothing of production's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::arguments::Rehearse;
use super::bound::{self, Bound};
use super::kitchen::variables;
use super::record::{Part, Record};
use super::{cook, isolation, record, stacks, write_copy};
use crate::adapter::clock::{self, spoken};
use crate::adapter::files;
use crate::adapter::process::{Command, ProcessError, Sink};
use crate::cli::carry::take_lock;
use crate::cli::global::Global;
use crate::cli::setup::{self, Setup};
use crate::cli::{exit, out};
use crate::config::runbook::Runbook;
use crate::config::{self, Config, Environment};
use crate::data::plural::counted;
use crate::init::copy::PREFIX;
use crate::journal::{RunState, Standing, runs};
use crate::report::SCHEMA;
use crate::run::Refusal;
use crate::step::RunKind;
use crate::step::plan::Substitution;

/// The longest that one part may take: a stabilization of a day, and then some.
const LONGEST: Duration = Duration::from_secs(3 * 24 * 3600);

/// The verb.
///
/// # Errors
/// [`Refusal`], when the copy is not apart from production; or when a part cannot be started.
pub async fn run(global: &Global, verb: &Rehearse) -> Result<u8> {
    if verb.write_configuration {
        return write_copy::run(global, verb).await;
    }
    let production = setup::config(global)?;
    let environment = Environment::of_process();
    let copy = copy_of(&production, &verb.runbook)?;
    let runbook = cook::read(&verb.runbook)?;
    let mut substitutions = isolation::substitutions(&production, &copy)?;
    let setup = Setup::without_engine(global, production.state.directory.clone(), Some(&production))?;
    let ours = bound::model(&setup, &runbook, &production).await.context("production's compose files")?;
    let theirs = bound::model(&setup, &runbook, &copy).await.context("the compose files of the rehearsal")?;
    let mut in_stacks = stacks::shared(ours.as_ref(), theirs.as_ref());
    in_stacks.extend(isolation::led_to_production(&production, theirs.as_ref(), &environment));
    isolation::must_be_apart(&production, &copy, &environment, in_stacks).await?;
    let chosen = chosen(&runbook, &copy, &environment)?;
    substitutions.extend(in_services(&production, ours.as_ref(), theirs.as_ref())?);
    let bound = Bound::of(&runbook, &production, ours.as_ref()).without(&substitutions);
    if verb.dry_run {
        print(global, &substitutions, &bound, None);
        return Ok(exit::DONE);
    }
    // The record is kept beside production's runs; nothing else of production is written.
    let lock = take_lock(&setup.state, "rehearse")?;
    let mut stage = Stage { global, setup: &setup, copy: &copy, runbook: &verb.runbook, chosen, substitutions: None };
    let mut kept = stage.all(&substitutions, verb.once).await?;
    kept.bound = Some(bound.clone());
    let path = record::path(&setup.state, &kept.runbook);
    files::make_private_directory(path.parent().unwrap_or(Path::new(".")))?;
    files::write_json(&path, &kept, 0o600)?;
    drop(lock);
    print(global, &kept.substitutions, &bound, Some(&kept));
    out::say(&format!("rehearsal: {}", path.display()));
    Ok(if kept.went_through { exit::DONE } else { exit::REFUSED })
}

/// What the copy's services have in the place of production's.
fn in_services(production: &Config, ours: Option<&Value>, theirs: Option<&Value>) -> Result<Vec<Substitution>> {
    let wrong = match bound::other_places(ours, theirs, &production.rehearsal.differs) {
        Ok(found) => return Ok(found),
        Err(wrong) => wrong.join("; "),
    };
    Err(Refusal::Usage(format!(
        "a rehearsal differs from production only in where things are, or it proves nothing: {wrong}; a service that may do \
         something else is named in rehearsal.differs, as compose.SERVICE"
    ))
    .into())
}

/// The configuration of the isolated copy.
fn copy_of(production: &Config, runbook: &Path) -> Result<Config> {
    let writes = format!("`cutover rehearse {} --write-configuration` writes it from this one", runbook.display());
    let why = match &production.rehearsal.config {
        // What overrides production's keys by the environment must not override the copy's.
        Some(path) if path.symlink_metadata().is_ok() => {
            return Ok(config::load_with(path, &Environment::default(), &[])?);
        }
        Some(path) => format!("{}, which [rehearsal] config names, is not there: {writes}", path.display()),
        None => format!(
            "[rehearsal] config is not set: it names the configuration of an isolated copy, another cutover.toml that differs \
             only in where things are; {writes}"
        ),
    };
    Err(Refusal::Usage(why).into())
}

/// The variables of the copy. A command's variable is never production's: it is taken from REHEARSAL_ and its name.
fn chosen(runbook: &Runbook, copy: &Config, environment: &Environment) -> Result<Vec<(String, String)>> {
    let mut chosen = environment.chosen(&variables(copy));
    let mut wrong = Vec::new();
    for name in cook::variables(runbook) {
        let other = format!("{PREFIX}{name}");
        match environment.get(&other) {
            None => wrong.push(format!("{other} is not set")),
            Some(value) if environment.get(&name) == Some(value) => {
                wrong.push(format!("{other} is production's {name}"))
            }
            Some(value) => chosen.push((name, value.to_owned())),
        }
    }
    if wrong.is_empty() {
        return Ok(chosen);
    }
    Err(Refusal::Usage(format!(
        "commands of a rehearsal get variables of their own, or they would work on production: {}",
        wrong.join("; ")
    ))
    .into())
}

struct Stage<'a> {
    global: &'a Global,
    setup: &'a Setup,
    copy: &'a Config,
    runbook: &'a Path,
    chosen: Vec<(String, String)>,
    substitutions: Option<PathBuf>,
}

impl Stage<'_> {
    /// Every part, until one does not go through.
    async fn all(&mut self, substitutions: &[Substitution], is_once: bool) -> Result<Record> {
        files::make_private_directory(&self.copy.state.directory)?;
        let file = self.copy.state.directory.join("substitutions.json");
        files::write_json(&file, &substitutions, 0o600)?;
        self.substitutions = Some(file);
        if self.last()?.is_some_and(|run| run.kind == RunKind::Rehearsal.word() && run.stands()) {
            self.say("undoing the rehearsal before this one");
            self.rollback().await?;
            self.open_target().await?;
        }
        // What the last rehearsal took is what this one is shown against.
        match record::read(&self.setup.state, &self.name()?) {
            Ok(last) => last.iter().try_for_each(|last| self.pace(last))?,
            Err(error) => tracing::warn!("the record of the last rehearsal cannot be read: {error:#}"),
        }
        self.say("run");
        let mut parts = vec![self.run("run").await?];
        let is_well = |parts: &[Part]| parts.last().is_some_and(|part| part.exit == exit::DONE);
        if !is_once && is_well(&parts) {
            self.say("rollback");
            self.rollback().await?;
            parts.push(self.part("rollback")?);
            if is_well(&parts) {
                self.open_target().await?;
                self.pace(&self.record(parts.clone(), substitutions)?)?;
                self.say("run again");
                parts.push(self.run("run again").await?);
            }
        }
        self.record(parts, substitutions)
    }

    /// Name of the runbook.
    fn name(&self) -> Result<String> {
        Ok(cook::read(self.runbook)?.name)
    }

    /// Lets the copy know what the parts took until now: its screen is shown against it.
    fn pace(&self, record: &Record) -> Result<()> {
        let path = record::path(&self.copy.state.directory, &record.runbook);
        files::make_private_directory(path.parent().unwrap_or(Path::new(".")))?;
        files::write_json(&path, record, 0o600)
    }

    /// The record of the parts that there are.
    fn record(&self, parts: Vec<Part>, substitutions: &[Substitution]) -> Result<Record> {
        let went_through = parts.last().is_some_and(|part| part.exit == exit::DONE);
        let mut findings = Vec::new();
        let run = self.first_run()?.context("the rehearsal has left no journal")?;
        if let Some((item, why)) = self
            .last()?
            .and_then(|run| run.failure.map(|(item, why)| (run.items[item.min(run.items.len() - 1)].name.clone(), why)))
        {
            findings.push(format!("{item}: {why}"));
        }
        findings.extend(
            run.items
                .iter()
                .filter(|item| item.said.contains("a person will confirm"))
                .map(|item| format!("{}: {}", item.name, item.said)),
        );
        let header = run.header.clone().context("the journal has no head")?;
        let word =
            |pointer: &str| run.plan.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        Ok(Record {
            schema: "cutover/rehearsal/v1".into(),
            runbook: word("/course/runbook"),
            recipe: word("/course/recipe"),
            plan_hash: header.plan_hash,
            at: clock::now(),
            went_through,
            substitutions: substitutions.to_vec(),
            parts,
            items: run.items.iter().map(|item| item.name.clone()).collect(),
            findings,
            bound: None,
        })
    }

    fn say(&self, words: &str) {
        if !self.global.quiet {
            out::say(&format!("rehearsal: {words}"));
        }
    }

    async fn run(&self, what: &str) -> Result<Part> {
        let substitutions = self.substitutions.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let runbook = std::path::absolute(self.runbook)?.display().to_string();
        let phrase = format!("rehearsal {}", self.copy.project.environment);
        let words = ["run", &runbook, "--substitutions", &substitutions, "--yes", "--confirm", &phrase];
        self.call(&words).await?;
        self.part(what)
    }

    async fn rollback(&self) -> Result<()> {
        let phrase = format!("rollback {}", self.copy.project.environment);
        self.call(&["rollback", "--yes", "--confirm", &phrase]).await.map(drop)
    }

    /// A rollback leaves the target closed; for another night it is opened, as a person would do it.
    async fn open_target(&self) -> Result<()> {
        if self.copy.target.is_some() {
            self.call(&["data", "unfreeze", "--of", "target", "--yes"]).await?;
        }
        Ok(())
    }

    /// A verb of our own on the copy; its progress is ours, its exit code is returned.
    async fn call(&self, words: &[&str]) -> Result<u8> {
        let config = self.copy.path.display().to_string();
        let state = self.copy.state.directory.display().to_string();
        let mut head = vec!["--config", config.as_str(), "--state-directory", state.as_str(), "--no-input"];
        // On a terminal the part draws for itself, phases and time left and all; it knows no secret of production's.
        let is_live = !self.global.quiet && setup::is_live(self.global, &Environment::of_process());
        if !is_live || !self.setup.style.colour {
            head.push("--no-color");
        }
        let words: Vec<&str> = head.into_iter().chain(words.iter().copied()).collect();
        let mut command = Command::new(std::env::current_exe()?, words);
        command.environment = self.chosen.clone();
        command.deadline = LONGEST;
        command.output = Sink::Kept;
        command.is_shown = is_live;
        let is_quiet = self.global.quiet;
        let heard = |line: &str| {
            if !is_quiet {
                out::say(line);
            }
        };
        match self.setup.process.run(command, &heard).await {
            Ok(_) => Ok(exit::DONE),
            Err(ProcessError::Failed { code: Some(code), .. }) => Ok(u8::try_from(code).unwrap_or(exit::FAILED)),
            Err(error) => Err(error.into()),
        }
    }

    fn last(&self) -> Result<Option<RunState>> {
        Ok(runs::last(&self.copy.state.directory.join("runs"))?)
    }

    /// The last run of the runbook in the copy.
    fn first_run(&self) -> Result<Option<RunState>> {
        for file in runs::list(&self.copy.state.directory.join("runs"))?.iter().rev() {
            if file.kind == RunKind::Rehearsal.word() {
                return Ok(Some(file.state()?));
            }
        }
        Ok(None)
    }

    /// What the journal of the last run says.
    fn part(&self, what: &str) -> Result<Part> {
        let run = self.last()?.context("the rehearsal has left no journal; its words stand above")?;
        let exit = match &run.outcome {
            Some((outcome, _)) => exit::of_outcome(*outcome),
            None if run.waiting.is_some() => exit::WAITING,
            None => exit::INTERRUPTED,
        };
        let is_over = |standing: Standing| matches!(standing, Standing::Done | Standing::Undone | Standing::Stays);
        let over = run.items.iter().filter(|item| is_over(item.standing));
        Ok(Part {
            what: what.to_owned(),
            run: run.number,
            exit,
            took_ms: run.items.iter().map(|item| (item.name.clone(), item.took_ms)).collect(),
            seen: over.map(|item| (item.name.clone(), item.said.clone())).collect(),
        })
    }
}

fn print(global: &Global, substitutions: &[Substitution], bound: &Bound, kept: Option<&Record>) {
    if global.is_json() {
        let hash = bound.hash();
        out::json(serde_json::json!({
            "schema": SCHEMA, "hash": hash, "substitutions": substitutions, "rehearsal": kept,
        }));
        return;
    }
    let mut text = String::new();
    if let Some(kept) = kept {
        let word = if kept.went_through { "COMPLETE" } else { "FAILED" };
        text.push_str(&format!("{word}: the rehearsal of {}\n", kept.runbook));
        for part in &kept.parts {
            let how = match part.exit {
                exit::DONE => "went through".to_owned(),
                code => format!("ended with {code}"),
            };
            let took = spoken(Duration::from_millis(part.total_ms()));
            text.push_str(&format!("  {}: {how}, its steps took {took} (run {} of the copy)\n", part.what, part.run));
        }
    }
    let parts = [
        counted(bound.entries.len(), "entry"),
        counted(bound.settings.len(), "setting"),
        counted(bound.services.len(), "service"),
    ];
    let hash = bound.hash();
    text.push_str(&format!("What a run has in common with it (digest {}): {}\n", &hash[..12], parts.join(", ")));
    text.push_str("What stands in the place of what\n");
    for one in substitutions {
        text.push_str(&format!("  {}: {} instead of {}\n", one.name, one.to, one.from));
    }
    if let Some(kept) = kept.filter(|kept| !kept.findings.is_empty()) {
        text.push_str("Findings\n");
        kept.findings.iter().for_each(|finding| text.push_str(&format!("  {finding}\n")));
    }
    out::result(&text);
}
