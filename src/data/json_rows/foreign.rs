//! Values as other tools write them, to COPY fields by the kind of the column.

use super::row::Target;
use super::scan::{Cursor, Read, Stop, shown, wrong};
use crate::data::catalog::Kind;
use crate::data::copy_text;

/// Reads the value that begins here and appends it as a field.
pub(super) fn value(cursor: &mut Cursor<'_>, target: &mut Target, out: &mut Vec<u8>) -> Read<()> {
    let first = cursor.here()?;
    if first == b'n' {
        cursor.word("null")?;
        let is_json_null = target.column.kind == Kind::Json && target.column.is_required;
        out.extend_from_slice(if is_json_null { b"null" } else { copy_text::NULL });
        return Ok(());
    }
    match target.column.kind {
        Kind::Json => {
            let mut text = cursor.value()?;
            if first == b'"' && holds_json(text) {
                target.doubts += 1;
            }
            while let [rest @ .., b' ' | b'\t' | b'\n' | b'\r'] = text {
                text = rest;
            }
            copy_text::escape(text, out);
            Ok(())
        }
        Kind::Array if first == b'[' => {
            let mut literal = Vec::new();
            array(cursor, target.column.type_name.trim_end_matches("[]"), &mut literal)?;
            copy_text::escape(&literal, out);
            Ok(())
        }
        // Text alone can be large; it needs no second copy.
        Kind::Text | Kind::Array | Kind::Bool | Kind::Number if first == b'"' => cursor.string_as_field(out),
        _ => {
            let mut text = Vec::new();
            scalar(cursor, target.column.kind, &target.column.type_name, &mut text)?;
            copy_text::escape(&text, out);
            Ok(())
        }
    }
}

/// Whether the text of a JSON string holds an object or an array.
fn holds_json(text: &[u8]) -> bool {
    let mut value = Vec::new();
    if Cursor::new(text).string_as_value(&mut value).is_err() || !matches!(value.trim_ascii_start(), [b'{' | b'[', ..])
    {
        return false;
    }
    let mut inner = Cursor::new(&value);
    inner.value().is_ok() && matches!(inner.token(), Err(Stop::Incomplete))
}

/// Appends the text of a value that is neither null nor JSON nor an array.
fn scalar(cursor: &mut Cursor<'_>, kind: Kind, type_name: &str, out: &mut Vec<u8>) -> Read<()> {
    match cursor.here()? {
        b'"' if kind == Kind::Bytes || type_name == "bytea" => {
            let start = out.len();
            cursor.string_as_value(out)?;
            if out[start..].starts_with(b"\\x") || out.len() == start {
                return Ok(());
            }
            wrong("a text that does not begin with `\\x` for a bytea; if it is base64, write it in hexadecimal")
        }
        b'"' => cursor.string_as_value(out),
        b't' => {
            cursor.word("true")?;
            out.extend_from_slice(if is_bool(kind, type_name) { b"t" } else { b"true" });
            Ok(())
        }
        b'f' => {
            cursor.word("false")?;
            out.extend_from_slice(if is_bool(kind, type_name) { b"f" } else { b"false" });
            Ok(())
        }
        b'-' | b'0'..=b'9' => {
            out.extend_from_slice(cursor.number()?);
            Ok(())
        }
        b'{' => object(cursor, kind, type_name, out),
        b'[' => wrong(format!("an array for a column of the type {type_name}")),
        other => wrong(format!("expected a value, found `{}`", shown(other))),
    }
}

fn is_bool(kind: Kind, type_name: &str) -> bool {
    kind == Kind::Bool || type_name == "boolean"
}

/// What node makes of types that JSON does not know.
fn object(cursor: &mut Cursor<'_>, kind: Kind, type_name: &str, out: &mut Vec<u8>) -> Read<()> {
    let text = cursor.value()?;
    let unknown = || Stop::Wrong(format!("an object for a column of the type {type_name}"));
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(text).map_err(|_| unknown())?;
    let number = |key: &str| object.get(key).and_then(serde_json::Value::as_f64);
    let base = type_name.split(['(', ' ']).next().unwrap_or(type_name);
    let made = match base {
        _ if kind == Kind::Bytes || base == "bytea" => bytes(&object),
        "interval" => interval(&object),
        "point" => number("x").zip(number("y")).map(|(x, y)| format!("({x},{y})")),
        "circle" => {
            let (x, y, radius) = (number("x"), number("y"), number("radius"));
            x.zip(y).zip(radius).map(|((x, y), radius)| format!("<({x},{y}),{radius}>"))
        }
        _ => None,
    };
    out.extend_from_slice(made.ok_or_else(unknown)?.as_bytes());
    Ok(())
}

/// `{"type":"Buffer","data":[1,2]}`.
fn bytes(object: &serde_json::Map<String, serde_json::Value>) -> Option<String> {
    let is_buffer = object.get("type")?.as_str()? == "Buffer";
    let data = object.get("data")?.as_array()?;
    let mut text = String::with_capacity(2 + data.len() * 2);
    text.push_str("\\x");
    for byte in data {
        let byte = u8::try_from(byte.as_u64()?).ok()?;
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16)?);
        }
    }
    is_buffer.then_some(text)
}

/// `{"hours":1,"milliseconds":0.5}`: parts that are not named are 0.
fn interval(object: &serde_json::Map<String, serde_json::Value>) -> Option<String> {
    let mut text = String::new();
    for (key, value) in object {
        let unit = match key.as_str() {
            unit @ ("years" | "months" | "days" | "hours" | "minutes" | "seconds" | "milliseconds") => unit,
            _ => return None,
        };
        text.push_str(&format!(" {} {unit}", value.as_number()?));
    }
    Some(if text.is_empty() { "0".into() } else { text })
}

/// Appends an array literal. In an array of JSON what stands inside the first level is JSON, arrays included.
fn array(cursor: &mut Cursor<'_>, element: &str, out: &mut Vec<u8>) -> Read<()> {
    let is_json = matches!(element, "json" | "jsonb");
    let mut depth = 0_usize;
    loop {
        match cursor.token()? {
            b'[' if depth == 0 || !is_json => {
                cursor.at += 1;
                out.push(b'{');
                depth += 1;
                if cursor.token()? != b']' {
                    continue;
                }
            }
            b'n' => {
                cursor.word("null")?;
                out.extend_from_slice(b"NULL");
            }
            _ if is_json => quote(cursor.value()?.trim_ascii_end(), out),
            first @ (b't' | b'f') => {
                cursor.word(if first == b't' { "true" } else { "false" })?;
                let is_bool = element == "boolean";
                out.extend_from_slice(match (is_bool, first == b't') {
                    (true, true) => b"t",
                    (true, false) => b"f",
                    (false, true) => b"true",
                    (false, false) => b"false",
                });
            }
            b'-' | b'0'..=b'9' => out.extend_from_slice(cursor.number()?),
            _ => {
                let mut text = Vec::new();
                scalar(cursor, Kind::Text, element, &mut text)?;
                quote(&text, out);
            }
        }
        loop {
            let found = cursor.token()?;
            cursor.at += 1;
            match found {
                b',' => {
                    out.push(b',');
                    break;
                }
                b']' => {
                    out.push(b'}');
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                other => return wrong(format!("expected `,` or `]`, found `{}`", shown(other))),
            }
        }
    }
}

/// Appends an element in quotes, as an array literal wants it.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}
