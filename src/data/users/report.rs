//! What is worth knowing before accounts are made: each kind once, with its count and its first examples.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Examples of each kind.
const EXAMPLES: usize = 5;

/// Kinds of findings, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Several users with one address.
    SameEmail,
    /// A row without an id.
    NoId,
    /// An id in two rows.
    RepeatedId,
    /// An address that the service does not take.
    OddEmail,
    /// No address, no link to a provider.
    NoWayIn,
    /// A password without an address.
    UnusablePassword,
    /// A hash that the service does not take.
    OddHash,
    /// A hash that stays because the rules say so.
    PasswordsOff,
    /// Signs in by a code, but the address was never confirmed.
    UnverifiedCode,
    /// Signs in by a code.
    NoPassword,
    /// A link to a provider that is not set up.
    NoProvider,
    /// A second link to one provider.
    SecondLink,
    /// A phone number and no address.
    PhoneOnly,
    /// Neither an address nor a phone number.
    NoEmail,
    /// An anonymous user.
    Anonymous,
    /// A user of single sign-on.
    Sso,
    /// A banned user.
    Banned,
    /// A deleted user.
    Deleted,
    /// An address that is written differently from now on.
    ChangedEmail,
    /// A name that is too long.
    CutName,
    /// A picture that is not carried over.
    NoPicture,
}

impl Kind {
    /// Whether a person must decide before anything is made.
    pub fn is_problem(self) -> bool {
        matches!(self, Self::SameEmail | Self::NoId | Self::RepeatedId)
    }

    /// What it means, after a number of users.
    pub fn words(self) -> &'static str {
        match self {
            Self::SameEmail => "e-mail addresses that several users share once they are trimmed and lower-cased",
            Self::NoId => "rows without an id",
            Self::RepeatedId => "ids that stand in more than one row",
            Self::OddEmail => "e-mail addresses that the service does not take; their accounts are made without one",
            Self::NoWayIn => "users without an e-mail address or a linked provider; they cannot sign in",
            Self::UnusablePassword => "passwords of users without an e-mail address; they stay behind",
            Self::OddHash => "password hashes that the service does not take; their owners sign in by an e-mailed code",
            Self::PasswordsOff => "password hashes that stay behind because users.passwords is false",
            Self::UnverifiedCode => {
                "users without a password whose address was never confirmed; a code does not let them in before it is"
            }
            Self::NoPassword => "users without a password that can be carried over; they sign in by an e-mailed code",
            Self::NoProvider => "links to providers that users.oauth does not name; they stay behind",
            Self::SecondLink => "second links to one provider; the first is carried over",
            Self::PhoneOnly => "users with a phone number and no e-mail address; the number is kept as metadata",
            Self::NoEmail => "users without an e-mail address",
            Self::Anonymous => "anonymous users; their sessions stay behind",
            Self::Sso => "users of single sign-on; the connection must be set up anew",
            Self::Banned => "banned users; their accounts are restricted by the administrator",
            Self::Deleted => "deleted users; they get no account",
            Self::ChangedEmail => "e-mail addresses that are trimmed or lower-cased",
            Self::CutName => "names that are cut to 256 characters",
            Self::NoPicture => "pictures without a plain https address; they stay behind",
        }
    }
}

/// One kind of finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which.
    pub kind: Kind,
    /// How often.
    pub count: usize,
    /// The first ones.
    pub examples: Vec<String>,
}

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report {
    /// Each kind at most once, the gravest first.
    pub findings: Vec<Finding>,
}

/// How often a kind was found, and its examples.
pub type Found<'a> = Option<&'a Finding>;

impl Report {
    /// A kind.
    pub fn get(&self, kind: Kind) -> Found<'_> {
        self.findings.iter().find(|finding| finding.kind == kind)
    }

    /// How often a kind was found.
    pub fn count(&self, kind: Kind) -> usize {
        self.get(kind).map_or(0, |finding| finding.count)
    }

    /// One line per kind, for people.
    pub fn lines(&self) -> Vec<String> {
        let line = |finding: &Finding| {
            let more = finding.count.saturating_sub(finding.examples.len());
            let more = if more == 0 { String::new() } else { format!(", and {more} more") };
            format!("{} {} ({}{more})", finding.count, finding.kind.words(), finding.examples.join("; "))
        };
        self.findings.iter().map(line).collect()
    }
}

/// Collects findings.
#[derive(Default)]
pub(super) struct Notes(BTreeMap<Kind, Finding>);

impl Notes {
    pub(super) fn add(&mut self, kind: Kind, example: String) {
        let finding = self.0.entry(kind).or_insert_with(|| Finding { kind, count: 0, examples: Vec::new() });
        finding.count += 1;
        if finding.examples.len() < EXAMPLES {
            finding.examples.push(example);
        }
    }

    pub(super) fn report(self) -> Report {
        Report { findings: self.0.into_values().collect() }
    }
}
