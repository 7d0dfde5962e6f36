//! Save changes: what was written to the target since it was filled goes into a change file before anything is undone.
//!
//! Law: it is done when the file was read back whole, and its count and digest are those that were told apart.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::compared::{Against, Compared, mapping};
use super::{Databases, Reversal, RunTag, Say, World};
use crate::data::change_file::{Head, TableChanges};
use crate::data::uncompared::Uncompared;
use crate::rows::apply;
use crate::rows::diff::{self, Diff, DiffOptions};
use crate::rows::filling::Filling;
use crate::rows::freeze;
use crate::rows::import;

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct SaveChanges {
    /// Both sides, and which of their rows.
    #[serde(flatten)]
    pub compared: Compared,
    /// Where the import left the sidecars of its rows.
    pub sidecars: Option<PathBuf>,
    /// Where exports go; the changes of a run have a directory of their own there.
    pub directory: PathBuf,
    /// Whether the changes are lost instead, at a person's wish.
    #[serde(default)]
    pub is_given_up: bool,
    /// Whether a person asked for fewer tables than were filled: then nobody wants to hear of the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_narrowed: bool,
    /// The record of a freeze of the source, where the source itself is the baseline: then it has to have stood still since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still: Option<PathBuf>,
}

/// Where a change file is.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ChangesAt {
    /// There.
    File(PathBuf),
    /// Where the same run saves them, under this directory.
    Run(PathBuf),
}

impl ChangesAt {
    /// The file.
    pub fn path(&self, run: &RunTag) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Run(directory) => directory.join(beside(run.number)).join(diff::FILE),
        }
    }
}

fn beside(run: u32) -> String {
    format!("{run:04}-changes")
}

impl SaveChanges {
    /// What was written to a target since it was filled like this.
    pub fn of(against: Against, filling: &Filling, target: &str, directory: PathBuf) -> Self {
        let compared = Compared {
            against,
            target: target.to_owned(),
            include: filling.include.clone(),
            exclude: filling.exclude.clone(),
            tables: filling.tables.clone(),
            user_columns: filling.user_columns.clone(),
            unmapped: filling.unmapped.clone(),
            users_table: filling.users_table.clone(),
            mapping: filling.mapping.clone(),
            workers: filling.workers,
        };
        Self {
            compared,
            sidecars: filling.baselines.clone(),
            directory,
            is_given_up: false,
            is_narrowed: false,
            still: None,
        }
    }

    /// Refuses where somebody wrote to the target since it was filled: a run that goes back by itself saves nothing.
    ///
    /// # Errors
    /// When it was written to, or that cannot be told.
    pub async fn expect_nothing(&self, databases: &Databases, run: &RunTag, say: Say<'_>) -> Result<()> {
        let session = databases.shown(&self.compared.target)?.connect(&run.session()).await?;
        if !import::recorded(&session).await?.is_some_and(|recorded| recorded.is_complete) {
            return Ok(());
        }
        let found = self.make(databases, &self.directory(run), &run.session(), say).await;
        let head = found.with_context(|| {
            format!(
                "whether {} was written to since it was filled cannot be told, so its rows are not taken back",
                self.compared.target
            )
        })?;
        if head.head.all() == 0 {
            return Ok(());
        }
        bail!(
            "{} was written to since it was filled: {}; its rows are not taken back, for `cutover rollback` saves those \
             first",
            self.compared.target,
            counted(&head.head)
        );
    }

    fn options(&self, directory: &Path, session: &str) -> Result<DiffOptions> {
        Ok(DiffOptions {
            tables: self.compared.patterns()?,
            all: if self.is_narrowed { self.compared.patterns()? } else { self.compared.all()? },
            users: self.compared.users()?,
            mapping: mapping(self.compared.mapping.as_deref())?,
            sidecars: self.sidecars.clone(),
            directory: directory.to_owned(),
            workers: self.compared.workers,
            session_name: session.to_owned(),
        })
    }

