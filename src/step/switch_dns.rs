//! Switch DNS: whole record sets are brought from one side to the other; the old ones stand in the plan, so the way back
//! never holds a placeholder.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Say, Undone, World};
use crate::adapter::clock::{Stopwatch, spoken};
use crate::dns::provider::{self, Credentials, Keeper, SetChange, SetSide};

/// Between two looks while a person is at work.
const PACE: Duration = Duration::from_secs(3);

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct SwitchDns {
    /// The zone.
    pub zone: String,
    /// Who keeps its records.
    pub keeper: Keeper,
    /// What changes.
    pub changes: Vec<SetChange>,
    /// The longest wait for a person, seconds.
    pub deadline_s: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    From,
    To,
    Neither,
}

fn stand(change: &SetChange, now: &SetSide) -> Stand {
    // Where the values are the same on both sides, the TTL is what changes.
    let is =
        |side: &SetSide| side.values == now.values && (change.from.values != change.to.values || side.ttl == now.ttl);
    match (is(&change.to), is(&change.from)) {
        (true, _) => Stand::To,
        (_, true) => Stand::From,
        _ => Stand::Neither,
    }
}

fn values(side: &SetSide) -> String {
    if side.values.is_empty() { "none".into() } else { side.values.iter().cloned().collect::<Vec<_>>().join(", ") }
}

impl SwitchDns {
    /// Asks whoever keeps the records.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn check(&self, with: &Credentials) -> Result<World> {
        let sets: Vec<(&str, &str)> =
            self.changes.iter().map(|change| (change.name.as_str(), change.kind.as_str())).collect();
        let places = provider::read(&self.keeper, &self.zone, &sets, with).await?;
        let (mut from, mut to) = (0, 0);
        let mut said = Vec::new();
        for place in &places {
            for (change, now) in self.changes.iter().zip(place) {
                match stand(change, now) {
                    Stand::From => from += 1,
                    Stand::To => to += 1,
                    Stand::Neither => {
                        return Ok(World::Foreign(format!(
                            "{} {} is {}, which is neither {} nor {}",
                            change.name,
                            change.kind,
                            values(now),
                            values(&change.from),
                            values(&change.to)
                        )));
                    }
                }
                said.push(format!("{} {} is {}", change.name, change.kind, values(now)));
            }
        }
        said.sort();
        said.dedup();
        let said = said.join("; ");
        Ok(match (from, to) {
            (0, _) => World::After(said),
            (_, 0) => World::Before(said),
            _ => World::Between(said),
        })
    }

    /// Changes the records, or tells a person how and waits.
    ///
    /// # Errors
    /// When whoever keeps them refuses or does not answer, or the person's time is over.
    pub async fn run(&self, with: &Credentials, say: Say<'_>) -> Result<Value> {
        self.bring(with, |change| &change.to, say).await?;
        Ok(json!({ "zone": self.zone, "changes": self.changes }))
    }

    /// Changes them back.
    ///
    /// # Errors
    /// As [`SwitchDns::run`].
    pub async fn undo(&self, with: &Credentials, say: Say<'_>) -> Result<Undone> {
        self.bring(with, |change| &change.from, say).await?;
        Ok(Undone::Back)
    }

    async fn bring(&self, with: &Credentials, pick: fn(&SetChange) -> &SetSide, say: Say<'_>) -> Result<()> {
        if !matches!(self.keeper, Keeper::Manual(_)) {
            return provider::write(&self.keeper, &self.zone, &self.changes, pick, with).await;
        }
        provider::instructions(&self.zone, &self.changes, pick).into_iter().for_each(say);
        let watch = Stopwatch::start();
        let deadline = Duration::from_secs(self.deadline_s);
        loop {
            let missing = self.missing(with, pick).await?;
            if missing.is_empty() {
                return Ok(());
            }
            if watch.left(deadline).is_none() {
                bail!(
                    "after {} the authorities do not show it yet: {}; `cutover resume` waits on",
                    spoken(deadline),
                    missing.join("; ")
                );
            }
            say(format!("waiting for the authorities to show it: {}", missing.join("; ")));
            tokio::time::sleep(PACE).await;
        }
    }

    async fn missing(&self, with: &Credentials, pick: fn(&SetChange) -> &SetSide) -> Result<Vec<String>> {
        let sets: Vec<(&str, &str)> =
            self.changes.iter().map(|change| (change.name.as_str(), change.kind.as_str())).collect();
        let places = provider::read(&self.keeper, &self.zone, &sets, with).await?;
        let mut missing: Vec<String> = places
            .iter()
            .flat_map(|place| self.changes.iter().zip(place))
            .filter(|(change, now)| pick(change).values != now.values)
            .map(|(change, now)| format!("{} {} is {}", change.name, change.kind, values(now)))
            .collect();
        missing.sort();
        missing.dedup();
        Ok(missing)
    }
}
