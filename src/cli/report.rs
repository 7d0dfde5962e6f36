//! `report`: a run on one page, for people, with the same as JSON beside it. Reads the journal; changes nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use super::global::Global;
use super::runbook::record;
use super::setup::{self, Setup};
use super::{exit, out};
use crate::adapter::{clock, files};
use crate::data::plural::counted;
use crate::data::verification;
use crate::journal::{Entry, JournalError, Outcome, RunState, Standing, file, runs, state};
use crate::report::page::page;
use crate::report::paper::{Material, Paper, gather, tame};
use crate::report::text::moment;
use crate::run::{Refusal, begin};

/// `report`.
#[derive(Args, Debug)]
pub struct Report {
    /// The run; without it the last one
    pub run: Option<u32>,
    /// The file to write; `-` is stdout. Without it, one in reports/ of the state directory
    #[arg(long, short = 'o', value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// The verb.
///
/// # Errors
/// When there is no such run, its journal cannot be read, or the page cannot be written.
pub fn run(global: &Global, verb: &Report) -> Result<u8> {
    let (directory, config) = setup::state_directory(global)?;
    let all = runs::list(&directory.join("runs")).context("cannot list the runs")?;
    let file = match verb.run {
        Some(number) => all.iter().find(|file| file.number == number),
        None => all.last(),
    };
    let Some(file) = file else {
        let words = verb.run.map_or_else(|| "there is no run yet".to_owned(), |run| format!("there is no run {run}"));
        return Err(Refusal::Usage(format!("{words}; `cutover history` lists them")).into());
    };
    let setup = Setup::without_engine(global, directory.clone(), config.as_ref())?;
    let side = runs::side_directory(&directory.join("runs"), file.number);
    ["model.json", "before.json"].iter().for_each(|name| setup.learn_file(&side.join(name)));
    let (paper, fault) = paper(&directory, &all, file)?;
    let written = write(global, verb, &directory, &paper)?;
    tell(global, &paper, &written);
    match fault {
        Some(fault) => Err(fault.into()),
        None => Ok(exit::DONE),
    }
}

/// The document of a run, with every secret and every control character blotted out; and what is wrong with its journal.
///
/// # Errors
/// When its journal cannot be read at all.
pub fn paper(directory: &Path, all: &[runs::RunFile], of: &runs::RunFile) -> Result<(Paper, Option<JournalError>)> {
    let (entries, fault) = file::read_to_the_fault(&of.path)?;
    let run = state::fold(of.number, &of.kind, &entries);
    let undone = run.header.as_ref().and_then(|header| header.undoes);
    let undone = undone.and_then(|undone| all.iter().find(|file| file.number == undone)).map(look);
    let material = Material {
        run: Some(&run),
        entries: &entries,
        fault: fault.as_ref().map(ToString::to_string),
        undone_run: undone.as_ref(),
        expected: rehearsed(directory, &run).or_else(|| expected(all, &run)),
        verifications: verifications(&run),
        window: window(directory),
        probed: probed(&runs::side_directory(&directory.join("runs"), of.number)),
        files: beside(&runs::side_directory(&directory.join("runs"), of.number)),
        made_at: clock::now(),
    };
    let clean = out::redactor().clean_json(tame(serde_json::to_value(gather(&material))?));
    Ok((serde_json::from_value(clean).context("the document of the run cannot be put together")?, fault))
}

/// Another run, as far as it can be read: what it does not tell is left out.
pub fn look(file: &runs::RunFile) -> RunState {
    let entries: Vec<Entry> = file::read_to_the_fault(&file.path).map(|(entries, _)| entries).unwrap_or_default();
    state::fold(file.number, &file.kind, &entries)
}

/// How long the steps took in the rehearsal that the run rests on.
fn rehearsed(directory: &Path, run: &RunState) -> Option<(String, Vec<(String, u64)>)> {
    let text = |pointer: &str| run.plan.pointer(pointer).and_then(Value::as_str);
    let record = match record::read(directory, text("/course/runbook")?) {
        Ok(record) => record?,
        Err(error) => {
            out::say(&format!("cutover: the rehearsal is left out: {error:#}"));
            return None;
        }
    };
    let is_before = run.times.as_ref().is_some_and(|(began, _)| record.at < *began);
    let is_of_this = is_before && Some(record.recipe.as_str()) == text("/course/recipe");
    is_of_this.then(|| (format!("the rehearsal of {}", moment(&record.at)), record.budget().into_iter().collect()))
}

/// How long the same steps took before: in the last rehearsal, else in the last run of the same list that went well.
fn expected(all: &[runs::RunFile], run: &RunState) -> Option<(String, Vec<(String, u64)>)> {
    // A rehearsal has the recipe of the runbook; a deploy has the list of names.
    let names = |run: &RunState| match run.plan.pointer("/course/recipe").and_then(Value::as_str) {
        Some(recipe) => vec![recipe.to_owned()],
        None => run.items.iter().map(|item| item.name.clone()).collect(),
    };
    let own: Vec<String> = names(run);
    let earlier = all.iter().rev().filter(|file| file.number < run.number).take(50).map(look);
    let like: Vec<RunState> = earlier
        .filter(|one| matches!(one.outcome, Some((Outcome::Done, _))) && !own.is_empty() && names(one) == own)
        .collect();
    let chosen = like.iter().find(|one| one.kind == "rehearsal").or(like.first())?;
    let done = chosen.items.iter().filter(|item| item.standing == Standing::Done && !item.already);
    let took = done.map(|item| (item.name.clone(), item.took_ms)).collect();
    Some((format!("{} {}", chosen.kind, chosen.number), took))
}

/// The reports of verifications, where they are still those that the run wrote.
fn verifications(run: &RunState) -> Vec<(usize, Result<verification::Report, String>)> {
    let read = |path: &str, times: &(String, String)| -> Result<verification::Report, String> {
        let report: verification::Report = files::read_json(Path::new(path)).map_err(|error| format!("{error:#}"))?;
        // The file is written anew by each verification; times of one shape compare as texts.
        match report.verified_at < times.0 || report.verified_at > times.1 {
            true => Err(format!("{path} is of another verification, at {}", report.verified_at)),
            false => Ok(report),
        }
    };
    let of = |(index, item): (usize, &crate::journal::ItemState)| {
        let path = item.data.get("report").and_then(Value::as_str)?;
        Some((index, read(path, item.times.as_ref()?)))
    };
    run.items.iter().enumerate().filter_map(of).collect()
}

/// The watched window, whatever version wrote it.
pub fn window(directory: &Path) -> Option<Value> {
    let path = directory.join("watch").join("window.json");
    if !path.exists() {
        return None;
    }
    match files::read_json(&path) {
        Ok(window) => Some(window),
        Err(error) => {
            out::say(&format!("cutover: the watched window is left out: {error:#}"));
            None
        }
    }
}

/// What the prober wrote beside the journal, where it did.
fn probed(side: &Path) -> Option<Value> {
    files::read_json(&side.join(begin::PROBED)).ok()
}

/// Names of the files that the run keeps.
fn beside(side: &Path) -> Vec<String> {
    // A run that keeps nothing has no directory.
    let entries = std::fs::read_dir(side).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Writes page and JSON; gives their places.
fn write(global: &Global, verb: &Report, directory: &Path, paper: &Paper) -> Result<Vec<PathBuf>> {
    let path = match &verb.out {
        Some(path) if path.as_os_str() == "-" => {
            out::result(&page(paper));
            return Ok(Vec::new());
        }
        Some(path) => std::path::absolute(path)?,
        // Asked for JSON alone, nothing is written anywhere.
        None if global.is_json() => return Ok(Vec::new()),
        None => {
            let reports = directory.join("reports");
            files::make_private_directory(&reports)?;
            reports.join(format!("{:04}-{}.html", paper.run.number, paper.run.kind))
        }
    };
    let json = path.with_extension("json");
    files::write_atomically(&path, page(paper).as_bytes(), 0o600)?;
    files::write_json(&json, paper, 0o600)?;
    Ok(vec![path, json])
}

fn tell(global: &Global, paper: &Paper, written: &[PathBuf]) {
    if global.is_json() {
        out::json(serde_json::to_value(paper).unwrap_or_default());
    } else if let [page, json] = written {
        out::result(&format!(
            "{} is written: run {}, {}, {}; the same as JSON is {}",
            page.display(),
            paper.run.number,
            paper.verdict.word,
            counted(paper.steps.len(), "step"),
            json.display()
        ));
    }
}
