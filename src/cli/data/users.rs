//! `data users` and `data map-users`.

use anyhow::Result;

use super::arguments::{MapUsers, Users};
use super::go::{go, prepare};
use crate::adapter::stack_auth::StackAuth;
use crate::cli::carry::take_lock;
use crate::cli::global::Global;
use crate::cli::setup::Setup;
use crate::cli::{exit, out};
use crate::report::SCHEMA;
use crate::rows::users::{Options, map_users as map, migrate};
use crate::run::Refusal;
use crate::run::data::{UserWishes, migrating_users, users as options};

/// Makes accounts.
///
/// # Errors
/// Refusals and faults before the run began.
pub async fn users(global: &Global, verb: &Users) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let accounts = accounts(&setup)?;
    let wishes = UserWishes { keeps_first: verb.keep_first, links_existing: verb.link_existing };
    if verb.dry_run {
        let options = Options { is_dry_run: true, ..options(&config, &wishes) };
        let seen = migrate(&options, accounts, &out::teller(global.quiet, setup.log.as_deref())?).await?;
        print(global, "users", &seen, &seen.text())?;
        return Ok(if seen.failed.is_empty() && seen.stopped.is_none() { exit::DONE } else { exit::REFUSED });
    }
    go(global, &setup, "data users", false, async || Ok(migrating_users(&config, accounts, &wishes))).await
}

/// Writes the mapping anew. It changes a file and nothing else, so it is no run; the lock is taken all the same.
///
/// # Errors
/// When the accounts cannot be listed or the file cannot be written.
pub async fn map_users(global: &Global, verb: &MapUsers) -> Result<u8> {
    let (config, setup) = prepare(global)?;
    let accounts = accounts(&setup)?;
    let options = Options { is_dry_run: verb.dry_run, ..options(&config, &UserWishes::default()) };
    let lock = if verb.dry_run { None } else { Some(take_lock(&setup.state, "data map-users")?) };
    let seen = map(&options, accounts, &out::teller(global.quiet, setup.log.as_deref())?).await?;
    drop(lock);
    print(global, "mapped", &seen, &seen.text())?;
    Ok(if seen.missing.is_empty() { exit::DONE } else { exit::REFUSED })
}

fn accounts(setup: &Setup) -> Result<&StackAuth> {
    let missing = || Refusal::Usage("[users] is missing; it says which service the accounts move to".into());
    Ok(setup.accounts.as_ref().ok_or_else(missing)?.as_ref().map_err(|why| Refusal::Usage(why.clone()))?)
}

fn print(global: &Global, key: &str, seen: &impl serde::Serialize, text: &str) -> Result<()> {
    if global.is_json() {
        out::json(serde_json::json!({ "schema": SCHEMA, key: serde_json::to_value(seen)? }));
    } else {
        out::result(text);
    }
    Ok(())
}
