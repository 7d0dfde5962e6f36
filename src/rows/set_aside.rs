//! What slows a load is set aside and put back exactly: indexes, keys, foreign keys, triggers, forced row security.
//!
//! Law: the record of a thing and its removal commit together, and so do its return and the end of its record. Whatever
//! kills the program, what is written in `_cutover.set_aside` is what is missing, no more and no less.

mod indexes;
mod others;

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Transaction};

use crate::adapter::files;
use crate::data::catalog::TableName;

/// When a thing comes back. The order is that of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Indexes of one table, side by side, once its rows are there.
    Index,
    /// What makes keys of indexes, joins those of partitions, and marks them: short, one after the other per table.
    Finish,
    /// Foreign keys, not yet validated: short, one after the other, once every table is finished.
    ForeignKey,
    /// Their validation: side by side, one after the other per table.
    Validate,
    /// Triggers and row security, last of all.
    Quiet,
}

/// A thing that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// When it comes back.
    pub stage: Stage,
    /// The table that it belongs to; for a partition's thing, the table that is partitioned.
    pub table: TableName,
    /// What it is, in words: `index readings_unit_ts of readings`.
    pub about: String,
    /// The statement that removes it; none where another one's removal takes it away as well.
    pub drop: Option<String>,
    /// The statements that bring it back.
    pub make: Vec<String>,
    /// A query for the first rows that stand in the way of its return, as one text each.
    pub offenders: Option<String>,
}

/// A thing with the number of its record.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The number.
    pub number: i32,
    /// The thing.
    pub item: Item,
}

/// A relation that takes rows: a table, or a partition of one.
#[derive(Clone, Debug)]
struct Relation {
    name: TableName,
    /// The table whose rows it holds.
    root: TableName,
}

/// Every relation under the tables, by their identifiers; `0` stands for the name.
const RELATIONS: &str = "WITH RECURSIVE tree AS ( \
      SELECT c.oid, s.nspname AS root_schema, c.relname AS root_name FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
        JOIN unnest($1::text[], $2::text[]) n(schema, name) ON n.schema = s.nspname AND n.name = c.relname \
       WHERE c.relkind IN ('r', 'p') \
      UNION ALL \
      SELECT i.inhrelid, tree.root_schema, tree.root_name FROM tree \
        JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid \
        JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relispartition) \
    SELECT c.oid, s.nspname, c.relname, root_schema, root_name, \
           pg_catalog.pg_has_role(c.relowner, 'USAGE') \
      FROM tree JOIN pg_catalog.pg_class c USING (oid) JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
     ORDER BY c.oid";

/// Reads what is to be set aside for a load of these tables.
///
/// # Errors
/// When a table is not there, or does not belong to this role (only an owner may set things aside).
pub async fn read(session: &Client, tables: &[TableName]) -> Result<Vec<Item>> {
    let relations = relations(session, tables).await?;
    let oids: Vec<u32> = relations.keys().copied().collect();
    let mut items = others::foreign_keys(session, &relations, &oids).await?;
    let gone: Vec<u32> = items.iter().map(|(oid, _)| *oid).collect();
    items.extend(indexes::read(session, &relations, &oids, &gone).await?.into_iter().map(|item| (0, item)));
    items.extend(others::triggers(session, &relations, &oids).await?.into_iter().map(|item| (0, item)));
    items.extend(others::row_security(session, &relations, &oids).await?.into_iter().map(|item| (0, item)));
    let mut items: Vec<Item> = items.into_iter().map(|(_, item)| item).collect();
    items.sort_by_key(|item| item.stage);
    Ok(items)
}

async fn relations(session: &Client, tables: &[TableName]) -> Result<HashMap<u32, Relation>> {
    let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let rows = session.query(RELATIONS, &[&schemas, &names]).await.context("cannot read the tables of the target")?;
    let mut relations = HashMap::new();
    let mut foreign = Vec::new();
    for row in rows {
        let name = TableName::new(row.get::<_, String>(1), row.get::<_, String>(2));
        if !row.get::<_, bool>(5) {
            foreign.push(name.to_string());
        }
        let root = TableName::new(row.get::<_, String>(3), row.get::<_, String>(4));
        relations.insert(row.get(0), Relation { name, root });
    }
    if let Some(missing) = tables.iter().find(|table| !relations.values().any(|relation| &relation.name == *table)) {
        bail!("the target has no table {missing}; create its schema first");
    }
    if !foreign.is_empty() {
        let names = foreign.join(", ");
        bail!("the target's role does not own {names}: connect as the owner, or make it a member of the owning role");
    }
    Ok(relations)
}

