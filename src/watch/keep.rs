//! The window on disk: one file, written aside and renamed. Its own lock keeps two watchers apart; the host's lock is never held.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::window::{FORMAT, Window};
use crate::adapter::files;

/// The watcher's directory in the state directory.
#[derive(Debug)]
pub struct Shelf {
    directory: PathBuf,
    _lock: File,
}

/// Another watcher is at work.
#[derive(Debug, thiserror::Error)]
#[error("another `cutover watch` is at work here; it judges, and this one would count the same minutes again")]
pub struct Watched;

impl Shelf {
    /// Opens it, and keeps every other watcher out until it is dropped.
    ///
    /// # Errors
    /// [`Watched`], or when the directory cannot be made.
    pub fn open(state: &Path) -> Result<Self> {
        let directory = directory(state);
        files::make_private_directory(&directory)?;
        files::sweep(&directory)?;
        let path = directory.join("lock");
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let lock = lock.with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { directory, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Watched.into()),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// The window that was begun, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or a newer program wrote it.
    pub fn read(&self) -> Result<Option<Window>> {
        read(&self.directory)
    }

    /// Writes the window down.
    ///
    /// # Errors
    /// When it cannot be written: a verdict that is not kept was not given.
    pub fn write(&self, window: &Window) -> Result<()> {
        files::write_json(&self.directory.join("window.json"), window, 0o600)
    }
}

/// Where the window is.
pub fn directory(state: &Path) -> PathBuf {
    state.join("watch")
}

/// While this file is there, nothing goes back by itself.
pub fn hold_file(state: &Path) -> PathBuf {
    directory(state).join("hold")
}

/// The window, for who only wants to look.
///
/// # Errors
/// When it cannot be read, or a newer program wrote it.
pub fn look(state: &Path) -> Result<Option<Window>> {
    read(&directory(state))
}

fn read(directory: &Path) -> Result<Option<Window>> {
    let path = directory.join("window.json");
    if !path.exists() {
        return Ok(None);
    }
    let value: serde_json::Value = files::read_json(&path)?;
    let format = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if format > u64::from(FORMAT) {
        bail!("{} was written by a newer cutover (format {format}); use that one", path.display());
    }
    let window = serde_json::from_value(value);
    window
        .map(Some)
        .with_context(|| format!("{} is not what cutover wrote; move it away, and a new window begins", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::cusum::Terms;
    use crate::watch::window::Now;

    #[test]
    fn a_window_is_read_back_to_the_last_bit_and_a_second_watcher_is_kept_out() {
        let state = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(state.path()).unwrap();
        assert_eq!(shelf.read().unwrap(), None);
        let now = Now { wall_ms: 1_800_000_000_123, boot_ms: 7, boot: "a".into() };
        let window =
            Window::begin(now, "2026-01-01T00:00:00.000Z".into(), 1440, Terms::new(0.01, 0.05, 86_400), Some(7));
        shelf.write(&window).unwrap();
        assert_eq!(shelf.read().unwrap().as_ref(), Some(&window));
        assert!(Shelf::open(state.path()).unwrap_err().is::<Watched>());
        drop(shelf);
        assert!(Shelf::open(state.path()).is_ok());
    }

    #[test]
    fn what_a_newer_program_wrote_is_left_alone() {
        let state = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(state.path()).unwrap();
        std::fs::write(state.path().join("watch/window.json"), r#"{"format": 2}"#).unwrap();
        assert!(shelf.read().unwrap_err().to_string().contains("newer"));
        std::fs::write(state.path().join("watch/window.json"), r#"{"format": 1}"#).unwrap();
        assert!(format!("{:#}", shelf.read().unwrap_err()).contains("move it away"));
    }
}
