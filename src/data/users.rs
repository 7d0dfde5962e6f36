//! From rows of the old users' table to the accounts that are to be made, with everything that cannot be carried over
//! named before anything is made. Pure: it gets rows and rules, and sends nothing.
//!
//! A row is an object with the table's columns: each value its type's own text or null, as our export writes it, or a
//! JSON value, as other tools write it.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

mod body;
mod password;
mod report;
mod row;
mod sign_in;

pub use body::Body;
pub use password::Hash;
pub use report::{Finding, Found, Kind, Report};

use report::Notes;
use row::Row;
use sign_in::{links, providers, way_in};

/// Where in `server_metadata` everything of the old account stands.
pub const METADATA: &str = "supabase";
/// The longest display name that the service takes, in characters.
const LONGEST_NAME: usize = 256;
/// The longest picture address that is carried over, in bytes.
const LONGEST_PICTURE: usize = 2048;

/// What may be carried over.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether password hashes are.
    pub has_passwords: bool,
    /// The OAuth providers that are set up in the new service.
    pub oauth: Vec<String>,
    /// Wall time, RFC 3339: a ban that ended before it is none.
    pub now: String,
}

/// A user who gets an account.
#[derive(Clone, Debug)]
pub struct Person {
    /// The id in the source, in lower case.
    pub legacy_id: String,
    /// The address as the new service keeps it; none where there is none that it takes.
    pub email: Option<String>,
    /// Whether the address was confirmed.
    pub is_verified: bool,
    /// What is sent to make the account.
    pub body: Body,
}

/// A user who gets none.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Skipped {
    /// The id in the source; empty where the row has none.
    pub legacy_id: String,
    /// Why.
    pub reason: String,
}

/// Users who would sign in with the same address, so that only one of them can have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The address, trimmed and in lower case.
    pub email: String,
    /// The user who keeps it: confirmed before unconfirmed, no SSO before SSO, then the oldest.
    pub first: String,
    /// The others.
    pub others: Vec<String>,
}

/// Everything that is to be done, and what of it is worth knowing before.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Who gets an account, in the order of the rows; those of [`Plan::collisions`] too.
    pub people: Vec<Person>,
    /// Who gets none.
    pub skipped: Vec<Skipped>,
    /// Who shares an address.
    pub collisions: Vec<Collision>,
    /// What cannot be carried over, or is changed on the way.
    pub report: Report,
}

/// Passwords and links to providers that stand beside the users' table.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Password hash by user.
    pub hashes: HashMap<String, Hash>,
    /// Rows of `auth.identities` by user.
    pub identities: HashMap<String, Vec<Map<String, Value>>>,
}

impl Beside {
    /// Takes rows with an `id` or `user_id` and an `encrypted_password`.
    pub fn add_secrets(&mut self, rows: impl IntoIterator<Item = Map<String, Value>>) {
        for row in rows {
            let row = Row(&row);
            let id = row.text("id").or_else(|| row.text("user_id"));
            if let (Some(id), Some(hash)) = (id, row.text("encrypted_password")) {
                self.hashes.insert(id.to_lowercase(), Hash::new(hash));
            }
        }
    }

    /// Takes rows of `auth.identities`.
    pub fn add_identities(&mut self, rows: impl IntoIterator<Item = Map<String, Value>>) {
        for row in rows {
            if let Some(user) = Row(&row).text("user_id") {
                self.identities.entry(user.to_lowercase()).or_default().push(row);
            }
        }
    }
}

/// The id in the source that an account's `server_metadata` names, in lower case.
pub fn legacy_id(server_metadata: &Value) -> Option<String> {
    Some(server_metadata.get(METADATA)?.get("user_id")?.as_str()?.to_lowercase())
}

/// An address as the new service keeps it.
pub fn normal_email(address: &str) -> String {
    address.trim().to_lowercase()
}

/// Plans the accounts of `rows`.
pub fn plan(rows: &[Map<String, Value>], beside: &Beside, rules: &Rules) -> Plan {
    let mut plan = Plan::default();
    let mut notes = Notes::default();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut sharing: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    for (index, map) in rows.iter().enumerate() {
        let row = Row(map);
        let Some(id) = row.text("id").map(|id| id.trim().to_lowercase()).filter(|id| !id.is_empty()) else {
            notes.add(Kind::NoId, format!("row {}", index + 1));
            plan.skipped.push(Skipped { legacy_id: String::new(), reason: format!("row {} has no id", index + 1) });
            continue;
        };
        if let Some(first) = seen.insert(id.clone(), index + 1) {
            notes.add(Kind::RepeatedId, format!("{id} in rows {first} and {}", index + 1));
            plan.skipped.push(Skipped { legacy_id: id, reason: format!("its id stands in row {first} already") });
            continue;
        }
        if let Some(at) = row.text("deleted_at") {
            notes.add(Kind::Deleted, id.clone());
            plan.skipped.push(Skipped { legacy_id: id, reason: format!("deleted in the source at {at}") });
            continue;
        }
        let person = person(&id, row, beside, rules, &mut notes);
        if let Some(email) = &person.email {
            sharing.entry(email.clone()).or_default().push(Candidate::of(&person, row));
        }
        plan.people.push(person);
    }
    for (email, candidates) in sharing {
        if let Some(collision) = collision(email, candidates) {
            let others = collision.others.join(", ");
            notes.add(Kind::SameEmail, format!("{}: {} and {others}", collision.email, collision.first));
            plan.collisions.push(collision);
        }
    }
    plan.report = notes.report();
    plan
}

/// What decides who keeps an address.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    is_unconfirmed: bool,
    is_sso: bool,
    created_at: String,
    id: String,
}

