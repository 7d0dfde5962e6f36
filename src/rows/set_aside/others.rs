//! Foreign keys, triggers and forced row security: how each is removed, and how it comes back the same.

use std::collections::HashMap;

use anyhow::{Context, Result};
use tokio_postgres::Client;

use super::{Item, Relation, Stage};
use crate::data::catalog::{TableName, literal, quoted};

/// Foreign keys from and to the tables. One of another owner's table stays, and so does what it stands on.
const FOREIGN_KEYS: &str = "SELECT k.oid, s.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid), \
      k.convalidated, c.relkind = 'p', pg_catalog.obj_description(k.oid, 'pg_constraint'), k.conrelid, k.confrelid, \
      fs.nspname, f.relname, \
      (SELECT pg_catalog.array_agg(a.attname::text ORDER BY n.at) FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY n(number, at) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n.number), \
      (SELECT pg_catalog.array_agg(a.attname::text ORDER BY n.at) FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY n(number, at) \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = n.number) \
    FROM pg_catalog.pg_constraint k \
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
    JOIN pg_catalog.pg_class f ON f.oid = k.confrelid JOIN pg_catalog.pg_namespace fs ON fs.oid = f.relnamespace \
    WHERE k.contype = 'f' AND k.conparentid = 0 AND pg_catalog.pg_has_role(c.relowner, 'USAGE') \
      AND (k.conrelid = ANY ($1::oid[]) OR k.confrelid = ANY ($1::oid[])) ORDER BY k.oid";

pub(super) async fn foreign_keys(
    session: &Client,
    relations: &HashMap<u32, Relation>,
    oids: &[u32],
) -> Result<Vec<(u32, Item)>> {
    let rows = session.query(FOREIGN_KEYS, &[&oids]).await.context("cannot read the foreign keys of the target")?;
    let mut items = Vec::new();
    for row in rows {
        let from = TableName::new(row.get::<_, String>(1), row.get::<_, String>(2));
        let to = TableName::new(row.get::<_, String>(10), row.get::<_, String>(11));
        let (name, definition): (String, String) = (row.get(3), row.get(4));
        let (table, quoted_name) = (from.sql(), quoted(&name));
        let about = format!("foreign key {name} of {from}");
        let root = relations.get(&row.get(8)).map_or_else(|| from.clone(), |relation| relation.root.clone());
        let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {quoted_name}");
        let add = format!("ALTER TABLE {table} ADD CONSTRAINT {quoted_name} {definition}");
        let comment = row.get::<_, Option<String>>(7);
        let comment =
            comment.map(|text| format!("COMMENT ON CONSTRAINT {quoted_name} ON {table} IS {}", literal(&text)));
        // A partitioned table takes no foreign key unvalidated before version 18; one that never was stays so.
        let is_late = row.get(5) && !row.get::<_, bool>(6) && !definition.contains(" NOT ENFORCED");
        let orphans = orphans(&from, &row.get::<_, Vec<String>>(12), &to, &row.get::<_, Vec<String>>(13));
        let item = |stage, drop, make, offenders| Item {
            stage,
            table: root.clone(),
            about: about.clone(),
            drop,
            make,
            offenders,
        };
        let make = std::iter::once(if is_late { format!("{add} NOT VALID") } else { add }).chain(comment).collect();
        let added_offenders = if is_late { None } else { Some(orphans.clone()) };
        items.push((row.get(0), item(Stage::ForeignKey, Some(drop), make, added_offenders)));
        if is_late {
            let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {quoted_name}");
            items.push((row.get(0), item(Stage::Validate, None, vec![validate], Some(orphans))));
        }
    }
    Ok(items)
}

/// A query for the first rows that point nowhere.
fn orphans(from: &TableName, columns: &[String], to: &TableName, to_columns: &[String]) -> String {
    let own: Vec<String> = columns.iter().map(|column| format!("f.{}", quoted(column))).collect();
    let present = own.iter().map(|column| format!("{column} IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
    let pairs = own.iter().zip(to_columns).map(|(own, other)| format!("t.{} = {own}", quoted(other)));
    let pairs = pairs.collect::<Vec<_>>().join(" AND ");
    format!(
        "SELECT pg_catalog.concat({}, ROW({})::text, {}) FROM {} f WHERE {present} AND NOT EXISTS (SELECT 1 FROM {} t WHERE {pairs}) LIMIT 3",
        literal(&format!("({}) = ", columns.join(", "))),
        own.join(", "),
        literal(&format!(" is not in {to}")),
        from.sql(),
        to.sql(),
    )
}

/// The application's triggers that are not off already, each with how it is on. Those of partitions stand for themselves.
const TRIGGERS: &str = "SELECT t.tgrelid, t.tgname, t.tgenabled::text FROM pg_catalog.pg_trigger t \
    WHERE t.tgrelid = ANY ($1::oid[]) AND NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY t.oid";

pub(super) async fn triggers(session: &Client, relations: &HashMap<u32, Relation>, oids: &[u32]) -> Result<Vec<Item>> {
    let rows = session.query(TRIGGERS, &[&oids]).await.context("cannot read the triggers of the target")?;
    let mut items = Vec::new();
    for row in rows {
        let Some(relation) = relations.get(&row.get(0)) else { continue };
        let name: String = row.get(1);
        let how = match row.get::<_, &str>(2) {
            "A" => "ENABLE ALWAYS",
            "R" => "ENABLE REPLICA",
            _ => "ENABLE",
        };
        let table = relation.name.sql();
        items.push(Item {
            stage: Stage::Quiet,
            table: relation.root.clone(),
            about: format!("trigger {name} of {}", relation.name),
            drop: Some(format!("ALTER TABLE ONLY {table} DISABLE TRIGGER {}", quoted(&name))),
            make: vec![format!("ALTER TABLE ONLY {table} {how} TRIGGER {}", quoted(&name))],
            offenders: None,
        });
    }
    Ok(items)
}

/// Where row security binds the owner too, COPY refuses to fill the table.
const FORCED: &str =
    "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[]) AND c.relforcerowsecurity ORDER BY c.oid";

pub(super) async fn row_security(
    session: &Client,
    relations: &HashMap<u32, Relation>,
    oids: &[u32],
) -> Result<Vec<Item>> {
    let rows = session.query(FORCED, &[&oids]).await.context("cannot read the row security of the target")?;
    let found = rows.iter().filter_map(|row| relations.get(&row.get::<_, u32>(0)));
    let items = found.map(|relation| Item {
        stage: Stage::Quiet,
        table: relation.root.clone(),
        about: format!("forced row security of {}", relation.name),
        drop: Some(format!("ALTER TABLE ONLY {} NO FORCE ROW LEVEL SECURITY", relation.name.sql())),
        make: vec![format!("ALTER TABLE ONLY {} FORCE ROW LEVEL SECURITY", relation.name.sql())],
        offenders: None,
    });
    Ok(items.collect())
}
