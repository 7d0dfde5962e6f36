//! Restore: a backup goes into a new database beside the live one. Law: the live one is never written to.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{BackupOptions, Kind, Place, Say, Token, Tools, contents, databases, scratch, shelf};
use crate::adapter::database::Session;
use crate::data::plural::{counted, verb};

/// What a restore needs to know.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RestoreOptions {
    /// Which backup, and how it is worked on.
    pub backup: BackupOptions,
    /// Whether owners and grants are restored; a managed server's role may only own things itself.
    pub keeps_owners: bool,
}

/// A restored database, not yet in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Its name; [`super::flip`] gives it the live one's.
    pub database: String,
    /// How many rows were compared with the token.
    pub rows: u64,
    /// The backup.
    pub from: String,
    /// What this role may not give the new database, as statements for one that may: settings of other roles, an owner.
    pub left: Vec<String>,
}

/// Restores a backup into `DATABASE_restored_ID` on the live database's server, compares every row and sequence with
/// the token, and gives it the live one's owner, grants and settings. Called again, it begins anew.
///
/// # Errors
/// When the backup is broken, a database of that name is not ours, the restore fails or the rows differ; the new
/// database is then dropped again.
pub async fn restore(live: &Place, tools: &Tools, options: &RestoreOptions, say: Say<'_>) -> Result<Restored> {
    let backup = &options.backup;
    let token = shelf::read_token(&backup.directory, &backup.id)?;
    if token.kind != Kind::Database {
        bail!("the backup {} was made by a command; its own command brings it back", token.id);
    }
    shelf::must_be_sealed(&backup.directory.join(&backup.id), &token, say).await?;
    databases::may_be_made(live, &backup.session).await?;
    let name = format!("{}_restored_{}", live.database(), backup.id);
    if name.len() > 63 {
        bail!("the name {name} is longer than the 63 bytes that the server keeps; take a backup with a shorter id");
    }
    let admin = databases::admin(live, &backup.session).await?;
    match databases::comment_of(&admin, &name).await? {
        Some(comment) if !comment.starts_with(databases::OURS) => {
            bail!("a database {name} is there and was not restored by cutover; rename or drop it first");
        }
        Some(_) => databases::drop(&admin, &name).await?,
        None => {}
    }
    databases::make(&admin, &name, &token.shape, "restored, not in use").await?;
    match fill(live, &name, tools, options, &token, say).await {
        Ok((rows, left)) => Ok(Restored { database: name, rows, from: token.id, left }),
        Err(error) => {
            databases::drop(&admin, &name).await.with_context(|| format!("{error:#}; and it stays there"))?;
            Err(error)
        }
    }
}

async fn fill(
    live: &Place,
    name: &str,
    tools: &Tools,
    options: &RestoreOptions,
    token: &Token,
    say: Say<'_>,
) -> Result<(u64, Vec<String>)> {
    let backup = &options.backup;
    let place = live.with_database(name);
    say(format!("restoring {} into {}", token.id, place.shown()));
    let words: &[&str] = if options.keeps_owners { &[] } else { &["--no-owner", "--no-privileges"] };
    let directory = backup.directory.join(&backup.id);
    scratch::fill(&place, tools, backup, &directory, token, words, say).await.context("the restore failed")?;
    let restored = contents(&place, None, backup.jobs, &backup.session, &[], say).await?;
    let mut found = token.contents.differences(&restored);
    found.extend(token.contents.sequence_differences(&restored));
    if !found.is_empty() {
        bail!("what was restored is not what the backup {} holds: {}", token.id, found.join("; "));
    }
    let rows = restored.rows();
    say(format!("{} {} the same as in the backup", counted(rows, "row"), verb(rows, "is", "are")));
    thaw(&databases::admin(&place, &backup.session).await?, say).await?;
    let from = databases::admin(live, &backup.session).await?;
    let left = databases::dress(&from, name).await?;
    for statement in &left {
        say(format!("this role may not say it, somebody else must: {statement}"));
    }
    // The mark stays until the names are exchanged: until then it may be restored anew.
    Ok((restored.rows(), left))
}

/// A backup of a frozen database restores the triggers that refuse writes, too; here they would be in the way.
async fn thaw(session: &Session, say: Say<'_>) -> Result<()> {
    let sql = "SELECT pg_catalog.to_regprocedure('_cutover.refuse_writes()') IS NOT NULL";
    if session.query_one(sql, &[]).await?.try_get::<_, bool>(0)? {
        let sql = "BEGIN; DROP FUNCTION _cutover.refuse_writes() CASCADE; DROP TABLE IF EXISTS _cutover.freeze; COMMIT";
        session.batch_execute(sql).await.context("the freeze that was in the backup cannot be taken away")?;
        say("the backup was taken of a frozen database; what was restored takes writes".to_owned());
    }
    Ok(())
}
