//! The trial: a dump is restored into a scratch database, its rows are compared with the token, the scratch is dropped.

use anyhow::{Context, Result, bail};

use super::shelf;
use super::{BackupOptions, Call, Contents, Format, Kind, Place, Say, Token, Tools, Verified};
use super::{clock, contents, databases};
use crate::adapter::database::Session;
use crate::adapter::files;
use crate::data::plural::{counted, verb};

/// The name of a backup's scratch database: the same for the same backup, and another for one of the same id elsewhere.
fn name_of(of: &str, options: &BackupOptions) -> String {
    let digest = files::sha256(format!("{} {of}", options.directory.display()).as_bytes());
    format!("cutover_scratch_{}_{}", options.id, &digest[..8])
}

/// Drops the scratch database that a killed backup or check left on the server of `trial`; `of` is the place that the
/// backup is of, as it is shown. Gives whether there was one.
///
/// # Errors
/// When it cannot be dropped.
pub async fn sweep_scratch(trial: &Place, of: &str, options: &BackupOptions) -> Result<bool> {
    let admin = databases::admin(trial, &options.session).await?;
    let name = name_of(of, options);
    let is_there = databases::comment_of(&admin, &name).await?.is_some();
    databases::drop(&admin, &name).await?;
    Ok(is_there)
}

/// Checks a backup again: its files are as they were sealed, and they restore to the rows of its token. The token then
/// says when that was. One that was made by a command is checked for its files only.
///
/// # Errors
/// When a file is missing or changed, or the restored rows differ: each is named.
pub async fn verify(trial: &Place, tools: &Tools, options: &BackupOptions, say: Say<'_>) -> Result<Token> {
    let mut token = shelf::read_token(&options.directory, &options.id)?;
    let directory = options.directory.join(&options.id);
    shelf::must_be_sealed(&directory, &token, say).await?;
    let files = token.files.len();
    say(format!("{} {} as sealed", counted(files, "file"), verb(files, "is", "are")));
    if token.kind != Kind::Database {
        return Ok(token);
    }
    databases::may_be_made(trial, &options.session).await?;
    let restored = try_out(trial, tools, options, &directory, &token, say).await?;
    let found = token.contents.sequence_differences(&restored);
    if !found.is_empty() {
        bail!("the backup {} restores with other sequences: {}", token.id, found.join("; "));
    }
    token.verified = Some(Verified { at: clock::now(), rows: restored.rows(), scratch: trial.shown().into() });
    shelf::write_token(&directory, &token)?;
    Ok(token)
}

/// Restores into a scratch database and compares every row; gives what was found there.
pub(super) async fn try_out(
    trial: &Place,
    tools: &Tools,
    options: &BackupOptions,
    directory: &std::path::Path,
    token: &Token,
    say: Say<'_>,
) -> Result<Contents> {
    let name = name_of(&token.place, options);
    let admin = databases::admin(trial, &options.session).await?;
    databases::drop(&admin, &name).await?;
    databases::make(&admin, &name, &token.shape, "scratch").await?;
    let scratch = trial.with_database(&name);
    let outcome = fill_and_compare(&scratch, tools, options, directory, token, say).await;
    // The session may be as old as the trial was long.
    let admin = if admin.is_closed() { databases::admin(trial, &options.session).await? } else { admin };
    match (outcome, drop_scratch(&admin, &name).await) {
        (Ok(restored), Ok(())) => Ok(restored),
        (Ok(_), Err(error)) => Err(error),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(left)) => Err(error.context(format!("and {left:#}"))),
    }
}

async fn drop_scratch(admin: &Session, name: &str) -> Result<()> {
    databases::drop(admin, name).await.with_context(|| format!("the scratch database {name} stays"))
}

async fn fill_and_compare(
    scratch: &Place,
    tools: &Tools,
    options: &BackupOptions,
    directory: &std::path::Path,
    token: &Token,
    say: Say<'_>,
) -> Result<Contents> {
    say(format!("restoring on trial into {}", scratch.shown()));
    let harmless = ["--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions"];
    fill(scratch, tools, options, directory, token, &harmless, say).await.context("the backup cannot be restored")?;
    let restored = contents(scratch, None, options.jobs, &options.session, &[], say).await?;
    let found = token.contents.differences(&restored);
    if found.is_empty() {
        return Ok(restored);
    }
    bail!("the backup does not hold what was dumped: {}", found.join("; "));
}

/// Runs pg_restore into an empty database.
pub(super) async fn fill(
    into: &Place,
    tools: &Tools,
    options: &BackupOptions,
    directory: &std::path::Path,
    token: &Token,
    words: &[&str],
    say: Say<'_>,
) -> Result<()> {
    let mut arguments = vec!["--exit-on-error".to_owned(), format!("--jobs={}", options.jobs.max(1))];
    let format = if token.format == Some(Format::Directory) { "directory" } else { "custom" };
    arguments.push(format!("--format={format}"));
    arguments.extend(words.iter().map(|&word| word.to_owned()));
    arguments.push(directory.join(shelf::DUMP).display().to_string());
    let (session, deadline) = (options.session.as_str(), options.deadline());
    let call = Call { program: "pg_restore", arguments, directory, session, deadline };
    super::with_growth(into, session, say, tools.run(into, call, &|_| ())).await?
}
