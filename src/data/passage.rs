//! A row on its way from the source to the target: user ids mapped, its digest taken. Rows go as COPY text.
//!
//! Law: the digest is that of the row as it arrives. An id without a partner never passes in silence: it is counted, and
//! an example kept, whether it may stay or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::digest::{self, Sum};
use super::mapping::Mapping;
use super::sidecar_shape::Shape;

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
    /// Its user columns.
    pub users: Vec<UserColumn>,
    mapping: Arc<Mapping>,
    shape: Shape,
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
    /// For rows with these columns; without a key the whole row tells it apart.
    ///
    /// # Errors
    /// When a column of the key or of the users is not among the columns.
    pub fn new(
        columns: &[String],
        key: &[String],
        users: Vec<UserColumn>,
        mapping: Arc<Mapping>,
    ) -> Result<Self, String> {
        let names: Vec<String> = users.iter().map(|user| user.name.clone()).collect();
        let shape = Shape::new(columns, key, &names)?;
        Ok(Self { users, mapping, shape })
    }

    /// The partner of an id as it stands in a row, whatever its case.
    pub fn partner(&self, id: &[u8]) -> Option<&[u8]> {
        self.mapping.get(id).or_else(|| self.mapping.get(&id.to_ascii_lowercase()))
    }

    /// Writes the mapped row (without a line end) over `out` and gives its digest.
    pub fn row(&self, row: &[u8], out: &mut Vec<u8>, passed: &mut Passed) -> u128 {
        let Passed { sum, unmapped } = passed;
        self.shape.map(row, &self.mapping, out, |at, id| {
            if let Some(user) = self.users.iter().find(|user| user.at == at) {
                unmapped.entry(user.name.clone()).or_default().add(id, 1);
            }
        });
        let digest = digest::of_row(out);
        sum.add(digest);
        digest
    }

    /// What tells this row (as it arrives) apart, for a sidecar.
    pub fn key_of(&self, row: &[u8], room: &mut Vec<u8>) -> u64 {
        digest::of_key(self.shape.key(row, room))
    }
}

/// Ids without a partner that may not stay, in words; none where all is well.
pub fn refused(users: &[UserColumn], unmapped: &BTreeMap<String, Unmapped>) -> Option<String> {
    let refused = users.iter().filter(|user| !user.is_unmapped_allowed);
    let words = refused.filter_map(|user| {
        let found = unmapped.get(&user.name)?;
        let examples = found.examples.join(", ");
        let rows = super::plural::counted(found.rows, "row");
        Some(format!("column {}: {rows} with an id that has no account ({examples} …)", user.name))
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
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mapping = Arc::new(Mapping::forward(&file).unwrap());
        Passage::new(&names("u0 u1 u2"), &names("u2 u0"), vec![user(1, false), user(2, true)], mapping).unwrap()
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
}
