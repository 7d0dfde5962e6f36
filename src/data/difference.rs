//! What two collections of rows do not share. Law: equal rows cancel one by one, so what stays over are exactly the rows
//! that one side has more often than the other.

use std::collections::HashMap;
use std::io::{self, Read};

use super::sidecar::Pair;
use super::sorted::{Record, Sorted, read_whole};

/// Of which of two sides a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The source, or what was.
    Old,
    /// The target, or what is.
    New,
}

/// Pairs in order, from memory or from a file.
pub trait Pairs {
    /// The next one; none at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    fn next_pair(&mut self) -> io::Result<Option<Pair>>;
}

impl Pairs for Sorted<Pair> {
    fn next_pair(&mut self) -> io::Result<Option<Pair>> {
        self.next_record()
    }
}

impl<T: Read> Pairs for super::sidecar::Reader<T> {
    fn next_pair(&mut self) -> io::Result<Option<Pair>> {
        Self::next_pair(self)
    }
}

/// Hands every pair that one side has and the other has not to `only`, in order.
///
/// # Errors
/// When a side cannot be read, and those of `only`.
pub fn compare(
    old: &mut impl Pairs,
    new: &mut impl Pairs,
    mut only: impl FnMut(Side, Pair) -> io::Result<()>,
) -> io::Result<()> {
    let (mut left, mut right) = (old.next_pair()?, new.next_pair()?);
    loop {
        match (left, right) {
            (None, None) => return Ok(()),
            (Some(a), Some(b)) if a == b => (left, right) = (old.next_pair()?, new.next_pair()?),
            (Some(a), b) if b.is_none_or(|b| a < b) => {
                only(Side::Old, a)?;
                left = old.next_pair()?;
            }
            (_, Some(b)) => {
                only(Side::New, b)?;
                right = new.next_pair()?;
            }
            (Some(_), None) => {}
        }
    }
}

/// How many rows only one side has, and how many have the same key but another content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows of the old side whose key the new one has not.
    pub missing: u64,
    /// Rows of the new side whose key the old one has not.
    pub extra: u64,
    /// Rows that both sides have, with other values.
    pub different: u64,
}

impl Counts {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.missing + self.extra + self.different
    }
}

/// Counts the pairs that [`compare`] hands out, by their keys' hashes.
#[derive(Debug, Default)]
pub struct Counter {
    counts: Counts,
    key: Option<u64>,
    old: u64,
    new: u64,
}

impl Counter {
    /// Takes the next one.
    pub fn take(&mut self, side: Side, pair: Pair) {
        if self.key != Some(pair.key) {
            self.close();
            self.key = Some(pair.key);
        }
        match side {
            Side::Old => self.old += 1,
            Side::New => self.new += 1,
        }
    }

    fn close(&mut self) {
        let both = self.old.min(self.new);
        self.counts.different += both;
        self.counts.missing += self.old - both;
        self.counts.extra += self.new - both;
        (self.old, self.new) = (0, 0);
    }

    /// The counts.
    pub fn counts(mut self) -> Counts {
        self.close();
        self.counts
    }
}

/// The rows that are looked for by their pairs, each as often as one side has it more than the other.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pairs: HashMap<Pair, u32>,
}

impl Wanted {
    /// One more of this row.
    pub fn add(&mut self, pair: Pair) {
        *self.pairs.entry(pair).or_default() += 1;
    }

    /// Whether the row is looked for.
    pub fn has(&self, pair: &Pair) -> bool {
        self.pairs.contains_key(pair)
    }

    /// How often it is wanted.
    pub fn times(&self, pair: &Pair) -> u32 {
        self.pairs.get(pair).copied().unwrap_or(0)
    }

    /// How many rows.
    pub fn len(&self) -> u64 {
        self.pairs.values().map(|&times| u64::from(times)).sum()
    }

    /// Whether none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// A row that was found, whole. Ordered by its key's text, then old before new, so that what belongs together is together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Its key, as COPY text; the whole row where there is no key.
    pub key: Vec<u8>,
    /// Its side.
    pub side: Side,
    /// The row, as COPY text.
    pub row: Vec<u8>,
}

impl Record for Line {
    fn held(&self) -> usize {
        self.key.len() + self.row.len() + 64
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.side == Side::New));
        for part in [&self.key, &self.row] {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part);
        }
    }

    fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut side = [0; 1];
        if !read_whole(from, &mut side)? {
            return Ok(None);
        }
        let mut part = || {
            let mut length = [0; 8];
            if !read_whole(from, &mut length)? {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            let mut bytes = vec![0; usize::try_from(u64::from_be_bytes(length)).map_err(io::Error::other)?];
            if !read_whole(from, &mut bytes)? && !bytes.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            Ok(bytes)
        };
        let side = if side[0] == 1 { Side::New } else { Side::Old };
        Ok(Some(Self { key: part()?, side, row: part()? }))
    }
}

/// What happened to one row: at least one side has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key, as COPY text.
    pub key: Vec<u8>,
    /// The old row, as COPY text.
    pub old: Option<Vec<u8>>,
    /// The new row, as COPY text.
    pub new: Option<Vec<u8>>,
}

