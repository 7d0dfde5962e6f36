//! How a user signs in from now on: by the links and the password that can be carried over, else by an e-mailed code.

use serde_json::{Map, Value, json};

use super::report::Notes;
use super::row::Row;
use super::{Beside, Body, Hash, Kind, Rules, named};

/// Links to providers that are set up; the first of each provider, because the service keeps one.
pub(super) fn links(id: &str, row: Row<'_>, beside: &Beside, rules: &Rules, notes: &mut Notes) -> Vec<Value> {
    let mut links: Vec<Value> = Vec::new();
    let mut taken: Vec<String> = Vec::new();
    for identity in &identities(id, row, beside) {
        let identity = Row(identity);
        let provider = identity.text("provider").unwrap_or_default();
        if provider.is_empty() || provider == "email" || provider == "phone" || provider.starts_with("sso:") {
            continue;
        }
        let data = identity.json("identity_data");
        let said = |key: &str| data.as_ref()?.get(key)?.as_str().map(str::to_owned);
        // Before 2023 the provider's own id stood in the column `id`.
        let account = identity.text("provider_id").or_else(|| said("sub")).or_else(|| identity.text("id"));
        let Some(account) = account else {
            notes.add(Kind::NoProvider, format!("{id} ({provider}, without its id)"));
            continue;
        };
        if !rules.oauth.contains(&provider) {
            notes.add(Kind::NoProvider, format!("{id} ({provider})"));
        } else if taken.contains(&provider) {
            notes.add(Kind::SecondLink, format!("{id} ({provider})"));
        } else {
            let email = said("email").or_else(|| identity.text("email"));
            links.push(json!({ "id": provider, "account_id": account, "email": email }));
            taken.push(provider);
        }
    }
    links
}

/// The identities beside the table, and those that other tools put into the user's row.
fn identities(id: &str, row: Row<'_>, beside: &Beside) -> Vec<Map<String, Value>> {
    let mut all = beside.identities.get(id).cloned().unwrap_or_default();
    if let Some(Value::Array(inside)) = row.json("identities") {
        all.extend(inside.into_iter().filter_map(|identity| match identity {
            Value::Object(identity) => Some(identity),
            _ => None,
        }));
    }
    all
}

/// The password, or the way in without one.
pub(super) fn way_in(
    id: &str,
    row: Row<'_>,
    beside: &Beside,
    rules: &Rules,
    (email, is_verified, has_links): (Option<&str>, bool, bool),
    body: &mut Body,
    notes: &mut Notes,
) {
    let hash = beside.hashes.get(id).cloned().or_else(|| row.text("encrypted_password").map(Hash::new));
    let hash = hash.filter(|hash| !hash.is_empty());
    let Some(email) = email else {
        if hash.is_some() {
            notes.add(Kind::UnusablePassword, id.to_owned());
        }
        return;
    };
    let named = named(id, Some(email));
    match hash {
        Some(hash) if !rules.has_passwords => {
            drop(hash);
            notes.add(Kind::PasswordsOff, named.clone());
        }
        Some(hash) => match hash.fault() {
            None => {
                body.set_hash(hash);
                return;
            }
            Some(fault) => notes.add(Kind::OddHash, format!("{named}: {fault}")),
        },
        None => {}
    }
    // Who came only by a provider still comes by it, and gets no other way in.
    let came_by_email = providers(id, row, beside).iter().any(|provider| provider == "email");
    if has_links && !came_by_email {
        return;
    }
    body.set("otp_auth_enabled", json!(true));
    notes.add(Kind::NoPassword, named.clone());
    if !is_verified {
        notes.add(Kind::UnverifiedCode, named);
    }
}

pub(super) fn providers(id: &str, row: Row<'_>, beside: &Beside) -> Vec<String> {
    let mut names: Vec<String> =
        identities(id, row, beside).iter().filter_map(|identity| Row(identity).text("provider")).collect();
    if let Some(Value::Object(said)) = row.json("raw_app_meta_data") {
        let listed = said.get("providers").and_then(Value::as_array).into_iter().flatten();
        let listed = listed.chain(said.get("provider")).filter_map(Value::as_str).map(str::to_owned);
        names.extend(listed);
    }
    names.sort();
    names.dedup();
    names
}
