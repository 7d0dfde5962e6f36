//! The list of `maintenance`: the file is put or taken away, and then a visitor's answer is looked at.

use anyhow::Result;

use super::Refusal;
use super::deploy::Planned;
use super::list::item;
use crate::adapter::switch;
use crate::config::Config;
use crate::step::Act;
use crate::step::expect_maintenance::ExpectMaintenance;
use crate::step::plan::{Item, Plan, RunKind};
use crate::step::set_maintenance::{SetMaintenance, page, shown};

/// How long visitors may be answered otherwise, seconds: Caddy reads the file at every request.
const SEEN_S: u64 = 10;

/// The switching as acts: the file, and what visitors get.
pub fn acts(url: &str, step: SetMaintenance, message: Option<&str>) -> Vec<Item> {
    let page = step.to.is_some().then(|| shown(message));
    let (title, seen) = match page {
        Some(_) => ("show the page with 503 and Retry-After", "visitors get 503 with the page"),
        None => ("show the application again", "visitors get the application"),
    };
    let directory = step.directory.clone();
    let gate = ExpectMaintenance { url: url.to_owned(), directory, page, deadline_s: SEEN_S };
    vec![
        item("set_maintenance", title.to_owned(), Act::SetMaintenance(step)),
        item("expect_maintenance", format!("{seen} at {url}"), Act::ExpectMaintenance(gate)),
    ]
}

/// The switching on (with a message, or the usual words) or off.
///
/// # Errors
/// [`Refusal`], when there is no directory for it, or it is so already.
pub fn switching(config: &Config, is_on: bool, message: Option<&str>) -> Result<Planned> {
    let directory = config.caddy.as_ref().and_then(|caddy| caddy.directory.clone()).ok_or_else(|| {
        Refusal::Usage(
            "caddy.directory is not set: it is the directory that Caddy reads at /run/cutover, and maintenance is a file \
             in it; set it, and import caddy/cutover.caddy in your Caddyfile"
                .into(),
        )
    })?;
    if !directory.is_dir() {
        let why = format!("{} is no directory, so maintenance cannot be switched there; make it", directory.display());
        return Err(Refusal::Usage(why).into());
    }
    let from = switch::maintenance(&directory)?;
    let to = is_on.then(|| page(message));
    if from == to {
        let (word, next) = if is_on {
            ("on already, with these words", "`cutover maintenance off` ends it")
        } else {
            ("off already", "`cutover maintenance on` begins it")
        };
        return Err(Refusal::Gate(format!("maintenance is {word}; {next}")).into());
    }
    let deed = match (is_on, from.is_some()) {
        (true, false) => "maintenance on",
        (true, true) => "other words for the maintenance",
        (false, _) => "maintenance off",
    };
    let mut remarks = Vec::new();
    if is_on {
        remarks.push(
            "everybody gets 503 with a page; health is asked at the containers, and the identity still answers".into(),
        );
    }
    let url = config.caddy.as_ref().map(|caddy| caddy.url.to_string()).unwrap_or_default();
    let empty = Plan::empty(RunKind::Maintenance, config.compose_project(), &config.project.environment);
    let items = acts(&url, SetMaintenance { directory, from, to }, message);
    let plan = Plan { deed: Some(deed.to_owned()), remarks, items, ..empty };
    Ok(Planned { plan, files: Vec::new() })
}
