//! What a rehearsal and the run that rests on it have in common: entries, settings, services; with a digest of all of it.
//!
//! Law: what is done is the same to the letter; only where it is done may differ, and each such place has a name.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::adapter::files::sha256;
use crate::cli::setup::Setup;
use crate::config::runbook::{Deed, Runbook};
use crate::config::{Config, Environment};
use crate::run::look::sources;
use crate::step::plan::Substitution;

/// Settings that decide nothing about what a run does: who is told, who may look, where notes of it are kept.
const BESIDE: &[&str] = &["project.", "state.", "notify.", "serve.", "rehearsal.", "preflight.", "secrets."];
/// Keys of a service that say what runs in it; the others say where it is and what it is joined to.
const DEEDS: &[&str] = &[
    "command",
    "entrypoint",
    "healthcheck",
    "depends_on",
    "user",
    "working_dir",
    "restart",
    "stop_grace_period",
    "stop_signal",
];

/// What was rehearsed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Bound {
    /// Entries of the runbook in their order: name, and the SHA-256 of what each asks for.
    pub entries: Vec<(String, String)>,
    /// Production's settings, as far as they stood in the rehearsal too.
    pub settings: BTreeMap<String, String>,
    /// Production's services: name, and the SHA-256 of all that compose says of it; none where nothing is deployed.
    pub services: BTreeMap<String, String>,
}

impl Bound {
    /// What this runbook does with this configuration; `model` is production's compose model where a release is deployed.
    pub fn of(runbook: &Runbook, config: &Config, model: Option<&Value>) -> Self {
        let entries = runbook.entries().map(|entry| {
            let asked = format!("{:?} {:?} {:?}", entry.on_failure, entry.deadline, entry.deed);
            (entry.name.clone(), sha256(asked.as_bytes()))
        });
        let counts = |key: &str| !BESIDE.iter().any(|beside| key.starts_with(beside));
        let set = config.settings.iter().filter(|setting| setting.active && counts(&setting.key));
        let value = |value: &Option<_>| value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let mut settings: BTreeMap<String, String> = set.map(|one| (one.key.clone(), value(&one.value))).collect();
        settings.insert("runbook.on_failure".into(), format!("{:?}", runbook.on_failure).to_lowercase());
        let services = services(model).into_iter();
        Self {
            entries: entries.collect(),
            settings,
            services: services.map(|(name, one)| (name, sha256(one.to_string().as_bytes()))).collect(),
        }
    }

    /// The same without what the rehearsal put others in the place of.
    #[must_use]
    pub fn without(mut self, substitutions: &[Substitution]) -> Self {
        self.settings.retain(|key, _| !substitutions.iter().any(|one| one.name == *key));
        self
    }

    /// SHA-256 of all of it.
    pub fn hash(&self) -> String {
        sha256(serde_json::to_value(self).unwrap_or_default().to_string().as_bytes())
    }

    /// What `now` does otherwise, by name; `substitutions` are those of the rehearsal.
    pub fn differences(&self, now: &Self, substitutions: &[Substitution]) -> Vec<String> {
        let now = now.clone().without(substitutions);
        let map = |entries: &[(String, String)]| entries.iter().cloned().collect::<BTreeMap<String, String>>();
        let mut all = differing(&map(&self.entries), &map(&now.entries));
        let order = |bound: &Self| bound.entries.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if all.is_empty() && order(self) != order(&now) {
            all.push("the order of the entries".into());
        }
        all.extend(differing(&self.settings, &now.settings));
        all.extend(differing(&self.services, &now.services).into_iter().map(|name| format!("compose.{name}")));
        all
    }
}

fn differing(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    keys.into_iter().filter(|key| one.get(*key) != other.get(*key)).cloned().collect()
}

fn services(model: Option<&Value>) -> BTreeMap<String, Value> {
    let table = model.and_then(|model| model.get("services")).and_then(Value::as_object);
    table.into_iter().flatten().map(|(name, service)| (name.clone(), service.clone())).collect()
}

/// The compose model of a configuration, where the runbook deploys one.
///
/// # Errors
/// When the files are not valid.
pub async fn model(setup: &Setup, runbook: &Runbook, config: &Config) -> Result<Option<Value>> {
    if !runbook.entries().any(|entry| matches!(&entry.deed, Deed::BuiltIn { name, .. } if name == "deploy")) {
        return Ok(None);
    }
    let (model, _) = setup.compose.render(&sources(config, &Environment::of_process())).await?;
    setup.learn(&model);
    Ok(Some(model))
}

/// What the copy's services have in the place of production's, by name; or what they do otherwise.
///
/// `differs` names services that may do so, as `compose.SERVICE`.
///
/// # Errors
/// Every service and key that says something else is done.
pub fn other_places(
    ours: Option<&Value>,
    theirs: Option<&Value>,
    differs: &[String],
) -> Result<Vec<Substitution>, Vec<String>> {
    let (ours, theirs) = (services(ours), services(theirs));
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        let key = format!("compose.{name}");
        let (Some(own), Some(other)) = (ours.get(name), theirs.get(name)) else {
            let side = if ours.contains_key(name) { "production" } else { "the rehearsal" };
            if !differs.contains(&key) {
                wrong.push(format!("{key} is a service of {side} alone"));
            }
            continue;
        };
        for part in parts(own, other) {
            if is_deed(&part, own) && !differs.contains(&key) {
                wrong.push(format!("{key}.{part} is not the same"));
            } else {
                let (from, to) = (short(own, &part), short(other, &part));
                found.push(Substitution { name: format!("{key}.{part}"), from, to });
            }
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

/// Keys of a service that differ; of its environment each variable.
fn parts(own: &Value, other: &Value) -> Vec<String> {
    let keys =
        |value: &Value| value.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect::<BTreeSet<_>>();
    let mut parts = Vec::new();
    for key in keys(own).union(&keys(other)).filter(|key| own.get(*key) != other.get(*key)) {
        let (one, two) = (own.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
        if key == "environment" {
            let variables = keys(one)
                .union(&keys(two))
                .filter(|name| one.get(*name) != two.get(*name))
                .cloned()
                .collect::<Vec<_>>();
            parts.extend(variables.into_iter().map(|name| {
                match one.get(&name).is_some() == two.get(&name).is_some() {
                    true => format!("environment.{name}"),
                    // A variable that only one of them has switches something on.
                    false => format!("environment has {name} on one side alone"),
                }
            }));
        } else {
            parts.push(key.clone());
        }
    }
    parts
}

fn is_deed(part: &str, own: &Value) -> bool {
    let is_built = own.get("build").is_some();
    DEEDS.contains(&part) || (part == "image" && !is_built) || part.starts_with("environment has")
}

/// What stands there, in short; the value of a variable may be a secret.
fn short(service: &Value, part: &str) -> String {
    if part.starts_with("environment") {
        return "a value of its own".into();
    }
    let text = service.get(part).map_or_else(|| "nothing".to_owned(), ToString::to_string);
    if text.len() > 80 { format!("{}…", text.chars().take(79).collect::<String>()) } else { text }
}
