//! The shim that kills at an exact fsync: it counts the calls of Rust's own files, and children are free of it.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[path = "support/kill.rs"]
mod kill;

use kill::{When, kill_at, kill_at_file, was_killed};

const DIRECTORY: &str = "CUTOVER_TEST_DIRECTORY";
/// Calls that the process under test makes; the odd ones are `fdatasync`, the even ones `fsync`.
const CALLS: u32 = 6;

/// This test binary again, as the process that is killed.
#[expect(clippy::disallowed_methods, reason = "the child under test is this binary itself")]
fn writer(directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_process_under_test", "--ignored", "--test-threads=1"]).env(DIRECTORY, directory);
    command
}

#[test]
#[ignore = "it is the process that the other tests start and kill"]
#[expect(clippy::disallowed_methods, reason = "its parent tells it by the environment what it is")]
fn the_process_under_test() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let mut file = File::create(Path::new(&directory).join("file")).unwrap();
    for call in 1..=CALLS {
        writeln!(file, "before {call}").unwrap();
        if call % 2 == 1 {
            file.sync_data().unwrap()
        } else {
            file.sync_all().unwrap()
        }
        writeln!(file, "after {call}").unwrap();
    }
    let environment = Command::new("env").output().unwrap().stdout;
    std::fs::write(Path::new(&directory).join("environment"), environment).unwrap();
    if std::env::var_os("CUTOVER_TEST_WAITS").is_some() {
        loop {
            std::thread::park();
        }
    }
}

fn lines(directory: &Path) -> Vec<String> {
    std::fs::read_to_string(directory.join("file")).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn every_fsync_of_rusts_files_is_an_exact_place_to_die() {
    for n in 1..=CALLS {
        for when in [When::Before, When::After] {
            let directory = tempfile::tempdir().unwrap();
            let output = kill_at(&mut writer(directory.path()), n, when).output().unwrap();
            assert!(was_killed(output.status), "call {n}, {when:?}: {output:?}");
            let last = lines(directory.path()).pop().unwrap();
            assert_eq!(last, format!("before {n}"), "{when:?}: it dies at the call and not one line later");
        }
    }
}

#[test]
fn a_process_that_makes_fewer_calls_ends_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let output = kill_at(&mut writer(directory.path()), CALLS + 1, When::Before).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(lines(directory.path()).pop().unwrap(), format!("after {CALLS}"));
}

#[test]
fn only_calls_about_the_named_file_are_counted_where_one_is_named() {
    for (words, is_ended) in [("/file", true), ("/another", false)] {
        let directory = tempfile::tempdir().unwrap();
        let output = kill_at_file(&mut writer(directory.path()), words, 2, When::Before).output().unwrap();
        assert_eq!(was_killed(output.status), is_ended, "{words}: {output:?}");
        let last = if is_ended { "before 2".to_owned() } else { format!("after {CALLS}") };
        assert_eq!(lines(directory.path()).pop().unwrap(), last);
    }
}

#[test]
fn children_are_free_of_the_shim() {
    let directory = tempfile::tempdir().unwrap();
    let output = kill_at(&mut writer(directory.path()), CALLS + 1, When::Before).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let environment = std::fs::read_to_string(directory.path().join("environment")).unwrap();
    assert!(environment.contains(DIRECTORY), "the environment is handed on: {environment}");
    assert!(!environment.contains("LD_PRELOAD") && !environment.contains("CUTOVER_KILL"), "{environment}");
}

#[test]
fn a_delayed_end_comes_wherever_the_process_is_by_then() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = writer(directory.path());
    command.env("CUTOVER_TEST_WAITS", "yes");
    let output = kill_at(&mut command, CALLS, When::Later(Duration::from_millis(1))).output().unwrap();
    assert!(was_killed(output.status), "{output:?}");
    assert!(lines(directory.path()).contains(&format!("before {CALLS}")), "the call itself was reached");
}
