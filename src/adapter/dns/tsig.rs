//! TSIG (RFC 8945): a message signed with a shared key, and the proof that the answer was signed with it too.
//!
//! Written on the bytes that travel, since a signature over anything else proves nothing.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};

use super::value;
use crate::secret::Secret;

/// How far the clocks of both sides may be apart, in seconds.
const FUDGE: u16 = 300;
const TSIG: u16 = 250;
const ANY: u16 = 255;

/// The digest of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// HMAC with SHA-256.
    Sha256,
    /// HMAC with SHA-512.
    Sha512,
}

impl Digest {
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "hmac-sha256",
            Self::Sha512 => "hmac-sha512",
        }
    }
}

/// A key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name, which both sides know.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// The key itself, in base64.
    pub secret: Secret,
}

impl Key {
    /// Signs a message; gives the bytes to send and the signature, which the answer's is bound to.
    ///
    /// # Errors
    /// When the key is no base64 or its name is no name.
    pub(super) fn sign(&self, message: &[u8], seconds: u64) -> Result<(Vec<u8>, Vec<u8>), String> {
        let id = [message[0], message[1]];
        let mac = self.mac(&[message, &self.variables(seconds, FUDGE, 0, &[])?])?;
        let mut signed = message.to_vec();
        let count = u16::from_be_bytes([signed[10], signed[11]]) + 1;
        signed[10..12].copy_from_slice(&count.to_be_bytes());
        signed.extend(self.record(seconds, &mac, id)?);
        Ok((signed, mac))
    }

    /// Judges the signature of an answer.
    ///
    /// # Errors
    /// What is wrong with it, in words; also when there is none.
    pub(super) fn verify(&self, answer: &[u8], request_mac: &[u8], seconds: u64) -> Result<(), String> {
        let parsed = hickory_proto::op::Message::from_vec(answer).map_err(|error| error.to_string())?;
        let Some(data) = signature(&parsed) else { return Err("the answer is not signed".into()) };
        let error = data.error.map_or(0, u16::from);
        if error != 0 {
            return Err(refusal(error, &self.name, self.digest));
        }
        // The record stands last and uncompressed: its length is known from what it holds.
        let fixed = 10 + 6 + 2 + 2 + 2 + 2 + 2;
        let length =
            wire(&self.name)?.len() + fixed + wire(self.digest.name())?.len() + data.mac.len() + data.other.len();
        let Some(end) = answer.len().checked_sub(length) else { return Err("its signature cannot be read".into()) };
        let mut bare = answer[..end].to_vec();
        let count = u16::from_be_bytes([bare[10], bare[11]]).wrapping_sub(1);
        bare[10..12].copy_from_slice(&count.to_be_bytes());
        bare[..2].copy_from_slice(&data.oid.to_be_bytes());
        let size = u16::try_from(request_mac.len()).unwrap_or(0).to_be_bytes();
        let variables = self.variables(data.time, data.fudge, error, &data.other)?;
        let parts: [&[u8]; 4] = [&size, request_mac, &bare, &variables];
        let mut mac = self.start()?;
        parts.iter().for_each(|part| mac.update(part));
        mac.verify(&data.mac).map_err(|()| "the answer's signature is not of this key".to_owned())?;
        if data.time.abs_diff(seconds) > u64::from(data.fudge) {
            return Err("the answer was signed at another time; set the clocks".into());
        }
        Ok(())
    }

    /// What is signed beside the message (RFC 8945, 4.3.3).
    fn variables(&self, seconds: u64, fudge: u16, error: u16, other: &[u8]) -> Result<Vec<u8>, String> {
        let mut bytes = wire(&self.name)?;
        bytes.extend(ANY.to_be_bytes());
        bytes.extend(0_u32.to_be_bytes());
        bytes.extend(wire(self.digest.name())?);
        bytes.extend(&seconds.to_be_bytes()[2..]);
        bytes.extend(fudge.to_be_bytes());
        bytes.extend(error.to_be_bytes());
        bytes.extend(u16::try_from(other.len()).unwrap_or(0).to_be_bytes());
        bytes.extend(other);
        Ok(bytes)
    }

    fn record(&self, seconds: u64, mac: &[u8], id: [u8; 2]) -> Result<Vec<u8>, String> {
        let mut data = wire(self.digest.name())?;
        data.extend(&seconds.to_be_bytes()[2..]);
        data.extend(FUDGE.to_be_bytes());
        data.extend(u16::try_from(mac.len()).unwrap_or(0).to_be_bytes());
        data.extend(mac);
        data.extend(id);
        // No error, nothing other.
        data.extend([0_u8; 4]);
        let mut record = wire(&self.name)?;
        record.extend(TSIG.to_be_bytes());
        record.extend(ANY.to_be_bytes());
        record.extend(0_u32.to_be_bytes());
        record.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        record.extend(data);
        Ok(record)
    }

