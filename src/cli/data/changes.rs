//! `data diff` and `data apply`: what was written to the target since the import, and its way back to the source.

use anyhow::Result;

use super::arguments::{Apply, BaselineAt, Diff};
use super::go::{go, prepare};
use crate::adapter::clock;
use crate::cli::global::Global;
use crate::cli::{exit, out, setup};
use crate::config::Environment;
use crate::report::told_apart::{told_apart_json, told_apart_text};
use crate::run::data::changes::{Baseline, applying, exports, saving};

/// Tells apart. It reads both sides and writes files of its own, so it is no run.
///
/// # Errors
/// When nothing says what the target was filled from, or a side cannot be read.
pub async fn diff(global: &Global, verb: &Diff) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let wish = verb.baseline.map(|baseline| match baseline {
        BaselineAt::Files => Baseline::Files,
        BaselineAt::Source => Baseline::Source,
    });
    let say = out::teller(global.quiet, setup.log.as_deref())?;
    let step = saving(&config, &setup.databases, verb.table.clone(), wish, &say).await?;
    let directory = match &verb.output_dir {
        Some(directory) => std::path::absolute(directory)?,
        None => {
            let digits: String = clock::now().chars().filter(char::is_ascii_digit).take(14).collect();
            exports(&config).join(format!("changes-{}-{}", &digits[..8], &digits[8..]))
        }
    };
    let found = step.make(&setup.databases, &directory, "cutover", &say).await?;
    if global.is_json() {
        out::json(told_apart_json(&found.head, &found.file));
    } else {
        let style = setup::style(global, &Environment::of_process(), out::is_result_shown());
        out::result(&told_apart_text(&found.head, &found.file, &style));
    }
    Ok(exit::DONE)
}

/// Applies a change file to the source.
///
/// # Errors
/// Refusals and faults before the run began.
pub async fn apply(global: &Global, verb: &Apply) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let databases = &setup.databases;
    let plan = async || applying(&config, databases, &verb.file, verb.keep_new_accounts).await;
    go(global, &setup, "data apply", verb.dry_run, plan).await
}
