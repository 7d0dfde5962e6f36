//! Values of records: to text for people and comparison, and from text for updates. The same text goes both ways.

use hickory_proto::rr::rdata::{A, AAAA, CAA, CNAME, HTTPS, NS, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

use super::{plain, service};

/// The value as text.
pub(super) fn text(data: &RData) -> String {
    match data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::CNAME(name) => plain(name),
        RData::NS(name) => plain(name),
        RData::PTR(name) => plain(name),
        RData::TXT(text) => text.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect(),
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            plain(&soa.mname),
            plain(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RData::HTTPS(service) => service::text(&service.0),
        RData::SVCB(service) => service::text(service),
        RData::Unknown { code: RecordType::RRSIG, rdata } => signature(&rdata.anything),
        other => other.to_string(),
    }
}

/// When a signature ends, in seconds since 1970; that is all that is wanted of it (RFC 4034, part 3.1).
fn signature(data: &[u8]) -> String {
    let end = data.get(8..12).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes);
    end.map_or_else(String::new, |end| end.to_string())
}

/// The value that a text stands for.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn data(kind: &str, text: &str) -> Result<RData, String> {
    let name = |text: &str| absolute(text);
    Ok(match kind {
        "A" => RData::A(A(text.parse().map_err(|_| format!("{text:?} is no IPv4 address"))?)),
        "AAAA" => RData::AAAA(AAAA(text.parse().map_err(|_| format!("{text:?} is no IPv6 address"))?)),
        "CNAME" => RData::CNAME(CNAME(name(text)?)),
        "NS" => RData::NS(NS(name(text)?)),
        "TXT" => RData::TXT(TXT::from_bytes(text.as_bytes().chunks(255).collect())),
        "CAA" => RData::CAA(authorization(text)?),
        "HTTPS" => RData::HTTPS(HTTPS(service::data(text)?)),
        other => return Err(format!("records of type {other} cannot be written")),
    })
}

/// The one text that a name server's answer is given in, however this one was written; one that is no value stays as it is.
pub fn canonical(kind: &str, written: &str) -> String {
    data(kind, written).map_or_else(|_| written.to_owned(), |made| text(&made))
}

/// A name of a text; always taken from the root.
///
/// # Errors
/// When it is no name.
pub(super) fn absolute(text: &str) -> Result<Name, String> {
    let mut name = Name::from_ascii(text).map_err(|error| format!("{text:?} is no name: {error}"))?;
    name.set_fqdn(true);
    Ok(name)
}

/// `0 issue "letsencrypt.org"`.
fn authorization(text: &str) -> Result<CAA, String> {
    let wrong = || format!("{text:?} is no CAA record; write it as 0 issue \"letsencrypt.org\"");
    let mut fields = text.splitn(3, ' ');
    let (Some(flags), Some(tag), Some(value)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(wrong());
    };
    let flags: u8 = flags.parse().map_err(|_| wrong())?;
    let mut made = CAA::new_issue(flags & 0x80 != 0, None, Vec::new());
    made.reserved_flags = flags & 0x7f;
    made.tag = tag.to_ascii_lowercase();
    made.value = value.trim_matches('"').as_bytes().to_vec();
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_same_text_both_ways() {
        for (kind, value) in [
            ("A", "192.0.2.1"),
            ("AAAA", "2001:db8::1"),
            ("CNAME", "app.example.com"),
            ("TXT", "v=spf1 -all"),
            ("CAA", "0 issue \"letsencrypt.org\""),
            ("CAA", "128 issuewild \";\""),
            ("HTTPS", "1 . alpn=h2,h3 ipv4hint=203.0.113.10"),
        ] {
            assert_eq!(text(&data(kind, value).unwrap()), value);
        }
    }

    #[test]
    fn what_is_no_value_says_what_it_should_be() {
        assert_eq!(data("A", "::1").unwrap_err(), "\"::1\" is no IPv4 address");
        assert_eq!(
            data("CAA", "letsencrypt.org").unwrap_err(),
            "\"letsencrypt.org\" is no CAA record; write it as 0 issue \"letsencrypt.org\""
        );
        assert_eq!(data("LOC", "x").unwrap_err(), "records of type LOC cannot be written");
    }
}
