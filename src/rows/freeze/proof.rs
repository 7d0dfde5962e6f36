//! The proof of a freeze: writes of every kind are attempted and refused, and the counters stand still.
//!
//! No attempt can change a row, even where the freeze does not hold: each names no row and is rolled back.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Frozen, guard};
use crate::adapter::clock;
use crate::adapter::database::{Place, Session};
use crate::data::catalog::{TableName, literal};
use crate::rows::Say;

/// What changes when anything is written, as far as the server counts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// When they were read, RFC 3339.
    pub at: String,
    /// Position in the server's log; it moves by itself and is not compared.
    pub lsn: String,
    /// When the server last set them to nothing, and when it was started.
    pub since: String,
    /// Rows inserted, updated and deleted, per table; large objects stand as `pg_largeobject`.
    pub rows: BTreeMap<String, [i64; 3]>,
    /// The last value of each sequence; none where it was never asked, or may not be read.
    pub sequences: BTreeMap<String, Option<i64>>,
    /// For each table a digest of its columns and of the file that holds it: DDL and TRUNCATE change it.
    pub shapes: BTreeMap<String, String>,
}

/// Reads the counters.
///
/// # Errors
/// The server's own words.
pub async fn counters(session: &Session) -> Result<Counters> {
    let at = clock::now();
    let sql = "SELECT pg_catalog.pg_current_wal_lsn()::text, pg_catalog.concat_ws(' ', \
        (SELECT stats_reset FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()), \
        pg_catalog.pg_postmaster_start_time())";
    let row = session.query_one(sql, &[]).await.context("cannot read the position in the log")?;
    let (lsn, since) = (row.try_get(0)?, row.try_get(1)?);
    let sql = "SELECT schemaname::text, relname::text, n_tup_ins, n_tup_upd, n_tup_del FROM pg_catalog.pg_stat_all_tables \
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema', '_cutover') AND schemaname NOT LIKE 'pg\\_t%' \
        OR relname IN ('pg_largeobject', 'pg_largeobject_metadata')";
    let mut rows = BTreeMap::new();
    for row in session.query(sql, &[]).await.context("cannot read the write counters")? {
        rows.insert(name(&row)?, [row.try_get(2)?, row.try_get(3)?, row.try_get(4)?]);
    }
    let sql = "SELECT schemaname::text, sequencename::text, last_value FROM pg_catalog.pg_sequences \
        WHERE schemaname NOT LIKE 'pg\\_t%' AND pg_catalog.pg_has_role(sequenceowner, 'USAGE')";
    let mut sequences = BTreeMap::new();
    for row in session.query(sql, &[]).await.context("cannot read the sequences")? {
        sequences.insert(name(&row)?, row.try_get(2)?);
    }
    let sql = "SELECT n.nspname::text, c.relname::text, \
        pg_catalog.md5(pg_catalog.concat_ws(' ', c.oid, pg_catalog.pg_relation_filenode(c.oid), \
            (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, \
                a.attnotnull, a.attisdropped), ',' ORDER BY a.attnum) \
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0))) \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', '_cutover') AND n.nspname NOT LIKE 'pg\\_t%'";
    let mut shapes = BTreeMap::new();
    for row in session.query(sql, &[]).await.context("cannot read the tables' shapes")? {
        shapes.insert(name(&row)?, row.try_get(2)?);
    }
    Ok(Counters { at, lsn, since, rows, sequences, shapes })
}

/// The name in a row's first two columns, as people write it and as gaps are named.
fn name(row: &tokio_postgres::Row) -> Result<String> {
    Ok(TableName::new(row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?).to_string())
}

/// Something that did not stand still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The table or sequence.
    pub about: String,
    /// What happened, in words that name it.
    pub words: String,
}

impl Counters {
    /// What moved since `before`, in words; nothing when all stood still.
    ///
    /// # Errors
    /// When they cannot be compared: the server was started again, or its counters were set to nothing.
    pub fn moved_since(&self, before: &Self) -> Result<Vec<Moved>> {
        if self.since != before.since {
            bail!(
                "the server was started again or its counters were reset ({} became {}), so whether something was \
                 written in between is unknown; compare the rows, or freeze again",
                before.since,
                self.since
            );
        }
        let mut moved = Vec::new();
        let mut note = |about: &str, words: String| moved.push(Moved { about: about.to_owned(), words });
        for (table, now) in &self.rows {
            let old = before.rows.get(table).copied().unwrap_or_default();
            if *now != old {
                let [inserted, updated, deleted] = [0, 1, 2].map(|at: usize| now[at] - old[at]);
                note(table, format!("rows of {table}: {inserted} inserted, {updated} updated, {deleted} deleted"));
            }
        }
        for (sequence, now) in &self.sequences {
            let old = before.sequences.get(sequence).copied().flatten();
            if *now != old {
                let said = |value: Option<i64>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
                note(sequence, format!("sequence {sequence} went from {} to {}", said(old), said(*now)));
            }
        }
        for table in before.shapes.keys().filter(|table| !self.shapes.contains_key(*table)) {
            note(table, format!("{table} is gone"));
        }
        for (table, now) in &self.shapes {
            match before.shapes.get(table) {
                None => note(table, format!("{table} was made")),
                Some(old) if old != now => note(table, format!("{table} was changed or rewritten")),
                Some(_) => {}
            }
        }
        Ok(moved)
    }
}

