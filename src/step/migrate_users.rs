//! Migrate users: every user of the source gets one account in the new service, and the mapping of ids is written.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Say, Undone, World};
use crate::adapter::stack_auth::StackAuth;
use crate::rows::users::{self, Options, State};

/// The step.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct MigrateUsers {
    /// The service and its project, as a fingerprint: another project is another world.
    pub service: String,
    /// How.
    pub options: Options,
}

impl MigrateUsers {
    fn mine<'a>(&self, accounts: &'a StackAuth) -> Result<&'a StackAuth> {
        if accounts.fingerprint() == self.service {
            return Ok(accounts);
        }
        bail!("[users] names another service or project than the run was planned for; set it as it was")
    }

    /// Looks at the accounts, the ledger and the mapping.
    ///
    /// # Errors
    /// When the service cannot be asked or a file cannot be read.
    pub async fn check(&self, accounts: &StackAuth) -> Result<World> {
        let directory = self.options.directory.display();
        Ok(match users::state(&self.options, self.mine(accounts)?, &|_| ()).await? {
            State::None => World::Before(format!("none of the users in {directory} has an account")),
            State::Partial(why) => World::Between(why),
            State::Complete => World::After(format!("every user in {directory} has an account and is mapped")),
        })
    }

    /// Makes what is missing.
    ///
    /// # Errors
    /// When a user did not get an account; calling it again goes on with him.
    pub async fn run(&self, accounts: &StackAuth, say: Say<'_>) -> Result<Value> {
        let migrated = users::migrate(&self.options, self.mine(accounts)?, say).await?;
        if !migrated.is_complete() {
            bail!("{}", migrated.text());
        }
        say(migrated.text());
        serde_json::to_value(migrated).context("cannot put what was done into JSON")
    }

    /// Deletes the accounts that the ledger says were made by us.
    ///
    /// # Errors
    /// When one could not be deleted; calling it again goes on.
    pub async fn undo(&self, accounts: &StackAuth, say: Say<'_>) -> Result<Undone> {
        let undone = users::undo(&self.options, self.mine(accounts)?, say).await?;
        if !undone.is_complete() {
            bail!("{}", undone.text());
        }
        say(undone.text());
        Ok(Undone::Back)
    }
}
