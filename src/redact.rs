//! Redaction by value: what is known to be secret is blotted out of every text before it is kept or shown.
//!
//! A value is known in the forms in which it travels: its lines, escaped, percent-encoded, in base64, and the password
//! inside an address. It is blotted out before a text is cut, since half a secret is not recognised any more.

use std::sync::{Arc, RwLock};

use serde_json::Value;

mod forms;

pub(crate) use forms::holds_password;

/// Values shorter than this are not blotted out: `1` or `db` would make every text unreadable.
const SHORTEST: usize = 6;

/// Knows the secret values of a project; cheap to clone, and every clone learns what one learns.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Vec<String>>>);

impl std::fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Redactor({} values)", self.0.read().map_or(0, |values| values.len()))
    }
}

impl Redactor {
    /// A redactor for these values.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let redactor = Self::default();
        redactor.learn(values);
        redactor
    }

    /// Learns more values. A value of several lines is known whole and by its lines, because logs break lines.
    pub fn learn(&self, values: impl IntoIterator<Item = String>) {
        let Ok(mut known) = self.0.write() else { return };
        for value in values {
            known.extend(forms::of(&value).into_iter().filter(|form| form.len() >= SHORTEST));
        }
        // The longest is taken first, so that none shows through another.
        known.sort_by(|left, right| right.len().cmp(&left.len()).then_with(|| left.cmp(right)));
        known.dedup();
    }

    /// The text with every known value replaced by `[secret]`.
    pub fn clean(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        let Ok(known) = self.0.read() else { return clean };
        for value in known.iter() {
            if clean.contains(value.as_str()) {
                clean = clean.replace(value.as_str(), "[secret]");
            }
        }
        clean
    }

    /// The same for every text in a JSON value; keys stay.
    pub fn clean_json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.clean(&text)),
            Value::Array(values) => values.into_iter().map(|value| self.clean_json(value)).collect(),
            Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, self.clean_json(value))).collect(),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_value_never_leaves_and_short_words_stay() {
        let redactor = Redactor::new(["hunter2-hunter2".to_owned(), "db".to_owned()]);
        assert_eq!(redactor.clean("db: password hunter2-hunter2\n"), "db: password [secret]\n");
        assert!(!format!("{redactor:?}").contains("hunter2"));
    }

    #[test]
    fn a_json_value_is_cleaned_and_its_keys_stay() {
        let redactor = Redactor::new(["hunter2-hunter2".to_owned()]);
        let value = serde_json::json!({ "hunter2-hunter2": ["is hunter2-hunter2", 7] });
        assert_eq!(redactor.clean_json(value), serde_json::json!({ "hunter2-hunter2": ["is [secret]", 7] }));
    }
}
