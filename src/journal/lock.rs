//! The host's one lock: a kernel lock (`flock`) that children inherit, so that it outlives a killed owner.
//!
//! The file names its owner in words for people; the truth is the kernel's lock and the descriptors in `/proc`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How long the end of an owner is waited for: a killed process lets go a moment after its death is known.
const GLANCES: u32 = 20;
/// How often a lock that nobody owns, but that others look at, is tried again.
const LOOKS: u32 = 500;
/// The pause between two tries.
const GLANCE: std::time::Duration = std::time::Duration::from_millis(10);
/// How often the words are read again while their owner seems to be gone: a new owner writes them a moment after it
/// has taken the lock.
const READS: u32 = 3;

/// What the owner says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Holder {
    /// Process that took the lock.
    pub pid: u32,
    /// Its start time in clock ticks, so that a reused number is not taken for it.
    pub started: u64,
    /// Wall time when it took the lock.
    pub since: String,
    /// The verb, such as `deploy`.
    pub verb: String,
    /// The run, once it has a number.
    pub run: Option<u32>,
    /// The step it is in.
    pub step: Option<String>,
}

/// The lock is taken.
#[derive(Clone, Debug)]
pub struct Held {
    /// What the owner said of itself.
    pub holder: Holder,
    /// Whether the owner is still there.
    pub is_owner_alive: bool,
    /// Processes that hold the lock's descriptor now: the owner, or what it left at work.
    pub processes: Vec<Process>,
}

/// A process that holds the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its command line, shortened.
    pub command: String,
}

/// Why the lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("{}; {}", .0.words(), .0.next())]
    Held(Box<Held>),
    /// The file cannot be opened.
    #[error("cannot open the lock {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
}

impl Held {
    /// What to do about it.
    pub fn next(&self) -> &'static str {
        if self.is_owner_alive {
            "nothing was done; `cutover status` tells when it has ended"
        } else {
            "nothing was done; `cutover resume` ends that and goes on, `cutover rollback` ends it and goes back"
        }
    }

    /// Who, since when, in which step.
    pub fn words(&self) -> String {
        let Holder { pid, since, verb, run, step, .. } = &self.holder;
        let run = run.map_or_else(String::new, |run| format!(", run {run}"));
        let step = step.as_ref().map_or_else(String::new, |step| format!(", in the step {step}"));
        if self.is_owner_alive {
            return format!("`cutover {verb}` (process {pid}{run}) holds the lock since {since}{step}");
        }
        let left: Vec<String> =
            self.processes.iter().map(|process| format!("{} ({})", process.pid, process.command)).collect();
        let left = if left.is_empty() { "processes of another user".to_owned() } else { left.join(", ") };
        if *pid == 0 {
            return format!("the lock is held, and its owner has not said who it is: {left}");
        }
        format!("`cutover {verb}` (process {pid}{run}) was killed{step}, and what it started is still at work: {left}")
    }
}

/// The lock, held until this value and every child that inherited it are gone.
#[derive(Debug)]
pub struct Lock {
    file: File,
    holder: Holder,
}

impl Lock {
    /// Takes the lock of a state directory without waiting.
    ///
    /// # Errors
    /// When somebody holds it, or the file cannot be opened.
    pub fn take(directory: &Path, verb: &str, since: String) -> Result<Self, LockError> {
        let path = directory.join("lock");
        let io = |source| LockError::Io { path: path.clone(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        wait_for(&file, &path)?;
        // Children inherit the descriptor: the lock stays taken while an orphan of ours is at work.
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).map_err(|error| io(error.into()))?;
        let pid = std::process::id();
        let holder =
            Holder { pid, started: start_of(pid).unwrap_or(0), since, verb: verb.to_owned(), run: None, step: None };
        let mut lock = Self { file, holder };
        lock.write().map_err(io)?;
        Ok(lock)
    }

    /// Says in the lock which run and step are at work. For people only: a failure is logged, not fatal.
    pub fn say(&mut self, run: u32, step: &str) {
        self.holder.run = Some(run);
        self.holder.step = Some(step.to_owned());
        if let Err(error) = self.write() {
            tracing::warn!(%error, "the lock's words could not be written");
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let mut text = serde_json::to_vec(&self.holder)?;
        text.push(b'\n');
        self.file.rewind()?;
        self.file.write_all(&text)?;
        self.file.set_len(text.len() as u64)
    }
}

/// Takes the lock, or finds out who has it.
fn wait_for(file: &File, path: &Path) -> Result<(), LockError> {
    let io = |source| LockError::Io { path: path.to_owned(), source };
    let (mut owned, mut looked_at) = (0, 0);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(io(source)),
            Err(TryLockError::WouldBlock) => {}
        }
        // A shared lock can be had beside those of `status`, which looks for some microseconds and is nobody's work,
        // but never beside an owner's.
        match file.try_lock_shared() {
            Ok(()) => looked_at += 1,
            Err(TryLockError::WouldBlock) => owned += 1,
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.unlock().map_err(io)?;
        if owned > GLANCES || looked_at > LOOKS {
            return Err(LockError::Held(Box::new(look(path).map_err(io)?)));
        }
        std::thread::sleep(GLANCE);
    }
}

/// Who holds the lock of this directory now, or nothing.
///
/// # Errors
/// When the file is there but cannot be read.
pub fn held(directory: &Path) -> io::Result<Option<Held>> {
    let path = directory.join("lock");
    match OpenOptions::new().read(true).open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        // A shared attempt shuts nobody out for longer than it takes to let go again.
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => look(&path).map(Some),
            Err(TryLockError::Error(error)) => Err(error),
        },
    }
}

fn look(path: &Path) -> io::Result<Held> {
    let meta = std::fs::metadata(path)?;
    let mut reads = 0;
    loop {
        // Only the first line counts: behind it the rest of longer words can stand for a moment.
        let text = std::fs::read_to_string(path)?;
        let holder: Holder = text.lines().next().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let is_owner_alive = holder.pid != 0 && start_of(holder.pid) == Some(holder.started);
        reads += 1;
        if is_owner_alive || reads > READS {
            return Ok(Held { holder, is_owner_alive, processes: holders((meta.dev(), meta.ino())) });
        }
        std::thread::sleep(GLANCE);
    }
}

/// Every process that holds the file's lock, ourselves left out. Who only has the file open holds nothing.
fn holders(inode: (u64, u64)) -> Vec<Process> {
    let Ok(table) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = table.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .filter(|&pid| pid != std::process::id())
        .filter(|pid| {
            let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
            descriptors.flatten().any(|descriptor| {
                let is_ours = std::fs::metadata(descriptor.path()).is_ok_and(|meta| (meta.dev(), meta.ino()) == inode);
                let info = format!("/proc/{pid}/fdinfo/{}", descriptor.file_name().to_string_lossy());
                is_ours && std::fs::read_to_string(info).is_ok_and(|info| info.contains("lock:"))
            })
        })
        .map(|pid| Process { pid, command: command_of(pid) })
        .collect()
}

/// What a process was called with, for people: identifiers of containers as the engine prints them, in 120 characters.
fn command_of(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).replace('\0', " ");
    let is_long_id = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let words = line.split_whitespace().map(|word| if is_long_id(word) { &word[..12] } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 120 { line } else { line.chars().take(119).chain(['…']).collect() }
}

/// Start time of a process in ticks since boot: field 22 of its `stat`, counted after the closing bracket.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.rsplit_once(") ")?.1;
    if after.starts_with('Z') {
        return None;
    }
    after.split(' ').nth(19)?.parse().ok()
}
