//! From a runbook to the plan of its run: every entry's list is made from what can be read now.
//!
//! What cannot be known before the run is no guess in the plan: the step finds it out by itself when it is its turn, and
//! the plan says what that is.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::built_ins;
use super::kitchen::{Ask, Kitchen, whole_seconds};
use crate::adapter::files;
use crate::cli::global::Global;
use crate::cli::setup::Setup;
use crate::config::runbook::{CheckItem, Checkpoint as Asked, CommandEntry, Deed, Entry, Runbook, load_runbook};
use crate::config::{Config, OnExpiry, OnFailure};
use crate::journal::{Outcome, RunState, runs};
use crate::run::commands;
use crate::run::cutover::{self, About, Cooked, CookedPhase, checkpoint};
use crate::run::deploy::Planned;
use crate::run::list::item;
use crate::run::{Refusal, data};
use crate::step::Act;
use crate::step::checkpoint::{CheckGate, Checkpoint, Statement};
use crate::step::plan::{Course, Plan, RunKind, Substitution};
use crate::step::run_command::RunCommand;

/// How long a gate waits as an entry of its own.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a gate waits in a checkpoint, where it is asked again and again.
const GLANCE: Duration = Duration::from_secs(5);
/// How long an approval counts.
const VALID: Duration = Duration::from_secs(12 * 3600);
/// How often a waiting checkpoint asks again.
const RECHECK: Duration = Duration::from_secs(30);
/// The longest that a command may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Reads a runbook.
///
/// # Errors
/// Every problem of the file.
pub fn read(path: &Path) -> Result<Runbook> {
    Ok(load_runbook(path, &built_ins::known())?)
}

/// Makes the plan, by reading only.
///
/// # Errors
/// [`Refusal`], when the runbook cannot be carried out as it stands; or when the world cannot be read.
pub async fn plan(
    global: &Global,
    config: &Config,
    setup: &Setup,
    runbook: &Runbook,
    kind: RunKind,
    substitutions: Vec<Substitution>,
) -> Result<Planned> {
    let all = runs::list(&setup.state.join("runs")).context("cannot list the runs")?;
    if kind == RunKind::Cutover {
        depended_on(&all, runbook)?;
    }
    let is_mapped = |entry: &Entry| matches!(&entry.deed, Deed::BuiltIn { name, .. } if name == "migrate-users");
    let switched_on = runbook.entries().find_map(|entry| match &entry.deed {
        Deed::BuiltIn { name, settings } if name == "maintenance-on" => Some(settings),
        _ => None,
    });
    let next = all.last().map_or(0, |run| run.number) + 1;
    let kitchen = Kitchen {
        global,
        config,
        setup,
        directory: runbook.directory.clone(),
        backup_name: format!("{next:04}-{}", runbook.name),
        maps_users: runbook.entries().any(is_mapped),
        maintenance_message: switched_on.and_then(|settings| settings.message.clone()),
        has_maintenance: switched_on.is_some(),
    };
    let mut phases = Vec::new();
    for phase in &runbook.phases {
        let mut entries = Vec::new();
        for entry in &phase.entries {
            entries.push(cook(&kitchen, entry).await.with_context(|| format!("in the entry {}", entry.name))?);
        }
        let (name, title) = (phase.name.clone(), phase.title.clone());
        phases.push(CookedPhase { name, title, window: phase.window.clone(), entries });
    }
    let file = std::path::absolute(&runbook.path)?;
    let (sha256, _) = files::sha256_of_file(&file)?;
    let course =
        Course { runbook: runbook.name.clone(), title: runbook.title.clone(), file, sha256, ..Course::default() };
    let window = runbook.window.clone();
    let about = About { kind, course, on_failure: runbook.on_failure, window, substitutions };
    let mut planned = cutover::plan(config, about, phases)?;
    let variables = crate::cli::carry::variables(&planned.plan);
    commands::must_be_ready(&planned.plan, None, &setup.process, &variables)?;
    planned.plan.clean(&setup.redactor);
    Ok(planned)
}

/// Runbooks that must have been carried out, and not undone since.
fn depended_on(all: &[runs::RunFile], runbook: &Runbook) -> Result<()> {
    if runbook.depends_on.is_empty() {
        return Ok(());
    }
    let mut states: Vec<RunState> = Vec::new();
    for file in all {
        states.push(file.state()?);
    }
    let is_done = |run: &&RunState| matches!(run.outcome, Some((Outcome::Done, _)));
    let undone = |number: u32| {
        let mut later = states.iter().filter(is_done).filter_map(|run| run.header.as_ref()?.undoes);
        later.any(|undone| undone == number)
    };
    for wanted in &runbook.depends_on {
        let is_it = |run: &&RunState| {
            run.kind == RunKind::Cutover.word()
                && run.plan.pointer("/course/runbook").is_some_and(|name| name == wanted)
        };
        if !states.iter().filter(is_done).filter(is_it).any(|run| !undone(run.number)) {
            return Err(Refusal::Gate(format!(
                "{} depends on {wanted}, which was not carried out here, or was undone since; run it first: \
                 cutover run {wanted}.toml",
                runbook.name
            ))
            .into());
        }
    }
    Ok(())
}

