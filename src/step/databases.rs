//! The databases that steps act on, known in a plan by how they are shown: the connection string stays where it is.

use anyhow::{Result, bail};

use crate::adapter::database::Place;

/// The two sides, as today's configuration reaches them; an error says why one cannot be reached at all.
#[derive(Clone, Debug, Default)]
pub struct Databases {
    sides: Vec<(&'static str, Result<Place, String>)>,
}

impl Databases {
    /// Takes a side by its table in the configuration, `source` or `target`.
    pub fn add(&mut self, table: &'static str, place: Result<Place, String>) {
        self.sides.push((table, place));
    }

    /// The side of this table.
    ///
    /// # Errors
    /// When the table is missing, or its connection string cannot be fetched.
    pub fn side(&self, table: &str) -> Result<&Place> {
        match self.sides.iter().find(|(name, _)| *name == table) {
            Some((_, Ok(place))) => Ok(place),
            Some((_, Err(why))) => bail!("{why}"),
            None => {
                bail!("[{table}] is missing; say where the database is: url_env = \"VARIABLE\" or url_file = \"path\"")
            }
        }
    }

    /// The side that a plan meant.
    ///
    /// # Errors
    /// When no side is shown like this any more: acting on another database than was planned would be worse than not acting.
    pub fn shown(&self, shown: &str) -> Result<&Place> {
        let found = self.sides.iter().find_map(|(_, place)| place.as_ref().ok().filter(|place| place.shown() == shown));
        if let Some(place) = found {
            return Ok(place);
        }
        let now: Vec<String> = self
            .sides
            .iter()
            .map(|(table, place)| match place {
                Ok(place) => format!("[{table}] is {}", place.shown()),
                Err(why) => format!("[{table}]: {why}"),
            })
            .collect();
        bail!(
            "the plan is about the database {shown}, which the configuration does not name now ({}); \
             set [source] and [target] as they were when the run began",
            if now.is_empty() { "it names none".to_owned() } else { now.join("; ") }
        )
    }

    /// Every side that can be reached.
    pub fn all(&self) -> impl Iterator<Item = &Place> {
        self.sides.iter().filter_map(|(_, place)| place.as_ref().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_place_that_the_configuration_does_not_name_any_more_is_not_acted_on() {
        let mut databases = Databases::default();
        let url = Secret::new("postgresql://app:geheim@127.0.0.1:5432/shop".to_owned());
        databases.add("target", Place::parse(&url, None).map_err(|error| error.to_string()));
        assert!(databases.shown("app@127.0.0.1:5432/shop").is_ok());
        let error = databases.shown("app@10.0.0.9:5432/shop").unwrap_err().to_string();
        assert!(error.contains("[target] is app@127.0.0.1:5432/shop"), "{error}");
        assert!(!error.contains("geheim"), "{error}");
        assert!(databases.side("source").unwrap_err().to_string().contains("[source] is missing"));
    }
}
