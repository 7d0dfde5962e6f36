//! cutover.toml: as written, checked, with every problem told at once. Uses nothing of ours but `secret`.
//!
//! Precedence: flags, then the environment (`CUTOVER_` and the key's path, `CUTOVER_STATE_DIRECTORY` for
//! `state.directory`), then the file, then the defaults in [`keys`].

use std::path::{Path, PathBuf};

mod broken;
mod build;
mod build_later;
mod choices;
mod collection;
mod complete;
mod environment;
mod file;
pub mod keys;
mod later;
mod problem;
mod read;
mod reference;
mod rehearsal;
pub mod runbook;
mod secret_files;
mod service_binding;
mod shape;
mod show;
mod table;
mod types;
pub mod units;
mod validate;
mod value;
mod watching;

pub use broken::state_directory_of_broken;
pub use build::{COMPOSE_FILES, COMPOSE_OVERRIDES};
pub use choices::{
    ChannelKind, DnsProvider, Handling, OnExpiry, OnFailure, OnRollback, Part, PullPolicy, RowsFrom, RuleKind,
    RuleLevel, RuleSide, SectionPlace, Strategy, TsigAlgorithm, UserProvider, When,
};
pub use environment::Environment;
pub use file::MAX_BYTES;
pub use later::{Data, Database, Dns, Listen, NoSecret, Record, SecretAt, Serve, Tsig, Users};
pub use problem::{Problem, Problems, nearest};
pub use read::Origin;
pub use reference::{reference, runbook_reference};
pub use rehearsal::Rehearsal;
pub use show::{Setting, defaults, literal, show, show_text};
pub use types::{
    Backup, Caddy, Compose, Deploy, Expect, Health, Migrate, Preflight, Project, Prometheus, Secrets, State,
};
pub use units::{Percent, Size};
/// An address; the same type that the HTTP client takes.
pub use url::Url;
pub use watching::{Channel, Notify, Stabilize, StabilizeRule};

/// What `schema` must say.
pub const SCHEMA: &str = "cutover/v1";

/// What `schema` must say in a runbook.
pub const RUNBOOK_SCHEMA: &str = "cutover/runbook/v1";

/// How a text begins that was left to a person: what follows says what is wanted, and no check lets it pass.
pub const LEFT_OPEN: &str = "FILL IN: ";

/// What is found where such a text stands.
pub const LEFT_TO_YOU: &str = "a value that was left to you";

/// The file that is read when none is named.
pub const DEFAULT_PATH: &str = "cutover.toml";

/// A checked configuration. Tables that only some verbs need are `None` when they are not in the file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file, as the caller named it.
    pub path: PathBuf,
    /// The file's directory, absolute; relative paths in the file start here.
    pub directory: PathBuf,
    /// `[project]`
    pub project: Project,
    /// `[compose]`
    pub compose: Compose,
    /// `[deploy]`
    pub deploy: Deploy,
    /// `[[health]]`, in the order of the file
    pub health: Vec<Health>,
    /// `[state]`
    pub state: State,
    /// `[secrets]`
    pub secrets: Secrets,
    /// `[preflight]`
    pub preflight: Preflight,
    /// `[caddy]`
    pub caddy: Option<Caddy>,
    /// `[backup]`
    pub backup: Backup,
    /// `[prometheus]`
    pub prometheus: Option<Prometheus>,
    /// `[source]`
    pub source: Option<Database>,
    /// `[target]`
    pub target: Option<Database>,
    /// `[data]`
    pub data: Data,
    /// `[users]`
    pub users: Option<Users>,
    /// `[dns]`
    pub dns: Option<Dns>,
    /// `[stabilize]`
    pub stabilize: Option<Stabilize>,
    /// `[notify]`
    pub notify: Option<Notify>,
    /// `[serve]`
    pub serve: Option<Serve>,
    /// `[rehearsal]`
    pub rehearsal: Rehearsal,
    /// What is no error but worth a line: variables that look like misspelt overrides.
    pub notes: Vec<String>,
    /// Every value with its origin, for `config show`.
    pub settings: Vec<Setting>,
}

impl Config {
    /// The compose project name: `compose.project_name`, or else `project.name`.
    pub fn compose_project(&self) -> &str {
        self.compose.project_name.as_deref().unwrap_or(&self.project.name)
    }

    /// Where backups are kept: `backup.directory`, or else `backups/` in the state directory.
    pub fn backup_directory(&self) -> PathBuf {
        let own = self.backup.directory.clone();
        own.unwrap_or_else(|| self.state.directory.join("backups"))
    }
}

/// Reads and checks a file, with what the environment of this process overrides.
///
/// Everything is judged that can be judged without asking the world; of the world only the modes of secret
/// files are looked at, as far as the files exist.
///
/// # Errors
/// Every problem, in the order of the file.
pub fn load(path: &Path) -> Result<Config, Problems> {
    load_with(path, &Environment::of_process(), &[])
}

/// Reads and checks a file with the given overrides: variables of `environment`, and `flags` as pairs of a
/// key's path and its value (`("state.directory", "/tmp/state")`).
///
/// # Errors
/// Every problem, in the order of the file.
pub fn load_with(path: &Path, environment: &Environment, flags: &[(String, String)]) -> Result<Config, Problems> {
    let text = file::read(path)?;
    check(&text, path, environment, flags)
}

/// Checks text as if it stood in a file at `path`; the file itself is not read.
///
/// # Errors
/// Every problem, in the order of the text.
pub fn parse(text: &str, path: &Path, environment: &Environment) -> Result<Config, Problems> {
    check(&file::Text::new(path, text), path, environment, &[])
}

fn check(
    text: &file::Text,
    path: &Path,
    environment: &Environment,
    flags: &[(String, String)],
) -> Result<Config, Problems> {
    let directory = directory(path);
    let mut reader = read::Reader::read(text, environment, flags);
    build::discover_compose(&mut reader, &directory);
    validate::validate(&mut reader, &directory);
    let built = build::build(&reader, path, &directory);
    match built {
        Some(mut config) if reader.problems.is_empty() => {
            config.settings = show::settings(&reader);
            config.notes = environment
                .near_misses()
                .into_iter()
                .map(|(name, near)| format!("${name} means nothing here; did you mean ${near}?"))
                .collect();
            Ok(config)
        }
        _ => {
            if reader.problems.is_empty() {
                // A value that is needed was neither found nor reported: ours to mend, but no reason to panic.
                reader.push(0, "", "values that do not fit together", "a complete file", Some("please report this"));
            }
            let mut problems = reader.problems;
            problems.sort_by_key(|problem| (problem.line, problem.column));
            Err(Problems(problems))
        }
    }
}

/// The directory of the file, absolute, with links left as they are.
fn directory(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}
