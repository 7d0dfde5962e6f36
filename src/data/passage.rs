//! A row on its way from the source to the target: user ids mapped, its digest taken. Rows go as COPY text.
//!
//! Law: the digest is that of the row as it arrives. An id without a partner never passes in silence: it is counted, and
//! an example kept, whether it may stay or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::copy_text;
use super::digest::{self, Sum};
use super::mapping::Mapping;

/// How many examples of ids without a partner are kept.
const EXAMPLES: usize = 3;

/// A user column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserColumn {
    /// Its place among the columns that move.
    pub at: usize,
    /// Its name.
    pub name: String,
    /// Whether an id without a partner may stay as it is.
    pub is_unmapped_allowed: bool,
}

/// What is done to the rows of a table.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    /// Its user columns, by their places.
    pub users: Vec<UserColumn>,
    /// From old ids to new ones.
    pub mapping: Arc<Mapping>,
    /// The places of what tells rows apart; empty where it is the whole row.
    pub key: Vec<usize>,
}

/// Ids without a partner, of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmapped {
    /// How many rows.
    pub rows: u64,
    /// Some of the ids, each once.
    pub examples: Vec<String>,
}

impl Unmapped {
    /// Counts these rows of an id.
    pub fn add(&mut self, id: &[u8], rows: u64) {
        self.rows += rows;
        let id = String::from_utf8_lossy(id);
        if self.examples.len() < EXAMPLES && !self.examples.iter().any(|known| *known == id) {
            self.examples.push(id.into_owned());
        }
    }
}

/// What passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Count and digest.
    pub sum: Sum,
    /// Ids without a partner, by column.
    pub unmapped: BTreeMap<String, Unmapped>,
}

impl Passed {
    /// Adds what passed elsewhere.
    pub fn absorb(&mut self, other: Self) {
        self.sum += other.sum;
        for (column, found) in other.unmapped {
            let known = self.unmapped.entry(column).or_default();
            known.rows += found.rows;
            let new: Vec<String> = found.examples.into_iter().filter(|id| !known.examples.contains(id)).collect();
            known.examples.extend(new);
            known.examples.truncate(EXAMPLES);
        }
    }
}

impl Passage {
    /// The partner of an id as it stands in a row, whatever its case.
    pub fn partner(&self, id: &[u8]) -> Option<&[u8]> {
        self.mapping.get(id).or_else(|| self.mapping.get(&id.to_ascii_lowercase()))
    }

    /// Appends the mapped row to `out` (without a line end) and gives its digest. The row must have its fields in order.
    pub fn row(&self, row: &[u8], out: &mut Vec<u8>, passed: &mut Passed) -> u128 {
        let start = out.len();
        if self.users.is_empty() {
            out.extend_from_slice(row);
        } else {
            let mut users = self.users.iter().peekable();
            for (at, field) in copy_text::fields(row).enumerate() {
                if at > 0 {
                    out.push(b'\t');
                }
                match users.next_if(|user| user.at == at) {
                    Some(user) => self.user(user, field, out, passed),
                    None => out.extend_from_slice(field),
                }
            }
        }
        let digest = digest::of_row(&out[start..]);
        passed.sum.add(digest);
        digest
    }

    fn user(&self, user: &UserColumn, field: &[u8], out: &mut Vec<u8>, passed: &mut Passed) {
        if copy_text::is_null(field) {
            out.extend_from_slice(field);
        } else if let Some(partner) = self.partner(field) {
            copy_text::escape(partner, out);
        } else {
            out.extend_from_slice(field);
            passed.unmapped.entry(user.name.clone()).or_default().add(field, 1);
        }
    }

    /// What tells this row (as it arrives) apart, for a sidecar.
    pub fn key_of(&self, row: &[u8]) -> u64 {
        if self.key.is_empty() {
            return digest::of_key(row);
        }
        let fields: Vec<&[u8]> = copy_text::fields(row).collect();
        if let [only] = self.key[..] {
            return digest::of_key(fields.get(only).copied().unwrap_or_default());
        }
        let mut key = Vec::new();
        for (number, at) in self.key.iter().enumerate() {
            if number > 0 {
                key.push(b'\t');
            }
            key.extend_from_slice(fields.get(*at).copied().unwrap_or_default());
        }
        digest::of_key(&key)
    }
}

/// Ids without a partner that may not stay, in words; none where all is well.
pub fn refused(users: &[UserColumn], unmapped: &BTreeMap<String, Unmapped>) -> Option<String> {
    let refused = users.iter().filter(|user| !user.is_unmapped_allowed);
    let words = refused.filter_map(|user| {
        let found = unmapped.get(&user.name)?;
        let examples = found.examples.join(", ");
        Some(format!("column {}: {} rows with an id that has no account ({examples} …)", user.name, found.rows))
    });
    let words = words.collect::<Vec<_>>();
    (!words.is_empty()).then(|| words.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::mapping::{MappedUser, MappingFile};

    fn passage() -> Passage {
        let user = MappedUser {
            supabase_user_id: "AB".into(),
            stack_auth_user_id: "xy".into(),
            email: None,
            migrated_at: String::new(),
        };
        let file = MappingFile { generated_at: String::new(), retain_until: String::new(), mappings: vec![user] };
        let user = |at: usize, is_unmapped_allowed| UserColumn { at, name: format!("u{at}"), is_unmapped_allowed };
        let mapping = Arc::new(Mapping::forward(&file).unwrap());
        Passage { users: vec![user(1, false), user(2, true)], mapping, key: vec![2, 0] }
    }

    #[test]
    fn ids_are_mapped_whatever_their_case_and_the_digest_is_that_of_the_mapped_row() {
        let (mut out, mut passed) = (Vec::new(), Passed::default());
        let digest = passage().row(b"1\tAb\t\\N", &mut out, &mut passed);
        assert_eq!(out, b"1\txy\t\\N");
        assert_eq!(digest, digest::of_row(b"1\txy\t\\N"));
        assert_eq!((passed.sum.rows, passed.unmapped.len()), (1, 0));
    }

    #[test]
    fn an_id_without_a_partner_is_counted_and_refused_where_it_is_not_allowed() {
        let (passage, mut out, mut passed) = (passage(), Vec::new(), Passed::default());
        for id in ["a", "b", "c", "d", "a"] {
            passage.row(format!("1\t{id}\tz").as_bytes(), &mut out, &mut passed);
        }
        let mut other = Passed::default();
        passage.row(b"1\ta\tAB", &mut out, &mut other);
        passed.absorb(other);
        let words = refused(&passage.users, &passed.unmapped).unwrap();
        assert_eq!(words, "column u1: 6 rows with an id that has no account (a, b, c …)");
        assert_eq!(passed.unmapped["u2"].rows, 5);
    }

    #[test]
    fn a_key_is_its_fields_in_its_own_order_or_the_whole_row() {
        assert_eq!(passage().key_of(b"1\tx\t3"), digest::of_key(b"3\t1"));
        let whole = Passage::default();
        assert_eq!(whole.key_of(b"1\tx"), digest::of_key(b"1\tx"));
    }
}
