//! Removing what must not stay: password hashes always, on request everything of ours in the directory, and nothing else.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::users::{IDENTITIES_FILE, MAPPING_FILE, SECRETS_FILE, UNDONE_FILE, USERS_FILE};
use super::{export, ledger};
use crate::adapter::{clock, files};
use crate::data::mapping::MappingFile;
use crate::data::metadata::{self, Metadata};

/// The report of a comparison.
const REPORT_FILE: &str = "verification-report.json";

/// What was removed, and what stays although everything was to go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// Names of the files that are gone.
    pub removed: Vec<String>,
    /// Names of the files that stay, each with the reason.
    pub kept: Vec<(String, String)>,
    /// Whether the directory itself is gone, because nothing was left in it.
    pub is_directory_removed: bool,
    /// Whether this is only what would be removed.
    #[serde(skip)]
    pub is_only_looked_at: bool,
}

/// Removes the password hashes and what a killed export left half written; with `is_all` also the exported tables, users
/// and reports. Only names that cutover wrote down are removed. The mapping of user ids stays until its `retainUntil`.
/// After SIGKILL a second call goes on: `metadata.json`, which names the files, goes last.
///
/// # Errors
/// When a file cannot be read or removed; what was removed before is gone.
pub fn purge(directory: &Path, is_all: bool) -> Result<Purged> {
    sweep(directory, is_all, false)
}

/// What [`purge`] would remove; nothing is changed.
///
/// # Errors
/// When a file cannot be read.
pub fn would_purge(directory: &Path, is_all: bool) -> Result<Purged> {
    sweep(directory, is_all, true)
}

fn sweep(directory: &Path, is_all: bool, is_only_looked_at: bool) -> Result<Purged> {
    let mut purged = Purged { is_only_looked_at, ..Purged::default() };
    if !directory.is_dir() {
        return Ok(purged);
    }
    remove(directory, SECRETS_FILE, &mut purged)?;
    // A half-written file of passwords is one, too.
    remove(directory, &format!(".new-{SECRETS_FILE}"), &mut purged)?;
    if is_all {
        for name in export::files_there(directory)? {
            remove(directory, &name, &mut purged)?;
            remove(directory, &format!(".new-{name}"), &mut purged)?;
        }
        for name in [USERS_FILE, IDENTITIES_FILE] {
            remove(directory, name, &mut purged)?;
            remove(directory, &format!(".new-{name}"), &mut purged)?;
        }
        remove(directory, REPORT_FILE, &mut purged)?;
        mapping(directory, &mut purged)?;
        if is_ours(directory)? {
            remove(directory, metadata::FILE, &mut purged)?;
        }
        remove(directory, export::UNFINISHED_FILE, &mut purged)?;
        others(directory, &mut purged)?;
    }
    if !purged.is_directory_removed && !is_only_looked_at {
        files::sync_directory(directory).with_context(|| format!("cannot sync {}", directory.display()))?;
    }
    Ok(purged)
}

fn remove(directory: &Path, name: &str, purged: &mut Purged) -> Result<()> {
    let path = directory.join(name);
    if std::fs::symlink_metadata(&path).is_ok() {
        if purged.is_only_looked_at {
            purged.removed.push(name.to_owned());
            return Ok(());
        }
        files::remove_if_there(&path)?;
        if std::fs::symlink_metadata(&path).is_ok() {
            bail!("{} was removed and is there again; somebody writes it", path.display());
        }
        purged.removed.push(name.to_owned());
    }
    Ok(())
}

fn is_ours(directory: &Path) -> Result<bool> {
    let path = directory.join(metadata::FILE);
    Ok(path.exists() && files::read_json::<Metadata>(&path)?.is_ours())
}

/// The mapping is what support answers questions with: it stays as long as it promises, and the ledger with it.
fn mapping(directory: &Path, purged: &mut Purged) -> Result<()> {
    let read = |text: &str| text.parse::<jiff::Timestamp>();
    let now = read(&clock::now()).context("the clock's time cannot be read")?;
    let mut is_kept = false;
    for name in [MAPPING_FILE, UNDONE_FILE] {
        let path = directory.join(name);
        if !path.exists() {
            continue;
        }
        let mapping: MappingFile = files::read_json(&path)?;
        let until = read(&mapping.retain_until)
            .with_context(|| format!("{}: retainUntil {:?} is no time", path.display(), mapping.retain_until))?;
        if now < until {
            purged.kept.push((name.into(), format!("it must be kept until {}", mapping.retain_until)));
            is_kept = true;
        } else {
            remove(directory, name, purged)?;
        }
    }
    if !is_kept {
        remove(directory, ledger::FILE, purged)?;
    } else if directory.join(ledger::FILE).exists() {
        purged.kept.push((ledger::FILE.into(), "it belongs to the mapping".into()));
    }
    Ok(())
}

