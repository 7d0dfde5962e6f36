//! `history`: the journals, rendered.

use anyhow::{Context, Result};

use super::flags::History;
use super::global::Global;
use super::{exit, out, setup};
use crate::journal::runs;
use crate::report::{history, manifest};
use crate::run::Refusal;

/// The verb.
///
/// # Errors
/// When there is no such run, or a journal is broken.
pub fn run(global: &Global, verb: &History) -> Result<u8> {
    let (state, _) = setup::state_directory(global)?;
    let style = setup::style(global, &crate::config::Environment::of_process(), out::is_result_shown());
    let all = runs::list(&state.join("runs")).context("cannot list the runs")?;
    let Some(number) = verb.run else {
        let states = all.iter().map(runs::RunFile::state).collect::<Result<Vec<_>, _>>()?;
        if global.is_json() {
            out::json(history::history_json(&states));
        } else {
            out::result(&history::history_text(&states, &style));
        }
        return Ok(exit::DONE);
    };
    let Some(file) = all.iter().find(|file| file.number == number) else {
        return Err(Refusal::Usage(format!("there is no run {number}; `cutover history` lists them")).into());
    };
    let (entries, state) = (file.entries()?, file.state()?);
    let undone = state.header.as_ref().and_then(|header| header.undoes);
    let undone = all.iter().find(|file| Some(file.number) == undone).map(runs::RunFile::state).transpose()?;
    match (verb.manifest, global.is_json()) {
        (true, true) => out::json(manifest::manifest(&state, &entries, undone.as_ref())),
        (true, false) => out::result(&manifest::manifest_text(&state, &entries, undone.as_ref(), &style)),
        (false, true) => out::json(history::run_json(&state, &entries)),
        (false, false) => out::result(&history::run_text(&state, &entries, &style)),
    }
    Ok(exit::DONE)
}