/// What the attempts and the counters say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// When it was made, RFC 3339.
    pub at: String,
    /// How many tables were tried.
    pub tables: usize,
    /// How many writes were attempted.
    pub attempts: usize,
    /// Attempts that were not refused.
    pub accepted: Vec<String>,
    /// What moved since the freeze.
    pub moved: Vec<String>,
    /// What moved in tables that the freeze could not reach: its [`Frozen::gaps`] name them.
    pub moved_in_gaps: Vec<String>,
    /// The counters that were compared with those of the freeze.
    pub counters: Counters,
}

impl Proof {
    /// Whether every attempt was refused and nothing moved.
    pub fn is_frozen(&self) -> bool {
        self.accepted.is_empty() && self.moved.is_empty()
    }
}

/// Attempts to write, to every guarded table, in a session as anybody gets it and in one that asks for writing; and
/// compares the counters with those of the freeze. Made before a [`super::hold`], it shows what lasts; under one, many
/// attempts are refused by the lock already.
///
/// # Errors
/// When an attempt cannot be made, or the counters cannot be compared: that is no proof of anything.
pub async fn prove(place: &Place, frozen: &Frozen, say: Say<'_>) -> Result<Proof> {
    let before =
        frozen.counters.as_ref().context("the freeze was not finished, so there is nothing to compare with")?;
    let session = place.connect("cutover").await?;
    let mut tables = guard::tables(&session).await?;
    // All of them at once: a table that foreign keys of others point to cannot be truncated without those.
    let names: Vec<String> = tables.iter().map(|table| table.name.sql()).collect();
    tables.retain(|table| table.is_guarded);
    let mut statements: Vec<String> = tables.iter().flat_map(guard::harmless_writes).collect();
    if !names.is_empty() {
        statements.push(format!("TRUNCATE {}", names.join(", ")));
    }
    let mut accepted = Vec::new();
    for begin in ["BEGIN", "BEGIN READ WRITE"] {
        say(format!("attempting {} writes after {begin}", statements.len()));
        let found = attempt(&session, begin, &statements).await;
        session.batch_execute("ROLLBACK").await.context("cannot roll the attempts back")?;
        accepted.extend(found?.into_iter().map(|statement| format!("{begin}; {statement}")));
    }
    let row = session.query_one("SELECT pg_catalog.current_setting('transaction_read_only')", &[]).await?;
    if row.try_get::<_, String>(0)? != "on" {
        accepted.push("a session of this role may write without asking".to_owned());
    }
    let counters = counters(&session).await?;
    let moved = counters.moved_since(before)?.into_iter();
    let (moved_in_gaps, moved): (Vec<Moved>, Vec<Moved>) =
        moved.partition(|moved| frozen.is_gap("table", &moved.about));
    let words = |moved: Vec<Moved>| moved.into_iter().map(|moved| moved.words).collect();
    let (moved, moved_in_gaps) = (words(moved), words(moved_in_gaps));
    let attempts = statements.len() * 2;
    Ok(Proof { at: clock::now(), tables: tables.len(), attempts, accepted, moved, moved_in_gaps, counters })
}

/// Tries each statement by itself and gives those that were not refused. A lock that the holder keeps refuses, too.
async fn attempt(session: &Session, begin: &str, statements: &[String]) -> Result<Vec<String>> {
    let list: Vec<String> = statements.iter().map(|statement| literal(statement)).collect();
    let block = format!(
        "DO $attempts$ DECLARE statement text; accepted text := ''; BEGIN \
         PERFORM pg_catalog.set_config('lock_timeout', '20ms', true); \
         FOREACH statement IN ARRAY ARRAY[{}]::text[] LOOP \
           BEGIN EXECUTE statement; accepted := accepted || statement || E'\\n'; \
           EXCEPTION WHEN read_only_sql_transaction OR insufficient_privilege OR lock_not_available THEN NULL; END; \
         END LOOP; \
         PERFORM pg_catalog.set_config('cutover.accepted', accepted, true); END $attempts$",
        list.join(", ")
    );
    session.batch_execute(begin).await?;
    session.batch_execute(&block).await.context("the writes cannot be attempted")?;
    let row = session.query_one("SELECT pg_catalog.current_setting('cutover.accepted')", &[]).await?;
    let accepted: String = row.try_get(0)?;
    Ok(accepted.lines().map(str::to_owned).collect())
}
