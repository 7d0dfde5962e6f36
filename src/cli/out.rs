//! The two streams: stdout carries the result, stderr the rest. A stream that was closed stops nothing.
//!
//! Law: nothing that is known to be secret passes. Steps and journal blot it out as well; this is the last gate, which
//! holds for errors and logs too.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

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

/// How often it is said how far it is, where nobody looks on.
const PACE: Duration = Duration::from_secs(5);

/// Whether a line tells how far it is, which the next one tells anew: `41 %, …`.
fn is_progress(line: &str) -> bool {
    line.split_once(" %, ")
        .is_some_and(|(share, _)| !share.is_empty() && share.bytes().all(|sign| sign.is_ascii_digit()))
}

/// When it was said last how far it is.
#[derive(Default)]
struct Paced(Option<Duration>);

impl Paced {
    fn is_due(&mut self, line: &str, now: Duration) -> bool {
        if !is_progress(line) {
            return true;
        }
        let is_due = self.0.is_none_or(|last| now.saturating_sub(last) >= PACE);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

/// Says lines as they come, and keeps them in a log where there is one. How far it is, is said every second on a terminal, and
/// now and then in a log and elsewhere.
///
/// # Errors
/// When the log cannot be opened.
pub fn teller(is_quiet: bool, log: Option<&Path>) -> anyhow::Result<impl Fn(String) + Sync + use<>> {
    let log = log.map(log_file).transpose()?;
    let (watch, paced) = (clock::Stopwatch::start(), Mutex::new(Paced::default()));
    Ok(move |line: String| {
        let is_due = paced.lock().unwrap_or_else(PoisonError::into_inner).is_due(&line, watch.elapsed());
        if !is_due && !is_progress_shown() {
            return;
        }
        if let Some(mut log) = log.as_ref().filter(|_| is_due) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_is_due_now_and_then_and_all_else_always() {
        let mut paced = Paced::default();
        let mut is_due = |line, second| paced.is_due(line, Duration::from_secs(second));
        let lines = [
            ("checking 2 files", 0),
            ("1 %, 5 B checked", 0),
            ("2 %, 9 B checked", 4),
            ("50 % of it", 4),
            ("3 %, 9 B checked", 5),
            ("checking 2 files", 5),
        ];
        assert_eq!(lines.map(|(line, second)| is_due(line, second)), [true, true, false, true, true, true]);
    }
}
