//! Ends a process with SIGKILL at one exact fsync; the process is the real program, and nothing in it knows.
//!
//! A library for `LD_PRELOAD` (tests/shim/kill_at.c) counts the calls of `fsync` and `fdatasync`.

#![allow(dead_code, reason = "each test that includes this file uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

const SOURCE: &str = include_str!("../shim/kill_at.c");

/// When the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Instead of the n-th call: what was written is not known to be durable.
    Before,
    /// As soon as the n-th call is done: it is durable, and nothing else has happened.
    After,
    /// This long after the n-th call, wherever the process is by then (whole milliseconds).
    Later(Duration),
}

/// The library, compiled once for all tests that run at the same time; its name changes with its source.
pub fn shim() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    SOURCE.hash(&mut hasher);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = directory.join(format!("kill_at-{:016x}.so", hasher.finish()));
    if library.exists() {
        return library;
    }
    // Two tests may compile it side by side: each under a name of its own, then an atomic rename.
    let place = tempfile::tempdir_in(directory).unwrap();
    let (source, made) = (place.path().join("kill_at.c"), place.path().join("kill_at.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let libraries = ["-ldl", "-lrt"];
    let cc = command("cc")
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&made)
        .arg(&source)
        .args(libraries)
        .output();
    let cc = cc.expect("`cc` compiles the shim: install gcc or clang");
    assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
    std::fs::rename(&made, &library).unwrap();
    library
}

/// Has `command` end at its `n`-th fsync or fdatasync, counted from 1. A command that makes fewer calls ends by itself.
pub fn kill_at(command: &mut Command, n: u32, when: When) -> &mut Command {
    let (word, delay) = match when {
        When::Before => ("before", Duration::ZERO),
        When::After => ("after", Duration::ZERO),
        When::Later(delay) => ("after", delay),
    };
    command
        .env("LD_PRELOAD", shim())
        .env("CUTOVER_KILL_AT", n.to_string())
        .env("CUTOVER_KILL_WHEN", word)
        .env("CUTOVER_KILL_DELAY_MS", delay.as_millis().to_string())
}

/// The same, where only calls about files whose path contains `words` are counted: how many others there are may depend on
/// how long something took.
pub fn kill_at_file<'a>(command: &'a mut Command, words: &str, n: u32, when: When) -> &'a mut Command {
    kill_at(command, n, when).env("CUTOVER_KILL_FILE", words)
}

/// Has `command` write one line per fsync into `file`: its number, milliseconds since the start, the file it is about.
pub fn trace<'a>(command: &'a mut Command, file: &Path) -> &'a mut Command {
    command.env("LD_PRELOAD", shim()).env("CUTOVER_KILL_TRACE", file)
}

/// Whether the process was ended by SIGKILL and not by itself.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(rustix::process::Signal::KILL.as_raw())
}

#[expect(clippy::disallowed_methods, reason = "this child is a compiler, not part of a run")]
fn command(program: &str) -> Command {
    Command::new(program)
}
