//! What a person wants to know of a certificate, read from its DER: names, issuer, and when it begins and ends. It judges nothing.

/// A certificate's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Names it is for.
    pub names: Vec<String>,
    /// The issuer's common name, or its organization.
    pub issuer: String,
    /// From when, in seconds since 1970.
    pub not_before: u64,
    /// Until when, in seconds since 1970.
    pub not_after: u64,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const OBJECT: u8 = 0x06;
const OCTETS: u8 = 0x04;
const DNS_NAME: u8 = 0x82;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Reads a certificate; nothing where it is not one.
pub fn read(der: &[u8]) -> Option<Leaf> {
    let (tag, certificate, _) = element(der)?;
    let (inner, signed, _) = element(certificate)?;
    if tag != SEQUENCE || inner != SEQUENCE {
        return None;
    }
    let mut parts = Elements(signed).peekable();
    parts.next_if(|(tag, _)| *tag == VERSION);
    let (_serial, _algorithm) = (parts.next()?, parts.next()?);
    let (_, issuer) = parts.next()?;
    let (_, validity) = parts.next()?;
    let (_subject, _key) = (parts.next()?, parts.next()?);
    let mut times = Elements(validity).map(|(tag, content)| time(tag, content));
    let (not_before, not_after) = (times.next()??, times.next()??);
    let extensions = parts.find(|(tag, _)| *tag == EXTENSIONS).map(|(_, content)| content);
    Some(Leaf { names: extensions.map(names).unwrap_or_default(), issuer: said(issuer), not_before, not_after })
}

/// Tag, content and rest of what begins here.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, content, rest) = element(self.0)?;
        self.0 = rest;
        Some((tag, content))
    }
}

/// The common name, or else the organization.
fn said(name: &[u8]) -> String {
    let mut organization = None;
    for (tag, set) in Elements(name) {
        let pair = Elements(set).next().filter(|_| tag == SET);
        let Some((_, pair)) = pair else { continue };
        let mut parts = Elements(pair);
        let (Some((OBJECT, object)), Some((_, value))) = (parts.next(), parts.next()) else { continue };
        let value = String::from_utf8_lossy(value).into_owned();
        match object {
            COMMON_NAME => return value,
            ORGANIZATION => organization = Some(value),
            _ => {}
        }
    }
    organization.unwrap_or_else(|| "an issuer without a name".into())
}

fn names(extensions: &[u8]) -> Vec<String> {
    let Some((SEQUENCE, list, _)) = element(extensions) else { return Vec::new() };
    let alternative = Elements(list).find_map(|(_, extension)| {
        let mut parts = Elements(extension);
        let is_it = parts.next().is_some_and(|(tag, object)| tag == OBJECT && object == ALTERNATIVE_NAMES);
        // A flag may stand between the object and its value.
        parts.find(|(tag, _)| is_it && *tag == OCTETS).map(|(_, content)| content)
    });
    let Some((SEQUENCE, all, _)) = alternative.and_then(element) else { return Vec::new() };
    let of_dns = Elements(all).filter(|(tag, _)| *tag == DNS_NAME);
    of_dns.map(|(_, name)| String::from_utf8_lossy(name).into_owned()).collect()
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, in seconds since 1970.
fn time(tag: u8, content: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let text = match tag {
        // RFC 5280: 50 to 99 are of the last century.
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i8>().ok();
    let year: i16 = text.get(0..4)?.parse().ok()?;
    let date = jiff::civil::Date::new(year, number(4..6)?, number(6..8)?).ok()?;
    let time = jiff::civil::Time::new(number(8..10)?, number(10..12)?, number(12..14)?, 0).ok()?;
    let moment = date.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(moment.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_time_are_read() {
        assert_eq!(time(UTC_TIME, b"261121120000Z"), Some(1_795_262_400));
        assert_eq!(time(GENERALIZED_TIME, b"20261121120000Z"), Some(1_795_262_400));
        assert_eq!(time(UTC_TIME, b"700101000001Z"), Some(1));
        assert_eq!(time(UTC_TIME, b"261321120000Z"), None);
    }

    #[test]
    fn what_is_no_certificate_is_none_whatever_it_is() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 2, 0x30, 0], b"-----BEGIN"] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }
}
