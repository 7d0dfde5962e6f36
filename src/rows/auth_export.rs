//! The users of the source: their rows without passwords, their passwords in a file of their own, their identities.
//!
//! Law: a password hash stands in [`SECRETS_FILE`] alone; one-time tokens are exported nowhere.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use futures_util::StreamExt;

use super::export::{Output, Users};
use crate::adapter::database::Session;
use crate::adapter::files;
use crate::data::catalog::{Column, Table, literal, quoted};
use crate::data::copy_text::Rows;
use crate::data::json_rows::{BETWEEN, CLOSING, EMPTY, Encoder, OPENING};
use crate::data::metadata::UsersMetadata;

use super::users::{IDENTITIES_FILE, SECRETS_FILE, USERS_FILE};

/// The files that may be written.
pub const FILES: [&str; 3] = [USERS_FILE, SECRETS_FILE, IDENTITIES_FILE];
/// Columns that hold a password hash, the likeliest first.
const PASSWORDS: [&str; 4] = ["encrypted_password", "password_hash", "hashed_password", "password"];
/// From this size on rows are written.
const BLOCK: usize = 256 << 10;

/// Writes the users' files in the snapshot of this session. Each is whole when it gets its name.
pub(super) async fn write(session: &Session, users: &Users, directory: &Path) -> Result<UsersMetadata> {
    let table = &users.table;
    let password = PASSWORDS.iter().find_map(|name| table.moved().find(|column| column.name == *name));
    let shown: Vec<&Column> = table.columns.iter().filter(|column| !is_secret(column)).collect();
    let (row_count, sha256) =
        one(session, &select(table, &shown, ""), &names(&shown), &directory.join(USERS_FILE)).await?;
    let id = table.columns.iter().find(|column| column.name == "id");
    let mut secrets_file = None;
    if let (Some(id), Some(password)) = (id, password) {
        let name = quoted(&password.name);
        let statement =
            select(table, &[id, password], &format!(" WHERE {name} IS NOT NULL AND {name}::text <> {}", literal("")));
        one(session, &statement, &["id", "encrypted_password"], &directory.join(SECRETS_FILE)).await?;
        secrets_file = Some(SECRETS_FILE.to_owned());
    }
    if let Some(identities) = &users.identities {
        let columns: Vec<&Column> = identities.columns.iter().collect();
        let statement = select(identities, &columns, "");
        one(session, &statement, &names(&columns), &directory.join(IDENTITIES_FILE)).await?;
    }
    Ok(UsersMetadata { table: table.name.clone(), file: USERS_FILE.into(), row_count, sha256, secrets_file })
}

/// Password hashes, and tokens that let whoever knows them in.
fn is_secret(column: &Column) -> bool {
    PASSWORDS.contains(&column.name.as_str()) || column.name.contains("token")
}

fn names<'a>(columns: &[&'a Column]) -> Vec<&'a str> {
    columns.iter().map(|column| column.name.as_str()).collect()
}

/// Generated columns are values like others here: nothing is put back from these files.
fn select(table: &Table, columns: &[&Column], condition: &str) -> String {
    let list: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    format!("COPY (SELECT {} FROM {}{condition}) TO STDOUT", list.join(", "), table.source())
}

async fn one(session: &Session, statement: &str, names: &[&str], path: &Path) -> Result<(u64, String)> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let aside = path.with_file_name(format!(".new-{name}"));
    let written = fill(session, statement, names, &aside).await;
    if written.is_err() {
        files::remove_if_there(&aside)?;
    }
    let written = written.with_context(|| format!("cannot write the users to {}", path.display()))?;
    std::fs::rename(&aside, path).with_context(|| format!("cannot give {} its name", path.display()))?;
    Ok(written)
}

async fn fill(session: &Session, statement: &str, names: &[&str], path: &Path) -> Result<(u64, String)> {
    let mut output = Output::create(path, false)?;
    let stream = session.copy_out(statement).await.context("cannot read the users")?;
    let mut stream = std::pin::pin!(stream);
    let encoder = Encoder::new(names.iter().copied());
    let (mut rows, mut count, mut block) = (Rows::default(), 0_u64, Vec::new());
    while let Some(part) = stream.next().await {
        rows.feed(&part.context("the source stopped in the middle of the users")?, |row| {
            block.extend_from_slice(if count == 0 { OPENING } else { BETWEEN });
            count += 1;
            encoder.row(row, &mut block).map_err(|words| anyhow!(words))
        })?;
        if block.len() > BLOCK {
            output.put(&block)?;
            block.clear();
        }
    }
    block.extend_from_slice(if count == 0 { EMPTY } else { CLOSING });
    output.put(&block)?;
    let (_, sha256) = output.finish()?;
    Ok((count, sha256))
}
