//! Runs of runbooks: planned by reading only, held or undone where they fail, in their window, after those they depend on.

use std::io::{Read, Write};

use crate::desk::Desk;
use crate::support::live::says;

fn book(head: &str, entries: &str) -> String {
    format!(
        "schema = \"cutover/runbook/v1\"\nname = \"night\"\ntitle = \"A night\"\n{head}\n\
         [[phase]]\nname = \"one\"\ntitle = \"One\"\n{entries}"
    )
}

/// A command that makes a file, and unmakes it.
fn makes(name: &str) -> String {
    format!(
        "[[phase.entry]]\nname = \"{name}\"\ncommand = [\"touch\", \"{name}\"]\ncheck = [\"test\", \"-e\", \"{name}\"]\n\
         undo = [\"rm\", \"{name}\"]\n"
    )
}

const FAILS: &str =
    "[[phase.entry]]\nname = \"fails\"\ncommand = [\"/bin/sh\", \"-c\", \"echo no disk >&2; exit 3\"]\n";

#[test]
fn a_plan_changes_nothing_names_what_is_known_later_and_is_carried_out_as_it_was_saved() {
    let desk = Desk::new(&book("", &(makes("a") + &makes("b"))));
    let text = desk.expect(0, &["plan", "run", "night.toml", "-o", "saved.json"]);
    says(&text, &["the cutover night", "run `touch a`", "Known only later", "a: what the program does"]);
    assert!(!desk.path("state").exists() && !desk.path("a").exists(), "a plan writes nothing");
    says(&desk.expect(0, &["apply", "saved.json", "--yes"]), &["COMPLETE: the cutover night"]);
    assert!(desk.path("a").exists() && desk.path("b").exists());
    says(&desk.expect(0, &["history"]), &["cutover"]);
}

#[test]
fn a_failure_is_undone_or_held_as_the_runbook_and_the_entry_say() {
    let desk = Desk::new(&book("", &(makes("a") + FAILS)));
    says(&desk.expect(7, &["run", "night.toml", "--yes"]), &["FAILED AND ROLLED BACK", "no disk"]);
    assert!(!desk.path("a").exists());

    let desk = Desk::new(&book("on_failure = \"hold\"", &(makes("a") + FAILS)));
    says(&desk.expect(4, &["run", "night.toml", "--yes"]), &["FAILED AND HELD", "cutover resume"]);
    assert!(desk.path("a").exists());

    let desk = Desk::new(&book("", &(makes("a") + FAILS + "on_failure = \"hold\"\n")));
    says(&desk.expect(4, &["run", "night.toml", "--yes"]), &["FAILED AND HELD"]);
    says(&desk.expect(6, &["run", "night.toml", "--yes"]), &["run 1 (cutover)", "cutover resume"]);
    desk.expect(0, &["rollback", "--yes"]);
    assert!(!desk.path("a").exists());
}

#[test]
fn nothing_is_begun_after_the_window_has_closed() {
    let window = "earliest = \"2020-01-01T00:00:00Z\"\nlatest = \"2020-01-02T00:00:00Z\"";
    let desk = Desk::new(&book(window, &makes("a")));
    says(&desk.expect(1, &["run", "night.toml", "--yes"]), &["FAILED, NOTHING CHANGED", "the window was open until"]);
    assert!(!desk.path("a").exists());
    let open = "earliest = \"2020-01-01T00:00:00Z\"\nlatest = \"2120-01-02T00:00:00Z\"";
    desk.write("night.toml", &book(open, &makes("a")));
    says(&desk.expect(0, &["run", "night.toml", "--yes"]), &["the window is open until 2120"]);
}

