//! Values with elements: lists, commands, JSON expectations, lists by name. Each element has its own position. Pure.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Kind, Shape};
use super::problem::{quote, quoted_list};
use super::shape;
use super::value::{Fault, Item, Value, allowed, describe, from_toml};

pub(super) fn list(shape: Shape, array: &[Spanned<DeValue<'_>>]) -> Result<Vec<Item>, Vec<Fault>> {
    let mut items: Vec<Item> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut faults = Vec::new();
    for (index, element) in array.iter().enumerate() {
        let at = element.span().start;
        let fault = match element.get_ref() {
            DeValue::String(text) if !shape::fits(shape, text) => Fault::new(quote(text), shape::allowed(shape)),
            DeValue::String(text) if !seen.insert(text.to_string()) => {
                Fault::new(format!("{} a second time", quote(text)), "each element once")
            }
            DeValue::String(text) => {
                items.push(Item { text: text.to_string(), at });
                continue;
            }
            other => Fault::new(describe(other), format!("a string: {}", shape::allowed(shape))),
        };
        faults.push(fault.at(at).within(format!("[{index}]")));
    }
    if faults.is_empty() { Ok(items) } else { Err(faults) }
}

pub(super) fn command(array: &[Spanned<DeValue<'_>>], at: usize) -> Result<Vec<Item>, Vec<Fault>> {
    if array.is_empty() {
        return Err(vec![Fault::new("an empty array", allowed(Kind::Command)).at(at)]);
    }
    let mut items = Vec::new();
    let mut faults = Vec::new();
    for (index, element) in array.iter().enumerate() {
        let at = element.span().start;
        match element.get_ref() {
            DeValue::String(text) if !text.contains('\0') && (index > 0 || !text.trim().is_empty()) => {
                items.push(Item { text: text.to_string(), at });
            }
            other => {
                let fault = Fault::new(describe(other), "a string; the first one, the program, not empty");
                faults.push(fault.at(at).within(format!("[{index}]")));
            }
        }
    }
    if faults.is_empty() { Ok(items) } else { Err(faults) }
}

pub(super) fn json_map(table: &DeTable<'_>) -> Result<Value, Vec<Fault>> {
    let mut entries = Vec::new();
    let mut faults = Vec::new();
    for (pointer, value) in table {
        let text = pointer.get_ref();
        if !is_pointer(text) {
            let fault = Fault::new(
                format!("the pointer {}", quote(text)),
                "a JSON pointer: it starts with `/`; `~` is written `~0`, and `/` inside a name `~1`",
            );
            let fault = fault
                .hint(format!("did you mean {:?}?", format!("/{}", text.trim_start_matches("$.").replace('.', "/"))));
            faults.push(fault.at(pointer.span().start).within(format!(".{}", quote(text))));
        }
        match json(value) {
            Ok(value) => entries.push((text.to_string(), value)),
            Err(fault) => faults.push(fault.within(format!(".{}", quote(text)))),
        }
    }
    if faults.is_empty() { Ok(Value::Json(entries)) } else { Err(faults) }
}

fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

/// TOML has values that JSON has not: times, infinities, NaN.
fn json(value: &Spanned<DeValue<'_>>) -> Result<serde_json::Value, Fault> {
    let at = value.span().start;
    let refuse = |found: String| Fault::new(found, "a string, number, boolean, array or table as JSON has them").at(at);
    match value.get_ref() {
        DeValue::String(text) => Ok(text.to_string().into()),
        DeValue::Boolean(value) => Ok((*value).into()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Into::into)
            .map_err(|_| refuse(format!("the number {number}"))),
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(serde_json::Value::Number)
            .ok_or_else(|| refuse(format!("the number {number}"))),
        DeValue::Array(array) => array.iter().map(json).collect::<Result<Vec<_>, _>>().map(Into::into),
        DeValue::Table(table) => table
            .iter()
            .map(|(name, value)| Ok((name.get_ref().to_string(), json(value)?)))
            .collect::<Result<serde_json::Map<_, _>, _>>()
            .map(Into::into),
        other @ DeValue::Datetime(_) => Err(refuse(describe(other)).hint("put it in quotes")),
    }
}

pub(super) fn name_lists(table: &DeTable<'_>) -> Result<Value, Vec<Fault>> {
    let mut entries = Vec::new();
    let mut faults = Vec::new();
    for (name, value) in table {
        let text = name.get_ref();
        let at = |mut fault: Fault| {
            fault.within = format!(".{}{}", quote(text), fault.within);
            fault
        };
        if !shape::fits(Shape::SqlName, text) {
            let fault = Fault::new(format!("the name {}", quote(text)), shape::allowed(Shape::SqlName));
            faults.push(at(fault.at(name.span().start)));
        }
        match from_toml(Kind::List(Shape::SqlName), value) {
            Ok(Value::List(items)) if items.is_empty() => {
                faults.push(at(Fault::new("an empty array", "at least one name").at(value.span().start)));
            }
            Ok(Value::List(items)) => entries.push((text.to_string(), items)),
            Ok(_) => {}
            Err(inner) => faults.extend(inner.into_iter().map(at)),
        }
    }
    if faults.is_empty() { Ok(Value::Lists(entries)) } else { Err(faults) }
}

pub(super) fn names(table: &DeTable<'_>) -> Result<Value, Vec<Fault>> {
    let mut entries = Vec::new();
    let mut faults = Vec::new();
    for (name, value) in table {
        let (text, at) = (name.get_ref(), value.span().start);
        if !shape::fits(Shape::Word, text) {
            let fault = Fault::new(format!("the name {}", quote(text)), shape::allowed(Shape::Word));
            faults.push(fault.at(name.span().start).within(format!(".{}", quote(text))));
        }
        match value.get_ref() {
            DeValue::String(service) if shape::fits(Shape::Service, service) => {
                entries.push((text.to_string(), vec![Item { text: service.to_string(), at }]));
            }
            other => {
                let fault = Fault::new(describe(other), shape::allowed(Shape::Service));
                faults.push(fault.at(at).within(format!(".{text}")));
            }
        }
    }
    if faults.is_empty() { Ok(Value::Lists(entries)) } else { Err(faults) }
}

/// `[deploy.services.NAME]` with `handling`, or the word itself; without a word nothing is said of how.
pub(super) fn services(table: &DeTable<'_>, words: &[&str]) -> Result<Value, Vec<Fault>> {
    let mut entries = Vec::new();
    let mut faults = Vec::new();
    for (name, value) in table {
        let text = name.get_ref();
        if !shape::fits(Shape::Service, text) {
            let fault = Fault::new(format!("the name {}", quote(text)), shape::allowed(Shape::Service));
            faults.push(fault.at(name.span().start).within(format!(".{}", quote(text))));
        }
        let mut said = Vec::new();
        let word = |value: &Spanned<DeValue<'_>>, within: &str| match value.get_ref() {
            DeValue::String(word) if words.contains(&word.as_ref()) => {
                Ok(Item { text: word.to_string(), at: value.span().start })
            }
            other => {
                let fault = Fault::new(describe(other), quoted_list(words));
                Err(fault.at(value.span().start).within(format!(".{text}{within}")))
            }
        };
        let mut take = |one: Result<Item, Fault>| match one {
            Ok(item) => said.push(item),
            Err(fault) => faults.push(fault),
        };
        match value.get_ref() {
            DeValue::Table(inner) => {
                for (key, value) in inner {
                    if key.get_ref() == "handling" {
                        take(word(value, ".handling"));
                    } else {
                        let fault = Fault::new("an unknown key", "handling").hint("did you mean handling?");
                        let within = format!(".{text}.{}", key.get_ref());
                        take(Err(fault.at(key.span().start).within(within)));
                    }
                }
            }
            _ => take(word(value, "")),
        }
        entries.push((text.to_string(), said));
    }
    if faults.is_empty() { Ok(Value::Lists(entries)) } else { Err(faults) }
}
