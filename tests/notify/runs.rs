//! What a run tells by itself: to those who run it, and, where its runbook says so, to users.

use serde_json::{Value, json};

use super::support::live::says;
use super::support::receiver::{Answer, Receiver};
use super::{Desk, channel};

/// A runbook whose second step fails where `fails` is there, after a notice to users.
const BOOK: &str = r#"
schema = "cutover/runbook/v1"
name = "night"
title = "One notice"
[[phase]]
name = "only"
title = "Only phase"
[[phase.entry]]
name = "tell-users"
step = "notice"
notice = "start"
[[phase.entry]]
name = "before"
command = ["touch", "before"]
check = ["test", "-e", "before"]
undo = ["rm", "before"]
[[phase.entry]]
name = "after"
command = ["test", "!", "-e", "fails"]
"#;

/// Operators hear of runs at one channel; users would at two, of which one is dead.
fn desk(operators: &Receiver, users: &Receiver) -> Desk {
    let dead = super::support::ports::free_port();
    let notify = "allow_hosts = [\"localhost\"]\nattempts = 2\n".to_owned()
        + &channel("ops", "webhook", "url_env = \"U0\"\nevents = [\"runs\"]")
        + &channel("users", "webhook", "url_env = \"U1\"\nevents = [\"notices\"]")
        + &channel("letters", "slack", "url_env = \"U2\"\nevents = [\"notices\"]");
    let desk = Desk::new(
        &notify,
        &[
            ("U0", &operators.url("localhost", "/in")),
            ("U1", &users.url("localhost", "/in")),
            ("U2", &format!("http://localhost:{dead}/services/T0/B0/xyzzy-plugh-1")),
        ],
    );
    std::fs::write(desk.home.path().join("night.toml"), BOOK).unwrap();
    desk
}

fn events(receiver: &Receiver) -> Vec<Value> {
    receiver.rest().iter().map(|asked| asked.json()["event"].clone()).collect()
}

#[test]
fn a_runbook_sends_its_notice_once_for_each_run_and_no_dead_channel_fails_it() {
    let (operators, users) = (Receiver::plain(), Receiver::plain());
    let desk = desk(&operators, &users);
    let said = desk.expect(0, &["run", "night.toml", "--yes"]);
    says(&said, &["COMPLETE"]);
    assert_eq!(events(&users), ["notice_start"]);
    assert_eq!(events(&operators), ["run_begun", "run_finished"]);
    // Who was not told stands with the step, for whoever looks the next morning.
    let history = desk.expect(0, &["history", "1"]);
    says(&history, &["the notice start was sent to users; letters (slack) was not told, after 2 tries: localhost"]);
    says(&history, &["to try again: cutover notify send start --again --channel \"letters\""]);
    says(&desk.expect(0, &["status"]), &["letters is not told since"]);
    assert!(!history.contains("xyzzy"), "{history}");

    // It was sent by this run, and is not sent again where the run is gone on with after a kill.
    let mut twice = desk.command(&["notify", "send", "start", "--yes", "--in-run"]);
    let ran = twice.env("CUTOVER_RUN", "1").output().unwrap();
    assert_eq!(ran.status.code(), Some(0));
    says(&String::from_utf8_lossy(&ran.stdout), &["the notice start was sent by this run already"]);
    says(&desk.expect(2, &["notify", "send", "start", "--yes", "--in-run"]), &["CUTOVER_RUN holds no number of one"]);
    assert!(users.rest().is_empty());
    // One channel alone is tried, and sent to again, where it is named.
    says(&desk.expect(0, &["notify", "test", "users"]), &["users (webhook) was told"]);
    assert_eq!(users.next().json()["event"], "test");
    desk.expect(0, &["notify", "send", "start", "--yes", "--again", "--channel", "users"]);
    assert_eq!(events(&users), ["notice_start"]);
    // The next one is another story, of which users hear again.
    let again = ["notify", "send", "start", "--yes"];
    says(&desk.expect(4, &again), &["the notice start was sent", "add --again"]);
    desk.expect(0, &["rollback", "--yes"]);
    desk.expect(0, &["run", "night.toml", "--yes"]);
    assert_eq!(events(&users), ["notice_start"]);
}

#[test]
fn a_notice_that_could_not_be_sent_as_things_stand_is_refused_before_the_run_begins() {
    let (operators, users) = (Receiver::plain(), Receiver::plain());
    let desk = desk(&operators, &users);
    let book =
        |notice: &str| std::fs::write(desk.home.path().join("night.toml"), BOOK.replace("\"start\"", notice)).unwrap();
    book("\"48h\"");
    says(&desk.expect(2, &["run", "night.toml", "--yes"]), &["tell-users", "needs {begins}", "notify.begins"]);
    book("\"strat\"");
    says(&desk.expect(2, &["run", "night.toml", "--yes"]), &["there is no notice \"strat\"", "did you mean start?"]);
    assert!(!desk.home.path().join("state/runs/0001-cutover.jsonl").exists());
    assert!(events(&operators).is_empty() && events(&users).is_empty());
}

#[test]
fn a_run_that_fails_is_told_when_it_turns_back_and_again_when_it_has_come_home() {
    let (operators, users) = (Receiver::plain(), Receiver::plain());
    let desk = desk(&operators, &users);
    std::fs::write(desk.home.path().join("fails"), "").unwrap();
    let book = BOOK.replace("title = \"One notice\"", "title = \"One notice\"\non_failure = \"rollback\"");
    std::fs::write(desk.home.path().join("night.toml"), book).unwrap();
    // The first notice is not taken at once; the others wait for it: nobody hears of an end before its begin.
    operators.then(&[Answer::Status(503, "busy")]);
    says(&desk.expect(7, &["run", "night.toml", "--yes"]), &["ROLLED BACK"]);
    assert_eq!(operators.next().json()["event"], "run_begun");
    let told: Vec<Value> = operators.rest().iter().map(super::Asked::json).collect();
    let events: Vec<&Value> = told.iter().map(|one| &one["event"]).collect();
    assert_eq!(events, [&json!("run_begun"), &json!("run_turns_back"), &json!("run_rolled_back")]);
    let text = told[1]["text"].as_str().unwrap();
    says(
        text,
        &["has failed on", "in \"run `test '!' -e fails`\"", "How bad: it is undone now", "What to do: nothing yet"],
    );
    assert!(told[2]["text"].as_str().unwrap().contains("people have what they had before"), "{}", told[2]);
    assert!(!desk.home.path().join("before").exists());
}
