//! The streams: a pipe gets plain lines, a terminal a live screen, a program one JSON document, and a stream that is
//! gone stops nothing.

#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up or read fails the test")]

mod support;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::project::Project;

/// Everything that makes an escape sequence begins with it.
const ESCAPE: char = '\u{1b}';

/// A command whose environment says nothing about colours and names a capable terminal.
fn plain_command(project: &Project, arguments: &[&str]) -> Command {
    let mut command = project.command(arguments);
    command.env_remove("NO_COLOR").env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
    command
}

/// The same on a terminal of 100 columns and 30 rows; what the terminal got is the output.
fn on_terminal(project: &Project, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let inner = plain_command(project, arguments);
    let words = [inner.get_program()].into_iter().chain(inner.get_args()).map(|word| word.to_str().unwrap());
    let line = words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let mut command = Command::new("script");
    command.args(["-qefc", &format!("stty cols 100 rows 30; exec {line}"), "/dev/null"]);
    command.current_dir(inner.get_current_dir().unwrap()).env_remove("NO_COLOR").stdin(Stdio::null());
    command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8").envs(environment.iter().copied());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(mut command: Command) -> Output {
    command.output().expect("`script` is needed: install util-linux or bsdutils")
}

/// Select Graphic Rendition: `ESC [ … m`.
fn colours(text: &str) -> Vec<&str> {
    let codes =
        text.split(ESCAPE).skip(1).filter_map(|rest| rest.strip_prefix('[')?.split_once(|c: char| c.is_alphabetic()));
    codes
        .zip(text.split(ESCAPE).skip(1))
        .filter(|((code, _), rest)| rest[code.len() + 1..].starts_with('m'))
        .map(|((code, _), _)| code)
        .collect()
}

#[test]
fn a_pipe_gets_no_escape_codes_and_one_line_for_every_change() {
    let project = Project::new("tty-pipe");
    let output = run(plain_command(&project, &["deploy", "--yes"]));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert!(!stdout.contains(ESCAPE) && !stderr.contains(ESCAPE), "{stdout:?}\n{stderr:?}");
    let (document, _) = project.json(&["history", "1"]);
    let items: Vec<&str> = document["plan"]["items"]
        .as_array()
        .unwrap_or_else(|| panic!("{document:#}"))
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert!(items.contains(&"start_services"), "{items:?}");
    for item in items {
        for word in ["started", "done in"] {
            let lines = stderr.lines().filter(|line| line.contains(&format!(" run 1 {item}: {word}"))).count();
            let is_already = stderr.contains(&format!(" run 1 {item}: was so already"));
            assert!(lines == 1 || is_already, "{lines} lines say that {item} is {word}:\n{stderr}");
        }
    }
}

#[test]
fn colours_are_used_on_a_terminal_and_left_out_wherever_they_are_refused() {
    let project = Project::new("tty-colour");
    let call = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = run(on_terminal(&project, arguments, environment));
        assert!(output.status.success(), "{}", text(&output.stdout));
        text(&output.stdout)
    };
    assert!(!colours(&call(&["plan", "deploy"], &[])).is_empty(), "a terminal gets colours");
    for shown in [
        call(&["plan", "deploy"], &[("NO_COLOR", "1")]),
        call(&["plan", "deploy"], &[("TERM", "dumb")]),
        call(&["plan", "deploy", "--no-color"], &[]),
    ] {
        assert!(shown.contains("start_services") || shown.contains("start the services"), "{shown}");
        assert!(!shown.contains(ESCAPE), "{shown:?}");
    }
}

#[test]
fn a_terminal_gets_a_live_screen_that_ends_sane() {
    let project = Project::new("tty-live");
    let output = run(on_terminal(&project, &["deploy", "--yes"], &[]));
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("\u{1b}[1A") || shown.contains("\u{1b}[2K"), "nothing was drawn over: {shown:?}");
    assert!(shown.contains('✔') || shown.contains('✓'), "no item was ticked off: {shown:?}");
    assert_eq!(shown.matches("\u{1b}[?25l").count(), shown.matches("\u{1b}[?25h").count(), "the cursor stays hidden");
    assert!(!shown.contains("\u{1b}[?1049"), "what was shown stays on the screen");
    assert_eq!(colours(&shown).last().copied(), Some("0"), "the last colour is taken back");
    assert!(shown.ends_with('\n'), "the prompt begins a line of its own: {:?}", &shown[shown.len() - 40..]);
}

#[test]
fn a_live_screen_without_colours_has_none() {
    let project = Project::new("tty-grey");
    let output = run(on_terminal(&project, &["deploy", "--yes"], &[("NO_COLOR", "1")]));
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}");
    let used: Vec<&str> = colours(&shown).into_iter().filter(|code| !["", "0"].contains(code)).collect();
    assert!(used.is_empty(), "{used:?} in {shown:?}");
}

