//! Before the first file is written: the directory is private, and nothing in it claims to be an export any more.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::unfinished::{Header, Unfinished};
use super::{Options, files_of};
use crate::adapter::database::Place;
use crate::adapter::files;
use crate::data::catalog::Table;
use crate::data::metadata::{self, Metadata};
use crate::data::plural::{counted, verb};
use crate::rows::{Say, auth_export};

pub(super) fn prepare(
    place: &Place,
    options: &Options,
    tables: &[Table],
    exported_at: &str,
    say: Say<'_>,
) -> Result<Unfinished> {
    let directory = &options.directory;
    make_private(directory)?;
    let names: Vec<String> = tables.iter().map(|table| options.file_name(table)).collect();
    let earlier = read(directory)?;
    if let Some(earlier) = &earlier {
        refuse_to_narrow(options, earlier, &names)?;
    }
    let header = Header {
        schema: metadata::SCHEMA.into(),
        source: place.shown().into(),
        exported_at: exported_at.into(),
        files: names.clone(),
    };
    let mut old: Vec<String> = earlier.iter().flat_map(files_of).map(str::to_owned).collect();
    let before = Unfinished::read(directory)?;
    let kept = match &before {
        Some(before) if options.is_frozen => before.usable(&header, directory, tables, options)?,
        _ => Vec::new(),
    };
    old.extend(before.into_iter().flat_map(|before| before.header.files));
    // From here on the directory holds no export: this goes first, and it reaches the disk first.
    files::remove_if_there(&directory.join(metadata::FILE))?;
    let sync = || files::sync_directory(directory).with_context(|| format!("cannot sync {}", directory.display()));
    sync()?;
    let unfinished = Unfinished::begin(directory, header, kept)?;
    files::sweep(directory)?;
    old.extend(auth_export::FILES.iter().map(|name| (*name).to_owned()));
    old.retain(|name| !unfinished.is_kept(name));
    for name in &old {
        files::remove_if_there(&directory.join(name))?;
    }
    sync()?;
    if unfinished.kept_count() > 0 {
        let (kept, count) = (counted(unfinished.kept_count(), "table"), unfinished.kept_count());
        let verb = verb(count, "is", "are");
        say(format!("{kept} {verb} whole from the export that was killed, and the source stood still"));
    }
    Ok(unfinished)
}

fn make_private(directory: &Path) -> Result<()> {
    files::make_private_directory(directory)?;
    let mode =
        std::fs::metadata(directory).with_context(|| format!("cannot read {}", directory.display()))?.permissions();
    if mode.mode() & 0o077 != 0 {
        std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
            .with_context(|| format!("{} is open to others; chmod 700 it", directory.display()))?;
    }
    Ok(())
}

fn read(directory: &Path) -> Result<Option<Metadata>> {
    let path = directory.join(metadata::FILE);
    if !path.exists() {
        return Ok(None);
    }
    let found: Metadata = files::read_json(&path)?;
    if !found.is_ours() && !found.tables.is_empty() {
        bail!(
            "{} was written by another tool, and an export would replace it; choose another directory, or move it away",
            path.display()
        );
    }
    Ok(Some(found))
}

/// A few tables must not take the place of a whole export.
fn refuse_to_narrow(options: &Options, earlier: &Metadata, names: &[String]) -> Result<()> {
    let stem = |name: &str| name.trim_end_matches(".zst").to_owned();
    let lost: Vec<&str> = files_of(earlier).filter(|name| !names.iter().any(|new| stem(new) == stem(name))).collect();
    let is_narrowed = !options.tables.is_empty() || options.skip_large.is_some();
    if is_narrowed && !lost.is_empty() {
        bail!(
            "{} holds an export of {} with {} more tables ({}…), and this one would replace it; choose another directory \
             with --output-dir, or remove it with `cutover data purge --all`",
            options.directory.display(),
            earlier.exported_at.as_deref().unwrap_or("an unknown time"),
            lost.len(),
            lost[0]
        );
    }
    Ok(())
}
