//! Isolation of a rehearsal: it differs from production only in where things are, and shares none of these places with it.
//!
//! Law: what cannot be told apart is taken for the same, and a rehearsal that would touch it is not begun.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use crate::adapter::database::Place;
use crate::cli::places;
use crate::config::{Config, Environment, SecretAt};
use crate::release::model;
use crate::run::Refusal;
use crate::secret::Secret;
use crate::step::plan::Substitution;

/// Keys that say where something is; everything else says what is done, and is the same in a rehearsal.
const PLACES: &[&str] = &[
    "project.",
    "compose.project_name",
    "compose.env_files",
    "compose.files",
    "compose.profiles",
    "state.",
    "secrets.",
    "preflight.",
    "caddy.",
    "backup.directory",
    "backup.keep",
    "prometheus.url",
    "source.",
    "target.",
    "data.directory",
    "data.log_file",
    "users.base_url",
    "users.project_id_",
    "users.secret_key_",
    "users.rate",
    "dns.",
    "stabilize.",
    "notify.",
    "serve.",
    "rehearsal.",
];

/// What the rehearsal puts in the place of what.
///
/// # Errors
/// [`Refusal::Usage`], when it would do something else than production does.
pub fn substitutions(production: &Config, copy: &Config) -> Result<Vec<Substitution>> {
    let values = |config: &Config| -> BTreeMap<String, String> {
        let set = config.settings.iter().filter(|setting| setting.active);
        set.map(|one| (one.key.clone(), one.value.as_ref().map_or_else(|| "nothing".into(), ToString::to_string)))
            .collect()
    };
    let (ours, theirs) = (values(production), values(copy));
    let is_place = |key: &str| {
        PLACES.iter().any(|place| key.starts_with(place)) || (key.starts_with("health[") && key.ends_with("].url"))
    };
    let mut found = Vec::new();
    let mut other = Vec::new();
    let keys: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let nothing = || "nothing".to_owned();
        let (from, to) =
            (ours.get(key).cloned().unwrap_or_else(nothing), theirs.get(key).cloned().unwrap_or_else(nothing));
        if from == to {
            continue;
        }
        if is_place(key) {
            found.push(Substitution { name: key.clone(), from, to });
        } else {
            other.push(format!("{key} is {from} in production and {to} in the rehearsal"));
        }
    }
    if other.is_empty() {
        return Ok(found);
    }
    Err(Refusal::Usage(format!(
        "a rehearsal differs from production only in where things are, or it proves nothing: {}",
        other.join("; ")
    ))
    .into())
}

/// Refuses a rehearsal that shares a place with production; `in_stacks` are those that both compose models name.
///
/// # Errors
/// [`Refusal::Usage`], naming every place that is the same or cannot be told apart.
pub async fn must_be_apart(
    production: &Config,
    copy: &Config,
    environment: &Environment,
    in_stacks: Vec<String>,
) -> Result<()> {
    let mut same: Vec<String> = in_stacks;
    if production.project.environment == copy.project.environment {
        same.push(format!("project.environment: both are {:?}", copy.project.environment));
    }
    if production.compose_project() == copy.compose_project() {
        same.push(format!("the compose project: both are {}", copy.compose_project()));
    }
    if within(&production.state.directory, &copy.state.directory) {
        same.push(format!("state.directory: {}", copy.state.directory.display()));
    }
    if within(&production.data.directory, &copy.data.directory) {
        same.push(format!("data.directory: {}", copy.data.directory.display()));
    }
    let backups =
        |config: &Config| config.backup.directory.clone().unwrap_or_else(|| config.state.directory.join("backups"));
    if within(&backups(production), &backups(copy)) {
        same.push(format!("backup.directory: {}", backups(copy).display()));
    }
    let caddy = |config: &Config| config.caddy.as_ref().and_then(|caddy| caddy.directory.clone());
    if let (Some(ours), Some(theirs)) = (caddy(production), caddy(copy))
        && within(&ours, &theirs)
    {
        same.push(format!("caddy.directory: {}", theirs.display()));
    }
    same.extend(addresses(production, copy));
    same.extend(secrets(production, copy, environment));
    same.extend(names(production, copy));
    same.extend(databases(production, copy, environment).await);
    if same.is_empty() {
        return Ok(());
    }
    Err(Refusal::Usage(format!("the rehearsal is not apart from production, so it is not begun: {}", same.join("; ")))
        .into())
}

fn within(ours: &std::path::Path, theirs: &std::path::Path) -> bool {
    let real = |path: &std::path::Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (ours, theirs) = (real(ours), real(theirs));
    ours == theirs || ours.starts_with(&theirs) || theirs.starts_with(&ours)
}

/// Addresses that are asked: a gate on production's health would say nothing about the copy.
fn addresses(production: &Config, copy: &Config) -> Vec<String> {
    let all = |config: &Config| {
        let mut all: Vec<String> = config.health.iter().map(|health| health.url.to_string()).collect();
        all.extend(config.caddy.iter().map(|caddy| caddy.url.to_string()));
        all.extend(config.prometheus.iter().map(|one| one.url.to_string()));
        all
    };
    let ours = all(production);
    all(copy).into_iter().filter(|url| ours.contains(url)).map(|url| format!("the address {url}")).collect()
}

