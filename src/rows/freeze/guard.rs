//! Layer d: a trigger on every table that refuses each statement that writes rows, whoever sends it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio_postgres::error::SqlState;

use super::waiting::{self, Other, Waiting};
use super::{FreezeOptions, Frozen, sessions};
use crate::adapter::clock::{Stopwatch, spoken};
use crate::adapter::database::Session;
use crate::data::catalog::{TableName, quoted};
use crate::rows::Say;

/// The trigger's name.
pub(in crate::rows) const TRIGGER: &str = "_cutover_refuse_writes";

/// 25006 is what a read-only transaction answers too, so that applications which know the one know the other.
const FUNCTION: &str =
    "CREATE OR REPLACE FUNCTION _cutover.refuse_writes() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '25006',
        MESSAGE = pg_catalog.format('%s on %I.%I is refused: this database is frozen, its rows are moving elsewhere',
            TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME),
        HINT = 'cutover data unfreeze takes the freeze back';
END
$refuse$";

/// A table that can hold rows, partitions and their parents included.
pub(super) struct Guardable {
    pub name: TableName,
    /// Its owner.
    pub owner: String,
    /// Whether the role may change it.
    pub is_ours: bool,
    /// Whether the role may lock it against writing.
    pub is_lockable: bool,
    /// Whether the trigger is there and fires.
    pub is_guarded: bool,
    /// A column that an UPDATE may name.
    pub column: Option<String>,
}

/// Every table whose rows could be written.
pub(super) async fn tables(session: &Session) -> Result<Vec<Guardable>> {
    let sql = "SELECT n.nspname::text, c.relname::text, pg_catalog.pg_get_userbyid(c.relowner)::text, \
        pg_catalog.pg_has_role(c.relowner, 'USAGE'), \
        EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = $1::text \
            AND t.tgfoid = pg_catalog.to_regprocedure('_cutover.refuse_writes()') AND t.tgenabled IN ('A', 'O')), \
        (SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 \
            AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a' ORDER BY a.attnum LIMIT 1), \
        pg_catalog.has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', '_cutover') AND n.nspname NOT LIKE 'pg\\_toast%' \
        ORDER BY 1, 2";
    let rows = session.query(sql, &[&TRIGGER]).await.context("cannot list the tables")?;
    let table = |row: &tokio_postgres::Row| -> Result<Guardable> {
        Ok(Guardable {
            name: TableName::new(row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?),
            owner: row.try_get(2)?,
            is_ours: row.try_get(3)?,
            is_lockable: row.try_get(6)?,
            is_guarded: row.try_get(4)?,
            column: row.try_get(5)?,
        })
    };
    rows.iter().map(table).collect()
}

/// Whether the triggers' function is there.
pub(super) async fn is_any_left(session: &Session) -> Result<bool> {
    let sql = "SELECT pg_catalog.to_regprocedure('_cutover.refuse_writes()') IS NOT NULL";
    Ok(session.query_one(sql, &[]).await.context("cannot look for triggers of a freeze")?.try_get(0)?)
}

