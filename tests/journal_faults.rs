//! Journals that were torn, changed, written by a newer version or left without room: nothing of it goes unseen.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![allow(dead_code, reason = "this file uses its own part of the helpers")]

use std::fs;
use std::path::{Path, PathBuf};

use cutover::journal::{Entry, Fact, Journal, JournalError, Outcome, read, state::fold};
use serde_json::{Value, json};

#[path = "journal_faults/build.rs"]
mod build;

use build::{append, done, failed, finished, noon, note, planned, sealed, started, undoing, undone};

/// A short journal, and where its lines begin.
fn sample() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    sample_of(1)
}

/// The same of another run: every line is valid in itself, and every hash is another.
fn sample_of(run: u32) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0001-deploy.jsonl");
    let facts = [
        match planned(run, &build::plan(false)) {
            Fact::Planned { header, .. } => Fact::Planned { header, plan: json!({ "items": [] }) },
            other => other,
        },
        started(0, "pull_images"),
        done(0, "pull_images", "the image is here"),
        note("naïve: \"quoted\"\n"),
        finished(Outcome::Done, 0, "done"),
    ];
    build::write(&path, noon, &facts);
    let bytes = fs::read(&path).unwrap();
    (directory, path, bytes)
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn go_on(path: &Path) -> Result<(Journal, Vec<Entry>), JournalError> {
    Journal::go_on(path, "b".into(), noon)
}

/// The line that is said to be broken.
fn broken_line(path: &Path) -> usize {
    match read(path) {
        Err(JournalError::Broken { line, .. }) => line,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_dropped_and_the_run_goes_on_behind_it() {
    let (_directory, path, bytes) = sample();
    let last = bytes.len() - lines(&bytes).pop().unwrap().len();
    for cut in last..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert_eq!(read(&path).unwrap().len(), 4, "cut at {cut}");
        let (mut journal, entries) = go_on(&path).unwrap();
        assert_eq!(entries.len(), 4, "cut at {cut}");
        assert_eq!(fs::read(&path).unwrap(), bytes[..last], "the torn line is cut off");
        append(&mut journal, &[note("on")]);
        let epochs: Vec<u32> = read(&path).unwrap().iter().map(|entry| entry.epoch).collect();
        assert_eq!(epochs, [1, 1, 1, 1, 2], "cut at {cut}");
    }
}

#[test]
fn a_flip_of_any_byte_is_found_in_its_line() {
    let (_directory, path, bytes) = sample();
    let mut line = 1;
    for at in 0..bytes.len() {
        for byte in [bytes[at] ^ 0x01, bytes[at] ^ 0x20, bytes[at] ^ 0x80, b'\n'] {
            if byte == bytes[at] {
                continue;
            }
            let mut flipped = bytes.clone();
            flipped[at] = byte;
            fs::write(&path, &flipped).unwrap();
            if at == bytes.len() - 1 {
                assert_eq!(read(&path).unwrap().len(), 4, "without its newline the last line is a torn one");
            } else {
                assert_eq!(broken_line(&path), line, "byte {at} became {byte:#x}");
            }
        }
        line += usize::from(bytes[at] == b'\n');
    }
}

#[test]
fn a_line_that_is_taken_out_doubled_moved_or_put_in_is_found_where_the_chain_breaks() {
    let (_directory, path, bytes) = sample();
    let lines = lines(&bytes);
    let (_other_directory, _, other) = sample_of(2);
    let other = self::lines(&other);
    let broken = |lines: Vec<Vec<u8>>| {
        fs::write(&path, lines.concat()).unwrap();
        broken_line(&path)
    };
    for at in 0..lines.len() {
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at].clone());
        assert_eq!(broken(doubled), at + 2, "line {} twice", at + 1);
        let mut blank = lines.clone();
        blank.insert(at, b"\n".to_vec());
        assert_eq!(broken(blank), at + 1, "a blank line before line {}", at + 1);
        let mut mixed = lines.clone();
        mixed[at].clone_from(&other[at]);
        let found = if at == 0 { 2 } else { at + 1 };
        assert_eq!(broken(mixed), found, "the line of another journal in the place of line {}", at + 1);
    }
    for at in 0..lines.len() - 1 {
        let mut without = lines.clone();
        without.remove(at);
        assert_eq!(broken(without), at + 1, "without line {}", at + 1);
        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        assert_eq!(broken(swapped), at + 1, "lines {} and {} swapped", at + 1, at + 2);
    }
}

#[test]
fn a_broken_journal_is_named_with_its_line_and_what_to_do() {
    let (_directory, path, bytes) = sample();
    let text = String::from_utf8(bytes).unwrap().replace("the image is here", "the image was here");
    fs::write(&path, text).unwrap();
    let expected = format!(
        "{}:3: the line is not what its hash says; the journal was changed by something else than cutover, keep a copy \
         and do not resume it",
        path.display()
    );
    assert_eq!(read(&path).unwrap_err().to_string(), expected);
}

#[test]
fn a_broken_journal_is_left_as_it_is() {
    let (_directory, path, mut bytes) = sample();
    bytes[20] ^= 1;
    bytes.extend(b"torn");
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(go_on(&path), Err(JournalError::Broken { .. })));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

/// A journal whose lines the real code did not write.
fn by_hand(facts: &[Value]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0001-deploy.jsonl");
    fs::write(&path, sealed(facts)).unwrap();
    (directory, path)
}

fn head(format: u32) -> Value {
    let fact = planned(1, &build::plan(false));
    let mut value = serde_json::to_value(fact).unwrap();
    value["header"]["format"] = json!(format);
    value
}

