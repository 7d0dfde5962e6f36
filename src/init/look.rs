//! Looks at a project: files, compose's own reading of them, the running stack. Changes nothing, and shows no value.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::future::join_all;
use serde_json::Value;

use super::files::{self, Choice};
use super::health::{self, Candidate};
use super::migration::{self, Context};
use super::said::{profiles, project_name, said, stage_of};
use super::secrets;
use super::variables::{self, Need};
use crate::adapter::compose::{Compose, Sources};
use crate::adapter::docker::{Container, Docker};
use crate::adapter::http::Http;
use crate::adapter::prometheus;
use crate::config::Environment;
use crate::preflight::env_files::read_all;
use crate::release::model;

/// The longest wait for an engine, and for one answer of the stack.
const PATIENCE: Duration = Duration::from_secs(2);
/// Requests that Caddy counts; without them a gate on Prometheus could never fail.
const SERIES: &str = "count(caddy_http_request_duration_seconds_count{code!=\"\"})";

/// What a person said on the command line; everything may be left out.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The directory of the project, absolute.
    pub directory: PathBuf,
    /// Compose files.
    pub files: Vec<String>,
    /// Env files.
    pub env_files: Vec<String>,
    /// Profiles.
    pub profiles: Vec<String>,
    /// Name of the environment.
    pub environment: Option<String>,
    /// Name of the project.
    pub name: Option<String>,
    /// Where the connection string of the old database is: key and value for `[source]`.
    pub source: Option<(&'static str, String)>,
    /// The same for `[target]`.
    pub target: Option<(&'static str, String)>,
}

/// What is asked.
#[derive(Debug)]
pub struct Tools<'a> {
    /// Compose.
    pub compose: &'a Compose,
    /// Engine.
    pub docker: &'a Docker,
    /// HTTP.
    pub http: &'a Http,
    /// The environment of this process.
    pub environment: &'a Environment,
    /// Variables of it that reach compose anyway.
    pub handed_over: &'a [&'a str],
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Seen {
    /// What was wished.
    pub wishes: Wishes,
    /// The directory of the project.
    pub directory: PathBuf,
    /// Compose project, and why.
    pub name: (String, String),
    /// Environment, and why.
    pub stage: (String, String),
    /// Compose files.
    pub files: Choice,
    /// Env files.
    pub env_files: Choice,
    /// Profiles that are on.
    pub profiles: Choice,
    /// Profiles that the files know and that are off.
    pub other_profiles: Vec<String>,
    /// The model with everything filled in.
    pub model: Value,
    /// Variables that the files name.
    pub variables: BTreeMap<String, Need>,
    /// Those of them that an env file sets.
    pub set: BTreeSet<String>,
    /// Those of them that the environment of this process sets.
    pub environment: BTreeSet<String>,
    /// Variables of it that reach compose anyway.
    pub handed_over: BTreeSet<String>,
    /// Directories that images are built from.
    pub contexts: Vec<Context>,
    /// Addresses that may tell the health, with what they answered now.
    pub health: Vec<(Candidate, Option<u16>)>,
    /// Whether Prometheus counts Caddy's requests; nothing where it was not asked.
    pub has_series: Option<bool>,
    /// The databases that were named, after a look at each.
    pub databases: Vec<DatabaseSeen>,
    /// Whose runs stand in the usual state directory, where there are any.
    pub state_of: Option<String>,
    /// What is worth a remark.
    pub remarks: Vec<String>,
}

/// A database that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSeen {
    /// `source` or `target`.
    pub table: &'static str,
    /// What it is, where it was reached.
    pub words: Option<String>,
    /// What stands in the way, and what is worth a remark.
    pub remarks: Vec<String>,
}