/// Hands on each line as often as `times` says: of three equal rows, one may be the one that is too many.
///
/// # Errors
/// When the lines cannot be read, and those of `each`.
pub fn only_as_often(
    lines: &mut Sorted<Line>,
    mut times: impl FnMut(&Line) -> u32,
    mut each: impl FnMut(Line) -> io::Result<()>,
) -> io::Result<()> {
    let (mut left, mut line) = (None, lines.next_record()?);
    while let Some(one) = line.take() {
        line = lines.next_record()?;
        // Equal rows stand side by side.
        let is_followed = line.as_ref() == Some(&one);
        let more = left.unwrap_or_else(|| times(&one));
        left = is_followed.then_some(more.saturating_sub(1));
        if more > 0 {
            each(one)?;
        }
    }
    Ok(())
}

/// Puts the found rows of a table together by their keys, and hands out each change, in the order of the keys' texts.
///
/// # Errors
/// When the lines cannot be read, and those of `each`.
pub fn pair_up<E: From<io::Error>>(
    lines: &mut Sorted<Line>,
    mut each: impl FnMut(Change) -> Result<(), E>,
) -> Result<(), E> {
    let mut line = lines.next_record()?;
    while let Some(first) = line.take() {
        let key = first.key.clone();
        let (mut old, mut new) = (Vec::new(), Vec::new());
        line = Some(first);
        while let Some(one) = line.take_if(|line| line.key == key) {
            if one.side == Side::Old {
                old.push(one.row)
            } else {
                new.push(one.row)
            }
            line = lines.next_record()?;
        }
        let count = old.len().max(new.len());
        let (mut old, mut new) = (old.into_iter(), new.into_iter());
        for _ in 0..count {
            each(Change { key: key.clone(), old: old.next(), new: new.next() })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sorted::Sorter;
    use proptest::prelude::*;

    fn sorted<R: Record>(records: impl IntoIterator<Item = R>) -> Sorted<R> {
        let mut sorter = Sorter::new(tempfile::tempfile().unwrap(), 100);
        records.into_iter().for_each(|record| sorter.push(record).unwrap());
        sorter.sorted().unwrap()
    }

    proptest! {
        #[test]
        fn what_stays_over_is_what_one_side_has_more_often(
            old in proptest::collection::vec((0u64..4, 0u128..3), 0..40), new in proptest::collection::vec((0u64..4, 0u128..3), 0..40),
        ) {
            let pairs = |from: &[(u64, u128)]| from.iter().map(|&(key, row)| Pair::new(key, row)).collect::<Vec<_>>();
            let mut balance: HashMap<Pair, i64> = HashMap::new();
            pairs(&old).into_iter().for_each(|pair| *balance.entry(pair).or_default() -= 1);
            pairs(&new).into_iter().for_each(|pair| *balance.entry(pair).or_default() += 1);
            let mut seen: HashMap<Pair, i64> = HashMap::new();
            let (mut counter, mut all) = (Counter::default(), 0);
            compare(&mut sorted(pairs(&old)), &mut sorted(pairs(&new)), |side, pair| {
                *seen.entry(pair).or_default() += if side == Side::New { 1 } else { -1 };
                counter.take(side, pair);
                all += 1;
                Ok(())
            }).unwrap();
            balance.retain(|_, times| *times != 0);
            prop_assert_eq!(seen, balance);
            let counts = counter.counts();
            prop_assert_eq!(counts.missing + counts.extra + 2 * counts.different, all);
        }
    }

    fn line(key: &str, side: Side, row: &str) -> Line {
        Line { key: key.into(), side, row: row.into() }
    }

    #[test]
    fn rows_of_one_key_are_put_together_in_the_order_of_the_keys() {
        let lines = [
            line("b", Side::New, "b\t2"),
            line("a", Side::Old, "a\t1"),
            line("c", Side::New, ""),
            line("b", Side::Old, "b\t1"),
            line("b", Side::New, "b\t3"),
        ];
        let mut seen = Vec::new();
        let text = |row: Option<Vec<u8>>| row.map(|row| String::from_utf8(row).unwrap()).unwrap_or("-".into());
        pair_up(&mut sorted(lines), |change| {
            seen.push(format!("{} > {}", text(change.old), text(change.new)));
            Ok::<_, io::Error>(())
        })
        .unwrap();
        assert_eq!(seen, ["a\t1 > -", "b\t1 > b\t2", "- > b\t3", "- > "]);
    }

    #[test]
    fn equal_rows_are_handed_on_as_often_as_wanted() {
        let lines = ["a", "b", "b", "b", "c", "c"].map(|row| line("", Side::Old, row));
        let (mut seen, times) = (Vec::new(), |line: &Line| match line.row[0] {
            b'b' => 2,
            b'c' => 5,
            _ => 0,
        });
        only_as_often(&mut sorted(lines), times, |line| {
            seen.extend(line.row);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, b"bbcc");
    }
}
