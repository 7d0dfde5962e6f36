//! The table that the demo backend reads and writes. Law: release 1 works on the schema of release 2 as well.

use anyhow::Result;
use serde_json::{Value, json};
use tokio_postgres::{Client, Row};

/// How many rows there are, and from release 2 on how many carry a note.
///
/// # Errors
/// The database refused, for instance because the schema is older than this release.
pub async fn count(client: &Client, release: u32) -> Result<Value> {
    let rows: i64 = client.query_one("SELECT count(*) FROM items", &[]).await?.get(0);
    if release < 2 {
        return Ok(json!({ "rows": rows }));
    }
    let question = "SELECT count(*) FROM items WHERE note <> ''";
    let noted: i64 = client.query_one(question, &[]).await?.get(0);
    Ok(json!({ "rows": rows, "noted": noted }))
}

/// The newest hundred rows, newest first.
///
/// # Errors
/// As for [`count`].
pub async fn list(client: &Client, release: u32) -> Result<Value> {
    let columns = columns(release);
    let question = format!("SELECT {columns} FROM items ORDER BY id DESC LIMIT 100");
    let rows = client.query(&question, &[]).await?;
    Ok(rows.iter().map(|row| shown(row, release)).collect())
}

/// Writes one row and returns it as it now stands.
///
/// # Errors
/// As for [`count`].
pub async fn add(client: &Client, release: u32, name: &str, note: &str) -> Result<Value> {
    let columns = columns(release);
    let row = if release < 2 {
        let act = format!("INSERT INTO items (name) VALUES ($1) RETURNING {columns}");
        client.query_one(&act, &[&name]).await?
    } else {
        let act = format!("INSERT INTO items (name, note) VALUES ($1, $2) RETURNING {columns}");
        client.query_one(&act, &[&name, &note]).await?
    };
    Ok(shown(&row, release))
}

fn columns(release: u32) -> &'static str {
    if release < 2 { "id, name, created_at::text" } else { "id, name, created_at::text, note" }
}

fn shown(row: &Row, release: u32) -> Value {
    let mut item = json!({
        "id": row.get::<_, i64>(0),
        "name": row.get::<_, String>(1),
        "created_at": row.get::<_, String>(2),
    });
    if release >= 2 {
        item["note"] = row.get::<_, String>(3).into();
    }
    item
}
