//! What filling a target means to a run, whether from files or from a source: on which side it is, and the way back.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{RunTag, Say, Undone, World};
use crate::adapter::clock::{self, Stopwatch};
use crate::adapter::database::Place;
use crate::adapter::files;
use crate::data::moved::{Moved, MovedTable};
use crate::data::plural::counted;
use crate::rows::backup::{self, Freshness};
use crate::rows::filling::Filling;
use crate::rows::freeze;
use crate::rows::import::{self, ImportState, Imported, is_interrupted};
use crate::rows::sessions;

/// How often a filling whose connections were lost goes on by itself.
const TRIES: u32 = 5;
/// How long a server that is away is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(200);

/// Both sides of a filling.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Sides {
    /// The target, as it is shown.
    pub target: String,
    /// What is filled in is known by this; none where the plan was made before the files were: then it is read when the
    /// step begins, and kept beside the journal.
    pub identity: Option<String>,
    /// What the target held when the plan was made is known by this; none where no import was recorded there.
    pub from: Option<String>,
    /// Where backups are; the one that is named by the filling is looked at before a row is removed.
    pub backups: PathBuf,
    /// The run that filled it, where another one undoes it.
    #[serde(default)]
    pub run: Option<u32>,
}

/// What is kept beside the journal when a filling begins.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    /// What is filled in.
    pub identity: String,
    /// When, RFC 3339.
    pub at: String,
}

impl Sides {
    fn file(&self, run: &RunTag, kind: &str) -> PathBuf {
        let side = self.run.map_or_else(|| run.side.clone(), |number| run.beside(number));
        side.join(format!("{kind}.json"))
    }

    /// What was kept when it began, if it did.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn begun(&self, run: &RunTag, kind: &str) -> Result<Option<Begun>> {
        let path = self.file(run, kind);
        if path.exists() { files::read_json(&path).map(Some) } else { Ok(None) }
    }

    /// On which side the target is. `now` reads what would be filled in, where neither plan nor journal say it.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub async fn world(
        &self,
        target: &Place,
        filling: &Filling,
        begun: Option<&Begun>,
        now: impl AsyncFnOnce() -> Result<String>,
    ) -> Result<World> {
        let identity = match (begun, &self.identity) {
            (Some(begun), _) => begun.identity.clone(),
            (None, Some(identity)) => identity.clone(),
            (None, None) => now().await?,
        };
        let shown = &self.target;
        Ok(match import::state(target, filling, &identity).await? {
            // The same was filled in before, and is to be emptied first: what was written there since goes with it.
            ImportState::Complete { began_at, .. } if is_of_before(filling, begun, began_at.as_deref())? => {
                World::Before(format!("{shown} holds what an earlier import of the same brought"))
            }
            ImportState::Complete { imported, .. } => {
                let rows: u64 = imported.tables.iter().map(|table| table.rows).sum();
                let tables = spoken_tables(imported.tables.len());
                World::After(format!("{shown} holds {} of {tables}, keys and sequences in place", counted(rows, "row")))
            }
            // Whoever is at work there is not this run, which writes down first that it begins.
            ImportState::Partial if begun.is_none() && is_held(target, filling).await? => {
                World::Before(format!("another run is filling {shown}"))
            }
            ImportState::Partial => World::Between(format!("{shown} is partly filled")),
            ImportState::Untouched if begun.is_some() && filling.is_truncating_first => {
                World::Between(format!("{shown} holds none of it; what its tables held is in the backup"))
            }
            ImportState::Untouched => World::Before(format!("{shown} holds none of it")),
            ImportState::Foreign { identity, is_complete, .. }
                if Some(&identity) == self.from.as_ref() && is_complete =>
            {
                World::Before(format!("{shown} holds what an earlier import brought"))
            }
            ImportState::Foreign { why, .. } => World::Foreign(why),
        })
    }

    /// Writes down that it begins; what must be true before a row is removed is looked at once more.
    ///
    /// # Errors
    /// When what is to be filled in is not what the plan was made for, or the backup does not hold what stands there.
    pub async fn begin(
        &self,
        target: &Place,
        filling: &Filling,
        run: &RunTag,
        kind: &str,
        identity: String,
        say: Say<'_>,
    ) -> Result<Begun> {
        if self.identity.as_ref().is_some_and(|planned| *planned != identity) {
            bail!("the files, the mapping or the settings changed since the plan was made; make a new plan");
        }
        if let Some(begun) = self.begun(run, kind)? {
            if begun.identity != identity {
                bail!(
                    "the files, the mapping or the settings changed since this run began; put them back, or roll back"
                );
            }
            return Ok(begun);
        }
        if let Some(why) = self.lacks_backup(target, filling, say).await? {
            bail!("{why}");
        }
        clear(filling)?;
        let begun = Begun { identity, at: clock::now() };
        files::make_private_directory(&run.side)?;
        files::write_json(&self.file(run, kind), &begun, 0o600)?;
        Ok(begun)
    }

    /// What was done, or why not. Where another one was filling the target, this run has begun nothing, and must not take
    /// back what is not its own.
    ///
    /// # Errors
    /// That of the work.
    pub fn ended(&self, run: &RunTag, kind: &str, was_begun: bool, done: Result<Imported>) -> Result<Imported> {
        if let Err(error) = &done
            && !was_begun
            && error.chain().any(|cause| cause.is::<import::Held>())
        {
            files::remove_if_there(&self.file(run, kind))?;
        }
        done
    }

    /// Whether some row that is to be removed is in no backup that was restored on trial; says why, and what to do. Looked at
    /// when the plan is made, and once more before a row is removed.
    ///
    /// # Errors
    /// When there is no such backup, or the target cannot be read.
    pub async fn lacks_backup(&self, target: &Place, filling: &Filling, say: Say<'_>) -> Result<Option<String>> {
        if !filling.is_truncating_first {
            return Ok(None);
        }
        let id = filling.backup_token.as_deref().unwrap_or_default();
        let token = backup::read_token(&self.backups, id)?;
        Ok(match backup::is_fresh(&token, target, filling.workers, &filling.session, say).await? {
            Freshness::Fresh => None,
            Freshness::Stale(why) => Some(format!("{why}: cutover backup create")),
        })
    }

    /// Takes back what it filled in, and nothing that another one did.
    ///
    /// # Errors
    /// In the words of the import.
    pub async fn undo(
        &self,
        target: &Place,
        filling: &Filling,
        begun: Option<&Begun>,
        run: &RunTag,
        say: Say<'_>,
    ) -> Result<Undone> {
        let filling = Filling { session: run.session(), ..filling.clone() };
        let Some(begun) = begun else {
            return Ok(Undone::Stays("this run had not begun to fill the target; nothing is taken back".into()));
        };
        let state = import::state(target, &filling, &begun.identity).await?;
        match state {
            ImportState::Complete { began_at, .. } if is_of_before(&filling, Some(begun), began_at.as_deref())? => {
                return Ok(Undone::Stays("this run had not begun to empty the target; nothing is taken back".into()));
            }
            ImportState::Complete { .. } | ImportState::Partial => import::undo(target, &filling, say).await?,
            ImportState::Untouched | ImportState::Foreign { .. } => {}
        }
        Ok(match &filling.backup_token {
            Some(id) if filling.is_truncating_first => Undone::Stays(format!(
                "what was filled in is taken back; what the tables held before is in the backup {id}: \
                 cutover backup restore {id}"
            )),
            _ => Undone::Back,
        })
    }
}