#[test]
fn the_chain_is_what_the_contract_says() {
    let (_directory, path) = by_hand(&[head(1), json!({ "kind": "note", "text": "by hand" })]);
    assert_eq!(read(&path).unwrap()[1].fact, note("by hand"));
    let (mut journal, _) = go_on(&path).unwrap();
    append(&mut journal, &[note("by cutover")]);
    assert_eq!(read(&path).unwrap().len(), 3);
}

#[test]
fn a_newer_format_is_read_and_never_written() {
    let (_directory, path) = by_hand(&[head(2), json!({ "kind": "started", "item": 0, "name": "pull_images" })]);
    let before = fs::read(&path).unwrap();
    assert_eq!(fold(1, "deploy", &read(&path).unwrap()).header.unwrap().format, 2);
    let expected = format!(
        "{} has format 2; this version writes format 1: use the version of cutover that began the run",
        path.display()
    );
    assert_eq!(go_on(&path).unwrap_err().to_string(), expected);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_head_of_another_shape_is_read_and_never_written() {
    let (_directory, path) = by_hand(&[json!({ "kind": "planned", "header": { "format": 3, "who": {} }, "plan": [] })]);
    assert!(matches!(read(&path).unwrap()[0].fact, Fact::Unknown(_)));
    assert!(matches!(go_on(&path), Err(JournalError::Newer { found: 3, .. })));
}

#[test]
fn a_line_of_an_unknown_kind_is_read_and_never_followed() {
    let weather = json!({ "kind": "weather", "sky": "grey" });
    let (_directory, path) = by_hand(&[head(1), weather.clone(), json!({ "kind": "note", "text": "after it" })]);
    let before = fs::read(&path).unwrap();
    let entries = read(&path).unwrap();
    assert_eq!(entries[1].fact, Fact::Unknown(weather));
    assert_eq!(fold(1, "deploy", &entries).notes.len(), 1, "what comes after it counts");
    let expected = format!(
        "{}:2: this version does not know lines of the kind \"weather\": use the version of cutover that began the run",
        path.display()
    );
    assert_eq!(go_on(&path).unwrap_err().to_string(), expected);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_journal_that_is_there_already_is_not_made_again() {
    let (_directory, path, bytes) = sample();
    assert!(matches!(Journal::create(&path, "b".into(), noon), Err(JournalError::Io { act: "create", .. })));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_process_killed_before_its_first_line_leaves_a_journal_of_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0001-deploy.jsonl");
    Journal::create(&path, "b".into(), noon).unwrap();
    let state = fold(1, "deploy", &read(&path).unwrap());
    assert!(state.header.is_none() && !state.is_open() && !state.was_begun());
}

mod folded {
    //! The fold, for every prefix of every sequence of facts.

    use super::*;
    use cutover::journal::Standing;
    use proptest::prelude::*;

    fn any_fact() -> impl Strategy<Value = Fact> {
        // Items beyond the plan's four are in a journal that somebody else's plan belongs to.
        let item = 0..6_usize;
        prop_oneof![
            item.clone().prop_map(|item| started(item, "x")),
            (item.clone(), any::<bool>()).prop_map(|(item, already)| match done(item, "x", "seen") {
                Fact::Done { item, name, seen, took_ms, data, .. } => {
                    Fact::Done { item, name, seen, already, took_ms, data }
                }
                other => other,
            }),
            (item.clone(), any::<bool>()).prop_map(|(item, back)| failed(item, "x", "why", back)),
            item.clone().prop_map(|item| undoing(item, "x")),
            (item.clone(), any::<bool>()).prop_map(|(item, stays)| undone(item, "x", "seen", stays)),
            item.prop_map(|item| Fact::Observed { item, name: "x".into(), seen: "seen".into(), data: Value::Null }),
            Just(note("text")),
            Just(finished(Outcome::Stuck, 8, "said")),
            Just(finished(Outcome::Done, 0, "said")),
            Just(Fact::Verdict { verdict: "ok".into(), why: "quiet".into() }),
            Just(Fact::Unknown(json!({ "kind": "weather" }))),
        ]
    }

    fn entries(facts: Vec<Fact>) -> Vec<Entry> {
        let entry = |(seq, fact)| Entry {
            seq: seq as u64,
            at: format!("2026-01-02T12:00:{seq:02}.000Z"),
            boot: "b".into(),
            epoch: 1 + seq as u32 / 10,
            fact,
            prev: String::new(),
            hash: String::new(),
        };
        facts.into_iter().enumerate().map(entry).collect()
    }

    proptest! {
        #[test]
        fn what_was_once_begun_stays_begun(facts in prop::collection::vec(any_fact(), 0..40), has_head: bool) {
            let head = has_head.then(|| planned(1, &build::plan(false)));
            let entries = entries(head.into_iter().chain(facts).collect());
            let mut before = fold(1, "deploy", &[]);
            for length in 1..=entries.len() {
                let now = fold(1, "deploy", &entries[..length]);
                for (old, new) in before.items.iter().zip(&now.items) {
                    prop_assert!(new.was_begun || !old.was_begun);
                    prop_assert!(new.standing != Standing::Waiting || old.standing == Standing::Waiting);
                    prop_assert!(old.already || !new.already || !old.was_begun, "what this run began was not so before");
                }
                prop_assert!(now.is_going_back || !before.is_going_back);
                prop_assert!(now.epoch >= before.epoch && now.notes.len() >= before.notes.len());
                prop_assert!(now.times.as_ref().map(|times| &times.0) == Some(&entries[0].at));
                let is_end = matches!(entries[length - 1].fact, Fact::Finished { .. });
                prop_assert!(is_end || now.outcome.is_none() || now.outcome == before.outcome);
                before = now;
            }
        }
    }
}
