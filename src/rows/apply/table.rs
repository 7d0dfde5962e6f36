//! The changes of one table against the source's rows: how each row stands, and writing them.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::SinkExt;
use tokio_postgres::Client;

use crate::data::catalog::{Table, quoted};
use crate::data::change_file::TableChanges;
use crate::data::copy_text;
use crate::data::difference::Change;
use crate::data::digest::{self, Sum};
use crate::data::mapping::Mapping;
use crate::data::sidecar_shape::Shape;
use crate::rows::verify::folds::Way;
use crate::rows::verify::rows::list;
use crate::rows::verify::scan::{Fold, stream};

/// How many rows that stand otherwise are named.
const NAMED: usize = 20;

/// How the changes stand on the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Changes whose row is as it was before.
    pub before: u64,
    /// Changes whose row is as it is after them.
    pub after: u64,
    /// Changes whose row is neither.
    pub neither: u64,
    /// The first of those, in words.
    pub conflicts: Vec<String>,
}

impl Standing {
    /// Adds another table's.
    pub fn absorb(&mut self, other: Self) {
        self.before += other.before;
        self.after += other.after;
        self.neither += other.neither;
        self.conflicts.extend(other.conflicts);
        self.conflicts.truncate(NAMED);
    }
}

/// A table of the source whose changes are looked at.
pub(super) struct Target<'a> {
    pub(super) changes: &'a TableChanges,
    pub(super) table: &'a Table,
    /// How the source's rows become the target's.
    pub(super) way: Way,
    /// From the target's ids back to the source's.
    pub(super) backward: Arc<Mapping>,
    /// Its number in the change file; names its temporary table.
    pub(super) number: usize,
    /// The new rows that stay in the file.
    pub(super) aside: Sum,
}

#[derive(Clone)]
struct Expected {
    old: Option<u128>,
    new: Option<u128>,
    now: Option<u128>,
    is_twice: bool,
}

/// The changes of a keyed table, by their keys as the target writes them.
#[derive(Default)]
struct Keyed {
    expected: HashMap<Vec<u8>, Expected>,
    way: Option<Way>,
    mapped: Vec<u8>,
    room: Vec<u8>,
}

impl Fold for Keyed {
    fn row(&mut self, row: &[u8]) -> Result<()> {
        let Some(way) = &self.way else { bail!("a row without a way") };
        match &way.mapping {
            Some(mapping) => way.shape.map(row, mapping, &mut self.mapped, |_, _| ()),
            None => self.mapped = row.to_vec(),
        }
        let key = way.shape.key(&self.mapped, &mut self.room);
        if let Some(expected) = self.expected.get_mut(key) {
            expected.is_twice = expected.now.is_some();
            expected.now = Some(digest::of_row(&self.mapped));
        }
        Ok(())
    }

    fn absorb(&mut self, _: Self) -> Result<()> {
        bail!("one session reads these rows")
    }
}

