//! The record of a rehearsal: what was run, how long each step took, what was found; and whether a run may rest on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::bound::Bound;
use crate::adapter::clock::{self, spoken};
use crate::adapter::files;
use crate::cli::confirm::confirm_phrase;
use crate::cli::global::Global;
use crate::config::Config;
use crate::journal::{RunState, runs};
use crate::report::paced::Pace;
use crate::run::Refusal;
use crate::step::Plan;
use crate::step::plan::Substitution;

/// A rehearsal.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Record {
    /// Version of this file's format.
    pub schema: String,
    /// Name of the runbook.
    pub runbook: String,
    /// What the runbook asked for, as its plan says.
    pub recipe: String,
    /// Hash of the rehearsed plan.
    pub plan_hash: String,
    /// When it ended, RFC 3339.
    pub at: String,
    /// Whether every part of it went through.
    pub went_through: bool,
    /// What was put in the place of what.
    pub substitutions: Vec<Substitution>,
    /// The parts: run, rollback, run again.
    pub parts: Vec<Part>,
    /// Items of the plan, by name.
    pub items: Vec<String>,
    /// What a person should know.
    pub findings: Vec<String>,
    /// What a run that rests on it must have in common with it; records of before have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

/// A part of a rehearsal.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Part {
    /// `run`, `rollback`, `run again`.
    pub what: String,
    /// Number of the run in the copy's state directory.
    pub run: u32,
    /// Exit code.
    pub exit: u8,
    /// Milliseconds of each item, by name.
    pub took_ms: BTreeMap<String, u64>,
    /// What was seen of each item, by name: rows, tables, accounts.
    pub seen: BTreeMap<String, String>,
}

impl Part {
    /// Milliseconds of all items.
    pub fn total_ms(&self) -> u64 {
        self.took_ms.values().sum()
    }
}

impl Record {
    /// How long each item took the last time it was run.
    pub fn budget(&self) -> BTreeMap<String, u64> {
        let run = self.parts.iter().rfind(|part| part.what.starts_with("run"));
        run.map(|part| part.took_ms.clone()).unwrap_or_default()
    }

    /// How long its rollback took, by the names of the rollback's items.
    pub fn budget_back(&self) -> BTreeMap<String, u64> {
        let back = self.parts.iter().rfind(|part| part.what == "rollback");
        back.map(|part| part.took_ms.clone()).unwrap_or_default()
    }
}

/// Where the record of a runbook stands.
pub fn path(state: &Path, runbook: &str) -> PathBuf {
    state.join("rehearsals").join(format!("{runbook}.json"))
}

/// The record, where there is one.
///
/// # Errors
/// When it cannot be read.
pub fn read(state: &Path, runbook: &str) -> Result<Option<Record>> {
    let path = path(state, runbook);
    if path.exists() { files::read_json(&path).map(Some) } else { Ok(None) }
}

/// Where an open run stands, with what the rehearsal of its runbook took: of a rollback, that of the run which it undoes.
/// Nothing where there is no runbook.
///
/// # Errors
/// When the runs cannot be listed.
pub fn pace(state: &Path, run: &RunState) -> Result<Option<Pace>> {
    let runbook = |run: &RunState| run.plan.pointer("/course/runbook").and_then(Value::as_str).map(str::to_owned);
    if let Some(runbook) = runbook(run) {
        let (budget, back) = budgets(state, &runbook);
        return Ok(Some(Pace::of(run, budget, back)));
    }
    let Some(number) = run.header.as_ref().and_then(|header| header.undoes) else { return Ok(None) };
    let all = runs::list(&state.join("runs"))?;
    // A run whose journal is damaged can be undone all the same; then only its phases are not known.
    let undone = all.iter().find(|file| file.number == number).and_then(|file| file.state().ok());
    Ok(undone.and_then(|undone| Some(Pace::backwards(run, &undone, budgets(state, &runbook(&undone)?).1))))
}

