//! What a command can leave behind: files of the project and events of the engine. Law: looking leaves no trace itself.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::support::project::docker;

/// Everything below a directory: mode, size, time of the last change, digest of the content.
pub type Tree = BTreeMap<PathBuf, String>;

/// Looks at everything below a directory.
pub fn tree(directory: &Path) -> Tree {
    let mut tree = Tree::new();
    walk(directory, &mut tree);
    tree
}

fn walk(path: &Path, tree: &mut Tree) {
    let meta = std::fs::symlink_metadata(path).unwrap();
    let (mode, size) = (meta.permissions().mode(), meta.len());
    let content =
        if meta.is_file() { format!("{:x?}", Sha256::digest(std::fs::read(path).unwrap())) } else { String::new() };
    let changed = format!("{}.{:09}", meta.mtime(), meta.mtime_nsec());
    tree.insert(path.to_owned(), format!("mode {mode:o}, {size} bytes, changed {changed}, {content}"));
    if meta.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| walk(&entry.unwrap().path(), tree));
    }
}

/// What is in one tree and not in the other, or differs.
pub fn differences(before: &Tree, after: &Tree) -> Vec<String> {
    let gone = before
        .iter()
        .filter(|(path, _)| !after.contains_key(*path))
        .map(|(path, _)| format!("gone: {}", path.display()));
    let others = after.iter().filter(|(path, what)| before.get(*path) != Some(what));
    let others = others.map(|(path, what)| {
        format!("{}: {} -> {what}", path.display(), before.get(path).map_or("nothing", String::as_str))
    });
    gone.chain(others).collect()
}

/// A moment in the engine's stream of events.
pub fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}

/// What happened between two moments to anything that bears the project's name; the engine's own health checks do not
/// count.
pub fn events(project: &str, since: &str, until: &str) -> Vec<String> {
    let stream = docker(&["events", "--since", since, "--until", until, "--format", "{{json .}}"]);
    let own = stream.lines().filter(|line| line.contains(project));
    let action =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["Action"].as_str().unwrap().to_owned();
    own.filter(|line| !["exec_", "health_status"].iter().any(|check| action(line).starts_with(check)))
        .map(str::to_owned)
        .collect()
}