impl Target<'_> {
    pub(super) fn columns(&self) -> String {
        list(&self.changes.columns)
    }

    fn keys_table(&self) -> String {
        format!("pg_temp.{}", quoted(&format!("changed_{}", self.number)))
    }

    fn back(&self, columns: &[String], row: &[u8]) -> Result<Vec<u8>> {
        let users: Vec<String> = self.changes.users.iter().filter(|column| columns.contains(column)).cloned().collect();
        let shape = Shape::new(columns, &[], &users).map_err(|error| anyhow!(error))?;
        let mut out = Vec::new();
        shape.map(row, &self.backward, &mut out, |_, _| ());
        Ok(out)
    }

    /// How the source's rows stand to the changes.
    pub(super) async fn standing(&self, session: &Client, changes: &[Change]) -> Result<Standing> {
        if changes.is_empty() {
            return Ok(Standing::default());
        }
        if self.changes.key.is_empty() {
            self.keyless(session, changes).await
        } else {
            self.keyed(session, changes).await
        }
    }

    async fn keyed(&self, session: &Client, changes: &[Change]) -> Result<Standing> {
        let key = list(&self.changes.key);
        let (keys, source) = (self.keys_table(), self.table.source());
        let make = format!(
            "DROP TABLE IF EXISTS {keys}; CREATE TEMPORARY TABLE {} AS SELECT {key} FROM {source} WITH NO DATA",
            quoted(&format!("changed_{}", self.number))
        );
        session.batch_execute(&make).await.context("cannot make a temporary table in the source")?;
        let mut rows = Vec::new();
        for change in changes {
            rows.extend(self.back(&self.changes.key, &change.key)?);
            rows.push(b'\n');
        }
        copy_in(session, &format!("COPY {keys} FROM STDIN"), rows).await?;
        session.batch_execute(&format!("ANALYZE {keys}")).await?;
        let expected = changes.iter().map(|change| {
            let digest = |row: &Option<Vec<u8>>| row.as_deref().map(digest::of_row);
            let expected = Expected { old: digest(&change.old), new: digest(&change.new), now: None, is_twice: false };
            (change.key.clone(), expected)
        });
        let mut fold = Keyed { expected: expected.collect(), way: Some(self.way.clone()), ..Keyed::default() };
        let meets: Vec<String> =
            self.changes.key.iter().map(|column| format!("t.{0} = k.{0}", quoted(column))).collect();
        let columns: Vec<String> = self.changes.columns.iter().map(|column| format!("t.{}", quoted(column))).collect();
        let query = format!(
            "COPY (SELECT {} FROM {source} t WHERE EXISTS (SELECT FROM {keys} k WHERE {})) TO STDOUT",
            columns.join(", "),
            meets.join(" AND ")
        );
        stream(session, &query, &mut fold).await.with_context(|| format!("cannot read {}", self.table.name))?;
        let mut standing = Standing::default();
        for change in changes {
            let Some(expected) = fold.expected.get(&change.key) else { bail!("a change got lost") };
            match expected.now {
                now if expected.is_twice => standing.conflict(self.told(change, now.is_some())),
                now if now == expected.new => standing.after += 1,
                now if now == expected.old => standing.before += 1,
                now => standing.conflict(self.told(change, now.is_some())),
            }
        }
        Ok(standing)
    }

    fn told(&self, change: &Change, is_there: bool) -> String {
        let values = copy_text::fields(&change.key).map(String::from_utf8_lossy);
        let key: Vec<String> =
            self.changes.key.iter().zip(values).map(|(column, value)| format!("{column}={value}")).collect();
        let words = if is_there { "is neither the old nor the new row" } else { "is not there any more" };
        format!("{} {} {words}", self.table.name, key.join(" "))
    }

    /// Writes the changes: whatever was or is under a changed key goes, and the new rows come, as they are on the target
    /// but for the ids of users.
    pub(super) async fn write(&self, session: &Client, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.changes.key.is_empty() {
            return self.write_keyless(session, changes).await;
        }
        let meets: Vec<String> =
            self.changes.key.iter().map(|column| format!("t.{0} = k.{0}", quoted(column))).collect();
        let delete = format!(
            "DELETE FROM {} t USING {} k WHERE {}",
            self.table.source(),
            self.keys_table(),
            meets.join(" AND ")
        );
        session.batch_execute(&delete).await.with_context(|| format!("cannot delete from {}", self.table.name))?;
        self.insert(session, changes.iter().filter_map(|change| change.new.as_deref())).await
    }

    /// Writes new rows, their ids mapped back.
    pub(super) async fn insert<'r>(&self, session: &Client, new: impl Iterator<Item = &'r [u8]>) -> Result<()> {
        let mut rows = Vec::new();
        for new in new {
            rows.extend(self.back(&self.changes.columns, new)?);
            rows.push(b'\n');
        }
        let copy = format!("COPY {} ({}) FROM STDIN", self.table.name.sql(), self.columns());
        copy_in(session, &copy, rows).await.with_context(|| format!("the source refuses a row of {}", self.table.name))
    }
}

impl Standing {
    pub(super) fn conflict(&mut self, words: String) {
        self.neither += 1;
        if self.conflicts.len() < NAMED {
            self.conflicts.push(words);
        }
    }
}

async fn copy_in(session: &Client, copy: &str, rows: Vec<u8>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut sink = std::pin::pin!(session.copy_in::<_, Cursor<Vec<u8>>>(copy).await?);
    for piece in rows.chunks(1 << 20) {
        sink.send(Cursor::new(piece.to_vec())).await?;
    }
    sink.finish().await?;
    Ok(())
}
