//! The seeds' nine checkpoints in seven situations each: what counts, what is refused, and in which words.

use crate::desk::Desk;
use crate::support::live::says;

/// The signals of the seeds 29-01, 29-02 and 07-06.
const SIGNALS: [&str; 9] = [
    "env-ready",
    "cutover-ready",
    "frozen",
    "exported",
    "users-mapped",
    "staging-verified",
    "production-ready",
    "cutover-complete",
    "stabilized",
];

/// What each of the project's runbooks asks people for; each is one of the nine.
#[test]
fn the_nine_are_those_of_the_runbooks_and_the_whole_night_has_them_all() {
    let desk = Desk::new("");
    let signals = |name: &str| -> Vec<String> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks").join(format!("{name}.toml"));
        let page = desk.expect(0, &["runbook", "render", path.to_str().unwrap()]);
        let typed = page.lines().filter_map(|line| line.strip_prefix("cutover approve "));
        typed.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let mut apart: Vec<String> =
        ["readiness", "freeze-export-users", "staging-and-production"].into_iter().flat_map(signals).collect();
    assert_eq!(apart, SIGNALS);
    let mut night = signals("supabase-to-postgres");
    apart.sort();
    night.sort();
    assert_eq!(night, apart);
}

/// A runbook with this checkpoint between two commands: a gate on a file, and two statements.
fn book(signal: &str, more: &str) -> String {
    format!(
        r#"
schema = "cutover/runbook/v1"
name = "night"
title = "One checkpoint"
[[phase]]
name = "only"
title = "Only phase"
[[phase.entry]]
name = "before"
command = ["touch", "before"]
check = ["test", "-e", "before"]
undo = ["rm", "before"]
[[phase.entry]]
checkpoint = "{signal}"
built = "everything before it"
{more}
[[phase.entry.item]]
name = "proof"
gate = "file"
files = ["proof.json"]
pointers = ["/rows"]
[[phase.entry.item]]
name = "window"
confirm = "The window is scheduled"
[[phase.entry.item]]
name = "contacts"
confirm = "The contacts are confirmed"
[[phase.entry]]
name = "after"
command = ["touch", "after"]
check = ["test", "-e", "after"]
undo = ["rm", "after"]
"#
    )
}

/// A run that was begun and has come to the checkpoint, its gate passed.
fn begun(signal: &str, more: &str) -> Desk {
    let desk = Desk::new(&book(signal, more));
    desk.write("proof.json", "{\"rows\": 1}");
    let text = desk.expect(3, &["run", "night.toml", "--yes"]);
    says(
        &text,
        &["WAITING: run 1 stands at a checkpoint", signal, "everything before it", "--confirms window,contacts"],
    );
    assert!(desk.path("before").exists() && !desk.path("after").exists());
    desk
}

/// The same, looked at.
fn standing(signal: &str, more: &str) -> Desk {
    let desk = begun(signal, more);
    let again = desk.expect(3, &["run", "night.toml", "--yes"]);
    says(&again, &["run 1 (cutover) stands at a checkpoint and waits for", signal, "cutover approve"]);
    says(&desk.expect(0, &["status"]), &["WAITING: run 1 stands at a checkpoint", "cutover approve"]);
    desk
}

const ALL: &str = "window,contacts";

/// The run goes on and ends, and a rollback undoes it.
fn ends_and_is_undone(desk: &Desk) {
    says(&desk.expect(0, &["resume"]), &["COMPLETE: the cutover night"]);
    assert!(desk.path("after").exists());
    desk.expect(0, &["rollback", "--yes"]);
    assert!(!desk.path("after").exists() && !desk.path("before").exists());
}

fn each(situation: fn(&str)) {
    std::thread::scope(|scope| {
        for signal in SIGNALS {
            scope.spawn(move || situation(signal));
        }
    });
}

#[test]
fn on_a_terminal_each_statement_is_asked_and_the_approval_is_written_with_all_that_it_is_for() {
    each(|signal| {
        let desk = standing(signal, "");
        let text = desk.expect_typed(4, &["approve", signal], "y\nn\n");
        says(&text, &["The window is scheduled?", "The contacts are confirmed?", "not confirmed: contacts"]);
        assert!(desk.approvals().is_empty(), "one statement was not confirmed");
        let text = desk.expect_typed(0, &["approve", signal, "--note", "looks good"], "y\ny\n");
        says(&text, &["anna approved", "cutover resume"]);
        let line = &desk.approvals()[0];
        assert_eq!((&line["signal"], &line["note"]), (&signal.into(), &"looks good".into()));
        assert_eq!((&line["given"]["user"], &line["given"]["item"]), (&"anna".into(), &1.into()));
        assert_eq!(line["given"]["confirmed"], serde_json::json!(["window", "contacts"]));
        assert_eq!(line["given"]["plan_hash"], desk.lines(1)[0]["header"]["plan_hash"]);
        assert_eq!(line["given"]["evidence_hash"].as_str().unwrap().len(), 64);
        assert!(!line["given"]["host"].as_str().unwrap().is_empty());
        ends_and_is_undone(&desk);
    });
}

