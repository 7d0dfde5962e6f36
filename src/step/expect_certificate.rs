//! Expect certificate: each name is served with a certificate that is for it, trusted, and not about to end.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, Say, Seen};
use crate::adapter::clock::{self, Stopwatch, spoken};
use crate::dns::certificate;
use crate::judge::certificate::{Picture, judge};
use crate::judge::dns::Verdict;

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectCertificate {
    /// The names.
    pub names: Vec<String>,
    /// Where they are served.
    pub addresses: Vec<IpAddr>,
    /// The port of HTTPS there.
    pub port: u16,
    /// Certificates that are believed beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<PathBuf>,
    /// Between two looks, milliseconds.
    pub interval_ms: u64,
    /// For the whole gate, seconds.
    pub deadline_s: u64,
}

impl ExpectCertificate {
    /// Looks until every certificate is good, or the deadline ends.
    ///
    /// # Errors
    /// When the file of certificates cannot be read.
    pub async fn ask(&self, say: Say<'_>) -> Result<Seen> {
        let watch = Stopwatch::start();
        let deadline = Duration::from_secs(self.deadline_s);
        loop {
            let pictures = self.once().await?;
            let bad: Vec<&Picture> = pictures.iter().filter(|one| one.verdict > Verdict::Warn).collect();
            let said =
                |pictures: &[&Picture]| pictures.iter().map(|one| one.words.clone()).collect::<Vec<_>>().join("; ");
            if bad.is_empty() {
                let words = said(&pictures.iter().collect::<Vec<_>>());
                return Ok(Seen { answer: Answer::Passed, words, data: json!({ "certificates": pictures }) });
            }
            if watch.left(deadline).is_none() {
                let is_unknown = bad.iter().all(|one| one.verdict == Verdict::Unknown);
                let answer = if is_unknown { Answer::Unknown } else { Answer::Refused };
                let advice = bad.first().map_or_else(String::new, |one| format!("; {}", one.advice));
                let words = format!("after {}: {}{advice}", spoken(watch.elapsed()), said(&bad));
                return Ok(Seen { answer, words, data: json!({ "certificates": pictures }) });
            }
            say(said(&bad));
            tokio::time::sleep(Duration::from_millis(self.interval_ms)).await;
        }
    }

    async fn once(&self) -> Result<Vec<Picture>> {
        let mut pictures = Vec::new();
        for name in &self.names {
            for address in &self.addresses {
                let place = std::net::SocketAddr::new(*address, self.port);
                let served = certificate::look(name, place, self.ca_certificate.as_deref()).await?;
                pictures.push(judge(&served, clock::unix_seconds()));
            }
        }
        Ok(pictures)
    }
}
