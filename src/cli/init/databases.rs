//! The databases that `init` was told of: looked at for a moment, read-only. What cannot be reached is said and stops nothing.

use std::time::Duration;

use crate::adapter::database::Place;
use crate::adapter::files::spoken_size;
use crate::cli::data::connections::chosen;
use crate::cli::places;
use crate::config::{Config, Environment};
use crate::data::catalog::TableName;
use crate::data::plural::counted;
use crate::init::look::DatabaseSeen;
use crate::rows::connections::{Connection, Side, look};

/// The longest look at one database: a first configuration is no reason to wait for a network.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at both, side by side.
pub async fn seen(config: &Config, environment: &Environment) -> Vec<DatabaseSeen> {
    let databases = places::of(config, environment);
    let side = async |side: Side, is_named: bool| -> Option<DatabaseSeen> {
        if !is_named {
            return None;
        }
        let (words, remarks) = match databases.side(side.word()) {
            Ok(place) => one(config, place, side).await,
            Err(why) => (None, vec![format!("{} was not looked at: {why}", side.word())]),
        };
        Some(DatabaseSeen { table: side.word(), words, remarks })
    };
    let both = tokio::join!(side(Side::Source, config.source.is_some()), side(Side::Target, config.target.is_some()));
    [both.0, both.1].into_iter().flatten().collect()
}

/// What stands above its table, and what is worth a remark.
async fn one(config: &Config, place: &Place, side: Side) -> (Option<String>, Vec<String>) {
    let name = side.word();
    let (patterns, users) = match chosen(config) {
        Ok(chosen) => chosen,
        Err(why) => return (None, vec![format!("{name} was not looked at: {why:#}")]),
    };
    let Ok(found) = tokio::time::timeout(PATIENCE, look(place, side, &patterns, &users)).await else {
        let seconds = PATIENCE.as_secs();
        return (None, vec![format!("{name}: {} did not answer within {seconds} s", place.shown())]);
    };
    let mut remarks: Vec<String> = found
        .concerns
        .iter()
        .filter(|concern| concern.is_blocking)
        .map(|concern| format!("{name}: {}: {}", concern.about, concern.words))
        .collect();
    let of_users: Vec<String> = columns(&found, &users);
    if side == Side::Source && !of_users.is_empty() {
        remarks.push(format!(
            "source: {} {} to {users}: [users] moves those accounts, and user ids are mapped on the way",
            of_users.join(", "),
            if of_users.len() == 1 { "leads" } else { "lead" }
        ));
    }
    (words(&found), remarks)
}

fn words(found: &Connection) -> Option<String> {
    let server = found.server.as_ref()?;
    let rows: i64 = found.tables.iter().filter_map(|table| table.rows_estimate).sum();
    let bytes: u64 = found.tables.iter().map(|table| table.bytes).sum();
    let tables = counted(found.tables.len(), "table");
    let holds = match found.tables.len() {
        0 => "no table of the schema public".to_owned(),
        _ => format!(
            "{tables} with about {} ({})",
            counted(usize::try_from(rows).unwrap_or(0), "row"),
            spoken_size(bytes)
        ),
    };
    Some(format!("Looked at when this was written: PostgreSQL {} at {}, {holds}.", server.version, found.shown))
}

/// Columns whose foreign keys lead to the users.
fn columns(found: &Connection, users: &TableName) -> Vec<String> {
    let tables = found.catalog.iter().flat_map(|catalog| &catalog.tables);
    let keys = tables.flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)));
    keys.filter(|(_, key)| &key.to == users)
        .map(|(table, key)| format!("{}.{}", table.name, key.columns.join(", ")))
        .collect()
}
