//! What the target holds beside the baseline: tables and columns that were made since, or were never moved. Said and counted.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::adapter::database::Session;
use crate::data::catalog::{Catalog, Table, TableName, quoted};
use crate::data::patterns::Patterns;
use crate::data::uncompared::Uncompared;
use crate::rows::catalog;
use crate::rows::verify::tables::Both;

/// Looks at the target's tables of these patterns that are not compared, and at the columns that are not.
pub(super) async fn look(
    session: &Session,
    all: &Patterns,
    users_table: &TableName,
    both: &[Both],
) -> Result<Vec<Uncompared>> {
    let target: Catalog = catalog::read(session, all, users_table).await?;
    let mut found = Vec::new();
    for table in &target.tables {
        let Some(compared) = both.iter().find(|both| both.name == table.name) else {
            let rows = count(session, table, "").await;
            if rows != Some(0) {
                found.push(Uncompared { table: table.name.clone(), columns: Vec::new(), rows });
            }
            continue;
        };
        let known: BTreeSet<&String> = compared.target.columns.iter().collect();
        let columns: Vec<String> =
            table.moved().map(|column| column.name.clone()).filter(|name| !known.contains(name)).collect();
        if columns.is_empty() {
            continue;
        }
        let holds: Vec<String> = columns.iter().map(|name| format!("{} IS NOT NULL", quoted(name))).collect();
        let rows = count(session, table, &format!(" WHERE {}", holds.join(" OR "))).await;
        if rows != Some(0) {
            found.push(Uncompared { table: table.name.clone(), columns, rows });
        }
    }
    Ok(found)
}

/// How many rows; none where this role may not read them, which is said.
async fn count(session: &Session, table: &Table, only: &str) -> Option<u64> {
    let ask = format!("SELECT pg_catalog.count(*) FROM {}{only}", table.source());
    // In a transaction a refusal would end everything that comes after it.
    let counted = async {
        session.batch_execute("SAVEPOINT counting").await?;
        let counted = session.query_one(&ask, &[]).await.and_then(|row| row.try_get::<_, i64>(0));
        session.batch_execute("ROLLBACK TO counting").await?;
        counted
    };
    match counted.await {
        Ok(count) => u64::try_from(count).ok(),
        Err(error) => {
            tracing::warn!(%error, table = %table.name, "cannot be counted");
            None
        }
    }
}