/// Names what is left, and removes the directory where nothing is.
fn others(directory: &Path, purged: &mut Purged) -> Result<()> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        left.push(entry?.file_name().to_string_lossy().into_owned());
    }
    left.retain(|name| !purged.removed.contains(name));
    left.retain(|name| !purged.kept.iter().any(|(kept, _)| kept == name));
    left.sort();
    if left.is_empty() && purged.kept.is_empty() {
        if !purged.is_only_looked_at {
            std::fs::remove_dir(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        purged.is_directory_removed = true;
    }
    let why = "it is not of an export of cutover";
    purged.kept.extend(left.into_iter().map(|name| (name, why.to_owned())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    const METADATA: &str = r#"{"schema":"cutover/v1","tables":{"a":{"file":"a.json"},"b":{"file":"../b.json"}}}"#;

    #[test]
    fn passwords_go_always_and_nothing_else() {
        let directory = directory(&[(SECRETS_FILE, "[]"), ("a.json", "[]"), (metadata::FILE, METADATA)]);
        let purged = purge(directory.path(), false).unwrap();
        assert_eq!(purged.removed, [SECRETS_FILE]);
        assert!(directory.path().join("a.json").exists() && directory.path().join(metadata::FILE).exists());
        assert_eq!(purge(directory.path(), false).unwrap(), Purged::default());
    }

    #[test]
    fn everything_of_ours_goes_and_what_is_not_ours_stays() {
        let outer = directory(&[("b.json", "outside")]);
        let inner = outer.path().join("migration-data");
        std::fs::create_dir(&inner).unwrap();
        for (name, text) in [("a.json", "[]"), (metadata::FILE, METADATA), ("mine.txt", "x"), (".new-a.json", "[")] {
            std::fs::write(inner.join(name), text).unwrap();
        }
        let looked_at = would_purge(&inner, true).unwrap();
        assert!(inner.join("a.json").exists(), "a look removes nothing");
        let purged = purge(&inner, true).unwrap();
        assert_eq!((&looked_at.removed, &looked_at.kept), (&purged.removed, &purged.kept));
        assert_eq!(purged.removed, ["a.json", ".new-a.json", metadata::FILE]);
        assert_eq!(purged.kept[0].0, "mine.txt");
        assert!(outer.path().join("b.json").exists(), "a name never leads out of the directory");
        std::fs::remove_file(inner.join("mine.txt")).unwrap();
        assert!(would_purge(&inner, true).unwrap().is_directory_removed && inner.exists());
        assert!(purge(&inner, true).unwrap().is_directory_removed && !inner.exists());
        assert_eq!(purge(&inner, true).unwrap(), Purged::default());
    }

    #[test]
    fn the_mapping_stays_as_long_as_it_must() {
        let mapping =
            |until: &str| format!(r#"{{"generatedAt":"2026-01-01T00:00:00Z","retainUntil":"{until}","mappings":[]}}"#);
        let directory = directory(&[(MAPPING_FILE, &mapping("2999-01-01T00:00:00Z"))]);
        let purged = purge(directory.path(), true).unwrap();
        assert_eq!(purged.kept, [(MAPPING_FILE.to_owned(), "it must be kept until 2999-01-01T00:00:00Z".to_owned())]);
        // The ledger tells whose account is whose: it goes with the last mapping, and not before.
        std::fs::write(directory.path().join(ledger::FILE), "{}\n").unwrap();
        std::fs::write(directory.path().join(UNDONE_FILE), mapping("2999-01-01T00:00:00Z")).unwrap();
        std::fs::write(directory.path().join(MAPPING_FILE), mapping("2001-01-01T00:00:00Z")).unwrap();
        let purged = purge(directory.path(), true).unwrap();
        assert_eq!(purged.removed, [MAPPING_FILE]);
        let kept: Vec<&str> = purged.kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(kept, [UNDONE_FILE, ledger::FILE]);
        std::fs::write(directory.path().join(UNDONE_FILE), mapping("2001-01-01T00:00:00Z")).unwrap();
        assert_eq!(purge(directory.path(), true).unwrap().removed, [UNDONE_FILE, ledger::FILE]);
    }
}
