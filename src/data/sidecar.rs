//! What a table's rows were: for each row the hash of its key and the digest of the whole row, sorted; 24 bytes a row.
//!
//! Law: a file that does not read back whole, by its own SHA-256, says nothing; equal key hashes of different rows stay
//! two pairs. Layout: magic, length of the heading (u32), heading (JSON), count (u64), pairs, SHA-256 of all before it;
//! numbers big-endian.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::catalog::TableName;
use super::digest::Sum;
use super::sorted::{Record, Sorted, Sorter, read_whole};

const MAGIC: &[u8; 8] = b"CUTROWS\x01";
/// Bytes of a pair.
pub const PAIR: usize = 24;
/// The longest heading that is believed: 1,600 columns with long names.
const LONGEST_HEADING: u32 = 4 << 20;

/// What the pairs were made from. Two sidecars can be compared where their headings' tables, keys and columns are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heading {
    /// Table.
    pub table: TableName,
    /// The key's columns; empty where rows have no key: then the whole row is hashed instead.
    pub key: Vec<String>,
    /// The columns that the digests are over, in order.
    pub columns: Vec<String>,
}

impl Heading {
    /// The name of its file beside the table's rows.
    pub fn file_name(&self) -> String {
        format!("{}.sidecar", self.table.stem())
    }
}

/// One row: of which key, and which row. Ordered by the key's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// `digest::of_key`.
    pub key: u64,
    // In halves: a u128 would take 16 bytes of alignment, and a third more memory.
    high: u64,
    low: u64,
}

impl Pair {
    /// A pair of a key's hash and a row's digest.
    #[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
    pub fn new(key: u64, row: u128) -> Self {
        Self { key, high: (row >> 64) as u64, low: row as u64 }
    }

    /// `digest::of_row`.
    pub fn row(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    fn to_bytes(self) -> [u8; PAIR] {
        let mut bytes = [0; PAIR];
        for (part, number) in bytes.chunks_exact_mut(8).zip([self.key, self.high, self.low]) {
            part.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    fn of_bytes(bytes: &[u8; PAIR]) -> Self {
        let number = |at: usize| bytes[at..at + 8].iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        Self { key: number(0), high: number(8), low: number(16) }
    }
}

impl Record for Pair {
    fn held(&self) -> usize {
        PAIR
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }

    fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; PAIR];
        Ok(read_whole(from, &mut bytes)?.then(|| Self::of_bytes(&bytes)))
    }
}

/// Takes the rows of a table in any order. Each worker may have its own; they are put together by `absorb`.
#[derive(Debug)]
pub struct Sidecar {
    heading: Heading,
    pairs: Sorter<Pair>,
    sum: Sum,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Count of the rows, and the sum of their digests.
    pub sum: Sum,
    /// The file's SHA-256 as its trailer holds it (of all before it), in hex.
    pub sha256: String,
}

impl Sidecar {
    /// Holds at most about `room` bytes in memory (8 MiB is plenty); the rest goes to `scratch`, a file without a name.
    pub fn new(heading: Heading, scratch: std::fs::File, room: usize) -> Self {
        Self { heading, pairs: Sorter::new(scratch, room), sum: Sum::default() }
    }

    /// Adds one row by its key's hash and its own digest.
    ///
    /// # Errors
    /// When the scratch file cannot be written.
    pub fn add(&mut self, key: u64, row: u128) -> io::Result<()> {
        self.sum.add(row);
        self.pairs.push(Pair::new(key, row))
    }

    /// Adds what another worker took of the same table.
    ///
    /// # Errors
    /// When a scratch file cannot be written.
    pub fn absorb(&mut self, other: Self) -> io::Result<()> {
        self.sum += other.sum;
        self.pairs.absorb(other.pairs)
    }

    /// Count of the rows so far, and the sum of their digests.
    pub fn sum(&self) -> Sum {
        self.sum
    }

    /// The pairs in order, without a file.
    ///
    /// # Errors
    /// When the scratch file cannot be read.
    pub fn sorted(self) -> io::Result<Sorted<Pair>> {
        self.pairs.sorted()
    }

    /// Writes the file; syncing and naming it is the caller's.
    ///
    /// # Errors
    /// When a file cannot be written or read.
    pub fn finish(self, to: impl Write) -> io::Result<Written> {
        let mut out = Hashed { inner: io::BufWriter::with_capacity(256 << 10, to), hash: Sha256::new() };
        let heading = serde_json::to_vec(&self.heading)?;
        out.write_all(MAGIC)?;
        out.write_all(&u32::try_from(heading.len()).map_err(io::Error::other)?.to_be_bytes())?;
        out.write_all(&heading)?;
        out.write_all(&self.pairs.len().to_be_bytes())?;
        let (mut pairs, mut block) = (self.pairs.sorted()?, Vec::with_capacity(64 << 10));
        while let Some(pair) = pairs.next_record()? {
            block.extend_from_slice(&pair.to_bytes());
            if block.len() + PAIR > 64 << 10 {
                out.write_all(&block)?;
                block.clear();
            }
        }
        out.write_all(&block)?;
        let sha256 = out.hash.finalize();
        out.inner.write_all(&sha256)?;
        out.inner.flush()?;
        Ok(Written { sum: self.sum, sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect() })
    }
}

struct Hashed<T> {
    inner: T,
    hash: Sha256,
}

impl<T: Write> Hashed<T> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<T: Read> Hashed<T> {
    fn fill(&mut self, into: &mut [u8]) -> io::Result<()> {
        if !read_whole(&mut self.inner, into)? && !into.is_empty() {
            return Err(broken("it ends too early"));
        }
        self.hash.update(&*into);
        Ok(())
    }
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("this is no whole sidecar: {why}"))
}

