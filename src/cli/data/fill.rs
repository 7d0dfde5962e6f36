//! `data import` and `data copy`: the target filled, as a run. A dry run reads and checks everything, and changes nothing.

use anyhow::Result;

use super::arguments::{Fill, Import};
use super::go::{go, prepare};
use crate::adapter::database::Place;
use crate::cli::global::Global;
use crate::cli::setup::Setup;
use crate::cli::{exit, out, setup};
use crate::config::{Config, Environment};
use crate::report::moved::{moved_json, moved_text};
use crate::report::plan::{plan_json, plan_text};
use crate::rows::copy::{self, copy as copy_rows};
use crate::rows::filling::Filling;
use crate::rows::import::{self, Imported, import as import_rows};
use crate::run::Refusal;
use crate::run::data::options::FillWishes;
use crate::run::data::{Freezing, copying, freezing_of, importing, proven_backup};
use crate::run::deploy::Planned;
use crate::step::Act;
use crate::step::filling::moved;

/// Fills the target from files.
///
/// # Errors
/// Refusals and faults before the run began.
pub async fn import(global: &Global, verb: &Import) -> Result<u8> {
    let (mut config, setup) = prepare(global)?;
    if let Some(directory) = &verb.input_dir {
        config.data.directory = std::path::absolute(directory)?;
    }
    let target = setup.databases.side("target").map_err(Refusal::usage)?;
    let source = config.source.is_some().then(|| setup.databases.side("source"));
    let freezing = freezing(&config, source, &verb.fill).await?;
    let wishes = wishes(&config, target, &verb.fill)?;
    let source = setup.databases.side("source").ok();
    let say = out::teller(global.quiet, setup.log.as_deref())?;
    let plan = async || importing(&config, source, target, &freezing, &wishes, &say).await;
    if !verb.fill.dry_run {
        return go(global, &setup, "data import", false, plan).await;
    }
    let planned = plan().await?;
    let mut seen = Imported { tables: Vec::new(), sequences: 0, concerns: Vec::new(), seconds: 0.0 };
    for item in &planned.plan.items {
        if let Act::ImportRows(step) = &item.action {
            let filling = dry(&step.options.filling);
            seen = import_rows(target, &import::Options { filling, ..step.options.clone() }, &say).await?;
        }
    }
    print(global, &setup, planned, &seen)
}

/// Fills the target from the source.
///
/// # Errors
/// As [`import`].
pub async fn copy(global: &Global, verb: &Fill) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let source = setup.databases.side("source").map_err(Refusal::usage)?;
    let target = setup.databases.side("target").map_err(Refusal::usage)?;
    let freezing = freezing(&config, Some(Ok(source)), verb).await?;
    let wishes = wishes(&config, target, verb)?;
    let say = out::teller(global.quiet, setup.log.as_deref())?;
    let plan = async || copying(&config, source, target, &freezing, &wishes, &say).await;
    if !verb.dry_run {
        return go(global, &setup, "data copy", false, plan).await;
    }
    let planned = plan().await?;
    let mut seen = Imported { tables: Vec::new(), sequences: 0, concerns: Vec::new(), seconds: 0.0 };
    for item in &planned.plan.items {
        if let Act::CopyRows(step) = &item.action {
            let options = copy::Options { filling: dry(&step.filling), is_source_frozen: false };
            seen = copy_rows(source, target, &options, &say).await?;
        }
    }
    print(global, &setup, planned, &seen)
}

/// A dry run shows what would be done even where the source still takes writes, and says that it does.
async fn freezing(config: &Config, source: Option<Result<&Place>>, verb: &Fill) -> Result<Freezing> {
    match freezing_of(config, source, verb.live_source).await {
        Err(error) if verb.dry_run => {
            out::say(&format!("cutover: as things stand it would be refused: {error:#}"));
            Ok(Freezing::NotAsked)
        }
        other => other,
    }
}

fn dry(filling: &Filling) -> Filling {
    Filling { is_dry_run: true, ..filling.clone() }
}

fn wishes(config: &Config, target: &Place, verb: &Fill) -> Result<FillWishes> {
    let backup = match &verb.backup {
        _ if !verb.truncate_first => None,
        Some(id) => Some(id.clone()),
        None => Some(proven_backup(config, target.shown())?),
    };
    Ok(FillWishes {
        tables: verb.table.clone(),
        unmapped: verb.allow_unmapped.clone(),
        is_without_mapping: verb.without_mapping,
        is_disabling_foreign_keys: verb.disable_fk,
        backup,
    })
}

fn print(global: &Global, setup: &Setup, mut planned: Planned, seen: &Imported) -> Result<u8> {
    planned.plan.clean(&setup.redactor);
    let seen = moved(seen);
    if global.is_json() {
        let mut document = plan_json(&planned.plan);
        document["found"] = moved_json(&seen);
        out::json(document);
    } else {
        let style = setup::style(global, &Environment::of_process(), out::is_result_shown());
        out::result(&format!("{}\n{}", plan_text(&planned.plan, &style), moved_text(&seen, &style)));
    }
    Ok(exit::DONE)
}
