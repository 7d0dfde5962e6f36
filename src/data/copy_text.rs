//! The text format of COPY: one row per line, fields apart by tabs, `\N` for null. Lossless: it is each type's own text.
//!
//! Law: what is escaped here reads back as the same bytes, and the escaped form is the one that the server writes, so
//! that equal rows are equal bytes.

use memchr::memchr2;

/// The field that stands for null.
pub const NULL: &[u8] = br"\N";

/// The fields of one row (without its line end), as they are written: escaped.
pub fn fields(row: &[u8]) -> impl Iterator<Item = &[u8]> {
    row.split(|byte| *byte == b'\t')
}

/// Whether a field is null.
pub fn is_null(field: &[u8]) -> bool {
    field == NULL
}

/// Appends the value of a field that is not null.
pub fn unescape(field: &[u8], value: &mut Vec<u8>) {
    let mut rest = field;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        value.extend_from_slice(&rest[..at]);
        let Some(&code) = rest.get(at + 1) else {
            value.push(b'\\');
            return;
        };
        value.push(match code {
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 11,
            b'f' => 12,
            b'r' => b'\r',
            other => other,
        });
        rest = &rest[at + 2..];
    }
    value.extend_from_slice(rest);
}

/// Appends a value as a field.
pub fn escape(value: &[u8], field: &mut Vec<u8>) {
    for &byte in value {
        let code = match byte {
            8 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            11 => b'v',
            12 => b'f',
            b'\r' => b'r',
            b'\\' => b'\\',
            plain => {
                field.push(plain);
                continue;
            }
        };
        field.extend_from_slice(&[b'\\', code]);
    }
}

/// Cuts a stream of pieces into rows. A piece may end anywhere; what is left over waits for the next.
#[derive(Debug, Default)]
pub struct Rows {
    left: Vec<u8>,
}

impl Rows {
    /// Hands every whole row to `row`, without its line end.
    ///
    /// # Errors
    /// Those of `row`; the rest of the piece is then lost.
    pub fn feed<E>(&mut self, piece: &[u8], mut row: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut rest = piece;
        if !self.left.is_empty() {
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.left.extend_from_slice(rest);
                return Ok(());
            };
            self.left.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            row(&std::mem::take(&mut self.left))?;
        }
        while let Some(end) = memchr::memchr(b'\n', rest) {
            row(&rest[..end])?;
            rest = &rest[end + 1..];
        }
        self.left.extend_from_slice(rest);
        Ok(())
    }

    /// Whether every row was whole.
    pub fn is_at_a_boundary(&self) -> bool {
        self.left.is_empty()
    }
}

/// Whether the bytes need no escaping (of tabs and backslashes alone; line ends are told apart before).
pub fn is_plain(value: &[u8]) -> bool {
    memchr2(b'\\', b'\t', value).is_none() && !value.iter().any(|byte| matches!(byte, 8 | 10..=13))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_escaped_reads_back_as_the_same_bytes(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (mut field, mut back) = (Vec::new(), Vec::new());
            escape(&value, &mut field);
            unescape(&field, &mut back);
            prop_assert_eq!(back, value.clone());
            prop_assert!(!field.contains(&b'\n') && !field.contains(&b'\t'));
            prop_assert_eq!(is_plain(&value), field == value);
        }

        #[test]
        fn rows_are_the_same_however_the_stream_is_cut(cut in 1usize..9) {
            let (mut rows, mut seen) = (Rows::default(), Vec::new());
            for piece in b"a\tb\n\n\\N\tlonger row\n".chunks(cut) {
                rows.feed(piece, |row| { seen.push(row.to_vec()); Ok::<(), ()>(()) }).unwrap();
            }
            prop_assert_eq!(seen, [b"a\tb".to_vec(), Vec::new(), b"\\N\tlonger row".to_vec()]);
            prop_assert!(rows.is_at_a_boundary());
        }
    }
}