/// What accounts and channels are reached with.
fn secrets(production: &Config, copy: &Config, environment: &Environment) -> Vec<String> {
    let read = |at: &SecretAt| at.read(environment).ok().map(|secret| secret.expose().to_owned());
    let mut same = Vec::new();
    if let (Some(ours), Some(theirs)) = (&production.users, &copy.users) {
        let is_known = |value: &Option<String>| value.is_some();
        let (one, other) = (read(&ours.project_id), read(&theirs.project_id));
        let is_same_service = ours.base_url == theirs.base_url;
        if is_same_service && (one == other || !is_known(&other)) {
            same.push(format!("[users]: the project at {}", theirs.base_url));
        }
    }
    let channels = |config: &Config| -> Vec<SecretAt> {
        let notify = config.notify.iter();
        notify
            .flat_map(|notify| notify.webhook.iter().chain(notify.channels.iter().filter_map(|one| one.url.as_ref())))
            .cloned()
            .collect()
    };
    let ours: Vec<String> = channels(production).iter().filter_map(read).collect();
    for at in channels(copy) {
        match read(&at) {
            Some(url) if !ours.contains(&url) => {}
            _ => same.push("[notify]: a channel that production uses, or one that cannot be read".to_owned()),
        }
    }
    let people = |config: &Config| -> Vec<String> {
        let channels = config.notify.iter().flat_map(|notify| &notify.channels);
        channels.flat_map(|channel| channel.to.iter().map(|to| to.to_lowercase())).collect()
    };
    let own = people(production);
    same.extend(people(copy).into_iter().filter(|to| own.contains(to)).map(|to| format!("[notify]: mail to {to}")));
    same
}

fn names(production: &Config, copy: &Config) -> Vec<String> {
    let (Some(ours), Some(theirs)) = (&production.dns, &copy.dns) else { return Vec::new() };
    let is_same_keeper = ours.provider == theirs.provider
        && ours.server == theirs.server
        && ours.api_url.as_ref().map(ToString::to_string) == theirs.api_url.as_ref().map(ToString::to_string)
        && ours.port == theirs.port;
    let own: Vec<&str> = ours.records.iter().map(|record| record.name.as_str()).collect();
    let shared = theirs.records.iter().filter(|record| own.contains(&record.name.as_str()));
    // Another keeper alone says little: two of them may serve one zone. A world of names of its own has its own roots.
    let is_apart = !is_same_keeper && !theirs.roots.is_empty() && theirs.roots != ours.roots;
    shared
        .filter(|_| !is_apart)
        .map(|record| format!("[dns]: {}, which is not told apart by a keeper and dns.roots of its own", record.name))
        .collect()
}

/// Databases are compared by what they are called and, where both answer, by what the servers say of themselves. One whose
/// connection string cannot be had is told apart from nothing.
async fn databases(production: &Config, copy: &Config, environment: &Environment) -> Vec<String> {
    let (ours, theirs) = (places::of(production, environment), places::of(copy, environment));
    let mut same = Vec::new();
    let both = [("production's", production, &ours), ("the copy's", copy, &theirs)];
    for (whose, config, known) in both {
        let named = [("source", config.source.is_some()), ("target", config.target.is_some())];
        let unknown = named.iter().filter(|(_, is_there)| *is_there).filter_map(|(table, _)| known.side(table).err());
        same.extend(unknown.map(|why| format!("{whose} database is not known: {why:#}")));
    }
    for place in theirs.all() {
        for own in ours.all() {
            if is_same_address(place, own) || is_same_database(place, own).await {
                same.push(format!("the database {} is production's {}", place.shown(), own.shown()));
            }
        }
    }
    same
}

fn is_same_address(one: &Place, other: &Place) -> bool {
    (one.host(), one.port(), one.database()) == (other.host(), other.port(), other.database())
}

/// Variables of the copy's services that lead to a database that production names.
pub fn led_to_production(production: &Config, theirs: Option<&Value>, environment: &Environment) -> Vec<String> {
    let ours = places::of(production, environment);
    let Some(model) = theirs else { return Vec::new() };
    let mut found = Vec::new();
    for service in model::services(model) {
        for (name, value) in model::environment(model, &service) {
            let is_address = ["postgres://", "postgresql://"].iter().any(|head| value.starts_with(head));
            let place = is_address.then(|| Place::parse(&Secret::new(value), None).ok()).flatten();
            if let Some(place) = place.filter(|place| ours.all().any(|own| is_same_address(place, own))) {
                found.push(format!("{name} of the service {service} leads to production's {}", place.shown()));
            }
        }
    }
    found
}

/// Whether two addresses lead to one database. A server that does not answer is told apart by its address alone.
async fn is_same_database(one: &Place, other: &Place) -> bool {
    if one.database() != other.database() {
        return false;
    }
    const WHO: &str = "SELECT pg_postmaster_start_time()::text || ' ' || coalesce(inet_server_port()::text, '') || ' ' || \
                       (SELECT oid::text FROM pg_database WHERE datname = current_database())";
    let ask = async |place: &Place| -> Option<String> {
        let session = place.connect("cutover rehearse").await.ok()?;
        session.query_one(WHO, &[]).await.ok()?.try_get(0).ok()
    };
    let (left, right) = (ask(one).await, ask(other).await);
    left.is_some() && left == right
}
