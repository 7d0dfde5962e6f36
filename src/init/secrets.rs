//! What must be there and must not be seen: the files of compose secrets, and the variables that the model needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::draft::{Section, list, text};
use super::health::image_name;
use super::look::Seen;
use super::variables::Need;
use crate::preflight::env_files::read_all;
use crate::release::model;

/// Images whose first start wants a password.
const SERVERS: [&str; 5] = ["postgres", "postgis", "timescaledb", "timescaledb-ha", "pgvector"];

/// `[secrets]`, where the project has any; and what is to be remarked.
pub fn section(seen: &Seen) -> (Option<Section>, Vec<String>) {
    let (files, mut remarks) = files(seen);
    let (variables, why) = variables(seen);
    let mut section = Section::new("[secrets]");
    if let Some((directory, names, open)) = files {
        section = section
            .sure(
                "directory",
                text(&shown(&seen.directory, &directory)),
                "the files of the compose secrets stand there",
            )
            .sure(
                "required",
                list(&names),
                "the compose secrets that are files; none may be missing, empty or open to others",
            );
        for (name, fault) in open {
            let words = format!("{name} belongs here too, but it is not closed yet: it {fault}. After that, add it.");
            remarks.push(format!("the secret file {name} {fault}"));
            section.words.push(words);
        }
    }
    if !variables.is_empty() {
        section = section.sure("variables", list(&variables), why);
    }
    (Some(section).filter(|section| !section.guesses.is_empty()), remarks)
}

type Files = (PathBuf, Vec<String>, Vec<(String, String)>);

/// The directory that holds the secret files, those that may be named, and those that are open to others.
fn files(seen: &Seen) -> (Option<Files>, Vec<String>) {
    let paths = model::secret_files(&seen.model);
    let directories: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
    let mut remarks = Vec::new();
    // One directory can be named: the one that holds the most.
    let held = |directory: &Path| paths.iter().filter(|path| path.parent() == Some(directory)).count();
    let Some(directory) = directories.iter().copied().max_by_key(|directory| held(directory)) else {
        return (None, remarks);
    };
    let (mut names, mut open) = (Vec::new(), Vec::new());
    for path in &paths {
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if path.parent() != Some(directory) {
            remarks.push(format!("the secret file {} stands elsewhere and is not checked", path.display()));
            continue;
        }
        let fault = std::fs::metadata(path).ok().and_then(|metadata| crate::secret::judge(&metadata).err());
        match fault {
            None => names.push(name),
            Some(fault) => {
                // The fault ends with what to do about "it".
                let fault = fault.to_string().replace(" it", &format!(" {}", shown(&seen.directory, path)));
                open.push((name, fault));
            }
        }
    }
    (Some((directory.to_owned(), names, open)), remarks)
}

/// The variables that compose needs a value for.
fn variables(seen: &Seen) -> (Vec<String>, String) {
    let mut names = Vec::new();
    let (mut required, mut blank, mut outside) = (0, 0, 0);
    for (name, need) in &seen.variables {
        let is_ours = seen.environment.contains(name);
        let counter = match need {
            Need::Required => &mut required,
            // Without a value compose goes on with an empty text: a secret must not be lost like that. What is plain is
            // told by compose's own warning.
            Need::Plain if model::sounds_secret(name) => &mut blank,
            _ if is_ours && !seen.handed_over.contains(name) => &mut outside,
            _ => continue,
        };
        *counter += 1;
        names.push(name.clone());
    }
    let mut why = Vec::new();
    if required > 0 {
        why.push("compose refuses to go on without a value (${X:?})");
    }
    if blank > 0 {
        why.push("compose would go on with an empty text (${X})");
    }
    if outside > 0 {
        why.push("set in this shell's environment, which reaches compose for the variables named here only");
    }
    (names, format!("named in the compose files: {}", why.join("; ")))
}

/// Env files that show secrets to every user of the host: those of compose, for which a deploy would be refused, and those
/// that are handed to services.
pub fn open_env_files(
    directory: &Path,
    names: &[String],
    written: &Value,
    variables: &BTreeMap<String, Need>,
) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let of_services = model::services(written).into_iter().flat_map(|service| {
        let files = model::service(written, &service).and_then(|own| own.get("env_file")).cloned().unwrap_or_default();
        let all = if let Value::Array(all) = files { all } else { vec![files] };
        let path = |one: &Value| Some(one.get("path").unwrap_or(one).as_str()?.to_owned());
        let found: Vec<String> = all.iter().filter_map(path).collect();
        found
    });
    let paths: BTreeSet<PathBuf> = names.iter().cloned().chain(of_services).map(|name| directory.join(name)).collect();
    let is_open = |path: &&PathBuf| {
        let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.mode());
        let required = |one: &str| variables.get(one) == Some(&Need::Required);
        let pairs = read_all(&[(*path).clone()]);
        mode & 0o007 != 0 && pairs.iter().any(|(one, _)| model::sounds_secret(one) || required(one))
    };
    let words = |path: &PathBuf| {
        let name = shown(directory, path);
        format!("{name} shows secrets to every user of the host: chmod 600 {name}")
    };
    paths.iter().filter(is_open).map(words).collect()
}

