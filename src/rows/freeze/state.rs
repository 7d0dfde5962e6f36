//! What is there: open, frozen, half frozen, or frozen by somebody else. Read from the catalog, never from the record.

use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{Frozen, guard, recorded_in_the_database, settings};
use crate::adapter::database::Place;

/// What a look at the database found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "why")]
pub enum FreezeState {
    /// No layer stands.
    Open,
    /// Every layer stands.
    Frozen,
    /// Some do; says which do not.
    Partial(String),
    /// A freeze that is not the recorded one.
    Foreign(String),
}

impl fmt::Display for FreezeState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => formatter.write_str("open"),
            Self::Frozen => formatter.write_str("frozen"),
            Self::Partial(why) => write!(formatter, "partly frozen: {why}"),
            Self::Foreign(why) => write!(formatter, "frozen by somebody else: {why}"),
        }
    }
}

/// Looks at every layer. `recorded` is the freeze that is expected there, if any.
///
/// # Errors
/// When the database cannot be read.
pub async fn state(place: &Place, recorded: Option<&Frozen>) -> Result<FreezeState> {
    let session = place.connect("cutover").await?;
    let kept = recorded_in_the_database(&session).await?;
    let is_function_there = guard::is_any_left(&session).await?;
    if let Some(kept) = &kept
        && recorded.is_none_or(|recorded| recorded.id != kept.id)
    {
        return Ok(FreezeState::Foreign(format!("{} since {}", kept.id, kept.begun_at)));
    }
    let Some(recorded) = recorded else {
        return Ok(if is_function_there {
            FreezeState::Foreign("triggers of a freeze without a record".into())
        } else {
            FreezeState::Open
        });
    };
    let settings = settings::read(&session).await?;
    let tables = guard::tables(&session).await?;
    let mut missing = Vec::new();
    if !settings.database.as_deref().is_some_and(settings::is_on) {
        missing.push("the database's default is not read-only".to_owned());
    }
    let roles = settings.roles.iter().filter(|role| !role.is_read_only() && !recorded.is_gap("role", &role.role));
    missing.extend(roles.map(|role| format!("the role {} writes by default", role.role)));
    let open = tables.iter().filter(|table| !table.is_guarded);
    let open: Vec<String> = open.map(|table| table.name.to_string()).collect();
    let unguarded: Vec<&str> =
        open.iter().map(String::as_str).filter(|name| !recorded.is_gap("table", name)).take(5).collect();
    if !unguarded.is_empty() {
        missing.push(format!("writes are not refused by {}", unguarded.join(", ")));
    }
    if kept.is_none() {
        missing.push("_cutover.freeze is not there".to_owned());
    }
    let is_default_as_before = settings.database == recorded.default_before;
    let are_roles_as_before = recorded.roles.iter().all(|old| {
        let now = settings.roles.iter().find(|role| role.role == old.role);
        now.and_then(|role| role.here()) == old.before.as_deref()
    });
    if kept.is_none() && !is_function_there && is_default_as_before && are_roles_as_before {
        return Ok(FreezeState::Open);
    }
    Ok(if missing.is_empty() { FreezeState::Frozen } else { FreezeState::Partial(missing.join("; ")) })
}
