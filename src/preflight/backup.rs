//! Backup: there is a place for it that can be written, and room for a backup and its trial.

use std::path::Path;

use super::Ask;
use super::finding::{Found, Parts};
use super::places;
use super::reads::DatabaseSight;
use crate::adapter::files::spoken_size;

/// Room for the dump and as much again; a dump is compressed, its trial is not.
const TIMES: u64 = 2;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let config = ask.config();
    if config.backup.enabled == Some(false) {
        return Found::skipped("backup.enabled is false: no backup is taken");
    }
    let mut parts = Parts::default();
    let mut size = None;
    match ask.database().await {
        Ok(sight) => match &*sight {
            DatabaseSight::None if config.backup.enabled == Some(true) => {
                return Found::fail("a backup is wanted, but the stack shows no PostgreSQL", "set backup.service");
            }
            DatabaseSight::None => return Found::skipped("the stack owns no PostgreSQL: no backup is taken"),
            DatabaseSight::NotDeployed(_) => {}
            DatabaseSight::Asked(_, Ok(sight)) => size = Some(sight.bytes),
            DatabaseSight::NotRunning(..) | DatabaseSight::Asked(_, Err(_)) => {
                parts.unknown("how large a backup will be is not known", "see the check database");
            }
        },
        Err(unread) => parts.push(unread.found("how large a backup will be")),
    }
    let directory = config.backup_directory();
    let looked = ask.files(directory.display().to_string(), move || judge(&directory, size)).await;
    parts.push(looked.unwrap_or_else(|found| found));
    parts.found("")
}

fn judge(directory: &Path, size: Option<u64>) -> Found {
    let shown = directory.display();
    if let Err(why) = places::can_write(directory) {
        return Found::fail(format!("no backup can be written to {shown}: {why}"), "make it, or set backup.directory");
    }
    let (Some(size), room) = (size, places::room(directory)) else {
        return Found::ok(format!("{shown} can be written"));
    };
    let needed = size.saturating_mul(TIMES);
    match room {
        Ok(room) if room.free < needed => Found::fail(
            format!(
                "{shown} has {} free; a backup and its trial may need {}",
                spoken_size(room.free),
                spoken_size(needed)
            ),
            "free some space there, or set backup.directory",
        ),
        Ok(room) => Found::ok(format!(
            "{shown} can be written; {} free for a database of {}",
            spoken_size(room.free),
            spoken_size(size)
        )),
        Err(why) => Found::unknown(why, "look at its mount"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;

    #[test]
    fn a_backup_needs_a_place_and_room() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("backups");
        assert_eq!(judge(&place, Some(1)).verdict, Verdict::Ok);
        assert_eq!(judge(&place, None).verdict, Verdict::Ok);
        assert_eq!(judge(&place, Some(u64::MAX)).verdict, Verdict::Fail);
        std::fs::write(&place, "").unwrap();
        assert_eq!(judge(&place, Some(1)).verdict, Verdict::Fail);
    }
}
