//! Opens the file as a suspicious reader: kind, owner, mode, size and encoding are judged before a key is read.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::problem::{Problem, Problems};

/// The largest cutover.toml that is read, in bytes.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// The text of a file and its name as the caller wrote it; turns byte offsets into lines and columns.
#[derive(Debug)]
pub(super) struct Text {
    pub name: String,
    pub text: String,
    /// The byte at which each line starts.
    lines: Vec<usize>,
}

impl Text {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        // Some editors put a byte order mark first; it is no part of the text and has no column.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: path.display().to_string(), text, lines }
    }

    /// Line and column of a byte, both from 1, the column in characters.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        (line, self.text[start..at].chars().count() + 1)
    }
}

/// Reads the file.
///
/// A pipe in its place does not hang, and a directory, another user's file behind a link, a file that others
/// may write, a huge one and one that is not text are refused with a position.
pub(super) fn read(path: &Path) -> Result<Text, Problems> {
    read_as(path, "a cutover.toml", "`cutover init` writes one; --config FILE names another")
}

/// The same for a file of another kind: what it is, and what to do where there is none.
pub(super) fn read_as(path: &Path, what: &str, missing: &str) -> Result<Text, Problems> {
    let whole = |found: String, allowed: &str, hint: Option<&str>| {
        Problems(vec![Problem {
            file: path.display().to_string(),
            line: 1,
            column: 1,
            key: String::new(),
            found,
            allowed: allowed.to_owned(),
            hint: hint.map(str::to_owned),
        }])
    };
    let mut file = open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => whole("no such file".to_owned(), what, Some(missing)),
        _ => whole(format!("a file that cannot be opened: {error}"), "a file that this user may read", None),
    })?;
    judge(path, &file).map_err(|(found, allowed, hint)| whole(found, allowed, Some(hint)))?;
    let mut bytes = Vec::new();
    (&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| {
        whole(format!("a file that cannot be read: {error}"), "a file that this user may read", None)
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(whole("more than 1 MiB".to_owned(), "at most 1 MiB", Some("this is hardly a cutover.toml")));
    }
    decode(path, bytes)
}

/// Opens without waiting for the other end of a pipe.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
}

/// Whoever may write this file may run commands as the one who deploys, so it must not be open to others; and
/// a link must not lead to a file that someone else controls.
fn judge(path: &Path, file: &File) -> Result<(), (String, &'static str, &'static str)> {
    let unreadable = |error: std::io::Error| {
        (format!("a file that cannot be looked at: {error}"), "a regular file", "look at its directory's permissions")
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err((
            "a directory".to_owned(),
            "a regular file",
            "name the file in it: --config DIRECTORY/cutover.toml",
        ));
    }
    if !metadata.is_file() {
        return Err(("a pipe, socket or device".to_owned(), "a regular file", "write it to a file first"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err((
            format!("a file that others may write (mode {:04o})", metadata.mode() & 0o7777),
            "a file that only its owner may write",
            "chmod go-w it",
        ));
    }
    let link = std::fs::symlink_metadata(path).map_err(unreadable)?.is_symlink();
    let owner = metadata.uid();
    if link && owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err((
            format!("a link to a file of user {owner}"),
            "a file, or a link to a file of this user or root",
            "name the file itself with --config, or change its owner",
        ));
    }
    Ok(())
}

/// Points at the first byte that is no text.
fn decode(path: &Path, bytes: Vec<u8>) -> Result<Text, Problems> {
    let (valid, bad) = match String::from_utf8(bytes) {
        Ok(text) => match text.find('\0') {
            None => return Ok(Text::new(path, &text)),
            Some(at) => (text[..at].to_owned(), "a NUL byte".to_owned()),
        },
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let byte = bytes.get(at).copied().unwrap_or_default();
            (String::from_utf8_lossy(&bytes[..at]).into_owned(), format!("the byte 0x{byte:02x}, which is not UTF-8"))
        }
    };
    let text = Text::new(path, &valid);
    let (line, column) = text.position(text.text.len());
    Err(Problems(vec![Problem {
        file: text.name,
        line,
        column,
        key: String::new(),
        found: bad,
        allowed: "UTF-8 text".to_owned(),
        hint: None,
    }]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_from_one() {
        let text = Text::new(Path::new("f"), "aé\nb\n\n");
        let positions: Vec<_> = (0..=6).map(|at| text.position(at)).collect();
        assert_eq!(positions, [(1, 1), (1, 2), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1)]);
        assert_eq!(text.position(999), (4, 1));
        assert_eq!(Text::new(Path::new("f"), "").position(0), (1, 1));
        assert_eq!(Text::new(Path::new("f"), "\u{feff}ab").position(1), (1, 2));
    }
}
