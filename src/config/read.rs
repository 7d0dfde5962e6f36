//! Walks the file against the key list: what is unknown, wrong or missing becomes a problem, the rest a value with its origin.

use std::collections::BTreeMap;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment::Environment;
use super::file::Text;
use super::keys::{Key, KeyList, Kind};
use super::problem::{Problem, nearest};
use super::value::{self, Fault, Value};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The file says so.
    File {
        /// The file as the caller named it.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// An environment variable says so.
    Environment {
        /// The variable's name.
        name: String,
    },
    /// A flag says so.
    Flag {
        /// The flag's name.
        name: String,
    },
}

/// A value as it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub value: Value,
    pub origin: Origin,
    /// The string that was written, where it was one: "24h" is shown as "24h", not as "1d".
    pub written: Option<String>,
    /// The byte at which the key stands, or its table for a default.
    pub key_at: usize,
    /// The byte at which the value stands.
    pub at: usize,
}

/// More problems than a person reads; a file that is garbage throughout has no more to say.
const MOST_PROBLEMS: usize = 500;

/// More elements of one array of tables than anyone writes by hand.
const MOST_TABLES: usize = 1000;

/// All values by path, and all problems so far.
pub(super) struct Reader<'a> {
    pub text: &'a Text,
    pub values: BTreeMap<String, Found>,
    pub problems: Vec<Problem>,
    /// Set when the file could not be parsed to its end: from there on nothing may be called missing or wrong.
    pub broken_at: Option<usize>,
    /// What may stand in the file.
    pub list: KeyList,
}

impl<'a> Reader<'a> {
    /// Reads everything: the file, then what overrides it, then the defaults.
    pub(super) fn read(text: &'a Text, environment: &Environment, flags: &[(String, String)]) -> Self {
        let mut reader = Self::file(text, super::keys::CONFIGURATION);
        reader.overrides(environment, flags);
        reader.complete();
        reader
    }

