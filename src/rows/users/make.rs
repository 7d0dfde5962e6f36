//! One account for one user: looked for, made if it is not there, and looked for again whenever an answer is lost.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use super::Options;
use super::accounts::{Accounts, Known};
use super::service::Service;
use crate::adapter::stack_auth::{Account, StackAuthError};
use crate::data::plural::counted;
use crate::data::users::{Body, Person, Plan, legacy_id};
use crate::rows::Say;
use crate::rows::ledger::{How, Ledger, Line, Standing, Standings};

/// So many users in a row without an answer, and the service counts as away.
const LOST_IN_A_ROW: u32 = 3;
/// How often it is said how far we are, in users.
const SAID_EVERY: usize = 100;

/// What became of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An account was made.
    Created { id: String, has_picture: bool },
    /// It was there.
    Found(String),
    /// Somebody's account is taken.
    Linked(String),
    /// None, and why.
    Failed(String),
    /// Work stopped before.
    NotTried,
}

impl Outcome {
    pub(super) fn account(&self) -> Option<&str> {
        match self {
            Self::Created { id, .. } | Self::Found(id) | Self::Linked(id) => Some(id),
            Self::Failed(_) | Self::NotTried => None,
        }
    }
}

/// What a look at the existing accounts says of a user.
enum Sight<'a> {
    /// It bears his old id.
    His(&'a Known),
    /// It was linked before, or may be now.
    Linkable(&'a Known),
    /// His address signs somebody else in.
    Taken(String),
    /// There is none.
    Nothing,
}

fn look<'a>(options: &Options, person: &Person, accounts: &'a Accounts, standing: Option<&Standing>) -> Sight<'a> {
    let written = match standing {
        Some(Standing::Account { id, how, .. }) => accounts.get(id).map(|known| (known, *how)),
        _ => None,
    };
    let his = accounts.of_user(&person.legacy_id);
    // Of twins, the one in the ledger is his.
    let first = written.map(|(known, _)| known).filter(|known| his.iter().any(|one| one.id == known.id));
    if let Some(known) = first.or_else(|| his.first().copied()) {
        return Sight::His(known);
    }
    if let Some((known, How::Linked)) = written {
        return Sight::Linkable(known);
    }
    let Some(email) = &person.email else { return Sight::Nothing };
    let Some(known) = accounts.with_email(email).into_iter().find(|known| known.is_for_sign_in) else {
        return Sight::Nothing;
    };
    if let Some(other) = &known.legacy {
        return Sight::Taken(format!(
            "the address {email} belongs to the account {} of another old user, {other}",
            known.id
        ));
    }
    match (options.is_linking_existing, person.is_verified, known.is_verified) {
        (true, true, true) => Sight::Linkable(known),
        (true, ..) => Sight::Taken(format!(
            "the address {email} belongs to the account {}, which is not linked because not both confirmed it",
            known.id
        )),
        _ => Sight::Taken(format!(
            "the address {email} belongs to the account {}, which does not name this user",
            known.id
        )),
    }
}

/// What would become of a user, without doing it.
pub(super) fn foreseen(
    options: &Options,
    plan: &Plan,
    person: &Person,
    accounts: &Accounts,
    standings: &Standings,
) -> Outcome {
    if let Some(reason) = shares(plan, person) {
        return Outcome::Failed(reason);
    }
    match look(options, person, accounts, standings.get(&person.legacy_id)) {
        Sight::His(known) => Outcome::Found(known.id.clone()),
        Sight::Linkable(known) => Outcome::Linked(known.id.clone()),
        Sight::Taken(why) => Outcome::Failed(why),
        Sight::Nothing => Outcome::Created { id: String::new(), has_picture: person.body.has_picture() },
    }
}

fn shares(plan: &Plan, person: &Person) -> Option<String> {
    let collision = plan.collisions.iter().find(|collision| collision.others.contains(&person.legacy_id))?;
    Some(format!("shares the address {} with {}, who keeps it", collision.email, collision.first))
}

