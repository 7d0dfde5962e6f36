//! One JSON object to one row of COPY text: a fast path for our own form, a thorough one for everything else.

use std::collections::HashMap;
use std::fmt;

use super::foreign;
use super::prefix;
use super::scan::{Cursor, Read, Stop, wrong};
use crate::data::catalog::{Column, Kind};
use crate::data::copy_text;

/// How a file is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Whether cutover wrote it (`exportMethod` begins with `cutover`): every value is then the type's own text.
    pub is_ours: bool,
    /// Whether a column that a row does not name is null there; else it is an error.
    pub is_missing_null: bool,
}

impl Reading {
    /// A file that cutover wrote.
    pub const OURS: Self = Self { is_ours: true, is_missing_null: false };
    /// A file of another tool; it names every column in every row.
    pub const FOREIGN: Self = Self { is_ours: false, is_missing_null: false };
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct What {
    /// The column, where it is one column's matter.
    pub column: Option<String>,
    /// In words.
    pub words: String,
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = &self.column {
            write!(formatter, "column {column}: ")?;
        }
        formatter.write_str(&self.words)
    }
}

impl std::error::Error for What {}

/// A column of the table, and where its value goes.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) column: Column,
    /// What our own form has before its value.
    prefix: Vec<u8>,
    /// How often a string in a JSON column held the text of an object or an array.
    pub(super) doubts: u64,
}

/// Why a row gave nothing.
pub(super) enum NoRow {
    /// The text ends within it.
    Incomplete,
    /// It is wrong.
    Wrong(What),
}

/// Reads rows of one table.
#[derive(Clone, Debug)]
pub struct RowDecoder {
    /// The columns that move, in order.
    pub(super) targets: Vec<Target>,
    /// Where each key goes; generated columns are known, but go nowhere.
    places: HashMap<String, Option<usize>>,
    reading: Reading,
    /// Values of a row whose keys are in another order.
    aside: Vec<u8>,
    slots: Vec<Option<(usize, usize)>>,
}

impl RowDecoder {
    /// For rows of a table with these columns. Stored generated ones may stand in the file; their values are passed by.
    pub fn new<'a>(columns: impl IntoIterator<Item = &'a Column>, reading: Reading) -> Self {
        let (mut targets, mut places) = (Vec::new(), HashMap::new());
        for column in columns {
            let place = (!column.is_generated).then_some(targets.len());
            places.insert(column.name.clone(), place);
            if let Some(place) = place {
                let prefix = prefix(place, &column.name);
                targets.push(Target { column: column.clone(), prefix, doubts: 0 });
            }
        }
        let slots = vec![None; targets.len()];
        Self { targets, places, reading, aside: Vec::new(), slots }
    }

    /// Appends the row that stands in a line of our own form, with or without its comma, as COPY text without a
    /// line end. So many threads can read one file together: rows never go over a line end.
    ///
    /// # Errors
    /// When it is no row of this table; nothing is appended then.
    pub fn line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), What> {
        let unclear = |words: &str| What { column: None, words: words.into() };
        match self.read(line, out) {
            Ok(used) if matches!(line[used..].trim_ascii(), b"" | b",") => Ok(()),
            Ok(_) => Err(unclear("there is something behind the row in its line")),
            Err(NoRow::Incomplete) => Err(unclear("the row does not end in its line")),
            Err(NoRow::Wrong(what)) => Err(what),
        }
    }

    /// Appends the row that begins with the first byte (`{`) and gives its length; on an error, appends nothing.
    pub(super) fn read(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<usize, NoRow> {
        let start = out.len();
        let used = match self.fast(text, out) {
            Some(used) => Ok(used),
            None => {
                out.truncate(start);
                self.thorough(text, out)
            }
        };
        let used = used.inspect_err(|_| out.truncate(start))?;
        if let Err(error) = std::str::from_utf8(&text[..used]) {
            out.truncate(start);
            let words = format!("byte {} of the row is not UTF-8", error.valid_up_to() + 1);
            return Err(NoRow::Wrong(What { column: None, words }));
        }
        Ok(used)
    }

    /// Our own form to the letter, or nothing.
    fn fast(&self, text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let mut cursor = Cursor::new(text);
        for (at, target) in self.targets.iter().enumerate() {
            if !cursor.passes(&target.prefix) {
                return None;
            }
            if at > 0 {
                out.push(b'\t');
            }
            let is_text = self.reading.is_ours || !matches!(target.column.kind, Kind::Json | Kind::Bytes);
            match cursor.here().ok()? {
                b'"' if is_text => cursor.string_as_field(out).ok()?,
                b'n' if is_text && cursor.passes(b"null") => out.extend_from_slice(copy_text::NULL),
                _ => return None,
            }
        }
        (!self.targets.is_empty() && cursor.passes(b"}")).then_some(cursor.at)
    }

    fn thorough(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<usize, NoRow> {
        self.aside.clear();
        self.slots.fill(None);
        let mut name = None;
        let used = self.object(text, &mut name).map_err(|stop| match stop {
            Stop::Incomplete => NoRow::Incomplete,
            Stop::Wrong(words) => NoRow::Wrong(What { column: name, words }),
        })?;
        for (at, slot) in self.slots.iter().enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            match slot {
                Some((from, to)) => out.extend_from_slice(&self.aside[*from..*to]),
                None if self.reading.is_missing_null => out.extend_from_slice(copy_text::NULL),
                None => {
                    let column = Some(self.targets[at].column.name.clone());
                    return Err(NoRow::Wrong(What { column, words: "the row does not name it".into() }));
                }
            }
        }
        Ok(used)
    }

    /// Reads an object into `aside`; `name` is the column that is being read.
    fn object(&mut self, text: &[u8], name: &mut Option<String>) -> Read<usize> {
        let mut cursor = Cursor::new(text);
        cursor.expect(b'{')?;
        if cursor.token()? == b'}' {
            return Ok(cursor.at + 1);
        }
        loop {
            *name = None;
            if cursor.token()? != b'"' {
                return wrong("expected a key in quotes");
            }
            let mut key = Vec::new();
            cursor.string_as_value(&mut key)?;
            let key = String::from_utf8(key).map_err(|_| Stop::Wrong("a key is not UTF-8".into()))?;
            cursor.expect(b':')?;
            cursor.token()?;
            let Some(&place) = self.places.get(&key) else {
                let known = self.targets.iter().map(|target| target.column.name.as_str()).collect::<Vec<_>>();
                return wrong(format!("the table has no column {key:?}; it has {}", known.join(", ")));
            };
            *name = Some(key);
            match place {
                None => drop(cursor.value()?),
                Some(place) => self.value(&mut cursor, place)?,
            }
            *name = None;
            match cursor.token()? {
                b',' => cursor.at += 1,
                b'}' => return Ok(cursor.at + 1),
                _ => return wrong("expected `,` or `}` after a value"),
            }
        }
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, place: usize) -> Read<()> {
        let target = &mut self.targets[place];
        let from = self.aside.len();
        if self.slots[place].is_some() {
            return wrong("the row names it twice");
        }
        if self.reading.is_ours {
            match cursor.here()? {
                b'"' => cursor.string_as_field(&mut self.aside)?,
                b'n' => {
                    cursor.word("null")?;
                    self.aside.extend_from_slice(copy_text::NULL);
                }
                _ => return wrong("expected a string or null: cutover writes nothing else, so the file was edited"),
            }
        } else {
            foreign::value(cursor, target, &mut self.aside)?;
        }
        self.slots[place] = Some((from, self.aside.len()));
        Ok(())
    }
}