#[test]
fn a_runbook_waits_for_those_it_depends_on_and_for_those_that_were_undone_again() {
    let desk = Desk::new(&book("depends_on = [\"before\"]", &makes("a")));
    desk.write("before.toml", &book("", &makes("z")).replace("name = \"night\"", "name = \"before\""));
    says(&desk.expect(4, &["run", "night.toml", "--yes"]), &["night depends on before", "cutover run before.toml"]);
    desk.expect(0, &["run", "before.toml", "--yes"]);
    desk.expect(0, &["plan", "run", "night.toml"]);
    desk.expect(0, &["rollback", "--yes"]);
    says(&desk.expect(4, &["run", "night.toml", "--yes"]), &["or was undone since"]);
}

#[test]
fn gates_of_programs_say_yes_no_or_that_it_is_not_known() {
    let asks = |code: u32| {
        format!(
            "[[phase.entry]]\nname = \"asks\"\ngate = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"echo seen; exit {code}\"]\n"
        )
    };
    let desk = Desk::new(&book("", &(makes("a") + &asks(1))));
    says(&desk.expect(7, &["run", "night.toml", "--yes"]), &["it says no (1): seen"]);
    desk.write("night.toml", &book("", &(makes("a") + &asks(5))));
    says(&desk.expect(4, &["run", "night.toml", "--yes"]), &["HELD, NOT KNOWN", "neither yes nor no"]);
    assert!(desk.path("a").exists(), "what is not known undoes nothing");
}

#[test]
fn a_dry_run_shows_what_commands_would_do_and_does_none_of_it() {
    let entry = makes("a") + "dry_run = [\"echo\", \"it would make a\"]\n";
    let desk = Desk::new(&book("", &entry));
    says(&desk.expect(0, &["run", "night.toml", "--dry-run"]), &["the cutover night", "it would make a"]);
    assert!(!desk.path("a").exists() && !desk.path("state").exists());
    desk.write("night.toml", &book("", &entry.replace("[\"echo\", ", "[\"false\", ")));
    says(&desk.expect(4, &["run", "night.toml", "--dry-run"]), &["a: its dry run ended with 1"]);
}

#[test]
fn a_commands_words_are_kept_in_the_log_that_it_names_and_its_secret_is_not() {
    let entry = "[[phase.entry]]\nname = \"speaks\"\ncommand = [\"/bin/sh\", \"-c\", \"echo the key is $KEY\"]\n\
                 log = \"words.log\"\nenvironment = [\"KEY\"]\n";
    let desk = Desk::new(&book("", entry));
    let output = desk.command("anna", &["run", "night.toml", "--yes"]).env("KEY", "hunter2-hunter2").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let log = std::fs::read_to_string(desk.path("words.log")).unwrap();
    assert!(log.starts_with("the key is ") && !log.contains("hunter2"), "{log}");
}

