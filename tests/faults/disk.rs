//! Disks that are full: where the backup goes, where the journal begins, and under a run that is at work.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::path::Path;
use std::process::Command;

use crate::support::live::says;
use crate::support::project::Project;

/// A file system of its own in the project's directory.
struct SmallDisk<'a> {
    project: &'a Project,
    name: &'a str,
}

impl<'a> SmallDisk<'a> {
    fn new(project: &'a Project, name: &'a str, size: &str) -> Self {
        let path = project.path(name);
        std::fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"]).arg(&path);
        assert!(mount.status().unwrap().success(), "mounting needs root");
        Self { project, name }
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.filling()).unwrap();
        for block in [64 * 1024, 4096, 1] {
            while std::io::Write::write_all(&mut file, &vec![0_u8; block]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.filling()).unwrap();
    }

    fn filling(&self) -> std::path::PathBuf {
        self.project.path(self.name).join("filling")
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.project.path(self.name)).status());
    }
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_disk_that_fills_up_at_the_backup_leaves_no_half_backup_and_changes_nothing() {
    let project = Project::new("fullbackup");
    project.configure("[backup]\ndirectory = \"backups\"");
    project.deploy("1");
    let before = project.containers();
    // More than the disk takes, also when it is compressed.
    project.sql("INSERT INTO items(name) SELECT md5(random()::text) FROM generate_series(1, 40000)");
    let disk = SmallDisk::new(&project, "backups", "256k");
    project.set("TAG", "2");

    let text = project.expect(1, &["deploy", "--yes", "--skip-checks"]);

    says(
        &text,
        &[
            "FAILED, NOTHING CHANGED",
            "back_up_database",
            "r1 is as it was",
            "write /dev/stdout: no space left on device",
        ],
    );
    assert_eq!(project.containers(), before);
    assert_eq!(names(&project.path("backups")), Vec::<String>::new(), "what is no backup must not look like one");
    drop(disk);
    project.deploy("2");
    assert_eq!(names(&project.path("backups")).len(), 2, "the dump and its manifest");
}

#[test]
fn a_disk_without_room_for_a_journal_lets_no_run_begin() {
    let project = Project::new("fulljournal");
    project.edit("cutover.toml", "min_disk = \"10MiB\"", "min_disk = \"0B\"");
    let disk = SmallDisk::new(&project, "state", "4m");
    project.expect(0, &["deploy", "--yes", "--skip-checks"]);
    let before = project.containers();
    project.set("TAG", "2");
    disk.fill();

    let text = project.expect(1, &["deploy", "--yes", "--skip-checks"]);

    says(&text, &["No space left on device"]);
    assert_eq!(project.containers(), before);
    assert!(project.journal(2).is_empty());
    says(&project.expect(0, &["status"]), &["OK: r1 serves"]);
    disk.empty();
    project.expect(0, &["deploy", "--yes", "--skip-checks"]);
}

#[test]
fn a_disk_that_fills_up_under_a_run_ends_it_in_words_and_the_journal_goes_on() {
    let project = Project::new("fullrun");
    project.edit("cutover.toml", "min_disk = \"10MiB\"", "min_disk = \"0B\"");
    let disk = SmallDisk::new(&project, "state", "8m");
    project.expect(0, &["deploy", "--yes", "--skip-checks"]);
    let first = project.images();
    project.set("TAG", "2");
    project.edit("cutover.toml", "observe = \"200ms\"", "observe = \"10m\"");
    let run = project.start(&["deploy", "--yes", "--skip-checks"]);
    project.await_fact(2, "started", "expect_steady");
    disk.fill();

    // Something goes wrong, and the way back has to be written down on the full disk.
    project.docker(&["stop", "--time", "1", &project.container("worker")]);

    says(&run.expect(7), &["FAILED AND ROLLED BACK", "r1 is back"]);
    assert_eq!(project.images(), first);
    disk.empty();
    says(&project.expect(0, &["history", "2"]), &["expect_steady"]);
    says(&project.expect(0, &["status"]), &["OK: r1 serves"]);
}
