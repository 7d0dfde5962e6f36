//! A full disk: a run without room is not begun, and one that was begun has its room until its end.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![allow(dead_code, reason = "this file uses its own part of the helpers")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use cutover::journal::{Journal, JournalError, read};

#[path = "journal_faults/build.rs"]
mod build;

use build::{noon, note, planned};

/// Runs another test of this binary with a small disk of its own at `/mnt`, in a mount namespace that ends with it.
#[expect(clippy::disallowed_methods, reason = "the child under test is this binary itself, on a small disk")]
fn on_a_disk_of(size: &str, test: &str) {
    let shell = format!("mount -t tmpfs -o size={size} small /mnt && exec \"$0\" --exact {test} --ignored --nocapture");
    let output = std::process::Command::new("unshare")
        .args(["--mount", "--map-root-user", "bash", "-c", &shell])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let heard = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && heard.contains("1 passed"), "{heard}");
}

/// Fills the disk to its last byte.
fn fill(path: &Path) {
    let mut filler = File::options().append(true).create(true).open(path).unwrap();
    for size in [65536, 4096, 512, 1] {
        while filler.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn without_room_no_journal_is_begun() {
    on_a_disk_of("256k", "on_a_disk_without_room");
}

#[test]
#[ignore = "it needs a small disk at /mnt, which another test gives it"]
fn on_a_disk_without_room() {
    let path = Path::new("/mnt/0001-deploy.jsonl");
    let error = Journal::create(path, "b".into(), noon).unwrap_err();
    let expected = "cannot find room for the journal /mnt/0001-deploy.jsonl: No space left on device (os error 28)";
    assert_eq!(error.to_string(), expected);
    assert!(!path.exists(), "nothing is left that looks like a run");
}

#[test]
fn a_run_that_was_begun_has_its_room_until_its_end() {
    on_a_disk_of("1m", "on_a_disk_that_fills_up");
}

#[test]
#[ignore = "it needs a small disk at /mnt, which another test gives it"]
fn on_a_disk_that_fills_up() {
    let (path, filler) = (Path::new("/mnt/0001-deploy.jsonl"), Path::new("/mnt/filler"));
    let mut journal = Journal::create(path, "b".into(), noon).unwrap();
    journal.append(planned(1, &build::plan(false))).unwrap();
    fill(filler);
    for _ in 0..200 {
        journal.append(note("on a full disk")).unwrap();
    }
    drop(journal);
    // The same after an interruption: going on neither needs more room nor gives the room away.
    let (mut journal, entries) = Journal::go_on(path, "b".into(), noon).unwrap();
    assert_eq!(entries.len(), 201);
    fill(filler);
    for _ in 0..200 {
        journal.append(note("on a full disk")).unwrap();
    }
    assert_eq!(read(path).unwrap().len(), 401);
}

#[test]
fn a_line_that_does_not_fit_leaves_the_journal_as_it_was() {
    on_a_disk_of("1m", "on_a_disk_that_ends_in_the_middle_of_a_line");
}

#[test]
#[ignore = "it needs a small disk at /mnt, which another test gives it"]
fn on_a_disk_that_ends_in_the_middle_of_a_line() {
    let path = Path::new("/mnt/0001-deploy.jsonl");
    let mut journal = Journal::create(path, "b".into(), noon).unwrap();
    journal.append(planned(1, &build::plan(false))).unwrap();
    fill(Path::new("/mnt/filler"));
    let long = note(&"long ".repeat(4000));
    let (before, error) = loop {
        let before = fs::read(path).unwrap();
        if let Err(error) = journal.append(long.clone()) {
            break (before, error);
        }
    };
    assert!(matches!(error, JournalError::Io { act: "write to", .. }));
    assert!(error.to_string().starts_with("cannot write to the journal /mnt/0001-deploy.jsonl: No space"), "{error}");
    assert_eq!(fs::read(path).unwrap(), before);
    journal.append(note("short")).unwrap();
    read(path).unwrap();
}
