//! The changes of a table without a key: content alone tells its rows apart, so the table as a whole is looked at.
//!
//! Law: its digest is that of before, or that of after, or one of these but for rows that are not there, each of them told
//! from the changes: new ones that an earlier call left in the file, or old ones that are gone. Else somebody else wrote.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

use super::table::{Standing, Target};
use crate::data::difference::Change;
use crate::data::digest::{self, Sum};
use crate::data::plural::counted;
use crate::rows::verify::folds::Way;
use crate::rows::verify::scan::{Fold, stream};

/// The rows as they are: their digest in all, how often each changed one is there, and where those stand that have to go.
struct Found {
    way: Way,
    sum: Sum,
    seen: HashMap<u128, u64>,
    wanted: HashMap<u128, u64>,
    places: Vec<String>,
    mapped: Vec<u8>,
}

impl Fold for Found {
    fn row(&mut self, row: &[u8]) -> Result<()> {
        let at = memchr::memchr(b'\t', row).unwrap_or(row.len());
        let (place, row) = (&row[..at], row.get(at + 1..).unwrap_or_default());
        match &self.way.mapping {
            Some(mapping) => self.way.shape.map(row, mapping, &mut self.mapped, |_, _| ()),
            None => self.mapped = row.to_vec(),
        }
        let digest = digest::of_row(&self.mapped);
        self.sum.add(digest);
        if let Some(seen) = self.seen.get_mut(&digest) {
            *seen += 1;
        }
        if let Some(left) = self.wanted.get_mut(&digest).filter(|left| **left > 0) {
            *left -= 1;
            self.places.push(String::from_utf8_lossy(place).into_owned());
        }
        Ok(())
    }

    fn absorb(&mut self, _: Self) -> Result<()> {
        bail!("one session reads these rows")
    }
}

/// How the table stands to its changes.
enum State {
    Before,
    After,
    /// As after them, but for these new rows.
    Without(HashSet<u128>),
    /// As before them, but for these old rows.
    Rid(HashSet<u128>),
    Neither,
}

fn of(row: Option<&Vec<u8>>) -> Option<u128> {
    row.map(|row| digest::of_row(row))
}

impl Target<'_> {
    /// How the source's rows stand to the changes of a table without a key.
    pub(super) async fn keyless(&self, session: &Client, changes: &[Change]) -> Result<Standing> {
        let found = self.read(session, changes, HashMap::new()).await?;
        let count = changes.len() as u64;
        let mut standing = Standing::default();
        match self.state(&found, changes) {
            State::After => standing.after = count,
            State::Before => standing.before = count,
            State::Without(absent) => {
                standing.before = held(changes, &absent, |change| change.new.as_ref());
                standing.after = count - standing.before;
            }
            State::Rid(absent) => {
                standing.after = held(changes, &absent, |change| change.old.as_ref());
                standing.before = count - standing.after;
            }
            State::Neither => {
                let words = "without a key is neither as it was before the changes nor as it is after them";
                standing.conflict(format!("{} {words}", self.table.name));
            }
        }
        Ok(standing)
    }

    fn state(&self, found: &Found, changes: &[Change]) -> State {
        let (before, after) = (self.changes.before, self.changes.after.without(self.aside));
        let absent = |row: fn(&Change) -> Option<&Vec<u8>>| {
            let (mut digests, mut sum) = (HashSet::new(), Sum::default());
            for digest in changes.iter().filter_map(|change| of(row(change))) {
                if found.seen.get(&digest) == Some(&0) {
                    digests.insert(digest);
                    sum.add(digest);
                }
            }
            (digests, sum)
        };
        if found.sum == after {
            return State::After;
        }
        if found.sum == before {
            return State::Before;
        }
        let (new, sum) = absent(|change| change.new.as_ref());
        if found.sum == after.without(sum) {
            return State::Without(new);
        }
        let (old, sum) = absent(|change| change.old.as_ref());
        if found.sum == before.without(sum) {
            return State::Rid(old);
        }
        State::Neither
    }

    async fn read(&self, session: &Client, changes: &[Change], wanted: HashMap<u128, u64>) -> Result<Found> {
        let digests = changes.iter().flat_map(|change| [of(change.old.as_ref()), of(change.new.as_ref())]);
        let seen = digests.flatten().map(|digest| (digest, 0)).collect();
        let (way, sum) = (self.way.clone(), Sum::default());
        let mut fold = Found { way, sum, seen, wanted, places: Vec::new(), mapped: Vec::new() };
        // The place of a row in a partitioned table is its partition and its address there.
        let columns = if self.changes.columns.is_empty() { String::new() } else { format!(", {}", self.columns()) };
        let query = format!(
            "COPY (SELECT tableoid::pg_catalog.text || ' ' || ctid::pg_catalog.text{columns} FROM {}) TO STDOUT",
            self.table.source()
        );
        stream(session, &query, &mut fold).await.with_context(|| format!("cannot read {}", self.table.name))?;
        Ok(fold)
    }

    /// Writes the changes of a table without a key: as many of each old row go as have to, and the new ones come.
    pub(super) async fn write_keyless(&self, session: &Client, changes: &[Change]) -> Result<()> {
        let mut wanted: HashMap<u128, u64> = HashMap::new();
        for old in changes.iter().filter_map(|change| of(change.old.as_ref())) {
            *wanted.entry(old).or_default() += 1;
        }
        let mut leaving: u64 = wanted.values().sum();
        let found = self.read(session, changes, wanted).await?;
        let mut coming: Option<HashSet<u128>> = None;
        match self.state(&found, changes) {
            // An earlier call wrote these, and left others in the file: to write them again would double them.
            State::After => return Ok(()),
            State::Before => {}
            State::Without(absent) => (leaving, coming) = (0, Some(absent)),
            State::Rid(absent) => leaving -= held(changes, &absent, |change| change.old.as_ref()),
            State::Neither => bail!("{} was written to by somebody else", self.table.name),
        }
        if leaving > 0 {
            let delete = format!(
                "DELETE FROM {} t WHERE t.tableoid::pg_catalog.text || ' ' || t.ctid::pg_catalog.text = ANY ($1)",
                self.table.source()
            );
            let gone = session.execute(&delete, &[&found.places]).await?;
            if gone != leaving {
                bail!("{}: {} gone where {leaving} had to go", self.table.name, counted(gone, "row"));
            }
        }
        let is_coming = |row: &&[u8]| coming.as_ref().is_none_or(|only| only.contains(&digest::of_row(row)));
        self.insert(session, changes.iter().filter_map(|change| change.new.as_deref()).filter(is_coming)).await
    }
}

/// How many changes have one of these rows.
fn held(changes: &[Change], rows: &HashSet<u128>, row: fn(&Change) -> Option<&Vec<u8>>) -> u64 {
    let digests = changes.iter().filter_map(|change| of(row(change)));
    digests.filter(|digest| rows.contains(digest)).count() as u64
}
