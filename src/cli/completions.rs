//! `completions` and `man`: made from the same description as the parser, so they cannot differ from it.

use anyhow::Result;
use clap::CommandFactory;

use super::arguments::Arguments;
use super::global::Global;
use super::{exit, out};

/// Prints a completion script.
///
/// # Errors
/// None; the signature is that of every verb.
pub fn completions(global: &Global, shell: clap_complete::Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "cutover", &mut script);
    print(global, &script);
    Ok(exit::DONE)
}

/// Prints the manual page.
///
/// # Errors
/// When it cannot be rendered.
pub fn man(global: &Global) -> Result<u8> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
    print(global, &page);
    Ok(exit::DONE)
}

fn print(global: &Global, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    if global.is_json() {
        out::json(serde_json::json!({ "schema": "cutover/v1", "text": text }));
    } else {
        out::result(&text);
    }
}
