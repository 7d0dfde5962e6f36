//! The journal's file: one write and one fsync per line, a hash over the line and its predecessor, a torn tail dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::entry::{Entry, FORMAT, Fact};

/// Space that is reserved for a journal when it is made, in bytes, so that a full disk stops a run before it
/// begins and not between an act and its record.
const RESERVED: u64 = 512 * 1024;

/// What can be wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("cannot {act} the journal {}: {source}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// A line is not one of ours, or the chain is broken there.
    #[error("{}:{line}: {why}; the journal was changed by something else than cutover, keep a copy and do not resume it", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A newer version wrote it.
    #[error("{} has format {found}; this version writes format {FORMAT}: use the version of cutover that began the run", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u64,
    },
    /// A newer version wrote a line into it.
    #[error("{}:{line}: this version does not know lines of the kind {kind:?}: use the version of cutover that began the run", path.display())]
    UnknownKind {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// The kind.
        kind: String,
    },
}

/// A journal that is open for appending; only the holder of the lock has one.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    seq: u64,
    epoch: u32,
    boot: String,
    hash: String,
    length: u64,
    clock: fn() -> String,
}

impl Journal {
    /// Makes a new journal; the file must not be there yet.
    ///
    /// # Errors
    /// When it cannot be made, or when there is no room for it.
    pub fn create(path: &Path, boot: String, clock: fn() -> String) -> Result<Self, JournalError> {
        let io = |act| move |source| JournalError::Io { act, path: path.to_owned(), source };
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path).map_err(io("create"))?;
        if let Err(source) = reserve(&file, 0) {
            // Without room there is no run: leave nothing that looks like one.
            std::fs::remove_file(path).map_err(io("remove"))?;
            return Err(io("find room for")(source));
        }
        let directory = path.parent().unwrap_or_else(|| Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(io("make durable"))?;
        Ok(Self { file, path: path.to_owned(), seq: 0, epoch: 1, boot, hash: String::new(), length: 0, clock })
    }

    /// Opens a journal to go on with it, in a new epoch; a torn last line is cut off.
    ///
    /// # Errors
    /// When it cannot be read, is broken, was written by a newer version, or has no room left.
    pub fn go_on(path: &Path, boot: String, clock: fn() -> String) -> Result<(Self, Vec<Entry>), JournalError> {
        let io = |act| move |source| JournalError::Io { act, path: path.to_owned(), source };
        let (entries, length) = read_with_length(path)?;
        ours_to_write(path, &entries)?;
        let file = OpenOptions::new().append(true).open(path).map_err(io("open"))?;
        file.set_len(length).and_then(|()| file.sync_all()).map_err(io("cut the torn line off"))?;
        // Setting the length has given back the room behind it, even where the length stayed as it was.
        reserve(&file, length).map_err(io("find room for"))?;
        let last = entries.last();
        let journal = Self {
            file,
            path: path.to_owned(),
            seq: last.map_or(0, |entry| entry.seq + 1),
            epoch: last.map_or(1, |entry| entry.epoch + 1),
            boot,
            hash: last.map(|entry| entry.hash.clone()).unwrap_or_default(),
            length,
            clock,
        };
        Ok((journal, entries))
    }

    /// Adds one line to a journal without going on with the run: its epoch, and with it its end, stay as they are. The
    /// caller holds the host's lock.
    ///
    /// # Errors
    /// As [`Journal::go_on`] and [`Journal::append`].
    pub fn remark(path: &Path, boot: String, clock: fn() -> String, fact: Fact) -> Result<Entry, JournalError> {
        let (mut journal, _) = Self::go_on(path, boot, clock)?;
        journal.epoch = journal.epoch.saturating_sub(1).max(1);
        journal.append(fact)
    }

    /// The epoch that this process writes.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a fact and returns once it is durable.
    ///
    /// # Errors
    /// When it cannot be written; the file then ends as it did before.
    pub fn append(&mut self, fact: Fact) -> Result<Entry, JournalError> {
        let entry = Entry {
            seq: self.seq,
            at: (self.clock)(),
            boot: self.boot.clone(),
            epoch: self.epoch,
            fact,
            prev: self.hash.clone(),
            hash: String::new(),
        };
        let (line, hash) = sealed(&entry);
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // A half-written line must not stand before the next one.
            if let Err(cut) = self.file.set_len(self.length) {
                tracing::error!(%cut, "the torn line could not be cut off; it is dropped when the journal is read");
            }
            return Err(JournalError::Io { act: "write to", path: self.path.clone(), source });
        }
        self.length += line.len() as u64;
        self.seq += 1;
        self.hash.clone_from(&hash);
        Ok(Entry { hash, ..entry })
    }
}

