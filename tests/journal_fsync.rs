//! A run is killed before and after every single fsync, and its last line is lost or torn as by a power cut.
//!
//! Law: whatever the disk kept, the run goes on to the end of an undisturbed one, and no effect precedes its record.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![allow(dead_code, reason = "this file uses its own part of the helpers")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Mutex;

use cutover::journal::{Outcome, read};

#[path = "journal_kill/driver.rs"]
mod driver;
#[path = "support/kill.rs"]
mod kill;
#[path = "journal_kill/proof.rs"]
mod proof;
#[path = "journal_kill/world.rs"]
mod world;

use driver::{Order, Verb, folded};
use kill::{When, kill_at, was_killed};
use proof::Tale;
use world::Files;

/// The gate that refuses where a run is to turn back by itself.
const REFUSED: usize = 20;

#[test]
#[ignore = "it is the process that the other tests start and kill"]
fn the_process_that_is_killed() {
    driver::obey();
}

#[test]
fn a_run_killed_at_any_fsync_goes_on_to_its_end() {
    at_every_fsync(&go(), None);
}

#[test]
fn a_run_that_turns_back_killed_at_any_fsync_goes_on_to_its_end() {
    at_every_fsync(&Order { refused: Some(REFUSED), ..go() }, None);
}

#[test]
fn a_rollback_killed_at_any_fsync_goes_on_to_its_end() {
    at_every_fsync(&Order { verb: Verb::Undo, ..go() }, None);
}

#[test]
fn a_run_killed_at_any_fsync_and_turned_back_by_a_person_comes_home() {
    at_every_fsync(&go(), Some(Verb::TurnBack));
}

#[test]
fn every_line_costs_one_fsync_and_the_new_file_one_more() {
    let (_directory, order) = begun(&go());
    let output = order.command().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let calls = u32::try_from(read(&order.journal()).unwrap().len()).unwrap() + 1;
    for (n, is_killed) in [(calls, true), (calls + 1, false)] {
        let (_directory, order) = begun(&go());
        let output = kill_at(&mut order.command(), n, When::After).output().unwrap();
        assert_eq!(was_killed(output.status), is_killed, "at call {n}: {output:?}");
    }
}

/// What the disk kept of the line whose fsync did not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    All,
    Half,
    Nothing,
}

fn go() -> Order {
    Order { place: Path::new("").to_owned(), refused: None, verb: Verb::Go }
}

/// A state directory of its own in which the order can be given: a rollback has a deploy before it.
fn begun(order: &Order) -> (tempfile::TempDir, Order) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    Files::make(&directory.path().join("world")).unwrap();
    let order = Order { place: directory.path().to_owned(), ..order.clone() };
    if order.verb == Verb::Undo {
        carry_out(&Order { verb: Verb::Go, ..order.clone() });
    }
    (directory, order)
}

fn carry_out(order: &Order) {
    let output = order.command().output().unwrap();
    assert!(output.status.success(), "{order:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Kills the order at every fsync in every manner, then goes on; a person may type something else from there.
fn at_every_fsync(order: &Order, then: Option<Verb>) {
    let (_directory, undisturbed) = begun(order);
    carry_out(&undisturbed);
    let end = undisturbed.files().bytes().unwrap();
    let calls = u32::try_from(read(&undisturbed.journal()).unwrap().len()).unwrap() + 1;
    let manners = [(When::After, Kept::All), (When::Before, Kept::Half), (When::Before, Kept::Nothing)];
    let cases = (1..=calls).flat_map(|n| manners.map(|(when, kept)| (n, when, kept)));
    // A torn line and a lost one are read alike: the torn one is tried at every third call.
    let cases = cases.filter(|&(n, _, kept)| kept != Kept::Half || n % 3 == 0);
    let queue = Mutex::new(cases);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(4, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some((n, when, kept)) = queue.lock().unwrap().next() else { return };
                    one_kill(order, then, &end, n, when, kept);
                }
            });
        }
    });
}

fn one_kill(order: &Order, then: Option<Verb>, end: &BTreeMap<String, Vec<u8>>, n: u32, when: When, kept: Kept) {
    let (_directory, order) = begun(order);
    let context = format!("call {n}, {when:?}, kept {kept:?}: {order:?}");
    let output = kill_at(&mut order.command(), n, when).output().unwrap();
    assert!(was_killed(output.status), "{context}: {}", String::from_utf8_lossy(&output.stderr));
    lose(&order.journal(), kept);
    Tale::default().holds(&order);
    let order = Order { verb: then.unwrap_or(order.verb), ..order };
    carry_out(&order);
    Tale::default().holds(&order);
    match folded(&order.journal()).outcome {
        // Turned back once everything was done, there is nothing to turn back.
        Some((Outcome::Done, _)) => proof::is_same(&order, end),
        Some((Outcome::RolledBack, _)) if then.is_none() => proof::is_same(&order, end),
        Some((Outcome::RolledBack, _)) => proof::is_home(&order),
        other => panic!("the run has not ended: {other:?}, {context}"),
    }
}

/// Cuts the last line as a power cut may do it.
fn lose(journal: &Path, kept: Kept) {
    let bytes = fs::read(journal).unwrap();
    let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let begin = body.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let length = match kept {
        Kept::All => bytes.len(),
        Kept::Half => begin + (bytes.len() - begin) / 2,
        Kept::Nothing => begin,
    };
    OpenOptions::new().write(true).open(journal).unwrap().set_len(length as u64).unwrap();
}
