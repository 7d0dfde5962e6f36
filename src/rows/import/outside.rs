//! What points into tables that are to be emptied. Law: a row of another table is never left pointing to nothing; that it
//! would be is said when a run is planned, and seen again within it.

use anyhow::Result;
use tokio_postgres::Client;

use crate::data::catalog::{Table, TableName};
use crate::rows::filling::Filling;
use crate::rows::set_aside::{self, Item, Stage};

/// Why these tables cannot be emptied: another table that holds rows points to one of them.
pub(super) async fn pointing_in(session: &Client, items: &[Item], tables: &[TableName]) -> Result<Option<String>> {
    for item in items.iter().filter(|item| item.stage == Stage::ForeignKey && !tables.contains(&item.table)) {
        let query = format!("SELECT EXISTS (SELECT 1 FROM {})", item.table.sql());
        if session.query_one(&query, &[]).await?.get(0) {
            return Ok(Some(format!(
                "{} points to a table that is to be emptied, and {} holds rows: name it too",
                item.about, item.table
            )));
        }
    }
    Ok(None)
}

/// The same as a plan sees it, where the filling is to empty the tables.
pub(crate) async fn in_the_way(session: &Client, filling: &Filling, tables: &[Table]) -> Result<Option<String>> {
    if !filling.is_truncating_first {
        return Ok(None);
    }
    let names: Vec<TableName> = tables.iter().map(|table| table.name.clone()).collect();
    let items = set_aside::read(session, &names).await?;
    pointing_in(session, &items, &names).await
}