/// Refuses what a newer version wrote: its lines may say things that this version must not overlook.
fn ours_to_write(path: &Path, entries: &[Entry]) -> Result<(), JournalError> {
    for (index, entry) in entries.iter().enumerate() {
        let found = match &entry.fact {
            Fact::Planned { header, .. } => u64::from(header.format),
            // A newer head may have another shape; its format still stands where it always stood.
            Fact::Unknown(line) => match line.pointer("/header/format").and_then(serde_json::Value::as_u64) {
                Some(found) if found > u64::from(FORMAT) => found,
                _ => {
                    let kind = line.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
                    return Err(JournalError::UnknownKind { path: path.to_owned(), line: index + 1, kind });
                }
            },
            _ => continue,
        };
        if found > u64::from(FORMAT) {
            return Err(JournalError::Newer { path: path.to_owned(), found });
        }
    }
    Ok(())
}

fn reserve(file: &File, written: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    if written >= RESERVED {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, written, RESERVED - written) {
        // Some file systems cannot reserve; they are not worse off than before.
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The line with its hash in place, and the hash.
fn sealed(entry: &Entry) -> (String, String) {
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.shift_remove("hash");
    }
    let body = value.to_string();
    let hash = digest(body.as_bytes());
    let line = format!("{},\"hash\":\"{hash}\"}}\n", &body[..body.len() - 1]);
    (line, hash)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a whole journal and proves its chain.
///
/// # Errors
/// When it cannot be read, or a line is not what its hash says.
pub fn read(path: &Path) -> Result<Vec<Entry>, JournalError> {
    read_with_length(path).map(|(entries, _)| entries)
}

/// Reads a journal as far as its chain holds, and says what is wrong behind that place. For who only wants to look.
///
/// # Errors
/// When it cannot be read at all.
pub fn read_to_the_fault(path: &Path) -> Result<(Vec<Entry>, Option<JournalError>), JournalError> {
    let mut entries = Vec::new();
    match read_into(path, &mut entries) {
        Ok(_) => Ok((entries, None)),
        Err(fault @ JournalError::Broken { .. }) => Ok((entries, Some(fault))),
        Err(error) => Err(error),
    }
}

fn read_with_length(path: &Path) -> Result<(Vec<Entry>, u64), JournalError> {
    let mut entries = Vec::new();
    let whole = read_into(path, &mut entries)?;
    Ok((entries, whole))
}

fn read_into(path: &Path, entries: &mut Vec<Entry>) -> Result<u64, JournalError> {
    let bytes =
        std::fs::read(path).map_err(|source| JournalError::Io { act: "read", path: path.to_owned(), source })?;
    let broken = |line: usize, why: &str| JournalError::Broken { path: path.to_owned(), line, why: why.to_owned() };
    // What stands after the last newline is a write that did not finish.
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let mut prev = String::new();
    for (index, line) in bytes[..whole].split_inclusive(|&byte| byte == b'\n').enumerate() {
        let (number, line) = (index + 1, &line[..line.len() - 1]);
        let text = std::str::from_utf8(line).map_err(|_| broken(number, "the line is not UTF-8"))?;
        let entry: Entry = serde_json::from_str(text)
            .map_err(|error| broken(number, &format!("the line cannot be read ({error})")))?;
        let tail = format!(",\"hash\":\"{}\"}}", entry.hash);
        let body = text.strip_suffix(&tail).ok_or_else(|| broken(number, "the line does not end with its hash"))?;
        if digest(format!("{body}}}").as_bytes()) != entry.hash {
            return Err(broken(number, "the line is not what its hash says"));
        }
        if entry.prev != prev || entry.seq != entries.len() as u64 {
            return Err(broken(number, "the line does not follow the one before it"));
        }
        prev.clone_from(&entry.hash);
        entries.push(entry);
    }
    Ok(whole as u64)
}
