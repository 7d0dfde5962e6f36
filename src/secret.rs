//! A secret in memory: never serialized, never printed, wiped when dropped; read only from files that no one else can read.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The largest secret file that is read, in bytes. A connection string or a key is far smaller; anything
/// larger is the wrong file.
pub const MAX_BYTES: u64 = 64 * 1024;

/// A value that must not leave the process. It has no `Serialize`, its `Debug` and `Display` print
/// `[secret]`, and its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value that came from somewhere else than a file (an environment variable, a terminal).
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself. Whoever calls this hands it to the one place that needs it and to no log.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Is there nothing in it?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a secret from a file and takes one trailing line end off, as editors put it there.
    ///
    /// # Errors
    /// When the file is missing, is no regular file, can be read or written by others, belongs to someone
    /// else than this user or root, is empty, is larger than [`MAX_BYTES`] or is not UTF-8.
    pub fn read_file(path: &Path) -> Result<Self, SecretError> {
        let refuse = |fault| SecretError { path: path.to_path_buf(), fault };
        let mut file = open(path).map_err(|error| refuse(Fault::Unreadable(error.to_string())))?;
        // The open file is judged, not the path: what stands at the path may have changed since.
        let metadata = file.metadata().map_err(|error| refuse(Fault::Unreadable(error.to_string())))?;
        judge(&metadata).map_err(refuse)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
        (&mut file)
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| refuse(Fault::Unreadable(error.to_string())))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(refuse(Fault::TooLarge));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| refuse(Fault::NotUtf8))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(refuse(Fault::Empty));
        }
        Ok(Self::new(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

/// Why a secret file was not taken; names the file, never its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct SecretError {
    /// The file that was refused.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a secret file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is missing or the system would not open it.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is a directory, a pipe or a device.
    #[error("is not a regular file")]
    NotAFile,
    /// Its mode lets others read or write it; holds the permission bits.
    #[error("is open to others (mode {0:04o}); chmod 600 it")]
    OpenToOthers(u32),
    /// It belongs to a user who is neither this one nor root; holds that user's id.
    #[error("belongs to user {0}, who is neither this user nor root; chown it")]
    ForeignOwner(u32),
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It is larger than [`MAX_BYTES`].
    #[error("is larger than 64 KiB, so it is hardly a secret")]
    TooLarge,
    /// It is not text.
    #[error("is not UTF-8 text")]
    NotUtf8,
}

/// Judges a file by its metadata alone: kind, mode and owner.
///
/// # Errors
/// The first fault found. The content is not looked at.
pub fn judge(metadata: &Metadata) -> Result<(), Fault> {
    if !metadata.is_file() {
        return Err(Fault::NotAFile);
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Fault::OpenToOthers(mode));
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(Fault::ForeignOwner(owner));
    }
    Ok(())
}

/// Opens without waiting: a pipe put in a file's place must not hang the run.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.txt");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    fn fault(content: &[u8], mode: u32) -> Fault {
        let (_directory, path) = file(content, mode);
        Secret::read_file(&path).unwrap_err().fault
    }

    #[test]
    fn nothing_prints_it() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "[secret] [secret] Some([secret])");
    }

    #[test]
    fn one_line_end_is_taken_off_and_only_one() {
        for (content, expected) in
            [("a b", "a b"), ("a b\n", "a b"), ("a b\r\n", "a b"), ("a b\n\n", "a b\n"), (" a ", " a ")]
        {
            let (_directory, path) = file(content.as_bytes(), 0o600);
            assert_eq!(Secret::read_file(&path).unwrap().expose(), expected);
        }
    }

    #[test]
    fn a_file_open_to_others_is_refused_whatever_it_holds() {
        for mode in [0o644, 0o640, 0o604, 0o620, 0o602, 0o610] {
            assert_eq!(fault(b"x", mode), Fault::OpenToOthers(mode));
        }
        let (_directory, path) = file(b"hunter2", 0o644);
        let message = Secret::read_file(&path).unwrap_err().to_string();
        assert!(message.contains("mode 0644") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn empty_large_binary_missing_and_directories_are_refused() {
        assert_eq!(fault(b"", 0o600), Fault::Empty);
        assert_eq!(fault(b"\n", 0o600), Fault::Empty);
        assert_eq!(fault(&[b'a'; 65 * 1024], 0o600), Fault::TooLarge);
        assert_eq!(fault(&[0xff, 0xfe], 0o600), Fault::NotUtf8);
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(Secret::read_file(directory.path()).unwrap_err().fault, Fault::NotAFile);
        let missing = Secret::read_file(&directory.path().join("none")).unwrap_err().fault;
        assert!(matches!(missing, Fault::Unreadable(_)));
    }

    #[test]
    fn a_pipe_does_not_hang() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        assert_eq!(Secret::read_file(&path).unwrap_err().fault, Fault::NotAFile);
    }
}
