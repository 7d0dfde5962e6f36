//! Numbers for Prometheus: pushed to a Pushgateway, or written into a file for node_exporter's textfile collector.
//!
//! Source: the Pushgateway's README: `PUT /metrics/job/JOB{/LABEL/VALUE}` replaces the whole group; a value that does not
//! fit into a path is given as `LABEL@base64/VALUE`. The collector reads `*.prom`, so a file is written aside and renamed.

use std::path::Path;

use super::{Target, accepted};
use crate::adapter::files;
use crate::adapter::outbound::{Outbound, Sending, Undelivered, Verb};

pub(super) async fn push(
    outbound: &Outbound,
    target: &Target,
    group: &[(String, String)],
    text: &str,
) -> Result<String, Undelivered> {
    let mut path = vec!["metrics".to_owned(), "job".to_owned(), "cutover".to_owned()];
    for (label, value) in group {
        path.extend(labelled(label, value));
    }
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let body = Some(("text/plain; version=0.0.4; charset=utf-8", text.as_bytes().to_vec()));
    let sending = Sending { verb: Verb::Put, url: &target.join(&path), headers: &[], body };
    accepted(target, &outbound.send(sending).await?)
}

fn labelled(label: &str, value: &str) -> [String; 2] {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || "-_.".contains(sign);
    if !value.is_empty() && value.chars().all(is_plain) && !["..", "."].contains(&value) {
        return [label.to_owned(), value.to_owned()];
    }
    // An empty value is written as one sign of padding.
    let encoded = if value.is_empty() { "=".to_owned() } else { base64_url(value.as_bytes()) };
    [format!("{label}@base64"), encoded]
}

/// Base64 for addresses, without padding (RFC 4648, 5).
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digits = [18, 12, 6, 0].map(|at| char::from(DIGITS[(bits >> at & 63) as usize]));
        text.extend(&digits[..=three.len()]);
    }
    text
}

pub(super) async fn look(outbound: &Outbound, target: &Target) -> Result<String, Undelivered> {
    let url = target.join(&["-", "ready"]);
    accepted(target, &outbound.send(Sending { verb: Verb::Get, url: &url, headers: &[], body: None }).await?)
}

/// Others read it: node_exporter runs as a user of its own.
pub(super) fn write(path: &Path, text: &str) -> Result<String, Undelivered> {
    let written = files::write_atomically(path, text.as_bytes(), 0o644);
    written.map_err(|error| Undelivered::Refused(format!("{error:#}")))?;
    Ok(format!("{} written", path.display()))
}

pub(super) fn look_at_file(path: &Path) -> Result<String, Undelivered> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let may_write = rustix::fs::access(directory, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    match may_write {
        Ok(()) => Ok(format!("{} can be written", directory.display())),
        Err(error) => Err(Undelivered::Refused(format!(
            "{} cannot be written: {error}; make it, or correct the channel's file",
            directory.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_fit_into_a_path_is_given_in_base64() {
        assert_eq!(labelled("environment", "staging"), ["environment", "staging"]);
        // printf 'eu/west 1?' | basenc --base64url, less its padding
        assert_eq!(labelled("environment", "eu/west 1?"), ["environment@base64", "ZXUvd2VzdCAxPw"]);
        assert_eq!(labelled("environment", ""), ["environment@base64", "="]);
        assert_eq!(base64_url(b"foobar"), "Zm9vYmFy");
        assert_eq!(base64_url(b"fooba"), "Zm9vYmE");
    }
}
