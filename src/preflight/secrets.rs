//! Secrets: every file exists, is closed to others, holds something that is no placeholder. The content is never told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::finding::{Found, Parts};
use super::{Ask, env_files, value};
use crate::config::{Config, Environment};
use crate::secret::{Fault, MAX_BYTES, Secret, judge as judge_metadata};

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let config = ask.config();
    let mut parts = Parts::default();
    let mut files: BTreeMap<PathBuf, String> = required(config);
    match ask.model().await {
        Ok(model) => {
            let (of_model, variables) = declared(&model.value);
            files.extend(of_model);
            if !variables.is_empty() {
                let env_files = config.compose.env_files.clone();
                match ask.files("the env files", move || env_files::read_all(&env_files)).await {
                    Ok(pairs) => judge_variables(&mut parts, ask.asked.environment, &variables, &pairs),
                    Err(found) => parts.push(found),
                }
            }
        }
        Err(unread) => parts.push(unread.found("which secrets the compose model names")),
    }
    let placeholders = config.secrets.placeholders.clone();
    let looked = ask.files("the secret files", move || {
        let judged = files.into_iter().map(|(path, name)| judge(&path, &name, &placeholders));
        judged.collect::<Vec<Found>>()
    });
    match looked.await {
        Ok(all) if all.is_empty() => {}
        Ok(all) if all.iter().all(|found| found.advice.is_none()) => {
            parts.good(match all.len() {
                1 => "1 secret file is in order".to_owned(),
                several => format!("{several} secret files are in order"),
            });
        }
        Ok(all) => all.into_iter().for_each(|found| parts.push(found)),
        Err(found) => parts.push(found),
    }
    parts.found("no secret files are named")
}

/// `[secrets].required`, by path.
fn required(config: &Config) -> BTreeMap<PathBuf, String> {
    let directory = config.secrets.directory.iter();
    let files = directory.flat_map(|directory| config.secrets.required.iter().map(|name| (directory.join(name), name)));
    files.map(|(path, name)| (path, name.clone())).collect()
}

/// Secrets of the model: the files by path, and the variables that others come from.
fn declared(model: &Value) -> (BTreeMap<PathBuf, String>, Vec<String>) {
    let mut files = BTreeMap::new();
    let mut variables = Vec::new();
    for (name, secret) in model.get("secrets").and_then(Value::as_object).into_iter().flatten() {
        let text = |key: &str| secret.get(key).and_then(Value::as_str);
        if let Some(path) = text("file") {
            files.insert(PathBuf::from(path), name.clone());
        } else if let Some(variable) = text("environment") {
            variables.push(variable.to_owned());
        }
    }
    (files, variables)
}

fn judge_variables(parts: &mut Parts, environment: &Environment, names: &[String], pairs: &[(String, String)]) {
    for name in names {
        let is_set =
            environment.get(name).is_some() || pairs.iter().any(|(one, value)| one == name && !value.is_empty());
        if !is_set {
            parts.fail(
                format!("the variable {name}, which a secret comes from, is not set"),
                "set it in the environment",
            );
        }
    }
}

/// One file. A container may run as another user, so a file may belong to that user: then its owner alone may read it.
fn judge(path: &Path, name: &str, placeholders: &[String]) -> Found {
    let shown = path.display();
    let replace = format!("put the secret {name} into {shown}");
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Found::fail(format!("{shown} does not exist"), format!("{replace}, mode 0600"));
        }
        Err(error) => {
            return Found::fail(format!("{shown} cannot be looked at: {error}"), "look at its directory's rights");
        }
    };
    let taken = match judge_metadata(&metadata) {
        Ok(()) => Secret::read_file(path).map_err(|error| error.fault),
        Err(Fault::ForeignOwner(_)) if metadata.len() > MAX_BYTES => Err(Fault::TooLarge),
        Err(Fault::ForeignOwner(_)) => read_foreign(path),
        Err(fault) => Err(fault),
    };
    match taken {
        Ok(secret) => match value::judge(secret.expose(), placeholders) {
            Ok(()) => Found::ok(format!("{shown} is in order")),
            Err(fault) => Found::fail(format!("{shown} {}", fault.words()), replace),
        },
        // A key in binary is a secret as well.
        Err(Fault::NotUtf8) => Found::ok(format!("{shown} is in order")),
        Err(Fault::Empty) => Found::fail(format!("{shown} is empty"), replace),
        Err(Fault::OpenToOthers(mode)) => {
            Found::fail(format!("{shown} is open to others (mode {mode:04o})"), format!("chmod 600 {shown}"))
        }
        Err(fault @ Fault::TooLarge) => Found::warn(format!("{shown} {fault}"), replace),
        Err(fault) => Found::fail(format!("{shown} {fault}"), "look at the file, its owner and its mode"),
    }
}

fn read_foreign(path: &Path) -> Result<Secret, Fault> {
    let bytes = std::fs::read(path).map_err(|error| Fault::Unreadable(error.to_string()))?;
    String::from_utf8(bytes).map(Secret::new).map_err(|_| Fault::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;
    use std::os::unix::fs::PermissionsExt;

    fn judged(content: &[u8], mode: u32) -> Found {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token.txt");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        judge(&path, "token", &["changeme".to_owned()])
    }

    #[test]
    fn missing_empty_open_and_placeholder_files_fail_each_in_its_own_words() {
        let words = |content: &[u8], mode| {
            let found = judged(content, mode);
            assert_eq!(found.verdict, Verdict::Fail, "{}", found.seen);
            found.seen.split("token.txt ").nth(1).unwrap_or_default().to_owned()
        };
        assert_eq!(words(b"", 0o600), "is empty");
        assert_eq!(words(b" \n", 0o600), "is empty");
        assert_eq!(words(b"ChangeMe\n", 0o600), "holds a placeholder");
        assert_eq!(words(b"hunter2", 0o640), "is open to others (mode 0640)");
        assert!(judge(Path::new("/nowhere/token"), "token", &[]).seen.ends_with("does not exist"));
        assert_eq!(judged(b"hunter2", 0o600).verdict, Verdict::Ok);
        assert_eq!(judged(&[0xff, 0xfe], 0o400).verdict, Verdict::Ok);
    }
}
