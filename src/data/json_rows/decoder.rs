//! A file of rows as a stream: memory for one row and a little more, whatever the file's size.

use std::fmt;
use std::io::Read;

use super::row::{NoRow, Reading, RowDecoder, What};
use super::scan::shown;
use crate::data::catalog::Column;

/// What the buffer begins with, and goes back to after a large row.
const PIECE: usize = 256 * 1024;

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The row, from 1 on; 0 where it is not about a row.
    pub row: u64,
    /// The column, where it is one column's matter.
    pub column: Option<String>,
    /// What, in words.
    pub words: String,
}

impl Fault {
    /// What is wrong with this row of this file.
    pub fn new(file: &str, row: u64, what: What) -> Self {
        Self { file: file.to_owned(), row, column: what.column, words: what.words }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if self.row > 0 {
            write!(formatter, ", row {}", self.row)?;
        }
        if let Some(column) = &self.column {
            write!(formatter, ", column {column}")?;
        }
        write!(formatter, ": {}", self.words)
    }
}

impl std::error::Error for Fault {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Opening,
    FirstRow,
    CommaOrEnd,
    Nothing,
}

/// Reads the rows of a file one by one as COPY text.
pub struct Decoder<R> {
    input: R,
    file: String,
    rows: RowDecoder,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    is_all_read: bool,
    expected: Expected,
    count: u64,
}

impl<R: Read> Decoder<R> {
    /// Reads rows of a table with these columns; `file` is its name in errors.
    pub fn new<'a>(
        input: R,
        file: impl Into<String>,
        columns: impl IntoIterator<Item = &'a Column>,
        reading: Reading,
    ) -> Self {
        Self {
            input,
            file: file.into(),
            rows: RowDecoder::new(columns, reading),
            buffer: vec![0; PIECE],
            start: 0,
            end: 0,
            is_all_read: false,
            expected: Expected::Opening,
            count: 0,
        }
    }

    /// Appends the next row as COPY text without its line end; false after the last one, when the file ended as it must.
    ///
    /// # Errors
    /// When the file cannot be read, is cut off, is no array of objects, or has a row that is none of this table.
    pub fn row(&mut self, out: &mut Vec<u8>) -> Result<bool, Fault> {
        loop {
            let first = self.token()?;
            match (self.expected, first) {
                (Expected::Nothing, None) => return Ok(false),
                (Expected::Nothing, Some(_)) => return Err(self.fault(0, "there is something behind the closing `]`")),
                (_, None) => return Err(self.cut_off()),
                (Expected::Opening, Some(b'[')) => self.passed(Expected::FirstRow),
                (Expected::Opening, Some(other)) => {
                    let words = format!("expected `[`: the file must hold an array of rows; found `{}`", shown(other));
                    return Err(self.fault(0, &words));
                }
                (Expected::FirstRow | Expected::CommaOrEnd, Some(b']')) => self.passed(Expected::Nothing),
                (Expected::CommaOrEnd, Some(b',')) => {
                    self.start += 1;
                    match self.token()? {
                        Some(b'{') => return self.object(out),
                        Some(other) => return Err(self.no_object(other)),
                        None => return Err(self.cut_off()),
                    }
                }
                (Expected::FirstRow, Some(b'{')) => return self.object(out),
                (Expected::FirstRow, Some(other)) => return Err(self.no_object(other)),
                (Expected::CommaOrEnd, Some(other)) => {
                    let words = format!("expected `,` or `]` after row {}, found `{}`", self.count, shown(other));
                    return Err(self.fault(0, &words));
                }
            }
        }
    }

    /// How many rows were read.
    pub fn rows(&self) -> u64 {
        self.count
    }

    /// What may have been meant otherwise by whoever wrote the file, in words.
    pub fn doubts(&self) -> Vec<String> {
        let doubted = self.rows.targets.iter().filter(|target| target.doubts > 0);
        let words = doubted.map(|target| {
            format!(
                "{}, column {}: {} strings hold the text of JSON objects or arrays; they stay JSON strings",
                self.file, target.column.name, target.doubts
            )
        });
        words.collect()
    }

    fn passed(&mut self, next: Expected) {
        self.start += 1;
        self.expected = next;
    }

    fn object(&mut self, out: &mut Vec<u8>) -> Result<bool, Fault> {
        loop {
            match self.rows.read(&self.buffer[self.start..self.end], out) {
                Ok(used) => {
                    self.start += used;
                    self.count += 1;
                    self.expected = Expected::CommaOrEnd;
                    return Ok(true);
                }
                Err(NoRow::Wrong(what)) => return Err(Fault::new(&self.file, self.count + 1, what)),
                Err(NoRow::Incomplete) if self.is_all_read => return Err(self.cut_off()),
                // The row is read again from its start once there is twice as much: that is linear in the end.
                Err(NoRow::Incomplete) => self.fill()?,
            }
        }
    }

    /// The next byte that is no white space, left where it stands.
    fn token(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            while self.start < self.end {
                match self.buffer[self.start] {
                    b' ' | b'\t' | b'\n' | b'\r' => self.start += 1,
                    // A byte order mark, as editors of some systems put it.
                    0xEF if self.expected == Expected::Opening
                        && self.buffer[self.start..self.end].starts_with("\u{feff}".as_bytes()) =>
                    {
                        self.start += 3;
                    }
                    other => return Ok(Some(other)),
                }
            }
            if self.is_all_read {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Reads on until the buffer is full. One that one row fills is made twice as large.
    fn fill(&mut self) -> Result<(), Fault> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(self.end * 2, 0);
        } else if self.buffer.len() > 16 * PIECE && self.end < PIECE {
            self.buffer.truncate(PIECE);
            self.buffer.shrink_to_fit();
        }
        while self.end < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.is_all_read = true;
                    return Ok(());
                }
                Ok(read) => self.end += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(self.count + 1, &format!("cannot read on: {error}"))),
            }
        }
        Ok(())
    }

    fn fault(&self, row: u64, words: &str) -> Fault {
        Fault { file: self.file.clone(), row, column: None, words: words.to_owned() }
    }

    fn no_object(&self, found: u8) -> Fault {
        self.fault(self.count + 1, &format!("expected an object (`{{`), found `{}`", shown(found)))
    }

    fn cut_off(&self) -> Fault {
        let words = match self.expected {
            Expected::Opening => "the file is empty; without rows it would hold `[]`".to_owned(),
            _ => format!("the file is cut off: it ends after {} whole rows, without its closing `]`", self.count),
        };
        self.fault(if self.expected == Expected::Opening { 0 } else { self.count + 1 }, &words)
    }
}
