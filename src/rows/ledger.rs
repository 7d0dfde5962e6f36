//! The ledger of users (`user-ledger.jsonl`): what was about to be made and what was made, written and fsynced before
//! and after each request. Append-only; nothing in it is secret, and no address stands in it.
//!
//! An intent without a `created` line says that an account may exist: whoever goes on looks it up first. A last line
//! without its newline is a torn write and is dropped.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::adapter::{clock, files};

/// Name of the file in the data directory.
pub const FILE: &str = "user-ledger.jsonl";
/// Version that is written.
const FORMAT: u32 = 1;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Line {
    /// The first line: which service and project it is about, as a fingerprint.
    Opened {
        /// Version.
        format: u32,
        /// Fingerprint of service and project.
        service: String,
    },
    /// A request for an account is about to be sent.
    Intent {
        /// The user in the source.
        legacy: String,
    },
    /// The account was made by us.
    Created {
        /// The user in the source.
        legacy: String,
        /// The account.
        account: String,
    },
    /// An account with this user's old id was there, and no intent of this ledger made it.
    Found {
        /// The user in the source.
        legacy: String,
        /// The account.
        account: String,
    },
    /// An account that was somebody's before is taken for this user, as the options allow by name.
    Linked {
        /// The user in the source.
        legacy: String,
        /// The account.
        account: String,
    },
    /// The request was refused, so that no account came of the intent.
    Refused {
        /// The user in the source.
        legacy: String,
    },
    /// The account is gone.
    Deleted {
        /// The user in the source.
        legacy: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Written {
    at: String,
    #[serde(flatten)]
    line: Line,
}

/// How an account came to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Made by us.
    Created,
    /// It had the old id already.
    Found,
    /// It was somebody's before.
    Linked,
}

/// What is known of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A request was sent, or was about to be.
    Intent,
    /// There is an account.
    Account {
        /// Its id.
        id: String,
        /// How it came.
        how: How,
        /// When, RFC 3339.
        at: String,
    },
}

/// What all lines together say, by user.
#[derive(Clone, Debug, Default)]
pub struct Standings {
    service: Option<String>,
    users: HashMap<String, Standing>,
}

impl Standings {
    /// Reads the ledger of a directory; none if there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, or a line in it is not one of ours.
    pub fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => Self::of(&bytes, &path).map(|(standings, _)| Some(standings)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// What whole lines say, and how many bytes they are.
    fn of(bytes: &[u8], path: &Path) -> Result<(Self, usize)> {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut standings = Self::default();
        for (number, text) in bytes[..whole].split_inclusive(|byte| *byte == b'\n').enumerate() {
            let written: Written = serde_json::from_slice(text)
                .with_context(|| format!("{}:{}: not a line of the ledger of users", path.display(), number + 1))?;
            standings.take(written).with_context(|| format!("{}:{}", path.display(), number + 1))?;
        }
        Ok((standings, whole))
    }

    fn take(&mut self, written: Written) -> Result<()> {
        let at = written.at;
        let (legacy, standing) = match written.line {
            Line::Opened { format, service } => {
                if format > FORMAT {
                    bail!("the ledger has the format {format}, which a newer cutover wrote");
                }
                self.service = Some(service);
                return Ok(());
            }
            Line::Intent { legacy } => (legacy, Standing::Intent),
            Line::Created { legacy, account } => (legacy, Standing::Account { id: account, how: How::Created, at }),
            Line::Found { legacy, account } => (legacy, Standing::Account { id: account, how: How::Found, at }),
            Line::Linked { legacy, account } => (legacy, Standing::Account { id: account, how: How::Linked, at }),
            Line::Refused { legacy } | Line::Deleted { legacy } => {
                self.users.remove(&legacy);
                return Ok(());
            }
        };
        self.users.insert(legacy, standing);
        Ok(())
    }

    /// What is known of a user.
    pub fn get(&self, legacy: &str) -> Option<&Standing> {
        self.users.get(legacy)
    }

    /// All users that something is known of.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Standing)> {
        self.users.iter()
    }

    /// Refuses a ledger of another project: its accounts are not there.
    ///
    /// # Errors
    /// When it is about another service or project.
    pub fn expect_service(&self, service: &str, directory: &Path) -> Result<()> {
        match &self.service {
            Some(known) if known != service => bail!(
                "{} is about another project of the users' service; use another data.directory, or move that file away",
                directory.join(FILE).display()
            ),
            _ => Ok(()),
        }
    }
}

/// The ledger, open for writing; nobody else writes while it is.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    standings: Standings,
    is_broken: bool,
}