/// Reads a sidecar from its beginning to its end. What it gave counts only after it gave `None`: before that, the
/// trailer was not seen.
pub struct Reader<T> {
    /// What the pairs were made from.
    pub heading: Heading,
    from: Hashed<io::BufReader<T>>,
    left: u64,
    block: Vec<u8>,
    at: usize,
    last: Option<Pair>,
    sum: Sum,
    is_ended: bool,
}

impl<T: Read> Reader<T> {
    /// Reads the heading.
    ///
    /// # Errors
    /// When it is no sidecar, or none of a version that is known.
    pub fn new(from: T) -> io::Result<Self> {
        let mut from = Hashed { inner: io::BufReader::with_capacity(256 << 10, from), hash: Sha256::new() };
        let (mut magic, mut length, mut count) = ([0; 8], [0; 4], [0; 8]);
        from.fill(&mut magic)?;
        if &magic != MAGIC {
            return Err(broken("it begins otherwise, or is of another version"));
        }
        from.fill(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length > LONGEST_HEADING {
            return Err(broken("its heading is too long"));
        }
        let mut heading = vec![0; length as usize];
        from.fill(&mut heading)?;
        let heading = serde_json::from_slice(&heading).map_err(|error| broken(&error.to_string()))?;
        from.fill(&mut count)?;
        let left = u64::from_be_bytes(count);
        let (block, last, sum) = (Vec::new(), None, Sum::default());
        Ok(Self { heading, from, left, block, at: 0, last, sum, is_ended: false })
    }

    /// The next pair, in order; none at the end, when the whole file was as it was written.
    ///
    /// # Errors
    /// When it was cut short, changed, or cannot be read.
    pub fn next_pair(&mut self) -> io::Result<Option<Pair>> {
        if self.at == self.block.len() {
            if self.left == 0 {
                return self.end().map(|()| None);
            }
            let pairs = self.left.min(2048);
            self.left -= pairs;
            self.block.resize(usize::try_from(pairs).unwrap_or(0) * PAIR, 0);
            self.at = 0;
            self.from.fill(&mut self.block)?;
        }
        let mut bytes = [0; PAIR];
        bytes.copy_from_slice(&self.block[self.at..self.at + PAIR]);
        self.at += PAIR;
        let pair = Pair::of_bytes(&bytes);
        if self.last > Some(pair) {
            return Err(broken("its pairs are not in order"));
        }
        self.last = Some(pair);
        self.sum.add(pair.row());
        Ok(Some(pair))
    }

    /// Count and digest of what was read so far.
    pub fn sum(&self) -> Sum {
        self.sum
    }

    fn end(&mut self) -> io::Result<()> {
        if self.is_ended {
            return Ok(());
        }
        let (mut trailer, mut more) = ([0; 32], [0; 1]);
        let is_there = read_whole(&mut self.from.inner, &mut trailer)?;
        if !is_there || trailer[..] != self.from.hash.finalize_reset()[..] {
            return Err(broken("its SHA-256 is another; it was cut short or changed"));
        }
        if read_whole(&mut self.from.inner, &mut more)? {
            return Err(broken("something stands behind its end"));
        }
        self.is_ended = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heading() -> Heading {
        let column = |name: &str| name.to_owned();
        Heading {
            table: TableName::new("public", "profiles"),
            key: vec![column("id")],
            columns: vec![column("id"), column("name")],
        }
    }

    fn file(rows: &[(u64, u128)]) -> Vec<u8> {
        let mut sidecar = Sidecar::new(heading(), tempfile::tempfile().unwrap(), 48);
        rows.iter().for_each(|&(key, row)| sidecar.add(key, row).unwrap());
        let mut bytes = Vec::new();
        let written = sidecar.finish(&mut bytes).unwrap();
        assert_eq!(written.sum.rows, rows.len() as u64);
        bytes
    }

    fn all(bytes: &[u8]) -> io::Result<Vec<(u64, u128)>> {
        let (mut reader, mut seen) = (Reader::new(bytes)?, Vec::new());
        assert_eq!(reader.heading, heading());
        while let Some(pair) = reader.next_pair()? {
            seen.push((pair.key, pair.row()));
        }
        assert!(reader.next_pair()?.is_none());
        Ok(seen)
    }

    #[test]
    fn pairs_read_back_in_order_and_two_rows_of_one_key_hash_stay_two() {
        let rows = [(9, u128::MAX - 1), (1, 1 << 64), (9, 3), (9, 3), (0, 0)];
        assert_eq!(all(&file(&rows)).unwrap(), [(0, 0), (1, 1 << 64), (9, 3), (9, 3), (9, u128::MAX - 1)]);
        assert_eq!(all(&file(&[])).unwrap(), []);
    }

    #[test]
    fn a_changed_or_cut_file_says_nothing() {
        let whole = file(&[(1, 2), (3, 4)]);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(all_or_nothing(&changed).is_err(), "a changed byte at {at} was not seen");
            assert!(all_or_nothing(&whole[..at]).is_err(), "an end at {at} was not seen");
        }
        assert!(all_or_nothing(&[&whole[..], b"x"].concat()).is_err());
    }

    fn all_or_nothing(bytes: &[u8]) -> io::Result<()> {
        let mut reader = Reader::new(bytes)?;
        while reader.next_pair()?.is_some() {}
        Ok(())
    }
}
