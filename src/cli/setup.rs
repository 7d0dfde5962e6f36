//! Setup: from flags, environment and file to the adapters that a verb hands to its plan.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::global::Global;
use super::{notify, out, places, secrets};
use crate::adapter::compose::Compose;
use crate::adapter::docker::Docker;
use crate::adapter::http::Http;
use crate::adapter::inside::Inside;
use crate::adapter::postgres::Postgres;
use crate::adapter::process::Process;
use crate::adapter::stack_auth::StackAuth;
use crate::config::{self, Config, Environment};
use crate::dns::provider::Credentials;
use crate::notify::Notifier;
use crate::redact::Redactor;
use crate::release::whole::Least;
use crate::release::{Store, model};
use crate::report::style::{Inputs, Style};
use crate::run::front::Front;
use crate::run::{Refusal, before, public};
use crate::step::{Databases, Hands, RunTag};

/// Variables that a child gets from us; everything else stays here. Compose takes its variables from `env_files`.
pub(super) const PASSED: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TERM",
    "TMPDIR",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_BUILDKIT",
    "BUILDX_BUILDER",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
];
/// How long a run bears an engine that does not answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that a verb may need.
pub struct Setup {
    /// Engine, not patient: for plans and checks.
    pub docker: Docker,
    /// Compose.
    pub compose: Compose,
    /// Database in the stack.
    pub postgres: Postgres,
    /// HTTP.
    pub http: Http,
    /// Releases.
    pub store: Store,
    /// State directory.
    pub state: PathBuf,
    /// Blots secrets out.
    pub redactor: Redactor,
    /// How stderr is written.
    pub style: Style,
    /// The docker command-line client.
    pub program: PathBuf,
    /// Starts children.
    pub process: Process,
    /// Whoever keeps the names.
    pub names: Credentials,
    /// Databases that rows move between.
    pub databases: Databases,
    /// The service that accounts move to.
    pub accounts: Option<Result<StackAuth, String>>,
    /// A file that the lines of data verbs are appended to.
    pub log: Option<PathBuf>,
    /// Who is told of runs and verdicts.
    pub notifier: Option<Notifier>,
    /// The public route, where one is configured.
    pub front: Option<Front>,
    /// What a release needs to be started.
    pub least: Least,
}

