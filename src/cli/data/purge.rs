//! `data purge`: removes what must not stay. It changes no database, so it is no run; the lock is taken all the same.

use std::path::Path;

use anyhow::Result;

use super::arguments::Purge;
use super::go::prepare;
use crate::cli::carry::{nothing_open, take_lock};
use crate::cli::confirm::{confirm_phrase, confirm_plainly};
use crate::cli::global::Global;
use crate::cli::{exit, out};
use crate::report::SCHEMA;
use crate::rows::purge::{Purged, purge, would_purge};

/// The verb.
///
/// # Errors
/// When the answer was no, or a file cannot be removed.
pub fn run(global: &Global, verb: &Purge) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let directory = match &verb.output_dir {
        Some(directory) => std::path::absolute(directory)?,
        None => config.data.directory.clone(),
    };
    let (shown, environment) = (directory.display(), &config.project.environment);
    if verb.dry_run {
        told(global, &directory, &would_purge(&directory, verb.all)?);
        return Ok(exit::DONE);
    }
    let lock = take_lock(&setup.state, "data purge")?;
    nothing_open(&setup.state)?;
    if verb.all {
        let why = format!("the exported tables, users and reports in {shown} are removed; a rollback may need them");
        confirm_phrase(global, &format!("purge {environment}"), &why)?;
    } else {
        confirm_plainly(global, &format!("In {environment}: remove the password hashes from {shown}?"))?;
    }
    let purged = purge(&directory, verb.all)?;
    drop(lock);
    told(global, &directory, &purged);
    Ok(exit::DONE)
}

fn told(global: &Global, directory: &Path, purged: &Purged) {
    let (shown, is_dry) = (directory.display(), purged.is_only_looked_at);
    if global.is_json() {
        out::json(serde_json::json!({ "schema": SCHEMA, "directory": directory, "dryRun": is_dry, "purged": purged }));
        return;
    }
    let mut text = match (purged.removed.len(), is_dry) {
        (0, _) => format!("nothing is there to remove in {shown}\n"),
        (_, true) => format!("would be removed from {shown}: {}\n", purged.removed.join(", ")),
        (_, false) => format!("removed from {shown}: {}\n", purged.removed.join(", ")),
    };
    text.extend(purged.kept.iter().map(|(name, why)| format!("{name} stays: {why}\n")));
    if purged.is_directory_removed {
        text.push_str(match is_dry {
            true => "the directory would be empty then, and removed too\n",
            false => "the directory was empty then, and is gone too\n",
        });
    }
    out::result(text.trim_end());
}
