//! A change file: what was inserted, updated and deleted, one JSON object per line, behind a line that says what it holds.
//!
//! Law: the first line counts and digests all the others, so that a file which is cut short or edited is no change file.
//! Rows are as the target has them (user ids mapped); values are the types' own text, or null.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::catalog::TableName;
use super::copy_text;
use super::difference::Change;
use super::digest::{self, Sum};
use super::json_rows::Encoder;
use super::uncompared::Uncompared;

/// What `schema` says.
pub const SCHEMA: &str = "cutover/v1";
const KIND: &str = "changes";

/// What was done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// It is new.
    Insert,
    /// It has other values.
    Update,
    /// It is gone.
    Delete,
}

impl Op {
    /// What a change is; none where both rows are absent.
    pub fn of(change: &Change) -> Option<Self> {
        match (&change.old, &change.new) {
            (None, Some(_)) => Some(Self::Insert),
            (Some(_), Some(_)) => Some(Self::Update),
            (Some(_), None) => Some(Self::Delete),
            (None, None) => None,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A table of a change file; also those without changes are listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableChanges {
    /// Name.
    pub table: TableName,
    /// The columns of its rows.
    pub columns: Vec<String>,
    /// The columns that tell rows apart; none where content alone does.
    pub key: Vec<String>,
    /// The columns that hold user ids.
    pub users: Vec<String>,
    /// Rows that are new.
    pub inserted: u64,
    /// Rows with other values.
    pub updated: u64,
    /// Rows that are gone.
    pub deleted: u64,
    /// Count and digest of all rows before.
    pub before: Sum,
    /// Count and digest of all rows after.
    pub after: Sum,
}

impl TableChanges {
    /// All changes.
    pub fn all(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }
}

/// A sequence and the last value that it gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SequenceValue {
    /// Name.
    pub name: TableName,
    /// The last value that the target's gave; none where it was not asked.
    pub last_value: Option<i64>,
}

/// The first line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// `cutover/v1`.
    pub schema: String,
    /// `changes`.
    pub kind: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// What the target was compared with, without a password.
    pub baseline: String,
    /// The target, without its password.
    pub target: String,
    /// The import or copy that the target records, by its identity; none where it records none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<String>,
    /// Where the target's log stood: later writes are not in it.
    pub target_lsn: String,
    /// The tables, in the order of their lines.
    pub tables: Vec<TableChanges>,
    /// What the baseline does not have, so that nothing tells what was written there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncompared: Vec<Uncompared>,
    /// The target's sequences.
    pub sequences: Vec<SequenceValue>,
    /// SHA-256 of all lines behind this one.
    pub sha256: String,
}

impl Head {
    /// How many changes there are.
    pub fn all(&self) -> u64 {
        self.tables.iter().map(TableChanges::all).sum()
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    /// Number in the head's tables.
    table: usize,
    op: Op,
    key: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new: Option<Map<String, Value>>,
}

/// Writes the lines behind the head; the head comes last, because it counts and digests them.
pub struct Writer<W> {
    out: W,
    hash: Sha256,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes lines to `out`.
    pub fn new(out: W) -> Self {
        Self { out, hash: Sha256::new(), buffer: Vec::new() }
    }

    /// Writes one change of the table with this number, and counts it there.
    ///
    /// # Errors
    /// When a row has not the table's columns, or the file cannot be written.
    pub fn add(&mut self, number: usize, table: &mut TableChanges, change: &Change) -> io::Result<()> {
        let Some(op) = Op::of(change) else { return Ok(()) };
        match op {
            Op::Insert => table.inserted += 1,
            Op::Update => table.updated += 1,
            Op::Delete => table.deleted += 1,
        }
        let key = if table.key.is_empty() { &[] } else { &table.key[..] };
        self.buffer.clear();
        self.buffer.extend_from_slice(format!("{{\"table\":{number},\"op\":\"{}\",\"key\":", op.word()).as_bytes());
        if key.is_empty() {
            self.buffer.extend_from_slice(b"{}");
        } else {
            encode(key, &change.key, &mut self.buffer)?;
        }
        if let Some(old) = &change.old {
            let digest = digest::of_row(old);
            self.buffer.extend_from_slice(format!(",\"digest\":\"{digest:032x}\",\"old\":").as_bytes());
            encode(&table.columns, old, &mut self.buffer)?;
        }
        if let Some(new) = &change.new {
            self.buffer.extend_from_slice(b",\"new\":");
            encode(&table.columns, new, &mut self.buffer)?;
        }
        self.buffer.extend_from_slice(b"}\n");
        self.hash.update(&self.buffer);
        self.out.write_all(&self.buffer)
    }

    /// Ends the lines; gives what they were written to, and the first line that belongs before them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self, head: &mut Head) -> io::Result<(W, Vec<u8>)> {
        self.out.flush()?;
        SCHEMA.clone_into(&mut head.schema);
        KIND.clone_into(&mut head.kind);
        head.sha256 = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut first = serde_json::to_vec(head)?;
        first.push(b'\n');
        Ok((self.out, first))
    }
}

fn encode(columns: &[String], row: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    Encoder::new(columns.iter().map(String::as_str)).row(row, out).map_err(io::Error::other)
}

fn decode(columns: &[String], row: &Map<String, Value>) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.push(b'\t');
        }
        match row.get(column) {
            Some(Value::Null) => out.extend_from_slice(copy_text::NULL),
            Some(Value::String(text)) => copy_text::escape(text.as_bytes(), &mut out),
            _ => return Err(broken(&format!("a row does not say {column}, or not as text or null"))),
        }
    }
    Ok(out)
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this is no whole change file: {why}"))
}

