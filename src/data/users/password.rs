//! A password hash: judged, carried, never printed.

use std::fmt;

/// The highest cost that the service computes.
const HIGHEST_COST: u8 = 16;

/// A hash. It has no `Serialize`, and its `Debug` prints `[secret]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(String);

impl Hash {
    /// Takes a hash.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// The hash itself, for the one request that carries it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// Why the service would not take it; none if it would: bcrypt, 60 characters, a cost of at most 16. Says nothing
    /// of the hash but its kind.
    pub fn fault(&self) -> Option<String> {
        let text = self.0.as_str();
        let Some(rest) = ["$2a$", "$2b$", "$2y$"].iter().find_map(|head| text.strip_prefix(head)) else {
            return Some(format!("{} is not bcrypt", self.kind()));
        };
        let bytes = rest.as_bytes();
        let is_sign = |sign: &u8| sign.is_ascii_alphanumeric() || matches!(sign, b'.' | b'/');
        if bytes.len() != 56 || bytes[2] != b'$' || !bytes[3..].iter().all(is_sign) {
            return Some("bcrypt that is not whole".into());
        }
        match rest.get(..2).and_then(|cost| cost.parse::<u8>().ok()) {
            Some(4..=HIGHEST_COST) => None,
            Some(cost) => Some(format!("bcrypt with cost {cost}, which is not from 4 to {HIGHEST_COST}")),
            None => Some("bcrypt without a cost".into()),
        }
    }

    /// The name of its kind, from a list of our own: nothing of the value is repeated.
    fn kind(&self) -> &'static str {
        let text = self.0.as_str();
        let known = [
            ("$argon2", "argon2"),
            ("$fbscrypt", "Firebase's scrypt"),
            ("$scrypt", "scrypt"),
            ("$2", "an old bcrypt"),
            ("{", "an encrypted envelope"),
        ];
        known.iter().find(|(head, _)| text.starts_with(head)).map_or("an unknown kind", |(_, name)| name)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}
