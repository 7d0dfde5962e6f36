//! What strings must look like, and how that is said to the one who wrote them. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::keys::Shape;
use super::service_binding;

/// Why a string does not have its shape: what is allowed.
pub(super) fn allowed(shape: Shape) -> &'static str {
    match shape {
        Shape::Free => "text that is not empty",
        Shape::Line => "one line of text that is not empty",
        Shape::ProjectName => "lower-case letters, digits, `-` and `_`, starting with a letter or digit, at most 63",
        Shape::Service => "letters, digits, `.`, `-` and `_`, starting with a letter or digit",
        Shape::Word => "letters, digits, `.`, `-` and `_`, starting with a letter or digit, at most 63",
        Shape::Variable => "the name of an environment variable: letters, digits and `_`, not starting with a digit",
        Shape::FileName => "the name of a file, without a directory",
        Shape::Path => "a path, without control characters",
        Shape::UrlPath => "a path that starts with `/`, without `..`, `?`, `#`, `{`, `}` and white space",
        Shape::Version => "a version such as \"20.10\": one to three numbers with points",
        Shape::Host => "a domain name such as \"api.example.com\"",
        Shape::Owner => "a domain name such as \"api.example.com\" or \"*.example.com\"",
        Shape::Ip => "an address such as \"203.0.113.10\" or \"2001:db8::10\"",
        Shape::Ipv4 => "an IPv4 address such as \"203.0.113.10\"",
        Shape::Ipv6 => "an IPv6 address such as \"2001:db8::10\"",
        Shape::Server => "an address such as \"192.0.2.1\", \"192.0.2.1:53\" or \"[2001:db8::1]:53\"",
        Shape::Listen => {
            "a loopback address with its port such as \"127.0.0.1:9180\", or \"unix:/run/cutover/serve.sock\""
        }
        Shape::Number => "a number such as \"5\" or \"0.25\"",
        Shape::ServiceBinding => {
            "an HTTPS record such as \"1 . alpn=h2,h3 ipv4hint=203.0.113.10\": priority, target, parameters"
        }
        Shape::Moment => "a moment such as \"2026-11-22T01:00:00Z\"",
        Shape::SqlName => "a name of 1 to 63 bytes, without control characters",
    }
}

/// Does this string have the shape?
pub(super) fn fits(shape: Shape, text: &str) -> bool {
    let printable = !text.is_empty() && !text.chars().any(char::is_control);
    match shape {
        Shape::Free => !text.is_empty() && !text.contains('\0'),
        Shape::Line => printable,
        Shape::ProjectName => name(text, "-_", 63) && !text.chars().any(|c| c.is_ascii_uppercase()),
        Shape::Service => name(text, ".-_", 255),
        Shape::Word => name(text, ".-_", 63),
        Shape::Variable => {
            text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        }
        Shape::FileName => printable && text != "." && text != ".." && !text.contains('/'),
        Shape::Path => printable && text.len() < 4096,
        Shape::UrlPath => url_path(text),
        Shape::Version => version(text),
        Shape::Host => host(text),
        Shape::Owner => host(text.strip_prefix("*.").unwrap_or(text)),
        Shape::Ip => text.parse::<IpAddr>().is_ok(),
        Shape::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
        Shape::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
        Shape::Server => {
            text.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0) || text.parse::<IpAddr>().is_ok()
        }
        Shape::Listen => listen(text),
        Shape::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
        Shape::ServiceBinding => printable && service_binding::fits(text),
        Shape::Moment => text.parse::<jiff::Timestamp>().is_ok(),
        Shape::SqlName => printable && text.len() <= 63,
    }
}

fn name(text: &str, also: &str, longest: usize) -> bool {
    text.len() <= longest
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

/// Braces are refused since Caddy would take them for placeholders.
fn url_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "?#{}\\".contains(c))
        && !text.split('/').any(|segment| segment == "..")
}

fn version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() <= 3
        && parts.iter().all(|part| (1..=6).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
}

