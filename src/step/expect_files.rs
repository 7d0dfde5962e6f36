//! Expect files: each is there, holds something, and says what it should; what was asked of it is the evidence of an approval.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Answer, Seen};
use crate::adapter::files;

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct ExpectFiles {
    /// The files.
    pub files: Vec<PathBuf>,
    /// JSON pointers at which something must stand, in each of them.
    pub pointers: Vec<String>,
    /// JSON pointers and the values that must stand there, in each of them.
    pub json: BTreeMap<String, Value>,
    /// Text that must be in each of them.
    pub contains: Option<String>,
}

impl ExpectFiles {
    /// Looks at each file.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn ask(&self) -> Result<Seen> {
        let (mut wrong, mut well, mut digests) = (Vec::new(), Vec::new(), BTreeMap::new());
        for path in &self.files {
            let shown = path.display();
            match std::fs::metadata(path) {
                Ok(meta) if !meta.is_file() => wrong.push(format!("{shown} is no file")),
                Ok(meta) if meta.len() == 0 => wrong.push(format!("{shown} is empty")),
                Ok(_) => {
                    let (digest, length) = files::sha256_of_file(path)?;
                    wrong.extend(self.wrong_in(path)?.into_iter().map(|why| format!("{shown}: {why}")));
                    well.push(format!("{shown} ({})", files::spoken_size(length)));
                    digests.insert(shown.to_string(), self.evidence(path, digest));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    wrong.push(format!("{shown} is not there"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let (answer, words) = match wrong.is_empty() {
            true => (Answer::Passed, format!("there: {}", well.join(", "))),
            false => (Answer::Refused, wrong.join("; ")),
        };
        Ok(Seen { answer, words, data: json!({ "evidence": digests }) })
    }

    /// What an approval is for: what was asked of the file; where nothing was, all of it.
    fn evidence(&self, path: &Path, digest: String) -> Value {
        let asked: Vec<&String> = self.pointers.iter().chain(self.json.keys()).collect();
        let read = || serde_json::from_slice::<Value>(&std::fs::read(path).ok()?).ok();
        match read().filter(|_| !asked.is_empty()) {
            Some(document) => {
                let values =
                    asked.into_iter().map(|at| (at.clone(), document.pointer(at).cloned().unwrap_or_default()));
                Value::Object(values.collect())
            }
            None => Value::String(digest),
        }
    }

    /// What is wrong inside; large files are only read where something is asked of them.
    fn wrong_in(&self, path: &Path) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        if let Some(text) = &self.contains {
            let bytes = std::fs::read(path)?;
            if !String::from_utf8_lossy(&bytes).contains(text.as_str()) {
                wrong.push(format!("does not contain {text:?}"));
            }
        }
        if self.pointers.is_empty() && self.json.is_empty() {
            return Ok(wrong);
        }
        let Ok(document) = serde_json::from_slice::<Value>(&std::fs::read(path)?) else {
            wrong.push("is no JSON".to_owned());
            return Ok(wrong);
        };
        let is_there = |pointer: &&String| document.pointer(pointer).is_some_and(|value| !value.is_null());
        wrong.extend(
            self.pointers
                .iter()
                .filter(|pointer| !is_there(pointer))
                .map(|pointer| format!("has nothing at {pointer}")),
        );
        for (pointer, wanted) in &self.json {
            match document.pointer(pointer) {
                Some(found) if found == wanted => {}
                Some(found) => wrong.push(format!("has {found} at {pointer}, wanted {wanted}")),
                None => wrong.push(format!("has nothing at {pointer}, wanted {wanted}")),
            }
        }
        Ok(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_empty_or_says_something_else_refuses_and_each_is_named() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        std::fs::write(path("good.json"), "{\"rows\": 3, \"at\": \"now\"}").unwrap();
        std::fs::write(path("empty.json"), "").unwrap();
        let gate = |names: &[&str], pointer: &str| ExpectFiles {
            files: names.iter().map(|name| path(name)).collect(),
            pointers: vec![pointer.to_owned()],
            json: BTreeMap::from([("/rows".to_owned(), json!(3))]),
            contains: None,
        };
        let seen = gate(&["good.json"], "/at").ask().unwrap();
        assert_eq!(seen.answer, Answer::Passed, "{}", seen.words);
        let seen = gate(&["good.json", "empty.json", "none.json"], "/when").ask().unwrap();
        assert_eq!(seen.answer, Answer::Refused);
        for words in ["has nothing at /when", "empty.json is empty", "none.json is not there"] {
            assert!(seen.words.contains(words), "{words}: {}", seen.words);
        }
    }
}
