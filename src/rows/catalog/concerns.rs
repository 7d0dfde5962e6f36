//! What does not move with the rows, or stands in the way: each with what is the matter and what to do.

use std::collections::{BTreeMap, BTreeSet};

use super::{Relation, concern};
use crate::data::catalog::{Concern, Table, TableName, quoted};
use crate::data::patterns::Patterns;
use crate::data::plural::counted;

/// Schemas that Supabase makes and fills itself. What has to be done about some of them is told in words of its own.
const OF_THE_PLATFORM: [&str; 16] = [
    "auth",
    "storage",
    "vault",
    "realtime",
    "_realtime",
    "_analytics",
    "_supavisor",
    "cron",
    "net",
    "extensions",
    "graphql",
    "graphql_public",
    "pgbouncer",
    "pgsodium",
    "supabase_functions",
    "supabase_migrations",
];

/// Patterns that choose nothing: most likely misspelt.
pub(super) fn of_patterns(relations: &[Relation], patterns: &Patterns) -> Vec<Concern> {
    let names: Vec<&TableName> = relations.iter().map(|relation| &relation.name).collect();
    let words = "meets no table; is it misspelt? Partitions are not named: they move with the table that they are of";
    let mut found: Vec<Concern> =
        patterns.unmet(&names).into_iter().map(|text| concern(false, format!("pattern {text}"), words)).collect();
    if !relations.iter().any(|relation| super::is_moved(relation, patterns)) {
        let words = "no table is chosen by data.include and data.exclude; are the patterns and the database right?";
        found.push(concern(true, "tables", words));
    }
    found
}

/// Schemas that hold tables of which no pattern says anything: `data.include` is `public.*` where nobody thought of them, and
/// whoever reads that every table is the same takes them to be among these.
pub(super) fn of_schemas(relations: &[Relation], patterns: &Patterns, users_table: &TableName) -> Vec<Concern> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    let mut named: BTreeSet<&str> = BTreeSet::from([users_table.schema.as_str()]);
    for relation in relations.iter().filter(|one| matches!(one.kind, 'r' | 'p') && one.extension.is_none()) {
        let schema = relation.name.schema.as_str();
        if patterns.is_chosen(&relation.name) || patterns.is_left_on_purpose(&relation.name) {
            named.insert(schema);
        } else if !OF_THE_PLATFORM.contains(&schema) {
            *left.entry(schema).or_default() += 1;
        }
    }
    let left = left.into_iter().filter(|(schema, _)| !named.contains(schema));
    let words = |(schema, count): (&str, usize)| {
        let what = counted(count, "table");
        let pattern = format!("{}.*", quoted(schema));
        let words = format!(
            "holds {what} whose rows do not move, for data.include does not name it: name {pattern} there, or in data.exclude if it is \
             to stay"
        );
        concern(false, format!("schema {schema}"), words)
    };
    left.map(words).collect()
}

/// What a pattern names and yet does not move.
pub(super) fn of_kind(relation: &Relation) -> Option<Concern> {
    let name = &relation.name;
    if let Some(extension) = &relation.extension {
        let words = format!("belongs to the extension {extension}, which makes it: its rows do not move");
        return Some(concern(false, format!("table {name}"), words));
    }
    match relation.kind {
        'f' => {
            let words = "is a foreign table: its rows are on another server and do not move";
            Some(concern(false, format!("foreign table {name}"), words))
        }
        'm' => {
            let words = format!("does not move; REFRESH MATERIALIZED VIEW {} in the target afterwards", name.sql());
            Some(concern(false, format!("materialized view {name}"), words))
        }
        _ => None,
    }
}

/// What this role may not read whole.
pub(super) fn of_access(relation: &Relation, role: &str) -> Option<Concern> {
    let (about, sql) = (format!("table {}", relation.name), relation.name.sql());
    if !relation.is_readable {
        let words = format!(
            "the role {role} may not read it; as {}: GRANT USAGE ON SCHEMA {} TO {role}; GRANT SELECT ON {sql} TO {role}",
            relation.owner,
            quoted(&relation.name.schema)
        );
        return Some(concern(true, about, words));
    }
    relation.is_hidden.then(|| {
        let words = format!(
            "row security hides rows from the role {role}; connect as {} or as a role with BYPASSRLS",
            if relation.is_owned { "a superuser".to_owned() } else { relation.owner.clone() }
        );
        concern(true, about, words)
    })
}

/// What the tables themselves tell.
pub(super) fn of_tables(tables: &[Table], users_table: &TableName, cycles: &[Vec<TableName>]) -> Vec<Concern> {
    let mut found = Vec::new();
    let is_here = |name: &TableName| name == users_table || tables.iter().any(|table| &table.name == name);
    for table in tables {
        let about = || format!("table {}", table.name);
        if table.keys.is_empty() {
            let words = "has no key: its rows are told apart by all their values, and an update is seen as a delete and an insert";
            found.push(concern(false, about(), words));
        }
        for key in table.foreign_keys.iter().filter(|key| !is_here(&key.to)) {
            let words = format!(
                "its foreign key {} points to {}, which does not move; the rows there must be in the target already",
                key.name, key.to
            );
            found.push(concern(false, about(), words));
        }
    }
    for cycle in cycles {
        let names: Vec<String> = cycle.iter().map(ToString::to_string).collect();
        let words = "point to each other in a circle: no order fills them while their foreign keys stand, so these are set aside";
        found.push(concern(false, format!("tables {}", names.join(", ")), words));
    }
    found
}

/// What is in the database beside tables.
pub(super) fn of_whole(large_objects: i64, schemas: &[String]) -> Vec<Concern> {
    let mut found = Vec::new();
    if large_objects > 0 {
        let words = format!(
            "there are {large_objects}, and they do not move: columns that hold their numbers (oid, lo) will point to nothing"
        );
        found.push(concern(false, "large objects", words));
    }
    for schema in schemas {
        let words = match schema.as_str() {
            "storage" => "objects of Supabase Storage are files, not rows: copy the buckets by themselves",
            "vault" => "secrets of the vault are encrypted with a key of the old project: set them anew in the target",
            "realtime" => {
                "Realtime (broadcast, subscriptions, publications) does not move: the application needs another way"
            }
            "cron" => "jobs of pg_cron do not move: look at cron.job and schedule them anew in the target",
            _ => "database webhooks and Edge Functions do not move: list them in the dashboard and set them up anew",
        };
        found.push(concern(false, format!("schema {schema}"), words));
    }
    found
}
