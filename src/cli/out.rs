//! The two streams: stdout carries the result, stderr the rest. A stream that was closed stops nothing.

use std::io::{IsTerminal, Write};

/// Writes the result.
pub fn result(text: &str) {
    write(&mut std::io::stdout().lock(), text);
}

/// Writes progress and remarks.
pub fn say(text: &str) {
    write(&mut std::io::stderr().lock(), text);
}

fn write(stream: &mut impl Write, text: &str) {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    // Whoever reads may have gone; the run goes on and its journal holds every word.
    if let Err(error) = write!(stream, "{text}{newline}").and_then(|()| stream.flush()) {
        tracing::debug!(%error, "a stream is closed");
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
