//! What a change file cannot tell of: tables and columns of the target that the baseline does not have.

use serde::{Deserialize, Serialize};

use super::catalog::TableName;

/// A table of the target, or columns of one, that the baseline does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Uncompared {
    /// The table.
    pub table: TableName,
    /// The columns, where the table itself was compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Its rows, or those of which one of the columns holds something; none where they could not be counted.
    pub rows: Option<u64>,
}

impl Uncompared {
    /// In words.
    pub fn words(&self) -> String {
        let rows = match self.rows {
            Some(rows) => super::plural::counted(rows, "row"),
            None => "rows that could not be counted".to_owned(),
        };
        match &self.columns[..] {
            [] => format!("the table {} of the target ({rows}) is not in the baseline: it is not compared", self.table),
            columns => format!(
                "the target's {} has columns that are not in the baseline ({}; {rows} with something in them): they are \
                 not compared",
                self.table,
                columns.join(", ")
            ),
        }
    }
}
