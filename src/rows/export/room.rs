//! Whether an export may stand where it is to stand: not where git would pick it up, and only where there is room.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::adapter::files::spoken_size;
use crate::adapter::process::{Command, Process, ProcessError};
use crate::data::catalog::Table;

/// Refuses a directory in a git work tree that does not ignore it: sooner or later somebody commits everybody's rows.
///
/// # Errors
/// When it is in a work tree and not ignored, or whether it is cannot be asked.
pub async fn refuse_in_work_tree(process: &Process, directory: &Path) -> Result<()> {
    let directory = absolute(directory)?;
    let Some(tree) = directory.ancestors().find(|parent| parent.join(".git").exists()) else { return Ok(()) };
    if directory == tree {
        bail!("{} is the root of a git work tree; choose a directory of its own", directory.display());
    }
    let advice = || {
        let inside = directory.strip_prefix(tree).unwrap_or(&directory).display();
        format!("add the line `/{inside}/` to {}, or choose a directory outside", tree.join(".gitignore").display())
    };
    let Ok(git) = which::which("git") else {
        bail!(
            "{} is in the git work tree {}, and git is not there to say whether it is ignored; install git, or choose \
             a directory outside",
            directory.display(),
            tree.display()
        );
    };
    // A file that no other pattern can mean: only a pattern for the whole directory ignores it.
    let probe = directory.join("rows-of-everybody");
    let mut command = Command::new(git, ["-c", "safe.directory=*", "check-ignore", "-q", "--"]);
    command.arguments.push(probe.display().to_string());
    command.directory = Some(tree.to_owned());
    match process.run(command, &|_| ()).await {
        Ok(_) => Ok(()),
        Err(ProcessError::Failed { ended, stderr, .. }) if stderr.trim().is_empty() && ended.contains('1') => {
            bail!(
                "{} is in the git work tree {} and not ignored there, so that rows of users could be committed; {}",
                directory.display(),
                tree.display(),
                advice()
            )
        }
        Err(error) => Err(error).with_context(|| {
            format!("cannot find out whether {} is ignored by git; {}", directory.display(), advice())
        }),
    }
}

/// The path without links as far as it exists; what does not exist yet stays as it is written.
fn absolute(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))?;
    for parent in path.ancestors() {
        if let Ok(real) = parent.canonicalize() {
            let rest = path.strip_prefix(parent).unwrap_or(Path::new(""));
            return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
        }
    }
    Ok(path)
}

/// Refuses to begin where the tables will hardly fit. What an earlier export left there gives its room back first.
pub(super) fn check_space(directory: &Path, tables: &[Table], is_compressed: bool) -> Result<()> {
    let directory = absolute(directory)?;
    let there = directory.ancestors().find(|parent| parent.is_dir()).unwrap_or(Path::new("/"));
    let space =
        rustix::fs::statvfs(there).with_context(|| format!("cannot ask for the room in {}", there.display()))?;
    let mut free = space.f_bavail.saturating_mul(space.f_frsize);
    for name in super::files_there(&directory)? {
        free += std::fs::metadata(directory.join(name)).map_or(0, |file| file.len());
    }
    let rows: u64 = tables.iter().map(|table| table.bytes).sum();
    // One gigabyte of rows was seen to become 1.5 as JSON, and a third of one compressed.
    let needed = if is_compressed { rows / 2 } else { rows.saturating_add(rows / 2) };
    if needed > free {
        bail!(
            "{} has {} free, and the tables need about {} there; free some, choose another directory, or compress",
            there.display(),
            spoken_size(free),
            spoken_size(needed)
        );
    }
    Ok(())
}
