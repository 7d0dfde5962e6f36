//! Indexes and the keys on them: how each is removed, and how it comes back the same, down to its marks.
//!
//! A key comes back as an index first (which any number of others may be built beside) and is made a key afterwards. A
//! partitioned index comes back empty, and those of its partitions are joined to it.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use tokio_postgres::{Client, Row};

use super::{Item, Relation, Stage};
use crate::data::catalog::{TableName, literal, quoted};

/// Every index that can be built anew. Left standing: those of exclusion constraints and other kinds than plain keys,
/// invalid ones, those of extensions, and those that something else stands on (`$2` are foreign keys that go as well).
const QUERY: &str = "SELECT i.indexrelid, i.indrelid, s.nspname, ic.relname, ic.relkind = 'I', \
      pg_catalog.pg_get_indexdef(i.indexrelid), i.indisunique, i.indisclustered, i.indisreplident, \
      coalesce(t.spcname, ''), pg_catalog.obj_description(i.indexrelid, 'pg_class'), \
      con.conname, con.contype = 'p', pg_catalog.pg_get_constraintdef(con.oid), con.condeferrable, con.condeferred, \
      pg_catalog.obj_description(con.oid, 'pg_constraint'), up.inhparent, \
      (SELECT pg_catalog.array_agg(pg_catalog.format('%s SET STATISTICS %s', a.attnum, a.attstattarget)) \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0), \
      CASE WHEN i.indisunique AND i.indexprs IS NULL AND i.indpred IS NULL THEN \
        (SELECT pg_catalog.array_agg(a.attname::text ORDER BY k.at) \
           FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k(number, at) \
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
          WHERE k.at <= i.indnkeyatts) END, \
      NOT i.indisvalid OR coalesce(con.contype NOT IN ('p', 'u') OR am.amname <> 'btree', false) OR EXISTS ( \
        SELECT 1 FROM pg_catalog.pg_depend d \
         WHERE ((d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indexrelid) \
             OR (d.refclassid = 'pg_catalog.pg_constraint'::regclass AND d.refobjid = con.oid)) \
           AND d.deptype NOT IN ('i', 'P', 'S') \
           AND NOT (d.classid = 'pg_catalog.pg_constraint'::regclass AND EXISTS ( \
             SELECT 1 FROM pg_catalog.pg_constraint f \
              WHERE f.oid = d.objid AND f.contype = 'f' \
                AND (f.oid = ANY ($2::oid[]) OR f.conparentid <> 0)))) \
      OR EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass \
             AND d.objid = i.indexrelid AND d.deptype = 'e') \
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid \
    JOIN pg_catalog.pg_namespace s ON s.oid = ic.relnamespace JOIN pg_catalog.pg_am am ON am.oid = ic.relam \
    LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = ic.reltablespace \
    LEFT JOIN pg_catalog.pg_constraint con ON con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x') \
    LEFT JOIN pg_catalog.pg_inherits up ON up.inhrelid = i.indexrelid \
    WHERE i.indrelid = ANY ($1::oid[]) ORDER BY i.indexrelid";

struct Key {
    name: String,
    is_primary: bool,
    definition: String,
    /// `DEFERRABLE …`, or nothing.
    deferral: &'static str,
    comment: Option<String>,
}

struct Found {
    oid: u32,
    relation: u32,
    name: TableName,
    is_partitioned: bool,
    definition: String,
    is_unique: bool,
    is_clustered: bool,
    is_identity: bool,
    tablespace: String,
    comment: Option<String>,
    key: Option<Key>,
    parent: Option<u32>,
    statistics: Vec<String>,
    columns: Option<Vec<String>>,
    is_held: bool,
}

impl Found {
    fn of(row: &Row) -> Self {
        let key = row.get::<_, Option<String>>(11).map(|name| Key {
            name,
            is_primary: row.get(12),
            definition: row.get(13),
            deferral: match (row.get(14), row.get(15)) {
                (_, true) => " DEFERRABLE INITIALLY DEFERRED",
                (true, false) => " DEFERRABLE",
                (false, false) => "",
            },
            comment: row.get(16),
        });
        Self {
            oid: row.get(0),
            relation: row.get(1),
            name: TableName::new(row.get::<_, String>(2), row.get::<_, String>(3)),
            is_partitioned: row.get(4),
            definition: row.get(5),
            is_unique: row.get(6),
            is_clustered: row.get(7),
            is_identity: row.get(8),
            tablespace: row.get(9),
            comment: row.get(10),
            key,
            parent: row.get(17),
            statistics: row.get::<_, Option<Vec<String>>>(18).unwrap_or_default(),
            columns: row.get(19),
            is_held: row.get(20),
        }
    }

    fn about(&self, relation: &Relation) -> String {
        match &self.key {
            Some(key) if key.is_primary => format!("primary key {} of {}", key.name, relation.name),
            Some(key) => format!("unique constraint {} of {}", key.name, relation.name),
            None if self.is_unique => format!("unique index {} of {}", self.name.name, relation.name),
            None => format!("index {} of {}", self.name.name, relation.name),
        }
    }

    fn drop(&self, relation: &Relation) -> Option<String> {
        if self.parent.is_some() {
            return None;
        }
        Some(match &self.key {
            Some(key) => format!("ALTER TABLE {} DROP CONSTRAINT {}", relation.name.sql(), quoted(&key.name)),
            None => format!("DROP INDEX {}", self.name.sql()),
        })
    }

