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
        if self.caches.of == 0 {
            return format!("authority {}, caches not asked: they follow the authorities", self.authority);
        }
        let wanted = self.quorum.min(self.caches.of);
        format!("authority {}, caches {} ({wanted} wanted){until}", self.authority, self.caches)
    }

    /// Whether the move has arrived and nothing is wrong or unknown.
    pub fn is_good(&self) -> bool {
        self.has_arrived() && self.verdict <= Verdict::Warn
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Finding, Subject};
    use super::*;

    fn picture(authority: (usize, usize), caches: (usize, usize), old_until: Option<u64>) -> Picture {
        let count = |(right, of)| Count { right, of };
        let mut subject = Subject::new("www.a.test A", vec![Finding::new("authority", Verdict::Ok, "", "")]);
        subject.authority = Some(count(authority));
        Picture {
            at: 1_795_262_400,
            verdict: Verdict::Ok,
            authority: count(authority),
            caches: count(caches),
            quorum: 2,
            old_until,
            subjects: vec![subject],
        }
    }

    #[test]
    fn what_is_missing_is_said_with_the_time_that_it_can_take() {
        assert_eq!(
            picture((1, 2), (0, 3), None).missing(),
            "1 of 2 authorities have every record (missing: www.a.test A); 0 of 3 resolvers have every record, 2 are wanted; \
             caches follow only after the last authority"
        );
        assert_eq!(
            picture((2, 2), (1, 3), Some(1_795_264_200)).missing(),
            "1 of 3 resolvers have every record, 2 are wanted; it can take until 2026-11-21 12:30 UTC (30 min more)"
        );
        assert_eq!(picture((2, 2), (2, 3), None).missing(), "nothing is missing");
        assert_eq!(picture((2, 2), (2, 3), None).headline(), "authority 2/2, caches 2/3 (2 wanted)");
        let headline = picture((0, 1), (0, 0), None).headline();
        assert_eq!(headline, "authority 0/1, caches not asked: they follow the authorities");
    }

    #[test]
    fn where_no_authority_is_known_nothing_has_arrived() {
        assert!(!picture((0, 0), (3, 3), None).has_arrived());
        assert!(picture((2, 2), (2, 3), None).has_arrived());
        assert!(!picture((2, 2), (1, 3), None).has_arrived());
        // With fewer resolvers than are wanted, all of them.
        assert!(picture((2, 2), (1, 1), None).has_arrived());
    }
}
