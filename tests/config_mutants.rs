//! A valid file with one thing wrong, more than a hundred times: each is refused at the right place, none panics.
//!
//! `¶` in a mutation is taken out again; it marks the place that the problem must point at.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use cutover::config::{Problem, Problems};
use proptest::prelude::*;

#[path = "config/mutants.rs"]
mod mutants;
#[path = "config/support.rs"]
mod support;

use mutants::{CONFLICTS, Mutant, RANGES, SYNTAX, TYPES, UNKNOWN};
use support::{FULL, load};

/// The text of a mutant and the place that it marks.
fn mutate((from, to, ..): &Mutant) -> (String, Option<(usize, usize)>) {
    assert_eq!(FULL.matches(from).count().min(1), 1, "nothing to mutate: {from}");
    let text = FULL.replacen(from, to, 1);
    let place = text.find('¶').map(|at| {
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    });
    (text.replace('¶', ""), place)
}

fn all() -> impl Iterator<Item = &'static Mutant> {
    [UNKNOWN, TYPES, RANGES, CONFLICTS, SYNTAX].into_iter().flatten()
}

#[test]
fn the_file_that_is_mutated_is_valid() {
    let (_directory, _, result) = load(FULL.as_bytes());
    let config = result.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.health.len(), 2);
    assert_eq!(config.dns.unwrap().records.len(), 2);
}

#[test]
fn each_mutant_is_refused_at_its_place() {
    let mut failures = Vec::new();
    for mutant in all() {
        let (text, place) = mutate(mutant);
        let (_directory, path, result) = load(text.as_bytes());
        let (_, to, key, message) = mutant;
        let Err(Problems(problems)) = result else {
            failures.push(format!("{to:?} was accepted"));
            continue;
        };
        for problem in &problems {
            assert!(problem.line > 0 && problem.column > 0 && problem.file == path.display().to_string(), "{problem}");
            assert!(!problem.to_string().contains("hunter2"), "a secret is shown: {problem}");
        }
        let right = |problem: &&Problem| problem.key == *key && problem.to_string().contains(message);
        let shown = Problems(problems.clone());
        match problems.iter().find(right) {
            None => failures.push(format!("{to:?}: no problem of {key} with {message:?} in\n{shown}")),
            Some(problem) if place.is_some_and(|place| place != (problem.line, problem.column)) => {
                failures.push(format!("{to:?}: not at {place:?}:\n{shown}"));
            }
            Some(_) => {}
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(all().count() >= 120, "only {} mutants", all().count());
}

#[test]
fn one_mistake_is_one_problem() {
    for mutant in UNKNOWN.iter().chain(TYPES).chain(RANGES) {
        // A misspelt key that is needed is also missing; nothing else may follow from one mistake.
        let (_directory, _, result) = load(mutate(mutant).0.as_bytes());
        let Problems(problems) = result.unwrap_err();
        let others: Vec<_> =
            problems.iter().filter(|problem| problem.key != mutant.2 && problem.found != "nothing").collect();
        let expected = usize::from(
            mutant.0 == "[source]\nurl_env" || mutant.1.contains("undoo") || mutant.1.contains("[¶projekt]"),
        );
        assert!(others.len() <= expected, "{:?}: {}", mutant.1, Problems(problems.clone()));
    }
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = FULL
        .replace("strategy =", "strategi =")
        .replace("keep_releases = 7", "keep_releases = 0")
        .replace("breach = \"5%\"", "breach = \"1%\"")
        .replace("url = \"https://app.example.com/\"\n", "");
    let Problems(problems) = load(text.as_bytes()).2.unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["deploy.strategi", "deploy.keep_releases", "health[1].url", "stabilize.breach"]);
    assert!(problems.is_sorted_by_key(|problem| problem.line));
    let json = serde_json::to_value(Problems(problems)).unwrap();
    assert_eq!(json[0]["hint"], "did you mean strategy?");
}

#[test]
fn what_stands_before_a_syntax_error_is_judged_too() {
    let text = FULL.replace("strategy =", "strategi =").replace("[serve]", "[serve");
    let Problems(problems) = load(text.as_bytes()).2.unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["deploy.strategi", ""], "{}", Problems(problems.clone()));
}

#[test]
fn a_rollback_cannot_restore_what_is_never_backed_up() {
    let text = FULL
        .replace("enabled = true", "enabled = false")
        .replace("on_rollback = \"command\"\nundo = [\"pnpm\", \"db:rollback\"]", "on_rollback = \"restore\"");
    let Problems(problems) = load(text.as_bytes()).2.unwrap_err();
    assert_eq!((problems.len(), problems[0].key.as_str()), (1, "deploy.migrate.on_rollback"));
}

/// The command line's verb is not there in every build of the crate; where it is, each mutant ends with 2.
#[test]
fn the_command_ends_with_2() {
    let cutover = || {
        let mut command = assert_cmd::cargo::cargo_bin_cmd!("cutover");
        command.env_clear();
        command
    };
    let help = cutover().args(["config", "check", "--help"]).output().unwrap();
    if !help.status.success() || !String::from_utf8_lossy(&help.stdout).contains("check") {
        return;
    }
    for mutant in all() {
        let (_directory, path, _) = load(mutate(mutant).0.as_bytes());
        let output = cutover().arg("--config").arg(&path).args(["config", "check"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{:?}: {told}", mutant.1);
        assert!(told.contains(&format!("{}:", path.display())), "{:?} has no position: {told}", mutant.1);
    }
    let (_directory, path, _) = load(FULL.as_bytes());
    cutover().arg("--config").arg(&path).args(["config", "check"]).assert().code(0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_of_bytes_panics(edits in prop::collection::vec((0..FULL.len(), any::<u8>(), 0..3u8), 1..8)) {
        let mut bytes = FULL.as_bytes().to_vec();
        for (at, byte, act) in edits {
            let at = at.min(bytes.len() - 1);
            match act {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Err(Problems(problems)) = load(&bytes).2 {
            prop_assert!(!problems.is_empty());
            for problem in &problems {
                prop_assert!(problem.line > 0 && problem.column > 0);
                prop_assert_eq!(problem.to_string().lines().count(), 1);
            }
        }
    }

    #[test]
    fn no_pieces_of_toml_panic(pieces in prop::collection::vec(prop::sample::select(vec![
        "[deploy]\n", "[[health]]\n", "[health.expect]\n", "[deploy.migrate]\n", "schema = ", "\"cutover/v1\"\n", "name", " = ", "\"é\"", "\n",
        "[", "]", "{", "}", "'''", "\"\"\"", "1e400", "0xffffffffffffffffff", "-0", ".", "json", "\"/a\"", ",", "[dns]\n", "[[dns.record]]\n", "A = [",
        "\u{feff}", "\r", "timeout = \"9999999d\"\n", "interval = \"1h\"\n", "successes = 100\n", "user_columns.a.b = 1\n", "[data]\n", "nan", "\\u0000",
    ]), 0..40)) {
        if let Err(problems) = load(pieces.concat().as_bytes()).2 {
            prop_assert!(!problems.0.is_empty());
        }
    }
}
