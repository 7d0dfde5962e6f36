//! What a run moved, table by table: the shape in which steps hand it to the journal and reports take it from there.

use serde::{Deserialize, Serialize};

/// The key under which it stands in what a step hands to the journal.
pub const KEY: &str = "moved";

/// One table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MovedTable {
    /// Its name, as people write it.
    pub table: String,
    /// Rows.
    pub rows: u64,
    /// Bytes that were written or sent.
    pub bytes: u64,
    /// From its first row to its last; 0 where it was there already.
    pub seconds: f64,
}

/// Everything that one step moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// The tables.
    pub tables: Vec<MovedTable>,
    /// From the first row to the last check. Tables move side by side, so it is less than their times together.
    pub seconds: f64,
    /// What is to be known about it, in words.
    pub notes: Vec<String>,
}

impl Moved {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Bytes of all tables.
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.bytes).sum()
    }

    /// As a step hands it to the journal.
    pub fn for_journal(&self) -> serde_json::Value {
        serde_json::json!({ KEY: self })
    }

    /// As it stands in a journal, where it does.
    pub fn of_journal(data: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(data.get(KEY)?.clone()).ok()
    }
}
