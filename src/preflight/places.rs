//! Directories that need not exist yet: the nearest one that does tells room and rights. Reads only.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

/// Room on the file system of a place.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// The directory that was asked: the place itself, or its nearest parent that exists.
    pub(super) at: PathBuf,
    /// Bytes that this user may still write.
    pub(super) free: u64,
    /// Bytes in all.
    pub(super) total: u64,
    /// Inodes left.
    pub(super) inodes_free: u64,
    /// Inodes in all; 0 where the file system does not count them.
    pub(super) inodes: u64,
}

/// The place itself, or its nearest parent that exists.
pub(super) fn existing(path: &Path) -> &Path {
    path.ancestors().find(|place| place.exists()).unwrap_or_else(|| Path::new("/"))
}

/// The room at a place.
pub(super) fn room(path: &Path) -> Result<Room, String> {
    let at = existing(path).to_owned();
    let found = statvfs(&at).map_err(|error| format!("{} cannot be asked: {error}", at.display()))?;
    Ok(Room {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
        inodes_free: found.f_favail,
        inodes: found.f_files,
        at,
    })
}

/// Whether this user may make entries at a place, or make the place itself.
pub(super) fn can_write(path: &Path) -> Result<(), String> {
    let at = existing(path);
    if !at.is_dir() {
        return Err(format!("{} is no directory", at.display()));
    }
    access(at, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| format!("{} cannot be written: {error}", at.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_yet_is_judged_by_its_nearest_parent() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a/b/c");
        assert_eq!(existing(&place), directory.path());
        let room = room(&place).unwrap();
        assert!(room.at == directory.path() && room.free <= room.total && room.total > 0, "{room:?}");
        assert_eq!(can_write(&place), Ok(()));
        assert!(!place.exists(), "a look makes nothing");
    }

    #[test]
    fn a_file_in_a_directorys_place_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(can_write(file.path()).unwrap_err().contains("is no directory"));
    }
}
