//! Export rows: every chosen table of the source in one snapshot, as files. They stay when the run is undone.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::filling::{patiently, spoken_tables};
use super::{Databases, RunTag, Say, World};
use crate::adapter::clock::Stopwatch;
use crate::adapter::database::Place;
use crate::adapter::files;
use crate::adapter::process::Process;
use crate::data::metadata::{self, Metadata};
use crate::data::moved::{Moved, MovedTable};
use crate::data::plural::counted;
use crate::rows::{export, freeze};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExportRows {
    /// The source, as it is shown.
    pub place: String,
    /// What, where to, and how.
    pub options: export::Options,
    /// The record of a freeze of the source: while it stands, what a killed export had finished is kept.
    pub freeze: PathBuf,
    /// SHA-256 of the `metadata.json` that was there when the plan was made: that of an older export.
    pub from: Option<String>,
}

/// SHA-256 of the `metadata.json` in a directory, where there is one.
///
/// # Errors
/// When it cannot be read.
pub fn standing(directory: &std::path::Path) -> Result<Option<String>> {
    let path = directory.join(metadata::FILE);
    if path.exists() { Ok(Some(files::sha256_of_file(&path)?.0)) } else { Ok(None) }
}

impl ExportRows {
    /// Looks which export the directory holds.
    ///
    /// # Errors
    /// When its description cannot be read.
    pub fn check(&self) -> Result<World> {
        let directory = &self.options.directory;
        let shown = directory.display();
        Ok(match standing(directory)? {
            now if now == self.from && now.is_some() => World::Before(format!("{shown} holds an older export")),
            None if self.from.is_some() => World::Between(format!("the older export in {shown} was removed")),
            None if export::unfinished_since(directory)?.is_some() => {
                World::Between(format!("an export in {shown} is unfinished"))
            }
            None => World::Before(format!("{shown} holds no export")),
            Some(_) => self.newer()?,
        })
    }

    /// An export that is not the one of the plan's time: this step's, if it is of the same source.
    fn newer(&self) -> Result<World> {
        let directory = &self.options.directory;
        let shown = directory.display();
        let found: Metadata = files::read_json(&directory.join(metadata::FILE))?;
        if !found.is_ours() || found.source.as_deref() != Some(&self.place) {
            let from = found.source.unwrap_or_else(|| "another tool".into());
            return Ok(World::Foreign(format!("{shown} holds files of {from}")));
        }
        let rows: u64 = found.tables.values().filter_map(|table| table.row_count).sum();
        let at = found.exported_at.as_deref().unwrap_or("?");
        Ok(World::After(format!(
            "{shown} holds {} of {}, of one snapshot at {at}",
            counted(rows, "row"),
            spoken_tables(found.tables.len())
        )))
    }

    /// Exports; what a killed call had finished is kept only where the source stands still since before that call.
    ///
    /// # Errors
    /// In the words of the export; what it had written is removed then.
    pub async fn run(&self, databases: &Databases, process: &Process, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let place = databases.shown(&self.place)?;
        let watch = Stopwatch::start();
        let work = async || {
            let is_frozen = self.is_frozen(place).await?;
            let options = export::Options { is_frozen, session: run.session(), ..self.options.clone() };
            export::export(place, process, &options, say).await
        };
        let metadata = patiently(&[place], &run.session(), say, work).await?;
        Ok(moved(&metadata, watch.elapsed().as_secs_f64()).for_journal())
    }

    async fn is_frozen(&self, place: &Place) -> Result<bool> {
        match export::unfinished_since(&self.options.directory)? {
            Some(begun) => freeze::is_frozen_since(place, &self.freeze, &begun).await,
            None => Ok(false),
        }
    }
}

fn moved(metadata: &Metadata, seconds: f64) -> Moved {
    let table = |(stem, table): (&String, &metadata::TableMetadata)| MovedTable {
        table: table.table.as_ref().map_or_else(|| stem.clone(), ToString::to_string),
        rows: table.row_count.unwrap_or_default(),
        bytes: table.bytes.unwrap_or_default(),
        seconds: table.duration_ms.unwrap_or_default() as f64 / 1000.0,
    };
    let mut notes: Vec<String> =
        metadata.skipped.iter().map(|skipped| format!("{} was left out: {}", skipped.table, skipped.why)).collect();
    notes
        .extend(metadata.users.as_ref().map(|users| format!("{} in {}", counted(users.row_count, "user"), users.file)));
    let secrets = metadata.users.as_ref().and_then(|users| users.secrets_file.as_ref());
    notes.extend(secrets.map(|file| {
        format!("password hashes are in {file}; remove them once the accounts are made: cutover data purge")
    }));
    Moved { tables: metadata.tables.iter().map(table).collect(), seconds, notes }
}