#[test]
fn a_stream_that_is_closed_stops_no_deployment() {
    let project = Project::new("tty-closed");
    for (number, closed) in [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"].into_iter().enumerate() {
        project.set("TAG", if number % 2 == 0 { "1" } else { "2" });
        let mut command = plain_command(&project, &[]);
        let line = format!("exec '{}' deploy --yes {closed}", command.get_program().to_str().unwrap());
        let directory = command.current_dir(project.path("")).get_current_dir().unwrap().to_owned();
        let output = run_shell(&line, &directory);
        assert!(output.status.success(), "{closed}: {:?} {}", output.status, text(&output.stderr));
        let (status, _) = project.json(&["status"]);
        assert_eq!(status["current"]["release"].as_u64(), Some(number as u64 + 1), "{closed}: {status:#}");
    }
}

fn run_shell(line: &str, directory: &std::path::Path) -> Output {
    Command::new("sh").args(["-c", line]).current_dir(directory).output().unwrap()
}

#[test]
fn a_reader_that_leaves_stops_no_deployment() {
    let project = Project::new("tty-left");
    let program = env!("CARGO_BIN_EXE_cutover");
    let line = format!("{{ '{program}' deploy --yes; echo $? >code; }} 2>&1 | head -n 2");
    let output = run_shell(&line, &project.path(""));
    assert_eq!(text(&output.stdout).lines().count(), 2);
    until(|| std::fs::read_to_string(project.path("code")).is_ok_and(|code| code.ends_with('\n')));
    assert_eq!(std::fs::read_to_string(project.path("code")).unwrap(), "0\n");
}

#[test]
fn a_terminal_that_hangs_up_stops_no_deployment() {
    let project = Project::new("tty-hangup");
    let mut terminal = on_terminal(&project, &["deploy", "--yes"], &[]);
    let mut terminal = terminal.stdout(Stdio::null()).spawn().unwrap();
    let journal = project.state().join("runs/0001-deploy.jsonl");
    let says =
        |word: &str| std::fs::read_to_string(&journal).is_ok_and(|text| text.contains(&format!("\"kind\":\"{word}\"")));
    until(|| says("started"));
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    until(|| says("finished"));
    let (status, code) = project.json(&["status"]);
    assert_eq!((status["current"]["release"].as_u64(), code), (Some(1), 0), "{status:#}");
}

