//! One value, from the file or from a plain string, judged against its key's kind. Pure; knows no file and no other key.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;
use url::Url;

use super::collection::{command, json_map, list, name_lists, names, services};
use super::keys::{Kind, Shape};
use super::problem::{nearest, quote, quoted_list};
use super::shape;
use super::units::{self, Percent, Size};

/// A value that fits its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Table,
    Text(String),
    List(Vec<Item>),
    Url(Url),
    Bool(bool),
    Integer(i64),
    Duration(Duration),
    Size(Size),
    Percent(Percent),
    Json(Vec<(String, serde_json::Value)>),
    Lists(Vec<(String, Vec<Item>)>),
}

/// An element of a list, and the byte at which it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub text: String,
    pub at: usize,
}

/// Why a value does not fit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    /// The byte at which it stands.
    pub at: usize,
    /// What follows the key's own path: `[2]`, `."/status"`.
    pub within: String,
    pub found: String,
    pub allowed: String,
    pub hint: Option<String>,
}

impl Fault {
    pub(super) fn new(found: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { at: 0, within: String::new(), found: found.into(), allowed: allowed.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn at(mut self, at: usize) -> Self {
        self.at = at;
        self
    }

    pub(super) fn within(mut self, within: String) -> Self {
        self.within = within;
        self
    }
}

/// Reads a value of the file.
pub(super) fn from_toml(kind: Kind, value: &Spanned<DeValue<'_>>) -> Result<Value, Vec<Fault>> {
    let at = value.span().start;
    let one = |result: Result<Value, Fault>| result.map_err(|fault| vec![fault.at(at)]);
    match (kind, value.get_ref()) {
        (Kind::List(shape), DeValue::Array(array)) => list(shape, array).map(Value::List),
        (Kind::Command, DeValue::Array(array)) => command(array, at).map(Value::List),
        (Kind::JsonMap, DeValue::Table(table)) => json_map(table),
        (Kind::NameLists, DeValue::Table(table)) => name_lists(table),
        (Kind::Names, DeValue::Table(table)) => names(table),
        (Kind::Services(_), DeValue::Array(array)) => list(Shape::Service, array).map(Value::List),
        (Kind::Services(words), DeValue::Table(table)) => services(table, words),
        (Kind::Bool, DeValue::Boolean(value)) => Ok(Value::Bool(*value)),
        (Kind::Integer(least, most), DeValue::Integer(number)) => {
            let found = number.to_string();
            one(match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => integer(number, least, most),
                Err(_) => Err(Fault::new(found, allowed(kind))),
            })
        }
        (
            Kind::Text(_) | Kind::Url | Kind::Choice(_) | Kind::Duration(..) | Kind::Size(..) | Kind::Percent(..),
            DeValue::String(text),
        ) => one(from_text(kind, text)),
        (_, other) => {
            let fault = Fault::new(describe(other), allowed(kind));
            let hint = rewrite(kind, other);
            one(Err(match hint {
                Some(hint) => fault.hint(hint),
                None => fault,
            }))
        }
    }
}

/// Reads a value from a plain string, as the environment and flags give it.
pub(super) fn from_text(kind: Kind, text: &str) -> Result<Value, Fault> {
    let refuse = |hint: String| Fault::new(quote(text), allowed(kind)).hint(hint);
    match kind {
        Kind::Text(shape) if shape::fits(shape, text) => Ok(Value::Text(text.to_owned())),
        Kind::Choice(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
        Kind::Choice(words) => Err(match nearest(text, words.iter().copied()) {
            Some(word) => refuse(format!("did you mean {word:?}?")),
            None => Fault::new(quote(text), allowed(kind)),
        }),
        Kind::Bool if text == "true" || text == "false" => Ok(Value::Bool(text == "true")),
        Kind::Integer(least, most) => match text.parse() {
            Ok(number) => integer(number, least, most),
            Err(_) => Err(Fault::new(quote(text), allowed(kind))),
        },
        Kind::Duration(least, most) => {
            let value = units::parse_duration(text).map_err(refuse)?;
            within(value, units::parse_duration(least), units::parse_duration(most))
                .then_some(Value::Duration(value))
                .ok_or_else(|| Fault::new(quote(text), allowed(kind)))
        }
        Kind::Size(least, most) => {
            let value = units::parse_size(text).map_err(refuse)?;
            within(value, units::parse_size(least), units::parse_size(most))
                .then_some(Value::Size(value))
                .ok_or_else(|| Fault::new(quote(text), allowed(kind)))
        }
        Kind::Percent(least, most) => {
            let value = units::parse_percent(text).map_err(refuse)?;
            within(value, units::parse_percent(least), units::parse_percent(most))
                .then_some(Value::Percent(value))
                .ok_or_else(|| Fault::new(quote(text), allowed(kind)))
        }
        Kind::Url => url(text).map(Value::Url),
        _ => Err(Fault::new(quote(text), allowed(kind))),
    }
}

/// What may be written for a key of this kind.
pub(super) fn allowed(kind: Kind) -> String {
    match kind {
        Kind::Table | Kind::OptionalTable => "a table".to_owned(),
        Kind::Tables => "an array of tables, [[…]]".to_owned(),
        Kind::Text(shape) => shape::allowed(shape).to_owned(),
        Kind::List(shape) => format!("an array of strings, each {}; none twice", shape::allowed(shape)),
        Kind::Command => "an array of strings: a program and its arguments".to_owned(),
        Kind::Url => "an http:// or https:// address without credentials".to_owned(),
        Kind::Choice(words) => quoted_list(words),
        Kind::Bool => "true, false".to_owned(),
        Kind::Integer(least, most) => format!("a whole number from {least} to {most}"),
        Kind::Duration(least, most) => {
            format!("{}, from \"{least}\" to \"{most}\"", units::DURATION_FORM)
        }
        Kind::Size(least, most) => format!("{}, from \"{least}\" to \"{most}\"", units::SIZE_FORM),
        Kind::Percent(least, most) => {
            format!("{}, from \"{least}\" to \"{most}\"", units::PERCENT_FORM)
        }
        Kind::JsonMap => "a table from JSON pointers to values: { \"/status\" = \"healthy\" }".to_owned(),
        Kind::Names => "a table from names to services: { app = \"backend\" }".to_owned(),
        Kind::Services(words) => {
            let how = quoted_list(words);
            format!("an array of services, or a table of them with `handling` of each: {how}")
        }
        Kind::NameLists => "a table from names to arrays of names: { profiles = [\"user_id\"] }".to_owned(),
    }
}

/// Names what stands in the file, without repeating more of it than is needed.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// How the value would be written rightly, where that can be guessed.
fn rewrite(kind: Kind, value: &DeValue<'_>) -> Option<String> {
    match (kind, value) {
        (Kind::Duration(..), DeValue::Integer(n)) => Some(format!("write \"{n}s\" if seconds are meant")),
        (Kind::Size(..), DeValue::Integer(n)) => Some(format!("write \"{n}MiB\" or \"{n}B\", whichever is meant")),
        (Kind::Percent(..), DeValue::Integer(n)) => Some(format!("write \"{n}%\"")),
        (Kind::Percent(..), DeValue::Float(n)) => {
            let ratio: f64 = n.as_str().parse().ok()?;
            (0.0..=1.0).contains(&ratio).then(|| format!("write \"{}\" if this ratio is meant", Percent(ratio)))
        }
        (Kind::List(_) | Kind::Services(_), DeValue::String(text)) => Some(format!("write [{}]", quote(text))),
        (Kind::Command, DeValue::String(_)) => Some(
            "no shell reads it: write each argument as a string of its own, [\"program\", \"argument\"]".to_owned(),
        ),
        (Kind::Bool, DeValue::String(_)) | (Kind::Integer(..), DeValue::String(_)) => {
            Some("write it without quotes".to_owned())
        }
        (Kind::Text(_) | Kind::Choice(_), DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)) => {
            Some("put it in quotes".to_owned())
        }
        _ => None,
    }
}

/// The bounds come from the key list, whose tests hold that they can be read.
fn within<T: PartialOrd>(value: T, least: Result<T, String>, most: Result<T, String>) -> bool {
    least.is_ok_and(|least| value >= least) && most.is_ok_and(|most| value <= most)
}

fn integer(number: i64, least: i64, most: i64) -> Result<Value, Fault> {
    if (least..=most).contains(&number) {
        Ok(Value::Integer(number))
    } else {
        Err(Fault::new(format!("the number {number}"), allowed(Kind::Integer(least, most))))
    }
}

/// Credentials in an address would end up in journals and reports, so they are refused, and not repeated.
fn url(text: &str) -> Result<Url, Fault> {
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            let fault = Fault::new(quote(text), allowed(Kind::Url));
            return Err(if error == url::ParseError::RelativeUrlWithoutBase {
                fault.hint("begin it with http:// or https://")
            } else {
                fault.hint(error.to_string())
            });
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::new("an address with credentials in it (not shown)", allowed(Kind::Url))
            .hint("take the credentials out; this file is no place for secrets"));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(Fault::new(quote(text), allowed(Kind::Url)));
    }
    if url.fragment().is_some() {
        return Err(Fault::new(quote(text), allowed(Kind::Url)).hint("a fragment, #…, is never sent"));
    }
    Ok(url)
}
