//! `cutover data …`: one file per verb. What changes a database is a run with a journal; what only reads is not.

pub mod arguments;
mod changes;
pub mod connections;
mod export;
mod fill;
mod freeze;
pub mod go;
mod purge;
mod users;
mod verify;

use anyhow::Result;

use super::global::Global;
use arguments::{Data, DataVerb};

/// The verb.
///
/// # Errors
/// Refusals and faults before a run began; a run's own failure is an exit code.
pub async fn run(global: &Global, verb: &Data) -> Result<u8> {
    match &verb.what {
        DataVerb::Connections => connections::run(global).await,
        DataVerb::Users(verb) => users::users(global, verb).await,
        DataVerb::MapUsers(verb) => users::map_users(global, verb).await,
        DataVerb::Verify(verb) => verify::run(global, verb).await,
        DataVerb::Export(verb) => export::run(global, verb).await,
        DataVerb::Import(verb) => fill::import(global, verb).await,
        DataVerb::Copy(verb) => fill::copy(global, verb).await,
        DataVerb::Purge(verb) => purge::run(global, verb),
        DataVerb::Diff(verb) => changes::diff(global, verb).await,
        DataVerb::Apply(verb) => changes::apply(global, verb).await,
        DataVerb::Freeze(verb) => freeze::freeze(global, verb).await,
        DataVerb::Unfreeze(verb) => freeze::unfreeze(global, verb).await,
    }
}
