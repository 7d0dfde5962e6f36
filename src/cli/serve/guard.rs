//! What stands between the page and a browser that was led astray: hosts, methods, and what a page may do. Law: nothing but
//! looking.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use sha2::{Digest, Sha256};

use crate::config::Listen;
use crate::report::page::STYLE;

/// Who is answered, and how.
pub struct Guard {
    hosts: Vec<String>,
    policy: HeaderValue,
}

impl Guard {
    /// Hosts are answered by their name, with any port; the address itself as well.
    pub fn new(listen: &Listen, hosts: Vec<String>) -> Self {
        let own = match listen {
            Listen::Address(address) => Some(address.ip().to_string()),
            Listen::Socket(_) => None,
        };
        let hosts = hosts.into_iter().chain(own).map(|host| host.to_lowercase()).collect();
        let hash = base64(&Sha256::digest(STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { hosts, policy }
    }

    /// Why a request is not answered.
    pub fn refusal(&self, request: &Request) -> Option<Response> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !self.hosts.contains(&name(host)) {
            // A name that leads here from elsewhere would let a foreign page read this one.
            let words = "this host name is not answered; add it to serve.hosts\n";
            return Some(self.sealed(plain(StatusCode::MISDIRECTED_REQUEST, words)));
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "for looking only\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Some(self.sealed(refused));
        }
        None
    }

    /// The answer with what a browser must know.
    pub fn sealed(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// An answer of one kind.
pub fn typed(status: StatusCode, kind: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A line of text.
pub fn plain(status: StatusCode, words: &str) -> Response {
    typed(status, "text/plain; charset=utf-8", words.to_owned())
}

/// The name in a Host header, without its port.
fn name(host: &str) -> String {
    let host = host.to_lowercase();
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default().to_owned();
    }
    host.split(':').next().unwrap_or_default().to_owned()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let at = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS.get((bits >> shift & 63) as usize).copied().unwrap_or(b'A');
            out.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_their_ports() {
        for (host, expected) in
            [("LocalHost:9180", "localhost"), ("127.0.0.1", "127.0.0.1"), ("[::1]:80", "::1"), ("", "")]
        {
            assert_eq!(name(host), expected);
        }
    }

    #[test]
    fn digests_are_written_as_browsers_read_them() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }
}