/// Whether what the target records is what is to be emptied first, filled in before this one began.
fn is_of_before(filling: &Filling, begun: Option<&Begun>, recorded: Option<&str>) -> Result<bool> {
    match (begun, recorded) {
        _ if !filling.is_truncating_first => Ok(false),
        (None, _) => Ok(true),
        (Some(_), None) => Ok(false),
        (Some(begun), Some(recorded)) => Ok(!freeze::is_not_after(&begun.at, recorded)?),
    }
}

async fn is_held(target: &Place, filling: &Filling) -> Result<bool> {
    Ok(import::holder(target, &filling.session).await?.is_some())
}

/// Baselines of an earlier filling say nothing of this one.
fn clear(filling: &Filling) -> Result<()> {
    let Some(directory) = &filling.baselines else { return Ok(()) };
    files::make_private_directory(directory)?;
    for entry in std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sidecar") {
            files::remove_if_there(&path)?;
        }
    }
    Ok(())
}

/// Does the work, and goes on with it where only the connection was lost: the server that was away is waited for.
///
/// # Errors
/// As the work, or when the connection is lost again and again.
pub async fn patiently<T>(
    places: &[&Place],
    session: &str,
    say: Say<'_>,
    mut work: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let mut tries = 1;
    loop {
        match work().await {
            Err(error) if tries < TRIES && is_interrupted(&error) => {
                say(format!("the connection was lost ({}); going on once the server answers", error.root_cause()));
                for place in places {
                    answers(place).await.with_context(|| format!("after it was lost ({error:#})"))?;
                    // What the server still does for the lost connection must not go on beside the next try.
                    sessions::end_named(place, session).await?;
                }
                tries += 1;
            }
            other => return other,
        }
    }
}

/// Waits until a server answers.
async fn answers(place: &Place) -> Result<()> {
    let watch = Stopwatch::start();
    loop {
        match place.connect("cutover").await {
            Ok(_) => return Ok(()),
            Err(error) => {
                if watch.left(PATIENCE).is_none() || !is_interrupted(&error) {
                    return Err(error);
                }
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

/// What was done, for the journal and the last words.
pub fn moved(imported: &Imported) -> Moved {
    let table = |table: &import::ImportedTable| MovedTable {
        table: table.table.to_string(),
        rows: table.rows,
        bytes: table.bytes,
        seconds: table.seconds,
    };
    Moved {
        tables: imported.tables.iter().map(table).collect(),
        seconds: imported.seconds,
        notes: imported.concerns.clone(),
    }
}

/// `1 table`, `4 tables`.
pub fn spoken_tables(count: usize) -> String {
    counted(count, "table")
}
