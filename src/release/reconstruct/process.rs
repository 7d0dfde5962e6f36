//! The process of a container: command, environment, health and labels. Law: what its image says is left to the image.

use std::collections::BTreeMap;

use bollard::models::ImageConfig;
use serde_json::{Value, json};

use super::fields::{Fields, Remarks, Table, put};

/// What compose writes on containers for itself.
const COMPOSE: &str = "com.docker.compose.";

/// Reads `Config`, except for what ports, volumes and networks need of it.
pub(super) fn read(config: &mut Fields, image: &ImageConfig, table: &mut Table) {
    command(config.texts("Entrypoint"), config.texts("Cmd"), image, table);
    put(table, "environment", environment(&config.texts("Env"), image.env.as_deref().unwrap_or_default()));
    let own =
        |value: String, image: &Option<String>| if image.as_ref() == Some(&value) { String::new() } else { value };
    put(table, "user", own(config.text("User"), &image.user));
    put(table, "working_dir", own(config.text("WorkingDir"), &image.working_dir));
    put(table, "stop_signal", own(config.text("StopSignal"), &image.stop_signal));
    if let Some(seconds) = config.take_even_empty("StopTimeout") {
        put(table, "stop_grace_period", format!("{seconds}s"));
    }
    let theirs = image.labels.clone().unwrap_or_default();
    let labels = config.pairs("Labels").into_iter();
    let labels = labels.filter(|(key, value)| !key.starts_with(COMPOSE) && theirs.get(key) != Some(value));
    put(table, "labels", labels.map(|(key, value)| (key, Value::String(value))).collect::<Table>());
    put(table, "tty", config.is_set("Tty"));
    put(table, "stdin_open", config.is_set("OpenStdin"));
    health(config, image, table);
}

/// Says what is left of `Config`.
pub(super) fn say_the_rest(mut config: Fields, image: &ImageConfig, remarks: &mut Remarks) {
    // How `up` was attached to it, the image's name, and build instructions say nothing about how it runs.
    config.forget(&["AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce", "ArgsEscaped", "Image", "OnBuild"]);
    if config.texts("Shell") != image.shell.clone().unwrap_or_default() {
        remarks.say("the shell of its image was another one");
    }
    config.say_the_rest("", remarks);
}

/// An entry point of its own makes the engine forget the image's command, an empty one does not.
fn command(entrypoint: Vec<String>, command: Vec<String>, image: &ImageConfig, table: &mut Table) {
    let image_command = image.cmd.clone().unwrap_or_default();
    let is_own_entrypoint = entrypoint != image.entrypoint.clone().unwrap_or_default();
    let is_command_away = command.is_empty() && !image_command.is_empty();
    if is_own_entrypoint || is_command_away {
        table.insert("entrypoint".into(), json!(entrypoint));
        if !entrypoint.is_empty() {
            put(table, "command", command);
            return;
        }
    }
    if command != image_command {
        put(table, "command", command);
    }
}

/// Variables that the image does not set to the same value. One without a value was asked for and not there.
fn environment(all: &[String], image: &[String]) -> Table {
    let own: BTreeMap<&str, Option<&str>> = all
        .iter()
        .filter(|entry| !image.contains(entry))
        .map(|entry| entry.split_once('=').map_or((entry.as_str(), None), |(key, value)| (key, Some(value))))
        .collect();
    own.into_iter().map(|(key, value)| (key.to_owned(), value.map_or(Value::Null, Value::from))).collect()
}

fn health(config: &mut Fields, image: &ImageConfig, table: &mut Table) {
    let Some(mut check) = config.inner("Healthcheck") else { return };
    let same = image.healthcheck.as_ref().and_then(|theirs| Fields::of(theirs).ok());
    if same.is_some_and(|same| same.is_like(&check)) {
        return;
    }
    let test = check.texts("Test");
    if test == ["NONE"] {
        table.insert("healthcheck".into(), json!({"disable": true}));
        return;
    }
    let mut read = Table::new();
    put(&mut read, "test", test);
    let durations = [
        ("Interval", "interval"),
        ("Timeout", "timeout"),
        ("StartPeriod", "start_period"),
        ("StartInterval", "start_interval"),
    ];
    for (theirs, ours) in durations {
        put(&mut read, ours, duration(check.number(theirs)));
    }
    put(&mut read, "retries", check.number("Retries"));
    put(table, "healthcheck", read);
}

/// Nanoseconds as compose writes them, in the largest unit that leaves no rest.
fn duration(nanoseconds: i64) -> String {
    let units =
        [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000)];
    if nanoseconds == 0 {
        return String::new();
    }
    let exact = units.into_iter().find(|(_, size)| nanoseconds % size == 0);
    let (unit, size) = exact.unwrap_or(("ns", 1));
    format!("{}{unit}", nanoseconds / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn commands(entrypoint: &[&str], cmd: &[&str], image: (&[&str], &[&str])) -> Value {
        let image = ImageConfig { entrypoint: Some(list(image.0)), cmd: Some(list(image.1)), ..ImageConfig::default() };
        let mut table = Table::new();
        command(list(entrypoint), list(cmd), &image, &mut table);
        Value::Object(table)
    }

    #[test]
    fn command_and_entry_point_of_the_image_are_left_to_it() {
        assert_eq!(commands(&["e"], &["c"], (&["e"], &["c"])), json!({}));
        assert_eq!(commands(&["e"], &["d"], (&["e"], &["c"])), json!({"command": ["d"]}));
    }

    #[test]
    fn an_entry_point_of_its_own_takes_the_command_of_the_image_away() {
        assert_eq!(commands(&["f"], &["c"], (&["e"], &["c"])), json!({"entrypoint": ["f"], "command": ["c"]}));
        assert_eq!(commands(&["f"], &[], (&["e"], &["c"])), json!({"entrypoint": ["f"]}));
        assert_eq!(commands(&["e"], &[], (&["e"], &["c"])), json!({"entrypoint": ["e"]}));
    }

    #[test]
    fn an_entry_point_that_was_cleared_is_an_empty_list() {
        assert_eq!(commands(&[], &["c"], (&["e"], &["c"])), json!({"entrypoint": []}));
        assert_eq!(commands(&[], &["d"], (&["e"], &["c"])), json!({"entrypoint": [], "command": ["d"]}));
    }

    #[test]
    fn variables_of_the_image_are_left_to_it_unless_their_value_is_another() {
        let own = environment(&list(&["PATH=/bin", "LANG=C", "A=x=y", "B=", "C"]), &list(&["PATH=/bin", "LANG=de"]));
        assert_eq!(Value::Object(own), json!({"A": "x=y", "B": "", "C": null, "LANG": "C"}));
    }

    #[test]
    fn durations_are_exact() {
        let written: Vec<_> = [0, 1, 1_500_000_000, 90_000_000_000, 7_200_000_000_000].map(duration).into();
        assert_eq!(written, ["", "1ns", "1500ms", "90s", "2h"]);
    }
}
