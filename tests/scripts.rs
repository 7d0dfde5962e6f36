//! The scripts and the pages: drop-ins translate as told, every script parses, and what is written down exists.

#![expect(clippy::disallowed_methods, reason = "the scripts and the program are started as a person would")]
#![allow(clippy::unwrap_used, reason = "a test fails where its world is not as it should be")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Pages that people read; the generated reference is held to its source elsewhere.
const PAGES: [&str; 9] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/how-it-works.md",
    "docs/rollback.md",
    "docs/migrations.md",
    "docs/notify.md",
    "docs/watch.md",
    "compose/README.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// A project that has copies of the drop-ins, and a `cutover` in PATH that prints what it was called with.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = Self { directory };
        for name in ["scripts", "bin", "elsewhere"] {
            std::fs::create_dir(place.path(name)).unwrap();
        }
        for name in ["deploy.sh", "rollback.sh", "health-check.sh"] {
            std::fs::copy(root().join("scripts").join(name), place.path("scripts").join(name)).unwrap();
        }
        std::fs::write(place.path("cutover.toml"), "").unwrap();
        place.program("bin/cutover", "#!/bin/sh\necho \"$CUTOVER_CONFIG: $*\"\nexit \"${WANTED:-0}\"\n");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn command(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("scripts").join(script));
        command.args(arguments).current_dir(self.path("elsewhere")).env_remove("CUTOVER_CONFIG");
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command
    }

    /// What cutover was called with, without the configuration.
    fn translated(&self, script: &str, arguments: &[&str]) -> String {
        let output = self.command(script, arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        words(&output).split_once(": ").unwrap().1.to_owned()
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn the_drop_ins_translate_the_old_flags() {
    let place = Place::new();
    let cases: [(&str, &[&str], &str); 7] = [
        ("deploy.sh", &[], "deploy"),
        ("deploy.sh", &["--yes"], "deploy --yes"),
        ("deploy.sh", &["--skip-checks", "--no-build", "--yes"], "deploy --skip-checks --no-build --yes"),
        ("deploy.sh", &["-y", "--no-build"], "deploy --yes --no-build"),
        ("rollback.sh", &[], "rollback"),
        ("rollback.sh", &["--yes"], "rollback --yes"),
        ("health-check.sh", &[], "preflight"),
    ];
    for (script, flags, expected) in cases {
        assert_eq!(place.translated(script, flags), expected, "{script} {flags:?}");
    }
}

#[test]
fn what_the_drop_ins_call_is_understood_by_the_program() {
    for line in ["deploy --skip-checks --no-build --yes", "rollback --yes", "preflight"] {
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.push("--help");
        let output = Command::new(env!("CARGO_BIN_EXE_cutover")).args(arguments).output().unwrap();
        assert!(output.status.success(), "cutover {line}");
    }
}

#[test]
fn a_flag_that_a_drop_in_does_not_know_is_refused_with_its_usage() {
    let place = Place::new();
    let cases = [("deploy.sh", "--force"), ("rollback.sh", "--no-build"), ("health-check.sh", "--yes")];
    for (script, flag) in cases {
        let output = place.command(script, &[flag]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{script} {flag}");
        assert!(
            said.contains(&format!("unknown flag `{flag}`")) && said.contains(&format!("usage: {script}")),
            "{said}"
        );
        assert_eq!(words(&output), "", "cutover must not be called");
    }
}

#[test]
fn a_drop_in_passes_the_exit_code_on() {
    let place = Place::new();
    for code in [1, 4, 7, 8] {
        let status = place.command("rollback.sh", &["--yes"]).env("WANTED", code.to_string()).status().unwrap();
        assert_eq!(status.code(), Some(code));
    }
}

#[test]
fn a_drop_in_finds_the_configuration_where_it_is_told_then_here_then_above_itself() {
    let place = Place::new();
    let config = |command: &mut Command| words(&command.output().unwrap()).split_once(": ").unwrap().0.to_owned();
    let above = place.path("cutover.toml").canonicalize().unwrap();
    assert_eq!(config(&mut place.command("deploy.sh", &[])), above.display().to_string());
    std::fs::write(place.path("elsewhere/cutover.toml"), "").unwrap();
    assert_eq!(config(&mut place.command("deploy.sh", &[])), "./cutover.toml");
    assert_eq!(config(place.command("deploy.sh", &[]).env("CUTOVER_CONFIG", "/told.toml")), "/told.toml");
    for file in ["cutover.toml", "elsewhere/cutover.toml"] {
        std::fs::remove_file(place.path(file)).unwrap();
    }
    let output = place.command("deploy.sh", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no cutover.toml"));
}

#[test]
fn a_drop_in_takes_the_installed_program_then_the_release_build_then_the_debug_build() {
    let place = Place::new();
    place.program("target/debug/cutover", "#!/bin/sh\necho debug: debug\n");
    place.program("target/release/cutover", "#!/bin/sh\necho release: release\n");
    assert_eq!(place.translated("deploy.sh", &[]), "deploy");
    std::fs::remove_file(place.path("bin/cutover")).unwrap();
    assert_eq!(place.translated("deploy.sh", &[]), "release");
    std::fs::remove_file(place.path("target/release/cutover")).unwrap();
    assert_eq!(place.translated("deploy.sh", &[]), "debug");
    std::fs::remove_file(place.path("target/debug/cutover")).unwrap();
    let output = place.command("deploy.sh", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cutover is not installed"));
}

#[test]
fn every_script_parses_says_what_it_is_and_stops_at_the_first_error() {
    let mut scripts = vec![root().join(".ci/run")];
    for directory in ["scripts", "scripts/lab.d"] {
        let entries = std::fs::read_dir(root().join(directory)).unwrap();
        scripts.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    assert!(scripts.len() > 12, "{scripts:?}");
    for script in scripts {
        let name = script.display();
        let checked = Command::new("bash").arg("-n").arg(&script).output().unwrap();
        assert!(checked.status.success(), "{name}: {}", String::from_utf8_lossy(&checked.stderr));
        let text = std::fs::read_to_string(&script).unwrap();
        let is_part = script.parent().unwrap().ends_with("lab.d");
        let first = text.lines().nth(usize::from(!is_part)).unwrap();
        assert!(first.starts_with("# "), "{name} does not say what it is");
        if !is_part {
            assert!(text.starts_with("#!/usr/bin/env bash\n") && text.contains("\nset -euo pipefail\n"), "{name}");
            assert!(script.metadata().unwrap().permissions().mode() & 0o111 != 0, "{name} cannot be run");
        }
    }
}

/// What stands in the page as code: blocks line by line, and spans.
fn code(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_block = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if is_block {
            found.push(line.trim().trim_start_matches("$ ").to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

fn help(arguments: &[&str]) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_cutover")).args(arguments).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The first verb in a line that calls cutover, and its flags up to the end of the call.
fn call(line: &str) -> Option<Vec<&str>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at =
        words.iter().position(|word| *word == "cutover" || word.ends_with("/cutover") || word.ends_with("(cutover"))?;
    let end = |word: &&&str| !["|", "||", "&&", "#", ";", ">/dev/null"].contains(*word);
    let call: Vec<&str> = words[at + 1..].iter().take_while(end).copied().collect();
    call.first().is_some_and(|verb| verb.starts_with(|first: char| first.is_ascii_lowercase())).then_some(call)
}

#[test]
fn every_command_in_the_pages_exists_with_its_flags() {
    let mut seen = BTreeSet::new();
    for page in PAGES {
        for line in code(&read(page)) {
            // A block may hold output; a call stands at the beginning, after sudo or a variable, or in a cron line.
            let is_call = line.starts_with("cutover ") || line.contains("/cutover ") || line.contains("$(cutover ");
            let Some(call) = call(&line).filter(|_| is_call) else { continue };
            let verb = call[0];
            let text = help(&[verb]).unwrap_or_else(|| panic!("{page}: `{line}`: there is no verb {verb}"));
            let text = match call.get(1).and_then(|inner| help(&[verb, inner])) {
                Some(inner) => text + &inner,
                None => text,
            };
            for flag in call.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap().trim_end_matches([',', '.', ';']);
                assert!(text.contains(flag), "{page}: `{line}`: cutover {verb} has no {flag}");
            }
            seen.insert(verb.to_owned());
        }
    }
    for verb in ["deploy", "rollback", "preflight", "status", "history", "releases", "resume", "plan", "apply"] {
        assert!(seen.contains(verb), "no page shows cutover {verb}");
    }
}

#[test]
fn every_script_in_the_pages_exists() {
    for page in PAGES {
        for line in code(&read(page)) {
            for word in line.split_whitespace().filter(|word| word.starts_with("scripts/")) {
                let path = word.trim_end_matches([',', '.', ';', ':']);
                assert!(root().join(path).exists(), "{page}: {path} does not exist");
            }
        }
    }
}

/// The table of exit.rs: each code with its first sentence, as a page writes it.
fn codes() -> Vec<(u8, String)> {
    let source = read("src/cli/exit.rs");
    let lines: Vec<&str> = source.lines().collect();
    let constants = lines.windows(2).filter_map(|pair| {
        let number = pair[1].strip_prefix("pub const ")?.split_once(": u8 = ")?.1.trim_end_matches(';');
        let words = pair[0].strip_prefix("/// ")?.trim_end_matches('.');
        let lower = words[..1].to_lowercase() + &words[1..];
        Some((number.parse().unwrap(), lower))
    });
    constants.collect()
}

#[test]
fn every_table_of_exit_codes_is_the_one_of_the_program() {
    let codes = codes();
    assert_eq!(codes.len(), 9, "{codes:?}");
    let mut tables = 0;
    for page in PAGES {
        let text = read(page);
        let mut lines = text.lines();
        while let Some(header) = lines.next() {
            if !header.starts_with("| code | meaning |") {
                continue;
            }
            tables += 1;
            let rows: Vec<Vec<&str>> = lines
                .by_ref()
                .skip(1)
                .take_while(|row| row.starts_with('|'))
                .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
                .collect();
            let shown: Vec<(u8, String)> =
                rows.iter().map(|row| (row[0].parse().unwrap(), row[1].to_owned())).collect();
            assert_eq!(shown, codes, "{page}");
        }
    }
    assert!(tables >= 3, "the tables were not found");
}

#[test]
fn every_link_in_the_pages_points_to_a_file() {
    for page in PAGES {
        let text = read(page);
        let here = root().join(page).parent().unwrap().to_owned();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            if target.contains("://") || target.starts_with('#') {
                continue;
            }
            let path = target.split('#').next().unwrap();
            assert!(here.join(path).exists(), "{page}: {target} points nowhere");
        }
    }
}

#[test]
fn every_verdict_of_status_is_explained() {
    let source = read("src/report/status.rs");
    let words: Vec<&str> = source
        .lines()
        .skip_while(|line| !line.contains("pub fn word"))
        .take_while(|line| !line.contains("fn paint"))
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert_eq!(words.len(), 10, "{words:?}");
    let page = read("docs/rollback.md");
    for word in words {
        assert!(page.contains(&format!("| {word} |")), "docs/rollback.md does not explain {word}");
    }
}

#[test]
fn every_preflight_check_is_named() {
    let source = read("src/preflight/mod.rs");
    let ids = source
        .lines()
        .skip_while(|line| !line.starts_with("pub const CHECKS"))
        .skip(1)
        .take_while(|line| line.starts_with("    (\""))
        .filter_map(|line| line.split('"').nth(1));
    let page = read("docs/how-it-works.md");
    for id in ids {
        assert!(page.contains(&format!("`{id}`")), "docs/how-it-works.md does not name the check {id}");
    }
}

/// Whether the service manager's own judge is here; a container has none, and the units are not judged there.
fn has_systemd() -> bool {
    Command::new("systemd-analyze").arg("--version").output().is_ok_and(|ran| ran.status.success())
}

/// Installs the units below a directory, and gives what was said and the exit code.
fn install_units(below: &Path, arguments: &[&str]) -> (i32, String) {
    let ran =
        Command::new(root().join("scripts/systemd/install")).args(arguments).env("DESTDIR", below).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    (ran.status.code().unwrap(), text)
}

#[test]
fn the_units_are_installed_and_what_differs_is_shown_and_left() {
    let below = tempfile::tempdir().unwrap();
    let (code, said) = install_units(below.path(), &[]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("systemctl enable --now cutover-watch.service"),
        "it starts nothing, and says what does: {said}"
    );
    let unit = below.path().join("etc/systemd/system/cutover-watch.service");
    assert_eq!(
        std::fs::read(&unit).unwrap(),
        std::fs::read(root().join("scripts/systemd/cutover-watch.service")).unwrap()
    );
    assert_eq!(install_units(below.path(), &[]).0, 0, "a second time changes nothing");

    let own = std::fs::read_to_string(&unit).unwrap().replace("MemoryMax=128M", "MemoryMax=1G");
    std::fs::write(&unit, &own).unwrap();
    let (code, said) = install_units(below.path(), &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("-MemoryMax=1G") && said.contains("--force"), "{said}");
    assert_eq!(std::fs::read_to_string(&unit).unwrap(), own, "what somebody changed is left");
    assert_eq!(install_units(below.path(), &["--force"]).0, 0);
    assert_ne!(std::fs::read_to_string(&unit).unwrap(), own);
}

#[test]
fn the_units_are_sound_and_closed() {
    if !has_systemd() {
        return;
    }
    let below = tempfile::tempdir().unwrap();
    assert_eq!(install_units(below.path(), &[]).0, 0);
    let directory = below.path().join("etc/systemd/system");
    let units = ["cutover-watch.service", "cutover-watch-once.service"];
    for unit in units {
        // The program is where the build has put it: the unit itself names where a package puts it.
        let path = directory.join(unit);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("ExecStart=/usr/local/bin/cutover "), "{text}");
        std::fs::write(&path, text.replace("/usr/local/bin/cutover", env!("CARGO_BIN_EXE_cutover"))).unwrap();
    }
    for unit in ["cutover-watch.service", "cutover-watch-once.service", "cutover-watch-once.timer"] {
        let ran = Command::new("systemd-analyze").arg("verify").arg(directory.join(unit)).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success() && !said.contains(unit), "{unit}: {said}");
    }
    for unit in units {
        // 2.0 at most; the threshold is in tenths.
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(directory.join(unit));
        let ran = command.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{unit}: {}", said.lines().last().unwrap_or_default());
    }
}

#[test]
fn the_drop_in_for_going_back_lifts_every_restriction_of_the_watcher() {
    let keys = |file: &str| {
        let text = std::fs::read_to_string(root().join("scripts/systemd").join(file)).unwrap();
        let keys = text.lines().filter_map(|line| line.split_once('=')).map(|(key, _)| key.to_owned());
        keys.collect::<BTreeSet<String>>()
    };
    let restricts = |key: &String| {
        let kinds = ["Protect", "Private", "Restrict", "Memory", "Tasks", "Lock", "NoNew", "CapabilityBounding"];
        kinds.iter().any(|kind| key.starts_with(kind)) || key == "SystemCallFilter"
    };
    let (restrictions, lifted) = (keys("cutover-watch.service"), keys("going-back.conf"));
    let left: Vec<&String> = restrictions.iter().filter(|key| restricts(key) && !lifted.contains(*key)).collect();
    assert!(left.is_empty(), "a rollback under the watcher would meet {left:?}");
    if !has_systemd() {
        return;
    }
    let below = tempfile::tempdir().unwrap();
    assert_eq!(install_units(below.path(), &[]).0, 0);
    let unit = below.path().join("etc/systemd/system/cutover-watch.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    std::fs::write(&unit, text.replace("/usr/local/bin/cutover", env!("CARGO_BIN_EXE_cutover"))).unwrap();
    let beside = below.path().join("etc/systemd/system/cutover-watch.service.d");
    std::fs::create_dir(&beside).unwrap();
    for drop_in in ["engine.conf", "going-back.conf"] {
        std::fs::copy(root().join("scripts/systemd").join(drop_in), beside.join(drop_in)).unwrap();
    }
    let ran = Command::new("systemd-analyze").arg("verify").arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success() && !said.contains("cutover-watch"), "{said}");
}

#[test]
fn the_crontab_calls_what_the_program_takes() {
    let text = read("scripts/systemd/crontab.example");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(" root cutover ")).collect();
    let [line, prune] = lines[..] else { panic!("{text}") };
    let (prune, _) = prune.split_once(" root cutover ").unwrap().1.split_once(" 2>&1").unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_cutover")).args(prune.split(' ')).arg("--help").output().unwrap();
    assert!(ran.status.success() && prune.ends_with("releases prune"), "{prune}");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((&words[..5], words[5], words[6]), (&["*"; 5][..], "root", "cutover"));
    // The same call, with a configuration of our own: nothing changed, so nothing is said.
    let home = tempfile::tempdir().unwrap();
    let config = "schema = \"cutover/v1\"\n[project]\nname = \"demo\"\n[state]\ndirectory = \"state\"\n[preflight]\n\
                  min_disk = \"0B\"\n[stabilize]\nwindow = \"1h\"\n";
    std::fs::write(home.path().join("cutover.toml"), config).unwrap();
    let call = || {
        let arguments = words[7..].iter().map(|word| word.replace("/etc/cutover", "."));
        let ran =
            Command::new(env!("CARGO_BIN_EXE_cutover")).args(arguments).current_dir(home.path()).output().unwrap();
        (ran.status.code().unwrap(), String::from_utf8_lossy(&ran.stdout).into_owned())
    };
    call();
    assert_eq!(call(), (0, String::new()));
}
