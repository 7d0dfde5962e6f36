//! What is left when the pairs of both sides are put against each other: those that only one of them has.

use anyhow::{Result, anyhow};

use crate::data::difference::{Pairs, Side as Of, Wanted, compare};
use crate::data::digest::Sum;
use crate::data::sidecar::{self, Pair};
use crate::data::sorted::{Record, Sorted, Sorter, read_whole};
use crate::rows::progress::Meter;

/// After how many pairs they are counted.
const TOLD: u64 = 4096;

/// A pair that only one side has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rest {
    /// The pair.
    pub pair: Pair,
    /// Which side has it.
    pub side: Of,
}

impl Record for Rest {
    fn held(&self) -> usize {
        32
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.pair.write(out);
        out.push(u8::from(self.side == Of::New));
    }

    fn read(from: &mut impl std::io::Read) -> std::io::Result<Option<Self>> {
        let Some(pair) = Pair::read(from)? else { return Ok(None) };
        let mut side = [0; 1];
        if !read_whole(from, &mut side)? {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(Self { pair, side: if side[0] == 1 { Of::New } else { Of::Old } }))
    }
}

/// Pairs of which the sum is taken while they pass.
struct Summed<'a, P> {
    pairs: &'a mut P,
    sum: Sum,
    /// Counts them, where they are those of the target.
    meter: Option<&'a Meter>,
}

impl<P: Pairs> Pairs for Summed<'_, P> {
    fn next_pair(&mut self) -> std::io::Result<Option<Pair>> {
        let pair = self.pairs.next_pair()?;
        if let Some(pair) = &pair {
            self.sum.add(pair.row());
            if let Some(meter) = self.meter.filter(|_| self.sum.rows.is_multiple_of(TOLD)) {
                meter.add(0, TOLD, TOLD * sidecar::PAIR as u64);
            }
        }
        Ok(pair)
    }
}

/// What only one side has, and what each side is as a whole.
pub(super) struct Remainder {
    /// The pairs.
    pub rest: Sorted<Rest>,
    /// The whole baseline.
    pub before: Sum,
    /// The whole target.
    pub after: Sum,
}

/// Puts the pairs of both sides against each other; both come in order. What only one of them has goes into `rest`, which
/// holds what has room in memory and the rest in a file.
///
/// # Errors
/// When one of them cannot be read to its end.
pub(super) fn rest_of(
    old: &mut impl Pairs,
    new: &mut impl Pairs,
    mut rest: Sorter<Rest>,
    meter: &Meter,
) -> Result<Remainder> {
    let sum = Sum::default();
    let (mut old, mut new) = (Summed { pairs: old, sum, meter: None }, Summed { pairs: new, sum, meter: Some(meter) });
    compare(&mut old, &mut new, |side, pair| rest.push(Rest { pair, side })).map_err(|error| anyhow!(error))?;
    Ok(Remainder { rest: rest.sorted()?, before: old.sum, after: new.sum })
}

/// The rows of each side that one pass looks for: about so many, those of one key together, from `next` on.
///
/// # Errors
/// When the pairs cannot be read.
pub(super) fn pass_of(rest: &mut Sorted<Rest>, next: &mut Option<Rest>, most: u64) -> std::io::Result<[Wanted; 2]> {
    let (mut wanted, mut count, mut last) = ([Wanted::default(), Wanted::default()], 0, None);
    // A pass ends between two keys, so that what belongs together is found together.
    while let Some(one) = next.take_if(|one| count < most || last == Some(one.pair.key)) {
        wanted[usize::from(one.side == Of::New)].add(one.pair);
        (count, last) = (count + 1, Some(one.pair.key));
        *next = rest.next_record()?;
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows by key and content, as pairs in order.
    fn pairs(rows: impl Iterator<Item = (u64, u128)>) -> Sorted<Pair> {
        let mut sorter = Sorter::lazy(tempfile::tempfile, 1 << 20);
        rows.for_each(|(key, row)| sorter.push(Pair::new(key, row)).unwrap());
        sorter.sorted().unwrap()
    }

    /// Of 100 keys, ten are gone, ten came, thirty have another row; `room` bytes of what differs stay in memory.
    fn differing(room: usize) -> Remainder {
        let mut old = pairs((0..90).map(|key| (key, 1)));
        let mut new = pairs((10..100).map(|key| (key, if key < 40 { 2 } else { 1 })));
        let meter = Meter::new("told apart", [("t".to_owned(), 1)]);
        rest_of(&mut old, &mut new, Sorter::lazy(tempfile::tempfile, room), &meter).unwrap()
    }

    #[test]
    fn of_which_side_a_row_is_stays_known_where_there_is_no_room_for_all_of_them() {
        for room in [1 << 20, 100] {
            let mut found = differing(room);
            assert_eq!((found.before.rows, found.after.rows), (90, 90));
            let (mut old, mut new) = (Vec::new(), Vec::new());
            while let Some(one) = found.rest.next_record().unwrap() {
                let side = if one.side == Of::Old { &mut old } else { &mut new };
                side.push((one.pair.key, one.pair.row()));
            }
            let all = |keys: std::ops::Range<u64>, row: u128| keys.map(move |key| (key, row));
            assert_eq!(old, all(0..40, 1).collect::<Vec<_>>(), "with room for {room} bytes");
            assert_eq!(new, all(10..40, 2).chain(all(90..100, 1)).collect::<Vec<_>>(), "with room for {room} bytes");
        }
    }

    #[test]
    fn passes_look_for_every_row_once_and_for_those_of_one_key_together() {
        for most in [1, 2, 7, 1000] {
            let mut found = differing(100);
            let mut next = found.rest.next_record().unwrap();
            let (mut passes, mut rows) = (0, [0, 0]);
            while next.is_some() {
                let wanted = pass_of(&mut found.rest, &mut next, most).unwrap();
                let is_changed = |key: u64| [wanted[0].has(&Pair::new(key, 1)), wanted[1].has(&Pair::new(key, 2))];
                assert!((10..40).map(is_changed).all(|[old, new]| old == new), "a key in two passes of {most}");
                assert!(wanted[0].len() + wanted[1].len() <= most + 1);
                rows = [rows[0] + wanted[0].len(), rows[1] + wanted[1].len()];
                passes += 1;
            }
            assert_eq!(rows, [40, 40]);
            assert!(most == 1000 && passes == 1 || most < 1000 && passes > 8, "{passes} passes of {most}");
        }
    }
}
