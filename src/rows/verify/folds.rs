//! What is taken of the rows of a table while they pass: sums by bucket, pairs of some buckets, whole rows that are wanted.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::scan::Fold;
use crate::data::difference::{Line, Side, Wanted};
use crate::data::digest::Sum;
use crate::data::mapping::Mapping;
use crate::data::sidecar::Pair;
use crate::data::sidecar_shape::Shape;
use crate::data::sorted::{Record, Sorter};

/// Bytes of pairs or rows that one fold holds in memory.
const ROOM: usize = 4 << 20;
/// Examples of ids without an account that are kept of a column.
const EXAMPLES: usize = 5;

/// Records that need a file only when there are many.
pub(in crate::rows) fn sorter<R: Record>() -> Sorter<R> {
    Sorter::lazy(tempfile::tempfile, ROOM)
}

/// Ids that have no account, by the position of their column.
#[derive(Clone, Debug, Default)]
pub struct Unmapped(pub BTreeMap<usize, (u64, Vec<String>)>);

impl Unmapped {
    fn take(&mut self, at: usize, id: &[u8]) {
        let (count, examples) = self.0.entry(at).or_default();
        *count += 1;
        let id = String::from_utf8_lossy(id);
        if examples.len() < EXAMPLES && !examples.iter().any(|example| *example == id) {
            examples.push(id.into_owned());
        }
    }

    fn absorb(&mut self, other: Self) {
        for (at, (count, examples)) in other.0 {
            let mine = self.0.entry(at).or_default();
            mine.0 += count;
            mine.1.extend(examples);
            mine.1.sort();
            mine.1.dedup();
            mine.1.truncate(EXAMPLES);
        }
    }
}

/// Rows on their way: mapped, and turned into pairs.
#[derive(Clone)]
pub struct Way {
    /// Where key and users stand.
    pub shape: Arc<Shape>,
    /// What the users' ids become; nothing on a side that is compared as it is.
    pub mapping: Option<Arc<Mapping>>,
}

#[derive(Default)]
struct Room {
    mapped: Vec<u8>,
    key: Vec<u8>,
    unmapped: Unmapped,
}

impl Way {
    fn row<'a>(&self, row: &'a [u8], room: &'a mut Room) -> Result<(&'a [u8], Pair)> {
        // A row with other columns than the shape's would be compared with nothing.
        let fields = memchr::memchr_iter(b'\t', row).count() + 1;
        if fields != self.shape.columns().max(1) {
            bail!("a row has {fields} fields where {} were asked for", self.shape.columns());
        }
        let row = match &self.mapping {
            Some(mapping) if self.shape.has_users() => {
                let unmapped = &mut room.unmapped;
                self.shape.map(row, mapping, &mut room.mapped, |at, id| unmapped.take(at, id));
                &room.mapped
            }
            _ => row,
        };
        Ok((row, self.shape.pair(row, &mut room.key)))
    }
}

/// Count and sum of each bucket of key hashes.
pub struct Buckets {
    way: Way,
    room: Room,
    shift: u32,
    sample: u64,
    /// All rows, also those outside of the sample.
    pub rows: u64,
    /// The sums.
    pub sums: Vec<Sum>,
}

/// Whether a key is in a sample of so many percent: the same keys on both sides.
fn is_sampled(key: u64, percent: u64) -> bool {
    percent >= 100 || ((key & 0xFFFF_FFFF) * 100) >> 32 < percent
}

impl Buckets {
    /// With 2^`bits` buckets (at least one bit), for the keys of a sample of so many percent.
    pub fn new(way: Way, bits: u32, sample: u8) -> Self {
        let sums = vec![Sum::default(); 1 << bits];
        Self { way, room: Room::default(), shift: 64 - bits, sample: sample.into(), rows: 0, sums }
    }

    /// Everything in one sum.
    pub fn whole(&self) -> Sum {
        self.sums.iter().fold(Sum::default(), |mut all, sum| {
            all += *sum;
            all
        })
    }

