//! What was said elsewhere: on the command line, in the environment, in `.env`, by the containers that run. The first counts.

use std::path::Path;

use serde_json::Value;

use super::files::{Choice, Said};
use super::look::Wishes;
use crate::adapter::docker::Container;
use crate::config::Environment;
use crate::release::model;

/// What the environment says to compose; it wins over `.env`.
pub(super) fn said(wishes: &Wishes, environment: &Environment, dotenv: &[(String, String)]) -> Said {
    let in_file = |name: &str| dotenv.iter().rev().find(|(one, _)| one == name).map(|(_, value)| value.clone());
    let own = environment.get("COMPOSE_FILE").map(|list| (list.to_owned(), "in the environment".to_owned()));
    let files = own.or_else(|| in_file("COMPOSE_FILE").map(|list| (list, "in .env".to_owned())));
    let separator = environment.get("COMPOSE_PATH_SEPARATOR").map(str::to_owned);
    Said { files, separator: separator.or_else(|| in_file("COMPOSE_PATH_SEPARATOR")), given: wishes.files.clone() }
}

pub(super) fn profiles(wishes: &Wishes, environment: &Environment, pairs: &[(String, String)]) -> Choice {
    let split = |list: &str| list.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect();
    let in_file = || pairs.iter().rev().find(|(name, _)| name == "COMPOSE_PROFILES").map(|(_, value)| value.as_str());
    if !wishes.profiles.is_empty() {
        Choice { names: wishes.profiles.clone(), why: "named on the command line".into() }
    } else if let Some(list) = environment.get("COMPOSE_PROFILES") {
        Choice { names: split(list), why: "COMPOSE_PROFILES says so, in the environment".into() }
    } else if let Some(list) = in_file() {
        Choice { names: split(list), why: "COMPOSE_PROFILES says so, in an env file".into() }
    } else {
        Choice::default()
    }
}

/// Where a name is said; else compose finds one.
pub(super) fn project_name(
    wishes: &Wishes,
    environment: &Environment,
    running: Option<&Container>,
) -> Option<(String, String)> {
    let wished = wishes.name.clone().map(|name| (name, "named on the command line".to_owned()));
    let said = || {
        let name = environment.get("COMPOSE_PROJECT_NAME")?;
        Some((name.to_owned(), "COMPOSE_PROJECT_NAME says so, in the environment".to_owned()))
    };
    let runs = || {
        let container = running?;
        let name = container.labels.get("com.docker.compose.project")?;
        Some((name.clone(), format!("the containers that run here, such as {}, have it", container.name)))
    };
    wished.or_else(said).or_else(runs)
}

pub(super) fn stage_of(wishes: &Wishes, stage: Option<String>, directory: &Path, model: &Value) -> (String, String) {
    if let Some(wished) = &wishes.environment {
        return (wished.clone(), "named on the command line".into());
    }
    if let Some(stage) = stage {
        return (stage, "the compose files are named for it".into());
    }
    if let Some(file) = [".env.production", ".env.prod"].iter().find(|name| directory.join(name).is_file()) {
        return ("production".into(), format!("{file} is named for it"));
    }
    const NAMES: [&str; 7] =
        ["NODE_ENV", "RAILS_ENV", "APP_ENV", "DJANGO_ENV", "FLASK_ENV", "ENVIRONMENT", "ASPNETCORE_ENVIRONMENT"];
    for service in model::services(model) {
        let environment = model::environment(model, &service);
        for name in NAMES {
            let value = environment.get(name).map(|value| value.to_lowercase()).unwrap_or_default();
            if ["production", "staging", "development", "test"].contains(&value.as_str()) {
                return (value, format!("the service {service} has {name} set to it"));
            }
        }
    }
    ("production".into(), "nothing tells another one; it is part of the phrases that destructive steps ask for".into())
}
