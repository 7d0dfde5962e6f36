//! `rehearse --write-configuration`: the configuration of an isolated copy, derived from production's. Looks, writes; never overwrites.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::arguments::Rehearse;
use super::cook;
use crate::cli::global::Global;
use crate::cli::new_file;
use crate::cli::setup::{self, Setup};
use crate::cli::{exit, out};
use crate::config::{self, Config, Environment, LEFT_TO_YOU, Strategy};
use crate::data::shell;
use crate::init::copy::{self, Original, PREFIX, SUFFIX, Written};
use crate::init::copy_stack::{self, Laid, Stack};
use crate::init::secrets::shown;
use crate::run::Refusal;
use crate::run::look::sources;

/// Where the copy's configuration stands when production's names no place.
const NAME: &str = "rehearsal.toml";

/// Writes it, or with `--dry-run` shows it.
///
/// # Errors
/// [`Refusal`], when a file is there already; or when compose cannot read production's files.
pub async fn run(global: &Global, verb: &Rehearse) -> Result<u8> {
    let production = setup::config(global)?;
    let runbook = cook::read(&verb.runbook)?;
    let path = place(&production)?;
    let over = path.with_extension("compose.yaml");
    if !verb.dry_run {
        [&path, &over].into_iter().try_for_each(|path| new_file::must_not_be_there(path, "rehearsal.config"))?;
    }
    let laid = lay(global, &production).await?;
    let mut files: Vec<String> =
        production.compose.files.iter().map(|file| shown(&production.directory, file)).collect();
    if !laid.text.is_empty() {
        files.push(shown(&production.directory, &over));
    }
    let written = copy::copy(&Original { config: &production, files, ports: laid.ports.clone() });
    must_be_whole(&written, &path)?;
    let mut all = vec![(path, written.text.clone())];
    if !laid.text.is_empty() {
        all.push((over, laid.text.clone()));
    }
    if !verb.dry_run {
        all.iter().try_for_each(|(path, text)| new_file::write(path, text, "rehearsal.config"))?;
    }
    let directory = if verb.dry_run { None } else { switch_directory(&production) };
    let variables = cook::variables(&runbook).into_iter().map(|name| format!("{PREFIX}{name}")).collect();
    let told = Told { production: &production, verb, written: &written, laid: &laid, directory, variables };
    told.tell(global, &all);
    Ok(exit::DONE)
}

/// The place that `[rehearsal] config` names, beside production's file: relative paths mean the same there.
fn place(production: &Config) -> Result<PathBuf> {
    let path = production.rehearsal.config.clone().unwrap_or_else(|| production.directory.join(NAME));
    if path.parent() == Some(production.directory.as_path()) {
        return Ok(path);
    }
    Err(Refusal::Usage(format!(
        "rehearsal.config is {}, and the copy's configuration is written beside production's, because relative paths mean the \
         same there: let rehearsal.config say \"{NAME}\", or write it by hand",
        path.display()
    ))
    .into())
}

/// What the copy's stack has of its own.
async fn lay(global: &Global, production: &Config) -> Result<Laid> {
    if production.compose.files.is_empty() {
        return Ok(Laid::default());
    }
    let setup = Setup::without_engine(global, production.state.directory.clone(), Some(production))?;
    let rendered = setup.compose.render(&sources(production, &Environment::of_process())).await;
    let (model, _) = rendered.context("production's compose files")?;
    setup.learn(&model);
    let directory = production.caddy.as_ref().and_then(|caddy| caddy.directory.clone());
    let switch = directory.map(|ours| {
        let theirs = theirs(&ours);
        (ours, theirs)
    });
    Ok(copy_stack::lay(&Stack {
        model: &model,
        project: production.compose_project(),
        directory: &production.directory,
        switch,
        is_free: &is_free,
    }))
}

/// Makes the directory that the copy's Caddy reads; says what was made, or what has to be done.
fn switch_directory(production: &Config) -> Option<String> {
    let caddy = production.caddy.as_ref()?;
    let place = theirs(caddy.directory.as_ref()?);
    let shown = place.display();
    // Beside one another, the first deploy says who serves; in place nobody ever does.
    let mut routes = caddy.routes.clone();
    if routes.is_empty() {
        routes.extend(production.deploy.services.first().map(|service| ("app".to_owned(), service.clone())));
    }
    routes.retain(|_, _| production.deploy.strategy == Strategy::Recreate);
    let made = std::fs::create_dir_all(&place).and_then(|()| {
        let missing = routes.iter().map(|(route, service)| (place.join(route), service));
        missing.filter(|(path, _)| !path.exists()).try_for_each(|(path, to)| std::fs::write(path, format!("{to}\n")))
    });
    let led: Vec<String> = routes.iter().map(|(route, service)| format!("{route} leads to {service}")).collect();
    Some(match made {
        Ok(()) if production.deploy.strategy == Strategy::BlueGreen => {
            format!("{shown} is there; the first deploy of the copy says in it who serves")
        }
        Ok(()) if led.is_empty() => {
            format!("{shown} is there; its file `app` has to name the service that Caddy leads to")
        }
        Ok(()) => format!("{shown} is there: {}", led.join(", ")),
        Err(error) => {
            let lines = routes.iter().map(|(route, to)| format!(" && echo {to} >{}", shell::path(&place.join(route))));
            let make = shell::path(&place) + &lines.collect::<String>();
            format!("{shown} could not be made ({error}); make it: mkdir -p {make}")
        }
    })
}

