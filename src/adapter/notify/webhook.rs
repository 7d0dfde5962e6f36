//! Our own webhook: the notice as JSON, with the moment of sending, signed by HMAC-SHA256 over `TIMESTAMP.BODY`.
//!
//! Who receives it computes the same over the raw body, compares in constant time, and refuses a timestamp that is more
//! than 5 minutes off, so that a recorded message is worth nothing later.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::{Notice, Target, accepted};
use crate::adapter::outbound::{Outbound, Sending, Undelivered, Verb};
use crate::adapter::{clock, files};
use crate::secret::Secret;

pub(super) async fn send(
    outbound: &Outbound,
    target: &Target,
    key: Option<&Secret>,
    notice: &Notice,
) -> Result<String, Undelivered> {
    let body = body(notice);
    // Each try has a time of its own: it is the sending that must be fresh.
    let at = clock::unix_seconds();
    let mut headers = vec![
        ("x-cutover-event", Secret::new(notice.event.clone())),
        ("x-cutover-id", Secret::new(notice.id.clone())),
        ("x-cutover-timestamp", Secret::new(at.to_string())),
    ];
    if let Some(key) = key {
        let signature = signature(key, at, &body).map_err(Undelivered::Refused)?;
        headers.push(("x-cutover-signature", Secret::new(format!("v1={signature}"))));
    }
    let sending =
        Sending { verb: Verb::Post, url: &target.0, headers: &headers, body: Some(("application/json", body)) };
    accepted(target, &outbound.send(sending).await?)
}

fn body(notice: &Notice) -> Vec<u8> {
    let at = jiff::Timestamp::from_millisecond(notice.at_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let document = json!({
        "schema": "cutover/v1",
        "id": notice.id,
        "event": notice.event,
        "severity": notice.severity,
        "at": format!("{at:.3}"),
        "project": notice.project,
        "environment": notice.environment,
        "title": notice.title,
        "text": notice.text,
        "facts": notice.facts,
    });
    document.to_string().into_bytes()
}

fn signature(key: &Secret, at: u64, body: &[u8]) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes())
        .map_err(|_| "the signing key has an impossible length".to_owned())?;
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    Ok(files::hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_openssl_computes() {
        // printf '1769126400.{"a":1}' | openssl dgst -sha256 -hmac 'key-of-the-hook'
        let expected = "569a0e0cd28cde6b994d0e960bc4c8d903150a7d75b5ad434bbd0b1e075acb8f";
        let found = signature(&Secret::new("key-of-the-hook".into()), 1_769_126_400, b"{\"a\":1}");
        assert_eq!(found.as_deref(), Ok(expected));
    }
}
