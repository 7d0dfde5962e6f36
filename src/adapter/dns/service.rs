//! Values of HTTPS and SVCB records (RFC 9460) as text and from text. Whatever order and quotes somebody wrote, one value has
//! one text: parameters by their number, lists without spaces, names without the trailing point.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::svcb::{
    Alpn, EchConfigList, IpHint, Mandatory, SVCB, SvcParamKey, SvcParamValue, Unknown,
};
use hickory_proto::rr::rdata::{A, AAAA};

use super::{plain, tsig, value};

/// The value as text.
pub(super) fn text(data: &SVCB) -> String {
    let mut text = format!("{} {}", data.svc_priority, plain(&data.target_name));
    for (key, value) in &data.svc_params {
        let _ = write!(text, " {}", name(*key));
        let shown = match value {
            SvcParamValue::NoDefaultAlpn => continue,
            SvcParamValue::Mandatory(keys) => list(keys.0.iter().map(|key| name(*key))),
            SvcParamValue::Alpn(ids) => list(ids.0.iter().cloned()),
            SvcParamValue::Port(port) => port.to_string(),
            SvcParamValue::Ipv4Hint(hints) => list(hints.0.iter().map(|hint| hint.0.to_string())),
            SvcParamValue::Ipv6Hint(hints) => list(hints.0.iter().map(|hint| hint.0.to_string())),
            SvcParamValue::EchConfigList(list) => list.to_string().trim_matches('"').to_owned(),
            SvcParamValue::Unknown(bytes) => escaped(&bytes.0),
        };
        let _ = write!(text, "={shown}");
    }
    text
}

fn name(key: SvcParamKey) -> String {
    match key {
        SvcParamKey::Key(_) | SvcParamKey::Key65535 | SvcParamKey::Unknown(_) => format!("key{}", u16::from(key)),
        known => known.to_string(),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

/// Bytes that a reader of zone files could take for something else are written by their number.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let is_plain = byte.is_ascii_graphic() && !b"\"\\,;()".contains(byte);
        let _ = if is_plain { write!(text, "{}", char::from(*byte)) } else { write!(text, "\\{byte:03}") };
        text
    })
}

/// The value that a text stands for.
///
/// # Errors
/// What is wrong with the text.
pub(super) fn data(text: &str) -> Result<SVCB, String> {
    let wrong =
        |why: &str| format!("{text:?} is no HTTPS record: {why}; write it as 1 . alpn=h2,h3 ipv4hint=203.0.113.10");
    let mut fields = text.split_whitespace();
    let (Some(priority), Some(target)) = (fields.next(), fields.next()) else {
        return Err(wrong("a priority and a target are needed"));
    };
    let priority = priority.parse().map_err(|_| wrong("the priority is no number from 0 to 65535"))?;
    let target = value::absolute(target).map_err(|why| wrong(&why))?;
    let mut parameters = Vec::new();
    for field in fields {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        let key = key_of(key).ok_or_else(|| wrong(&format!("{key} is no parameter")))?;
        let value = value.trim_matches('"');
        let made = parameter(key, value).ok_or_else(|| wrong(&format!("{value:?} is no {}", name(key))))?;
        parameters.push((key, made));
    }
    parameters.sort_by_key(|(key, _)| *key);
    if parameters.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(wrong("a parameter stands there twice"));
    }
    if priority == 0 && !parameters.is_empty() {
        return Err(wrong("priority 0 is an alias, which has no parameters"));
    }
    Ok(SVCB::new(priority, target, parameters))
}

fn key_of(text: &str) -> Option<SvcParamKey> {
    let number = |text: &str| text.strip_prefix("key")?.parse::<u16>().ok().map(SvcParamKey::from);
    number(text).or_else(|| text.parse().ok())
}

fn parameter(key: SvcParamKey, value: &str) -> Option<SvcParamValue> {
    let items = || value.split(',').map(str::trim);
    Some(match key {
        SvcParamKey::Mandatory => {
            let mut keys: Vec<SvcParamKey> = items().map(key_of).collect::<Option<_>>()?;
            keys.sort();
            SvcParamValue::Mandatory(Mandatory(keys))
        }
        SvcParamKey::Alpn => {
            let is_id = |id: &str| (1..=255).contains(&id.len()) && !id.contains('\\');
            SvcParamValue::Alpn(Alpn(items().map(|id| is_id(id).then(|| id.to_owned())).collect::<Option<_>>()?))
        }
        SvcParamKey::NoDefaultAlpn => value.is_empty().then_some(SvcParamValue::NoDefaultAlpn)?,
        SvcParamKey::Port => SvcParamValue::Port(value.parse().ok()?),
        SvcParamKey::Ipv4Hint => {
            let hints = items().map(|hint| hint.parse::<Ipv4Addr>().ok().map(A));
            SvcParamValue::Ipv4Hint(IpHint(hints.collect::<Option<_>>()?))
        }
        SvcParamKey::Ipv6Hint => {
            let hints = items().map(|hint| hint.parse::<Ipv6Addr>().ok().map(AAAA));
            SvcParamValue::Ipv6Hint(IpHint(hints.collect::<Option<_>>()?))
        }
        SvcParamKey::EchConfigList => SvcParamValue::EchConfigList(EchConfigList(tsig::base64(value)?)),
        SvcParamKey::Key(_) | SvcParamKey::Key65535 | SvcParamKey::Unknown(_) => {
            SvcParamValue::Unknown(Unknown(unescaped(value)?))
        }
    })
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        match after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u8>().ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..)?;
            }
            None => {
                bytes.push(*after.first()?);
                rest = after.get(1..)?;
            }
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_it_is_written_it_has_one_text() {
        for (written, one) in [
            ("1 .", "1 ."),
            ("0 Svc.Example.com.", "0 svc.example.com"),
            ("1 . ipv4hint=203.0.113.10 alpn=\"h3,h2\"", "1 . alpn=h3,h2 ipv4hint=203.0.113.10"),
            ("1  .  ipv6hint=2001:DB8:0::10,::1", "1 . ipv6hint=2001:db8::10,::1"),
            ("2 svc. mandatory=port,alpn port=8443 alpn=h2", "2 svc mandatory=alpn,port alpn=h2 port=8443"),
            ("1 . no-default-alpn alpn=h3", "1 . alpn=h3 no-default-alpn"),
            ("1 . ech=\"AEX+DQ==\"", "1 . ech=AEX+DQ=="),
            ("1 . key65280=a\\032\\\"b", "1 . key65280=a\\032\\034b"),
            ("1 . key4=203.0.113.10", "1 . ipv4hint=203.0.113.10"),
        ] {
            assert_eq!(data(written).map(|made| text(&made)), Ok(one.to_owned()), "{written}");
            assert_eq!(data(one).map(|made| text(&made)), Ok(one.to_owned()));
        }
    }

    #[test]
    fn what_is_no_record_says_what_is_wrong_with_it() {
        for (written, why) in [
            ("1", "a priority and a target are needed"),
            ("h2 .", "the priority is no number from 0 to 65535"),
            ("1 . alpn=h2 alpn=h3", "a parameter stands there twice"),
            ("0 . alpn=h2", "priority 0 is an alias, which has no parameters"),
            ("1 . ipv4hint=::1", "\"::1\" is no ipv4hint"),
            ("1 . ipv4=203.0.113.10", "ipv4 is no parameter"),
        ] {
            let told = data(written).unwrap_err();
            assert!(told.contains(&format!("is no HTTPS record: {why}; write it as 1 . ")), "{told}");
        }
    }
}
