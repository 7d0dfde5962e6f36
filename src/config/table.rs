//! A table of checked values, asked by name and type. A value of another type counts as not there.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::later::SecretAt;
use super::read::{Found, join};
use super::units::{Percent, Size};
use super::value::{Item, Value};

/// One table of the file.
pub(super) struct Table<'a> {
    values: &'a BTreeMap<String, Found>,
    path: &'a str,
    directory: &'a Path,
}

impl<'a> Table<'a> {
    pub(super) fn at(values: &'a BTreeMap<String, Found>, path: &'a str, directory: &'a Path) -> Self {
        Self { values, path, directory }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(&join(self.path, name)).map(|found| &found.value)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn word<T: Default>(&self, name: &str, from_word: fn(&str) -> Option<T>) -> T {
        self.text(name).and_then(|word| from_word(&word)).unwrap_or_default()
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(|path| absolute(self.directory, &path))
    }

    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        match self.get(name)? {
            Value::List(items) => Some(texts(items)),
            _ => None,
        }
    }

    pub(super) fn paths(&self, name: &str) -> Vec<PathBuf> {
        let names = self.list(name).unwrap_or_default();
        names.iter().map(|path| absolute(self.directory, path)).collect()
    }

    pub(super) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Vec<T> {
        let texts = self.list(name).unwrap_or_default();
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    }

    pub(super) fn url(&self, name: &str) -> Option<Url> {
        match self.get(name)? {
            Value::Url(url) => Some(url.clone()),
            _ => None,
        }
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        match self.get(name)? {
            Value::Integer(number) => u32::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        match self.get(name)? {
            Value::Duration(duration) => Some(*duration),
            _ => None,
        }
    }

    pub(super) fn size(&self, name: &str) -> Option<Size> {
        match self.get(name)? {
            Value::Size(size) => Some(*size),
            _ => None,
        }
    }

    pub(super) fn percent(&self, name: &str) -> Option<Percent> {
        match self.get(name)? {
            Value::Percent(percent) => Some(*percent),
            _ => None,
        }
    }

    /// `NAME_env` or `NAME_file`.
    pub(super) fn secret(&self, name: &str) -> Option<SecretAt> {
        let variable = self.text(&format!("{name}_env")).map(SecretAt::Variable);
        variable.or_else(|| self.path(&format!("{name}_file")).map(SecretAt::File))
    }
}

pub(super) fn texts(items: &[Item]) -> Vec<String> {
    items.iter().map(|item| item.text.clone()).collect()
}

/// Resolves against the directory of cutover.toml and takes `.` out; `..` stays, as links may stand before it.
pub(super) fn absolute(directory: &Path, path: &str) -> PathBuf {
    let joined = directory.join(path);
    joined.components().filter(|part| *part != Component::CurDir).collect()
}
