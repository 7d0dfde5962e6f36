//! Runbooks: checked, rendered, planned, run; checkpoints and their approvals.

pub mod approve;
pub mod arguments;
mod bound;
pub(super) mod built_ins;
mod cook;
mod isolation;
mod kitchen;
mod mailbox;
pub mod record;
pub mod rehearse;
mod render;
pub mod run;
mod sides;
mod stacks;
pub mod waiting;
mod write_copy;

use anyhow::Result;

use self::arguments::{RunbookVerb, What};
use super::global::Global;
use super::{exit, out};

/// `runbook`.
///
/// # Errors
/// Every problem of the file.
pub fn look(global: &Global, verb: &RunbookVerb) -> Result<u8> {
    match &verb.what {
        What::Check { runbook } => {
            let checked = cook::read(runbook)?;
            if global.is_json() {
                out::json(serde_json::json!({
                    "schema": "cutover/v1", "valid": true, "runbook": checked.name,
                    "entries": checked.entries().map(|entry| &entry.name).collect::<Vec<_>>(),
                }));
            } else {
                out::result(&format!("{} is valid", runbook.display()));
            }
        }
        What::Render { runbook } => {
            let page = render::markdown(&cook::read(runbook)?, &runbook.display().to_string());
            match global.is_json() {
                true => out::json(serde_json::json!({ "schema": "cutover/v1", "markdown": page })),
                false => out::result(&page),
            }
        }
        What::List => list(global),
    }
    Ok(exit::DONE)
}

fn list(global: &Global) {
    let all = built_ins::all();
    if global.is_json() {
        let one = |row: &built_ins::BuiltIn| {
            serde_json::json!({ "name": row.known.name, "is_gate": row.known.is_gate, "settings": row.known.settings,
                                "needs": row.known.needs, "does": row.known.doc, "known_later": row.later })
        };
        out::json(serde_json::json!({ "schema": "cutover/v1", "built_ins": all.iter().map(one).collect::<Vec<_>>() }));
        return;
    }
    let mut table = crate::report::table::Table::new(&["KIND", "NAME", "SETTINGS", "WHAT IT DOES"]);
    for row in all {
        let kind = if row.known.is_gate { "gate" } else { "step" };
        let cells =
            [kind.to_owned(), row.known.name.to_owned(), row.known.settings.join(", "), row.known.doc.to_owned()];
        table.row(cells.map(crate::report::table::Cell::from).to_vec());
    }
    let environment = crate::config::Environment::of_process();
    let style = super::setup::style(global, &environment, out::is_result_shown());
    out::result(&table.text(&style, 0));
}
