//! Puts the values that were read into typed tables. Judges nothing: what is missing here was reported before.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::Config;
use super::choices::{
    DnsProvider, OnFailure, OnRollback, PullPolicy, Strategy, TsigAlgorithm, UserProvider, When,
};
use super::later::{
    Data, Database, Dns, Listen, Notify, Record, SecretAt, Serve, Stabilize, Tsig, Users, server,
};
use super::read::{Found, Origin, Reader, join};
use super::types::{
    Backup, Caddy, Compose, Deploy, Expect, Health, Migrate, Preflight, Project, Prometheus,
    Secrets, State,
};
use super::units::{Percent, Size};
use super::value::{Item, Value};

/// The names under which a compose model is looked for, in compose's own order.
const COMPOSE_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// One table of the file.
struct Table<'a> {
    values: &'a BTreeMap<String, Found>,
    path: &'a str,
    directory: &'a Path,
}

impl<'a> Table<'a> {
    fn at(values: &'a BTreeMap<String, Found>, path: &'a str, directory: &'a Path) -> Self {
        Self {
            values,
            path,
            directory,
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.values
            .get(&join(self.path, name))
            .map(|found| &found.value)
    }

    fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn word<T: Default>(&self, name: &str, from_word: fn(&str) -> Option<T>) -> T {
        self.text(name)
            .and_then(|word| from_word(&word))
            .unwrap_or_default()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(|path| absolute(self.directory, &path))
    }

    fn list(&self, name: &str) -> Option<Vec<String>> {
        match self.get(name)? {
            Value::List(items) => Some(texts(items)),
            _ => None,
        }
    }

    fn paths(&self, name: &str) -> Vec<PathBuf> {
        let names = self.list(name).unwrap_or_default();
        names
            .iter()
            .map(|path| absolute(self.directory, path))
            .collect()
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Vec<T> {
        let texts = self.list(name).unwrap_or_default();
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    }

    fn url(&self, name: &str) -> Option<Url> {
        match self.get(name)? {
            Value::Url(url) => Some(url.clone()),
            _ => None,
        }
    }

    fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<u32> {
        match self.get(name)? {
            Value::Integer(number) => u32::try_from(*number).ok(),
            _ => None,
        }
    }

    fn duration(&self, name: &str) -> Option<Duration> {
        match self.get(name)? {
            Value::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    fn size(&self, name: &str) -> Option<Size> {
        match self.get(name)? {
            Value::Size(size) => Some(*size),
            _ => None,
        }
    }

    fn percent(&self, name: &str) -> Option<Percent> {
        match self.get(name)? {
            Value::Percent(percent) => Some(*percent),
            _ => None,
        }
    }

    /// `NAME_env` or `NAME_file`.
    fn secret(&self, name: &str) -> Option<SecretAt> {
        let variable = self.text(&format!("{name}_env")).map(SecretAt::Variable);
        variable.or_else(|| self.path(&format!("{name}_file")).map(SecretAt::File))
    }
}

/// The configuration, or nothing if something that it needs is missing.
pub(super) fn build(reader: &Reader<'_>, path: &Path, directory: &Path) -> Option<Config> {
    let values = &reader.values;
    let table = |path: &'static str| Table::at(values, path, directory);
    let optional = |path| values.contains_key(path).then(|| table(path));
    let each = |schema| reader.tables(schema).into_iter();
    let mut paths: Vec<String> = each("health[]").collect();
    paths.sort_by_key(|path| index(path));
    let health: Option<Vec<Health>> = paths
        .iter()
        .map(|path| {
            let expect = join(path, "expect");
            health(
                &Table::at(values, path, directory),
                &Table::at(values, &expect, directory),
            )
        })
        .collect();
    let mut paths: Vec<String> = each("dns.record[]").collect();
    paths.sort_by_key(|path| index(path));
    let records: Option<Vec<Record>> = paths
        .iter()
        .map(|path| record(&Table::at(values, path, directory)))
        .collect();
    Some(Config {
        path: path.to_path_buf(),
        directory: directory.to_path_buf(),
        project: project(&table("project"))?,
        compose: compose(&table("compose")),
        deploy: deploy(
            &table("deploy"),
            required(optional("deploy.migrate"), migrate)?,
        )?,
        health: health?,
        state: State {
            directory: table("state").path("directory")?,
        },
        secrets: secrets(&table("secrets")),
        preflight: preflight(&table("preflight"))?,
        caddy: required(optional("caddy"), caddy)?,
        backup: backup(&table("backup"))?,
        prometheus: required(optional("prometheus"), prometheus)?,
        source: required(optional("source"), database)?,
        target: required(optional("target"), database)?,
        data: required(optional("data"), data)?,
        users: required(optional("users"), users)?,
        dns: required(optional("dns"), |table| dns(table, records?))?,
        stabilize: required(optional("stabilize"), stabilize)?,
        notify: required(optional("notify"), notify)?,
        serve: required(optional("serve"), serve)?,
        notes: Vec::new(),
        settings: Vec::new(),
    })
}

/// A table that is not there is fine; one that is there and cannot be built is not.
fn required<'a, T>(
    table: Option<Table<'a>>,
    build: impl FnOnce(&Table<'a>) -> Option<T>,
) -> Option<Option<T>> {
    match table {
        None => Some(None),
        Some(table) => build(&table).map(Some),
    }
}

/// The number in the last brackets, so that element 10 comes after element 9.
fn index(path: &str) -> usize {
    path.rsplit_once('[')
        .and_then(|(_, rest)| rest.trim_end_matches(']').parse().ok())
        .unwrap_or(0)
}

fn texts(items: &[Item]) -> Vec<String> {
    items.iter().map(|item| item.text.clone()).collect()
}

/// Resolves against the directory of cutover.toml and takes `.` out; `..` stays, as links may stand before it.
pub(super) fn absolute(directory: &Path, path: &str) -> PathBuf {
    let joined = directory.join(path);
    joined
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect()
}

/// Names the compose files that `docker compose` itself would take, so that what is shown is what is used.
pub(super) fn discover_compose(reader: &mut Reader<'_>, directory: &Path) {
    if reader.values.contains_key("compose.files") {
        return;
    }
    let Some(file) = COMPOSE_FILES
        .iter()
        .find(|name| directory.join(name).is_file())
    else {
        return;
    };
    let mut names = vec![(*file).to_owned()];
    let stem = file.rsplit_once('.').map_or(*file, |(stem, _)| stem);
    let overrides = ["yaml", "yml"].map(|extension| format!("{stem}.override.{extension}"));
    names.extend(
        overrides
            .into_iter()
            .find(|name| directory.join(name).is_file()),
    );
    let items = names.into_iter().map(|text| Item { text, at: 0 }).collect();
    reader.values.insert(
        "compose.files".to_owned(),
        Found {
            value: Value::List(items),
            origin: Origin::Default,
            key_at: 0,
            at: 0,
        },
    );
}

fn project(table: &Table<'_>) -> Option<Project> {
    Some(Project {
        name: table.text("name")?,
        environment: table.text("environment")?,
    })
}

fn compose(table: &Table<'_>) -> Compose {
    Compose {
        files: table.paths("files"),
        env_files: table.paths("env_files"),
        profiles: table.list("profiles").unwrap_or_default(),
        build: table.list("build").unwrap_or_default(),
        project_name: table.text("project_name"),
        pull: table.word("pull", PullPolicy::from_word),
    }
}

fn deploy(table: &Table<'_>, migrate: Option<Migrate>) -> Option<Deploy> {
    Some(Deploy {
        strategy: table.word("strategy", Strategy::from_word),
        services: table.list("services").unwrap_or_default(),
        migrate,
        on_failure: table.word("on_failure", OnFailure::from_word),
        keep_releases: table.number("keep_releases")?,
        stable_for: table.duration("stable_for")?,
        start_deadline: table.duration("start_deadline")?,
        observe: table.duration("observe")?,
        pull_deadline: table.duration("pull_deadline")?,
        build_deadline: table.duration("build_deadline")?,
        stop_timeout: table.duration("stop_timeout"),
        max_error_ratio: table.percent("max_error_ratio")?,
        drain_timeout: table.duration("drain_timeout")?,
        keep_warm: table.duration("keep_warm"),
    })
}

fn migrate(table: &Table<'_>) -> Option<Migrate> {
    Some(Migrate {
        service: table.text("service")?,
        command: table.list("command")?,
        deadline: table.duration("deadline")?,
        on_rollback: table.word("on_rollback", OnRollback::from_word),
        undo: table.list("undo"),
        when: table.word("when", When::from_word),
    })
}

fn health(table: &Table<'_>, expect: &Table<'_>) -> Option<Health> {
    let json = match expect.get("json")? {
        Value::Json(entries) => entries.iter().cloned().collect(),
        _ => return None,
    };
    Some(Health {
        name: table.text("name")?,
        url: table.url("url")?,
        expect: Expect {
            status: u16::try_from(expect.number("status")?).ok()?,
            json,
            body_contains: expect.text("body_contains"),
        },
        successes: table.number("successes")?,
        interval: table.duration("interval")?,
        timeout: table.duration("timeout")?,
        deadline: table.duration("deadline")?,
    })
}

fn secrets(table: &Table<'_>) -> Secrets {
    Secrets {
        directory: table.path("directory"),
        required: table.list("required").unwrap_or_default(),
        placeholders: table.list("placeholders").unwrap_or_default(),
        variables: table.list("variables").unwrap_or_default(),
    }
}

fn preflight(table: &Table<'_>) -> Option<Preflight> {
    Some(Preflight {
        deadline: table.duration("deadline")?,
        min_disk: table.size("min_disk")?,
        min_memory: table.size("min_memory")?,
        skip: table.list("skip").unwrap_or_default(),
        engine_min: table.text("engine_min")?,
        compose_min: table.text("compose_min")?,
    })
}

fn caddy(table: &Table<'_>) -> Option<Caddy> {
    Some(Caddy {
        url: table.url("url")?,
        service: table.text("service"),
        identity_path: table.text("identity_path")?,
        directory: table.path("directory"),
    })
}

fn backup(table: &Table<'_>) -> Option<Backup> {
    Some(Backup {
        enabled: table.flag("enabled"),
        service: table.text("service"),
        user: table.text("user"),
        database: table.text("database"),
        directory: table.path("directory"),
        deadline: table.duration("deadline")?,
        keep: table.number("keep")?,
    })
}

fn prometheus(table: &Table<'_>) -> Option<Prometheus> {
    Some(Prometheus {
        url: table.url("url")?,
        error_ratio: table.text("error_ratio"),
        timeout: table.duration("timeout")?,
    })
}

fn database(table: &Table<'_>) -> Option<Database> {
    Some(Database {
        url: table.secret("url")?,
        ca_certificate: table.path("ca_certificate"),
    })
}

fn data(table: &Table<'_>) -> Option<Data> {
    let user_columns = match table.get("user_columns")? {
        Value::Lists(lists) => lists
            .iter()
            .map(|(name, items)| (name.clone(), texts(items)))
            .collect(),
        _ => return None,
    };
    Some(Data {
        directory: table.path("directory")?,
        user_columns,
    })
}

fn users(table: &Table<'_>) -> Option<Users> {
    Some(Users {
        provider: table.word("provider", UserProvider::from_word),
        base_url: table.url("base_url")?,
        project_id: table.secret("project_id")?,
        secret_key: table.secret("secret_key")?,
    })
}

fn dns(table: &Table<'_>, records: Vec<Record>) -> Option<Dns> {
    let tsig = |name| {
        Some(Tsig {
            name,
            algorithm: table.word("tsig_algorithm", TsigAlgorithm::from_word),
            secret: table.secret("tsig_secret")?,
        })
    };
    Some(Dns {
        provider: table.word("provider", DnsProvider::from_word),
        zone: table.text("zone"),
        server: table.text("server").and_then(|text| server(&text)),
        tsig: table.text("tsig_name").and_then(tsig),
        token: table.secret("token"),
        ttl: table.duration("ttl")?,
        records,
    })
}

/// Names are compared with answers of servers, so they get one form here.
fn record(table: &Table<'_>) -> Option<Record> {
    let name = |text: String| text.trim_end_matches('.').to_ascii_lowercase();
    Some(Record {
        name: table.text("name").map(name)?,
        a: table.parsed("A"),
        aaaa: table.parsed("AAAA"),
        cname: table.text("CNAME").map(name),
        txt: table.list("TXT"),
        caa: table.list("CAA"),
    })
}

fn stabilize(table: &Table<'_>) -> Option<Stabilize> {
    Some(Stabilize {
        window: table.duration("window")?,
        healthy: table.percent("healthy")?,
        breach: table.percent("breach")?,
    })
}

fn notify(table: &Table<'_>) -> Option<Notify> {
    Some(Notify {
        webhook: table.secret("webhook")?,
        signing_key: table.secret("signing_key"),
        allow_hosts: table.list("allow_hosts").unwrap_or_default(),
        timeout: table.duration("timeout")?,
        attempts: table.number("attempts")?,
        required: table.flag("required")?,
    })
}

fn serve(table: &Table<'_>) -> Option<Serve> {
    Some(Serve {
        listen: Listen::parse(&table.text("listen")?)?,
        hosts: table.list("hosts").unwrap_or_default(),
    })
}
