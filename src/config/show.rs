//! Shows a configuration with the origin of every value, or the defaults alone. What it prints is TOML that loads again.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::Config;
use super::complete::{default, written};
use super::environment::Environment;
use super::file::Text;
use super::keys::{self, Fallback, Key, Kind};
use super::read::{Origin, Reader, join};
use super::units::format_duration;
use super::value::Value;

/// One key, its value, and where the value came from. No secret is in here, since none is a value.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    /// The key's path in this file, such as `health[0].url`.
    pub key: String,
    /// The value as it would be written in the file; none when nothing is set.
    pub value: Option<Json>,
    /// Where it came from.
    pub origin: Origin,
    /// Does its table stand in the file? If not, the value is what would hold if it did.
    pub active: bool,
    /// What is true when it is left out, where that is no value.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub otherwise: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// Every key: those of the file's tables, and those of the tables that are not there.
pub(super) fn settings(reader: &Reader<'_>) -> Vec<Setting> {
    let mut settings = Vec::new();
    collect(reader, "", &mut settings);
    settings
}

/// Plain keys before tables, as TOML wants them.
fn collect(reader: &Reader<'_>, table: &str, settings: &mut Vec<Setting>) {
    let schema = super::read::schema_path(table);
    let active = reader.values.contains_key(table);
    for key in keys::children(&schema).filter(|key| !key.is_table()) {
        settings.push(setting(reader, key, join(table, key.name()), active));
    }
    for key in keys::children(&schema).filter(|key| key.is_table()) {
        let within = |path: &String| path.starts_with(table);
        let mut tables: Vec<String> = reader.tables(key.path).into_iter().filter(within).collect();
        tables.sort_by_key(|path| reader.values.get(path).map(|found| found.at));
        if tables.is_empty() {
            let end = if matches!(key.kind, Kind::Tables) { "[]" } else { "" };
            tables.push(format!("{}{end}", join(table, key.name())));
        }
        for table in tables {
            collect(reader, &table, settings);
        }
    }
}

fn setting(reader: &Reader<'_>, key: &'static Key, path: String, active: bool) -> Setting {
    let found = reader.values.get(&path);
    let value = match (found, key.fallback) {
        (Some(found), _) => {
            found.written.clone().map_or_else(|| as_json(key.kind, &found.value), |text| Some(json!(text)))
        }
        (None, Fallback::Is(literal)) => as_written(key.kind, literal),
        (None, _) => None,
    };
    Setting {
        key: path,
        value,
        origin: found.map_or(Origin::Default, |found| found.origin.clone()),
        active,
        otherwise: match key.fallback {
            Fallback::Required => "required",
            Fallback::Unset(otherwise) => otherwise,
            Fallback::Is(_) => "",
        },
        doc: key.doc,
    }
}

/// A default as it is written in the key list.
fn as_written(kind: Kind, literal: &str) -> Option<Json> {
    let text = written(literal).map(Json::from);
    text.or_else(|| as_json(kind, &default(kind, literal)?))
}

/// A value as it could be written in the file.
fn as_json(kind: Kind, value: &Value) -> Option<Json> {
    let texts = |items: &[super::value::Item]| Json::from_iter(items.iter().map(|item| item.text.as_str()));
    Some(match value {
        Value::Table => return None,
        Value::Text(text) => json!(text),
        Value::List(items) => texts(items),
        Value::Url(url) => json!(url.as_str()),
        Value::Bool(value) => json!(value),
        Value::Integer(number) => json!(number),
        Value::Duration(duration) => json!(format_duration(*duration)),
        Value::Size(size) => json!(size.to_string()),
        Value::Percent(share) => json!(share.to_string()),
        Value::Json(entries) => Json::Object(entries.iter().cloned().collect()),
        // A name with one word, not with a list of words; without a word, a table that says nothing.
        Value::Lists(lists) if matches!(kind, Kind::Names | Kind::Services(_)) => {
            let word = |items: &[super::value::Item]| items.first().map_or_else(|| json!({}), |item| json!(item.text));
            Json::Object(lists.iter().map(|(name, items)| (name.clone(), word(items))).collect())
        }
        Value::Lists(lists) => {
            let entry = |(name, items): &(String, Vec<super::value::Item>)| (name.clone(), texts(items));
            Json::Object(lists.iter().map(entry).collect())
        }
    })
}

/// The configuration as one JSON document: what was set, or with `defaults` every key.
pub fn show(config: &Config, defaults: bool) -> Json {
    let settings: Vec<&Setting> = config.settings.iter().filter(|setting| defaults || is_said(setting)).collect();
    json!({
        "schema": super::SCHEMA,
        "file": config.path,
        "directory": config.directory,
        "settings": settings,
        "notes": config.notes,
    })
}

/// The configuration as TOML, each value with its origin: what was set, or with `defaults` every key.
pub fn show_text(config: &Config, defaults: bool) -> String {
    render(&config.settings, defaults)
}

/// The defaults as TOML, without any file.
pub fn defaults() -> String {
    let text = Text::new(Path::new(super::DEFAULT_PATH), "");
    let reader = Reader::read(&text, &Environment::default(), &[]);
    render(&settings(&reader), true)
}

fn is_said(setting: &Setting) -> bool {
    setting.origin != Origin::Default
}

fn render(settings: &[Setting], defaults: bool) -> String {
    let mut text = String::new();
    let mut table = String::new();
    for setting in settings.iter().filter(|setting| defaults || is_said(setting)) {
        let (parent, name) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
        if parent != table {
            table = parent.to_owned();
            header(&mut text, parent, setting.active, defaults);
        }
        if defaults {
            let _ = writeln!(text, "# {}", setting.doc);
        }
        line(&mut text, setting, name);
    }
    text
}

