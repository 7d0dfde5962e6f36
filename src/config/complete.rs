//! What the file does not say: overrides by environment and flags, then the defaults, table by table.

use super::environment::Environment;
use super::keys::{self, Fallback, Kind};
use super::problem::Problem;
use super::read::{Found, Origin, Reader, join, schema_path};
use super::value::{self, Fault, Value};
use toml::de::DeValue;

impl Reader<'_> {
    /// The environment wins over the file, and flags over both. Tables on the way are opened.
    pub(super) fn overrides(&mut self, environment: &Environment, flags: &[(String, String)]) {
        for (path, name, value) in environment.overrides() {
            let origin = Origin::Environment { name: name.clone() };
            self.replace(path, &format!("${name}"), value, origin);
        }
        for (path, value) in flags {
            let flag = format!("--{}", path.replace(['.', '_'], "-"));
            let origin = Origin::Flag { name: flag.clone() };
            self.replace(path, &flag, value, origin);
        }
    }

    fn replace(&mut self, path: &str, source: &str, text: &str, origin: Origin) {
        let Some(key) = keys::find(path).filter(|key| !key.is_table()) else {
            // Only flags can come here: overrides by the environment are made from the key list.
            return self.refuse(source, path, Fault::new("an unknown key", "a key of cutover.toml"));
        };
        match value::from_text(key.kind, text) {
            Ok(value) => {
                let mut parent = key.parent();
                while !parent.is_empty() {
                    self.values.entry(parent.to_owned()).or_insert_with(|| opened(0));
                    parent = parent.rsplit_once('.').map_or("", |(parent, _)| parent);
                }
                let (key_at, at) = self.values.get(path).map_or((0, 0), |found| (found.key_at, found.at));
                self.values.insert(
                    path.to_owned(),
                    Found {
                        value,
                        origin,
                        written: (!matches!(key.kind, Kind::Bool | Kind::Integer(..))).then(|| text.to_owned()),
                        key_at,
                        at,
                    },
                );
            }
            Err(fault) if key.locates_secret() => {
                let fault = Fault::new("a value that is not one (not shown)", fault.allowed);
                self.refuse(source, path, fault);
            }
            Err(fault) => self.refuse(source, path, fault),
        }
    }

    /// Notes a problem of a value that stands in no file.
    fn refuse(&mut self, source: &str, path: &str, fault: Fault) {
        self.problems.push(Problem {
            file: source.to_owned(),
            line: 0,
            column: 0,
            key: path.to_owned(),
            found: fault.found,
            allowed: fault.allowed,
            hint: fault.hint,
        });
    }

    /// Fills in what was left out, table by table; parents stand before children in the key list.
    pub(super) fn complete(&mut self) {
        for key in self.list.all() {
            let tables = self.tables(key.parent());
            for table in tables {
                let shown = join(&table, key.name());
                if self.values.contains_key(&shown) {
                    continue;
                }
                let table_at = self.values.get(&table).map_or(0, |found| found.key_at);
                match (key.kind, key.fallback) {
                    (Kind::Table, _) => {
                        self.values.insert(shown, opened(table_at));
                    }
                    (Kind::OptionalTable | Kind::Tables, _) | (_, Fallback::Unset(_)) => {}
                    (kind, Fallback::Required) => {
                        let hint = format!("add {} = …", key.name());
                        self.missing(table_at, &shown, value::allowed(kind), Some(&hint));
                    }
                    (kind, Fallback::Is(literal)) => {
                        if let Some(value) = default(kind, literal) {
                            let found = Found {
                                value,
                                origin: Origin::Default,
                                written: written(literal),
                                key_at: table_at,
                                at: table_at,
                            };
                            self.values.insert(shown, found);
                        }
                    }
                }
            }
        }
    }

    /// The paths in this file of a table of the key list: several for an element of an array of tables.
    pub(super) fn tables(&self, schema: &str) -> Vec<String> {
        if schema.is_empty() {
            return vec![String::new()];
        }
        let first = schema.split("[]").next().unwrap_or(schema);
        self.values
            .range(first.to_owned()..)
            .take_while(|(path, _)| path.starts_with(first))
            .filter(|(path, found)| found.value == Value::Table && schema_path(path) == schema)
            .map(|(path, _)| path.clone())
            .collect()
    }
}

/// A table that stands nowhere but is there.
fn opened(at: usize) -> Found {
    Found { value: Value::Table, origin: Origin::Default, written: None, key_at: at, at }
}

/// Reads a default as if it stood in a file; a test holds that all of them can be read.
pub(super) fn default(kind: Kind, literal: &str) -> Option<Value> {
    value::from_toml(kind, &DeValue::parse(literal).ok()?).ok()
}

/// The string that a default consists of, where it is one.
pub(super) fn written(literal: &str) -> Option<String> {
    let value = DeValue::parse(literal).ok()?;
    value.get_ref().as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_fits_its_own_key() {
        for key in keys::all() {
            if let Fallback::Is(literal) = key.fallback {
                assert!(default(key.kind, literal).is_some(), "{} = {literal}", key.path);
            }
            if let Kind::Duration(least, most) | Kind::Size(least, most) | Kind::Percent(least, most) = key.kind {
                for bound in [least, most] {
                    assert!(value::from_text(key.kind, bound).is_ok(), "{}: bound {bound}", key.path);
                }
            }
        }
    }
}
