//! `TABLE.json`: an array, one row per line, every value the type's own text in a JSON string, or null. Lossless both ways.
//!
//! Law: what [`Encoder`] writes, [`Decoder`] reads back as the same COPY text, byte for byte.
//!
//! The decoder also reads what other tools write (any valid JSON array of objects). Their values are taken by the kind
//! of the column: numbers keep their exact text, booleans become `t` or `f`, arrays become array literals, values in
//! JSON columns are their own JSON text, `{"type":"Buffer","data":[…]}` is a `bytea`. Two things are ambiguous there and
//! decided once, for every file alike:
//! - A string in a JSON column is a JSON *string*, because that is what node's `pg` and `JSON.stringify` mean by it. Where such
//!   a string holds the text of an object or an array, that is counted and said ([`Decoder::doubts`]).
//! - A null in a JSON column is the absent value, except where the column may not be null: then it is JSON's `null`.

mod decoder;
mod foreign;
mod row;
mod scan;

pub use decoder::{Decoder, Fault};
pub use row::{Reading, RowDecoder, What};

use super::copy_text;
use super::plural::counted;
use scan::special;

/// What stands before the first row.
pub const OPENING: &[u8] = b"[\n";
/// What stands between two rows.
pub const BETWEEN: &[u8] = b",\n";
/// What stands after the last row, if there was one.
pub const CLOSING: &[u8] = b"\n]\n";
/// A file without rows.
pub const EMPTY: &[u8] = b"[]\n";

/// Writes rows of COPY text as JSON objects.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// For each column what stands before its value: `{"id":` or `,"name":`.
    prefixes: Vec<Vec<u8>>,
}

impl Encoder {
    /// For rows of these columns, in this order.
    pub fn new<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        let prefixes = columns.into_iter().enumerate().map(|(at, name)| prefix(at, name)).collect();
        Self { prefixes }
    }

    /// Appends a row (COPY text without its line end) as `{"id":"1","name":null}`.
    ///
    /// # Errors
    /// When it has not as many fields as there are columns; what was appended is then of no use.
    pub fn row(&self, row: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        if self.prefixes.is_empty() && row.is_empty() {
            out.extend_from_slice(b"{}");
            return Ok(());
        }
        let (mut rest, mut fields) = (row, self.prefixes.iter());
        loop {
            let Some(prefix) = fields.next() else { return Err(self.miscounted(row)) };
            out.extend_from_slice(prefix);
            let is_last = if rest.starts_with(copy_text::NULL) && matches!(rest.get(2), None | Some(b'\t')) {
                out.extend_from_slice(b"null");
                let is_last = rest.len() == 2;
                rest = rest.get(3..).unwrap_or_default();
                is_last
            } else {
                out.push(b'"');
                let used = field(rest, out);
                out.push(b'"');
                let is_last = used == rest.len();
                rest = rest.get(used + 1..).unwrap_or_default();
                is_last
            };
            if is_last {
                break;
            }
        }
        if fields.next().is_some() {
            return Err(self.miscounted(row));
        }
        out.push(b'}');
        Ok(())
    }

    fn miscounted(&self, row: &[u8]) -> String {
        format!(
            "a row has {} where the table has {}",
            counted(copy_text::fields(row).count(), "field"),
            counted(self.prefixes.len(), "column")
        )
    }
}

/// What stands before the value of the column at this place.
fn prefix(at: usize, name: &str) -> Vec<u8> {
    let mut prefix = vec![if at == 0 { b'{' } else { b',' }];
    prefix.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
    prefix.push(b':');
    prefix
}

/// Appends the first field of `rest` as the inside of a JSON string, and gives its length. Both formats escape
/// alike, but for quotes, the vertical tab and the control characters that COPY leaves as they are.
fn field(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    loop {
        let plain = special(&rest[at..]);
        out.extend_from_slice(&rest[at..at + plain]);
        at += plain;
        match rest.get(at) {
            None | Some(b'\t') => return at,
            Some(b'\\') => {
                match rest.get(at + 1) {
                    Some(code @ (b'b' | b't' | b'n' | b'f' | b'r' | b'\\')) => out.extend_from_slice(&[b'\\', *code]),
                    Some(b'v') => out.extend_from_slice(b"\\u000b"),
                    Some(other) => character(*other, out),
                    None => out.extend_from_slice(b"\\\\"),
                }
                at = (at + 2).min(rest.len());
            }
            Some(other) => {
                character(*other, out);
                at += 1;
            }
        }
    }
}

fn character(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        0..0x20 => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        plain => out.push(plain),
    }
}

#[cfg(test)]
mod tests;
