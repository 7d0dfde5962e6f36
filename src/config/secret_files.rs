//! Looks at the modes of secret files that exist. Whether one exists is asked by preflight; nothing is read here.

use std::path::{Path, PathBuf};

use crate::secret::{self, Fault};

use super::keys::{self, Kind, Shape};
use super::read::{Reader, schema_path};
use super::table::absolute;
use super::value::Value;

/// Every `*_file` key and every file of `secrets.required`.
pub(super) fn validate(reader: &mut Reader<'_>, directory: &Path) {
    let mut files: Vec<(usize, String, PathBuf)> = Vec::new();
    for (path, found) in &reader.values {
        let key = keys::find(&schema_path(path));
        let locates = key.is_some_and(|key| key.path.ends_with("_file") && matches!(key.kind, Kind::Text(Shape::Path)));
        if let (true, Value::Text(text)) = (locates, &found.value) {
            files.push((found.at, path.clone(), absolute(directory, text)));
        }
    }
    files.extend(required(reader, directory));
    for (at, path, file) in files {
        if let Some((found, hint)) = judge(&file) {
            reader.push(at, &path, found, "a file that only its owner can read (mode 0600)", Some(&hint));
        }
    }
}

fn required(reader: &Reader<'_>, directory: &Path) -> Vec<(usize, String, PathBuf)> {
    let value = |path: &str| reader.values.get(path).map(|found| &found.value);
    let (Some(Value::Text(place)), Some(Value::List(items))) = (value("secrets.directory"), value("secrets.required"))
    else {
        return Vec::new();
    };
    let place = absolute(directory, place);
    let file = |(index, item): (usize, &super::value::Item)| {
        (item.at, format!("secrets.required[{index}]"), place.join(&item.text))
    };
    items.iter().enumerate().map(file).collect()
}

/// What is wrong with the file, and what to do.
fn judge(file: &Path) -> Option<(String, String)> {
    // A file that cannot be looked at is preflight's, like one that is missing.
    let metadata = std::fs::metadata(file).ok()?;
    let fault = secret::judge(&metadata).err()?;
    let name = file.display();
    Some(match fault {
        Fault::OpenToOthers(mode) => {
            (format!("a file that is open to others (mode {mode:04o})"), format!("chmod 600 {name}"))
        }
        Fault::ForeignOwner(owner) => (format!("a file of user {owner}"), format!("chown {name} to this user")),
        other => (format!("something that {other}"), format!("look at {name}")),
    })
}
