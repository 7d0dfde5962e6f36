//! `report`: every journal that was ever written becomes a page, whole or damaged, and no secret gets onto it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A state directory with journals of the collection.
pub struct State {
    directory: tempfile::TempDir,
}

pub fn collection() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals");
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    found.sort();
    assert!(found.len() >= 4, "{found:?}");
    found
}

impl State {
    pub fn new() -> Self {
        let state = Self { directory: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(state.path("state/runs")).unwrap();
        state.write(
            "cutover.toml",
            "schema = \"cutover/v1\"\n[project]\nname = \"freshtrack\"\n[state]\ndirectory = \"state\"\n",
        );
        state
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn journal(&self, number: u32, kind: &str, bytes: impl AsRef<[u8]>) {
        self.write(&format!("state/runs/{number:04}-{kind}.jsonl"), bytes);
    }

    pub fn cutover(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cutover")).args(arguments).current_dir(self.directory.path()).output().unwrap()
    }

    /// Every file of it.
    pub fn list(&self) -> Vec<PathBuf> {
        let (mut found, mut left) = (Vec::new(), vec![self.path("")]);
        while let Some(directory) = left.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { left.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// Every tag that was opened is closed, in its order.
#[track_caller]
pub fn is_whole(page: &str) {
    let mut open = Vec::new();
    for tag in page.split('<').skip(1) {
        let name: String =
            tag.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "/!".contains(*letter)).collect();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed), "near <{}", &tag[..tag.len().min(60)]),
            None if ["meta", "!DOCTYPE"].contains(&name.as_str()) => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty() && page.starts_with("<!DOCTYPE html>"), "{open:?}");
}

#[test]
fn every_journal_of_the_collection_becomes_a_page_and_a_document() {
    for path in collection() {
        let state = State::new();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let kind = if name.contains("rollback") { "rollback" } else { "deploy" };
        state.journal(7, kind, std::fs::read(&path).unwrap());
        let output = state.cutover(&["report", "7"]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let page = state.read(&format!("state/reports/0007-{kind}.html"));
        is_whole(&page);
        let document: Value = serde_json::from_str(&state.read(&format!("state/reports/0007-{kind}.json"))).unwrap();
        assert_eq!((&document["schema"], &document["document"]), (&"cutover/v1".into(), &"run-report".into()));
        assert!(!document["steps"].as_array().unwrap().is_empty(), "{name}");
        let told = state.cutover(&["report", "7", "--output", "json"]);
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        assert_eq!((&told["steps"], &told["verdict"]), (&document["steps"], &document["verdict"]), "{name}");
    }
}

#[test]
fn the_page_goes_where_it_is_told_to_and_the_last_run_is_meant_where_none_is_named() {
    let state = State::new();
    let all = collection();
    state.journal(1, "deploy", std::fs::read(&all[0]).unwrap());
    state.journal(2, "deploy", std::fs::read(&all[2]).unwrap());
    assert!(state.cutover(&["report", "-o", "night.html"]).status.success());
    assert!(state.read("night.html").contains("Run 2: "));
    assert!(state.path("night.json").is_file());
    let shown = state.cutover(&["report", "1", "-o", "-"]);
    is_whole(&String::from_utf8_lossy(&shown.stdout));
    let missing = state.cutover(&["report", "9"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no run 9"));
}

#[test]
fn a_journal_torn_or_changed_at_any_place_is_shown_as_far_as_it_holds() {
    let whole = std::fs::read(&collection()[2]).unwrap();
    let lines: Vec<usize> = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    let state = State::new();
    for (index, end) in lines.iter().enumerate() {
        // Torn in the middle of the next line: that is a write that did not finish, and no fault.
        state.journal(7, "deploy", &whole[..(end + 40).min(whole.len())]);
        let output = state.cutover(&["report", "7", "-o", "page.html"]);
        assert!(output.status.success(), "torn after line {index}: {}", String::from_utf8_lossy(&output.stderr));
        is_whole(&state.read("page.html"));
        // Changed in the middle of the line: it is said, and what stands before is shown.
        let mut changed = whole.clone();
        let begin = if index == 0 { 0 } else { lines[index - 1] + 1 };
        let at = (begin + end) / 2;
        changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
        state.journal(7, "deploy", &changed);
        let output = state.cutover(&["report", "7", "-o", "page.html"]);
        assert_eq!(output.status.code(), Some(1), "changed in line {}", index + 1);
        let page = state.read("page.html");
        is_whole(&page);
        assert!(page.contains("This journal is damaged.") && page.contains(&format!(":{}: ", index + 1)), "{page}");
    }
}

#[test]
fn what_the_configuration_knows_to_be_secret_is_not_on_the_page() {
    let state = State::new();
    let secret = "correct-horse-battery";
    state.write("key.txt", secret);
    std::fs::set_permissions(state.path("key.txt"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let file = state.read("cutover.toml");
    state.write("cutover.toml", format!("{file}[secrets]\ndirectory = \".\"\nrequired = [\"key.txt\"]\n"));
    // An older cutover may have let it through: the same journal, with the secret as what a gate answered.
    let mut journal =
        cutover::journal::Journal::create(&state.path("state/runs/0003-deploy.jsonl"), "b".into(), || {
            "2026-01-02T12:00:00.000Z".into()
        })
        .unwrap();
    for entry in cutover::journal::read(&collection()[0]).unwrap() {
        let text = serde_json::to_string(&entry.fact).unwrap().replace("3 good answers", secret);
        journal.append(serde_json::from_str(&text).unwrap()).unwrap();
    }
    assert!(state.cutover(&["report", "3", "-o", "page.html"]).status.success());
    for name in ["page.html", "page.json"] {
        let text = state.read(name);
        assert!(text.contains("[secret]") && !text.contains(secret), "{name}");
    }
}

#[test]
fn the_time_line_stands_beside_the_rehearsal_that_the_run_rests_on() {
    let state = State::new();
    let path = state.path("state/runs/0004-deploy.jsonl");
    let clock = || "2026-01-02T12:00:00.000Z".to_owned();
    let mut journal = cutover::journal::Journal::create(&path, "b".into(), clock).unwrap();
    for entry in cutover::journal::read(&collection()[0]).unwrap() {
        let mut fact = entry.fact;
        if let cutover::journal::Fact::Planned { plan, .. } = &mut fact {
            plan["course"] = serde_json::json!({ "runbook": "night", "recipe": "abc", "phases": [] });
        }
        journal.append(fact).unwrap();
    }
    std::fs::create_dir(state.path("state/rehearsals")).unwrap();
    let rehearsal = |recipe: &str, at: &str| {
        let record = serde_json::json!({
            "schema": "cutover/v1", "runbook": "night", "recipe": recipe, "plan_hash": "", "at": at, "went_through": true,
            "substitutions": [], "items": [], "findings": [],
            "parts": [{ "what": "run again", "run": 3, "exit": 0, "took_ms": { "expect_health": 4000 }, "seen": {} }],
        });
        state.write("state/rehearsals/night.json", record.to_string());
        let told = state.cutover(&["report", "4", "--output", "json"]);
        serde_json::from_slice::<Value>(&told.stdout).unwrap()
    };
    let expected = |document: &Value| {
        let steps = document["steps"].as_array().unwrap();
        steps.iter().find(|step| step["name"] == "expect_health").unwrap()["expected_ms"].clone()
    };
    assert_eq!(expected(&rehearsal("abc", "2026-01-01T12:00:00.000Z")), 4000);
    assert_eq!(expected(&rehearsal("another", "2026-01-01T12:00:00.000Z")), Value::Null);
    assert_eq!(
        expected(&rehearsal("abc", "2026-01-03T12:00:00.000Z")),
        Value::Null,
        "it was rehearsed only afterwards"
    );
}