/// Writes the record of these things to `file` (fsynced, before anything is gone) and into `_cutover.set_aside`, and
/// removes them, all in the transaction that it is handed.
///
/// # Errors
/// When the file cannot be written, or a thing cannot be removed.
pub async fn take_down(transaction: &Transaction<'_>, items: &[Item], file: &Path) -> Result<()> {
    files::write_json(file, &items, 0o600)?;
    let query = "SELECT coalesce(pg_catalog.max(number), 0) FROM _cutover.set_aside";
    let last: i32 = transaction.query_one(query, &[]).await.context("cannot record what is set aside")?.get(0);
    for (number, item) in (last + 1..).zip(items) {
        let text = serde_json::to_string(item)?;
        let insert = "INSERT INTO _cutover.set_aside (number, item) VALUES ($1, $2)";
        transaction.execute(insert, &[&number, &text]).await.context("cannot record what is set aside")?;
    }
    let is_key = |item: &&Item| item.stage == Stage::ForeignKey;
    // A key goes before the index that it stands on.
    let order = items.iter().filter(is_key).chain(items.iter().filter(|item| !is_key(item)));
    for (item, statement) in order.filter_map(|item| Some((item, item.drop.as_ref()?))) {
        transaction.batch_execute(statement).await.with_context(|| format!("cannot set aside the {}", item.about))?;
    }
    Ok(())
}

/// What is still set aside, in the order in which it comes back.
///
/// # Errors
/// When the record cannot be read.
pub async fn recorded(session: &Client) -> Result<Vec<Recorded>> {
    let query = "SELECT number, item FROM _cutover.set_aside ORDER BY number";
    let rows = session.query(query, &[]).await.context("cannot read the record of what is set aside")?;
    let of = |row: &tokio_postgres::Row| -> Result<Recorded> {
        let item = serde_json::from_str(row.get(1)).context("the record of what is set aside cannot be read")?;
        Ok(Recorded { number: row.get(0), item })
    };
    let mut recorded = rows.iter().map(of).collect::<Result<Vec<_>>>()?;
    recorded.sort_by_key(|recorded| (recorded.item.stage, recorded.number));
    Ok(recorded)
}

/// Brings one thing back, and ends its record with it.
///
/// # Errors
/// When the rows do not allow it (with the constraint's name and the first rows in its way), or the server refuses.
pub async fn put_back(session: &mut Client, recorded: &Recorded) -> Result<()> {
    let item = &recorded.item;
    match made(session, recorded).await {
        Ok(()) => Ok(()),
        Err(error) => {
            let refused = error.as_db_error().is_some_and(|error| error.code().code().starts_with("23"));
            let rows = if refused { offenders(session, item).await } else { None };
            let error = anyhow::Error::new(error);
            Err(match rows {
                Some(rows) => error.context(format!("cannot put back the {}: {rows}", item.about)),
                None => error.context(format!("cannot put back the {}", item.about)),
            })
        }
    }
}

async fn made(session: &mut Client, recorded: &Recorded) -> Result<(), tokio_postgres::Error> {
    let transaction = session.transaction().await?;
    for statement in &recorded.item.make {
        transaction.batch_execute(statement).await?;
    }
    transaction.execute("DELETE FROM _cutover.set_aside WHERE number = $1", &[&recorded.number]).await?;
    transaction.commit().await
}

/// The first rows in the way, in words; what cannot be asked (an operator outside the search path) is said as well.
async fn offenders(session: &Client, item: &Item) -> Option<String> {
    let query = item.offenders.as_ref()?;
    match session.query(query, &[]).await {
        Ok(rows) if rows.is_empty() => None,
        Ok(rows) => {
            let rows: Vec<String> = rows.iter().map(|row| shortened(row.get::<_, &str>(0))).collect();
            Some(format!("rows in its way, the first ones: {}", rows.join("; ")))
        }
        Err(error) => Some(format!("which rows are in its way could not be asked ({error})")),
    }
}

/// A value as it stands in a message: not longer than a line.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let begin: String = text.chars().take(LONGEST).collect();
    format!("{begin}… ({} bytes)", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shortened_at_a_character() {
        assert_eq!(shortened("kurz"), "kurz");
        let long = shortened(&"ü".repeat(100));
        assert!(long.starts_with(&"ü".repeat(80)) && long.ends_with("… (200 bytes)"), "{long}");
    }

    #[test]
    fn things_come_back_in_the_order_of_their_stages() {
        let mut stages = [Stage::Quiet, Stage::Validate, Stage::Index, Stage::ForeignKey, Stage::Finish];
        stages.sort();
        assert_eq!(stages, [Stage::Index, Stage::Finish, Stage::ForeignKey, Stage::Validate, Stage::Quiet]);
    }
}