/// Underscores are taken since records such as `_acme-challenge` have them.
pub(super) fn host(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    (1..=253).contains(&text.len()) && text.split('.').all(label)
}

/// Nothing but loopback and sockets: the dashboard has no login of its own.
fn listen(text: &str) -> bool {
    match text.strip_prefix("unix:") {
        Some(path) => path.starts_with('/') && path.len() < 108 && !path.chars().any(char::is_control),
        None => text.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

    /// A shape, what it takes, what it refuses.
    #[rustfmt::skip]
    const CASES: &[(Shape, &[&str], &[&str])] = &[
            (Shape::Free, &["a\nb"], &["", "a\0"]),
            (Shape::Line, &["a b"], &["", "a\nb", "a\u{1b}"]),
            (
                Shape::ProjectName,
                &["freshtrack", "a-1_b", "0a"],
                &["", "Fresh", "-a", "a b", "a.b", "é"],
            ),
            (
                Shape::Service,
                &["web", "Web.1"],
                &["", "a b", "-a", "--file=x"],
            ),
            (Shape::Word, &["production"], &["", "a b", LONG]),
            (
                Shape::Variable,
                &["DATABASE_URL", "_x1"],
                &["", "1A", "A-B", "postgres://u@h"],
            ),
            (Shape::FileName, &["a.txt", ".env"], &["", ".", "..", "a/b"]),
            (Shape::Path, &["a/b", "/x y"], &["", "a\0b", "a\nb"]),
            (
                Shape::UrlPath,
                &["/.well-known/x"],
                &["", "x", "/a b", "/a?b", "/../a", "/{env.HOME}"],
            ),
            (
                Shape::Version,
                &["20", "20.10", "2.26.1"],
                &["", "v2", "2.", "1.2.3.4", ">=2"],
            ),
            (
                Shape::Host,
                &["api.example.com", "_acme-challenge.a.b", "localhost."],
                &["", "a..b", "-a.b", "a b", "http://a"],
            ),
            (Shape::Owner, &["example.com", "*.example.com"], &["", "*", "a.*.b", "*a.b"]),
            (Shape::Ip, &["203.0.113.10", "::1"], &["", "203.0.113", "203.0.113.10:53"]),
            (
                Shape::Ipv4,
                &["203.0.113.10"],
                &["", "203.0.113", "::1", "203.0.113.300"],
            ),
            (Shape::Ipv6, &["2001:db8::1"], &["", "127.0.0.1", "g::"]),
            (
                Shape::Server,
                &["192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:53"],
                &["", "ns.example.com", "192.0.2.1:0"],
            ),
            (
                Shape::Listen,
                &["127.0.0.1:1", "[::1]:80", "unix:/run/a"],
                &["0.0.0.0:80", "10.0.0.1:80", "unix:a", "80"],
            ),
            (Shape::Number, &["5", "0.25", "-1"], &["", "5 %", "nan", "inf", "five"]),
            (
                Shape::ServiceBinding,
                &["1 .", "0 svc.example.com.", "1 . alpn=h2,h3 ipv4hint=203.0.113.10", "1 . key65280=x", "2 . alpn=\"h2,h3\" no-default-alpn"],
                &["", "1", "x .", "1 . alpn=h2 alpn=h3", "0 . alpn=h2", "1 . ipv4hint=::1", "1 . ipv4hint=", "1 . ipv4=1.2.3.4", "1 . port=70000"],
            ),
            (Shape::Moment, &["2026-11-22T01:00:00Z", "2026-11-22T01:00:00+01:00"], &["", "tomorrow", "2026-11-22"]),
            (Shape::SqlName, &["my db"], &["", LONG, "a\0"]),
        ];

    #[test]
    fn shapes_take_what_is_right_and_nothing_else() {
        for (shape, right, wrong) in CASES {
            for text in *right {
                assert!(fits(*shape, text), "{shape:?} should take {text:?}");
            }
            for text in *wrong {
                assert!(!fits(*shape, text), "{shape:?} should refuse {text:?}");
            }
            assert!(!allowed(*shape).is_empty());
        }
    }
}
