//! `completions` and `man`: made from the same description as the parser, so they cannot differ from it.

use anyhow::Result;
use clap::CommandFactory;

use super::arguments::Arguments;
use super::{exit, out};

/// Prints a completion script.
///
/// # Errors
/// None; the signature is that of every verb.
pub fn completions(shell: clap_complete::Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "cutover", &mut script);
    out::result(&String::from_utf8_lossy(&script));
    Ok(exit::DONE)
}

/// Prints the manual page.
///
/// # Errors
/// When it cannot be rendered.
pub fn man() -> Result<u8> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
    out::result(&String::from_utf8_lossy(&page));
    Ok(exit::DONE)
}
