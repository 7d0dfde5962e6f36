//! What is still missing before a move has arrived, and how long that can take: said over and over while somebody waits.

use super::words::{authorities, list, moment, spoken};
use super::{Count, Picture, Verdict};

impl Picture {
    /// One sentence.
    pub fn missing(&self) -> String {
        let mut parts = Vec::new();
        if !self.is_at_authorities() {
            let lacking: Vec<&str> = self
                .subjects
                .iter()
                .filter(|subject| subject.authority.is_some_and(|count| !count.is_full()))
                .map(|subject| subject.about.as_str())
                .collect();
            let what = if lacking.is_empty() { String::new() } else { format!(" (missing: {})", list(lacking)) };
            let Count { right, of } = self.authority;
            parts.push(format!("{right} of {of} {} have every record{what}", authorities(of)));
        }
        let wanted = self.quorum.min(self.caches.of);
        if self.caches.right < wanted {
            parts.push(format!(
                "{} of {} resolvers have every record, {wanted} are wanted",
                self.caches.right, self.caches.of
            ));
        }
        let time = match (self.is_at_authorities(), self.old_until) {
            (false, _) => "caches follow only after the last authority".to_owned(),
            (true, Some(until)) => {
                format!("it can take until {} ({} more)", moment(until), spoken(until.saturating_sub(self.at)))
            }
            (true, None) => "every old TTL has run out".to_owned(),
        };
        match parts.is_empty() {
            true => "nothing is missing".to_owned(),
            false => format!("{}; {time}", parts.join("; ")),
        }
    }

    /// The picture in one line: two numbers, and the moment until which old values may live.
    pub fn headline(&self) -> String {
        let until = match self.old_until {
            Some(until) if self.is_at_authorities() => format!(", old values may live until {}", moment(until)),
            _ => String::new(),
        };
        let wanted = self.quorum.min(self.caches.of);
        format!("authority {}, caches {} ({wanted} wanted){until}", self.authority, self.caches)
    }

    /// Whether the move has arrived and nothing is wrong or unknown.
    pub fn is_good(&self) -> bool {
        self.has_arrived() && self.verdict <= Verdict::Warn
    }
}
