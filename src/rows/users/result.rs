//! What a migration of users came to, for people and as JSON. Law: "complete" is said only when every user has his account.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::make::Outcome;
use super::{Collisions, Options};
use crate::adapter::clock::spoken;
use crate::data::plural::counted;
use crate::data::users::{Collision, Person, Plan, Report, Skipped};

/// How many of a list are shown to people.
const SHOWN: usize = 10;

/// A user without an account, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The id in the source.
    pub legacy_id: String,
    /// His address.
    pub email: Option<String>,
    /// Why.
    pub reason: String,
}

/// What a migration came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Migrated {
    /// Whether nothing was written; the numbers then say what would be.
    pub is_dry_run: bool,
    /// Users that are to have an account.
    pub wanted: usize,
    /// Accounts that were made.
    pub created: usize,
    /// Accounts that were there, with the old id.
    pub found: usize,
    /// Accounts of before that were taken by the option for it: the old ids.
    pub linked: Vec<String>,
    /// Users that get none.
    pub skipped: Vec<Skipped>,
    /// Users that should have one and have not.
    pub failed: Vec<Failed>,
    /// Users that were not tried, because work stopped.
    pub not_tried: usize,
    /// Why work stopped; none if it went to its end.
    pub stopped: Option<String>,
    /// Accounts without a password: their owners sign in by an e-mailed code or a provider.
    pub without_password: usize,
    /// Pictures that the service would not take.
    pub pictures_refused: usize,
    /// What was known before anything was made.
    pub report: Report,
    /// The mapping; none in a dry run.
    pub mapping: Option<PathBuf>,
    /// How long it took.
    pub duration_ms: u64,
}

impl Migrated {
    pub(super) fn of(options: &Options, plan: &Plan) -> Self {
        Self {
            is_dry_run: options.is_dry_run,
            wanted: plan.people.len(),
            created: 0,
            found: 0,
            linked: Vec::new(),
            skipped: plan.skipped.clone(),
            failed: Vec::new(),
            not_tried: 0,
            stopped: None,
            without_password: 0,
            pictures_refused: 0,
            report: plan.report.clone(),
            mapping: None,
            duration_ms: 0,
        }
    }

    pub(super) fn count(&mut self, person: &Person, outcome: &Outcome) {
        match outcome {
            Outcome::Created { has_picture, .. } => {
                self.created += 1;
                self.pictures_refused += usize::from(person.body.has_picture() && !has_picture);
            }
            Outcome::Found(_) => self.found += 1,
            Outcome::Linked(_) => self.linked.push(person.legacy_id.clone()),
            Outcome::NotTried => self.not_tried += 1,
            Outcome::Failed(reason) => self.failed.push(Failed {
                legacy_id: person.legacy_id.clone(),
                email: person.email.clone(),
                reason: reason.clone(),
            }),
        }
        self.without_password += usize::from(outcome.account().is_some() && !person.body.has_password());
    }

    /// Whether every user has his account, proven by a look at the service. A dry run completes nothing.
    pub fn is_complete(&self) -> bool {
        !self.is_dry_run && self.failed.is_empty() && self.not_tried == 0 && self.stopped.is_none()
    }

    /// For people.
    pub fn text(&self) -> String {
        let verb = if self.is_dry_run { "would be made" } else { "made" };
        let mut lines = vec![format!(
            "users: {} of {} {verb}, {} found there, {} linked, {} skipped, {} failed, {} not tried; {}",
            self.created,
            counted(self.wanted, "account"),
            self.found,
            self.linked.len(),
            self.skipped.len(),
            self.failed.len(),
            self.not_tried,
            spoken(Duration::from_millis(self.duration_ms)),
        )];
        if self.without_password > 0 {
            lines.push(format!("without a password: {} (a code by e-mail, or a provider)", self.without_password));
        }
        if self.pictures_refused > 0 {
            lines.push(format!("pictures that the service would not take: {}", self.pictures_refused));
        }
        if !self.linked.is_empty() {
            lines.push(format!("linked to accounts of before: {}", some(&self.linked)));
        }
        lines.extend(self.report.lines().into_iter().map(|line| format!("  {line}")));
        lines.extend(shown("failed", &self.failed));
        lines.extend(self.stopped.iter().map(|why| format!("stopped: {why}")));
        lines.push(match (&self.mapping, self.is_complete()) {
            (Some(path), true) => format!("complete; the mapping is {}", path.display()),
            (Some(path), false) => {
                format!("not complete; {} holds those that have an account; call it again", path.display())
            }
            (None, _) => "nothing was written".into(),
        });
        lines.join("\n") + "\n"
    }
}

/// The first of a list of users, one line each.
pub(super) fn shown(word: &str, list: &[Failed]) -> Vec<String> {
    let line = |failed: &Failed| {
        let email = failed.email.as_ref().map_or(String::new(), |email| format!(" ({email})"));
        format!("{word}: {}{email}: {}", failed.legacy_id, failed.reason)
    };
    let mut lines: Vec<String> = list.iter().take(SHOWN).map(line).collect();
    if list.len() > SHOWN {
        lines.push(format!("{word}: and {} more", list.len() - SHOWN));
    }
    lines
}

fn some(ids: &[String]) -> String {
    let shown = ids.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if ids.len() > SHOWN { format!("{shown} and {} more", ids.len() - SHOWN) } else { shown }
}

/// A collision, in words.
pub(super) fn collision(collision: &Collision) -> String {
    format!("{} ({} and {})", collision.email, collision.first, some(&collision.others))
}

/// Whether a user is to have an account at all under these options.
pub(super) fn is_wanted(options: &Options, plan: &Plan, person: &Person) -> bool {
    let loses = |collision: &Collision| collision.others.contains(&person.legacy_id);
    options.collisions == Collisions::Refuse || !plan.collisions.iter().any(loses)
}
