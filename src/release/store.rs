//! Where releases stand: `releases/r12/` with `release.json`, `model.json`, `pinned.json` and `files/`, and `releases/current`.
//!
//! A release's directory is made beside its place and renamed there whole, so a half-made one is never seen.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::record::Release;
use crate::adapter::files;

/// Head of the name of a release that is being made.
const MAKING: &str = ".making-";
/// Head of the name of a release that is being let go.
const GONE: &str = ".gone-";

/// The store of a state directory.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// The store under `state`; nothing is touched yet.
    pub fn new(state: &Path) -> Self {
        Self { directory: state.join("releases") }
    }

    /// Directory of a release.
    pub fn place(&self, number: u32) -> PathBuf {
        self.directory.join(format!("r{number}"))
    }

    /// The model of a release with its images pinned and its files frozen.
    pub fn model_path(&self, number: u32) -> PathBuf {
        self.place(number).join("pinned.json")
    }

    /// The model of a release as it was deployed.
    pub fn deployed_model_path(&self, number: u32) -> PathBuf {
        self.place(number).join("model.json")
    }

    /// Reads the pinned model.
    ///
    /// # Errors
    /// When the release is not there or its file was changed.
    pub fn model(&self, number: u32) -> Result<Value> {
        files::read_json(&self.model_path(number))
    }

    /// Reads a release, or nothing when there is none of that number.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self, number: u32) -> Result<Option<Release>> {
        let path = self.place(number).join("release.json");
        if path.exists() { files::read_json(&path).map(Some) } else { Ok(None) }
    }

    /// Numbers of all releases, oldest first.
    ///
    /// # Errors
    /// When the directory is there and cannot be read.
    pub fn numbers(&self) -> Result<Vec<u32>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.directory.display())),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.with_context(|| format!("cannot read {}", self.directory.display()))?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix('r'));
            numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The number that the next release gets: one more than any that is or was.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn next_number(&self) -> Result<u32> {
        let highest = self.numbers()?.last().copied().unwrap_or(0);
        Ok(highest.max(self.last_given()?) + 1)
    }

    /// The highest number ever given, so that a number is never used twice after old releases were let go.
    fn last_given(&self) -> Result<u32> {
        let path = self.directory.join("last-number");
        if path.exists() { files::read_json(&path) } else { Ok(0) }
    }

    /// The release that serves, as far as is written down.
    ///
    /// # Errors
    /// When the pointer is there and cannot be read.
    pub fn current(&self) -> Result<Option<u32>> {
        let path = self.directory.join("current");
        if path.exists() { files::read_json(&path) } else { Ok(None) }
    }

    /// Since when the current release is that, in seconds since 1970; nothing where none is.
    ///
    /// # Errors
    /// When the pointer is there and cannot be looked at.
    pub fn current_since(&self) -> Result<Option<u64>> {
        let path = self.directory.join("current");
        match std::fs::metadata(&path) {
            Ok(meta) => Ok(u64::try_from(std::os::unix::fs::MetadataExt::mtime(&meta)).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
        }
    }

    /// Says which release serves.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_current(&self, number: Option<u32>) -> Result<()> {
        files::make_private_directory(&self.directory)?;
        files::write_json(&self.directory.join("current"), &number, 0o600)
    }

    /// An empty directory beside the release's place, to be filled and then put there by [`Store::finish`].
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(&self, number: u32) -> Result<PathBuf> {
        let aside = self.directory.join(format!("{MAKING}r{number}"));
        clear(&aside)?;
        files::make_private_directory(&aside)?;
        Ok(aside)
    }

    /// Writes record and model, and puts the directory in its place.
    ///
    /// # Errors
    /// When anything cannot be written; the release is then not there.
    pub fn finish(&self, aside: &Path, release: &Release, model: &Value, pinned: &Value) -> Result<()> {
        files::write_json(&aside.join("model.json"), model, 0o600)?;
        files::write_json(&aside.join("pinned.json"), pinned, 0o600)?;
        files::write_json(&aside.join("release.json"), release, 0o600)?;
        files::write_json(&self.directory.join("last-number"), &release.number.max(self.last_given()?), 0o600)?;
        let place = self.place(release.number);
        if place.exists() {
            self.remove(release.number)?;
        }
        std::fs::rename(aside, &place).with_context(|| format!("cannot put {} in its place", place.display()))?;
        files::sync_directory(&self.directory).with_context(|| format!("cannot make {} durable", place.display()))
    }

    /// Lets a release go. Its images are the caller's to release.
    ///
    /// # Errors
    /// When its directory cannot be removed.
    pub fn remove(&self, number: u32) -> Result<()> {
        let place = self.place(number);
        let gone = self.directory.join(format!("{GONE}r{number}"));
        clear(&gone)?;
        // In one act: a release that lost some of its files would still look like one.
        std::fs::rename(&place, &gone).with_context(|| format!("cannot remove {}", place.display()))?;
        clear(&gone)
    }

    /// Clears away what a killed process had not made whole, or had not wholly let go.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn tidy(&self) -> Result<()> {
        files::sweep(&self.directory)?;
        for entry in std::fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if [MAKING, GONE].iter().any(|head| name.as_encoded_bytes().starts_with(head.as_bytes())) {
                clear(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn clear(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot clear {}", directory.display()))
        }
        _ => Ok(()),
    }
}
