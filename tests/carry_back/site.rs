//! A migration whose target was filled from its source, users mapped; and the rows of both sides to compare.

use std::collections::BTreeMap;

use crate::support::cluster::Cluster;
use crate::support::migration::Migration;
use crate::support::written::{SCHEMA, TABLES};

/// The columns that hold users.
pub const USERS: &str = "[data]\nuser_columns = { sites = [\"owner\"], members = [\"owner\"], log = [\"owner\"] }\n";

/// The migration, and the server that it is about.
pub struct Site<'a> {
    pub cluster: &'a Cluster,
    pub migration: Migration,
}

impl<'a> Site<'a> {
    /// A source with rows of every kind, and a target with the same tables, empty.
    pub fn new(cluster: &'a Cluster, label: &str) -> Self {
        let migration = Migration::new(cluster, label);
        migration.configure(USERS);
        cluster.sql(&migration.source, SCHEMA);
        let empty = format!("{SCHEMA} TRUNCATE {} RESTART IDENTITY", TABLES.join(", "));
        cluster.sql(&migration.target, &empty);
        let users = (0..20).map(|n| {
            serde_json::json!({
                "supabaseUserId": format!("00000000-0000-4000-8000-{n:012}"),
                "stackAuthUserId": format!("90000000-0000-4000-8000-{n:012}"),
                "email": null, "migratedAt": "2026-01-23T00:00:00Z",
            })
        });
        let mapping = serde_json::json!({
            "generatedAt": "2026-01-23T00:00:00Z", "retainUntil": "2026-04-23T00:00:00Z",
            "mappings": users.collect::<Vec<_>>(),
        });
        std::fs::create_dir(migration.path("migration-data")).unwrap();
        std::fs::write(migration.path("migration-data/user-mapping.json"), mapping.to_string()).unwrap();
        Self { cluster, migration }
    }

    /// Fills the target as a person does, while the source still takes writes.
    pub fn fill(&self) {
        self.migration.expect(0, &["data", "copy", "--live-source", "--yes"]);
    }

    /// Freezes the source, and fills the target from it or from files.
    pub fn move_rows(&self, has_files: bool) {
        self.migration.expect(0, &["data", "freeze", "--yes"]);
        if has_files {
            self.migration.expect(0, &["data", "export", "--yes"]);
        }
        self.migration.expect(0, &["data", if has_files { "import" } else { "copy" }, "--yes"]);
    }

    /// Whether a database takes a row.
    pub fn takes_writes(&self, database: &str) -> bool {
        let attempt =
            || self.cluster.sql(database, "BEGIN; INSERT INTO sites (id, name) VALUES (-1, 'attempt'); ROLLBACK");
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt)).is_ok()
    }

    pub fn at_source(&self, statements: &str) -> String {
        self.cluster.sql(&self.migration.source, statements)
    }

    pub fn at_target(&self, statements: &str) -> String {
        self.cluster.sql(&self.migration.target, statements)
    }

    /// Every row of the source as text, by table, each as often as it is there.
    pub fn source_rows(&self) -> BTreeMap<(String, String), i64> {
        self.rows(&self.migration.source, "owner")
    }

    /// The same of the target, with the old service's ids of its users.
    pub fn target_rows_as_the_source_has_them(&self) -> BTreeMap<(String, String), i64> {
        self.rows(
            &self.migration.target,
            "CASE WHEN owner::text LIKE '9%' THEN ('0'||substr(owner::text, 2))::uuid ELSE owner END AS owner",
        )
    }

    fn rows(&self, database: &str, owner: &str) -> BTreeMap<(String, String), i64> {
        let mut rows = BTreeMap::new();
        for table in TABLES {
            let columns = format!(
                "SELECT string_agg(CASE attname WHEN 'owner' THEN $o${owner}$o$ ELSE attname::text END, ', ' ORDER BY attname) \
                 FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
            );
            let columns = self.cluster.sql(database, &columns);
            for row in self.cluster.sql(database, &format!("COPY (SELECT {columns} FROM {table}) TO STDOUT")).lines() {
                *rows.entry((table.to_owned(), row.to_owned())).or_default() += 1;
            }
        }
        rows
    }
}