#[test]
fn without_a_terminal_nothing_is_asked_and_the_flag_is_named() {
    each(|signal| {
        let desk = standing(signal, "");
        let text = desk.expect(4, &["approve", signal, "--yes"]);
        says(&text, &["not confirmed: window, contacts", "--confirms window,contacts"]);
        says(&desk.expect(3, &["resume"]), &["WAITING", "the signal"]);
        desk.expect(0, &["approve", signal, "--confirms", ALL]);
        ends_and_is_undone(&desk);
    });
}

#[test]
fn a_wrong_signal_is_refused_with_the_one_that_is_waited_for() {
    each(|signal| {
        let desk = standing(signal, "");
        let text = desk.expect(4, &["approve", "something-else", "--confirms", ALL]);
        says(&text, &["waits for", signal, "something-else"]);
        assert!(desk.approvals().is_empty());
        desk.expect(3, &["resume"]);
    });
}

#[test]
fn stale_evidence_is_refused_and_what_is_true_now_can_be_approved() {
    each(|signal| {
        let desk = standing(signal, "");
        desk.write("proof.json", "{\"rows\": 2}");
        let text = desk.expect(4, &["approve", signal, "--confirms", ALL]);
        says(&text, &["the evidence is stale", "proof changed", "approve again"]);
        assert!(desk.approvals().is_empty());
        std::fs::remove_file(desk.path("proof.json")).unwrap();
        says(&desk.expect(4, &["approve", signal, "--confirms", ALL]), &["its own gates do not pass", "is not there"]);
        desk.write("proof.json", "{\"rows\": 3}");
        desk.expect(4, &["approve", signal, "--confirms", ALL]);
        says(&desk.expect(4, &["approve", signal, "--confirms", ALL, "--evidence", "0000"]), &["stale", "0000"]);
        desk.expect(0, &["approve", signal, "--confirms", ALL]);
        // What was approved is not true any more, so the run waits again.
        desk.write("proof.json", "{\"rows\": 4}");
        says(&desk.expect(3, &["resume"]), &["WAITING", "the signal"]);
        assert!(!desk.path("after").exists());
        desk.expect(0, &["approve", signal, "--confirms", ALL]);
        ends_and_is_undone(&desk);
    });
}

#[test]
fn a_changed_plan_is_refused_until_the_runbook_is_what_it_was() {
    each(|signal| {
        let desk = standing(signal, "");
        let before = std::fs::read_to_string(desk.path("night.toml")).unwrap();
        desk.write("night.toml", &before.replace("[\"touch\", \"after\"]", "[\"touch\", \"other\"]"));
        let text = desk.expect(4, &["approve", signal, "--confirms", ALL]);
        says(&text, &["the plan changed", "night.toml", "cutover rollback"]);
        desk.write("night.toml", &before);
        says(&desk.expect(4, &["approve", signal, "--confirms", ALL, "--plan", "0000"]), &["you mean the plan 0000"]);
        assert!(desk.approvals().is_empty());
        let hash = desk.lines(1)[0]["header"]["plan_hash"].as_str().unwrap()[..12].to_owned();
        desk.expect(0, &["approve", signal, "--confirms", ALL, "--plan", &hash]);
        ends_and_is_undone(&desk);
    });
}

#[test]
fn an_expired_checkpoint_takes_no_approval_and_does_what_it_says() {
    each(|signal| {
        let rolls_back = signal.len().is_multiple_of(2);
        // Time enough to come to rest at it, also on a busy machine.
        let more = if rolls_back { "deadline = \"4s\"\non_expiry = \"rollback\"" } else { "deadline = \"4s\"" };
        let desk = begun(signal, more);
        desk.until("it expires", || {
            let output = desk.command("anna", &["approve", "none", "--evidence", "x"]).output().unwrap();
            assert_eq!(output.status.code(), Some(4));
            let output = desk.command("anna", &["approve", signal]).output().unwrap();
            String::from_utf8_lossy(&output.stderr).contains("expired")
        });
        says(&desk.expect(4, &["approve", signal, "--confirms", ALL]), &["expired", "cutover resume"]);
        assert!(desk.approvals().is_empty());
        let status = desk.expect(0, &["status"]);
        says(&status, &["WAITING", "expired: nobody gave", "do what its on_expiry says"]);
        assert!(!status.contains("cutover approve"), "{status}");
        if rolls_back {
            says(&desk.expect(7, &["resume"]), &["FAILED AND ROLLED BACK", "expired"]);
            assert!(!desk.path("before").exists());
        } else {
            says(&desk.expect(4, &["resume"]), &["FAILED AND HELD", "expired"]);
            assert!(desk.path("before").exists());
            says(&desk.expect(3, &["resume"]), &["WAITING"]);
        }
    });
}

