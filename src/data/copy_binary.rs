//! The binary format of COPY, as far as telling rows apart needs it: where a row ends, and where its key's fields are.
//!
//! Law: used only between servers of one major version and for columns of built-in types, where equal values are equal
//! bytes; what differs here is looked at again as text before anybody is told.

use super::digest;
use super::sidecar::Pair;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the extension.
const HEADER: usize = 19;

/// Cuts a stream of pieces into rows. A piece may end anywhere.
#[derive(Debug, Default)]
pub struct Tuples {
    left: Vec<u8>,
    is_begun: bool,
    is_ended: bool,
}

enum Cut {
    Incomplete,
    End,
    Row(usize),
}

fn number(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes))
}

/// Where the first row of these bytes ends.
fn cut(bytes: &[u8]) -> Result<Cut, String> {
    let Some(count) = bytes.first_chunk::<2>().map(|bytes| i16::from_be_bytes(*bytes)) else {
        return Ok(Cut::Incomplete);
    };
    if count < 0 {
        return Ok(Cut::End);
    }
    let mut at = 2;
    for _ in 0..count {
        let Some(length) = bytes.get(at..).and_then(number) else { return Ok(Cut::Incomplete) };
        at += 4 + usize::try_from(length.max(0)).map_err(|error| error.to_string())?;
    }
    Ok(if at <= bytes.len() { Cut::Row(at) } else { Cut::Incomplete })
}

impl Tuples {
    /// Hands every whole row to `row`: its count of fields, then each field with its length before it.
    ///
    /// # Errors
    /// When it is no binary COPY, and those of `row`.
    pub fn feed<E: From<String>>(
        &mut self,
        piece: &[u8],
        mut row: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let joined;
        let mut rest = if self.left.is_empty() {
            piece
        } else {
            self.left.extend_from_slice(piece);
            joined = std::mem::take(&mut self.left);
            &joined
        };
        if !self.is_begun {
            if rest.len() < HEADER {
                self.left = rest.to_vec();
                return Ok(());
            }
            let extension = number(&rest[15..]).and_then(|length| usize::try_from(length).ok());
            if !rest.starts_with(SIGNATURE) || extension != Some(0) {
                return Err("the server's binary COPY begins otherwise".to_owned().into());
            }
            (self.is_begun, rest) = (true, &rest[HEADER..]);
        }
        while !self.is_ended {
            match cut(rest)? {
                Cut::Row(end) => {
                    row(&rest[..end])?;
                    rest = &rest[end..];
                }
                Cut::End => (self.is_ended, rest) = (true, &rest[2..]),
                Cut::Incomplete => break,
            }
        }
        self.left = rest.to_vec();
        Ok(())
    }

    /// Whether it ended as it must.
    pub fn is_whole(&self) -> bool {
        self.is_ended && self.left.is_empty()
    }
}

/// The pair of a row: of its key's fields, in the key's order, each with its length; without a key, of the whole row.
pub fn pair(row: &[u8], key: &[usize], room: &mut Vec<u8>) -> Pair {
    let whole = digest::of_row(row);
    if key.is_empty() {
        return Pair::new(digest::of_key(row), whole);
    }
    room.clear();
    for &wanted in key {
        let (mut at, mut number_of_field) = (2, 0);
        while let Some(length) = row.get(at..).and_then(number) {
            let end = at + 4 + usize::try_from(length.max(0)).unwrap_or(0);
            if number_of_field == wanted {
                room.extend_from_slice(&row[at..end.min(row.len())]);
                break;
            }
            (at, number_of_field) = (end, number_of_field + 1);
        }
    }
    Pair::new(digest::of_key(room), whole)
}

/// How many fields a row has.
pub fn fields(row: &[u8]) -> usize {
    row.first_chunk::<2>().map_or(0, |bytes| usize::from(u16::from_be_bytes(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(fields: &[Option<&[u8]>]) -> Vec<u8> {
        let mut row = i16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
        for field in fields {
            let length = field.map_or(-1, |field| i32::try_from(field.len()).unwrap());
            row.extend_from_slice(&length.to_be_bytes());
            row.extend_from_slice(field.unwrap_or_default());
        }
        row
    }

    #[test]
    fn rows_are_the_same_however_the_stream_is_cut() {
        let rows = [tuple(&[Some(b"ab"), None]), tuple(&[Some(b""), Some(b"\xff\xff\xff\xff")]), tuple(&[])];
        let stream = [&SIGNATURE[..], &[0; 8], &rows.concat(), &[0xff, 0xff]].concat();
        for size in 1..=stream.len() {
            let (mut tuples, mut seen) = (Tuples::default(), Vec::new());
            for piece in stream.chunks(size) {
                assert!(!tuples.is_whole());
                tuples
                    .feed(piece, |row| {
                        seen.push(row.to_vec());
                        Ok::<_, String>(())
                    })
                    .unwrap();
            }
            assert_eq!(seen, rows, "in pieces of {size}");
            assert!(tuples.is_whole());
        }
        assert!(Tuples::default().feed(&[0; 40], |_| Ok::<_, String>(())).is_err());
    }

    #[test]
    fn the_key_is_its_fields_and_null_is_not_empty() {
        let key = |row: &[u8], key: &[usize]| pair(row, key, &mut Vec::new()).key;
        let (one, two) = (tuple(&[Some(b"a"), Some(b"b")]), tuple(&[Some(b"a"), Some(b"c")]));
        assert_eq!(key(&one, &[0]), key(&two, &[0]));
        assert_ne!(key(&one, &[1]), key(&two, &[1]));
        assert_ne!(key(&one, &[0, 1]), key(&one, &[1, 0]));
        assert_ne!(key(&tuple(&[None]), &[0]), key(&tuple(&[Some(b"")]), &[0]));
        assert_eq!(fields(&one), 2);
    }
}