impl Candidate {
    fn of(person: &Person, row: Row<'_>) -> Self {
        Self {
            is_unconfirmed: !person.is_verified,
            is_sso: row.is_true("is_sso_user"),
            created_at: row.text("created_at").unwrap_or_default(),
            id: person.legacy_id.clone(),
        }
    }
}

fn collision(email: String, mut candidates: Vec<Candidate>) -> Option<Collision> {
    candidates.sort();
    let mut ids = candidates.into_iter().map(|candidate| candidate.id);
    let first = ids.next()?;
    let others: Vec<String> = ids.collect();
    (!others.is_empty()).then_some(Collision { email, first, others })
}

/// One person: what is said of each part stands where the part is decided.
fn person(id: &str, row: Row<'_>, beside: &Beside, rules: &Rules, notes: &mut Notes) -> Person {
    let mut body = Body::default();
    let email = email(id, row, notes);
    let is_verified =
        email.is_some() && (row.text("email_confirmed_at").or_else(|| row.text("confirmed_at"))).is_some();
    if let Some(email) = &email {
        body.set("primary_email", json!(email));
        body.set("primary_email_verified", json!(is_verified));
        // Without it the address is not unique, and a repeated request would make a second account.
        body.set("primary_email_auth_enabled", json!(true));
    }
    let is_anonymous = row.is_true("is_anonymous");
    if is_anonymous {
        body.set("is_anonymous", json!(true));
        notes.add(Kind::Anonymous, id.to_owned());
    }
    if row.is_true("is_sso_user") {
        notes.add(Kind::Sso, named(id, email.as_deref()));
    }
    profile(id, row, &mut body, notes);
    let links = links(id, row, beside, rules, notes);
    let has_links = !links.is_empty();
    if has_links {
        body.set("oauth_providers", Value::Array(links));
    }
    way_in(id, row, beside, rules, (email.as_deref(), is_verified, has_links), &mut body, notes);
    if email.is_none() && !has_links && !is_anonymous {
        notes.add(Kind::NoWayIn, id.to_owned());
    }
    if let Some(until) = ban(row, &rules.now) {
        body.set("restricted_by_admin", json!(true));
        body.set("restricted_by_admin_reason", json!(format!("banned in the old system until {until}")));
        notes.add(Kind::Banned, named(id, email.as_deref()));
    }
    body.set("server_metadata", metadata(id, row, beside));
    Person { legacy_id: id.to_owned(), email, is_verified, body }
}

fn named(id: &str, email: Option<&str>) -> String {
    email.map_or_else(|| id.to_owned(), |email| format!("{id} ({email})"))
}

fn email(id: &str, row: Row<'_>, notes: &mut Notes) -> Option<String> {
    let Some(written) = row.text("email").filter(|email| !email.trim().is_empty()) else {
        let has_phone = row.text("phone").is_some_and(|phone| !phone.trim().is_empty());
        notes.add(if has_phone { Kind::PhoneOnly } else { Kind::NoEmail }, id.to_owned());
        return None;
    };
    let email = normal_email(&written);
    if !row::is_email(&email) {
        notes.add(Kind::OddEmail, format!("{id} ({written:?})"));
        return None;
    }
    if email != written {
        notes.add(Kind::ChangedEmail, format!("{id} ({written:?})"));
    }
    Some(email)
}

fn profile(id: &str, row: Row<'_>, body: &mut Body, notes: &mut Notes) {
    let Some(Value::Object(said)) = row.json("raw_user_meta_data") else { return };
    let said = Row(&said);
    let first = |keys: &[&str]| {
        keys.iter().filter_map(|key| said.text(key)).map(|text| text.trim().to_owned()).find(|text| !text.is_empty())
    };
    if let Some(name) = first(&["full_name", "name", "display_name"]) {
        // The service counts UTF-16 units, as its language does.
        let mut length = 0;
        let fits = |sign: &char| {
            length += sign.len_utf16();
            length <= LONGEST_NAME
        };
        let cut: String = name.chars().take_while(fits).collect();
        if cut != name {
            notes.add(Kind::CutName, id.to_owned());
        }
        body.set("display_name", json!(cut));
    }
    if let Some(picture) = first(&["avatar_url", "picture"]) {
        if row::is_https(&picture) && picture.len() <= LONGEST_PICTURE {
            body.set("profile_image_url", json!(picture));
        } else {
            notes.add(Kind::NoPicture, id.to_owned());
        }
    }
}

/// Until when a user is banned; none if he is not any more.
fn ban(row: Row<'_>, now: &str) -> Option<String> {
    let until = row.text("banned_until")?;
    let parse = |text: &str| text.parse::<jiff::Timestamp>().ok();
    match (parse(&until), parse(now)) {
        (Some(end), Some(now)) if end <= now => None,
        // `infinity`, and whatever else is no time: who was shut out is not let in by a guess.
        _ => Some(until),
    }
}

/// What the service has no field for; `signedUpAt` cannot be set there.
fn metadata(id: &str, row: Row<'_>, beside: &Beside) -> Value {
    let mut old = Map::new();
    old.insert("user_id".into(), json!(id));
    for column in ["email", "phone", "created_at", "last_sign_in_at", "email_confirmed_at", "phone_confirmed_at"] {
        if let Some(text) = row.text(column).filter(|text| !text.is_empty()) {
            old.insert(column.into(), json!(text));
        }
    }
    let providers = providers(id, row, beside);
    if !providers.is_empty() {
        old.insert("providers".into(), json!(providers));
    }
    for (key, column) in [("app_metadata", "raw_app_meta_data"), ("user_metadata", "raw_user_meta_data")] {
        if let Some(value) = row.json(column).filter(|value| !value.is_null()) {
            old.insert(key.into(), value);
        }
    }
    json!({ METADATA: old })
}

#[cfg(test)]
mod tests;
