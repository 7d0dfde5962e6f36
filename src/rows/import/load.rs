//! One chunk of rows into the target: decoded or streamed, mapped, digested, sent, and written down in one transaction.
//!
//! Law: whatever goes wrong with a row is told with its file, its number, its column and its value.

use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use tokio_postgres::{Client, CopyInSink};

use super::journal::{self, Chunk};
use crate::adapter::database::Session;
use crate::data::catalog::{Column, Table, TableName};
use crate::data::copy_text;
use crate::data::digest::{self, Sum};
use crate::data::json_rows::RowDecoder;
use crate::data::passage::{self, Passage, Passed};
use crate::data::plural::counted;
use crate::data::sidecar::Sidecar;
use crate::rows::set_aside::shortened;

/// Bytes that are sent at a time.
const SENT: usize = 128 << 10;

/// The way of one table's rows into the target.
pub(crate) struct Lane {
    /// The table, as the target has it.
    pub table: Table,
    /// What its chunks are known by.
    pub stem: String,
    /// What its rows come from, in words: a file, or the table in the source.
    pub origin: String,
    /// The columns that move, in the order of the rows' fields.
    pub columns: Vec<Column>,
    /// `COPY … FROM STDIN`.
    pub copy_in: String,
    /// What is done to its rows; none where they pass unread.
    pub passage: Option<Passage>,
    /// Reads the lines of its file.
    pub decoder: Option<RowDecoder>,
    /// Takes what its rows are, for a later comparison.
    pub sidecar: Option<Mutex<Sidecar>>,
    /// What must have come in at the end.
    pub expected: Expected,
    /// Bytes that are to be read, about.
    pub bytes: u64,
}

/// What must have come in of a table at the end, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected {
    /// How many rows.
    pub rows: Option<u64>,
    /// Their digest.
    pub digest: Option<Sum>,
}

impl Lane {
    /// Its name.
    pub fn name(&self) -> &TableName {
        &self.table.name
    }
}

/// A chunk of rows.
pub(crate) struct Unit {
    /// Its number within the table.
    pub part: i64,
    /// The number of its first row, from 1 on, where it is known.
    pub first: u64,
    /// Whether it is in the target already, so that only the sidecar wants it.
    pub is_in_target: bool,
    /// Where its rows are.
    pub rows: Rows,
}

/// Where the rows of a chunk are.
pub(crate) enum Rows {
    /// Here, as lines of JSON.
    Lines(Vec<u8>),
    /// Here, as COPY text.
    Text(Vec<u8>),
    /// In the source: `COPY (…) TO STDOUT`.
    Range(String),
}

impl Rows {
    /// Bytes that are here.
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Self::Lines(text) | Self::Text(text) => Some(text.len() as u64),
            Self::Range(_) => None,
        }
    }
}

/// Where bytes go.
type Sink = std::pin::Pin<Box<CopyInSink<Cursor<Vec<u8>>>>>;

/// What goes out of a chunk.
struct Outgoing<'a> {
    lane: &'a Lane,
    sink: Option<Sink>,
    text: Vec<u8>,
    bytes: u64,
    passed: Passed,
    pairs: Vec<(u64, u128)>,
    // Kept from row to row.
    row: Vec<u8>,
    mapped: Vec<u8>,
    room: Vec<u8>,
}

