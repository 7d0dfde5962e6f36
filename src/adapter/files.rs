//! Files that must survive a crash: written aside, fsynced, renamed, and the directory fsynced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// How the name of a file begins that is not whole yet.
const UNFINISHED: &str = ".new-";

/// Makes a directory with its parents, readable by its owner alone (0700).
pub fn make_private_directory(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the directory {}", path.display()))
}

/// Puts `bytes` at `path` with the permissions `mode`: after a crash the file is the old one or the new one, whole.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let attempt = || -> io::Result<()> {
        let directory = path.parent().unwrap_or_else(|| Path::new("."));
        let mut temporary = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory)?;
        temporary.write_all(bytes)?;
        temporary.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        sync_directory(directory)
    };
    attempt().with_context(|| format!("cannot write {}", path.display()))
}

/// The same for a value that is written as indented JSON with a last newline.
pub fn write_json(path: &Path, value: &impl Serialize, mode: u32) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).context("cannot put the value into JSON")?;
    bytes.push(b'\n');
    write_atomically(path, &bytes, mode)
}

/// Reads a JSON file; the error names the file.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not what cutover wrote", path.display()))
}

/// Makes the entries of a directory durable.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes what a killed process left of [`write_atomically`] in a directory; one that is not there has nothing.
pub fn sweep(directory: &Path) -> Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", directory.display())),
    };
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", directory.display()))?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes())) {
            remove_if_there(&path)?;
        }
    }
    Ok(())
}

/// Removes a file; one that is not there is no error.
pub fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A new file that only its owner can read (0600); an old one under that name is cut to nothing.
pub fn create_private(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create {}", path.display()))
}

/// A file to append to, made readable for its owner alone where it is not there yet.
pub fn append_private(path: &Path) -> Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot write {}", path.display()))
}

/// SHA-256 of bytes, in lower-case hexadecimal, as `sha256sum` prints it.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 and length of a file, read in pieces.
pub fn sha256_of_file(path: &Path) -> Result<(String, u64)> {
    sha256_of_file_counted(path, |_| ())
}

/// The same; `each` hears how many bytes were read, again and again.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_of_file_counted(path: &Path, mut each: impl FnMut(u64)) -> Result<(String, u64)> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0_u8; 256 * 1024];
    let mut length = 0_u64;
    loop {
        let read = file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 {
            return Ok((hex(&digest.finalize()), length));
        }
        length += read as u64;
        digest.update(&buffer[..read]);
        each(read as u64);
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A number of bytes as people read it: `512 B`, `1.5 MiB`.
pub fn spoken_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("current");
        write_atomically(&path, b"one", 0o600).unwrap();
        write_atomically(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn only_what_was_not_finished_is_swept_away() {
        let directory = tempfile::tempdir().unwrap();
        for name in [".new-x1", "current", ".making-r2"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        sweep(directory.path()).unwrap();
        sweep(&directory.path().join("nowhere")).unwrap();
        let left = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, [".making-r2", "current"]);
    }

    #[test]
    fn a_digest_is_the_one_that_sha256sum_prints() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, b"abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of_file(&path).unwrap(), (expected.to_owned(), 3));
        assert_eq!(sha256(b"abc"), expected);
    }

    #[test]
    fn sizes_are_spoken_in_binary_units() {
        assert_eq!(spoken_size(512), "512 B");
        assert_eq!(spoken_size(1_572_864), "1.5 MiB");
    }
}
