//! State: the state directory is a private directory of ours that can be written, or can be made.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Ask;
use super::finding::Found;
use super::places;

pub(super) async fn check(ask: &Ask<'_>) -> Found {
    let directory = ask.config().state.directory.clone();
    let what = directory.display().to_string();
    ask.files(what, move || judge(&directory)).await.unwrap_or_else(|found| found)
}

fn judge(directory: &Path) -> Found {
    let shown = directory.display();
    let metadata = match std::fs::metadata(directory) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = places::existing(directory);
            return match places::can_write(directory) {
                Ok(()) => Found::ok(format!("{shown} is not there yet and can be made in {}", parent.display())),
                Err(why) => Found::fail(format!("{shown} cannot be made: {why}"), "make it, or set state.directory"),
            };
        }
        Err(error) => return Found::fail(format!("{shown} cannot be looked at: {error}"), "set state.directory"),
    };
    if !metadata.is_dir() {
        return Found::fail(format!("{shown} is no directory"), "set state.directory");
    }
    let owner = metadata.uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Found::fail(
            format!("{shown} belongs to user {owner}"),
            format!("run cutover as that user, or chown {shown}"),
        );
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Found::fail(format!("{shown} is open to others (mode {mode:04o})"), format!("chmod 700 {shown}"));
    }
    match places::can_write(directory) {
        Ok(()) => Found::ok(format!("{shown} is private and can be written")),
        Err(why) => Found::fail(why, "look at its mount and its rights"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_state_directory_must_be_closed_to_others_or_not_there_yet() {
        let directory = tempfile::tempdir().unwrap();
        let set = |mode| std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o700);
        assert_eq!(judge(directory.path()).verdict, Verdict::Ok);
        assert_eq!(judge(&directory.path().join("later/state")).verdict, Verdict::Ok);
        set(0o750);
        let found = judge(directory.path());
        assert!(found.verdict == Verdict::Fail && found.seen.contains("0750"), "{}", found.seen);
        std::fs::write(directory.path().join("file"), "").unwrap();
        assert_eq!(judge(&directory.path().join("file")).verdict, Verdict::Fail);
    }
}
