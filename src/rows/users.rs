//! Accounts for the old users: made once each whatever happens, mapped, looked for again, and taken back.
//!
//! What survives a kill is the ledger ([`super::ledger`]) and the accounts themselves, each with its old id in its
//! `server_metadata`. A second call lists the accounts, takes those with an old id for what they are, and makes the rest.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::Say;
use super::ledger::{Ledger, Standings};
use crate::adapter::clock::{self, Stopwatch};
use crate::adapter::stack_auth::StackAuth;
use crate::data::plural::counted;
use crate::data::users::{self, Plan, Rules};

mod accounts;
mod input;
mod make;
mod map;
mod pace;
mod result;
mod service;
mod undo;

pub use input::{IDENTITIES_FILE, SECRETS_FILE, USERS_FILE};
pub use map::{MAPPING_FILE, Mapped, map_users};
pub use result::{Failed, Migrated};
pub use undo::{State, UNDONE_FILE, Undone, state, undo};

use accounts::Accounts;
use make::{Maker, Outcome};
use service::Service;

/// What is done with users who share an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collisions {
    /// Nothing is begun until they are sorted out in the source.
    #[default]
    Refuse,
    /// One of each keeps it (confirmed before unconfirmed, then the oldest); the others fail, and the result says so.
    KeepFirst,
}

/// How users are moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Options {
    /// The data directory: the files of users, the ledger and the mapping.
    pub directory: PathBuf,
    /// How many accounts are made side by side.
    pub concurrency: usize,
    /// The most requests per second.
    pub rate: u32,
    /// How often one request is tried.
    pub attempts: u32,
    /// Whether password hashes are carried over.
    pub has_passwords: bool,
    /// The OAuth providers that are set up in the service.
    pub oauth: Vec<String>,
    /// How long the mapping is kept (`retainUntil`).
    pub keep: Duration,
    /// How long a request whose answer was lost may still be at work in the service: an account without an address is
    /// looked for again after it, because nothing else there keeps it from being made twice.
    pub settle: Duration,
    /// What is done with users who share an address.
    pub collisions: Collisions,
    /// Whether an account that was there before is taken for a user with the same address, if both have it confirmed.
    /// Such an account is named in the result, and is never deleted by [`undo`].
    pub is_linking_existing: bool,
    /// Whether nothing is written: neither to the service nor to the directory.
    pub is_dry_run: bool,
}

impl Options {
    /// The configuration's defaults for a directory.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            concurrency: 4,
            rate: 20,
            attempts: 8,
            has_passwords: true,
            oauth: Vec::new(),
            keep: Duration::from_secs(90 * 24 * 3600),
            settle: Duration::from_secs(10),
            collisions: Collisions::Refuse,
            is_linking_existing: false,
            is_dry_run: false,
        }
    }

    fn plan(&self) -> Result<Plan> {
        let input = input::read(&self.directory)?;
        let rules = Rules { has_passwords: self.has_passwords, oauth: self.oauth.clone(), now: clock::now() };
        Ok(users::plan(&input.rows, &input.beside, &rules))
    }
}

/// Makes an account for every user of the directory's `auth_users.json` and writes `user-mapping.json`.
///
/// Whatever was made before, here or by a run that was killed at any moment, is found and not made again. With
/// [`Options::is_dry_run`] only the existing accounts are read. Users that fail stand in the result; the mapping then holds
/// the others, and [`Migrated::is_complete`] says no.
///
/// # Errors
/// When the files cannot be read, users share an address and the options refuse that, the accounts cannot be listed, or
/// the ledger cannot be written. Nothing is lost then: call it again.
pub async fn migrate(options: &Options, client: &StackAuth, say: Say<'_>) -> Result<Migrated> {
    let stopwatch = Stopwatch::start();
    let plan = options.plan()?;
    plan.report.lines().into_iter().for_each(say);
    if options.collisions == Collisions::Refuse && !options.is_dry_run {
        refuse_collisions(&plan)?;
    }
    let service = Service::new(options, client, say);
    let mut migrated = match options.is_dry_run {
        true => preview(options, &plan, &service).await?,
        false => make_all(options, &plan, &service, say).await?,
    };
    migrated.duration_ms = u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(migrated)
}

