//! What a broken file still tells: the state directory, so that the way home does not depend on today's edits.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::Environment;

/// The state directory of a file that is not valid: from the environment, from what can be read of the file, or the
/// default where it holds runs. Nothing when none of them tells.
pub fn state_directory_of_broken(path: &Path, environment: &Environment) -> Option<PathBuf> {
    if let Some(directory) = environment.get("CUTOVER_STATE_DIRECTORY") {
        return Some(directory.into());
    }
    let beside = std::path::absolute(path).ok()?;
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let (document, _) = DeTable::parse_recoverable(&text);
    let state = document.get_ref().get("state").and_then(|table| table.get_ref().as_table()?.get("directory"));
    if let Some(directory) = state.and_then(|value| value.get_ref().as_str()) {
        return Some(beside.parent()?.join(directory));
    }
    let usual = PathBuf::from("/var/lib/cutover");
    usual.join("runs").is_dir().then_some(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_mistake_elsewhere_still_tells_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cutover.toml");
        std::fs::write(&path, "[state]\ndirectory = \"here\"\n[deploy]\nstrategy = = 3\n").unwrap();
        let found = state_directory_of_broken(&path, &Environment::from_pairs([]));
        assert_eq!(found, Some(directory.path().join("here")));
    }
}