#[test]
fn two_people_must_approve_where_two_are_wanted_and_one_twice_is_one() {
    each(|signal| {
        let desk = standing(signal, "people = 2");
        says(
            &desk.expect(3, &["approve", signal, "--confirms", ALL]),
            &["anna approved", "from 1 more (anna gave it)"],
        );
        says(&desk.expect(4, &["approve", signal, "--confirms", ALL]), &["anna approved", "another one"]);
        says(&desk.expect(3, &["resume"]), &["WAITING", "from 1 more"]);
        desk.expect_of("ben", 0, &["approve", signal, "--confirms", ALL]);
        let people: Vec<_> = desk.approvals().iter().map(|line| line["given"]["user"].clone()).collect();
        assert_eq!(people, ["anna", "ben"]);
        ends_and_is_undone(&desk);
    });
}

#[test]
fn an_approval_can_be_taken_back_and_grows_old() {
    let desk = standing("frozen", "valid = \"5s\"");
    desk.expect(0, &["approve", "frozen", "--confirms", ALL]);
    says(&desk.expect(0, &["approve", "frozen", "--cancel"]), &["taken back"]);
    says(&desk.expect(3, &["resume"]), &["WAITING"]);
    desk.expect(0, &["approve", "frozen", "--confirms", ALL]);
    let given = desk.approvals()[2]["at"].as_str().unwrap().to_owned();
    desk.until("it is too old", || {
        let seconds = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        jiff::Timestamp::now().as_second() > seconds(&given) + 5
    });
    says(&desk.expect(3, &["resume"]), &["WAITING", "the signal"]);
}

#[test]
fn a_statement_that_the_checkpoint_does_not_have_is_named_with_those_it_has() {
    let desk = standing("frozen", "");
    let words = "\"frozen\" has no statement nope; it has window, contacts";
    says(&desk.expect(4, &["approve", "frozen", "--confirms", "nope"]), &[words]);
    says(&desk.expect(4, &["approve", "frozen", "--confirms", "window,contacts,nope"]), &[words]);
    assert!(desk.approvals().is_empty());
}

#[test]
fn a_run_that_waits_hears_the_approval_goes_on_by_itself_and_asks_its_gates_meanwhile() {
    let desk = Desk::new(&book("frozen", "recheck = \"100ms\""));
    desk.write("proof.json", "{\"rows\": 1}");
    let child = desk.waiting();
    says(&desk.expect(5, &["run", "night.toml", "--yes"]), &["holds the lock"]);
    says(&desk.expect(0, &["status"]), &["WAITING: run 1 waits in another terminal at a checkpoint", "the signal"]);
    std::fs::remove_file(desk.path("proof.json")).unwrap();
    let is_refused = |line: &serde_json::Value| line["data"]["gates"][0]["answer"] == "refused";
    desk.until("it saw that the file is gone", || desk.lines(1).last().is_some_and(is_refused));
    says(&desk.expect(4, &["approve", "frozen", "--confirms", ALL]), &["its own gates do not pass"]);
    desk.write("proof.json", "{\"rows\": 1}");
    desk.until("it saw that the file is back", || !desk.lines(1).last().is_some_and(is_refused));
    says(&desk.expect(4, &["approve", "exported", "--confirms", ALL]), &["waits for \"frozen\""]);
    says(&desk.expect(0, &["approve", "frozen", "--confirms", ALL]), &["anna approved", "goes on by itself"]);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(desk.path("after").exists());
}

#[test]
fn an_approval_that_was_killed_while_a_gate_was_asked_can_be_given_again_at_once() {
    let gate = "gate = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"touch asked; test ! -e slow || sleep 600\"]";
    let desk = Desk::new(
        &book("frozen", "").replace("gate = \"file\"\nfiles = [\"proof.json\"]\npointers = [\"/rows\"]", gate),
    );
    desk.expect(3, &["run", "night.toml", "--yes"]);
    desk.write("slow", "");
    std::fs::remove_file(desk.path("asked")).unwrap();
    let mut child = desk.command("anna", &["approve", "frozen", "--confirms", ALL]).spawn().unwrap();
    desk.until("the gate is asked", || desk.path("asked").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(desk.path("slow")).unwrap();
    says(&desk.expect(0, &["approve", "frozen", "--confirms", ALL]), &["anna approved"]);
    ends_and_is_undone(&desk);
}
