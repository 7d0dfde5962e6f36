//! Where a change of names stands, judged from answers alone: two numbers (authorities, caches), and for whatever is
//! wrong a sentence that says what, and one that says what to do.
//!
//! There is no propagation: authorities change, caches expire. Pure; the time comes with the answers.

pub mod seen;

mod alias;
mod authority;
mod authorization;
mod caches;
mod hints;
mod missing;
mod ttl;
mod words;
mod zone;

use serde::Serialize;

pub use hints::stale_hints;
use seen::{Demand, Set, Sight, Zone};
pub use ttl::before_switch;
pub use words::{address, moment, spoken};

/// A verdict, from good to bad.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not wrong, and not done: time will do it, or a person should look.
    Warn,
    /// It could not be asked; neither good nor bad.
    Unknown,
    /// Wrong, and time will not mend it.
    Fail,
}

impl Verdict {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing; stable.
    pub id: &'static str,
    /// How bad.
    pub verdict: Verdict,
    /// What was seen.
    pub words: String,
    /// What to do; empty where there is nothing to do.
    pub advice: String,
}

impl Finding {
    fn new(id: &'static str, verdict: Verdict, words: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { id, verdict, words: words.into(), advice: advice.into() }
    }
}

/// How many of how many.
#[derive(Clone, Copy, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Count {
    /// As they should be.
    pub right: usize,
    /// All.
    pub of: usize,
}

impl Count {
    /// Whether none is missing.
    pub fn is_full(self) -> bool {
        self.right == self.of
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.right, self.of)
    }
}

/// What is said about a zone, or about one name and type.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Subject {
    /// `example.com`, or `api.example.com AAAA`.
    pub about: String,
    /// The worst verdict of its findings.
    pub verdict: Verdict,
    /// Authorities that have it right; absent for a zone.
    pub authority: Option<Count>,
    /// Resolvers that have it right; absent for a zone, and where no resolver was asked.
    pub caches: Option<Count>,
    /// The last moment at which an honest cache can still hold the old value, in seconds since 1970.
    pub old_until: Option<u64>,
    /// What was found; never empty.
    pub findings: Vec<Finding>,
}

impl Subject {
    fn new(about: impl Into<String>, findings: Vec<Finding>) -> Self {
        let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Unknown);
        Self { about: about.into(), verdict, authority: None, caches: None, old_until: None, findings }
    }
}

impl Subject {
    /// A certificate's judgement among those of names.
    pub fn of_certificate(picture: &super::certificate::Picture) -> Self {
        let finding = Finding::new("certificate", picture.verdict, picture.words.clone(), picture.advice.clone());
        Self::new(picture.name.clone(), vec![finding])
    }
}

/// The whole picture.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Picture {
    /// When it was taken, in seconds since 1970.
    pub at: u64,
    /// The worst verdict.
    pub verdict: Verdict,
    /// Authorities that have every record right.
    pub authority: Count,
    /// Resolvers that have every record right.
    pub caches: Count,
    /// Resolvers that must have.
    pub quorum: usize,
    /// The last moment at which an honest cache can still hold an old value, in seconds since 1970; none where nothing old
    /// is known, or an authority still gives it.
    pub old_until: Option<u64>,
    /// Zones and record sets.
    pub subjects: Vec<Subject>,
}

impl Picture {
    /// Whether the move has arrived: every authority, and enough resolvers.
    pub fn has_arrived(&self) -> bool {
        self.is_at_authorities() && self.caches.right >= self.quorum.min(self.caches.of)
    }

    /// Whether every authority has every record right, and nothing is wrong with any.
    pub fn is_at_authorities(&self) -> bool {
        self.authority.of > 0
            && self.authority.is_full()
            && self.subjects.iter().all(|subject| subject.authority.is_none_or(Count::is_full))
    }

    /// Whether every authority has every record of this name right.
    pub fn is_at_authorities_for(&self, name: &str) -> bool {
        let is_of = |subject: &&Subject| subject.about.split_once(' ').is_some_and(|(about, _)| about == name);
        let mut counts = self.subjects.iter().filter(is_of).filter_map(|subject| subject.authority).peekable();
        counts.peek().is_some() && counts.all(Count::is_full)
    }

