//! A file that a verb writes for a person to go on with. Law: what is there already is never overwritten.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::run::Refusal;

/// Refuses a path at which something stands; `by` is how another one is named.
///
/// # Errors
/// [`Refusal::Usage`].
pub fn must_not_be_there(path: &Path, by: &str) -> Result<()> {
    if path.symlink_metadata().is_ok() { Err(there_already(path, by).into()) } else { Ok(()) }
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// [`Refusal::Usage`], when it is there; or when it cannot be written.
pub fn write(path: &Path, text: &str, by: &str) -> Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    let mut file = match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(there_already(path, by).into()),
        opened => opened.with_context(|| format!("cannot write {}", path.display()))?,
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn there_already(path: &Path, by: &str) -> Refusal {
    Refusal::Usage(format!(
        "{} is there already, and nothing is overwritten: move it away, name another one ({by}), or look at what would be \
         written with --dry-run",
        path.display()
    ))
}
