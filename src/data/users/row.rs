//! One row as an object: a column's value as text, as JSON, or as yes and no, whichever way it was written.

use serde_json::{Map, Value};

/// A row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a>(pub(super) &'a Map<String, Value>);

impl Row<'_> {
    /// A value as its text; none for null and for a column that is not there.
    pub(super) fn text(&self, column: &str) -> Option<String> {
        match self.0.get(column)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// Whether it is true, as a server writes it (`t`) or as JSON has it.
    pub(super) fn is_true(&self, column: &str) -> bool {
        matches!(self.text(column).as_deref(), Some("t" | "true" | "1"))
    }

    /// A value of JSON: as it is, or the text of it.
    pub(super) fn json(&self, column: &str) -> Option<Value> {
        match self.0.get(column)? {
            Value::String(text) => serde_json::from_str(text).ok(),
            other => Some(other.clone()),
        }
    }
}

/// Whether the service takes an address: the rule of HTML's `<input type=email>`, which its own check is.
pub(super) fn is_email(address: &str) -> bool {
    let is_local = |sign: char| sign.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(sign);
    let is_label = |label: &str| {
        let signs = label.as_bytes();
        (1..=63).contains(&signs.len())
            && signs.iter().all(|sign| sign.is_ascii_alphanumeric() || *sign == b'-')
            && signs[0] != b'-'
            && signs[signs.len() - 1] != b'-'
    };
    address
        .split_once('@')
        .is_some_and(|(local, host)| !local.is_empty() && local.chars().all(is_local) && host.split('.').all(is_label))
}

/// Whether a text is a plain https address.
pub(super) fn is_https(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !host.is_empty() && !host.contains('@') && address.chars().all(|sign| sign.is_ascii_graphic())
}