    /// Whether the source is still what the target was filled from, where it is the baseline: a row that was written to the
    /// source since would look like one that was deleted in the target. Says why not.
    ///
    /// # Errors
    /// When the source or the target cannot be asked.
    pub async fn moved_since(&self, databases: &Databases, session: &str) -> Result<Option<String>> {
        let (Some(record), Against::Place(source)) = (&self.still, &self.compared.against) else { return Ok(None) };
        let target = &self.compared.target;
        let since = freeze::frozen_since(databases.shown(source)?, record).await?;
        let connection = databases.shown(target)?.connect(session).await?;
        let began = import::recorded(&connection).await?.and_then(|recorded| recorded.began_at);
        let is_still = match (&since, &began) {
            (Some(since), Some(began)) => freeze::is_not_after(since, began)?,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let now =
            since.map_or_else(|| "takes writes again".to_owned(), |since| format!("is frozen only since {since}"));
        let began = began.map_or_else(String::new, |began| format!(" at {began}"));
        Ok((!is_still).then(|| {
            format!(
                "{target} was copied{began} from {source}, which was frozen then and {now}: what was written to {target} can \
                 no longer be told apart from what was written to {source}, so nothing is carried from one to the other; \
                 compare them (cutover data verify), and write by hand what is missing"
            )
        }))
    }

    /// Tells the changes apart and writes them into a directory.
    ///
    /// # Errors
    /// When a side cannot be read, the baseline moved, or what was found does not add up: then there is no change file.
    pub async fn make(&self, databases: &Databases, directory: &Path, session: &str, say: Say<'_>) -> Result<Diff> {
        if let Some(why) = self.moved_since(databases, session).await? {
            bail!("{why}");
        }
        let baseline = self.compared.source(databases)?;
        let target = databases.shown(&self.compared.target)?;
        let found = diff::diff(&baseline, target, &self.options(directory, session)?, say).await?;
        let kept = apply::read(&found.file, |_, _| Ok(()))?;
        if kept != found.head {
            bail!("{} is not what was written; look at the disk", found.file.display());
        }
        Ok(found)
    }

    fn directory(&self, run: &RunTag) -> PathBuf {
        self.directory.join(beside(run.number))
    }

    /// Whether this run's change file is there, whole.
    ///
    /// # Errors
    /// When it is there and cannot be read to its end.
    pub fn check(&self, run: &RunTag) -> Result<World> {
        if self.is_given_up {
            return Ok(World::After(format!(
                "given up: what was written to {} since it was filled",
                self.compared.target
            )));
        }
        let file = self.directory(run).join(diff::FILE);
        if !file.exists() {
            return Ok(World::Before(format!("{} is not there", file.display())));
        }
        let head = apply::read(&file, |_, _| Ok(()))?;
        let words = format!("{} since the import, read back whole from {}", counted(&head), file.display());
        Ok(World::After(words))
    }

    /// Everything, unless the changes are given up.
    pub fn reversal(&self) -> Reversal {
        match self.is_given_up {
            true => Reversal::Lossy(format!(
                "what was written to {} since it was filled is not saved",
                self.compared.target
            )),
            false => Reversal::Exact,
        }
    }

    /// Tells the changes apart, and saves them.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub async fn run(&self, databases: &Databases, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let directory = self.directory(run);
        let found = self.make(databases, &directory, &run.session(), say).await?;
        let file = format!("{}/{}", beside(run.number), diff::FILE);
        let tables: Vec<Value> =
            found.head.tables.iter().filter(|table| table.all() > 0).map(|table| facts(&directory, table)).collect();
        let sum = |count: fn(&TableChanges) -> u64| found.head.tables.iter().map(count).sum::<u64>();
        Ok(json!({
            "file": file, "sha256": found.head.sha256, "inserted": sum(|table| table.inserted),
            "updated": sum(|table| table.updated), "deleted": sum(|table| table.deleted), "tables": tables,
            "notInTheBaseline": uncompared(&found.head),
        }))
    }
}

/// A table's changes for programs; where there are any, with the file for people.
pub fn facts(directory: &Path, table: &TableChanges) -> Value {
    let csv = (table.all() > 0).then(|| directory.join(format!("{}.csv", table.table.stem())));
    json!({
        "table": table.table.to_string(), "inserted": table.inserted, "updated": table.updated, "deleted": table.deleted,
        "rowsBefore": table.before.rows, "rowsAfter": table.after.rows, "csv": csv,
    })
}

/// What the baseline does not have, for programs.
pub fn uncompared(head: &Head) -> Vec<Value> {
    let value = |one: &Uncompared| json!({ "table": one.table.to_string(), "columns": one.columns, "rows": one.rows, "words": one.words() });
    head.uncompared.iter().map(value).collect()
}

/// `3 changes (1 inserted, 2 updated, 0 deleted)`.
pub fn counted(head: &Head) -> String {
    let sum = |count: fn(&TableChanges) -> u64| head.tables.iter().map(count).sum::<u64>();
    let all = match head.all() {
        0 => return "no change".to_owned(),
        1 => "1 change".to_owned(),
        all => format!("{all} changes"),
    };
    let (inserted, updated) = (sum(|table| table.inserted), sum(|table| table.updated));
    format!("{all} ({inserted} inserted, {updated} updated, {} deleted)", sum(|table| table.deleted))
}
