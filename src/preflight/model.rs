//! Model: the compose files are valid, every variable that they use is set, and every service that is named exists.

use serde_json::Value;

use super::Ask;
use super::finding::{Found, Parts};
use crate::config::{Config, nearest};
use crate::data::plural::counted;
use crate::release::model;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    match ask.model().await {
        Ok(model) => judge(ask.config(), &model.value, &model.warnings),
        Err(unread) if unread.told_by == "model" => {
            Found::fail(unread.why, "correct the compose files; `docker compose config` shows the same words")
        }
        Err(unread) => unread.found("the compose model"),
    }
}

fn judge(config: &Config, rendered: &Value, warnings: &[String]) -> Found {
    let mut parts = Parts::default();
    let names = model::services(rendered);
    if names.is_empty() {
        parts.fail("the model has no service", "look at compose.files and compose.profiles");
    }
    let mut unset: Vec<&str> = Vec::new();
    for line in warnings {
        match unset_variable(line) {
            Some(variable) if unset.contains(&variable) => {}
            Some(variable) => {
                unset.push(variable);
                parts.fail(
                    format!("the variable {variable} is not set, compose would put nothing in its place"),
                    "set it in one of compose.env_files, or give it a default: ${NAME:-default}",
                );
            }
            None => parts.warn(format!("compose warns: {}", message(line)), "correct the compose files"),
        }
    }
    for (key, name) in named(config).into_iter().filter(|(_, name)| !names.contains(name)) {
        let near = nearest(&name, names.iter().map(String::as_str));
        let advice = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("the services are {}; is a profile missing?", names.join(", ")),
        };
        parts.fail(format!("{key} names {name:?}, which is no service of the model"), advice);
    }
    for name in config.compose.build.iter().filter(|name| names.contains(name)) {
        if !model::is_built(rendered, name) {
            parts.fail(
                format!("compose.build names {name:?}, which has no build section"),
                "take it out of compose.build",
            );
        }
    }
    parts.found(&format!("{}: {}", counted(names.len(), "service"), names.join(", ")))
}

/// Every service that the configuration names, with the key that does.
fn named(config: &Config) -> Vec<(&'static str, String)> {
    let lists = [("deploy.services", &config.deploy.services), ("compose.build", &config.compose.build)];
    let mut all: Vec<(&'static str, String)> =
        lists.iter().flat_map(|(key, names)| names.iter().map(|name| (*key, name.clone()))).collect();
    let single = [
        ("deploy.migrate.service", config.deploy.migrate.as_ref().map(|migrate| &migrate.service)),
        ("backup.service", config.backup.service.as_ref()),
        ("caddy.service", config.caddy.as_ref().and_then(|caddy| caddy.service.as_ref())),
    ];
    all.extend(single.into_iter().filter_map(|(key, name)| Some((key, name?.clone()))));
    all
}

/// The variable that a warning of compose says is not set.
fn unset_variable(line: &str) -> Option<&str> {
    let (before, _) = line.split_once("variable is not set")?;
    let before = before.trim_end().strip_suffix('"')?;
    let name = before.rsplit('"').next()?.trim_end_matches('\\');
    (!name.is_empty()).then_some(name)
}

/// The words of a line of compose's log.
fn message(line: &str) -> &str {
    let words = line.split_once("msg=\"").map_or(line, |(_, words)| words);
    words.strip_suffix('"').unwrap_or(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};
    use crate::preflight::Verdict;
    use serde_json::json;

    const WARNING: &str = r#"time="2026-01-23T00:00:00Z" level=warning msg="The \"API_KEY\" variable is not set. Defaulting to a blank string.""#;

    fn config(more: &str) -> Config {
        let text = format!("schema = \"cutover/v1\"\n[project]\nname = \"shop\"\n{more}");
        config::parse(&text, std::path::Path::new("/srv/shop/cutover.toml"), &Environment::default()).unwrap()
    }

    #[test]
    fn a_variable_that_is_not_set_is_named_whatever_way_it_is_quoted() {
        assert_eq!(unset_variable(WARNING), Some("API_KEY"));
        assert_eq!(unset_variable("The \"A\" variable is not set."), Some("A"));
        assert_eq!(unset_variable("`version` is obsolete"), None);
        let model = json!({"services": {"web": {}}});
        let found = judge(&config(""), &model, &[WARNING.to_owned(), WARNING.to_owned()]);
        assert_eq!(found.verdict, Verdict::Fail);
        assert_eq!(found.seen.matches("API_KEY").count(), 1, "{}", found.seen);
    }

    #[test]
    fn a_service_that_is_not_there_is_named_with_the_nearest_one() {
        let model = json!({"services": {"backend": {"build": null}, "worker": {}}});
        let found = judge(&config("[deploy]\nservices = [\"backnd\", \"worker\"]\n"), &model, &[]);
        assert_eq!(found.verdict, Verdict::Fail);
        assert_eq!(found.seen, "deploy.services names \"backnd\", which is no service of the model");
        assert_eq!(found.advice.as_deref(), Some("did you mean \"backend\"?"));
        let found = judge(&config("[compose]\nbuild = [\"backend\"]\n"), &model, &[]);
        assert!(found.seen.contains("no build section"), "{}", found.seen);
    }

    #[test]
    fn other_words_of_compose_are_a_warning() {
        let model = json!({"services": {"web": {}}});
        let line = r#"time="x" level=warning msg="the attribute `version` is obsolete""#.to_owned();
        let found = judge(&config(""), &model, &[line]);
        assert_eq!(
            (found.verdict, found.seen.as_str()),
            (Verdict::Warn, "compose warns: the attribute `version` is obsolete")
        );
        assert_eq!(judge(&config(""), &model, &[]).verdict, Verdict::Ok);
    }
}
