//! Foreign keys and triggers out of the way, for one transaction: dropped and made again as they were, checked again by the
//! server. Needs to own the tables and nothing more. Law: what was off stays off, what was on is on when it ends.

use anyhow::{Context, Result};
use tokio_postgres::Client;

use crate::data::catalog::{TableName, quoted};

/// What has to come back.
pub(super) struct Quiet {
    keys: Vec<(String, String, String)>,
    triggers: Vec<(String, String, i8)>,
}

/// Foreign keys of these tables and to them; those that partitions have from their parents come back with them.
const KEYS: &str = "SELECT k.conrelid::pg_catalog.regclass::text, k.conname::text, pg_catalog.pg_get_constraintdef(k.oid) \
    FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 \
    AND (k.conrelid = ANY ($1::pg_catalog.text[]::pg_catalog.regclass[]) \
      OR k.confrelid = ANY ($1::pg_catalog.text[]::pg_catalog.regclass[])) ORDER BY 1, 2";

/// The application's triggers (and those of a freeze) of these tables and their partitions that are on.
const TRIGGERS: &str = "SELECT t.tgrelid::pg_catalog.regclass::text, t.tgname::text, t.tgenabled \
    FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgrelid IN \
    (SELECT r.oid FROM pg_catalog.unnest($1::pg_catalog.text[]::pg_catalog.regclass[]) AS r (oid) \
     UNION SELECT p.relid FROM pg_catalog.unnest($1::pg_catalog.text[]::pg_catalog.regclass[]) AS r (oid), \
     pg_catalog.pg_partition_tree(r.oid) p) ORDER BY 1, 2";

/// Takes them out of the way, within the transaction that stands; others wait for the tables until it ends.
pub(super) async fn begin(session: &Client, tables: &[&TableName]) -> Result<Quiet> {
    let names: Vec<String> = tables.iter().map(|table| table.sql()).collect();
    if names.is_empty() {
        return Ok(Quiet { keys: Vec::new(), triggers: Vec::new() });
    }
    let locked = format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", names.join(", "));
    session
        .batch_execute(&locked)
        .await
        .context("cannot lock the source's tables: somebody else is at work on them")?;
    let mut quiet = Quiet { keys: Vec::new(), triggers: Vec::new() };
    for row in session.query(KEYS, &[&names]).await? {
        quiet.keys.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    for row in session.query(TRIGGERS, &[&names]).await? {
        quiet.triggers.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    }
    let mut statements = Vec::new();
    for (table, name, _) in &quiet.keys {
        statements.push(format!("ALTER TABLE {table} DROP CONSTRAINT {}", quoted(name)));
    }
    for (table, name, _) in &quiet.triggers {
        statements.push(format!("ALTER TABLE {table} DISABLE TRIGGER {}", quoted(name)));
    }
    run(session, &statements).await.context("cannot quiet foreign keys and triggers of the source; own its tables")?;
    Ok(quiet)
}

impl Quiet {
    /// Puts everything back. A foreign key is checked by the server against every row.
    pub(super) async fn end(&self, session: &Client) -> Result<()> {
        let mut statements = Vec::new();
        for (table, name, definition) in &self.keys {
            statements.push(format!("ALTER TABLE {table} ADD CONSTRAINT {} {definition}", quoted(name)));
        }
        for (table, name, enabled) in &self.triggers {
            let how = match u8::try_from(*enabled) {
                Ok(b'A') => "ENABLE ALWAYS",
                Ok(b'R') => "ENABLE REPLICA",
                _ => "ENABLE",
            };
            statements.push(format!("ALTER TABLE {table} {how} TRIGGER {}", quoted(name)));
        }
        run(session, &statements).await.context("the changes do not fit the source's foreign keys")
    }
}

async fn run(session: &Client, statements: &[String]) -> Result<()> {
    for statement in statements {
        session.batch_execute(statement).await.with_context(|| format!("refused: {statement}"))?;
    }
    Ok(())
}
