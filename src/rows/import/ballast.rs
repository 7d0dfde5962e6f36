//! Room for the way back: a target whose disk became full cannot even empty a table, for that makes new files.
//!
//! Law: each place on a disk that an import writes to holds a little that is let go before anything is taken back.

use anyhow::{Context, Result};
use tokio_postgres::{Client, Transaction};

use crate::data::catalog::{TableName, quoted};

/// KiB in each place, and as much again for each table: an emptied table takes a page for each of its indexes.
const KIB: usize = 512;
const KIB_OF_TABLE: usize = 64;

/// The tablespaces of the tables, their partitions and indexes; an empty name is the database's own.
const PLACES: &str = "WITH named AS (SELECT c.oid FROM pg_catalog.pg_class c, pg_catalog.unnest($1::text[]) AS name \
      WHERE c.oid = name::regclass), \
    parts AS (SELECT oid FROM named UNION SELECT t.relid FROM named, pg_catalog.pg_partition_tree(named.oid) t), \
    all_of AS (SELECT oid FROM parts UNION SELECT i.indexrelid FROM pg_catalog.pg_index i JOIN parts ON i.indrelid = parts.oid) \
    SELECT DISTINCT coalesce(s.spcname::text, '') FROM all_of JOIN pg_catalog.pg_class c ON c.oid = all_of.oid \
      LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace \
      WHERE s.oid IS NULL OR pg_catalog.has_tablespace_privilege(s.oid, 'CREATE') \
    UNION SELECT ''";
const STANDING: &str = "SELECT c.relname::text FROM pg_catalog.pg_class c \
    WHERE c.relnamespace = pg_catalog.to_regnamespace('_cutover') AND c.relname LIKE 'ballast%' AND c.relkind = 'r'";

/// Takes it on board, with the record of the import.
pub(super) async fn take(transaction: &Transaction<'_>, tables: &[TableName]) -> Result<()> {
    let names: Vec<String> = tables.iter().map(TableName::sql).collect();
    let places = transaction.query(PLACES, &[&names]).await.context("cannot see where the target's tables are kept")?;
    for (number, place) in places.iter().enumerate() {
        let place: &str = place.get(0);
        let at = if place.is_empty() { String::new() } else { format!("TABLESPACE {}", quoted(place)) };
        // A row is a little less than a kilobyte, and is not compressed at that size.
        let rows = KIB + KIB_OF_TABLE * tables.len();
        let make = format!(
            "CREATE TABLE _cutover.ballast_{number} (filling text) {at}; \
             INSERT INTO _cutover.ballast_{number} SELECT pg_catalog.repeat(pg_catalog.md5(n::text), 30) \
             FROM pg_catalog.generate_series(1, {rows}) n"
        );
        transaction.batch_execute(&make).await.context("the target has no room for an import")?;
    }
    Ok(())
}

/// Lets it go.
pub(super) async fn drop(session: &Client) -> Result<()> {
    let standing = session.query(STANDING, &[]).await.context("cannot look for the room for the way back")?;
    for row in &standing {
        let name = quoted(row.get(0));
        session
            .batch_execute(&format!("DROP TABLE _cutover.{name}"))
            .await
            .context("cannot make room for the way back")?;
    }
    Ok(())
}
