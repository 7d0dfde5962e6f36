//! Freeze source: nobody writes to the database that is being left any more; undone exactly, by what was written down.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RunTag, Say, Undone, World};
use crate::adapter::database::Place;
use crate::rows::freeze::{self, FreezeOptions, FreezeState, Frozen, Phase};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct FreezeSource {
    /// The database, as it is shown.
    pub place: String,
    /// How; the record of what was there before is named in it.
    pub options: FreezeOptions,
}

impl FreezeSource {
    fn recorded(&self) -> Result<Option<Frozen>> {
        Ok(freeze::read_record(&self.options.record)?.filter(|frozen| frozen.phase != Phase::Undone))
    }

    fn options(&self, run: &RunTag) -> FreezeOptions {
        FreezeOptions { session: run.session(), ..self.options.clone() }
    }

    /// Looks at every layer of the freeze in the database itself.
    ///
    /// # Errors
    /// When the database or the record cannot be read.
    pub async fn check(&self, place: &Place) -> Result<World> {
        let recorded = self.recorded()?;
        let shown = &self.place;
        Ok(match freeze::state(place, recorded.as_ref()).await? {
            FreezeState::Open if recorded.is_some() => {
                World::Between(format!("{shown} is open, although a record of a freeze stands"))
            }
            FreezeState::Open => World::Before(format!("{shown} takes writes")),
            // Killed between the last layer and the counters, it refuses writes, and nobody could prove that it did.
            FreezeState::Frozen => match recorded.and_then(|frozen| frozen.frozen_at) {
                Some(at) => World::After(format!("{shown} refuses every write, since {at}")),
                None => World::Between(format!("{shown} refuses every write, and since when was not written down")),
            },
            FreezeState::Partial(why) => World::Between(format!("{shown} is partly frozen: {why}")),
            FreezeState::Foreign(why) => World::Foreign(format!("{shown} was frozen by somebody else: {why}")),
        })
    }

    /// Freezes, layer by layer.
    ///
    /// # Errors
    /// In the words of the freeze.
    pub async fn run(&self, place: &Place, run: &RunTag, say: Say<'_>) -> Result<Value> {
        let frozen = freeze::freeze(place, &self.options(run), say).await?;
        serde_json::to_value(frozen).context("cannot put the freeze into JSON")
    }

    /// Takes every layer away.
    ///
    /// # Errors
    /// In the words of the freeze.
    pub async fn undo(&self, place: &Place, run: &RunTag, say: Say<'_>) -> Result<Undone> {
        freeze::unfreeze(place, &self.options(run), say).await?;
        Ok(Undone::Back)
    }
}
