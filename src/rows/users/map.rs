//! `user-mapping.json`, the seeds' shape: written after the accounts were looked at, or made anew from them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Options;
use super::accounts::{Accounts, Known};
use super::result::{self, Failed};
use super::service::Service;
use crate::adapter::clock::{self, Stopwatch};
use crate::adapter::files;
use crate::adapter::stack_auth::StackAuth;
use crate::data::mapping::{MappedUser, MappingFile};
use crate::data::plural::counted;
use crate::data::users::{Person, Plan};
use crate::rows::Say;
use crate::rows::ledger::{Standing, Standings};

/// The mapping's name in the data directory.
pub const MAPPING_FILE: &str = "user-mapping.json";

/// What a new mapping came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mapped {
    /// Users that are to be mapped.
    pub wanted: usize,
    /// Mapped by the old id that the account names.
    pub by_id: usize,
    /// Mapped by the same address: the old ids. Nothing but the address says that they are the same person.
    pub by_email: Vec<String>,
    /// Not mapped, and why.
    pub missing: Vec<Failed>,
    /// The mapping; none in a dry run.
    pub mapping: Option<PathBuf>,
    /// How long it took.
    pub duration_ms: u64,
}

impl Mapped {
    /// Whether every user is mapped.
    pub fn is_complete(&self) -> bool {
        self.mapping.is_some() && self.missing.is_empty()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mapped = self.by_id + self.by_email.len();
        let mut lines = vec![format!(
            "users: {mapped} of {} mapped ({} by their old id, {} by their address), {} missing; {}",
            self.wanted,
            self.by_id,
            self.by_email.len(),
            self.missing.len(),
            clock::spoken(Duration::from_millis(self.duration_ms)),
        )];
        lines.extend(result::shown("missing", &self.missing));
        lines.push(match &self.mapping {
            Some(path) => format!("the mapping is {}", path.display()),
            None => "nothing was written".into(),
        });
        lines.join("\n") + "\n"
    }
}

/// Makes the mapping anew from the accounts that are there: by the old id that they name, else by the same address.
/// Makes no account. A kill leaves the old file or the new one, whole.
///
/// # Errors
/// When the files cannot be read, the accounts cannot be listed, or the mapping cannot be written.
pub async fn map_users(options: &Options, client: &StackAuth, say: Say<'_>) -> Result<Mapped> {
    let stopwatch = Stopwatch::start();
    let plan = options.plan()?;
    let service = Service::new(options, client, say);
    let standings = Standings::read(&options.directory)?.unwrap_or_default();
    standings.expect_service(&service.fingerprint(), &options.directory)?;
    let accounts = service.accounts().await?;
    say(format!("{} found, {} to be mapped", counted(accounts.len(), "account"), counted(plan.people.len(), "user")));
    let mut mapped = Mapped {
        wanted: plan.people.len(),
        by_id: 0,
        by_email: Vec::new(),
        missing: Vec::new(),
        mapping: None,
        duration_ms: 0,
    };
    let mut users = Vec::new();
    for person in &plan.people {
        let standing = standings.get(&person.legacy_id);
        match partner(person, &accounts, standing) {
            Ok((known, is_by_id)) => {
                users.push(user(person, known, standing));
                match is_by_id {
                    true => mapped.by_id += 1,
                    false => mapped.by_email.push(person.legacy_id.clone()),
                }
            }
            Err(reason) => {
                mapped.missing.push(Failed { legacy_id: person.legacy_id.clone(), email: person.email.clone(), reason })
            }
        }
    }
    if !options.is_dry_run {
        mapped.mapping = Some(put(options, users)?);
    }
    mapped.duration_ms = u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(mapped)
}

