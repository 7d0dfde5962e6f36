//! `dns check`: where each name stands now, changing nothing.

use anyhow::Result;

use super::arguments::Check;
use super::look::Look;
use crate::cli::arguments::{Format, Global};
use crate::cli::{exit, out, setup};
use crate::config::Environment;
use crate::judge::dns::{Verdict, before_switch};
use crate::report::dns as show;

/// The verb.
///
/// # Errors
/// When the configuration is not valid, or names no record.
pub async fn run(global: &Global, verb: &Check) -> Result<u8> {
    match (look(global, verb).await, verb.format) {
        // A monitoring system reads a plugin's exit code: what could not be asked is unknown, not a usage error.
        (Err(error), Some(Format::Nagios)) => {
            out::result(&format!("DNS UNKNOWN - {error:#}"));
            Ok(3)
        }
        (answer, _) => answer,
    }
}

async fn look(global: &Global, verb: &Check) -> Result<u8> {
    let config = setup::config(global)?;
    let look = Look::new(&config, &verb.name)?;
    let (sight, picture) = look.once().await?;
    let style = setup::style(global, &Environment::of_process(), out::is_result_shown());
    if verb.before_switch {
        let subjects = before_switch(&sight, &look.demand);
        let worst = subjects.iter().map(|subject| subject.verdict).max().unwrap_or(Verdict::Ok);
        if global.is_json() {
            out::json(serde_json::json!({ "schema": crate::report::SCHEMA, "verdict": worst, "subjects": subjects }));
        } else if subjects.is_empty() {
            out::result("every record is as configured already: there is nothing to switch");
        } else {
            out::result(show::subjects(&subjects, &style).trim_start());
        }
        return Ok(if worst <= Verdict::Ok { exit::DONE } else { exit::REFUSED });
    }
    if verb.format == Some(Format::Nagios) {
        let (text, code) = show::nagios(&picture);
        out::result(&text);
        return Ok(code);
    }
    if global.is_json() {
        out::json(show::json(&picture));
    } else {
        out::result(&show::text(&picture, &style));
    }
    Ok(if picture.is_good() { exit::DONE } else { exit::REFUSED })
}