/// Reads the configuration.
///
/// # Errors
/// Every problem of the file.
pub fn config(global: &Global) -> Result<Config> {
    let flags: Vec<(String, String)> = global
        .state_directory
        .iter()
        .map(|directory| ("state.directory".to_owned(), absolute(directory).display().to_string()))
        .collect();
    Ok(config::load_with(&global.config, &Environment::of_process(), &flags)?)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The state directory, also where the configuration is broken: the way home must not depend on today's files.
///
/// # Errors
/// When the file is broken and does not tell the directory either.
pub fn state_directory(global: &Global) -> Result<(PathBuf, Option<Config>)> {
    match config(global) {
        Ok(config) => Ok((config.state.directory.clone(), Some(config))),
        Err(error) => {
            let flag = global.state_directory.as_deref().map(absolute);
            let found = flag.or_else(|| config::state_directory_of_broken(&global.config, &Environment::of_process()));
            let Some(directory) = found else { return Err(error) };
            let file = global.config.display();
            let why = if global.config.exists() {
                "is not valid and is left aside (`cutover config check` says why)"
            } else {
                "is not there"
            };
            out::say(&format!("cutover: {file} {why}; working from the journal in {}", directory.display()));
            Ok((directory, None))
        }
    }
}

impl Setup {
    /// Finds the tools and prepares the adapters; nothing is asked yet.
    ///
    /// # Errors
    /// When `docker` is not installed or `DOCKER_HOST` is not a socket.
    pub fn new(global: &Global, state: PathBuf, config: Option<&Config>) -> Result<Self> {
        Self::make(global, state, config, true)
    }

    /// The same on a host that needs no container engine.
    ///
    /// # Errors
    /// When `DOCKER_HOST` is not a socket.
    pub fn without_engine(global: &Global, state: PathBuf, config: Option<&Config>) -> Result<Self> {
        Self::make(global, state, config, false)
    }

    fn make(global: &Global, state: PathBuf, config: Option<&Config>, needs_engine: bool) -> Result<Self> {
        let environment = Environment::of_process();
        let passed: Vec<(String, String)> =
            PASSED.iter().filter_map(|name| Some(((*name).to_owned(), environment.get(name)?.to_owned()))).collect();
        let path = environment.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
        let program = which::which_in("docker", Some(path), "/").map_err(|_| {
            Refusal::Usage(format!(
                "`docker` is not installed, or not in PATH ({path}); it is needed with its compose plugin"
            ))
        });
        // Rows move on hosts that have no engine.
        let program = if needs_engine { program? } else { program.unwrap_or_else(|_| PathBuf::from("docker")) };
        let redactor = out::redactor();
        if let Some(config) = config {
            redactor.learn(secrets::of_config(config));
            let named = environment.chosen(&config.secrets.variables).into_iter();
            redactor.learn(named.filter(|(name, value)| model::is_secret(name, value)).map(|(_, value)| value));
        }
        let process = Process::new(passed, redactor.clone());
        let databases = config.map(|config| places::of(config, &environment)).unwrap_or_default();
        let http = Http::new()?;
        let accounts = config.and_then(|config| places::accounts(config, &environment, &http));
        let names = config.map(|config| places::names(config, &environment, &http)).unwrap_or_default();
        let notifier = config.and_then(|config| notify::notifier(config, &environment, &state));
        Ok(Self {
            notifier,
            front: config.and_then(public::front),
            least: before::least(config),
            docker: Docker::new(environment.get("DOCKER_HOST"), Duration::ZERO)?.with_redactor(redactor.clone()),
            compose: Compose::new(program.clone(), process.clone()),
            postgres: Postgres::new(program.clone(), process.clone()),
            http,
            store: Store::new(&state),
            state,
            redactor,
            style: style(global, &environment, out::is_progress_shown()),
            program,
            names,
            process,
            databases,
            accounts,
            log: log_file(config, &environment),
        })
    }

    /// Learns the secrets of a model, so that no stream and no file shows them.
    pub fn learn(&self, model: &Value) {
        self.redactor.learn(secrets::of_model(model));
    }

    /// The same for a model on disk; one that is not there holds no secret.
    pub fn learn_file(&self, path: &Path) {
        if let Ok(model) = crate::adapter::files::read_json::<Value>(path) {
            self.learn(&model);
        }
    }

    /// The same for an open run, patient with the engine.
    pub fn hands(&self, tag: RunTag) -> Hands {
        Hands {
            docker: self.docker.with_patience(PATIENCE),
            compose: self.compose.clone(),
            postgres: self.postgres.clone(),
            http: self.http.clone(),
            databases: self.databases.clone(),
            accounts: self.accounts.clone(),
            names: self.names.clone(),
            inside: Inside::new(self.program.clone(), self.process.clone()),
            process: self.process.clone(),
            variables: Vec::new(),
            store: self.store.clone(),
            state: self.state.clone(),
            run: tag,
        }
    }
}

/// Where the lines of data verbs are kept too: as configured, else as the scripts of old were told.
fn log_file(config: Option<&Config>, environment: &Environment) -> Option<PathBuf> {
    let config = config?;
    let named = || environment.get("LOG_FILE_PATH").filter(|path| !path.is_empty());
    config.data.log_file.clone().or_else(|| named().map(|path| config.directory.join(path)))
}

/// How a stream is written.
pub fn style(global: &Global, environment: &Environment, is_terminal: bool) -> Style {
    Style::decide(&inputs(global, environment, is_terminal))
}

/// Whether stderr may be drawn over.
pub fn is_live(global: &Global, environment: &Environment) -> bool {
    inputs(global, environment, out::is_progress_shown()).is_live()
}

fn inputs<'a>(global: &Global, environment: &'a Environment, is_terminal: bool) -> Inputs<'a> {
    let size = rustix::termios::tcgetwinsize(std::io::stderr())
        .or_else(|_| rustix::termios::tcgetwinsize(std::io::stdout()))
        .ok()
        .map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    Inputs {
        is_terminal,
        is_colour_refused: global.no_color,
        no_color: environment.get("NO_COLOR"),
        term: environment.get("TERM"),
        locale: ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| environment.get(name)),
        size: size.filter(|_| is_terminal),
    }
}

/// Who runs this, for the journal: the person behind `sudo` where there is one, host, process.
pub fn by() -> String {
    format!("{}@{} (process {})", person(), host(), std::process::id())
}

/// Who runs this: the person behind `sudo` where there is one. It is what he says he is: a help against mistakes among
/// people who trust one another, and no lock against others.
pub fn person() -> String {
    let environment = Environment::of_process();
    let person = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| environment.get(name));
    person.map_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()), str::to_owned)
}

/// This host's name.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