impl Outgoing<'_> {
    /// Takes a row as COPY text.
    fn row(&mut self, passage: &Passage, row: &[u8]) {
        if passage.users.is_empty() {
            self.text.extend_from_slice(row);
            self.ended(passage, self.text.len() - row.len());
        } else {
            let mut mapped = std::mem::take(&mut self.mapped);
            let digest = passage.row(row, &mut mapped, &mut self.passed);
            let start = self.text.len();
            self.text.extend_from_slice(&mapped);
            self.mapped = mapped;
            self.taken(passage, start, digest);
        }
    }

    /// Takes a row as a line of JSON.
    fn line(&mut self, decoder: &mut RowDecoder, passage: &Passage, line: &[u8]) -> Result<()> {
        if passage.users.is_empty() {
            let start = self.text.len();
            decoder.line(line, &mut self.text)?;
            self.ended(passage, start);
        } else {
            let mut row = std::mem::take(&mut self.row);
            row.clear();
            decoder.line(line, &mut row)?;
            self.row(passage, &row);
            self.row = row;
        }
        Ok(())
    }

    /// A row that arrives as it came stands behind the text.
    fn ended(&mut self, passage: &Passage, start: usize) {
        let digest = digest::of_row(&self.text[start..]);
        self.passed.sum.add(digest);
        self.taken(passage, start, digest);
    }

    fn taken(&mut self, passage: &Passage, start: usize, digest: u128) {
        if self.lane.sidecar.is_some() {
            self.pairs.push((passage.key_of(&self.text[start..], &mut self.room), digest));
        }
        self.text.push(b'\n');
    }

    /// Sends what waits, if it is enough.
    async fn flow(&mut self) -> Result<()> {
        if self.text.len() >= SENT { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        self.bytes += self.text.len() as u64;
        let text = std::mem::replace(&mut self.text, Vec::with_capacity(SENT + (SENT >> 2)));
        if let Some(sink) = &mut self.sink {
            sink.send(Cursor::new(text)).await.context("the connection to the target ended")?;
        }
        self.store()
    }

    fn store(&mut self) -> Result<()> {
        if let Some(sidecar) = &self.lane.sidecar
            && !self.pairs.is_empty()
        {
            let mut sidecar = sidecar.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, row) in self.pairs.drain(..) {
                sidecar.add(key, row).context("cannot write the baseline for a later comparison")?;
            }
        }
        Ok(())
    }
}

/// Loads a chunk, and gives what is now in the target.
///
/// # Errors
/// When a row cannot be read, sent or taken; nothing of the chunk is in the target then.
pub(crate) async fn load(lane: &Lane, unit: Unit, target: &mut Session, source: Option<&Session>) -> Result<Chunk> {
    let mut outgoing = Outgoing {
        lane,
        sink: None,
        text: Vec::with_capacity(SENT + (SENT >> 2)),
        bytes: 0,
        passed: Passed::default(),
        pairs: Vec::new(),
        row: Vec::new(),
        mapped: Vec::new(),
        room: Vec::new(),
    };
    let (part, first) = (unit.part, unit.first);
    if unit.is_in_target {
        fill(&mut outgoing, unit, source).await?;
        return Ok(Chunk { sum: outgoing.passed.sum, bytes: outgoing.bytes });
    }
    let transaction = target.transaction().await?;
    outgoing.sink = Some(Box::pin(transaction.copy_in(&lane.copy_in).await?));
    fill(&mut outgoing, unit, source).await?;
    let Some(mut sink) = outgoing.sink.take() else { bail!("nothing was sent") };
    let taken = sink.as_mut().finish().await.map_err(|error| refused(lane, first, error))?;
    let mut sum = outgoing.passed.sum;
    if lane.passage.is_none() {
        sum.rows = taken;
    }
    if sum.rows != taken {
        bail!("{}: {} sent, but {taken} taken", lane.origin, counted(sum.rows, "row"));
    }
    let chunk = Chunk { sum, bytes: outgoing.bytes };
    journal::add_chunk(&transaction, &lane.stem, part, &chunk).await?;
    transaction.commit().await.context("cannot commit a chunk")?;
    Ok(chunk)
}

async fn fill(outgoing: &mut Outgoing<'_>, unit: Unit, source: Option<&Session>) -> Result<()> {
    let lane = outgoing.lane;
    match (unit.rows, &lane.passage) {
        (Rows::Lines(text), Some(passage)) => {
            let mut decoder = lane.decoder.clone().context("no decoder was made for lines of JSON")?;
            for (number, line) in (unit.first..).zip(lines(&text)) {
                let read = outgoing.line(&mut decoder, passage, line);
                read.with_context(|| format!("{}, row {number}", lane.origin))?;
                outgoing.flow().await?;
            }
        }
        (Rows::Text(text), Some(passage)) => {
            for row in lines(&text) {
                outgoing.row(passage, row);
                outgoing.flow().await?;
            }
        }
        (Rows::Range(select), passage) => {
            let source = source.context("no session of the source was opened")?;
            range(outgoing, passage.as_ref(), &select, source).await?;
        }
        (_, None) => bail!("rows of a file must be read"),
    }
    outgoing.flush().await?;
    let users = lane.passage.as_ref().map_or(&[][..], |passage| &passage.users);
    match passage::refused(users, &outgoing.passed.unmapped) {
        Some(words) => bail!("{}: {words}", lane.origin),
        None => Ok(()),
    }
}

