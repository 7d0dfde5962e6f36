//! The way back: exactly the accounts that the ledger says we made are deleted; and how far the way there is gone.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::Options;
use super::accounts::Accounts;
use super::map::{self, MAPPING_FILE};
use super::result::{self, Failed};
use super::service::Service;
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::files;
use crate::adapter::stack_auth::StackAuth;
use crate::data::mapping::MappingFile;
use crate::data::plural::counted;
use crate::data::users::legacy_id;
use crate::rows::Say;
use crate::rows::ledger::{FILE, How, Ledger, Line, Standing, Standings};

/// What the mapping is called once its accounts are gone.
pub const UNDONE_FILE: &str = "user-mapping.undone.json";

/// What taking accounts back came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Undone {
    /// Whether nothing was written; the numbers then say what would be.
    pub is_dry_run: bool,
    /// Accounts that were deleted.
    pub deleted: usize,
    /// Accounts of ours that were gone already.
    pub gone: usize,
    /// Accounts that stay because we did not make them: found or linked.
    pub left: usize,
    /// Accounts of ours that are still there, and why.
    pub failed: Vec<Failed>,
    /// Where the mapping was put aside.
    pub mapping: Option<PathBuf>,
    /// How long it took.
    pub duration_ms: u64,
}

impl Undone {
    /// Whether nothing that we made is left, proven by a look at the service.
    pub fn is_complete(&self) -> bool {
        !self.is_dry_run && self.failed.is_empty()
    }

    /// For people.
    pub fn text(&self) -> String {
        let verb = if self.is_dry_run { "would be deleted" } else { "deleted" };
        let mut lines = vec![format!(
            "users: {} {verb}, {} gone already, {} left because not made by us, {} failed; {}",
            counted(self.deleted, "account"),
            self.gone,
            self.left,
            self.failed.len(),
            spoken(Duration::from_millis(self.duration_ms)),
        )];
        lines.extend(result::shown("failed", &self.failed));
        lines.join("\n") + "\n"
    }
}

/// What became of one account.
enum End {
    Deleted,
    Gone,
    Failed(String),
}

/// Deletes exactly the accounts that the ledger says we made, each only if it still names its user, and puts the mapping
/// aside. Accounts whose request was lost are looked for first. A second call goes on where a kill left the first one.
///
/// # Errors
/// When the ledger cannot be read or written, or the accounts cannot be listed.
pub async fn undo(options: &Options, client: &StackAuth, say: Say<'_>) -> Result<Undone> {
    let stopwatch = Stopwatch::start();
    let mut undone = Undone { is_dry_run: options.is_dry_run, ..Undone::default() };
    let service = Service::new(options, client, say);
    let Some(standings) = Standings::read(&options.directory)? else { return Ok(undone) };
    standings.expect_service(&service.fingerprint(), &options.directory)?;
    let targets = targets(options, &service, &standings, &mut undone).await?;
    if options.is_dry_run {
        undone.deleted = targets.iter().map(|target| target.accounts.len()).sum();
        return Ok(undone);
    }
    let ledger = Ledger::open(&options.directory, &service.fingerprint())?;
    say(format!("{} to be deleted", counted(targets.len(), "account")));
    let (at, book) = (&service, &ledger);
    let ends = stream::iter(&targets).map(|target| async move { (target, delete(target, at, book).await) });
    let mut ends = ends.buffer_unordered(options.concurrency.max(1));
    while let Some((target, end)) = ends.next().await {
        match end? {
            End::Deleted => undone.deleted += 1,
            End::Gone => undone.gone += 1,
            End::Failed(reason) => undone.failed.push(failed(&target.legacy, reason)),
        }
    }
    drop(ends);
    prove(&targets, &service.accounts().await?, &mut undone);
    undone.mapping = put_aside(options)?;
    undone.duration_ms = u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(undone)
}

fn failed(legacy: &str, reason: String) -> Failed {
    Failed { legacy_id: legacy.to_owned(), email: None, reason }
}

/// A user and the accounts that we made for him.
struct Target {
    legacy: String,
    accounts: Vec<String>,
}

async fn targets(
    options: &Options,
    service: &Service<'_>,
    standings: &Standings,
    undone: &mut Undone,
) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    let mut open = Vec::new();
    for (legacy, standing) in standings.iter() {
        match standing {
            Standing::Intent => open.push(legacy.clone()),
            Standing::Account { id, how: How::Created, .. } => {
                targets.push(Target { legacy: legacy.clone(), accounts: vec![id.clone()] });
            }
            Standing::Account { .. } => undone.left += 1,
        }
    }
    if !open.is_empty() {
        // What was sent last may still be at work in the service.
        tokio::time::sleep(options.settle).await;
        let accounts = service.accounts().await?;
        targets.extend(open.into_iter().map(|legacy| {
            let accounts = accounts.of_user(&legacy).into_iter().map(|known| known.id.clone()).collect();
            Target { legacy, accounts }
        }));
    }
    targets.sort_by(|left, right| left.legacy.cmp(&right.legacy));
    Ok(targets)
}