#[test]
fn a_run_that_was_killed_in_a_command_is_gone_on_with_and_undone_whole() {
    let slow = "[[phase.entry]]\nname = \"slow\"\ncommand = [\"/bin/sh\", \"-c\", \"touch begun; sleep 5; touch slow\"]\n\
                check = [\"test\", \"-e\", \"slow\"]\nundo = [\"rm\", \"-f\", \"slow\", \"begun\"]\n";
    let desk = Desk::new(&book("", &(makes("a") + slow + &makes("b"))));
    let mut child = desk.command("anna", &["run", "night.toml", "--yes", "--quiet"]).spawn().unwrap();
    desk.until("the slow command has begun", || desk.path("begun").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    says(&desk.expect(0, &["status"]), &["slow", "cutover resume"]);
    says(&desk.expect(0, &["resume"]), &["COMPLETE: the cutover night"]);
    assert!(["a", "slow", "b"].iter().all(|name| desk.path(name).exists()));
    desk.expect(0, &["rollback", "--yes"]);
    assert!(["a", "slow", "b", "begun"].iter().all(|name| !desk.path(name).exists()));
}

#[test]
fn a_command_without_a_check_that_was_undone_is_not_said_never_to_have_run() {
    let entry = "[[phase.entry]]\nname = \"calls\"\ncommand = [\"touch\", \"called\"]\nundo = [\"rm\", \"called\"]\n";
    let desk = Desk::new(&book("", entry));
    desk.expect(0, &["run", "night.toml", "--yes"]);
    let text = desk.expect(0, &["rollback", "--yes"]);
    says(&text, &["the undo command of calls ended with 0; it has no check, so nothing else is known"]);
    assert!(!text.contains("was not run"), "{text}");
    // Begun anew, it is neither undone nor done before it was run.
    says(&desk.expect(0, &["run", "night.toml", "--yes"]), &["calls ended with 0; it has no check"]);
}

/// A command with its own script, which wants a variable for everything that it does.
const MARKS: &str = "[[phase.entry]]\nname = \"mark\"\ncommand = [\"./mark.sh\", \"do\"]\nundo = [\"./mark.sh\", \"undo\"]\n\
                     environment = [\"NIGHT_TOKEN\"]\n";

fn with_token(desk: &Desk, code: i32, arguments: &[&str]) -> String {
    let output = desk.command("anna", arguments).env("NIGHT_TOKEN", "a-token-of-the-night").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

#[test]
fn what_commands_need_is_asked_before_anything_is_changed_and_before_it_is_undone() {
    let desk = Desk::new(&book("", &(makes("a") + MARKS)));
    let token = "mark needs a variable that is not set: NIGHT_TOKEN";
    let program = "mark: `./mark.sh`, which undoes it, is not there";
    for arguments in
        [&["plan", "run", "night.toml"][..], &["run", "night.toml", "--dry-run"], &["run", "night.toml", "--yes"]]
    {
        says(&desk.expect(2, arguments), &[token, program, "nothing was changed"]);
    }
    assert!(!desk.path("a").exists());

    let script = desk.path("mark.sh");
    desk.write("mark.sh", "#!/bin/sh\necho $NIGHT_TOKEN >/dev/null\n");
    says(&with_token(&desk, 2, &["run", "night.toml", "--yes"]), &["is not executable"]);
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    with_token(&desk, 0, &["run", "night.toml", "--yes"]);
    says(&desk.expect(2, &["rollback", "--dry-run"]), &[token]);
    says(&desk.expect(2, &["rollback", "--yes"]), &[token, "nothing was changed"]);
    assert!(desk.path("a").exists(), "nothing was undone");
    with_token(&desk, 0, &["rollback", "--yes"]);
    assert!(!desk.path("a").exists());
}

#[test]
fn a_run_that_was_held_is_gone_on_with_only_where_its_commands_can_be_called() {
    let entries = makes("a") + MARKS + FAILS;
    let desk = Desk::new(&book("on_failure = \"hold\"", &entries));
    desk.write("mark.sh", "#!/bin/sh\nexit 0\n");
    std::fs::set_permissions(desk.path("mark.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    with_token(&desk, 4, &["run", "night.toml", "--yes"]);
    says(&desk.expect(2, &["resume"]), &["NIGHT_TOKEN", "run 1 stands as it stood"]);
    says(&desk.expect(0, &["status"]), &["HELD"]);
    with_token(&desk, 0, &["rollback", "--yes"]);
    assert!(!desk.path("a").exists());
}

#[test]
fn maintenance_is_on_from_its_entry_to_its_end_with_the_words_of_the_runbook_and_a_rollback_goes_through_it_backwards()
{
    let entries = "[[phase.entry]]\nstep = \"maintenance-on\"\nmessage = \"Back at five\"\n\
                   [[phase.entry]]\ncheckpoint = \"go\"\n[[phase.entry.item]]\nname = \"sure\"\nconfirm = \"Sure\"\n\
                   [[phase.entry]]\nstep = \"maintenance-off\"\n";
    let desk = Desk::new(&book("", &(entries.to_owned() + &makes("a"))));
    let config = std::fs::read_to_string(desk.path("cutover.toml")).unwrap();
    std::fs::create_dir(desk.path("run")).unwrap();
    let url = answers_like_caddy(desk.path("run/maintenance"));
    desk.write("cutover.toml", &format!("{config}[caddy]\nurl = \"{url}\"\ndirectory = \"run\"\n"));
    let page = || std::fs::read_to_string(desk.path("run/maintenance")).unwrap_or_default();
    desk.expect(3, &["run", "night.toml", "--yes"]);
    assert!(page().contains("Back at five"), "{}", page());
    desk.expect(0, &["approve", "go", "--confirms", "sure"]);
    desk.expect(0, &["resume"]);
    assert!(!desk.path("run/maintenance").exists());
    desk.expect(0, &["rollback", "--yes"]);
    assert!(!desk.path("run/maintenance").exists() && !desk.path("a").exists());
    // Undone while it stands at the checkpoint, the page goes too.
    desk.expect(3, &["run", "night.toml", "--yes"]);
    assert!(page().contains("Back at five"), "{}", page());
    desk.expect(0, &["rollback", "--yes"]);
    assert!(!desk.path("run/maintenance").exists());
}

#[test]
fn a_rollback_that_is_stuck_shows_what_is_left_of_it_and_once_finished_tells_of_no_failure() {
    let sticks = "[[phase.entry]]\nname = \"sticks\"\ncommand = [\"touch\", \"sticks\"]\ncheck = [\"test\", \"-e\", \"sticks\"]\n\
                  undo = [\"/bin/sh\", \"-c\", \"test -e key && rm sticks\"]\n";
    let desk = Desk::new(&book("", &(makes("a") + sticks + &makes("b"))));
    desk.expect(0, &["run", "night.toml", "--yes"]);
    let plan = desk.expect(0, &["rollback", "--dry-run"]);
    says(&plan, &["undo b: run `rm b`", "undo a: run `rm a`", "stops there, with 8", "`cutover resume` goes on"]);
    assert!(!plan.contains("or `cutover rollback`"), "{plan}");
    says(&desk.expect(8, &["rollback", "--yes"]), &["STUCK"]);

    let left = desk.expect(0, &["rollback", "--dry-run"]);
    says(
        &left,
        &["the undoing of the cutover night", "run 2 stopped; of its 3 steps 1 is behind it", "undo a: run `rm a`"],
    );
    assert!(!left.contains("undo b") && !left.contains("the undoing of the undoing"), "{left}");
    desk.write("key", "");
    says(&desk.expect(0, &["rollback", "--yes"]), &["COMPLETE"]);
    let status = desk.expect(0, &["status"]);
    assert!(!status.contains("failed in"), "{status}");
    assert!(!desk.path("a").exists() && !desk.path("sticks").exists());
    says(&desk.expect(0, &["history", "2"]), &["undo_sticks"]);
}

#[test]
fn what_an_ended_run_did_not_come_to_was_not_reached_and_without_a_configuration_nobody_calls_it_invalid() {
    let desk = Desk::new(&book("", &(makes("a") + FAILS + &makes("b"))));
    desk.expect(7, &["run", "night.toml", "--yes"]);
    let text = desk.expect(0, &["history", "1"]);
    says(&text, &["not reached"]);
    assert!(!text.contains("waiting"), "{text}");
    std::fs::remove_file(desk.path("cutover.toml")).unwrap();
    let text = desk.expect(0, &["status", "--state-directory", "state"]);
    says(&text, &["cutover.toml is not there; working from the journal in"]);
}

/// Answers every request as the snippet of the Caddyfile does: with the page and 503 while its file is there.
fn answers_like_caddy(page: std::path::PathBuf) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // A request has no body, so one read that ends its head is all of it.
            let mut bytes = [0_u8; 4096];
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut bytes) {
                    Ok(count) if count > 0 => head.extend_from_slice(&bytes[..count]),
                    _ => break,
                }
            }
            let (status, body) = match std::fs::read_to_string(&page) {
                Ok(page) => ("503 Service Unavailable", page),
                Err(_) => ("200 OK", "the application".to_owned()),
            };
            let length = body.len();
            // Whoever asked may be gone.
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
    });
    url
}