/// Puts the trigger on every table that has none, in one transaction; writers that hold a table are ended.
pub(super) async fn put_up(
    session: &Session,
    frozen: &mut Frozen,
    options: &FreezeOptions,
    watch: &Stopwatch,
    say: Say<'_>,
) -> Result<()> {
    let mut waiting = Waiting::default();
    loop {
        match attempt(session, frozen).await {
            Ok(count) => {
                frozen.guarded = count;
                return Ok(());
            }
            Err(error) if is_in_the_way(&error) => {
                session.batch_execute("ROLLBACK").await.context("cannot give up a transaction")?;
                let left = sessions::end_lockers(session, say).await?;
                waiting.look(&left, "transactions that write", watch.left(options.deadline()), say);
                if watch.left(options.deadline()).is_none() {
                    let names: Vec<String> = left.iter().map(Other::words).collect();
                    let who = if left.is_empty() { "others".to_owned() } else { names.join("; ") };
                    bail!(
                        "tables stay locked by {who} for longer than {}, so they cannot be made to refuse writes; \
                         end those sessions and freeze again",
                        spoken(options.deadline())
                    );
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether somebody else's lock was the matter.
fn is_in_the_way(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    code == Some(&SqlState::LOCK_NOT_AVAILABLE) || code == Some(&SqlState::T_R_DEADLOCK_DETECTED)
}

async fn attempt(session: &Session, frozen: &mut Frozen) -> Result<usize> {
    session.batch_execute("BEGIN").await?;
    session.batch_execute(FUNCTION).await.context("cannot make the function of the triggers in _cutover")?;
    let mut guarded = 0;
    frozen.gaps.retain(|gap| gap.kind != "table");
    for table in tables(session).await? {
        if table.is_guarded {
            guarded += 1;
            continue;
        }
        let name = table.name.sql();
        let trigger = format!(
            "DROP TRIGGER IF EXISTS {TRIGGER} ON {name}; \
             CREATE TRIGGER {TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {name} \
             FOR EACH STATEMENT EXECUTE FUNCTION _cutover.refuse_writes(); \
             ALTER TABLE {name} ENABLE ALWAYS TRIGGER {TRIGGER}"
        );
        // Whoever holds the TRIGGER privilege alone may create one; that it fires in every replication role needs
        // ownership, and so does the end of it, but not of its function.
        let created = format!(
            "CREATE TRIGGER {TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {name} \
             FOR EACH STATEMENT EXECUTE FUNCTION _cutover.refuse_writes()"
        );
        let statement = if table.is_ours { trigger } else { created };
        match session.batch_execute(&format!("SAVEPOINT one; {statement}; RELEASE one")).await {
            Ok(()) => guarded += 1,
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                session.batch_execute("ROLLBACK TO one").await?;
                let words = format!("it belongs to {} and this role may not put a trigger on it", table.owner);
                frozen.gap("table", table.name.to_string(), words);
            }
            Err(error) => return Err(error.into()),
        }
    }
    session.batch_execute("COMMIT").await?;
    Ok(guarded)
}

/// Whether every required table is guarded, and every other one that was not noted as out of reach.
pub(super) async fn must_stand(session: &Session, options: &FreezeOptions, frozen: &Frozen) -> Result<()> {
    let tables = tables(session).await?;
    let open = |name: &TableName| !tables.iter().any(|table| &table.name == name && table.is_guarded);
    let missing: Vec<String> = options.required.iter().filter(|name| open(name)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        let why = frozen.gaps.iter().filter(|gap| gap.kind == "table" && missing.contains(&gap.about));
        let why: Vec<String> = why.map(|gap| format!("{}: {}", gap.about, gap.words)).collect();
        bail!(
            "these tables cannot be made to refuse writes: {}{}; freeze as their owner, or leave them out",
            missing.join(", "),
            if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) }
        );
    }
    let made_since = tables.iter().find(|table| !table.is_guarded && !frozen.is_gap("table", &table.name.to_string()));
    match made_since {
        Some(table) => bail!("the table {} was made while the others were frozen; freeze again", table.name),
        None => Ok(()),
    }
}

/// Takes every trigger away, in one transaction. Nothing there is no error.
pub(super) async fn take_down(session: &Session, deadline: Duration, say: Say<'_>) -> Result<()> {
    let (watch, mut waiting) = (Stopwatch::start(), Waiting::default());
    while is_any_left(session).await? {
        // What depends on the function are the triggers; the owner of the function may drop them on any table.
        let sql = "SET client_min_messages = warning; DROP FUNCTION _cutover.refuse_writes() CASCADE";
        match session.batch_execute(sql).await.map_err(anyhow::Error::from) {
            Ok(()) => return Ok(()),
            Err(error) if is_in_the_way(&error) && watch.left(deadline).is_some() => {
                let others = waiting::lockers(session, true).await?;
                waiting.look(&others, "transactions that read or write", watch.left(deadline), say);
            }
            Err(error) => return Err(error.context("the triggers of the freeze cannot be taken away")),
        }
    }
    Ok(())
}

/// The table's name with its one column, for statements that touch no row.
pub(super) fn harmless_writes(table: &Guardable) -> Vec<String> {
    let name = table.name.sql();
    let mut statements =
        vec![format!("INSERT INTO {name} SELECT WHERE false"), format!("DELETE FROM {name} WHERE false")];
    if let Some(column) = table.column.as_deref().map(quoted) {
        statements.push(format!("UPDATE {name} SET {column} = {column} WHERE false"));
    }
    statements
}