/// Waits for something that has to come; fails the test when it does not.
#[track_caller]
fn until(has_come: impl Fn() -> bool) {
    let begun = Instant::now();
    while !has_come() {
        assert!(begun.elapsed() < Duration::from_secs(120), "it did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Calls with `--output json` and wants this exit code, and one document of the schema on stdout and nothing else.
#[track_caller]
fn document(project: &Project, code: i32, arguments: &[&str]) -> Value {
    let output = run(plain_command(project, &[arguments, &["--output", "json"]].concat()));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let line = arguments.join(" ");
    assert_eq!(output.status.code(), Some(code), "`{line}`: {stdout}\n{stderr}");
    let all: Vec<Value> = serde_json::Deserializer::from_str(&stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("`{line}`: {error}: {stdout}"));
    assert_eq!(all.len(), 1, "`{line}` printed {} documents: {stdout}", all.len());
    assert_eq!(all[0]["schema"], "cutover/v1", "`{line}`: {stdout}");
    all[0].clone()
}

#[test]
fn every_answer_for_programs_is_one_document_on_stdout() {
    let project = Project::new("tty-json");
    for (code, arguments) in [
        (0, &["status"][..]),
        (0, &["history"]),
        (0, &["releases"]),
        (0, &["config", "check"]),
        (0, &["config", "show"]),
        (0, &["config", "show", "--defaults"]),
        (0, &["completions", "bash"]),
        (0, &["man"]),
        (0, &["plan", "deploy", "-o", "plan.json"]),
        (0, &["deploy", "--dry-run", "-vv"]),
        (0, &["apply", "plan.json", "--yes", "-vv"]),
        (0, &["preflight"]),
        (0, &["status", "--quiet"]),
        (0, &["history", "1", "-vv"]),
        (0, &["deploy", "--yes", "-vv"]),
        (0, &["plan", "rollback"]),
        (0, &["rollback", "--dry-run"]),
        (0, &["rollback", "--yes"]),
        (0, &["history", "3", "--manifest"]),
    ] {
        document(&project, code, arguments);
    }
}

#[test]
fn every_error_for_programs_is_one_document_on_stdout() {
    let project = Project::new("tty-errors");
    for (code, arguments) in [
        (4, &["rollback", "--yes"][..]),
        (4, &["rollback", "--to", "r7"]),
        (4, &["resume"]),
        (2, &["history", "7"]),
        (2, &["deploy"]),
        (2, &["apply", "compose.yaml"]),
        (2, &["apply", "nowhere.json"]),
        (2, &["nonsense"]),
        (2, &["deploy", "--nonsense"]),
        (2, &["preflight", "--only", "nonsense"]),
        (2, &["--config", "nowhere.toml", "status"]),
    ] {
        let said = document(&project, code, arguments);
        assert!(said["error"].as_str().is_some_and(|words| !words.is_empty()), "{arguments:?}: {said}");
        assert_eq!(said["exit"], code, "{arguments:?}: {said}");
    }
    project.write("cutover.toml", "schema = 1\n");
    let said = document(&project, 2, &["config", "check"]);
    assert!(said["problems"].as_array().is_some_and(|problems| !problems.is_empty()), "{said}");
}

#[test]
fn a_failed_deployment_is_one_document_too() {
    let project = Project::new("tty-failed");
    document(&project, 0, &["deploy", "--yes"]);
    project.set("TAG", "crash");
    document(&project, 7, &["deploy", "--yes", "-vv"]);
}

#[test]
fn stdout_holds_the_result_and_nothing_of_the_way_to_it() {
    let project = Project::new("tty-result");
    let output = run(plain_command(&project, &["deploy", "--yes", "-vv"]));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(stderr.contains("run 1 start_services: started") && stderr.contains("Steps"), "{stderr}");
    for word in ["started", "DEBUG", "Steps"] {
        assert!(!stdout.contains(word), "{word} is no result:\n{stdout}");
    }
    let quiet = run(plain_command(&project, &["deploy", "--yes", "--quiet"]));
    assert!(quiet.stderr.is_empty() && !quiet.stdout.is_empty(), "{}", text(&quiet.stderr));
}

/// A directory with a runbook of two phases and a person between them, and its isolated copy.
fn night() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let of = |name: &str, environment: &str| {
        format!("schema = \"cutover/v1\"\n[project]\nname = \"{name}\"\nenvironment = \"{environment}\"\n")
    };
    let rehearsal = "[state]\ndirectory = \"state\"\n[rehearsal]\nconfig = \"copy.toml\"\n";
    write("cutover.toml", &format!("{}{rehearsal}", of("moving", "production")));
    let copy = "[state]\ndirectory = \"copy-state\"\n[data]\ndirectory = \"copy-data\"\n";
    write("copy.toml", &format!("{}{copy}", of("copy", "rehearsal")));
    write(
        "night.toml",
        r#"schema = "cutover/runbook/v1"
name = "night"
title = "A night"
[[phase]]
name = "ready"
title = "Readiness"
[[phase.entry]]
name = "look"
command = ["sh", "-c", "echo looks around"]
undo = ["true"]
[[phase.entry]]
checkpoint = "go"
[[phase.entry.item]]
name = "agreed"
confirm = "The window is agreed"
[[phase]]
name = "switch"
title = "The switch"
[[phase.entry]]
name = "turn"
command = ["true"]
undo = ["true"]
"#,
    );
    directory
}

/// `cutover` on a terminal of 100 columns, in a directory; what the terminal shows goes into a file there.
fn shown_into(directory: &std::path::Path, file: &str, arguments: &str) -> std::process::Child {
    let mut command = Command::new("script");
    let line = format!("stty cols 100 rows 30; exec '{}' {arguments}", env!("CARGO_BIN_EXE_cutover"));
    command.args(["-qefc", &line, file]).current_dir(directory).env_remove("NO_COLOR");
    command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8").stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("`script` is needed: install util-linux or bsdutils")
}

/// The same directory, its last command undone only once a file is there; `more` are further entries.
fn night_undone_slowly(environment: &str, more: &str) -> tempfile::TempDir {
    let directory = night();
    let path = directory.path().join("night.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let slow = "undo = [\"sh\", \"-c\", \"until test -e go; do sleep 0.05; done\"]";
    let (head, last) = text.rsplit_once("undo = [\"true\"]").unwrap();
    std::fs::write(&path, format!("{head}{slow}{last}{more}")).unwrap();
    let path = directory.path().join("cutover.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"production\"", &format!("\"{environment}\""))).unwrap();
    directory
}

/// Waits until the terminal shows all of these words, while the program runs.
#[track_caller]
fn until_all_shown(directory: &std::path::Path, file: &str, child: &mut std::process::Child, words: &[&str]) {
    words.iter().for_each(|words| until_shown(directory, file, child, words));
}

/// Waits until `status` says all of these words.
#[track_caller]
fn until_status_says(directory: &std::path::Path, words: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (code, said) = called(directory, &["status"]);
        assert_eq!(code, 0, "{said}");
        let missing: Vec<_> = words.iter().filter(|words| !said.contains(**words)).collect();
        if missing.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{missing:?} is not in\n{said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the terminal shows these words, while the program runs.
#[track_caller]
fn until_shown(directory: &std::path::Path, file: &str, child: &mut std::process::Child, words: &str) {
    let shown = || std::fs::read_to_string(directory.join(file)).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !shown().contains(words) {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "{words:?} is not in {:?}", shown());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `cutover` in a directory; exit code and both streams.
fn called(directory: &std::path::Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_cutover")).args(arguments).current_dir(directory).output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_rollback_shows_the_phases_backwards_what_is_undone_and_what_is_left_as_rehearsed() {
    let directory = night_undone_slowly("production", "");
    let place = directory.path();
    let expect = |code: i32, arguments: &[&str]| {
        let (found, said) = called(place, arguments);
        assert_eq!(found, code, "{arguments:?}: {said}");
        said
    };
    std::fs::write(place.join("go"), "").unwrap();
    expect(0, &["rehearse", "night.toml"]);
    std::fs::remove_file(place.join("go")).unwrap();
    expect(3, &["run", "night.toml", "--yes"]);
    expect(0, &["approve", "go", "--confirms", "agreed"]);
    expect(0, &["resume"]);

    let mut back = shown_into(place, "back", "rollback --yes");
    let shown =
        ["phase 1 of 2, undo: The switch; step 1 of 2; ", "undo turn: run `sh -c 'until", "as rehearsed; about "];
    until_all_shown(place, "back", &mut back, &shown);
    let words =
        ["AT WORK", "phase 1 of 2, undo: The switch; step 1 of 2; ", "as rehearsed; about ", "undo turn: run `sh"];
    until_status_says(place, &words);
    std::fs::write(place.join("go"), "").unwrap();
    assert!(back.wait().unwrap().success());
    let screen = std::fs::read_to_string(place.join("back")).unwrap();
    assert!(screen.contains("phase 2 of 2, undo: Readiness"), "{screen:?}");
}

#[test]
fn a_run_that_turns_back_says_so_here_and_from_another_terminal() {
    let fails = "[[phase.entry]]\nname = \"fails\"\ncommand = [\"sh\", \"-c\", \"echo no disk; exit 3\"]\n";
    let directory = night_undone_slowly("staging", fails);
    let place = directory.path();
    assert_eq!(called(place, &["run", "night.toml", "--yes"]).0, 3);
    assert_eq!(called(place, &["approve", "go", "--confirms", "agreed"]).0, 0);
    let mut run = shown_into(place, "run", "resume");
    until_all_shown(place, "run", &mut run, &["going back: ", "no disk", "undo turn: run `sh -c 'until"]);
    // What failed was begun, and is undone first; it has nothing to undo it with.
    let words = [
        "AT WORK",
        "going back: 1 of 3 undone; ",
        "never rehearsed, so what is left is not known",
        "undo turn: run `sh",
    ];
    until_status_says(place, &words);
    std::fs::write(place.join("go"), "").unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(7));
}

#[test]
fn a_runbook_shows_its_phases_its_time_against_the_rehearsal_and_what_it_waits_for() {
    let directory = night();
    let cutover = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_cutover")).args(arguments).current_dir(directory.path()).output();
        let output = output.unwrap();
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let shown = |file: &str| std::fs::read_to_string(directory.path().join(file)).unwrap_or_default();

    let rehearsed = shown_into(directory.path(), "rehearsal", "rehearse night.toml").wait().unwrap();
    let screen = shown("rehearsal");
    assert!(rehearsed.success(), "{screen}");
    assert!(screen.contains("\u{1b}[2K") && screen.contains("phase 2 of 2, The switch"), "{screen:?}");
    let (first, again) = screen.split_once("rehearsal: run again").expect("it is run twice");
    assert!(first.contains("never rehearsed, so what is left is not known"), "{first:?}");
    assert!(again.contains("as rehearsed; about"), "the second run is shown against the first: {again:?}");

    let mut run = shown_into(directory.path(), "run", "run night.toml --wait --yes");
    let words = ["waits: ", "phase 1 of 2, Readiness", "step 2 of 3; ", "as rehearsed; about"];
    until_all_shown(directory.path(), "run", &mut run, &words);
    let words = ["WAITING", "phase 1 of 2, Readiness; step 2 of 3; ", "as rehearsed; about", "agreed"];
    until_status_says(directory.path(), &words);
    let (code, said) = cutover(&["approve", "go", "--confirms", "agreed"]);
    assert_eq!(code, 0, "{said}");
    let ended = run.wait().unwrap();
    assert!(ended.success() && shown("run").contains("phase 2 of 2, The switch"), "{:?}", shown("run"));
}