    /// An index goes to the tablespace that the session names, and pg_get_indexdef does not say where it was.
    fn place(&self) -> String {
        format!("SET LOCAL default_tablespace = {}", literal(&self.tablespace))
    }

    fn offenders(&self, relation: &Relation) -> Option<String> {
        let columns: Vec<String> = self.columns.as_ref()?.iter().map(|column| quoted(column)).collect();
        let names = columns.join(", ");
        Some(format!(
            "SELECT pg_catalog.concat({}, ROW({names})::text, ' stands ', pg_catalog.count(*), ' times') FROM ONLY {} \
             GROUP BY {names} HAVING pg_catalog.count(*) > 1 LIMIT 3",
            literal(&format!("({}) = ", self.columns.as_ref()?.join(", "))),
            relation.name.sql(),
        ))
    }

    fn marks(&self, relation: &Relation) -> Vec<String> {
        let (table, index) = (relation.name.sql(), self.name.sql());
        let mut marks = Vec::new();
        if let Some(comment) = &self.comment {
            marks.push(format!("COMMENT ON INDEX {index} IS {}", literal(comment)));
        }
        if let Some(key) = &self.key
            && let Some(comment) = &key.comment
        {
            marks.push(format!("COMMENT ON CONSTRAINT {} ON {table} IS {}", quoted(&key.name), literal(comment)));
        }
        marks.extend(self.statistics.iter().map(|column| format!("ALTER INDEX {index} ALTER COLUMN {column}")));
        if self.is_clustered {
            marks.push(format!("ALTER TABLE {table} CLUSTER ON {}", quoted(&self.name.name)));
        }
        if self.is_identity {
            marks.push(format!("ALTER TABLE {table} REPLICA IDENTITY USING INDEX {}", quoted(&self.name.name)));
        }
        marks
    }
}

pub(super) async fn read(
    session: &Client,
    relations: &HashMap<u32, Relation>,
    oids: &[u32],
    gone: &[u32],
) -> Result<Vec<Item>> {
    let rows = session.query(QUERY, &[&oids, &gone]).await.context("cannot read the indexes of the target")?;
    let mut found: Vec<Found> = rows.iter().map(Found::of).collect();
    let held = held(&found);
    found.retain(|index| !held.contains(&index.oid));
    let mut items = Vec::new();
    for index in found.iter().filter(|index| !index.is_partitioned) {
        if let Some(relation) = relations.get(&index.relation) {
            items.extend(leaf(index, relation));
        }
    }
    // The deepest first: an index can be joined only to one that is there, and counts only once its own are joined.
    let mut parents: Vec<&Found> = found.iter().filter(|index| index.is_partitioned).collect();
    parents.sort_by_key(|index| std::cmp::Reverse(depth(index, &found)));
    for index in parents {
        if let Some(relation) = relations.get(&index.relation) {
            items.push(parent(index, relation, &found));
        }
    }
    Ok(items)
}

/// What cannot go, and with it everything that it is joined to, up and down.
fn held(found: &[Found]) -> HashSet<u32> {
    let mut held: HashSet<u32> = found.iter().filter(|index| index.is_held).map(|index| index.oid).collect();
    loop {
        let before = held.len();
        for index in found {
            if let Some(parent) = index.parent
                && (held.contains(&parent) || held.contains(&index.oid))
            {
                held.extend([parent, index.oid]);
            }
        }
        if held.len() == before {
            return held;
        }
    }
}

fn depth(index: &Found, found: &[Found]) -> usize {
    let up = index.parent.and_then(|parent| found.iter().find(|other| other.oid == parent));
    up.map_or(0, |up| 1 + depth(up, found))
}

fn leaf(index: &Found, relation: &Relation) -> Vec<Item> {
    let item = |stage, drop, make, offenders| Item {
        stage,
        table: relation.root.clone(),
        about: index.about(relation),
        drop,
        make,
        offenders,
    };
    let build = vec![index.place(), index.definition.clone()];
    let mut items = vec![item(Stage::Index, index.drop(relation), build, index.offenders(relation))];
    let mut finish = Vec::new();
    if let Some(key) = &index.key {
        let kind = if key.is_primary { "PRIMARY KEY" } else { "UNIQUE" };
        let (table, name) = (relation.name.sql(), quoted(&key.name));
        let made = format!("ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {}", quoted(&index.name.name));
        finish.push(made + key.deferral);
    }
    finish.extend(index.marks(relation));
    if !finish.is_empty() {
        items.push(item(Stage::Finish, None, finish, None));
    }
    items
}

fn parent(index: &Found, relation: &Relation, found: &[Found]) -> Item {
    let made = match &index.key {
        Some(key) => {
            format!("ALTER TABLE ONLY {} ADD CONSTRAINT {} {}", relation.name.sql(), quoted(&key.name), key.definition)
        }
        None => index.definition.clone(),
    };
    let mut make = vec![index.place(), made];
    let children = found.iter().filter(|child| child.parent == Some(index.oid));
    make.extend(
        children.map(|child| format!("ALTER INDEX {} ATTACH PARTITION {}", index.name.sql(), child.name.sql())),
    );
    make.extend(index.marks(relation));
    Item {
        stage: Stage::Finish,
        table: relation.root.clone(),
        about: index.about(relation),
        drop: index.drop(relation),
        make,
        offenders: None,
    }
}