/// Looks at everything but the databases.
///
/// # Errors
/// When there is no compose file, or compose cannot read what there is.
pub async fn look(wishes: Wishes, tools: &Tools<'_>) -> Result<Seen> {
    let directory = wishes.directory.clone();
    let dotenv = read_all(&[directory.join(".env")]);
    let running = running(&directory, tools.docker).await;
    let mut remarks = Vec::new();
    let (files, stage, written) = compose_files(&wishes, tools, &dotenv, running.as_ref(), &mut remarks).await?;
    let variables = variables::of(&written);
    let is_of_use = |name: &str| read_all(&[directory.join(name)]).iter().any(|(name, _)| variables.contains_key(name));
    let stage_word = stage.as_deref().unwrap_or("production");
    let env_files = files::env_files(&directory, stage_word, &wishes.env_files, is_of_use);
    let paths: Vec<PathBuf> = env_files.names.iter().map(|name| directory.join(name)).collect();
    let pairs = read_all(&paths);
    let profiles = profiles(&wishes, tools.environment, &pairs);
    let mut sources = sources(&directory, &files.names, paths, &profiles.names);
    let name = project_name(&wishes, tools.environment, running.as_ref());
    if let Some((name, _)) = &name {
        sources.project.clone_from(name);
    }
    let (model, stand_ins) = render(tools, &mut sources, &variables, &pairs).await?;
    remarks.extend(stand_ins);
    remarks.extend(secrets::open_env_files(&directory, &env_files.names, &written, &variables));
    let (candidates, more) = health::candidates(&model, &sources.project);
    remarks.extend(more);
    let is_running = running.is_some();
    let health = ask(tools.http, candidates, is_running).await;
    let has_series = if is_running { series(tools.http, &model).await } else { None };
    let known = tools.compose.profiles(&sources).await.unwrap_or_default();
    let found = model.get("name").and_then(Value::as_str).unwrap_or("project").to_owned();
    Ok(Seen {
        name: name
            .unwrap_or_else(|| (found, "compose's own name for it: from the files, or from the directory".into())),
        stage: stage_of(&wishes, stage, &directory, &model),
        other_profiles: known.into_iter().filter(|one| !profiles.names.contains(one)).collect(),
        set: pairs.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.clone()).collect(),
        environment: variables.keys().filter(|name| tools.environment.get(name).is_some()).cloned().collect(),
        // Compose gets the project's directory as PWD, whoever calls.
        handed_over: tools.handed_over.iter().chain(&["PWD"]).map(|name| (*name).to_owned()).collect(),
        contexts: migration::contexts(&model),
        databases: Vec::new(),
        state_of: state_of(Path::new("/var/lib/cutover")),
        wishes,
        directory,
        files,
        env_files,
        profiles,
        model,
        variables,
        health,
        has_series,
        remarks,
    })
}

fn sources(directory: &Path, files: &[String], env_files: Vec<PathBuf>, profiles: &[String]) -> Sources {
    Sources {
        directory: directory.to_owned(),
        files: files.iter().map(|name| directory.join(name)).collect(),
        env_files,
        profiles: profiles.to_vec(),
        ..Sources::default()
    }
}

/// The containers that were started from this directory, if the engine answers.
async fn running(directory: &Path, docker: &Docker) -> Option<Container> {
    let label = format!("com.docker.compose.project.working_dir={}", directory.display());
    let labels = [label];
    let asked = tokio::time::timeout(PATIENCE, docker.labelled(&labels)).await;
    // An engine that does not answer tells nothing; the files do.
    asked.ok()?.ok()?.into_iter().find(|container| !container.is_one_off)
}

/// The files that the running containers were started with, where they are still there.
fn files_of(container: &Container, directory: &Path) -> Option<Choice> {
    let label = container.labels.get("com.docker.compose.project.config_files")?;
    let short = |path: &str| {
        let path = Path::new(path);
        path.is_file().then(|| secrets::shown(directory, path))
    };
    let names: Option<Vec<String>> = label.split(',').map(short).collect();
    let why = format!("the containers that run here, such as {}, were started with this", container.name);
    names.filter(|names| !names.is_empty() && label != "/dev/stdin").map(|names| Choice { names, why })
}

type Files = (Choice, Option<String>, Value);

async fn compose_files(
    wishes: &Wishes,
    tools: &Tools<'_>,
    dotenv: &[(String, String)],
    running: Option<&Container>,
    remarks: &mut Vec<String>,
) -> Result<Files> {
    let directory = &wishes.directory;
    let said = said(wishes, tools.environment, dotenv);
    let mut candidates = files::candidates(directory, &said, wishes.environment.as_deref());
    if let (Some(choice), true) = (running.and_then(|one| files_of(one, directory)), said.given.is_empty()) {
        let like = candidates.iter().find(|one| one.choice.names == choice.names);
        let environment = like.and_then(|one| one.environment);
        candidates.insert(0, files::Candidate { choice, environment, must_hold: None });
    }
    if candidates.is_empty() {
        let shown = directory.display();
        bail!(
            "there is no compose file in {shown}; go to the directory that has one, or name it: `cutover init --file FILE`"
        );
    }
    let mut first = None;
    for candidate in candidates {
        let read = async |names: &[String]| {
            let env_files = dotenv_of(directory);
            tools.compose.written(&sources(directory, names, env_files, &[])).await
        };
        let written = read(&candidate.choice.names).await;
        let whole = match (&written, &candidate.must_hold) {
            (Ok(written), Some(base)) => {
                let all = read(std::slice::from_ref(base)).await.map(|base| model::services(&base)).unwrap_or_default();
                let own = model::services(written);
                all.iter().all(|service| own.contains(service))
            }
            _ => true,
        };
        match written {
            Ok(written) if whole => {
                let stage = wishes.environment.clone().or_else(|| candidate.environment.map(str::to_owned));
                return Ok((candidate.choice, stage, written));
            }
            Ok(_) => {}
            // A file that holds a part is no fault; it is tried over its base next.
            Err(_) if candidate.must_hold.is_some() => {}
            Err(error) => {
                let names = candidate.choice.names.join(" and ");
                remarks.push(format!("compose cannot read {names}, so it was left out: {}", brief(&error)));
                first.get_or_insert(error);
            }
        }
    }
    Err(first.unwrap_or_else(|| anyhow::anyhow!("no compose file can be read")))
}