/// The copy's directory for production's.
fn theirs(ours: &Path) -> PathBuf {
    PathBuf::from(format!("{}{SUFFIX}", ours.display().to_string().trim_end_matches('/')))
}

/// Whether nobody of this host listens there.
fn is_free(port: u16) -> bool {
    let everywhere = ("0.0.0.0", port);
    TcpListener::bind(everywhere).is_ok() && UdpSocket::bind(everywhere).is_ok()
}

/// What is written passes `config check`, but for what is left to a person.
fn must_be_whole(written: &Written, path: &Path) -> Result<()> {
    let Err(problems) = config::parse(&written.text, path, &Environment::default()) else { return Ok(()) };
    let wrong: Vec<String> =
        problems.0.iter().filter(|problem| problem.found != LEFT_TO_YOU).map(ToString::to_string).collect();
    anyhow::ensure!(wrong.is_empty(), "the copy's configuration would not be valid: {}", wrong.join("; "));
    Ok(())
}

/// What is said afterwards.
struct Told<'a> {
    production: &'a Config,
    verb: &'a Rehearse,
    written: &'a Written,
    laid: &'a Laid,
    /// What became of the directory that the copy's Caddy reads, where there is one.
    directory: Option<String>,
    variables: Vec<String>,
}

impl Told<'_> {
    fn tell(&self, global: &Global, files: &[(PathBuf, String)]) {
        let names = || files.iter().map(|(path, _)| path.display().to_string());
        if global.is_json() {
            let texts: Map<String, Value> = names().zip(files.iter().map(|(_, text)| text.as_str().into())).collect();
            let pairs = |pairs: &[(String, String)], name: &str| -> Value {
                pairs.iter().map(|(key, value)| json!({ "key": key, name: value })).collect()
            };
            out::json(json!({
                "schema": "cutover/v1",
                "document": "rehearsal-configuration",
                "written": names().filter(|_| !self.verb.dry_run).collect::<Vec<_>>(),
                "files": texts,
                "left": pairs(&self.written.left, "wanted"),
                "secrets": pairs(&self.written.secrets, "name"),
                "variables": self.variables,
                "caddy_directory": self.directory,
                "remarks": self.laid.remarks,
            }));
        } else if self.verb.dry_run {
            let pages: Vec<String> =
                files.iter().map(|(path, text)| format!("# --- {} ---\n{text}", path.display())).collect();
            out::result(&pages.join("\n"));
        } else {
            out::result(&self.text(&names().collect::<Vec<_>>(), &files[0].0));
        }
    }

    fn text(&self, names: &[String], path: &Path) -> String {
        let are = if names.len() == 1 { "is" } else { "are" };
        let mut text = format!(
            "{} {are} written: an isolated copy of {}, with the reason above each place",
            names.join(" and "),
            self.production.project.name
        );
        let pair = |(key, words): &(String, String)| format!("{key}: {words}");
        let parts = [
            ("Left to you, marked FILL IN", self.written.left.iter().map(pair).collect::<Vec<_>>()),
            ("Secrets of the copy's own, to be set or written", self.written.secrets.iter().map(pair).collect()),
            ("Variables that the commands of the runbook get", self.variables.clone()),
            ("What the copy's Caddy reads", self.directory.iter().cloned().collect()),
            ("Seen on the way", self.laid.remarks.clone()),
        ];
        for (title, lines) in parts.iter().filter(|(_, lines)| !lines.is_empty()) {
            text.push_str(&format!("\n\n{title}:"));
            lines.iter().for_each(|line| text.push_str(&format!("\n  {line}")));
        }
        if self.production.rehearsal.config.is_none() {
            let (file, name) = (self.production.path.display(), shown(&self.production.directory, path));
            text.push_str(&format!("\n\nAdd to {file}:\n  [rehearsal]\n  config = \"{name}\""));
        }
        let (path, runbook) = (shell::path(path), shell::path(&self.verb.runbook));
        text.push_str(&format!(
            "\n\nNext: read it, then `cutover --config {path} config check`, `cutover rehearse {runbook} --dry-run`"
        ));
        text
    }
}
