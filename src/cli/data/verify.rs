//! `data verify`: compares, prints, and writes the report. It only reads both sides, so it is no run.

use anyhow::Result;

use super::arguments::Verify;
use super::go::prepare;
use crate::cli::global::Global;
use crate::cli::{exit, out, setup};
use crate::config::Environment;
use crate::report::verified::verified_text;
use crate::run::Refusal;
use crate::run::data::options::{CompareWishes, same_rows};
use crate::step::compared::Against;

/// The verb.
///
/// # Errors
/// When a side cannot be reached or read.
pub async fn run(global: &Global, verb: &Verify) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let target = setup.databases.side("target").map_err(Refusal::usage)?;
    let against = if verb.files {
        Against::Files(config.data.directory.clone())
    } else {
        Against::Place(setup.databases.side("source").map_err(Refusal::usage)?.shown().to_owned())
    };
    let wishes = CompareWishes {
        tables: verb.table.clone(),
        is_counting_only: verb.skip_checksum,
        fails_fast: verb.fail_fast,
        sample_percent: verb.sample,
        report: verb.report.as_ref().map(std::path::absolute).transpose()?,
    };
    let gate = same_rows(&config, against, target.shown(), wishes);
    let say = out::teller(global.quiet, setup.log.as_deref())?;
    let report = gate.compare(&setup.databases, "cutover", &say).await?;
    if global.is_json() {
        out::json(serde_json::to_value(&report)?);
    } else {
        let style = setup::style(global, &Environment::of_process(), out::is_result_shown());
        out::result(&verified_text(&report, &style));
        out::say(&format!("report: {}", gate.report.display()));
    }
    let is_asked_for_less = gate.is_counting_only || gate.sample_percent < 100;
    let passes = report.success && (report.is_whole() || is_asked_for_less);
    Ok(if passes { exit::DONE } else { exit::REFUSED })
}
