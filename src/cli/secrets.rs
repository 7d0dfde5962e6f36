//! Secrets: the values that must not show, gathered from wherever a project keeps them. They go to the redactor alone.

use std::path::Path;

use serde_json::Value;

use crate::config::Config;
use crate::release::model;

/// A larger file holds something else than a secret, in bytes.
const LARGEST: u64 = 64 * 1024;

/// What the files of a project tell before compose has read them: an error of compose quotes what it could not read.
pub fn of_config(config: &Config) -> Vec<String> {
    let mut values = Vec::new();
    let env_files = config.compose.env_files.iter().map(|path| (path, Written::EnvFile));
    for (path, written) in env_files.chain(config.compose.files.iter().map(|path| (path, Written::Yaml))) {
        // A file that cannot be read is preflight's to tell; it cannot leak either.
        values.extend(of_text(&std::fs::read_to_string(path).unwrap_or_default(), written));
    }
    let directory = config.secrets.directory.clone().unwrap_or_else(|| config.directory.join("secrets"));
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    values.extend(files.filter_map(|entry| content(&entry.path())));
    values
}

/// What a model holds: variables by name or by value, and the files of its secrets.
pub fn of_model(rendered: &Value) -> Vec<String> {
    let mut values = model::secret_values(rendered);
    values.extend(model::secret_files(rendered).iter().filter_map(|path| content(path)));
    values
}

fn content(path: &Path) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// How a file is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    EnvFile,
    Yaml,
}

/// Values of variables that hold secrets. In an env file a value in quotes may go on over several lines; in YAML what
/// follows a line is something else, and a word of it taken for a secret would blot out half the screen.
fn of_text(text: &str, written: Written) -> Vec<String> {
    let mut values = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((key, value)) = pair(line) else { continue };
        let mut value = value.to_owned();
        if written == Written::Yaml && value.contains("$(") {
            // A command, not a value.
            continue;
        }
        let quote = value.chars().next().filter(|first| ['"', '\''].contains(first));
        if let Some(quote) = quote.filter(|_| written == Written::EnvFile) {
            while value.len() < 2 || !value.ends_with(quote) {
                let Some(more) = lines.clone().next().filter(|more| pair(more).is_none()) else { break };
                lines.next();
                value = format!("{value}\n{}", more.trim());
            }
        }
        if model::is_secret(key, &value) {
            values.extend(meant(&value));
        }
    }
    values
}

/// `KEY=value`, `export KEY=value`, `KEY: value` and `- KEY=value`.
fn pair(line: &str) -> Option<(&str, &str)> {
    let line = line.trim().trim_start_matches("- ").trim_start_matches("export ").trim_start_matches(['"', '\'']);
    let end = line.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?;
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    // In YAML a colon without a space behind it is part of a word.
    let value = rest.strip_prefix('=').or_else(|| rest.strip_prefix(": ")).or_else(|| rest.strip_prefix(":\t"))?;
    (!key.is_empty() && !key.starts_with(|first: char| first.is_ascii_digit())).then_some((key, value.trim()))
}

/// What a written value stands for: without quotes and escapes, and the default of a reference. A mere reference, a list
/// or a path holds no secret.
fn meant(written: &str) -> Vec<String> {
    let plain = written.trim_matches(['"', '\'']);
    let is_elsewhere = plain.starts_with(['[', '{', '/', '&', '|', '>']) || plain.starts_with("./");
    if is_elsewhere {
        return Vec::new();
    }
    let inside = plain.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    if let Some(inside) = inside.filter(|inside| !inside.contains(['{', '}'])) {
        if inside.contains('?') {
            return Vec::new();
        }
        let default = inside.split_once(":-").or_else(|| inside.split_once('-'));
        return default.map(|(_, default)| default.to_owned()).into_iter().collect();
    }
    let unescaped = plain.replace("\\$", "$").replace("\\\"", "\"").replace("$$", "$");
    vec![plain.to_owned(), unescaped]
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: Written = Written::Yaml;

    #[test]
    fn values_are_found_in_env_files_and_in_yaml_by_name_or_by_content() {
        for text in [
            "API_KEY=abcdef",
            "export API_KEY=\"abcdef\"",
            "  API_KEY: abcdef",
            "  - API_KEY=abcdef",
            "- \"API_KEY=abcdef\"",
        ] {
            assert!(of_text(text, YAML).contains(&"abcdef".to_owned()), "{text}");
        }
        assert!(of_text("UPSTREAM: http://a:bcdefg@host", YAML).contains(&"http://a:bcdefg@host".to_owned()));
        assert!(of_text("PORT=3000\nURL: https://shop.example", YAML).is_empty());
    }

    #[test]
    fn what_only_points_at_a_secret_is_none() {
        for text in [
            "secrets: [token]",
            "TOKEN_FILE: /run/secrets/token",
            "API_KEY: ${API_KEY}",
            "API_KEY: ${API_KEY:?set it in .env}",
            "  token: { file: ./token }",
            "secrets:",
        ] {
            assert!(of_text(text, YAML).is_empty(), "{text}: {:?}", of_text(text, YAML));
        }
        assert_eq!(of_text("API_KEY: ${API_KEY:-abcdef}", YAML), ["abcdef"]);
    }

    #[test]
    fn a_value_in_quotes_goes_on_to_its_closing_quote() {
        let found = of_text("PRIVATE_KEY=\"-----BEGIN\nabcdef\n-----END\"\nPORT=1", Written::EnvFile);
        assert!(
            found.iter().any(|value| value.contains("abcdef")) && !found.iter().any(|value| value.contains("PORT"))
        );
    }

    #[test]
    fn a_command_in_yaml_is_no_secret_and_neither_is_what_follows_it() {
        let text =
            "    command:\n      - PGPASSWORD=\"$$(cat /run/x)\" exec psql -h db\n\n  caddy:\n    image: caddy\n";
        assert!(of_text(text, YAML).is_empty());
    }
}