impl Ledger {
    /// Opens the ledger of a directory, or begins it, for one service and project.
    ///
    /// # Errors
    /// When another process has it open, when it is about another project, or when it cannot be read or written.
    pub fn open(directory: &Path, service: &str) -> Result<Self> {
        let path = directory.join(FILE);
        let context = || format!("cannot open {}", path.display());
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(0o600).open(&path).with_context(context)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "{} is in use: another run makes accounts from this directory; wait until it has ended",
                    path.display()
                )
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(context)?;
        let (standings, whole) = Standings::of(&bytes, &path)?;
        standings.expect_service(service, directory)?;
        if whole < bytes.len() {
            file.set_len(whole as u64).with_context(context)?;
            file.sync_all().with_context(context)?;
        }
        file.seek(SeekFrom::End(0)).with_context(context)?;
        let is_new = standings.service.is_none();
        let ledger = Self { path, inner: Mutex::new(Inner { file, standings, is_broken: false }) };
        if is_new {
            ledger.write(Line::Opened { format: FORMAT, service: service.to_owned() })?;
            files::sync_directory(directory).with_context(|| format!("cannot sync {}", directory.display()))?;
        }
        Ok(ledger)
    }

    /// Appends a line; when this returns, it survives a crash.
    ///
    /// # Errors
    /// When it cannot be written whole. Nothing can be written after that: half a line would spoil the next one.
    pub fn write(&self, line: Line) -> Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.is_broken {
            bail!("{} could not be written before; nothing more is begun", self.path.display());
        }
        let written = Written { at: clock::now(), line };
        let mut text = serde_json::to_vec(&written).context("cannot put a line into JSON")?;
        text.push(b'\n');
        let outcome = inner.file.write_all(&text).and_then(|()| inner.file.sync_data());
        inner.is_broken = outcome.is_err();
        outcome.with_context(|| format!("cannot write {}", self.path.display()))?;
        inner.standings.take(written)
    }

    /// What is known of a user.
    pub fn standing(&self, legacy: &str) -> Option<Standing> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).standings.get(legacy).cloned()
    }

    /// What is known of all users.
    pub fn standings(&self) -> Standings {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).standings.clone()
    }
}

impl Drop for Inner {
    /// Closing alone lets go only when the last copy of the descriptor is closed, and a child that is just being started
    /// has one for a moment.
    fn drop(&mut self) {
        // What cannot be let go here is let go when the process ends.
        drop(self.file.unlock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn intent(legacy: &str) -> Line {
        Line::Intent { legacy: legacy.into() }
    }

    fn created(legacy: &str) -> Line {
        Line::Created { legacy: legacy.into(), account: format!("{legacy}-new") }
    }

    #[test]
    fn what_was_written_stands_after_a_restart_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(directory.path(), "one").unwrap();
        for line in [intent("a"), created("a"), intent("b"), intent("c"), Line::Refused { legacy: "c".into() }] {
            ledger.write(line).unwrap();
        }
        drop(ledger);
        let ledger = Ledger::open(directory.path(), "one").unwrap();
        assert!(matches!(ledger.standing("a"), Some(Standing::Account { id, how: How::Created, .. }) if id == "a-new"));
        assert_eq!(ledger.standing("b"), Some(Standing::Intent));
        assert_eq!(ledger.standing("c"), None);
        let mode = std::fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_torn_last_line_is_dropped_at_every_length() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let ledger = Ledger::open(directory.path(), "one").unwrap();
        ledger.write(intent("a")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        ledger.write(created("a")).unwrap();
        drop(ledger);
        let all = std::fs::read(&path).unwrap();
        for end in whole.len()..all.len() {
            std::fs::write(&path, &all[..end]).unwrap();
            let ledger = Ledger::open(directory.path(), "one").unwrap();
            assert_eq!(ledger.standing("a"), Some(Standing::Intent), "cut at {end}");
            ledger.write(intent("z")).unwrap();
            drop(ledger);
            assert!(Standings::read(directory.path()).unwrap().unwrap().get("z").is_some(), "cut at {end}");
        }
    }

    #[test]
    fn a_spoilt_line_a_second_writer_and_another_project_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(directory.path(), "one").unwrap();
        let error = Ledger::open(directory.path(), "one").unwrap_err().to_string();
        assert!(error.contains("another run"), "{error}");
        drop(ledger);
        let error = Ledger::open(directory.path(), "two").unwrap_err().to_string();
        assert!(error.contains("another project"), "{error}");
        std::fs::write(directory.path().join(FILE), "{}\n").unwrap();
        let error = Ledger::open(directory.path(), "one").unwrap_err().to_string();
        assert!(error.contains("user-ledger.jsonl:1"), "{error}");
    }

    #[test]
    fn after_a_line_that_could_not_be_written_nothing_more_is() {
        let directory = tempfile::tempdir().unwrap();
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let ledger = Ledger::open(directory.path(), "one").unwrap();
        ledger.inner.lock().unwrap().file = OpenOptions::new().write(true).open(full).unwrap();
        assert!(ledger.write(intent("a")).is_err());
        let error = ledger.write(intent("b")).unwrap_err().to_string();
        assert!(error.contains("nothing more is begun"), "{error}");
        assert_eq!(ledger.standing("a"), None, "what was not written does not count");
    }
}