/// An error is one of the ledger's.
async fn delete(target: &Target, service: &Service<'_>, ledger: &Ledger) -> Result<End> {
    let mut has_deleted = false;
    for id in &target.accounts {
        match service.account(id).await {
            Err(error) => return Ok(End::Failed(error.to_string())),
            Ok(None) => continue,
            Ok(Some(account)) if legacy_id(&account.server_metadata).as_deref() != Some(target.legacy.as_str()) => {
                return Ok(End::Failed(format!("the account {id} does not name this user any more, so it stays")));
            }
            Ok(Some(_)) => {}
        }
        match service.delete(id).await {
            Ok(_) => has_deleted = true,
            Err(error) => return Ok(End::Failed(error.to_string())),
        }
    }
    ledger.write(Line::Deleted { legacy: target.legacy.clone() })?;
    Ok(if has_deleted { End::Deleted } else { End::Gone })
}

fn prove(targets: &[Target], after: &Accounts, undone: &mut Undone) {
    for target in targets {
        let is_failed = undone.failed.iter().any(|failed| failed.legacy_id == target.legacy);
        if let Some(id) = target.accounts.iter().find(|id| after.has(id)).filter(|_| !is_failed) {
            undone.failed.push(failed(&target.legacy, format!("the account {id} was deleted, but is still listed")));
            undone.deleted = undone.deleted.saturating_sub(1);
        }
    }
}

/// A mapping to accounts that are gone must not be imported with; support may still want it.
fn put_aside(options: &Options) -> Result<Option<PathBuf>> {
    let (from, to) = (options.directory.join(MAPPING_FILE), options.directory.join(UNDONE_FILE));
    match std::fs::rename(&from, &to) {
        Ok(()) => {
            files::sync_directory(&options.directory)
                .with_context(|| format!("cannot sync {}", options.directory.display()))?;
            Ok(Some(to))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot put {} aside", from.display())),
    }
}

/// How far the users are moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "why", rename_all = "kebab-case")]
pub enum State {
    /// Nobody has an account of ours, no request is open, and there is no mapping.
    None,
    /// Something in between, in words.
    Partial(String),
    /// Everybody has his account, and the mapping says so.
    Complete,
}

/// How far the users of a directory are moved, by a look at the service, the ledger and the mapping. Writes nothing.
///
/// # Errors
/// When a file cannot be read or the accounts cannot be listed: nothing is known then.
pub async fn state(options: &Options, client: &StackAuth, say: Say<'_>) -> Result<State> {
    let plan = options.plan()?;
    let service = Service::new(options, client, say);
    let standings = Standings::read(&options.directory)?.unwrap_or_default();
    standings.expect_service(&service.fingerprint(), &options.directory)?;
    let mapping = map::read(&options.directory)?;
    let accounts = service.accounts().await?;
    let wanted: Vec<&str> = plan
        .people
        .iter()
        .filter(|person| result::is_wanted(options, &plan, person))
        .map(|person| person.legacy_id.as_str())
        .collect();
    let mapped = |file: &MappingFile| -> std::collections::HashMap<String, String> {
        let pair = |user: &crate::data::mapping::MappedUser| {
            (user.supabase_user_id.to_lowercase(), user.stack_auth_user_id.clone())
        };
        file.mappings.iter().map(pair).collect()
    };
    let mapped = mapping.as_ref().map(mapped);
    let has_account = |legacy: &str| match standings.get(legacy) {
        Some(Standing::Account { id, how: How::Linked, .. }) => accounts.has(id),
        _ => !accounts.of_user(legacy).is_empty(),
    };
    let is_mapped = |legacy: &str| {
        let Some(id) = mapped.as_ref().and_then(|mapped| mapped.get(legacy)) else { return false };
        accounts.has(id)
    };
    let there = wanted.iter().filter(|legacy| has_account(legacy)).count();
    let known = wanted.iter().filter(|legacy| has_account(legacy) && is_mapped(legacy)).count();
    let open = standings.iter().filter(|(_, standing)| **standing == Standing::Intent).count();
    Ok(match mapping {
        None if there == 0 && open == 0 => State::None,
        Some(_) if known == wanted.len() && open == 0 => State::Complete,
        Some(_) => State::Partial(format!(
            "{there} of {} with an account, {known} of them in {MAPPING_FILE}; {} open in {FILE}",
            counted(wanted.len(), "user"),
            counted(open, "request")
        )),
        None => State::Partial(format!(
            "{there} of {} with an account, {MAPPING_FILE} is missing; {} open in {FILE}",
            counted(wanted.len(), "user"),
            counted(open, "request")
        )),
    })
}