/// `health[0].expect` is written `[health.expect]` below its `[[health]]`. A table whose own keys are all
/// defaults needs no line, unless it is an element, which would be lost.
fn header(text: &mut String, path: &str, active: bool, defaults: bool) {
    let schema = super::read::schema_path(path);
    let name = schema.replace("[]", "");
    let mark = if active { "" } else { "# " };
    if !text.is_empty() {
        text.push('\n');
    }
    if defaults && let Some(key) = keys::find(&schema) {
        let _ = writeln!(text, "# {}", key.doc);
    }
    let _ = match schema.ends_with("[]") {
        true => writeln!(text, "{mark}[[{name}]]"),
        false => writeln!(text, "{mark}[{name}]"),
    };
}

fn line(text: &mut String, setting: &Setting, name: &str) {
    let origin = match &setting.origin {
        Origin::Default if setting.value.is_none() && setting.otherwise.is_empty() => "not set".to_owned(),
        Origin::Default if setting.value.is_none() => format!("not set: {}", setting.otherwise),
        Origin::Default => "default".to_owned(),
        Origin::File { file, line, column } => format!("{}:{line}:{column}", file.escape_debug()),
        Origin::Environment { name } => format!("${name}"),
        Origin::Flag { name } => name.clone(),
    };
    let _ = match &setting.value {
        Some(value) if setting.active => writeln!(text, "{name} = {}  # {origin}", literal(value)),
        Some(value) => writeln!(text, "# {name} = {}  # {origin}", literal(value)),
        None if setting.otherwise == "required" => writeln!(text, "# {name} = …  # required"),
        None => writeln!(text, "# {name} = …  # {origin}"),
    };
}

/// A value as TOML, on one line.
pub fn literal(value: &Json) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Json::Array(array) => format!("[{}]", joined(array.iter().map(literal).collect())),
        Json::Object(object) if object.is_empty() => "{}".to_owned(),
        Json::Object(object) => {
            let entry = |(name, value): (&String, &Json)| format!("{} = {}", quoted(name), literal(value));
            format!("{{ {} }}", joined(object.iter().map(entry).collect()))
        }
        Json::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// JSON and TOML quote alike, but for DEL.
fn quoted(text: &str) -> String {
    Json::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const FILE: &str = include_str!("../../tests/config/example.toml");

    fn example(environment: &Environment) -> Config {
        parse(FILE, Path::new("/srv/app/cutover.toml"), environment).unwrap()
    }

    #[test]
    fn every_value_says_where_it_came_from() {
        let environment = Environment::from_pairs([("CUTOVER_DEPLOY_KEEP_RELEASES", "9")]);
        let config = example(&environment);
        let text = show_text(&config, true);
        for line in [
            "name = \"freshtrack\"  # /srv/app/cutover.toml:3:1",
            "keep_releases = 9  # $CUTOVER_DEPLOY_KEEP_RELEASES",
            "stable_for = \"10s\"  # default",
            "# project_name = …  # not set: the value of project.name",
            "# [caddy]",
            "# identity_path = \"/.well-known/cutover-id\"  # default",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
        assert!(!show_text(&config, false).contains("default"));
    }

    #[test]
    fn what_is_shown_loads_again_as_the_same() {
        let config = example(&Environment::default());
        for defaults in [false, true] {
            let text = show_text(&config, defaults);
            let again = parse(&text, &config.path, &Environment::default())
                .unwrap_or_else(|problems| panic!("{problems}\n{text}"));
            let values = |config: &Config| {
                let value = |setting: &Setting| (setting.key.clone(), setting.value.clone());
                config.settings.iter().map(value).collect::<Vec<_>>()
            };
            assert_eq!(values(&config), values(&again));
        }
    }

    #[test]
    fn names_with_one_word_each_are_shown_as_they_are_written() {
        let more = "[caddy]\nurl = \"http://127.0.0.1:8080\"\nroutes = { app = \"backend\" }\n";
        let file = format!(
            "schema = \"cutover/v1\"\n[project]\nname = \"a\"\n[deploy.services]\nbackend = {{}}\nmail = \"leave\"\n{more}"
        );
        let config = parse(&file, Path::new("/srv/app/cutover.toml"), &Environment::default()).unwrap();
        let text = show_text(&config, false);
        for part in ["services = { \"backend\" = {}, \"mail\" = \"leave\" }", "routes = { \"app\" = \"backend\" }"] {
            assert!(text.contains(part), "{text}");
        }
        parse(&text, &config.path, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    }

    #[test]
    fn the_defaults_name_every_key() {
        let text = defaults();
        for key in keys::all().filter(|key| !key.is_table()) {
            let line = format!("{} = ", key.name());
            assert!(text.lines().any(|shown| shown.trim_start_matches("# ").starts_with(&line)), "{}", key.path);
            if let Fallback::Is(literal) = key.fallback {
                let value = as_written(key.kind, literal).unwrap();
                assert!(text.contains(&format!("{line}{}  # default", super::literal(&value))), "{}", key.path);
            }
        }
    }

    #[test]
    fn the_json_form_has_value_and_origin() {
        let shown = show(&example(&Environment::default()), false);
        let settings = shown["settings"].as_array().unwrap();
        let one = settings.iter().find(|setting| setting["key"] == "health[0].deadline").unwrap();
        assert_eq!(
            (&one["value"], &one["origin"]["from"], &one["origin"]["line"]),
            (&json!("90s"), &json!("file"), &json!(23))
        );
    }
}
