//! The directory of backups: sealed files, tokens, the list, and which of them may go.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{Format, StoredFile, Token};
use crate::adapter::{clock, files};
use crate::data::plural::counted;
use crate::rows::Say;
use crate::rows::progress::Meter;

/// How the name of a backup begins that is being made.
pub(super) const UNFINISHED: &str = ".making-";
/// How the name of a backup begins that is being removed.
const GOING: &str = ".gone-";
/// The dump, file or directory.
pub(super) const DUMP: &str = "database.dump";
const TOKEN: &str = "token.json";

/// A name that is a directory of its own, and a part of a database's name.
pub(super) fn must_be_a_name(id: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if id.is_empty() || id.len() > 32 || !id.bytes().all(is_plain) {
        bail!("{id:?} cannot name a backup: 1 to 32 letters, digits, - and _ are allowed");
    }
    Ok(())
}

/// Removes a directory with what is in it; one that is not there is no error.
pub(super) fn remove_directory(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Length of a file, or of the files in a directory, for people to see; what cannot be read counts nothing.
pub(super) fn size(path: &Path) -> u64 {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| length(&entry.path())).sum(),
        Err(_) => length(path),
    }
}

/// Makes every file of a dump durable and private, and gives them with their digests.
pub(super) async fn seal(directory: &Path, format: Format, say: Say<'_>) -> Result<Vec<StoredFile>> {
    use std::os::unix::fs::PermissionsExt;
    let dump = directory.join(DUMP);
    let mut paths = vec![dump.clone()];
    if format == Format::Directory {
        paths = std::fs::read_dir(&dump)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .with_context(|| format!("cannot read {}", dump.display()))?;
        paths.sort();
        std::fs::set_permissions(&dump, std::fs::Permissions::from_mode(0o700)).context("cannot close the dump")?;
    }
    let sizes = paths.iter().map(|path| (path.display().to_string(), size(path)));
    let meter = Arc::new(Meter::new("sealed", sizes));
    let (counting, inside) = (Arc::clone(&meter), directory.to_owned());
    let work = tokio::task::spawn_blocking(move || {
        let one = |(at, path): (usize, &PathBuf)| -> Result<StoredFile> {
            let attempt = || -> std::io::Result<()> {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
                std::fs::File::open(path)?.sync_all()
            };
            attempt().with_context(|| format!("cannot make {} durable", path.display()))?;
            stored_file(&inside, path, |bytes| counting.add(at, 0, bytes))
        };
        paths.iter().enumerate().map(one).collect::<Result<Vec<StoredFile>>>()
    });
    let stored = meter.watch(say, work).await??;
    if format == Format::Directory {
        files::sync_directory(&dump).context("cannot make the dump durable")?;
    }
    Ok(stored)
}

/// A file with its digest; an empty one is refused where it stands for a backup by itself.
pub(super) fn stored_file(directory: &Path, path: &Path, each: impl FnMut(u64)) -> Result<StoredFile> {
    let (sha256, bytes) = files::sha256_of_file_counted(path, each)?;
    let inside = path.strip_prefix(directory).context("the file is outside of the backup")?;
    Ok(StoredFile { path: inside.display().to_string(), sha256, bytes })
}

/// Whether every file is there as it was sealed.
pub(super) async fn must_be_sealed(directory: &Path, token: &Token, say: Say<'_>) -> Result<()> {
    let meter = Arc::new(Meter::new("checked", token.files.iter().map(|file| (file.path.clone(), file.bytes))));
    let (counting, directory, id, sealed) =
        (Arc::clone(&meter), directory.to_owned(), token.id.clone(), token.files.clone());
    let work = tokio::task::spawn_blocking(move || {
        sealed
            .iter()
            .enumerate()
            .try_for_each(|(at, file)| must_be_the_same(&directory, &id, file, |bytes| counting.add(at, 0, bytes)))
    });
    meter.watch(say, work).await?
}

fn must_be_the_same(directory: &Path, id: &str, file: &StoredFile, each: impl FnMut(u64)) -> Result<()> {
    let (sha256, bytes) = files::sha256_of_file_counted(&directory.join(&file.path), each)
        .with_context(|| format!("the backup {id} is broken: {} is not there", file.path))?;
    if (sha256.as_str(), bytes) != (file.sha256.as_str(), file.bytes) {
        bail!(
            "the backup {id} is broken: {} has {} and sha256 {}…, sealed were {} and {}…; do not restore it, take a new \
             one",
            file.path,
            counted(bytes, "byte"),
            &sha256[..12],
            counted(file.bytes, "byte"),
            file.sha256.get(..12).unwrap_or_default()
        );
    }
    Ok(())
}

pub(super) fn write_token(directory: &Path, token: &Token) -> Result<()> {
    files::write_json(&directory.join(TOKEN), token, 0o600)
}