/// Reads a change file. What it gave counts only after it gave none: before that, the digest was not seen.
pub struct Reader<R> {
    /// What it holds.
    pub head: Head,
    from: R,
    hash: Sha256,
    line: Vec<u8>,
    counted: Vec<u64>,
    last: usize,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// When it is no change file.
    pub fn new(mut from: R) -> io::Result<Self> {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line)?;
        let head: Head = serde_json::from_slice(&line).map_err(|error| broken(&error.to_string()))?;
        if head.schema != SCHEMA || head.kind != KIND || line.last() != Some(&b'\n') {
            return Err(broken("its first line says something else"));
        }
        let counted = vec![0; head.tables.len()];
        Ok(Self { head, from, hash: Sha256::new(), line, counted, last: 0 })
    }

    /// The next change, with the number of its table; tables come one after the other, in the head's order.
    ///
    /// # Errors
    /// When the file is not what its first line says.
    pub fn next_change(&mut self) -> io::Result<Option<(usize, Change)>> {
        self.line.clear();
        if self.from.read_until(b'\n', &mut self.line)? == 0 {
            return self.end().map(|()| None);
        }
        self.hash.update(&self.line);
        let line: Line = serde_json::from_slice(&self.line).map_err(|error| broken(&error.to_string()))?;
        let table = self.head.tables.get(line.table).ok_or_else(|| broken("a line names no table"))?;
        if line.table < self.last {
            return Err(broken("its tables are not in order"));
        }
        self.last = line.table;
        let row = |row: Option<&Map<String, Value>>| row.map(|row| decode(&table.columns, row)).transpose();
        let (old, new) = (row(line.old.as_ref())?, row(line.new.as_ref())?);
        let key = match (table.key.is_empty(), old.as_ref().or(new.as_ref())) {
            (false, _) => decode(&table.key, &line.key)?,
            (true, Some(row)) => row.clone(),
            (true, None) => return Err(broken("a line holds no row")),
        };
        let change = Change { key, old, new };
        if Op::of(&change) != Some(line.op) {
            return Err(broken("a line's rows are not those of its operation"));
        }
        let digest = change.old.as_ref().map(|old| format!("{:032x}", digest::of_row(old)));
        if digest != line.digest {
            return Err(broken("a line's digest is not that of its old row"));
        }
        self.counted[line.table] += 1;
        Ok(Some((line.table, change)))
    }

    fn end(&mut self) -> io::Result<()> {
        let sha256: String = self.hash.finalize_reset().iter().map(|byte| format!("{byte:02x}")).collect();
        if sha256 != self.head.sha256 {
            return Err(broken("its SHA-256 is another; it was cut short or changed"));
        }
        let expected: Vec<u64> = self.head.tables.iter().map(TableChanges::all).collect();
        if self.counted == expected { Ok(()) } else { Err(broken("its lines are not as many as its first line says")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let table = |key: Vec<String>| TableChanges {
            table: TableName::new("public", "a"),
            columns: names("id v"),
            key,
            users: Vec::new(),
            inserted: 0,
            updated: 0,
            deleted: 0,
            before: Sum::default(),
            after: Sum::default(),
        };
        let mut head = Head { tables: vec![table(names("id")), table(Vec::new())], ..Head::default() };
        let mut writer = Writer::new(Vec::new());
        let row = |text: &str| Some(text.as_bytes().to_vec());
        let change = |key: &str, old, new| Change { key: key.into(), old, new };
        writer.add(0, &mut head.tables[0], &change("1", row("1\t\\N"), row("1\t"))).unwrap();
        writer.add(0, &mut head.tables[0], &change("2", row("2\ta\\tb"), None)).unwrap();
        writer.add(1, &mut head.tables[1], &change("3\t\"", None, row("3\t\""))).unwrap();
        let (lines, first) = writer.finish(&mut head).unwrap();
        [first, lines].concat()
    }

    fn all(bytes: &[u8]) -> io::Result<Vec<(usize, Change)>> {
        let (mut reader, mut seen) = (Reader::new(bytes)?, Vec::new());
        while let Some(one) = reader.next_change()? {
            seen.push(one);
        }
        Ok(seen)
    }

    #[test]
    fn changes_read_back_as_they_were_written() {
        let seen = all(&file()).unwrap();
        let text = |row: &Option<Vec<u8>>| row.clone().map(|row| String::from_utf8(row).unwrap());
        let seen: Vec<_> = seen.iter().map(|(table, change)| (*table, text(&change.old), text(&change.new))).collect();
        let some = |text: &str| Some(text.to_owned());
        let expected = [(0, some("1\t\\N"), some("1\t")), (0, some("2\ta\\tb"), None), (1, None, some("3\t\""))];
        assert_eq!(seen, expected);
        let bytes = file();
        let reader = Reader::new(&bytes[..]).unwrap();
        assert_eq!((reader.head.all(), reader.head.tables[0].updated, reader.head.tables[1].inserted), (3, 1, 1));
    }

    #[test]
    fn a_changed_or_cut_file_is_refused() {
        let whole = file();
        for at in (0..whole.len()).step_by(3) {
            assert!(all(&whole[..at]).is_err(), "an end at {at} was not seen");
        }
        let text = String::from_utf8(whole).unwrap();
        for (from, to) in [
            ("\"a\\tb\"", "\"a\\tc\""),
            ("\"new\":{\"id\":\"3\"", "\"new\":{\"id\":\"4\""),
            ("\"op\":\"insert\"", "\"op\":\"delete\""),
        ] {
            assert!(text.contains(from), "{text}");
            assert!(all(text.replace(from, to).as_bytes()).is_err(), "{from} became {to}, and nobody saw it");
        }
    }
}
