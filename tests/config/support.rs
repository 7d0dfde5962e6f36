//! The valid file of the configuration tests, and a way to load any text as a file.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cutover::config::{self, Environment, Problems};

/// Every table and nearly every key.
pub const FULL: &str = include_str!("full.toml");

/// Writes the text to a file of mode 0600 in a directory of its own and loads it, with an empty environment.
pub fn load(text: &[u8]) -> (tempfile::TempDir, PathBuf, Result<config::Config, Problems>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cutover.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let result = config::load_with(&path, &Environment::default(), &[]);
    (directory, path, result)
}
