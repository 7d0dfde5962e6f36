//! Finding one's way in JSON text: strings, numbers, the end of a value. The text may be cut off anywhere.

use super::super::copy_text;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// How many bytes stand before the first quote, backslash or control character. Eight bytes are looked at together.
pub(super) fn special(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(piece) = text.get(at..at + 8).and_then(|piece| piece.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*piece);
        let control = word.wrapping_sub(ONES * 0x20);
        let (quote, slash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
        let found = (control & !word) | (quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash);
        // A borrow runs upwards only: the lowest byte that is marked is marked rightly.
        if found & HIGHS != 0 {
            return at + (found & HIGHS).trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    text[at..]
        .iter()
        .position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
        .map_or(text.len(), |left| at + left)
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The text ends here; with more of it there may be an answer.
    Incomplete,
    /// It is wrong, whatever follows.
    Wrong(String),
}

pub(super) type Read<T> = Result<T, Stop>;

pub(super) fn wrong<T>(what: impl Into<String>) -> Read<T> {
    Err(Stop::Wrong(what.into()))
}

/// A place in JSON text.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The byte here.
    pub(super) fn here(&self) -> Read<u8> {
        self.text.get(self.at).copied().ok_or(Stop::Incomplete)
    }

    /// The first byte here that is no white space.
    pub(super) fn token(&mut self) -> Read<u8> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.here()
    }

    /// Goes past these bytes, if they stand here.
    pub(super) fn passes(&mut self, bytes: &[u8]) -> bool {
        let stands = self.text[self.at..].starts_with(bytes);
        self.at += if stands { bytes.len() } else { 0 };
        stands
    }

    /// Goes past one byte after white space.
    pub(super) fn expect(&mut self, byte: u8) -> Read<()> {
        let found = self.token()?;
        if found != byte {
            return wrong(format!("expected `{}`, found `{}`", char::from(byte), shown(found)));
        }
        self.at += 1;
        Ok(())
    }

    /// Goes past a word (`null`, `true`, `false`).
    pub(super) fn word(&mut self, word: &'static str) -> Read<()> {
        let rest = &self.text[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        if word.as_bytes().starts_with(rest) { Err(Stop::Incomplete) } else { wrong(format!("expected `{word}`")) }
    }

    /// Reads a string that begins here and appends its value as a COPY field.
    pub(super) fn string_as_field(&mut self, out: &mut Vec<u8>) -> Read<()> {
        self.string(out, true)
    }

    /// Reads a string that begins here and appends its value.
    pub(super) fn string_as_value(&mut self, out: &mut Vec<u8>) -> Read<()> {
        self.string(out, false)
    }

    fn string(&mut self, out: &mut Vec<u8>, is_field: bool) -> Read<()> {
        self.at += 1;
        loop {
            let plain = special(&self.text[self.at..]);
            out.extend_from_slice(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match self.here()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escaped(out, is_field)?,
                control => return wrong(format!("there is a raw control character ({control:#04x}) in a string")),
            }
        }
    }

    fn escaped(&mut self, out: &mut Vec<u8>, is_field: bool) -> Read<()> {
        let code = *self.text.get(self.at + 1).ok_or(Stop::Incomplete)?;
        let value = match code {
            b'"' | b'\\' | b'/' => code,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let character = self.unicode()?;
                let mut bytes = [0; 4];
                let bytes = character.encode_utf8(&mut bytes).as_bytes();
                if is_field {
                    copy_text::escape(bytes, out)
                } else {
                    out.extend_from_slice(bytes)
                }
                return Ok(());
            }
            other => return wrong(format!("`\\{}` is no escape of JSON", shown(other))),
        };
        self.at += 2;
        match value {
            b'"' | b'/' => out.push(value),
            _ if is_field => out.extend_from_slice(&[b'\\', code]),
            _ => out.push(value),
        }
        Ok(())
    }

    fn unicode(&mut self) -> Read<char> {
        let first = self.hex(self.at + 2)?;
        self.at += 6;
        let point = match first {
            0 => {
                return wrong(
                    "there is a NUL character (`\\u0000`), which PostgreSQL cannot hold in text; take it out",
                );
            }
            0xD800..0xDC00 => {
                let rest = &self.text[self.at..];
                if rest.len() < 2 && b"\\u".starts_with(rest) {
                    return Err(Stop::Incomplete);
                }
                let second = if rest.starts_with(b"\\u") { self.hex(self.at + 2)? } else { 0 };
                if !(0xDC00..0xE000).contains(&second) {
                    return wrong(format!("`\\u{first:04x}` is half of a character; its other half is missing"));
                }
                self.at += 6;
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            other => other,
        };
        let half = || Stop::Wrong(format!("`\\u{first:04x}` is half of a character; its other half is missing"));
        char::from_u32(point).ok_or_else(half)
    }

    fn hex(&self, at: usize) -> Read<u32> {
        let digits = self.text.get(at..at + 4).ok_or(Stop::Incomplete)?;
        digits.iter().try_fold(0, |sum, digit| match char::from(*digit).to_digit(16) {
            Some(digit) => Ok(sum * 16 + digit),
            None => wrong("`\\u` is not followed by four hexadecimal digits"),
        })
    }

    /// The text of a number that begins here. It must be followed by something: a cut could go through it.
    pub(super) fn number(&mut self) -> Read<&'a [u8]> {
        let rest = &self.text[self.at..];
        let end = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        let number = &rest[..end.ok_or(Stop::Incomplete)?];
        if !is_number(number) {
            return wrong(format!("`{}` is no number of JSON", String::from_utf8_lossy(number)));
        }
        self.at += number.len();
        Ok(number)
    }

    /// The text of the value that begins here, whatever it is.
    pub(super) fn value(&mut self) -> Read<&'a [u8]> {
        let (start, mut open) = (self.at, Vec::new());
        loop {
            match self.token()? {
                b'{' => {
                    self.at += 1;
                    if self.token()? != b'}' {
                        open.push(b'}');
                        self.key()?;
                        continue;
                    }
                    self.at += 1;
                }
                b'[' => {
                    self.at += 1;
                    if self.token()? != b']' {
                        open.push(b']');
                        continue;
                    }
                    self.at += 1;
                }
                b'"' => self.pass_string()?,
                b'n' => self.word("null")?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'-' | b'0'..=b'9' => drop(self.number()?),
                other => return wrong(format!("expected a value, found `{}`", shown(other))),
            }
            while let Some(&closing) = open.last() {
                let found = self.token()?;
                self.at += 1;
                if found == b',' {
                    if closing == b'}' {
                        self.key()?;
                    }
                    break;
                }
                if found != closing {
                    let closing = char::from(closing);
                    return wrong(format!("expected `,` or `{closing}`, found `{}`", shown(found)));
                }
                open.pop();
            }
            if open.is_empty() {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    fn key(&mut self) -> Read<()> {
        if self.token()? != b'"' {
            return wrong("expected a key in quotes");
        }
        self.pass_string()?;
        self.expect(b':')
    }

    fn pass_string(&mut self) -> Read<()> {
        self.at += 1;
        loop {
            self.at += special(&self.text[self.at..]);
            match self.here()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => drop(self.escaped(&mut Vec::new(), false)?),
                control => return wrong(format!("there is a raw control character ({control:#04x}) in a string")),
            }
        }
    }
}

/// A byte as an error shows it.
pub(super) fn shown(byte: u8) -> String {
    if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("\\x{byte:02x}") }
}

fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    let is_whole_right = whole == 1 || (whole > 1 && rest[0] != b'0');
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let count = digits(exponent);
        if count == 0 {
            return false;
        }
        rest = &exponent[count..];
    }
    is_whole_right && rest.is_empty()
}
