//! How a row of a table becomes what is compared: user ids mapped, then the key's hash and the row's digest.
//!
//! Law: the source's rows, the importer's and the target's go through the same shape, so that equal rows are equal pairs.

use super::copy_text;
use super::digest;
use super::mapping::Mapping;
use super::sidecar::Pair;

/// Where the key and the user ids of a table's rows stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    key: Vec<usize>,
    users: Vec<usize>,
    columns: usize,
    // The key as one piece of the row, where its columns stand side by side in the key's order.
    piece: Option<(usize, usize)>,
}

impl Shape {
    /// For rows with these columns; `key` may be empty: then a row has no identity but its content.
    ///
    /// # Errors
    /// When a column of the key or of the users is not among the columns.
    pub fn new(columns: &[String], key: &[String], users: &[String]) -> Result<Self, String> {
        let find = |name: &String| {
            columns.iter().position(|column| column == name).ok_or_else(|| format!("there is no column {name}"))
        };
        let key = key.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let users = users.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let is_piece = key.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let piece = match (key.first(), key.last()) {
            (Some(&first), Some(&last)) if is_piece => Some((first, last)),
            _ => None,
        };
        Ok(Self { key, users, columns: columns.len(), piece })
    }

    /// Whether rows have a key.
    pub fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// Where the key's columns stand, in the key's order.
    pub fn key_places(&self) -> &[usize] {
        &self.key
    }

    /// Whether ids are mapped in it.
    pub fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// How many fields a row must have.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Writes the row with its user ids mapped over `out`; hands each id that has no partner to `unmapped` (position of
    /// the column, id), and leaves it as it is.
    pub fn map(&self, row: &[u8], mapping: &Mapping, out: &mut Vec<u8>, mut unmapped: impl FnMut(usize, &[u8])) {
        out.clear();
        if self.users.is_empty() {
            out.extend_from_slice(row);
            return;
        }
        for (at, field) in copy_text::fields(row).enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            if copy_text::is_null(field) || !self.users.contains(&at) {
                out.extend_from_slice(field);
            } else if let Some(id) = mapping.get(field).or_else(|| mapping.get(&field.to_ascii_lowercase())) {
                copy_text::escape(id, out);
            } else {
                unmapped(at, field);
                out.extend_from_slice(field);
            }
        }
    }

    /// The key's fields of a row, in the key's order, apart by tabs; the whole row where there is no key.
    pub fn key<'a>(&self, row: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
        if self.key.is_empty() {
            return row;
        }
        if let Some((first, last)) = self.piece {
            return piece(row, first, last);
        }
        room.clear();
        for (number, &at) in self.key.iter().enumerate() {
            if number > 0 {
                room.push(b'\t');
            }
            room.extend_from_slice(copy_text::fields(row).nth(at).unwrap_or(copy_text::NULL));
        }
        room
    }

    /// The pair of a row that was mapped. Without a key, the whole row tells it apart.
    pub fn pair(&self, row: &[u8], room: &mut Vec<u8>) -> Pair {
        Pair::new(digest::of_key(self.key(row, room)), digest::of_row(row))
    }
}

/// The fields from the first to the last one, with the tabs between them.
fn piece(row: &[u8], first: usize, last: usize) -> &[u8] {
    let mut tabs = memchr::memchr_iter(b'\t', row);
    let from = if first == 0 { 0 } else { tabs.nth(first - 1).map_or(row.len(), |tab| tab + 1) };
    let until = tabs.nth(last - first).unwrap_or(row.len());
    &row[from..until]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::mapping::{MappedUser, MappingFile};

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_key_is_its_fields_in_its_own_order() {
        let mut room = Vec::new();
        let mut key = |columns: &str| {
            let shape = Shape::new(&names("a b c d"), &names(columns), &[]).unwrap();
            String::from_utf8(shape.key(b"1\t2\t\t4", &mut room).to_vec()).unwrap()
        };
        assert_eq!(
            ["a", "b", "d", "a b", "b c", "c d", "d a", "a c", "b a"].map(&mut key),
            ["1", "2", "4", "1\t2", "2\t", "\t4", "4\t1", "1\t", "2\t1"]
        );
        assert_eq!(key(""), "1\t2\t\t4");
        assert_eq!(Shape::new(&names("a"), &names("b"), &[]).unwrap_err(), "there is no column b");
    }

    #[test]
    fn ids_are_mapped_in_user_columns_alone_and_those_without_a_partner_are_told() {
        let user = MappedUser {
            supabase_user_id: "old".into(),
            stack_auth_user_id: "new".into(),
            email: None,
            migrated_at: String::new(),
        };
        let file = MappingFile { generated_at: String::new(), retain_until: String::new(), mappings: vec![user] };
        let mapping = Mapping::forward(&file).unwrap();
        let shape = Shape::new(&names("a b c"), &names("b"), &names("b c")).unwrap();
        let (mut out, mut told) = (Vec::new(), Vec::new());
        for row in [&b"old\told\told"[..], b"old\t\\N\tolder"] {
            shape.map(row, &mapping, &mut out, |at, id| told.push((at, id.to_vec())));
            told.push((99, out.clone()));
        }
        let expected = [(99, b"old\tnew\tnew".to_vec()), (2, b"older".to_vec()), (99, b"old\t\\N\tolder".to_vec())];
        assert_eq!(told, expected);
    }
}
