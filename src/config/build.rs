//! Puts the values that were read into typed tables. Judges nothing: what is missing here was reported before.

use std::collections::BTreeMap;
use std::path::Path;

use super::Config;
use super::build_later::{assertion, data, database, dns, record, serve, users};
use super::choices::{Handling, OnFailure, OnRollback, PullPolicy, Strategy, When};
use super::later::{Assertion, Record};
use super::read::{Found, Origin, Reader, join};
use super::rehearsal::rehearsal;
use super::table::{Table, texts};
use super::types::{
    Backup, Caddy, Compose, Deploy, Expect, Health, Migrate, Preflight, Project, Prometheus, Secrets, State,
};
use super::value::{Item, Value};
use super::watching::{Channel, StabilizeRule, channel, notify, rule, stabilize};

/// The names under which compose looks for a model, in its own order; the first one counts.
pub const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// The names of the file that compose lays over it, whichever of those it is; the first one counts.
pub const COMPOSE_OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

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
            health(&Table::at(values, path, directory), &Table::at(values, &expect, directory))
        })
        .collect();
    let mut paths: Vec<String> = each("dns.record[]").collect();
    paths.sort_by_key(|path| index(path));
    let records: Option<Vec<Record>> = paths.iter().map(|path| record(&Table::at(values, path, directory))).collect();
    let mut paths: Vec<String> = each("data.assert[]").collect();
    paths.sort_by_key(|path| index(path));
    let assertions: Option<Vec<Assertion>> =
        paths.iter().map(|path| assertion(&Table::at(values, path, directory))).collect();
    let mut paths: Vec<String> = each("stabilize.rule[]").collect();
    paths.sort_by_key(|path| index(path));
    let rules: Option<Vec<StabilizeRule>> =
        paths.iter().map(|path| rule(&Table::at(values, path, directory))).collect();
    let mut paths: Vec<String> = each("notify.channel[]").collect();
    paths.sort_by_key(|path| index(path));
    let channels: Option<Vec<Channel>> =
        paths.iter().map(|path| channel(&Table::at(values, path, directory))).collect();
    Some(Config {
        path: path.to_path_buf(),
        directory: directory.to_path_buf(),
        project: project(&table("project"))?,
        compose: compose(&table("compose")),
        deploy: deploy(&table("deploy"), required(optional("deploy.migrate"), migrate)?)?,
        health: health?,
        state: State { directory: table("state").path("directory")? },
        secrets: secrets(&table("secrets")),
        preflight: preflight(&table("preflight"))?,
        caddy: required(optional("caddy"), caddy)?,
        backup: backup(&table("backup"))?,
        prometheus: required(optional("prometheus"), prometheus)?,
        source: required(optional("source"), database)?,
        target: required(optional("target"), database)?,
        data: data(&table("data"), assertions?)?,
        users: required(optional("users"), users)?,
        dns: required(optional("dns"), |table| dns(table, records?))?,
        stabilize: required(optional("stabilize"), |table| stabilize(table, rules?))?,
        notify: required(optional("notify"), |table| notify(table, channels?))?,
        serve: required(optional("serve"), serve)?,
        rehearsal: rehearsal(&table("rehearsal"))?,
        notes: Vec::new(),
        settings: Vec::new(),
    })
}

/// A table that is not there is fine; one that is there and cannot be built is not.
fn required<'a, T>(table: Option<Table<'a>>, build: impl FnOnce(&Table<'a>) -> Option<T>) -> Option<Option<T>> {
    match table {
        None => Some(None),
        Some(table) => build(&table).map(Some),
    }
}

/// The number in the last brackets, so that element 10 comes after element 9.
fn index(path: &str) -> usize {
    path.rsplit_once('[').and_then(|(_, rest)| rest.trim_end_matches(']').parse().ok()).unwrap_or(0)
}

/// Names the compose files that `docker compose` itself would take, so that what is shown is what is used.
pub(super) fn discover_compose(reader: &mut Reader<'_>, directory: &Path) {
    if let Some(file) = COMPOSE_FILES.iter().find(|name| directory.join(name).is_file()) {
        let mut names = vec![(*file).to_owned()];
        let over = COMPOSE_OVERRIDES.iter().find(|name| directory.join(name).is_file());
        names.extend(over.map(|name| (*name).to_owned()));
        found_beside(reader, "compose.files", names);
    }
    if directory.join(".env").is_file() {
        found_beside(reader, "compose.env_files", vec![".env".to_owned()]);
    }
}

/// Takes what stands beside the file, as compose does, unless the file or the environment says otherwise.
fn found_beside(reader: &mut Reader<'_>, key: &str, names: Vec<String>) {
    let is_said = reader.values.get(key).is_some_and(|found| !matches!(found.origin, Origin::Default));
    if !is_said {
        let items = names.into_iter().map(|text| Item { text, at: 0 }).collect();
        let found = Found { value: Value::List(items), origin: Origin::Default, written: None, key_at: 0, at: 0 };
        reader.values.insert(key.to_owned(), found);
    }
}

fn project(table: &Table<'_>) -> Option<Project> {
    Some(Project { name: table.text("name")?, environment: table.text("environment")? })
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
        services: services(table),
        handling: handling(table),
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
        keep_warm: table.duration("keep_warm")?,
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
        routes: pairs(table, "routes").into_iter().filter_map(|(route, mut to)| Some((route, to.pop()?))).collect(),
    })
}

/// The services, whichever way they are written.
fn services(table: &Table<'_>) -> Vec<String> {
    table.list("services").unwrap_or_else(|| pairs(table, "services").into_iter().map(|(name, _)| name).collect())
}

fn handling(table: &Table<'_>) -> BTreeMap<String, Handling> {
    let said = pairs(table, "services").into_iter();
    said.filter_map(|(name, words)| Some((name, Handling::from_word(words.first()?)?))).collect()
}

fn pairs(table: &Table<'_>, name: &str) -> Vec<(String, Vec<String>)> {
    match table.get(name) {
        Some(Value::Lists(lists)) => lists.iter().map(|(name, items)| (name.clone(), texts(items))).collect(),
        _ => Vec::new(),
    }
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
        command: table.list("command"),
        restore: table.list("restore"),
        volumes: table.list("volumes").unwrap_or_default(),
    })
}

fn prometheus(table: &Table<'_>) -> Option<Prometheus> {
    Some(Prometheus {
        url: table.url("url")?,
        error_ratio: table.text("error_ratio"),
        timeout: table.duration("timeout")?,
    })
}