    /// Reads what stands in the file, against these keys.
    pub(super) fn file(text: &'a Text, list: KeyList) -> Self {
        let (document, errors) = DeTable::parse_recoverable(&text.text);
        let mut reader = Self { text, values: BTreeMap::new(), problems: Vec::new(), broken_at: None, list };
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            reader.broken_at = Some(reader.broken_at.map_or(at, |before| before.min(at)));
            reader.syntax(at, error.message());
        }
        if errors.is_empty() && document.get_ref().is_empty() {
            reader.push(0, "", "an empty file", "at least `schema` and `[project]`", Some("`cutover init` writes one"));
        }
        reader.values.insert(
            String::new(),
            Found { value: Value::Table, origin: Origin::Default, written: None, key_at: 0, at: 0 },
        );
        reader.table(document.get_ref(), "", "");
        reader
    }

    /// Notes a problem at a byte of the file. What stands behind a syntax error is not judged: it was not
    /// read as it was meant.
    pub(super) fn push(
        &mut self,
        at: usize,
        key: &str,
        found: impl Into<String>,
        allowed: impl Into<String>,
        hint: Option<&str>,
    ) {
        if self.problems.len() >= MOST_PROBLEMS || self.broken_at.is_some_and(|broken| at >= broken) {
            return;
        }
        let (file, (line, column)) = match self.values.get(key).map(|found| &found.origin) {
            Some(Origin::Environment { name }) => (format!("${name}"), (0, 0)),
            Some(Origin::Flag { name }) => (name.clone(), (0, 0)),
            _ => (self.text.name.clone(), self.text.position(at)),
        };
        self.problems.push(Problem {
            file,
            line,
            column,
            key: key.to_owned(),
            found: found.into(),
            allowed: allowed.into(),
            hint: hint.map(str::to_owned),
        });
    }

    /// Notes that something is missing; nothing is, as long as the file could not be read to its end.
    pub(super) fn missing(&mut self, at: usize, key: &str, allowed: impl Into<String>, hint: Option<&str>) {
        if self.broken_at.is_none() {
            self.push(at, key, "nothing", allowed, hint);
        }
    }

    fn syntax(&mut self, at: usize, message: &str) {
        let (line, column) = self.text.position(at);
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem {
                file: self.text.name.clone(),
                line,
                column,
                key: String::new(),
                found: format!("text that is not TOML: {message}"),
                allowed: "TOML 1.1".to_owned(),
                hint: None,
            });
        }
    }

    fn insert(&mut self, path: String, value: Value, key_at: usize, at: usize) {
        let (line, column) = self.text.position(key_at);
        let origin = Origin::File { file: self.text.name.clone(), line, column };
        self.values.insert(path, Found { value, origin, written: None, key_at, at });
    }

    /// `schema` is the table's path in the key list, `shown` its path in this file.
    fn table(&mut self, table: &DeTable<'_>, schema: &str, shown: &str) {
        for (name, value) in table {
            let at = name.span().start;
            let shown = join(shown, &written(name.get_ref()));
            match declared(self.list, schema, name.get_ref()) {
                Some(key) => self.key(key, value, at, shown),
                None => self.unknown(schema, &shown, name.get_ref(), at),
            }
        }
    }

    fn key(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>, key_at: usize, shown: String) {
        let at = value.span().start;
        if let Some((at, wanted)) = left_open(value) {
            self.push(at, &shown, super::LEFT_TO_YOU, wanted, None);
            self.insert(shown, Value::Table, key_at, at);
            return;
        }
        match (key.kind, value.get_ref()) {
            (Kind::Table | Kind::OptionalTable, DeValue::Table(table)) => {
                self.insert(shown.clone(), Value::Table, key_at, at);
                self.table(table, key.path, &shown);
            }
            (Kind::Tables, DeValue::Array(array)) => self.elements(key, array, &shown),
            (Kind::Table | Kind::OptionalTable | Kind::Tables, other) => {
                let hint = match other {
                    DeValue::Table(_) => Some(format!("write [[{shown}]]")),
                    DeValue::Array(_) => Some(format!("write [{shown}]")),
                    _ => None,
                };
                // The value is not shown: someone may have written `source = "postgres://…"`.
                let found = match other {
                    DeValue::String(_) => "a string".to_owned(),
                    other => value::describe(other),
                };
                self.push(at, &shown, found, value::allowed(key.kind), hint.as_deref());
            }
            (kind, _) => match value::from_toml(kind, value) {
                Ok(found) => {
                    self.insert(shown.clone(), found, key_at, at);
                    if let Some(found) = self.values.get_mut(&shown) {
                        found.written = value.get_ref().as_str().map(str::to_owned);
                    }
                }
                Err(faults) => {
                    for fault in faults {
                        self.fault(key, &shown, fault);
                    }
                    // It stands there, if wrongly, so it is not missing as well.
                    self.insert(shown, Value::Table, key_at, at);
                }
            },
        }
    }

    /// The tables of an array; what is beyond the most that are read is told, not read.
    fn elements(&mut self, key: &'static Key, array: &[Spanned<DeValue<'_>>], shown: &str) {
        if let Some(element) = array.get(MOST_TABLES) {
            let found = format!("{} tables", array.len());
            let allowed = format!("at most {MOST_TABLES}");
            self.push(element.span().start, shown, found, allowed, None);
        }
        for (index, element) in array.iter().enumerate().take(MOST_TABLES) {
            let shown = format!("{shown}[{index}]");
            let at = element.span().start;
            match element.get_ref() {
                DeValue::Table(table) => {
                    self.insert(shown.clone(), Value::Table, at, at);
                    self.table(table, key.path, &shown);
                }
                other => self.push(at, &shown, value::describe(other), "a table", None),
            }
        }
    }

    fn fault(&mut self, key: &Key, shown: &str, fault: Fault) {
        let path = format!("{shown}{}", fault.within);
        let found = if key.locates_secret() && fault.found.starts_with('"') {
            "a string that is not one (not shown, it may be the secret itself)".to_owned()
        } else {
            fault.found
        };
        self.push(fault.at, &path, found, fault.allowed, fault.hint.as_deref());
    }

    /// Names the nearest key: one of the same table, or else the key of that name in another table, or else
    /// whatever is most alike.
    fn unknown(&mut self, schema: &str, shown: &str, name: &str, at: usize) {
        if self.problems.len() >= MOST_PROBLEMS {
            return;
        }
        let siblings: Vec<&Key> = self.list.children(schema).collect();
        let one_of = |fits: &dyn Fn(&str) -> bool| {
            let sibling = siblings.iter().map(|key| key.name()).find(|sibling| fits(sibling));
            sibling.map(str::to_owned)
        };
        let located = format!("{name}_env");
        let near = one_of(&|sibling| sibling == located)
            .map(|near| format!("{near} or {name}_file, since secrets are never values"))
            .or_else(|| nearest(name, siblings.iter().map(|key| key.name())).map(str::to_owned))
            .or_else(|| one_of(&|sibling| sibling.starts_with(&format!("{name}_"))))
            .or_else(|| {
                let elsewhere = self.list.all().find(|key| key.name() == name || key.path == name)?;
                Some(elsewhere.path.to_owned())
            })
            .or_else(|| {
                let alike = |sibling: &str| strsim::jaro_winkler(name, sibling);
                let names = siblings.iter().map(|key| key.name());
                names.max_by(|a, b| alike(a).total_cmp(&alike(b))).map(str::to_owned)
            });
        let names: Vec<&str> = siblings.iter().map(|key| key.name()).collect();
        let hint = near.map(|near| format!("did you mean {near}?"));
        self.push(at, shown, "an unknown key", names.join(", "), hint.as_deref());
    }
}

/// The key of this name in a table of the key list. Names with other characters cannot be keys of ours.
fn declared(list: KeyList, table: &str, name: &str) -> Option<&'static Key> {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !bare {
        return None;
    }
    let path = join(table, name);
    list.find(&path).or_else(|| list.find(&format!("{path}[]")))
}

/// `health[3].url` is declared as `health[].url`.
pub(super) fn schema_path(shown: &str) -> String {
    let mut path = String::with_capacity(shown.len());
    let mut inside = false;
    for c in shown.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => continue,
            _ => {}
        }
        path.push(c);
    }
    path
}

pub(super) fn join(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}

/// A key as it is written: bare, or quoted if it must be; a long one is cut.
fn written(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare && name.len() <= 60 && !super::problem::looks_secret(name) {
        name.to_owned()
    } else {
        super::problem::quote(name)
    }
}

/// What a text wants that was left to a person, and the byte at which it stands; the first one of an array.
fn left_open(value: &Spanned<DeValue<'_>>) -> Option<(usize, String)> {
    let of = |text: &str| text.strip_prefix(super::LEFT_OPEN).map(str::to_owned);
    match value.get_ref() {
        DeValue::String(text) => Some((value.span().start, of(text)?)),
        DeValue::Array(array) => array.iter().find_map(left_open),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_a_file_lead_to_declared_paths() {
        assert_eq!(schema_path("health[12].expect.json"), "health[].expect.json");
        assert_eq!(schema_path("dns.record[0]"), "dns.record[]");
    }
}
