//! One moment of the source for all readers. Law: while the holder's transaction stands, no table is dropped or rewritten.

use anyhow::{Context, Result};

use crate::adapter::database::{Place, Session};
use crate::data::catalog::{Table, literal};

/// Who holds the snapshot.
pub(super) struct Holder {
    /// Its session, within the transaction.
    pub session: Session,
    place: Place,
    name: String,
    snapshot: String,
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Holder {
    /// Begins the transaction, and takes the snapshot.
    pub(super) async fn open(place: &Place, name: &str) -> Result<Self> {
        let session = place.connect(name).await?;
        session.batch_execute(BEGIN).await.context("cannot begin to read the source")?;
        let row = session.query_one("SELECT pg_catalog.pg_export_snapshot()", &[]).await;
        let snapshot = row.context("cannot take a snapshot of the source")?.get(0);
        Ok(Self { session, place: place.clone(), name: name.to_owned(), snapshot })
    }

    /// Keeps tables from being dropped, emptied or rewritten. Whoever writes rows is not in the way.
    pub(super) async fn lock(&self, tables: &[Table]) -> Result<()> {
        for some in tables.chunks(100) {
            let all = some.iter().map(Table::source).collect::<Vec<_>>().join(", ");
            let lock = format!("LOCK TABLE {all} IN ACCESS SHARE MODE");
            self.session.batch_execute(&lock).await.context("cannot lock the tables of the source against changes")?;
        }
        Ok(())
    }

    /// Sessions that see the same moment.
    pub(super) async fn readers(&self, count: usize) -> Result<Vec<Session>> {
        let mut readers = Vec::new();
        for _ in 0..count {
            let session = self.place.connect(&self.name).await?;
            let begin = format!("{BEGIN}; SET TRANSACTION SNAPSHOT {}", literal(&self.snapshot));
            session.batch_execute(&begin).await.context("cannot take up the snapshot of the source")?;
            readers.push(session);
        }
        Ok(readers)
    }
}