/// Makes accounts.
pub(super) struct Maker<'a> {
    options: &'a Options,
    service: &'a Service<'a>,
    ledger: &'a Ledger,
    before: &'a Accounts,
    sharing: HashSet<&'a str>,
    plan: &'a Plan,
    say: Say<'a>,
    finished: AtomicUsize,
    lost_in_a_row: AtomicU32,
    stopped: Mutex<Option<String>>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        options: &'a Options,
        plan: &'a Plan,
        service: &'a Service<'a>,
        ledger: &'a Ledger,
        before: &'a Accounts,
        say: Say<'a>,
    ) -> Self {
        Self {
            options,
            service,
            ledger,
            before,
            sharing: plan.collisions.iter().flat_map(|collision| &collision.others).map(String::as_str).collect(),
            plan,
            say,
            finished: AtomicUsize::new(0),
            lost_in_a_row: AtomicU32::new(0),
            stopped: Mutex::new(None),
        }
    }

    /// Why nothing more is begun; none while all is well.
    pub(super) fn stopped(&self) -> Option<String> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stop(&self, why: &str) {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| why.to_owned());
    }

    /// One user. An error is one of ours (the ledger), and ends everything.
    pub(super) async fn one(&self, person: &Person) -> Result<Outcome> {
        let outcome = self.sorted_out(person).await?;
        let finished = self.finished.fetch_add(1, Ordering::Relaxed) + 1;
        if finished.is_multiple_of(SAID_EVERY) {
            (self.say)(format!("{finished} of {}", counted(self.plan.people.len(), "user")));
        }
        Ok(outcome)
    }

    async fn sorted_out(&self, person: &Person) -> Result<Outcome> {
        if self.sharing.contains(person.legacy_id.as_str()) {
            return Ok(Outcome::Failed(shares(self.plan, person).unwrap_or_default()));
        }
        let standing = self.ledger.standing(&person.legacy_id);
        match look(self.options, person, self.before, standing.as_ref()) {
            Sight::His(known) => return self.taken(person, &known.id, standing.as_ref()),
            Sight::Linkable(known) => {
                let is_known = matches!(&standing, Some(Standing::Account { id, .. }) if *id == known.id);
                if !is_known {
                    self.ledger.write(Line::Linked { legacy: person.legacy_id.clone(), account: known.id.clone() })?;
                }
                return Ok(Outcome::Linked(known.id.clone()));
            }
            Sight::Taken(why) => return Ok(Outcome::Failed(why)),
            Sight::Nothing => {}
        }
        if self.stopped().is_some() {
            return Ok(Outcome::NotTried);
        }
        let looked = match &standing {
            // The list may be older than the account.
            Some(Standing::Account { id, .. }) => {
                self.service.account(id).await.map(|account| account.filter(|one| is_his(one, person)))
            }
            Some(Standing::Intent) => self.look_again(person).await,
            None => Ok(None),
        };
        match looked {
            Ok(Some(account)) => self.taken(person, &account.id, standing.as_ref()),
            Ok(None) => self.make(person, standing == Some(Standing::Intent)).await,
            Err(error) => Ok(self.given_up(&error)),
        }
    }

    /// An account with the old id is his; who made it, the ledger knows.
    fn taken(&self, person: &Person, account: &str, standing: Option<&Standing>) -> Result<Outcome> {
        let (legacy, account) = (person.legacy_id.clone(), account.to_owned());
        match standing {
            Some(Standing::Account { id, .. }) if *id == account => {}
            Some(Standing::Intent) => self.ledger.write(Line::Created { legacy, account: account.clone() })?,
            _ => self.ledger.write(Line::Found { legacy, account: account.clone() })?,
        }
        Ok(Outcome::Found(account))
    }

    /// `is_uncertain`: whether an earlier request for him may have been heard. His intent then stays open until his account
    /// is found or made, whatever later requests are told.
    async fn make(&self, person: &Person, mut is_uncertain: bool) -> Result<Outcome> {
        let legacy = || person.legacy_id.clone();
        self.ledger.write(Line::Intent { legacy: legacy() })?;
        let mut body = person.body.clone();
        let mut failed = 0;
        loop {
            let error = match self.service.create(&body.to_send()).await {
                Ok(account) => return self.made(person, &account, &body),
                Err(error) => error,
            };
            if error == StackAuthError::Conflict {
                return self.after_conflict(person, &body, is_uncertain).await;
            }
            if is_about_the_picture(&error) && body.has_picture() {
                body = body.without_picture();
                continue;
            }
            if !error.is_passing() {
                if !is_uncertain && !error.may_have_happened() {
                    self.ledger.write(Line::Refused { legacy: legacy() })?;
                }
                return Ok(self.given_up(&error));
            }
            failed += 1;
            if error.may_have_happened() {
                is_uncertain = true;
                self.service.rest(failed, &error).await;
                match self.look_again(person).await {
                    Ok(Some(account)) => return self.made(person, &account, &body),
                    Ok(None) => {}
                    Err(error) => return Ok(self.given_up(&error)),
                }
                if failed >= self.service.attempts() {
                    return Ok(self.given_up(&error));
                }
            } else {
                if failed >= self.service.attempts() {
                    return Ok(self.given_up(&error));
                }
                self.service.rest(failed, &error).await;
            }
            if let Some(why) = self.stopped() {
                return Ok(Outcome::Failed(format!("{error}; {why}")));
            }
        }
    }

    fn made(&self, person: &Person, account: &Account, body: &Body) -> Result<Outcome> {
        self.ledger.write(Line::Created { legacy: person.legacy_id.clone(), account: account.id.clone() })?;
        self.lost_in_a_row.store(0, Ordering::Relaxed);
        Ok(Outcome::Created { id: account.id.clone(), has_picture: body.has_picture() })
    }

    /// Somebody has the address: he himself, if a lost request made his account, or a stranger.
    async fn after_conflict(&self, person: &Person, body: &Body, is_uncertain: bool) -> Result<Outcome> {
        match self.look_again(person).await {
            Ok(Some(account)) => self.made(person, &account, body),
            Ok(None) => {
                if !is_uncertain {
                    self.ledger.write(Line::Refused { legacy: person.legacy_id.clone() })?;
                }
                let email = person.email.as_deref().unwrap_or_default();
                Ok(Outcome::Failed(format!("the address {email} belongs to an account that does not name this user")))
            }
            Err(error) => Ok(self.given_up(&error)),
        }
    }

    /// Looks for the account of a user whose request may have been heard. Without an address nothing keeps a request that
    /// is still at work from making a second account, so it is given time to end first.
    async fn look_again(&self, person: &Person) -> Result<Option<Account>, StackAuthError> {
        let listed = match &person.email {
            Some(email) => self.service.with_email(email).await?,
            None => {
                tokio::time::sleep(self.options.settle).await;
                self.service.all().await?
            }
        };
        Ok(listed.into_iter().find(|account| is_his(account, person)))
    }

    /// Ends work on one user, and on all when the others would fare no better.
    fn given_up(&self, error: &StackAuthError) -> Outcome {
        if error.is_about_the_project() {
            self.stop(&error.to_string());
        } else if error.is_passing() {
            let lost = self.lost_in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
            if lost >= LOST_IN_A_ROW {
                self.stop(&format!("{lost} users in a row could not be moved: {error}"));
            }
        }
        Outcome::Failed(error.to_string())
    }
}

fn is_his(account: &Account, person: &Person) -> bool {
    legacy_id(&account.server_metadata).as_deref() == Some(person.legacy_id.as_str())
}

fn is_about_the_picture(error: &StackAuthError) -> bool {
    matches!(error, StackAuthError::Refused { said, .. }
        if said.contains("profile image") || said.contains("profile_image_url"))
}
