//! The accounts that the service lists, by id, by address and by the old id that they name.

use std::collections::HashMap;

use crate::adapter::stack_auth::Account;
use crate::data::users::{legacy_id, normal_email};

/// What is kept of an account: a project may have very many.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) email: Option<String>,
    pub(super) is_verified: bool,
    /// Whether the address signs in, so that nobody else can have it.
    pub(super) is_for_sign_in: bool,
    pub(super) legacy: Option<String>,
    pub(super) signed_up_at_millis: Option<f64>,
}

impl From<Account> for Known {
    fn from(account: Account) -> Self {
        Self {
            legacy: legacy_id(&account.server_metadata),
            email: account.primary_email.as_deref().map(normal_email),
            is_verified: account.primary_email_verified,
            is_for_sign_in: account.primary_email_auth_enabled,
            signed_up_at_millis: account.signed_up_at_millis,
            id: account.id,
        }
    }
}

/// All accounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    by_id: HashMap<String, Known>,
    by_legacy: HashMap<String, Vec<String>>,
    by_email: HashMap<String, Vec<String>>,
}

impl Accounts {
    pub(super) fn of(listed: Vec<Account>) -> Self {
        let mut accounts = Self::default();
        for account in listed {
            let known = Known::from(account);
            // An account that moves between two pages while they are read stands in both.
            if accounts.by_id.contains_key(&known.id) {
                continue;
            }
            if let Some(legacy) = &known.legacy {
                accounts.by_legacy.entry(legacy.clone()).or_default().push(known.id.clone());
            }
            if let Some(email) = &known.email {
                accounts.by_email.entry(email.clone()).or_default().push(known.id.clone());
            }
            accounts.by_id.insert(known.id.clone(), known);
        }
        accounts
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Known> {
        self.by_id.get(id)
    }

    /// Those with a user's old id, the first listed one first.
    pub(super) fn of_user(&self, legacy: &str) -> Vec<&Known> {
        self.all(self.by_legacy.get(legacy))
    }

    /// Those with an address.
    pub(super) fn with_email(&self, email: &str) -> Vec<&Known> {
        self.all(self.by_email.get(email))
    }

    fn all<'a>(&'a self, ids: Option<&'a Vec<String>>) -> Vec<&'a Known> {
        ids.into_iter().flatten().filter_map(|id| self.by_id.get(id)).collect()
    }
}
