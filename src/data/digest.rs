//! Digests of rows that do not depend on their order: 128-bit sums, in which equal rows count and never cancel.
//!
//! The digest of a row is XXH3-128 over its COPY text (mapped, without the line end): unambiguous, null included.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// The digest of one row.
pub fn of_row(row: &[u8]) -> u128 {
    xxh3_128(row)
}

/// The digest of what tells a row apart from others: its key's fields, in the key's order, apart by tabs.
pub fn of_key(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// Count and sum of the digests of any number of rows, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many rows.
    pub rows: u64,
    /// The sum of their digests, modulo 2^128.
    pub sum: u128,
}

impl Sum {
    /// Adds one row.
    pub fn add(&mut self, row: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(row);
    }

    /// What is left without these rows, which are among them.
    pub fn without(self, other: Self) -> Self {
        Self { rows: self.rows.wrapping_sub(other.rows), sum: self.sum.wrapping_sub(other.sum) }
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// As people and files see it: `rows:hex`.
impl std::fmt::Display for Sum {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{:032x}", self.rows, self.sum)
    }
}

impl Serialize for Sum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = || {
            let (rows, sum) = text.split_once(':')?;
            Some(Self { rows: rows.parse().ok()?, sum: u128::from_str_radix(sum, 16).ok()? })
        };
        read().ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no digest; it is written rows:hex")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_does_not_matter_and_a_pair_does_not_cancel() {
        let sum = |rows: &[&[u8]]| {
            let mut sum = Sum::default();
            rows.iter().for_each(|row| sum.add(of_row(row)));
            sum
        };
        assert_eq!(sum(&[b"a", b"b"]), sum(&[b"b", b"a"]));
        assert_ne!(sum(&[b"a", b"a"]).sum, sum(&[b"b", b"b"]).sum);
        assert_ne!(sum(&[b"a", b"a"]), Sum { rows: 2, sum: 0 });
        assert_eq!(sum(&[b"a", b"b", b"a"]).without(sum(&[b"a", b"b"])), sum(&[b"a"]));
    }

    #[test]
    fn a_digest_reads_back_from_its_text() {
        let sum = Sum { rows: 7, sum: u128::MAX - 5 };
        assert_eq!(serde_json::from_str::<Sum>(&serde_json::to_string(&sum).unwrap()).unwrap(), sum);
        assert!(serde_json::from_str::<Sum>("\"7\"").is_err());
    }
}