    fn mac(&self, parts: &[&[u8]]) -> Result<Vec<u8>, String> {
        let mut mac = self.start()?;
        parts.iter().for_each(|part| mac.update(part));
        Ok(mac.finish())
    }

    fn start(&self) -> Result<Running, String> {
        let key = base64(self.secret.expose()).ok_or("the TSIG key is not base64")?;
        let wrong = |_| "the TSIG key has an impossible length".to_owned();
        Ok(match self.digest {
            Digest::Sha256 => Running::Sha256(Box::new(Hmac::new_from_slice(&key).map_err(wrong)?)),
            Digest::Sha512 => Running::Sha512(Box::new(Hmac::new_from_slice(&key).map_err(wrong)?)),
        })
    }
}

enum Running {
    Sha256(Box<Hmac<Sha256>>),
    Sha512(Box<Hmac<Sha512>>),
}

impl Running {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(mac) => mac.update(bytes),
            Self::Sha512(mac) => mac.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(mac) => mac.finalize().into_bytes().to_vec(),
            Self::Sha512(mac) => mac.finalize().into_bytes().to_vec(),
        }
    }

    /// In constant time.
    fn verify(self, expected: &[u8]) -> Result<(), ()> {
        match self {
            Self::Sha256(mac) => mac.verify_slice(expected).map_err(|_| ()),
            Self::Sha512(mac) => mac.verify_slice(expected).map_err(|_| ()),
        }
    }
}

/// The signature of a message: the last of its additional records.
pub(super) fn signature(message: &hickory_proto::op::Message) -> Option<&hickory_proto::rr::rdata::TSIG> {
    match &message.additionals.last()?.data {
        hickory_proto::rr::RData::TSIG(signature) => Some(signature),
        _ => None,
    }
}

/// The errors of RFC 8945, with what to do.
pub(super) fn refusal(error: u16, key: &str, digest: Digest) -> String {
    match error {
        16 => format!("the server does not take the signature (BADSIG): the key {key} is another one there"),
        17 => format!("the server does not know the key {key} with {} (BADKEY)", digest.name()),
        18 => "the server's clock and ours are too far apart (BADTIME); set the clocks".into(),
        22 => "the server wants a longer signature (BADTRUNC)".into(),
        other => format!("the server does not take the signature (error {other})"),
    }
}

/// A name as it travels, uncompressed and in lower case.
fn wire(name: &str) -> Result<Vec<u8>, String> {
    let name = value::absolute(name)?;
    let mut bytes = Vec::new();
    for label in name.to_lowercase().iter() {
        bytes.push(u8::try_from(label.len()).unwrap_or(0));
        bytes.extend(label);
    }
    bytes.push(0);
    Ok(bytes)
}

/// Standard base64; spaces and line ends in it are passed over.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let signs: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let end = signs.iter().position(|byte| *byte == b'=').unwrap_or(signs.len());
    if signs.is_empty()
        || !signs.len().is_multiple_of(4)
        || signs.len() - end > 2
        || signs[end..].iter().any(|byte| *byte != b'=')
    {
        return None;
    }
    let mut bytes = Vec::with_capacity(signs.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for sign in &signs[..end] {
        let value = SIGNS.iter().position(|known| known == sign)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_whole_or_not_at_all() {
        assert_eq!(base64("aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(base64("aGVs\nbG8h"), Some(b"hello!".to_vec()));
        assert_eq!(base64("aA=="), Some(b"h".to_vec()));
        for wrong in ["", "aGVsbG8", "a=Vs", "aGV*", "===="] {
            assert_eq!(base64(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_signature_that_was_bent_on_the_way_is_refused() {
        let secret = Secret::new("c2VjcmV0LWtleS1mb3ItdGVzdHM=".into());
        let key = Key { name: "cutover.example".into(), digest: Digest::Sha256, secret };
        let mut message = hickory_proto::op::Message::query();
        message.metadata.message_type = hickory_proto::op::MessageType::Response;
        let bare = message.to_vec().unwrap();
        // An answer is bound to the signature of its request; here it is made as a server makes it.
        let request_mac = [7_u8; 32];
        let size = 32_u16.to_be_bytes();
        let variables = key.variables(1_000, FUDGE, 0, &[]).unwrap();
        let mac = key.mac(&[&size, &request_mac, &bare, &variables]).unwrap();
        let mut answer = bare.clone();
        answer[11] = 1;
        answer.extend(key.record(1_000, &mac, [bare[0], bare[1]]).unwrap());
        assert_eq!(key.verify(&answer, &request_mac, 1_000), Ok(()));
        assert_eq!(key.verify(&answer, &[8; 32], 1_000).unwrap_err(), "the answer's signature is not of this key");
        assert!(key.verify(&answer, &request_mac, 2_000).unwrap_err().contains("another time"));
        assert_eq!(key.verify(&bare, &request_mac, 1_000).unwrap_err(), "the answer is not signed");
        let mut bent = answer.clone();
        bent[3] ^= 5;
        assert!(key.verify(&bent, &request_mac, 1_000).is_err());
    }
}