async fn range(outgoing: &mut Outgoing<'_>, passage: Option<&Passage>, select: &str, source: &Client) -> Result<()> {
    let origin = &outgoing.lane.origin;
    let stream = source.copy_out(select).await.with_context(|| format!("cannot read {origin}"))?;
    let mut stream = std::pin::pin!(stream);
    let mut rows = copy_text::Rows::default();
    while let Some(piece) = stream.next().await {
        let piece = piece.with_context(|| format!("cannot read {origin}"))?;
        match passage {
            None => outgoing.text.extend_from_slice(&piece),
            Some(passage) => rows.feed(&piece, |row| {
                outgoing.row(passage, row);
                Ok::<(), anyhow::Error>(())
            })?,
        }
        outgoing.flow().await?;
    }
    if !rows.is_at_a_boundary() {
        bail!("{origin}: the server stopped within a row");
    }
    Ok(())
}

/// The lines of a text whose last line end may be missing.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut rest = (!text.is_empty()).then_some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memchr(b'\n', text);
        rest = end.map(|end| &text[end + 1..]);
        Some(end.map_or(text, |end| &text[..end]))
    })
}

/// What the target had against a row, in words.
fn refused(lane: &Lane, first: u64, error: tokio_postgres::Error) -> anyhow::Error {
    let Some(told) = error.as_db_error() else { return anyhow!(error).context("the connection to the target ended") };
    let place = told.where_().and_then(Place::of);
    let mut words = lane.origin.clone();
    if let Some(place) = &place {
        if first > 0 {
            words += &format!(", row {}", first + place.line - 1);
        }
        if let Some(column) = &place.column {
            words += &format!(", column {column}");
        }
    }
    words += &format!(": {}", told.message());
    if let Some(value) = place.and_then(|place| place.value) {
        words += &format!(" (value {})", shortened(&value));
    }
    if let Some(constraint) = told.constraint() {
        words += &format!(" (constraint {constraint})");
    }
    if let Some(detail) = told.detail() {
        words += &format!("; {}", shortened(detail));
    }
    anyhow!(error).context(words)
}

/// Where in a COPY the server saw what it did not like: `COPY units, line 3, column name: "x"`.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    line: u64,
    column: Option<String>,
    value: Option<String>,
}

impl Place {
    fn of(context: &str) -> Option<Self> {
        let line = context.lines().find(|line| line.starts_with("COPY "))?;
        let at = line.find(", line ")?;
        let rest = &line[at + ", line ".len()..];
        let digits = rest.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(rest.len());
        let number = rest[..digits].parse().ok()?;
        let rest = &rest[digits..];
        let (column, value) = match rest.strip_prefix(", column ") {
            Some(named) => match named.split_once(": ") {
                Some((column, value)) => (Some(column.to_owned()), Some(value.to_owned())),
                None => (Some(named.to_owned()), None),
            },
            // The whole line is no value: it may hold anything.
            None => (None, None),
        };
        Some(Self { line: number, column, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_place_is_read() {
        let place = |text| Place::of(text).map(|place| (place.line, place.column, place.value));
        let expected = Some((3, Some("name".into()), Some("\"x: y\"".into())));
        assert_eq!(place("SQL function\nCOPY units, line 3, column name: \"x: y\""), expected);
        assert_eq!(place("COPY units, line 12: \"1\t2\""), Some((12, None, None)));
        assert_eq!(place("COPY units, line 12, column name"), Some((12, Some("name".into()), None)));
        assert_eq!(place("something else"), None);
    }

    #[test]
    fn lines_end_with_the_text() {
        let of = |text: &[u8]| lines(text).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(of(b"a\n\nb\n"), [b"a".to_vec(), Vec::new(), b"b".to_vec()]);
        assert_eq!(of(b"a"), [b"a".to_vec()]);
        assert_eq!(of(b"").len(), 0);
    }
}