/// PostgreSQL servers that have no password, or want none.
pub fn open_databases(model: &Value, project: &str) -> Vec<String> {
    let is_server = |service: &String| {
        SERVERS.contains(&image_name(model, project, service).as_str()) && !runs_something_else(model, service)
    };
    let words = |service: String| {
        let environment = model::environment(model, &service);
        let has = |name: &str| environment.get(name).is_some_and(|value| !value.is_empty());
        if environment.get("POSTGRES_HOST_AUTH_METHOD").is_some_and(|method| method == "trust") {
            return Some(format!(
                "{service} lets in everybody who reaches it, without a password (POSTGRES_HOST_AUTH_METHOD=trust): take that out, \
                 and give it POSTGRES_PASSWORD_FILE"
            ));
        }
        let is_known = has("POSTGRES_PASSWORD") || has("POSTGRES_PASSWORD_FILE");
        (!is_known).then(|| {
            format!(
                "{service} is PostgreSQL without a password, and its image does not start on an empty volume like that: write one \
                 into a file (chmod 600), name the file under `secrets:` of the compose file and of {service}, and set \
                 POSTGRES_PASSWORD_FILE: /run/secrets/NAME there"
            )
        })
    };
    model::services(model).into_iter().filter(is_server).filter_map(words).collect()
}

/// Whether a service uses a server's image for one of its other programs, such as `psql` for a migration.
fn runs_something_else(model: &Value, service: &str) -> bool {
    let first = |key: &str| {
        let words = model.get("services")?.get(service)?.get(key)?;
        words.get(0).unwrap_or(words).as_str().map(str::to_owned)
    };
    let is_own =
        |word: String| word.starts_with('-') || word.ends_with("postgres") || word.ends_with("docker-entrypoint.sh");
    [first("entrypoint"), first("command")].into_iter().flatten().next().is_some_and(|word| !is_own(word))
}

/// A path as the configuration has it: relative where it stands inside the directory.
pub fn shown(directory: &Path, path: &Path) -> String {
    let short = path.strip_prefix(directory).unwrap_or(path);
    if short.as_os_str().is_empty() { ".".into() } else { short.display().to_string() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_without_a_password_or_that_wants_none_is_named_with_what_to_do() {
        let server = |environment: Value| json!({ "services": { "db": { "image": "postgres:16", "environment": environment } } });
        let told = |environment: Value| open_databases(&server(environment), "shop").join("; ");
        for environment in [json!({}), json!({ "POSTGRES_PASSWORD": "" })] {
            let words = told(environment);
            assert!(
                words.contains("db is PostgreSQL without a password") && words.contains("POSTGRES_PASSWORD_FILE"),
                "{words}"
            );
        }
        for (key, words) in [("entrypoint", json!(["psql"])), ("command", json!(["psql", "-c", "SELECT 1"]))] {
            let model = json!({ "services": { "once": { "image": "postgres:16", key: words } } });
            assert_eq!(open_databases(&model, "shop"), Vec::<String>::new(), "a client of the server is no server");
        }
        let model =
            json!({ "services": { "db": { "image": "postgres:16", "command": ["postgres", "-c", "fsync=on"] } } });
        assert_eq!(open_databases(&model, "shop").len(), 1);
        assert!(told(json!({ "POSTGRES_HOST_AUTH_METHOD": "trust" })).contains("lets in everybody who reaches it"));
        for name in ["POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE"] {
            assert_eq!(told(json!({ name: "x" })), "");
        }
    }

    #[test]
    fn env_files_of_compose_and_of_services_that_others_may_read_are_named_where_they_hold_a_secret() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text, mode) in [
            (".env", "PORT=1\n", 0o644),
            ("open.env", "API_TOKEN=x\n", 0o644),
            ("long.env", "API_TOKEN=x\n", 0o604),
            ("closed.env", "API_TOKEN=x\n", 0o600),
        ] {
            std::fs::write(directory.path().join(name), text).unwrap();
            std::fs::set_permissions(directory.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let written = json!({ "services": {
            "a": { "env_file": ["open.env", "closed.env", "gone.env"] },
            "b": { "env_file": [{ "path": "long.env", "required": false }] },
            "c": { "env_file": "open.env" },
        }});
        let told = open_env_files(directory.path(), &[".env".into()], &written, &BTreeMap::new());
        let words = |name: &str| format!("{name} shows secrets to every user of the host: chmod 600 {name}");
        assert_eq!(told, [words("long.env"), words("open.env")]);
    }
}
