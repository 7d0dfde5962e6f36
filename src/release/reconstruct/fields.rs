//! Answers of the engine as fields that are taken one by one. Law: what nobody took is said, never silently lost.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value};

/// A table of a compose model.
pub(super) type Table = Map<String, Value>;

/// What could not be read back exactly, for one service.
pub(super) struct Remarks {
    service: String,
    said: Vec<String>,
}

impl Remarks {
    pub(super) fn of(service: &str) -> Self {
        Self { service: service.to_owned(), said: Vec::new() }
    }

    pub(super) fn say(&mut self, what: impl std::fmt::Display) {
        self.said.push(format!("{}: {what}", self.service));
    }

    pub(super) fn into_said(self) -> Vec<String> {
        self.said
    }
}

/// The fields of an answer that nobody took yet.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// An answer's fields, under the names that the engine gives them.
    pub(super) fn of<T: Serialize>(answer: &T) -> Result<Self> {
        let value = serde_json::to_value(answer).context("an answer of the engine is no JSON")?;
        Ok(Self(if let Value::Object(map) = value { map } else { Map::new() }))
    }

    /// Takes a field; nothing, zero, `false` and empty ones are what the engine says when nothing was asked of it.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.take_even_empty(name).filter(|value| !is_empty(value))
    }

    /// Takes a field that says something even when it is empty.
    pub(super) fn take_even_empty(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> String {
        self.take(name).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }

    pub(super) fn number(&mut self, name: &str) -> i64 {
        self.take(name).and_then(|value| value.as_i64()).unwrap_or(0)
    }

    pub(super) fn is_set(&mut self, name: &str) -> bool {
        self.take(name).is_some()
    }

    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        texts(self.take(name).as_ref())
    }

    /// Items of a list, each with fields of its own.
    pub(super) fn items(&mut self, name: &str) -> Vec<Self> {
        let Some(Value::Array(items)) = self.take(name) else { return Vec::new() };
        items
            .into_iter()
            .filter_map(|item| if let Value::Object(map) = item { Some(Self(map)) } else { None })
            .collect()
    }

    /// Keys and texts of a table, in the keys' order.
    pub(super) fn pairs(&mut self, name: &str) -> Vec<(String, String)> {
        let Some(Value::Object(table)) = self.take(name) else { return Vec::new() };
        let text = |value: &Value| value.as_str().map_or_else(String::new, str::to_owned);
        let mut pairs: Vec<_> = table.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        pairs.sort();
        pairs
    }

    /// Keys of a table whose values say nothing.
    pub(super) fn keys(&mut self, name: &str) -> Vec<String> {
        let Some(Value::Object(table)) = self.take(name) else { return Vec::new() };
        let mut keys: Vec<_> = table.into_iter().map(|(key, _)| key).collect();
        keys.sort();
        keys
    }

    /// Fields of a field.
    pub(super) fn inner(&mut self, name: &str) -> Option<Self> {
        let Some(Value::Object(map)) = self.take_even_empty(name) else { return None };
        Some(Self(map))
    }

    /// Everything, in the order of the names.
    pub(super) fn into_pairs(self) -> Vec<(String, Value)> {
        let mut pairs: Vec<_> = self.0.into_iter().collect();
        pairs.sort_by(|left, right| left.0.cmp(&right.0));
        pairs
    }

    pub(super) fn forget(&mut self, names: &[&str]) {
        for name in names {
            self.0.shift_remove(*name);
        }
    }

    /// Moves a field into the model, as it is, under the model's name.
    pub(super) fn hand_over(&mut self, pairs: &[(&str, &str)], table: &mut Table) {
        for (theirs, ours) in pairs {
            if let Some(value) = self.take(theirs) {
                table.insert((*ours).to_owned(), value);
            }
        }
    }

    /// Whether both say the same; empty fields say nothing.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let told = |fields: &Self| -> Vec<(String, Value)> {
            let mut told: Vec<_> = fields.0.clone().into_iter().filter(|(_, value)| !is_empty(value)).collect();
            told.sort_by(|left, right| left.0.cmp(&right.0));
            told
        };
        told(self) == told(other)
    }

    /// Says every field that nobody took.
    pub(super) fn say_the_rest(self, of: &str, remarks: &mut Remarks) {
        for (name, value) in self.0.iter().filter(|(_, value)| !says_nothing(value)) {
            remarks.say(format_args!("{of}{name} = {value} cannot be said in a compose model and is left out"));
        }
    }
}

/// Texts of a list.
pub(super) fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Puts a value in, unless it is empty.
pub(super) fn put(table: &mut Table, key: &str, value: impl Into<Value>) {
    let value = value.into();
    if !is_empty(&value) {
        table.insert(key.to_owned(), value);
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is) => !is,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(table) => table.is_empty(),
    }
}

/// Empty all the way down.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(says_nothing),
        Value::Object(table) => table.values().all(says_nothing),
        plain => is_empty(plain),
    }
}