/// How long each item took when the runbook was rehearsed, and each of the rollback; nothing where it was not, or that
/// cannot be read.
fn budgets(state: &Path, runbook: &str) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    match read(state, runbook) {
        Ok(record) => record.map(|record| (record.budget(), record.budget_back())).unwrap_or_default(),
        Err(error) => {
            tracing::warn!("the record of the rehearsal cannot be read: {error:#}");
            Default::default()
        }
    }
}

/// Refuses a run in production that was not rehearsed as it is now, unless a person takes that upon himself.
///
/// # Errors
/// [`Refusal`].
pub fn must_be_rehearsed(global: &Global, config: &Config, plan: &Plan, now: &Bound, is_accepted: bool) -> Result<()> {
    let environment = &plan.environment;
    if environment != "production" {
        return Ok(());
    }
    let Some(why) = why_not(config, plan, now)? else { return Ok(()) };
    if is_accepted {
        return confirm_phrase(global, &format!("unrehearsed {environment}"), &why);
    }
    let file = plan.course.as_ref().map(|course| course.file.display().to_string()).unwrap_or_default();
    Err(Refusal::Gate(format!(
        "{why}; rehearse it: cutover rehearse {file}; or take it upon yourself: --accept-unrehearsed, which wants the phrase \
         \"unrehearsed {environment}\""
    ))
    .into())
}

/// What a run of the plan would be refused for, said already where it is only looked at.
///
/// # Errors
/// When the record of the rehearsal cannot be read.
pub fn missing(config: &Config, plan: &Plan, now: &Bound) -> Result<Option<String>> {
    let Some(why) = why_not(config, plan, now)?.filter(|_| plan.environment == "production") else { return Ok(None) };
    Ok(Some(format!("{why}: in production `cutover run` wants a rehearsal first (`cutover rehearse`)")))
}

/// Why a plan does not rest on a rehearsal; nothing where it does.
fn why_not(config: &Config, plan: &Plan, now: &Bound) -> Result<Option<String>> {
    let Some(course) = &plan.course else { return Ok(None) };
    let Some(record) = read(&config.state.directory, &course.runbook)? else {
        return Ok(Some(format!("{} was never rehearsed", course.runbook)));
    };
    if !record.went_through {
        return Ok(Some(format!("the rehearsal of {} at {} did not go through", course.runbook, record.at)));
    }
    if record.bound.is_none() && record.recipe != course.recipe {
        return Ok(Some(format!("{} changed since it was rehearsed at {}", course.runbook, record.at)));
    }
    let at = clock::seconds_of(&record.at).unwrap_or(0);
    let age = Duration::from_secs(clock::unix_seconds().saturating_sub(at));
    if age > config.rehearsal.max_age {
        return Ok(Some(format!(
            "the rehearsal of {} is {} old, and rehearsal.max_age is {}",
            course.runbook,
            spoken(age),
            spoken(config.rehearsal.max_age)
        )));
    }
    let different = different(config, &record, plan, now);
    Ok((!different.is_empty()).then(|| {
        format!(
            "the plan differs from the one that was rehearsed at {}, in {}; name what may differ in rehearsal.differs",
            record.at,
            different.join(", ")
        )
    }))
}

/// What is not as it was rehearsed, by name: entries, settings, services, items of the plan.
fn different(config: &Config, record: &Record, plan: &Plan, bound: &Bound) -> Vec<String> {
    let now: Vec<&str> = plan.items.iter().map(|item| item.name.as_str()).collect();
    let is_named = |name: &str| {
        let entry = name.split('.').next().unwrap_or(name);
        config.rehearsal.differs.iter().any(|named| named == name || named == entry)
    };
    let gone = record.items.iter().map(String::as_str).filter(|name| !now.contains(name));
    let added = now.iter().copied().filter(|name| !record.items.iter().any(|known| known == name));
    let mut all =
        record.bound.as_ref().map(|before| before.differences(bound, &record.substitutions)).unwrap_or_default();
    all.extend(gone.chain(added).map(str::to_owned));
    all.retain(|name| !is_named(name));
    all.dedup();
    all
}
