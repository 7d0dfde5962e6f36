//! `data export`: every chosen table of the source into files, as a run.

use anyhow::Result;
use serde_json::json;

use super::arguments::Export;
use super::go::{go, prepare};
use crate::adapter::files::spoken_size;
use crate::cli::global::Global;
use crate::cli::{exit, out, setup};
use crate::config::Environment;
use crate::report::plan::{plan_json, plan_text};
use crate::report::table::Table;
use crate::rows::export::{list, refuse_in_work_tree};
use crate::run::Refusal;
use crate::run::data::exporting;
use crate::run::data::options::{ExportWishes, export};

/// The verb.
///
/// # Errors
/// Refusals and faults before the run began.
pub async fn run(global: &Global, verb: &Export) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let source = setup.databases.side("source").map_err(Refusal::usage)?;
    let wishes = ExportWishes {
        tables: verb.table.clone(),
        skips_large: verb.skip_large,
        directory: verb.output_dir.as_ref().map(std::path::absolute).transpose()?,
        is_compressed: verb.compress,
        is_without_users: verb.skip_users,
    };
    let options = export(&config, &wishes)?;
    refuse_in_work_tree(&setup.process, &options.directory).await?;
    if !verb.dry_run {
        return go(global, &setup, "data export", false, async || exporting(&config, source, &wishes).await).await;
    }
    let mut planned = exporting(&config, source, &wishes).await?;
    planned.plan.clean(&setup.redactor);
    let listing = list(source, &options).await?;
    if global.is_json() {
        let mut document = plan_json(&planned.plan);
        document["found"] = json!(listing);
        out::json(document);
        return Ok(exit::DONE);
    }
    let mut table = Table::new(&["TABLE", "ROWS, ABOUT", "SIZE", ""]);
    for one in &listing.tables {
        let rows = if one.rows_estimate < 0 { "not estimated".to_owned() } else { one.rows_estimate.to_string() };
        let word = if one.is_skipped { "left out" } else { "" };
        table.row(vec![one.table.to_string().into(), rows.into(), spoken_size(one.bytes).into(), word.into()]);
    }
    let style = setup::style(global, &Environment::of_process(), out::is_result_shown());
    out::result(&format!("{}\n{}", plan_text(&planned.plan, &style), table.text(&style, 0)));
    Ok(exit::DONE)
}
