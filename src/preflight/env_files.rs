//! Env files: each exists, can be read, and is closed to the world when it holds a secret. Tells names, never values.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Ask;
use super::finding::{Found, Parts};
use crate::release::model::sounds_secret;

/// The largest env file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let config = ask.config();
    let required = config.secrets.variables.clone();
    let mut parts = Parts::default();
    for path in &config.compose.env_files {
        let (file, required) = (path.clone(), required.clone());
        match ask.files(path.display().to_string(), move || judge(&file, &required)).await {
            Ok(found) | Err(found) => parts.push(found),
        }
    }
    parts.found("no compose.env_files are named")
}

fn judge(path: &Path, required: &[String]) -> Found {
    let shown = path.display();
    let pairs = match read(path) {
        Ok(pairs) => pairs,
        Err(why) => return Found::fail(format!("{shown} {why}"), "make it, or correct compose.env_files"),
    };
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.mode() & 0o7777);
    let is_secret = |name: &str| sounds_secret(name) || required.iter().any(|one| one == name);
    let secret: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).filter(|name| is_secret(name)).collect();
    if mode & 0o007 != 0 && !secret.is_empty() {
        let words = format!("{shown} shows {} to every user of the host (mode {mode:04o})", secret.join(", "));
        return Found::fail(words, format!("chmod 600 {shown}"));
    }
    let plural = if pairs.len() == 1 { "" } else { "s" };
    Found::ok(format!("{shown} sets {} variable{plural}", pairs.len()))
}

/// The variables that env files set; of a name that is set twice the last one counts. Files that cannot be read are left out.
pub(crate) fn read_all(paths: &[PathBuf]) -> Vec<(String, String)> {
    paths.iter().filter_map(|path| read(path).ok()).flatten().collect()
}

fn read(path: &Path) -> Result<Vec<(String, String)>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be looked at: {error}"),
    })?;
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    if metadata.len() > LARGEST {
        return Err("is larger than 1 MiB, so it is hardly an env file".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(parse(&text))
}

/// `NAME=value` lines, with `export`, quotes and comments as compose takes them.
fn parse(text: &str) -> Vec<(String, String)> {
    let pair = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        Some((name.trim().to_owned(), unquote(value.trim()).to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            return rest.split_once(quote).map_or(rest, |(inner, _)| inner);
        }
    }
    if value.starts_with('#') { "" } else { value.split_once(" #").map_or(value, |(plain, _)| plain.trim_end()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn lines_are_read_as_compose_reads_them() {
        let text = "# A=1\nexport B = 2 # two\nC=\"a # b\"\nD='x'\nE=#none\n\nF=a=b\n";
        let pairs = parse(text);
        let of = |name: &str| pairs.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
        assert_eq!((of("A"), of("B"), of("C"), of("D")), (None, Some("2"), Some("a # b"), Some("x")));
        assert_eq!((of("E"), of("F")), (Some(""), Some("a=b")));
    }

    #[test]
    fn a_world_readable_file_fails_only_when_it_names_a_secret_and_its_value_is_not_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("production.env");
        let judged = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            judge(&path, &["PLAIN".to_owned()])
        };
        let found = judged("API_KEY=hunter2\n", 0o644);
        assert_eq!(found.verdict, Verdict::Fail);
        assert!(found.seen.contains("API_KEY") && !found.seen.contains("hunter2"), "{}", found.seen);
        assert_eq!(judged("PLAIN=hunter2\n", 0o604).verdict, Verdict::Fail);
        assert_eq!(judged("API_KEY=hunter2\n", 0o640).verdict, Verdict::Ok);
        assert_eq!(judged("TAG=1\n", 0o644).verdict, Verdict::Ok);
        assert!(judge(&directory.path().join("none"), &[]).seen.ends_with("does not exist"));
    }
}