async fn cook(kitchen: &Kitchen<'_>, entry: &Entry) -> Result<Cooked> {
    let (planned, later) = match &entry.deed {
        Deed::BuiltIn { name, settings } => {
            let row = built_ins::find(name).with_context(|| format!("there is no {name}"))?;
            let ask = Ask { name: &entry.name, settings, deadline: entry.deadline, patience: PATIENCE };
            ((row.make)(kitchen, &ask).await?, row.later.map(str::to_owned))
        }
        Deed::Command(command) => {
            let later = "what the program does is known to itself; its log and its check tell afterwards";
            (run_command(kitchen, entry, command), Some(later.to_owned()))
        }
        Deed::Checkpoint(asked) => (stand(kitchen, entry, asked).await?, None),
    };
    // An expired checkpoint does what it says; everything else what its entry says.
    let on_failure = match &entry.deed {
        Deed::Checkpoint(asked) => Some(match asked.on_expiry {
            OnExpiry::Hold => OnFailure::Hold,
            OnExpiry::Rollback => OnFailure::Rollback,
        }),
        _ => entry.on_failure,
    };
    Ok(Cooked {
        name: entry.name.clone(),
        title: entry.title.clone(),
        on_failure,
        planned,
        later,
        recipe: format!("{:?}", entry.deed),
    })
}

fn run_command(kitchen: &Kitchen<'_>, entry: &Entry, command: &CommandEntry) -> Planned {
    let step = RunCommand {
        name: entry.name.clone(),
        run: command.run.clone(),
        undo: command.undo.clone(),
        check: command.check.clone(),
        dry_run: command.dry_run.clone(),
        directory: command.directory.clone().unwrap_or_else(|| kitchen.directory.clone()),
        environment: command.environment.clone(),
        timeout_s: whole_seconds(command.timeout.or(entry.deadline).unwrap_or(TIMEOUT)),
        log: command.log.clone(),
        run_number: None,
    };
    let title = format!("run `{}`", command.run.join(" "));
    data::plan(kitchen.config, String::new(), vec![item(&entry.name, title, Act::RunCommand(step))])
}

async fn stand(kitchen: &Kitchen<'_>, entry: &Entry, asked: &Asked) -> Result<Planned> {
    let (mut gates, mut statements) = (Vec::new(), Vec::new());
    for one in &asked.items {
        match one {
            CheckItem::Statement { name, words } => {
                statements.push(Statement { name: name.clone(), words: words.clone() });
            }
            CheckItem::Gate { name, title, gate, deadline, settings } => {
                let row = built_ins::find(gate).with_context(|| format!("there is no gate {gate}"))?;
                let log = format!("{}-{name}", entry.name);
                let ask = Ask { name: &log, settings, deadline: *deadline, patience: GLANCE };
                let made = (row.make)(kitchen, &ask).await.with_context(|| format!("in its item {name}"))?;
                let is_one = made.plan.items.len() == 1;
                gates.extend(made.plan.items.into_iter().map(|item| CheckGate {
                    name: if is_one { name.clone() } else { format!("{name}.{}", item.name) },
                    title: title.clone().filter(|_| is_one).unwrap_or(item.title),
                    action: Box::new(item.action),
                }));
            }
        }
    }
    let gate = Checkpoint {
        signal: asked.signal.clone(),
        built: asked.built.clone(),
        gates,
        still: Vec::new(),
        statements,
        people: asked.people,
        valid_s: whole_seconds(asked.valid.unwrap_or(VALID)),
        deadline_s: entry.deadline.map(whole_seconds),
        recheck_ms: u64::try_from(asked.recheck.unwrap_or(RECHECK).as_millis()).unwrap_or(u64::MAX),
    };
    let title = entry.title.clone().unwrap_or_else(|| format!("a person gives the signal {:?}", asked.signal));
    Ok(checkpoint(kitchen.config, &entry.name, title, gate))
}

/// The variables that commands of a runbook get.
pub fn variables(runbook: &Runbook) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for entry in runbook.entries() {
        match &entry.deed {
            Deed::BuiltIn { settings, .. } => names.extend(settings.environment.iter().cloned()),
            Deed::Command(command) => names.extend(command.environment.iter().cloned()),
            Deed::Checkpoint(checkpoint) => {
                for item in &checkpoint.items {
                    if let CheckItem::Gate { settings, .. } = item {
                        names.extend(settings.environment.iter().cloned());
                    }
                }
            }
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Whether the runbook is still the file that a plan was made from; why not, where it is not.
pub fn drift(plan: &Plan) -> Option<String> {
    let course = plan.course.as_ref()?;
    match files::sha256_of_file(&course.file) {
        Ok((sha256, _)) if sha256 == course.sha256 => None,
        // The journal holds the whole plan, so a runbook that is gone takes nothing from it.
        Err(_) => None,
        Ok(_) => Some(format!(
            "the plan changed: {} is not any more what this run was planned from; put it back as it was, or undo this run \
             (`cutover rollback`) and begin another one",
            course.file.display()
        )),
    }
}
