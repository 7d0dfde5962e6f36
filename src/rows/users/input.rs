//! The files of users in the data directory: the rows of the users' table, and beside them passwords and identities.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::data::users::Beside;

/// The rows of the users' table, without password hashes.
pub const USERS_FILE: &str = "auth_users.json";
/// Password hashes: rows with `id` and `encrypted_password`. May be missing.
pub const SECRETS_FILE: &str = "auth_secrets.json";
/// Rows of `auth.identities`. May be missing.
pub const IDENTITIES_FILE: &str = "auth_identities.json";

/// What the files hold.
pub(super) struct Input {
    pub(super) rows: Vec<Map<String, Value>>,
    pub(super) beside: Beside,
}

pub(super) fn read(directory: &Path) -> Result<Input> {
    let Some(rows) = rows(directory, USERS_FILE)? else {
        bail!("{} is missing; `cutover data export` writes it", directory.join(USERS_FILE).display());
    };
    let mut beside = Beside::default();
    beside.add_secrets(self::rows(directory, SECRETS_FILE)?.unwrap_or_default());
    beside.add_identities(self::rows(directory, IDENTITIES_FILE)?.unwrap_or_default());
    Ok(Input { rows, beside })
}

/// The objects of a file; none if it is missing. An error never repeats what the file holds.
fn rows(directory: &Path, name: &str) -> Result<Option<Vec<Map<String, Value>>>> {
    let path = directory.join(name);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| anyhow::anyhow!("{}:{}:{}: not JSON", path.display(), error.line(), error.column()))?;
    let list = match value {
        Value::Array(list) => list,
        // The admin API's own answer, which some tools save as it is.
        Value::Object(mut object) => match object.remove("users") {
            Some(Value::Array(list)) => list,
            _ => bail!("{} holds no list of rows", path.display()),
        },
        _ => bail!("{} holds no list of rows", path.display()),
    };
    let objects = list.into_iter().enumerate().map(|(index, row)| match row {
        Value::Object(row) => Ok(row),
        _ => bail!("row {} of {} is no object", index + 1, path.display()),
    });
    objects.collect::<Result<Vec<_>>>().map(Some)
}