/// The token of a backup.
///
/// # Errors
/// When there is none of that id, or it cannot be read.
pub fn read_token(directory: &Path, id: &str) -> Result<Token> {
    must_be_a_name(id)?;
    let path = directory.join(id).join(TOKEN);
    if !path.exists() {
        bail!("there is no backup {id} in {}; `cutover backup list` names those that are", directory.display());
    }
    let token: Token = files::read_json(&path)?;
    if token.id != id {
        bail!("{} is the token of {}, it was moved", path.display(), token.id);
    }
    Ok(token)
}

/// Gives a finished backup its name by one rename; what failed is taken away, so that nothing is left that could be taken
/// for a backup.
///
/// # Errors
/// That of the backup, or when the rename or the taking away fails.
pub(super) fn place(directory: &Path, id: &str, unfinished: &Path, outcome: Result<Token>) -> Result<Token> {
    match outcome {
        Ok(token) => {
            std::fs::rename(unfinished, directory.join(id))
                .and_then(|()| files::sync_directory(directory))
                .context("cannot give the finished backup its name")?;
            Ok(token)
        }
        Err(error) => {
            remove_directory(unfinished).with_context(|| format!("{error:#}; and what it left stays"))?;
            Err(error)
        }
    }
}

/// A backup in the list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Name of its directory.
    pub id: String,
    /// Its token; none where it is broken.
    pub token: Option<Token>,
    /// Why the token cannot be read.
    pub problem: Option<String>,
    /// Age in seconds by the wall clock, for people; none where it cannot be told.
    pub age_s: Option<i64>,
}

/// All backups, the newest first; broken ones stand at the end. No directory is an empty list.
///
/// # Errors
/// When the directory cannot be read.
pub fn list(directory: &Path) -> Result<Vec<Listed>> {
    let now: Option<jiff::Timestamp> = clock::now().parse().ok();
    let mut found = Vec::new();
    for (id, path) in backups(directory)? {
        if !path.is_dir() || must_be_a_name(&id).is_err() {
            continue;
        }
        let (token, problem) = match read_token(directory, &id) {
            Ok(token) => (Some(token), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let taken: Option<jiff::Timestamp> = token.as_ref().and_then(|token| token.taken_at.parse().ok());
        let age_s = now.zip(taken).map(|(now, taken)| now.as_second() - taken.as_second());
        found.push(Listed { id, token, problem, age_s });
    }
    let taken_at = |listed: &Listed| listed.token.as_ref().map(|token| token.taken_at.clone()).unwrap_or_default();
    found.sort_by_key(|listed| std::cmp::Reverse((taken_at(listed), listed.id.clone())));
    Ok(found)
}

fn backups(directory: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", directory.display())),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", directory.display()))?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    Ok(found)
}

/// Removes what killed backups left unfinished, and gives their ids: their scratch databases may be there, too
/// ([`super::sweep_scratch`]). Only for whoever holds the lock: what is being made looks the same.
///
/// # Errors
/// When something cannot be removed.
pub fn sweep_unfinished(directory: &Path) -> Result<Vec<String>> {
    let mut swept = Vec::new();
    for (name, path) in backups(directory)? {
        if let Some(id) = name.strip_prefix(UNFINISHED) {
            remove_directory(&path)?;
            swept.push(id.to_owned());
        } else if name.starts_with(GOING) {
            remove_directory(&path)?;
        }
    }
    Ok(swept)
}

/// Lets the oldest backups of a place go until `keep` are left, and gives the ids of those that went. Never goes the
/// newest one that was proven, nor one of `needed`, nor one whose token cannot be read.
///
/// # Errors
/// When one cannot be removed.
pub fn let_go(directory: &Path, place: &str, keep: usize, needed: &[String]) -> Result<Vec<String>> {
    for (name, path) in backups(directory)? {
        if name.starts_with(GOING) {
            remove_directory(&path)?;
        }
    }
    let listed = list(directory)?;
    let tokens: Vec<&Token> =
        listed.iter().filter_map(|listed| listed.token.as_ref()).filter(|token| token.place == place).collect();
    let newest_proven = tokens.iter().find(|token| token.verified.is_some()).map(|token| token.id.clone());
    let mut gone = Vec::new();
    for token in tokens.into_iter().skip(keep) {
        if Some(&token.id) == newest_proven.as_ref() || needed.contains(&token.id) {
            continue;
        }
        // Under its own name it is whole until it is out of the list.
        let going = directory.join(format!("{GOING}{}", token.id));
        std::fs::rename(directory.join(&token.id), &going)
            .with_context(|| format!("the backup {} cannot be let go", token.id))?;
        remove_directory(&going)?;
        gone.push(token.id.clone());
    }
    Ok(gone)
}