    /// Ids that had no account.
    pub fn unmapped(&self) -> &Unmapped {
        &self.room.unmapped
    }
}

impl Fold for Buckets {
    #[expect(clippy::cast_possible_truncation, reason = "at most 16 bits are left after the shift")]
    fn row(&mut self, row: &[u8]) -> Result<()> {
        let (_, pair) = self.way.row(row, &mut self.room)?;
        self.rows += 1;
        if is_sampled(pair.key, self.sample) {
            self.sums[(pair.key >> self.shift) as usize].add(pair.row());
        }
        Ok(())
    }

    fn absorb(&mut self, other: Self) -> Result<()> {
        self.rows += other.rows;
        self.sums.iter_mut().zip(&other.sums).for_each(|(mine, other)| *mine += *other);
        self.room.unmapped.absorb(other.room.unmapped);
        Ok(())
    }
}

/// The pairs of some buckets, or of all.
pub struct PairsOf {
    way: Way,
    room: Room,
    shift: u32,
    sample: u64,
    differing: Option<Arc<Vec<bool>>>,
    /// The pairs.
    pub pairs: Sorter<Pair>,
    /// Count and sum of all of them.
    pub sum: Sum,
}

impl PairsOf {
    /// Of the buckets that are marked (their number is a power of two), and of a sample of so many percent.
    pub fn some(way: Way, differing: Arc<Vec<bool>>, sample: u8) -> Self {
        let shift = 64 - differing.len().trailing_zeros();
        let pairs = sorter();
        let (room, sum) = (Room::default(), Sum::default());
        Self { way, room, shift, sample: sample.into(), differing: Some(differing), pairs, sum }
    }

    /// Of all rows.
    pub fn all(way: Way) -> Self {
        let (room, sum, pairs) = (Room::default(), Sum::default(), sorter());
        Self { way, room, shift: 63, sample: 100, differing: None, pairs, sum }
    }

    /// Ids that had no account.
    pub fn unmapped(&self) -> &Unmapped {
        &self.room.unmapped
    }
}

impl Fold for PairsOf {
    #[expect(clippy::cast_possible_truncation, reason = "at most 16 bits are left after the shift")]
    fn row(&mut self, row: &[u8]) -> Result<()> {
        let (_, pair) = self.way.row(row, &mut self.room)?;
        let is_marked = self.differing.as_ref().is_none_or(|buckets| buckets[(pair.key >> self.shift) as usize]);
        if is_marked && is_sampled(pair.key, self.sample) {
            self.sum.add(pair.row());
            self.pairs.push(pair)?;
        }
        Ok(())
    }

    fn absorb(&mut self, other: Self) -> Result<()> {
        self.sum += other.sum;
        self.room.unmapped.absorb(other.room.unmapped);
        Ok(self.pairs.absorb(other.pairs)?)
    }
}

/// The rows that are wanted, whole.
pub struct Lines {
    way: Way,
    room: Room,
    side: Side,
    wanted: Arc<Wanted>,
    /// The rows.
    pub lines: Sorter<Line>,
}

impl Lines {
    /// Of one side.
    pub fn new(way: Way, side: Side, wanted: Arc<Wanted>) -> Self {
        Self { way, room: Room::default(), side, wanted, lines: sorter() }
    }
}

impl Fold for Lines {
    fn row(&mut self, row: &[u8]) -> Result<()> {
        let (row, pair) = self.way.row(row, &mut self.room)?;
        if self.wanted.has(&pair) {
            let key = self.way.shape.key(row, &mut Vec::new()).to_vec();
            self.lines.push(Line { key, side: self.side, row: row.to_vec() })?;
        }
        Ok(())
    }

    fn absorb(&mut self, other: Self) -> Result<()> {
        Ok(self.lines.absorb(other.lines)?)
    }
}
