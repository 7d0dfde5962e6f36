//! Starting programs and reading files for these tests. Law: a failure shows what was started and what it said.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository, as text.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// The files of a directory of the repository that end in `suffix`.
pub fn files(directory: &str, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root().join(directory))
        .unwrap_or_else(|why| panic!("{directory}: {why}"))
        .map(|entry| entry.expect("directory entry").path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    found.sort();
    found
}

/// Runs a command to its end and gives its output, whatever its exit code.
pub fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|why| panic!("cannot start {command:?}: {why}"))
}

/// Runs a command that has to succeed, and gives what it printed.
pub fn stdout(command: &mut Command) -> String {
    let ran = output(command);
    assert!(
        ran.status.success(),
        "{command:?} ended with {}:\n{}{}",
        ran.status,
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8(ran.stdout).expect("UTF-8")
}

/// Fails with the way out, unless `docker compose` is there. The plugin needs no engine to render a model.
pub fn want_compose() {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    let answer = ANSWER.get_or_init(|| match Command::new("docker").args(["compose", "version", "--short"]).output() {
        Ok(ran) if ran.status.success() => Ok(()),
        Ok(ran) => Err(String::from_utf8_lossy(&ran.stderr).trim().to_owned()),
        Err(why) => Err(why.to_string()),
    });
    if let Err(why) = answer {
        panic!("docker compose does not answer ({why}); run `scripts/lab engine`");
    }
}

/// Fails with the way out, unless the engine runs and has this image.
pub fn want_image(image: &str) {
    want_compose();
    let asked = output(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]));
    assert!(
        asked.status.success(),
        "the Docker engine does not answer ({}); run `scripts/lab engine`",
        String::from_utf8_lossy(&asked.stderr).trim()
    );
    let found = output(Command::new("docker").args(["image", "inspect", "--format", "{{.Id}}", image]));
    assert!(
        found.status.success(),
        "the image {image} is missing; run `scripts/lab images` (after `scripts/lab engine`)"
    );
}

/// The production model as compose renders it from the example's answers.
pub fn production() -> Value {
    want_compose();
    let rendered = stdout(Command::new("docker").current_dir(root()).args([
        "compose",
        "--env-file",
        "compose/.env.example",
        "-f",
        "compose/compose.yaml",
        "-f",
        "compose/compose.production.yaml",
        "config",
        "--format",
        "json",
    ]));
    serde_json::from_str(&rendered).expect("compose prints JSON")
}

/// The services of a rendered model, by name.
pub fn services(model: &Value) -> Vec<(&str, &Value)> {
    let services = model["services"].as_object().expect("services");
    services.iter().map(|(name, service)| (name.as_str(), service)).collect()
}

/// The strings in a JSON list; nothing for a missing one.
pub fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
