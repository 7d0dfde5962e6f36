//! What a deployment is told: values only, checked, with defaults filled in and paths made absolute.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::choices::{Handling, OnFailure, OnRollback, PullPolicy, Strategy, When};
use super::units::{Percent, Size};

/// `[project]`: what is deployed, and where this is.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// The project's name: `[a-z0-9][a-z0-9_-]*`.
    pub name: String,
    /// The environment's name, "production" unless said otherwise.
    pub environment: String,
}

/// `[compose]`: the model that is deployed.
#[derive(Debug, Clone, Default)]
pub struct Compose {
    /// The compose files, absolute, in the order in which they are merged. Empty when none is named and
    /// none stands beside cutover.toml.
    pub files: Vec<PathBuf>,
    /// Files with variables, absolute, in order.
    pub env_files: Vec<PathBuf>,
    /// The profiles that are switched on.
    pub profiles: Vec<String>,
    /// The services whose images are built here.
    pub build: Vec<String>,
    /// The compose project name, where it is not `project.name`.
    pub project_name: Option<String>,
    /// When images are pulled.
    pub pull: PullPolicy,
}

/// `[deploy]`: how a release is put in place.
#[derive(Debug, Clone)]
pub struct Deploy {
    /// In place, or beside and switched.
    pub strategy: Strategy,
    /// The services that are deployed; empty means all.
    pub services: Vec<String>,
    /// Blue-green: what is said of how a service is handled.
    pub handling: BTreeMap<String, Handling>,
    /// The migration that belongs to a release.
    pub migrate: Option<Migrate>,
    /// What follows a failure after the first change.
    pub on_failure: OnFailure,
    /// How many releases are kept, 1 to 100.
    pub keep_releases: u32,
    /// How long containers must stay up before they count as started.
    pub stable_for: Duration,
    /// The longest time to start and become healthy.
    pub start_deadline: Duration,
    /// How long the new release is watched.
    pub observe: Duration,
    /// The longest time for all pulls.
    pub pull_deadline: Duration,
    /// The longest time for all builds.
    pub build_deadline: Duration,
    /// How long a container may take to stop; none means each service's own time.
    pub stop_timeout: Option<Duration>,
    /// The largest share of failed requests while watched.
    pub max_error_ratio: Percent,
    /// Blue-green: the longest wait for the old side's connections to end.
    pub drain_timeout: Duration,
    /// Blue-green: how long the old side is kept running; zero means not at all.
    pub keep_warm: Duration,
}

/// `deploy.migrate`: the database migration of a release.
#[derive(Debug, Clone)]
pub struct Migrate {
    /// The service whose image holds it.
    pub service: String,
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// The longest time that it may take.
    pub deadline: Duration,
    /// What a rollback does about it.
    pub on_rollback: OnRollback,
    /// The program that undoes it; there if and only if `on_rollback` is `Command`.
    pub undo: Option<Vec<String>>,
    /// Before or after the new release is started.
    pub when: When,
}

/// `[[health]]`: one question whose answer tells whether the project works.
#[derive(Debug, Clone)]
pub struct Health {
    /// Its name; no two are the same.
    pub name: String,
    /// The address that is asked; http or https, without credentials.
    pub url: Url,
    /// What a good answer looks like.
    pub expect: Expect,
    /// Good answers in a row that make it healthy, 1 to 100.
    pub successes: u32,
    /// The time between two questions.
    pub interval: Duration,
    /// The longest wait for one answer; at most `deadline`.
    pub timeout: Duration,
    /// The longest time until it must be healthy.
    pub deadline: Duration,
}

/// `health.expect`: what a good answer looks like; all of it must hold.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// The HTTP status, 200 unless said otherwise.
    pub status: u16,
    /// JSON pointers into the body (each starts with `/`) and the values expected there.
    pub json: BTreeMap<String, serde_json::Value>,
    /// Text that the body must contain.
    pub body_contains: Option<String>,
}

/// `[state]`: where cutover keeps what it must not lose.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The state directory, absolute.
    pub directory: PathBuf,
}

/// `[secrets]`: which secrets must be there before anything starts.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// The directory of the secret files, absolute.
    pub directory: Option<PathBuf>,
    /// Names of files in it.
    pub required: Vec<String>,
    /// Values that are no secrets, in whatever case.
    pub placeholders: Vec<String>,
    /// Variables that must be set in the environment or in an env file.
    pub variables: Vec<String>,
}

/// `[preflight]`: the checks before a change.
#[derive(Debug, Clone, Default)]
pub struct Preflight {
    /// The longest time for one check.
    pub deadline: Duration,
    /// The free space that each place needs.
    pub min_disk: Size,
    /// The available memory that is needed.
    pub min_memory: Size,
    /// Ids of checks that are not asked.
    pub skip: Vec<String>,
    /// The oldest container engine accepted, such as "20.10".
    pub engine_min: String,
    /// The oldest docker compose accepted, such as "2.20".
    pub compose_min: String,
}

/// `[caddy]`: the proxy in front of the project.
#[derive(Debug, Clone)]
pub struct Caddy {
    /// The public route that is asked throughout a deployment.
    pub url: Url,
    /// The compose service that is Caddy.
    pub service: Option<String>,
    /// Where Caddy tells which release serves; starts with `/`.
    pub identity_path: String,
    /// The directory whose files Caddy reads at request time, absolute.
    pub directory: Option<PathBuf>,
    /// Route and the service that it leads to; empty where none is named.
    pub routes: BTreeMap<String, String>,
}

/// `[backup]`: the backup before anything destructive.
#[derive(Debug, Clone, Default)]
pub struct Backup {
    /// Whether one is taken; none means when the stack owns a database.
    pub enabled: Option<bool>,
    /// The compose service that is the database; none means found by its image.
    pub service: Option<String>,
    /// The database role; none means found in the service's environment.
    pub user: Option<String>,
    /// The database; none means found in the service's environment.
    pub database: Option<String>,
    /// Where backups are kept, absolute; none means `backups/` in the state directory.
    pub directory: Option<PathBuf>,
    /// The longest time to take and prove one.
    pub deadline: Duration,
    /// How many are kept, 1 to 1000.
    pub keep: u32,
    /// What backs a target up that is not PostgreSQL; `{file}` stands for the file to write.
    pub command: Option<Vec<String>>,
    /// What brings such a backup back; `{file}` stands for it.
    pub restore: Option<Vec<String>>,
    /// Named volumes that are backed up too.
    pub volumes: Vec<String>,
}

/// `[prometheus]`: where measured error rates come from.
#[derive(Debug, Clone)]
pub struct Prometheus {
    /// Its address.
    pub url: Url,
    /// A PromQL expression that gives one ratio from 0 to 1.
    pub error_ratio: Option<String>,
    /// The longest wait for one answer.
    pub timeout: Duration,
}

/// Asked where `prometheus.error_ratio` is not set: the share of Caddy's requests of the last minute that failed. Without a
/// failed one there is no series of them, which is 0; without any request there is no number.
/// HEAD is left out: it is what the prober of a run asks with.
const CADDY_ERROR_RATIO: &str = "(sum(increase(caddy_http_request_duration_seconds_count{code=~\"5..\",method!=\"HEAD\"}[1m])) or \
    vector(0)) / sum(increase(caddy_http_request_duration_seconds_count{method!=\"HEAD\"}[1m]))";

impl Prometheus {
    /// The expression that gives the share of failed requests.
    pub fn error_query(&self) -> &str {
        self.error_ratio.as_deref().unwrap_or(CADDY_ERROR_RATIO)
    }
}
