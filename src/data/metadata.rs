//! `metadata.json`: what an export holds. Ours says everything; of others' what can be understood is taken.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::catalog::{Sequence, TableName};
use super::digest::Sum;

/// Name of the file in the directory of an export.
pub const FILE: &str = "metadata.json";
/// What `schema` says in files of ours.
pub const SCHEMA: &str = "cutover/v1";
/// How the `exportMethod` of files of ours begins.
pub const OURS: &str = "cutover";

/// What is known of one table's file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableMetadata {
    /// The table; in others' files it is known by its key alone.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub table: Option<TableName>,
    /// Its file, relative to the directory.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How many rows.
    #[serde(default, deserialize_with = "lenient", alias = "rows", alias = "count", alias = "row_count")]
    pub row_count: Option<u64>,
    /// Size of the file in bytes.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of the file as it stands on the disk, in hexadecimal.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Columns, in the order of the values; empty where it is not known.
    #[serde(default, deserialize_with = "lenient_list", skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Columns whose foreign keys point to the users' table: their ids are mapped on the way in.
    #[serde(default, deserialize_with = "lenient_list", skip_serializing_if = "Vec::is_empty")]
    pub user_columns: Vec<String>,
    /// How long it took, in milliseconds.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How it was made; begins with `cutover` in files of ours.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub export_method: Option<String>,
    /// Order-free digest of the rows' COPY text, ids of users as they are in the source.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub digest: Option<Sum>,
}

impl TableMetadata {
    /// Whether cutover wrote the file: every value is then the type's own text.
    pub fn is_ours(&self) -> bool {
        self.export_method.as_deref().is_some_and(|method| method.starts_with(OURS))
    }
}

/// A table that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The table.
    pub table: TableName,
    /// Its size in the source, in bytes.
    pub bytes: u64,
    /// Why.
    pub why: String,
}

/// What is known of the users' files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsersMetadata {
    /// The users' table.
    pub table: TableName,
    /// The file of the users, without their passwords.
    pub file: String,
    /// How many users.
    pub row_count: u64,
    /// SHA-256 of that file.
    pub sha256: String,
    /// The file of the password hashes, where there are any.
    pub secrets_file: Option<String>,
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// `cutover/v1` in files of ours.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// When it was begun, RFC 3339.
    #[serde(default, deserialize_with = "lenient", alias = "exported_at", alias = "timestamp")]
    pub exported_at: Option<String>,
    /// Where from, without a password.
    #[serde(default, deserialize_with = "lenient")]
    pub source: Option<String>,
    /// The snapshot that every table was read in.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The end of the write-ahead log when it was taken.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub lsn: Option<String>,
    /// The server's version, as 150018 for 15.18.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub server_version: Option<u32>,
    /// The tables, by the stems of their files.
    #[serde(default, deserialize_with = "tables")]
    pub tables: BTreeMap<String, TableMetadata>,
    /// The sequences and their values, seen in the same snapshot's time.
    #[serde(default, deserialize_with = "lenient_list", skip_serializing_if = "Vec::is_empty")]
    pub sequences: Vec<Sequence>,
    /// The users' files, where the source has such a table.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub users: Option<UsersMetadata>,
    /// Tables that were left out on purpose.
    #[serde(default, deserialize_with = "lenient_list", skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

impl Metadata {
    /// What is known of a table: by its stem, or by its name as a person writes it.
    pub fn of(&self, table: &TableName) -> Option<&TableMetadata> {
        self.tables.get(&table.stem()).or_else(|| self.tables.get(&table.to_string())).or_else(|| {
            let whole = format!("{}.{}", table.schema, table.name);
            self.tables.get(&whole)
        })
    }

    /// Whether cutover wrote it.
    pub fn is_ours(&self) -> bool {
        self.schema.as_deref() == Some(SCHEMA)
    }

    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().filter_map(|table| table.row_count).sum()
    }

    /// Bytes of all tables' files.
    pub fn bytes(&self) -> u64 {
        self.tables.values().filter_map(|table| table.bytes).sum()
    }
}

/// What cannot be understood is as good as absent: other tools write these keys as they like.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

fn lenient_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(lenient(deserializer)?.unwrap_or_default())
}

/// An object by name, whose values are objects or bare counts; or a list of objects that hold their name.
fn tables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, TableMetadata>, D::Error> {
    let of = |value: Value| match value {
        Value::Number(count) => TableMetadata { row_count: count.as_u64(), ..TableMetadata::default() },
        other => serde_json::from_value(other).unwrap_or_default(),
    };
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(tables) => tables.into_iter().map(|(name, value)| (name, of(value))).collect(),
        Value::Array(tables) => {
            let named = tables.into_iter().filter_map(|value| match &value {
                Value::String(name) => Some((name.clone(), TableMetadata::default())),
                other => {
                    let name = ["name", "table", "tableName"].iter().find_map(|key| other.get(key)?.as_str())?;
                    Some((name.to_owned(), of(value)))
                }
            });
            named.collect()
        }
        _ => BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_reads_back_as_it_was_written() {
        let table = TableMetadata {
            table: Some(TableName::new("public", "profiles")),
            file: Some("profiles.json".into()),
            row_count: Some(2),
            digest: Some(Sum { rows: 2, sum: 7 }),
            columns: vec!["id".into()],
            export_method: Some("cutover copy-text".into()),
            ..TableMetadata::default()
        };
        let metadata = Metadata {
            schema: Some(SCHEMA.into()),
            exported_at: Some("2026-01-23T00:00:00.000Z".into()),
            tables: [("profiles".to_owned(), table)].into(),
            ..Metadata::default()
        };
        let text = serde_json::to_string(&metadata).unwrap();
        assert!(text.contains("\"exportedAt\"") && text.contains("\"rowCount\":2"), "{text}");
        assert_eq!(serde_json::from_str::<Metadata>(&text).unwrap(), metadata);
        assert!(metadata.is_ours() && metadata.of(&TableName::new("public", "profiles")).unwrap().is_ours());
    }

    #[test]
    fn what_other_tools_write_is_read_as_far_as_it_goes() {
        let read = |text: &str| serde_json::from_str::<Metadata>(text).unwrap();
        let seeds = read(
            r#"{"exportedAt":"2026-01-23T00:00:00Z","source":{"host":"db"},"exportVersion":3,
                "tables":{"profiles":{"rowCount":5,"durationMs":12.5,"exportMethod":"stream","checksum":"x"},"units":9}}"#,
        );
        assert_eq!(seeds.of(&TableName::new("public", "profiles")).unwrap().row_count, Some(5));
        assert_eq!(seeds.of(&TableName::new("public", "units")).unwrap().row_count, Some(9));
        assert!(!seeds.is_ours() && !seeds.of(&TableName::new("public", "profiles")).unwrap().is_ours());
        assert_eq!((seeds.source.clone(), seeds.rows()), (None, 14));
        let list = read(r#"{"tables":[{"name":"auth.users","rows":3},"units",{"nothing":1}]}"#);
        assert_eq!(list.of(&TableName::new("auth", "users")).unwrap().row_count, Some(3));
        assert_eq!(list.tables.len(), 2);
        assert_eq!(read("{}"), Metadata::default());
    }
}
