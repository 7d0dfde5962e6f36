//! What an import is known by. Law: the same for the same files, mapping and user columns, and for no others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use super::{Options, choose};
use crate::adapter::files;
use crate::data::metadata;
use crate::rows::Say;
use crate::rows::progress::Meter;

/// What an import is known by: the same for the same files, mapping and user columns. Reads `metadata.json` and the
/// mapping, and whole files only where nothing is known of them: of those it says how far it is.
///
/// # Errors
/// When a file cannot be read.
pub async fn identity(options: &Options, say: Say<'_>) -> Result<String> {
    let filling = &options.filling;
    let metadata = options.directory.join(metadata::FILE);
    let mut known = Vec::new();
    if metadata.exists() {
        known.push(files::sha256_of_file(&metadata)?.0);
    }
    let read = choose::metadata(&options.directory)?;
    let is_unknown = |path: &PathBuf| {
        let name = name_of(path);
        read.tables.get(choose::stem(&name)).is_none_or(|table| table.sha256.is_none())
    };
    let unknown: Vec<PathBuf> = choose::rows_files(&options.directory)?.into_iter().filter(is_unknown).collect();
    known.extend(told_apart(unknown, say).await?);
    known.sort();
    let known = serde_json::json!({
        "files": known, "mapping": filling.mapping()?.1, "include": filling.include, "exclude": filling.exclude,
        "tables": filling.tables, "userColumns": filling.user_columns, "usersTable": filling.users_table,
        "emptiedUnder": filling.emptied_under(),
    });
    Ok(files::sha256(known.to_string().as_bytes()))
}

/// Names and digests of files of other tools, read whole.
async fn told_apart(paths: Vec<PathBuf>, say: Say<'_>) -> Result<Vec<String>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let sizes = paths.iter().map(|path| (name_of(path), std::fs::metadata(path).map_or(0, |seen| seen.len())));
    let meter = Arc::new(Meter::new("read to know the files again", sizes));
    let counted = Arc::clone(&meter);
    let work = tokio::task::spawn_blocking(move || {
        let one = |(at, path): (usize, &PathBuf)| {
            let digest = files::sha256_of_file_counted(path, |bytes| counted.add(at, 0, bytes))?.0;
            Ok(format!("{} {digest}", name_of(path)))
        };
        paths.iter().enumerate().map(one).collect::<Result<Vec<String>>>()
    });
    meter.watch(say, work).await.context("reading the files was ended")?
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
