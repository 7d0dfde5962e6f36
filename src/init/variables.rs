//! The variables that compose files name, and what they want of each. Reads the model before its variables are filled in.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a file wants of a variable; the later one is the stronger wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// `${X:-default}` or `${X:+instead}`: it may be missing.
    Default,
    /// `${X}` or `$X`: compose takes an empty text where it is missing.
    Plain,
    /// `${X:?words}`: compose refuses without it.
    Required,
}

/// Every variable of a model that was read without filling in, with the strongest wish.
pub fn of(written: &Value) -> BTreeMap<String, Need> {
    let mut found = BTreeMap::new();
    walk(written, &mut found);
    found
}

fn walk(value: &Value, found: &mut BTreeMap<String, Need>) {
    match value {
        Value::String(text) => scan(text, found),
        Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| walk(value, found)),
        _ => {}
    }
}

fn scan(text: &str, found: &mut BTreeMap<String, Need>) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            // A dollar for the container itself.
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let name = leading_name(inside);
            let operator = &inside[name.len()..];
            let wish = operator.strip_prefix(':').unwrap_or(operator).chars().next();
            match wish {
                Some('?') => note(found, name, Need::Required),
                Some('-' | '+') => note(found, name, Need::Default),
                _ => note(found, name, Need::Plain),
            }
            // What stands behind the operator may name more variables; the loop finds them.
            rest = operator;
        } else {
            let name = leading_name(rest);
            note(found, name, Need::Plain);
            rest = &rest[name.len()..];
        }
    }
}

fn leading_name(text: &str) -> &str {
    let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    if !text.starts_with(is_first) {
        return "";
    }
    let end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).unwrap_or(text.len());
    &text[..end]
}

fn note(found: &mut BTreeMap<String, Need>, name: &str, need: Need) {
    if !name.is_empty() {
        let known = found.entry(name.to_owned()).or_insert(need);
        *known = need.max(*known);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_variable_is_known_with_its_strongest_wish() {
        let model = json!({
            "image": "shop:${TAG:-1}",
            "ports": ["${PORT:?a port is needed}:3000"],
            "environment": { "URL": "postgres://u:${DB_PASSWORD}@db/$DB_NAME", "TAG": "${TAG}", "COST": "$$5 and $${HOME}" },
            "nested": "${A:-${B?words}} ${C+x} ${D-}",
        });
        let expected = [
            ("A", Need::Default),
            ("B", Need::Required),
            ("C", Need::Default),
            ("D", Need::Default),
            ("DB_NAME", Need::Plain),
            ("DB_PASSWORD", Need::Plain),
            ("PORT", Need::Required),
            ("TAG", Need::Plain),
        ];
        assert_eq!(of(&model), expected.map(|(name, need)| (name.to_owned(), need)).into());
    }

    #[test]
    fn odd_texts_are_read_without_harm() {
        for text in ["$", "${", "${}", "$1", "${:?}", "a$$", "${X", "€${Ä}$é"] {
            let found = of(&json!(text));
            assert!(found.len() <= 1, "{text}: {found:?}");
        }
    }
}