    /// Findings that are not ok, worst first, each with what it is about.
    pub fn troubles(&self) -> Vec<(&str, &Finding)> {
        let mut troubles: Vec<(&str, &Finding)> = self
            .subjects
            .iter()
            .flat_map(|subject| subject.findings.iter().map(|finding| (subject.about.as_str(), finding)))
            .filter(|(_, finding)| finding.verdict > Verdict::Ok)
            .collect();
        troubles.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.verdict));
        troubles
    }
}

/// Judges everything that was seen.
pub fn judge(sight: &Sight, demand: &Demand) -> Picture {
    let mut subjects: Vec<Subject> = sight.zones.iter().map(|zone| zone::judge(zone, &sight.sets)).collect();
    let lost = |(name, why): (&String, &String)| {
        let words = format!("it is not known which zone holds {name}: {why}");
        let advice = "name the zone in dns.zone, or let this host reach port 53 of the servers named in dns.roots";
        Subject::new(name.clone(), vec![Finding::new("zone", Verdict::Unknown, words, advice)])
    };
    subjects.extend(sight.lost.iter().map(lost));
    for set in &sight.sets {
        if let Some(zone) = sight.zones.iter().find(|zone| zone.name == set.zone) {
            subjects.push(judge_set(sight.at, zone, set, demand, is_beside_wildcard(&sight.sets, set)));
        }
    }
    subjects.extend(sight.authorizations.iter().filter_map(|one| authorization::judge(one, demand)));
    Picture {
        at: sight.at,
        verdict: subjects.iter().map(|subject| subject.verdict).max().unwrap_or(Verdict::Unknown),
        authority: authorities(sight),
        caches: caches(sight),
        quorum: demand.quorum,
        old_until: subjects.iter().filter_map(|subject| subject.old_until).max(),
        subjects,
    }
}

/// A wildcard reaches only names that do not exist, which surprises those who see it answer for all others.
fn no_wildcard_here(finding: &mut Finding) {
    finding.advice =
        format!("the wildcard does not reach it, since the name has records of its own: {}", finding.advice);
}

/// Whether a wildcard is configured that looks as if it covered the set, though the name has nothing of the type.
fn is_beside_wildcard(sets: &[Set], set: &Set) -> bool {
    let has_none =
        set.authority.iter().filter_map(seen::Heard::said).any(|said| said.code == "NOERROR" && said.is_negative());
    let wildcard = set.name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
    has_none && sets.iter().any(|other| other.kind == set.kind && Some(&other.name) == wildcard.as_ref())
}

fn judge_set(at: u64, zone: &Zone, set: &Set, demand: &Demand, has_wildcard: bool) -> Subject {
    let mut findings = authority::judge(zone, set);
    if has_wildcard {
        findings.iter_mut().filter(|finding| finding.verdict == Verdict::Fail).for_each(no_wildcard_here);
    }
    findings.extend(alias::judge(set));
    findings.extend(hints::judge(set));
    let caches = caches::judge(at, zone, set, demand);
    findings.extend(caches.findings);
    let mut subject = Subject::new(format!("{} {}", set.name, set.kind), findings);
    subject.authority = Some(authority::count(zone, set));
    subject.caches = (!set.caches.is_empty()).then_some(caches.count);
    subject.old_until = caches.old_until;
    subject
}

/// Of all addresses of authorities, those that have every set of their zone right.
fn authorities(sight: &Sight) -> Count {
    let mut count = Count { right: 0, of: sight.lost.len() };
    for zone in &sight.zones {
        let sets: Vec<&Set> = sight.sets.iter().filter(|set| set.zone == zone.name).collect();
        let counted: Vec<usize> =
            zone.servers.iter().enumerate().filter(|(_, one)| zone::is_counted(one)).map(|(index, _)| index).collect();
        count.of += counted.len() + zone.without_address.len() + zone.unknown_address.len();
        let is_right = |index: usize| sets.iter().all(|set| authority::is_right(set, index));
        count.right += counted.iter().filter(|index| is_right(**index)).count();
    }
    count
}

/// Of all resolvers, those that have every set right.
fn caches(sight: &Sight) -> Count {
    let of = sight.sets.iter().map(|set| set.caches.len()).max().unwrap_or(0);
    let is_right = |index: usize| {
        sight.sets.iter().all(|set| set.caches.get(index).is_some_and(|cache| caches::is_right(set, cache)))
    };
    Count { right: (0..of).filter(|index| is_right(*index)).count(), of }
}
