//! Sorting more records than memory should hold: sorted runs in a scratch file, merged at the end.
//!
//! Law: equal records stay as many as they were; the order is that of the records alone, not that of their coming.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// All readers of one merge together hold about this many bytes.
const READ_AHEAD: usize = 8 << 20;

/// What can be sorted: ordered, and written and read as bytes.
pub trait Record: Ord + Sized {
    /// About how many bytes of memory it takes.
    fn held(&self) -> usize;

    /// Appends its bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads the next one; none at the end.
    ///
    /// # Errors
    /// When the bytes end in the middle of a record, or cannot be read.
    fn read(from: &mut impl Read) -> io::Result<Option<Self>>;
}

/// Takes records in any order.
#[derive(Debug)]
pub struct Sorter<R> {
    records: Vec<R>,
    held: usize,
    room: usize,
    count: u64,
    scratch: Option<Arc<File>>,
    make: fn() -> io::Result<File>,
    end: u64,
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    file: Arc<File>,
    from: u64,
    until: u64,
}

impl<R: Record> Sorter<R> {
    /// Holds at most about `room` bytes of records in memory; the rest goes to `scratch`, which should have no name.
    pub fn new(scratch: File, room: usize) -> Self {
        Self { scratch: Some(Arc::new(scratch)), ..Self::lazy(Self::none, room) }
    }

    /// The same; the scratch file is made when it is needed first.
    pub fn lazy(make: fn() -> io::Result<File>, room: usize) -> Self {
        Self { records: Vec::new(), held: 0, room, count: 0, scratch: None, make, end: 0, runs: Vec::new() }
    }

    fn none() -> io::Result<File> {
        Err(io::Error::other("there is no scratch file"))
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When the scratch file cannot be written.
    pub fn push(&mut self, record: R) -> io::Result<()> {
        self.held += record.held();
        self.count += 1;
        self.records.push(record);
        if self.held >= self.room { self.spill() } else { Ok(()) }
    }

    /// Adds what another sorter has taken, such as that of another worker.
    ///
    /// # Errors
    /// When a scratch file cannot be written.
    pub fn absorb(&mut self, other: Self) -> io::Result<()> {
        let waiting = other.records.len() as u64;
        self.runs.extend(other.runs);
        self.count += other.count - waiting;
        other.records.into_iter().try_for_each(|record| self.push(record))
    }

    /// How many records there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn spill(&mut self) -> io::Result<()> {
        self.records.sort_unstable();
        let scratch = match &self.scratch {
            Some(scratch) => Arc::clone(scratch),
            None => Arc::clone(self.scratch.insert(Arc::new((self.make)()?))),
        };
        let (from, mut bytes) = (self.end, Vec::with_capacity(1 << 18));
        for record in self.records.drain(..) {
            record.write(&mut bytes);
            if bytes.len() >= 1 << 17 {
                scratch.write_all_at(&bytes, self.end)?;
                self.end += bytes.len() as u64;
                bytes.clear();
            }
        }
        scratch.write_all_at(&bytes, self.end)?;
        self.end += bytes.len() as u64;
        self.held = 0;
        self.runs.push(Run { file: scratch, from, until: self.end });
        Ok(())
    }

    /// All records in order.
    ///
    /// # Errors
    /// When the scratch file cannot be written or read.
    pub fn sorted(mut self) -> io::Result<Sorted<R>> {
        self.records.sort_unstable();
        let ahead = (READ_AHEAD / (self.runs.len() + 1)).clamp(4 << 10, 256 << 10);
        let mut merge = Sorted { memory: self.records.into_iter(), runs: Vec::new(), heads: BinaryHeap::new() };
        for run in self.runs {
            merge.runs.push(BufReader::with_capacity(ahead, run));
        }
        for from in 0..=merge.runs.len() {
            merge.advance(from)?;
        }
        Ok(merge)
    }
}

impl Read for Run {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.until - self.from).unwrap_or(usize::MAX);
        let size = into.len().min(left);
        let read = self.file.read_at(&mut into[..size], self.from)?;
        if read == 0 && size > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the scratch file is shorter than what was written to it",
            ));
        }
        self.from += read as u64;
        Ok(read)
    }
}

/// Records in order.
#[derive(Debug)]
pub struct Sorted<R: Ord> {
    memory: std::vec::IntoIter<R>,
    runs: Vec<BufReader<Run>>,
    heads: BinaryHeap<Reverse<(R, usize)>>,
}

impl<R: Record> Sorted<R> {
    fn advance(&mut self, from: usize) -> io::Result<()> {
        let next = match self.runs.get_mut(from) {
            Some(run) => R::read(run)?,
            None => self.memory.next(),
        };
        if let Some(record) = next {
            self.heads.push(Reverse((record, from)));
        }
        Ok(())
    }

    /// The next one; none at the end.
    ///
    /// # Errors
    /// When the scratch file cannot be read.
    pub fn next_record(&mut self) -> io::Result<Option<R>> {
        // Without runs the memory is all there is, and needs no heap beyond its first record.
        let Some(Reverse((record, from))) = self.heads.pop() else { return Ok(None) };
        self.advance(from)?;
        Ok(Some(record))
    }
}

/// Fills `into`; false where nothing was left at all.
///
/// # Errors
/// When the bytes end in the middle.
pub fn read_whole(from: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends in the middle of a record")),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Record for u32 {
        fn held(&self) -> usize {
            4
        }
        fn write(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.to_be_bytes());
        }
        fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
            let mut bytes = [0; 4];
            Ok(read_whole(from, &mut bytes)?.then(|| Self::from_be_bytes(bytes)))
        }
    }

    proptest! {
        #[test]
        fn any_records_come_out_in_order_and_as_many_as_they_were(
            mut some in proptest::collection::vec(0u32..50, 0..300), more in proptest::collection::vec(0u32..50, 0..300), room in 4usize..400,
        ) {
            let mut sorter = Sorter::new(tempfile::tempfile().unwrap(), room);
            let mut other = Sorter::new(tempfile::tempfile().unwrap(), room);
            some.iter().for_each(|&number| sorter.push(number).unwrap());
            more.iter().for_each(|&number| other.push(number).unwrap());
            sorter.absorb(other).unwrap();
            some.extend(more);
            some.sort_unstable();
            prop_assert_eq!(sorter.len(), some.len() as u64);
            let (mut sorted, mut seen) = (sorter.sorted().unwrap(), Vec::new());
            while let Some(number) = sorted.next_record().unwrap() {
                seen.push(number);
            }
            prop_assert_eq!(seen, some);
        }
    }
}
