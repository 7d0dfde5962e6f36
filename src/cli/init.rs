//! `init`: a first cutover.toml for a project that is there already. Looks, guesses, writes; never overwrites.

mod databases;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::global::Global;
use super::runbook::built_ins;
use super::setup::{PASSED, Setup};
use super::{exit, new_file, out};
use crate::config::{self, Environment};
use crate::data::plural::counted;
use crate::init::look::{self, Tools};
use crate::init::{Draft, Wishes, guess, night};
use crate::run::Refusal;

/// How other files are named.
const ANOTHER: &str = "--config, --runbook";

/// `init`.
#[derive(Args, Debug)]
pub struct Init {
    /// A compose file, in the order in which they are merged; by default as compose finds them
    #[arg(long, short = 'f', value_name = "FILE")]
    pub file: Vec<String>,
    /// A file with variables for the compose files; by default .env and the one of the environment
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<String>,
    /// A compose profile that is on
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// Name of the environment, such as production
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
    /// Name of the project; by default compose's own
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The environment variable that holds the connection string of the database being left
    #[arg(long, value_name = "VARIABLE", conflicts_with = "source_file")]
    pub source_env: Option<String>,
    /// The file that holds it
    #[arg(long, value_name = "FILE")]
    pub source_file: Option<String>,
    /// The environment variable that holds the connection string of the database being moved to
    #[arg(long, value_name = "VARIABLE", conflicts_with = "target_file")]
    pub target_env: Option<String>,
    /// The file that holds it
    #[arg(long, value_name = "FILE")]
    pub target_file: Option<String>,
    /// The runbook to write; runbook.toml beside cutover.toml by default
    #[arg(long, value_name = "FILE")]
    pub runbook: Option<PathBuf>,
    /// Print what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The verb.
///
/// # Errors
/// When a file is there already, when there is no compose project, or when compose cannot read it.
pub async fn run(global: &Global, verb: &Init) -> Result<u8> {
    let path = std::path::absolute(&global.config)?;
    let book =
        std::path::absolute(verb.runbook.clone().unwrap_or_else(|| global.config.with_file_name("runbook.toml")))?;
    if !verb.dry_run {
        [&path, &book].into_iter().try_for_each(|path| new_file::must_not_be_there(path, ANOTHER))?;
    }
    let directory = path.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
    let environment = Environment::of_process();
    let setup = Setup::new(global, PathBuf::from("/var/lib/cutover"), None)?;
    let tools = Tools {
        compose: &setup.compose,
        docker: &setup.docker,
        http: &setup.http,
        environment: &environment,
        handed_over: &PASSED,
    };
    let seen = look::look(wishes(verb, directory)?, &tools).await;
    let mut seen = seen.map_err(|error| Refusal::Usage(format!("{error:#}")))?;
    // What the checks would refuse is not written.
    let config = config::parse(&guess::draft(&seen).text(&seen.name.0), &path, &environment)?;
    seen.databases = databases::seen(&config, &environment).await;
    let draft = guess::draft(&seen);
    let text = draft.text(&seen.name.0);
    config::parse(&text, &path, &environment)?;
    let known = built_ins::known();
    // What must be told more than the first book can know is left for later.
    let simple = known.iter().filter(|one| one.needs.iter().all(|need| *need == "of"));
    let names: Vec<&str> = simple.map(|one| one.name).collect();
    let night = night::runbook(&seen, &names, !config.health.is_empty());
    config::runbook::parse_runbook(&night, &book, &known)?;
    let files = [(path, text), (book, night)];
    if !verb.dry_run {
        files.iter().try_for_each(|(path, text)| new_file::write(path, text, ANOTHER))?;
    }
    tell(global, verb, &files, &draft);
    Ok(exit::DONE)
}

fn wishes(verb: &Init, directory: PathBuf) -> Result<Wishes> {
    Ok(Wishes {
        directory,
        files: verb.file.clone(),
        env_files: verb.env_file.clone(),
        profiles: verb.profile.clone(),
        environment: verb.environment.clone(),
        name: verb.name.clone(),
        source: place("source", verb.source_env.as_ref(), verb.source_file.as_ref())?,
        target: place("target", verb.target_env.as_ref(), verb.target_file.as_ref())?,
    })
}

/// Where a connection string is. The string itself is never taken: it would stand in the shell's history.
fn place(side: &str, variable: Option<&String>, file: Option<&String>) -> Result<Option<(&'static str, String)>> {
    let refuse = |flag: &str, wants: &str| {
        Refusal::Usage(format!("--{side}-{flag} wants {wants}, not the connection string itself (not shown)"))
    };
    if let Some(name) = variable {
        let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if !is_name || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(refuse("env", "the name of an environment variable").into());
        }
        return Ok(Some(("url_env", name.clone())));
    }
    if file.is_some_and(|file| file.contains("://")) {
        return Err(refuse("file", "the path of a file").into());
    }
    Ok(file.map(|file| ("url_file", file.clone())))
}

fn tell(global: &Global, verb: &Init, files: &[(PathBuf, String)], draft: &Draft) {
    let doubts = draft.doubts();
    if global.is_json() {
        let names = || files.iter().map(|(path, _)| path.display().to_string());
        let texts: serde_json::Map<String, Value> =
            names().zip(files.iter().map(|(_, text)| text.as_str().into())).collect();
        out::json(json!({
            "schema": "cutover/v1",
            "document": "init",
            "written": names().filter(|_| !verb.dry_run).collect::<Vec<_>>(),
            "files": texts,
            "guesses": draft.json(),
            "doubts": doubts,
            "remarks": draft.remarks,
        }));
    } else if verb.dry_run {
        let pages: Vec<String> =
            files.iter().map(|(path, text)| format!("# --- {} ---\n{text}", path.display())).collect();
        out::result(&pages.join("\n"));
    } else {
        out::result(&summary(files, draft, &doubts));
    }
}

fn summary(files: &[(PathBuf, String)], draft: &Draft, doubts: &[String]) -> String {
    let sure: usize = draft
        .sections
        .iter()
        .filter(|one| one.is_sure)
        .map(|one| one.guesses.iter().filter(|guess| guess.is_sure).count())
        .sum();
    let names: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    let mut out =
        format!("{} are written: {}, each with its reason above it", names.join(" and "), counted(sure, "value"));
    if !doubts.is_empty() {
        out.push_str("\n\nLeft to you, commented out:");
        doubts.iter().for_each(|doubt| out.push_str(&format!("\n  {doubt}")));
    }
    if !draft.remarks.is_empty() {
        out.push_str("\n\nSeen on the way:");
        draft.remarks.iter().for_each(|remark| out.push_str(&format!("\n  {remark}")));
    }
    out.push_str("\n\nNext: read them, then `cutover config check`, `cutover preflight`, `cutover plan deploy`");
    out
}
