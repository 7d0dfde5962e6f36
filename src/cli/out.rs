//! The two streams: stdout carries the result, stderr the rest. A stream that was closed stops nothing.
//!
//! Law: nothing that is known to be secret passes. Steps and journal blot it out as well; this is the last gate, which
//! holds for errors and logs too.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::Context;
use serde_json::Value;

use crate::adapter::clock;
use crate::redact::Redactor;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(Redactor::default);

/// The redactor of this process; what one place learns, every stream knows.
pub fn redactor() -> Redactor {
    REDACTOR.clone()
}

/// Writes the result.
pub fn result(text: &str) {
    write(&mut std::io::stdout().lock(), &REDACTOR.clean(text));
}

/// Writes the result for programs: one document on one line.
pub fn json(document: Value) {
    write(&mut std::io::stdout().lock(), &REDACTOR.clean_json(document).to_string());
}

/// Writes progress and remarks.
pub fn say(text: &str) {
    write(&mut std::io::stderr().lock(), &REDACTOR.clean(text));
}

/// A log that lines are appended to; made for its owner alone.
///
/// # Errors
/// When it cannot be opened.
pub fn log_file(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    file.with_context(|| format!("cannot write the log {}", path.display()))
}

/// Says lines as they come, and keeps them in a log where there is one.
///
/// # Errors
/// When the log cannot be opened.
pub fn teller(is_quiet: bool, log: Option<&Path>) -> anyhow::Result<impl Fn(String) + Sync + use<>> {
    let log = log.map(log_file).transpose()?;
    Ok(move |line: String| {
        if let Some(mut log) = log.as_ref() {
            let kept = format!("{} {}\n", clock::now(), REDACTOR.clean(&line));
            if let Err(error) = log.write_all(kept.as_bytes()) {
                tracing::warn!(%error, "a line could not be kept in the log");
            }
        }
        if !is_quiet {
            say(&line);
        }
    })
}

fn write(stream: &mut impl Write, text: &str) {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    // Whoever reads may have gone; the run goes on and its journal holds every word.
    if let Err(error) = write!(stream, "{text}{newline}").and_then(|()| stream.flush()) {
        tracing::debug!(%error, "a stream is closed");
    }
}

/// Where the log goes: stderr, one event per call, cleaned like everything else.
#[derive(Debug)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let clean = REDACTOR.clean(&String::from_utf8_lossy(event));
        // A closed stderr must not make the logger complain about itself, again and again.
        drop(std::io::stderr().lock().write_all(clean.as_bytes()));
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether stdout is a terminal.
pub fn is_result_shown() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether stderr is a terminal.
pub fn is_progress_shown() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether a person can be asked.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