fn refuse_collisions(plan: &Plan) -> Result<()> {
    if plan.collisions.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = plan.collisions.iter().take(5).map(result::collision).collect();
    bail!(
        "{} e-mail addresses are shared by several users once they are trimmed and lower-cased, and the service keeps each \
         once; nothing was made: {}; change the others' addresses in the source and export again, or let the first keep it",
        plan.collisions.len(),
        shown.join("; ")
    )
}

/// What would be done, from reading alone.
async fn preview(options: &Options, plan: &Plan, service: &Service<'_>) -> Result<Migrated> {
    let standings = Standings::read(&options.directory)?.unwrap_or_default();
    standings.expect_service(&service.fingerprint(), &options.directory)?;
    let accounts = service.accounts().await?;
    let mut migrated = Migrated::of(options, plan);
    for person in &plan.people {
        let outcome = make::foreseen(options, plan, person, &accounts, &standings);
        migrated.count(person, &outcome);
    }
    Ok(migrated)
}

async fn make_all(options: &Options, plan: &Plan, service: &Service<'_>, say: Say<'_>) -> Result<Migrated> {
    let ledger = Ledger::open(&options.directory, &service.fingerprint())?;
    let before = service.accounts().await?;
    say(format!("{} found, {} to have one", counted(before.len(), "account"), counted(plan.people.len(), "user")));
    let maker = Maker::new(options, plan, service, &ledger, &before, say);
    let make = &maker;
    let mut making = stream::iter(&plan.people)
        .map(|person| async move { (person, make.one(person).await) })
        .buffer_unordered(options.concurrency.max(1));
    let mut outcomes = std::collections::HashMap::new();
    while let Some((person, outcome)) = making.next().await {
        outcomes.insert(person.legacy_id.as_str(), outcome?);
    }
    drop(making);
    // What was there before is proven by the first list; everything else by a second one.
    let is_proven =
        |outcome: &Outcome| outcome.account().is_some_and(|id| before.has(id)) || *outcome == Outcome::NotTried;
    let has_changed = !outcomes.values().all(is_proven);
    let stopped = maker.stopped();
    let after = if has_changed { service.accounts().await? } else { before };
    let mut migrated = Migrated { stopped, ..Migrated::of(options, plan) };
    for person in &plan.people {
        let outcome = outcomes.remove(person.legacy_id.as_str()).unwrap_or(Outcome::NotTried);
        migrated.count(person, &proven(person, outcome, &after));
    }
    migrated.mapping = Some(map::write(options, plan, &ledger.standings(), &after)?);
    Ok(migrated)
}

/// What was said to be done, after the world was looked at again.
fn proven(person: &users::Person, outcome: Outcome, after: &Accounts) -> Outcome {
    let Some(id) = outcome.account() else { return outcome };
    let twins = after.of_user(&person.legacy_id);
    let is_his = matches!(outcome, Outcome::Linked(_)) || twins.iter().any(|account| account.id == id);
    if after.has(id) && !is_his {
        return Outcome::Failed(format!("the account {id} was made, but it does not name its user in server_metadata"));
    }
    if !after.has(id) {
        return Outcome::Failed(format!("the account {id} was made, but the service does not list it"));
    }
    if twins.len() > 1 {
        let ids: Vec<&str> = twins.iter().map(|account| account.id.as_str()).collect();
        return Outcome::Failed(format!(
            "there are {} accounts with this old id ({}); {id} is the mapped one, delete the others",
            ids.len(),
            ids.join(", ")
        ));
    }
    outcome
}
