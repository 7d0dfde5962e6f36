//! What is done beside loading rows: said while it goes on, for an index or a count of a large table takes minutes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, Result, bail};

use crate::adapter::database::Session;
use crate::adapter::files::spoken_size;
use crate::data::catalog::TableName;
use crate::data::plural::counted;

/// What is being done beside loading rows, and how many bytes of how many are written, where that is known.
#[derive(Debug)]
pub(super) struct Deed {
    /// In words.
    pub words: String,
    /// Bytes that are written.
    pub written: Arc<AtomicU64>,
    /// Of how many; 0 where that is not known.
    pub of: u64,
}

impl From<String> for Deed {
    fn from(words: String) -> Self {
        Self { words, written: Arc::default(), of: 0 }
    }
}

impl Deed {
    /// `writing the baseline of sites (1.5 MiB of 24.0 MiB)`.
    pub(super) fn shown(&self) -> String {
        match self.of {
            0 => self.words.clone(),
            of => format!("{} ({} of {})", self.words, spoken_size(self.written.load(Relaxed)), spoken_size(of)),
        }
    }
}

/// A table whose rows are counted, and looked at by the server.
#[derive(Clone, Debug)]
pub(super) struct Check {
    /// Its name.
    pub name: TableName,
    /// What is read from.
    pub source: String,
    /// How many rows it must hold.
    pub rows: u64,
    /// Bytes that came in.
    pub bytes: u64,
}

/// Counts a table's rows; they must be as many as were loaded.
pub(super) async fn count(check: &Check, target: &Session) -> Result<()> {
    let Check { name, source, rows: sent, .. } = check;
    let query = format!("SELECT pg_catalog.count(*) FROM {source}");
    let rows: i64 = target.query_one(&query, &[]).await.with_context(|| format!("cannot count {name}"))?.get(0);
    if u64::try_from(rows) != Ok(*sent) {
        let held = counted(rows, "row");
        bail!("{name} holds {held} after {sent} were loaded: somebody else writes into the target");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_said_with_how_much_of_how_much() {
        let words = "writing the baseline of sites".to_owned();
        let deed = Deed { words, written: Arc::new(AtomicU64::new(512)), of: 1 << 20 };
        assert_eq!(deed.shown(), "writing the baseline of sites (512 B of 1.0 MiB)");
        assert_eq!(Deed::from("counting sites".to_owned()).shown(), "counting sites");
    }
}
