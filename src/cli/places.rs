//! The databases of a configuration, found by variable or file. What is secret in them is known to every stream at once.

use super::out;
use crate::adapter::database::Place;
use crate::config::{Config, Database, Environment};
use crate::step::Databases;

/// `[source]` and `[target]`, as far as they are there. A verb that needs one finds the reason why it is not.
pub fn of(config: &Config, environment: &Environment) -> Databases {
    let mut databases = Databases::default();
    for (table, database) in [("source", &config.source), ("target", &config.target)] {
        if let Some(database) = database {
            databases.add(table, place(table, database, environment));
        }
    }
    databases
}

fn place(table: &str, database: &Database, environment: &Environment) -> Result<Place, String> {
    let url = database.url.read(environment).map_err(|error| format!("[{table}] has no connection string: {error}"))?;
    out::redactor().learn([url.expose().to_owned()]);
    Place::parse(&url, database.ca_certificate.as_deref()).map_err(|error| format!("[{table}]: {error:#}"))
}