/// The account of a person, and whether it names him.
fn partner<'a>(
    person: &Person,
    accounts: &'a Accounts,
    standing: Option<&Standing>,
) -> Result<(&'a Known, bool), String> {
    let written = match standing {
        Some(Standing::Account { id, .. }) => accounts.get(id),
        _ => None,
    };
    let ids = |known: &[&Known]| known.iter().map(|known| known.id.as_str()).collect::<Vec<_>>().join(", ");
    let his = accounts.of_user(&person.legacy_id);
    match (&his[..], written) {
        ([one], _) => return Ok((*one, true)),
        ([], Some(linked)) => return Ok((linked, true)),
        ([], None) => {}
        (several, Some(one)) if several.iter().any(|known| known.id == one.id) => return Ok((one, true)),
        (several, _) => return Err(format!("several accounts name this user: {}", ids(several))),
    }
    let Some(email) = &person.email else { return Err("no account names this user, and there is no address".into()) };
    let same: Vec<&Known> = accounts.with_email(email).into_iter().filter(|known| known.legacy.is_none()).collect();
    let for_sign_in: Vec<&Known> = same.iter().copied().filter(|known| known.is_for_sign_in).collect();
    match (&for_sign_in[..], &same[..]) {
        ([one], _) | ([], [one]) => Ok((*one, false)),
        ([], []) => Err("no account names this user or has this address".into()),
        _ => Err(format!("several accounts have this address: {}", ids(&same))),
    }
}

fn user(person: &Person, known: &Known, standing: Option<&Standing>) -> MappedUser {
    let written = match standing {
        Some(Standing::Account { id, at, .. }) if *id == known.id => Some(at.clone()),
        _ => None,
    };
    let signed_up = || {
        let at = jiff::Timestamp::from_millisecond(known.signed_up_at_millis? as i64).ok()?;
        Some(format!("{at:.3}"))
    };
    MappedUser {
        supabase_user_id: person.legacy_id.clone(),
        stack_auth_user_id: known.id.clone(),
        email: person.email.clone(),
        migrated_at: written.or_else(signed_up).unwrap_or_else(clock::now),
    }
}

/// Writes the mapping of everybody in the ledger whose account is there: the people of the plan in their order, then those
/// of earlier exports.
pub(super) fn write(options: &Options, plan: &Plan, standings: &Standings, accounts: &Accounts) -> Result<PathBuf> {
    let mapped = |legacy: &str, email: Option<&str>| match standings.get(legacy) {
        Some(Standing::Account { id, at, .. }) => accounts.get(id).map(|known| MappedUser {
            supabase_user_id: legacy.to_owned(),
            stack_auth_user_id: id.clone(),
            email: email.map(str::to_owned).or_else(|| known.email.clone()),
            migrated_at: at.clone(),
        }),
        _ => None,
    };
    let planned: std::collections::HashSet<&str> = plan.people.iter().map(|person| person.legacy_id.as_str()).collect();
    let mut users: Vec<MappedUser> =
        plan.people.iter().filter_map(|person| mapped(&person.legacy_id, person.email.as_deref())).collect();
    let mut earlier: Vec<&String> =
        standings.iter().map(|(legacy, _)| legacy).filter(|legacy| !planned.contains(legacy.as_str())).collect();
    earlier.sort();
    users.extend(earlier.into_iter().filter_map(|legacy| mapped(legacy, None)));
    put(options, users)
}

/// Puts the file in its place; one that says the same already stays, with its dates.
fn put(options: &Options, mappings: Vec<MappedUser>) -> Result<PathBuf> {
    let path = options.directory.join(MAPPING_FILE);
    if read(&options.directory)?.is_some_and(|file| file.mappings == mappings) {
        return Ok(path);
    }
    let generated_at = clock::now();
    let now: jiff::Timestamp = generated_at.parse().context("cannot read the time that was just written")?;
    let retain_until = now.checked_add(options.keep).context("the mapping would be kept beyond the end of time")?;
    let file = MappingFile { generated_at, retain_until: format!("{retain_until:.3}"), mappings };
    files::write_json(&path, &file, 0o600)?;
    Ok(path)
}

/// The mapping of a directory; none if there is none.
pub(super) fn read(directory: &Path) -> Result<Option<MappingFile>> {
    let path = directory.join(MAPPING_FILE);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{} is no mapping of users; move it away to make it anew", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
