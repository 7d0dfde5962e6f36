//! Expect frozen: writes of every kind are attempted and refused, and the counters of the server stand still.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Say, Seen};
use crate::adapter::database::Place;
use crate::data::plural::counted;
use crate::rows::freeze::{self, FreezeOptions};

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectFrozen {
    /// The database, as it is shown.
    pub place: String,
    /// How it was frozen.
    pub options: FreezeOptions,
}

impl ExpectFrozen {
    /// Attempts writes and looks at the counters.
    ///
    /// # Errors
    /// When an attempt could not be made: that proves nothing.
    pub async fn ask(&self, place: &Place, say: Say<'_>) -> Result<Seen> {
        let Some(frozen) = freeze::read_record(&self.options.record)? else {
            let words = format!("{} was not frozen; freeze it first: cutover data freeze", self.place);
            return Ok(Seen { answer: Answer::Refused, words, data: Value::Null });
        };
        let proof = freeze::prove(place, &frozen, say).await?;
        let data = json!({ "attempts": proof.attempts, "accepted": proof.accepted, "moved": proof.moved });
        if proof.is_frozen() {
            let words = format!(
                "{} attempted on {}, all refused; the counters stand still since {}",
                counted(proof.attempts, "write"),
                counted(proof.tables, "table"),
                frozen.frozen_at.as_deref().unwrap_or("?")
            );
            return Ok(Seen { answer: Answer::Passed, words, data });
        }
        let some = |what: &str, list: &[String]| {
            let shown: Vec<&str> = list.iter().take(5).map(String::as_str).collect();
            let more = list.len().saturating_sub(shown.len());
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            if list.is_empty() { String::new() } else { format!("{what}: {}{more}", shown.join("; ")) }
        };
        let parts = [some("accepted", &proof.accepted), some("moved since the freeze", &proof.moved)];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        // What moved stays moved: only a freeze that begins anew has counters that stand still.
        let cure = "`cutover data unfreeze`, then `cutover data freeze`, begins anew";
        let words = format!("{} is not frozen; {}; {cure}", self.place, parts.join("; "));
        Ok(Seen { answer: Answer::Refused, words, data })
    }
}
