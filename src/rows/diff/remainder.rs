//! What is left when the pairs of both sides are put against each other: those that only one of them has.

use anyhow::{Result, anyhow};

use crate::data::difference::{Pairs, Side as Of, compare};
use crate::data::digest::Sum;
use crate::data::sidecar::{self, Pair};
use crate::data::sorted::{Record, Sorted, read_whole};
use crate::rows::progress::Meter;
use crate::rows::verify::folds::sorter;

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

/// Puts the pairs of both sides against each other; both come in order.
///
/// # Errors
/// When one of them cannot be read to its end.
pub(super) fn rest_of(old: &mut impl Pairs, new: &mut impl Pairs, meter: &Meter) -> Result<Remainder> {
    let sum = Sum::default();
    let (mut old, mut new) = (Summed { pairs: old, sum, meter: None }, Summed { pairs: new, sum, meter: Some(meter) });
    let mut rest = sorter();
    compare(&mut old, &mut new, |side, pair| rest.push(Rest { pair, side })).map_err(|error| anyhow!(error))?;
    Ok(Remainder { rest: rest.sorted()?, before: old.sum, after: new.sum })
}
