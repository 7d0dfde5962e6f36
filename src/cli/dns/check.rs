//! `dns check`: where each name stands now, changing nothing.

use anyhow::Result;

use super::arguments::Check;
use super::look::Look;
use crate::cli::global::{Format, Global};
use crate::cli::{exit, out, setup};
use crate::config::Environment;
use crate::dns::certificate::of_origin;
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
    let certificates = match verb.certificates {
        true => of_origin(&look.wish, |name| picture.is_at_authorities_for(name)).await?,
        false => Vec::new(),
    };
    if verb.format == Some(Format::Nagios) {
        let (text, code) = show::nagios(&picture);
        out::result(&text);
        return Ok(code);
    }
    if global.is_json() {
        let mut document = show::json(&picture);
        if verb.certificates {
            document["certificates"] = serde_json::to_value(&certificates)?;
        }
        out::json(document);
    } else {
        out::result(&(show::text(&picture, &style) + &show::certificates(&certificates, &style)));
    }
    let is_served = certificates.iter().all(|one| one.verdict <= Verdict::Warn);
    Ok(if picture.is_good() && is_served { exit::DONE } else { exit::REFUSED })
}