fn dotenv_of(directory: &Path) -> Vec<PathBuf> {
    Some(directory.join(".env")).filter(|path| path.is_file()).into_iter().collect()
}

fn brief(error: &anyhow::Error) -> String {
    let words = format!("{error:#}");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The model, with stand-ins where a value is not there yet; what they stand for is a remark.
async fn render(
    tools: &Tools<'_>,
    sources: &mut Sources,
    variables: &BTreeMap<String, Need>,
    pairs: &[(String, String)],
) -> Result<(Value, Vec<String>)> {
    let names: Vec<String> = variables.keys().cloned().collect();
    sources.variables = tools.environment.chosen(&names);
    let is_set = |name: &str| {
        pairs.iter().any(|(one, value)| one == name && !value.is_empty()) || tools.environment.get(name).is_some()
    };
    let missing: Vec<&String> = variables
        .iter()
        .filter(|(name, need)| **need == Need::Required && !is_set(name))
        .map(|(name, _)| name)
        .collect();
    let examples = files::examples(&sources.directory);
    let paths: Vec<PathBuf> = examples.iter().map(|name| sources.directory.join(name)).collect();
    let known = read_all(&paths);
    for name in &missing {
        let example = known.iter().find(|(one, value)| one == *name && !value.is_empty());
        // Any number fits where a port, a tag or a text is wanted.
        sources
            .variables
            .push(((*name).clone(), example.map_or_else(|| "65000".to_owned(), |(_, value)| value.clone())));
    }
    let rendered = tools.compose.render(sources).await;
    let (model, _) = rendered.with_context(|| match examples.first() {
        Some(example) => format!("`cutover init` reads what compose reads; a start may be `cp {example} .env`"),
        None => "`cutover init` reads what compose reads, and `docker compose config` would say the same".to_owned(),
    })?;
    let stood_in = |name: &&String| match known.iter().any(|(one, value)| one == *name && !value.is_empty()) {
        true => format!("{name} has no value yet; the one of {} stood in for it while looking", examples.join(", ")),
        false => format!("{name} has no value yet; a number stood in for it while looking"),
    };
    let mut remarks: Vec<String> = missing.iter().map(stood_in).collect();
    let is_blank = |name: &&String| variables[*name] == Need::Plain && !is_set(name);
    let blank: Vec<&str> = variables.keys().filter(is_blank).map(String::as_str).collect();
    if !blank.is_empty() {
        let (names, is) = (blank.join(", "), if blank.len() == 1 { "is" } else { "are" });
        remarks.push(format!("{names} {is} not set anywhere; compose takes an empty text instead"));
    }
    Ok((model, remarks))
}

async fn ask(http: &Http, candidates: Vec<Candidate>, is_running: bool) -> Vec<(Candidate, Option<u16>)> {
    let asked = candidates.into_iter().map(async |candidate| {
        if !is_running {
            return (candidate, None);
        }
        let answer = http.get(&candidate.url, PATIENCE).await;
        (candidate, answer.ok().map(|answer| answer.status))
    });
    join_all(asked).await
}

async fn series(http: &Http, model: &Value) -> Option<bool> {
    let (_, page) = super::stack::prometheus(model, "")?;
    let base = format!("http://{}", page?);
    let answer = prometheus::number(http, &base, SERIES, PATIENCE).await;
    Some(matches!(answer, Ok(prometheus::Number::Value(count)) if count > 0.0))
}

/// The project whose runs stand in a state directory.
fn state_of(directory: &Path) -> Option<String> {
    // What cannot be read is somebody else's as well, but no name is known.
    let run = crate::journal::runs::last(&directory.join("runs")).ok()??;
    run.header.map(|header| header.project)
}
