//! Databases: connections in use, what was written since the window began, and whether the source is still frozen.

use std::path::Path;

use anyhow::{Context, Result};

use super::host::Number;
use super::window::Window;
use crate::adapter::database::Place;
use crate::judge::ladder::Level;
use crate::judge::rules::{Finding, Rule};
use crate::rows::freeze::{self, FreezeState};

/// The count of writes when the window began, and now.
pub const WRITTEN_BEGIN: &str = "written at the begin";
/// The rule that the source stays frozen.
pub const FROZEN: &str = "source frozen";
/// The count of writes now.
pub const WRITTEN_NOW: &str = "written now";

/// Connections of the target, and how many rows were written to it.
pub async fn target(place: &Place, most: f64, window: &Window) -> ((Rule, Finding), Vec<Number>) {
    let rule = Rule {
        name: "database".into(),
        level: Level::Watch,
        patience_s: 120,
        advice: "look at pg_stat_activity: who holds the connections, and since when".into(),
    };
    match numbers(place).await {
        Err(error) => ((rule, Finding::cannot_ask(format!("{error:#}"))), Vec::new()),
        Ok((used, allowed, written)) => {
            let said = format!("{used} of {allowed} connections in use");
            let is_full = used as f64 > most * allowed as f64;
            let finding = if is_full { Finding::breach(said) } else { Finding::ok(said) };
            let mut kept = vec![(WRITTEN_NOW.to_owned(), written, 0)];
            if window.first(WRITTEN_BEGIN).is_none() {
                kept.push((WRITTEN_BEGIN.to_owned(), written, 0));
            }
            ((rule, finding), kept)
        }
    }
}

async fn numbers(place: &Place) -> Result<(i64, i64, i64)> {
    let session = place.connect("cutover watch").await?;
    let row = session
        .query_one(
            "SELECT (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'), \
             current_setting('max_connections')::bigint, \
             (SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_catalog.pg_stat_user_tables \
              WHERE schemaname <> '_cutover')",
            &[],
        )
        .await
        .with_context(|| format!("cannot read the statistics of {}", place.shown()))?;
    Ok((row.get(0), row.get(1), row.get(2)))
}

/// How many rows were ever put into a table, by the server's own statistics.
///
/// # Errors
/// When the database cannot be asked or has no such table.
pub async fn inserted(place: &Place, table: &str) -> Result<i64> {
    let (schema, name) = table.split_once('.').unwrap_or(("public", table));
    let session = place.connect("cutover watch").await?;
    let row = session
        .query_opt(
            "SELECT n_tup_ins FROM pg_catalog.pg_stat_all_tables WHERE schemaname = $1 AND relname = $2",
            &[&schema, &name],
        )
        .await
        .with_context(|| format!("cannot read the statistics of {}", place.shown()))?;
    row.map(|row| row.get(0)).with_context(|| format!("{} has no table {schema}.{name}", place.shown()))
}

/// Whether the source is still frozen: as its own record says, or else the one in `record`. A source that was never frozen
/// by cutover, or was let go by it, is somebody else's business, and there is no rule then.
pub async fn frozen(place: &Place, record: &Path) -> Option<(Rule, Finding)> {
    let rule = Rule {
        name: FROZEN.into(),
        level: Level::Hold,
        patience_s: 0,
        advice: "find out who writes to the old database: what is written there now is lost; freeze it again".into(),
    };
    let look = async {
        let session = place.connect("cutover watch").await?;
        let kept = freeze::read_record(record)?.filter(|kept| kept.frozen_at.is_some() && kept.undone_at.is_none());
        let recorded = freeze::recorded_in_the_database(&session).await?.or(kept);
        match &recorded {
            Some(recorded) => freeze::state(place, Some(recorded)).await.map(Some),
            None => Ok(None),
        }
    };
    let finding = match look.await {
        Err(error) => Finding::cannot_ask(format!("{error:#}")),
        Ok(None) => return None,
        Ok(Some(FreezeState::Frozen)) => Finding::ok("the source is frozen"),
        Ok(Some(state)) => Finding::breach(format!("the source is {state}")),
    };
    Some((rule, finding))
}
