//! Going back by itself, from the first failed question to the old release: announced, stopped by a file and by another run,
//! done under the host's lock, and written down.

use std::path::Path;

use cutover::adapter::{clock, files};
use cutover::journal::entry::{FORMAT, Header};
use cutover::journal::{Fact, Journal, Outcome, lock, runs};
use serde_json::json;

use crate::support::live::says;
use crate::support::project::Project;
use crate::support::receiver::Receiver;

/// The journal of a rehearsal that ended well: this way back is known.
pub fn rehearsed(state: &Path) {
    let directory = state.join("runs");
    files::make_private_directory(&directory).unwrap();
    let path = runs::journal_path(&directory, 1, "rehearsal");
    let mut journal = Journal::create(&path, clock::boot_id(), clock::now).unwrap();
    let header = Header {
        format: FORMAT,
        number: 1,
        run: "rehearsal".into(),
        project: "p".into(),
        environment: "test".into(),
        by: "me".into(),
        version: "0".into(),
        plan_hash: String::new(),
        undoes: None,
    };
    journal.append(Fact::Planned { header, plan: serde_json::Value::Null }).unwrap();
    journal.append(Fact::Finished { outcome: Outcome::Done, exit: 0, said: "done".into() }).unwrap();
}

fn configure(project: &Project, control: &Receiver, hook: &Receiver) {
    project.write("hook.txt", &hook.url("localhost", "/in"));
    std::fs::set_permissions(project.path("hook.txt"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    project.configure(&format!(
        "[stabilize]\nwindow = \"1h\"\nprobe = \"http://127.0.0.1:{}/health/ready\"\ncontrol = \"{}\"\ncancel = \"1s\"\n\
         [notify]\nallow_hosts = [\"localhost\"]\n[[notify.channel]]\nname = \"hook\"\nkind = \"webhook\"\n\
         url_file = \"hook.txt\"\nevents = [\"verdicts\"]\n",
        project.port,
        control.url("127.0.0.1", "/")
    ));
}

/// A process that holds the host's lock. It is no part of this one: what other tests start here would inherit it.
struct Elsewhere(std::process::Child);

impl Elsewhere {
    fn locks(state: &Path) -> Self {
        let mut command = std::process::Command::new("flock");
        let child = command.arg("--no-fork").arg(state.join("lock")).args(["sleep", "120"]).spawn().unwrap();
        let begun = clock::Stopwatch::start();
        while lock::held(state).unwrap().is_none() {
            assert!(begun.elapsed().as_secs() < 60, "the lock was not taken");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Self(child)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Until the time to stop it is over, and one look more.
fn after_the_countdown(project: &Project) -> std::process::Output {
    let begun = clock::Stopwatch::start();
    while begun.elapsed().as_millis() < 1100 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    project.cutover(&["watch", "--once"])
}

#[test]
fn an_armed_watcher_goes_back_by_itself_unless_somebody_stops_it() {
    let project = Project::new("armed");
    let (control, hook) = (Receiver::plain(), Receiver::plain());
    configure(&project, &control, &hook);
    rehearsed(&project.state());
    project.deploy("1");
    let first = project.images();
    project.deploy("2");
    assert_ne!(project.images(), first);
    project.expect(0, &["watch", "--once", "--arm", "2h", "--confirm", "arm test"]);
    // The checks before each deployment looked whether it answers.
    let told = hook.rest().into_iter().filter(|asked| asked.method != "GET").map(|asked| asked.json()["title"].clone());
    assert_eq!(told.collect::<Vec<_>>(), [json!(null); 0], "all is well: nobody is told anything");

    project.docker(&["stop", "--time", "0", &project.container("backend")]);
    let plugin = ["watch", "--once", "--format", "nagios"];
    says(&project.expect(1, &plugin), &["CUTOVER WARNING", "1 failure in a row"]);
    (0..4).for_each(|_| drop(project.expect(1, &plugin)));
    says(&project.expect(2, &plugin), &["CUTOVER CRITICAL", "6 failures in a row", "the engine agrees"]);
    let told = [hook.next().json(), hook.next().json()];
    assert_eq!(told[0]["facts"]["verdict"], "WATCH");
    assert_eq!(told[1]["facts"]["verdict"], "ROLLBACK-RECOMMENDED");
    let text = told[1]["text"].as_str().unwrap();
    for part in
        ["people are affected", "to go back: cutover rollback --config", "cost: ", "time: ", "to keep the host from"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }

    // It counts down, says how to stop it, and a file stops it.
    let hold = project.state().join("watch/hold");
    let said = project.expect(4, &["watch", "--once"]);
    says(&said, &["going back by itself in 1.0 s", "to stop it: touch", "watch/hold"]);
    assert_eq!(hook.next().json()["event"], "going_back");
    std::fs::write(&hold, "").unwrap();
    let stopped = String::from_utf8(after_the_countdown(&project).stderr).unwrap();
    says(&stopped, &["does not go back by itself: a hold file is there"]);
    assert_eq!(hook.next().json()["event"], "not_going_back");
    std::fs::remove_file(&hold).unwrap();

    // So does a run that holds the lock.
    says(&project.expect(4, &["watch", "--once"]), &["going back by itself"]);
    let run = Elsewhere::locks(&project.state());
    let stopped = String::from_utf8(after_the_countdown(&project).stderr).unwrap();
    says(&stopped, &["does not go back by itself: another run holds the lock"]);
    drop(run);
    assert_ne!(project.images(), first, "nothing was done yet");

    says(&project.expect(4, &["watch", "--once"]), &["going back by itself"]);
    let gone = after_the_countdown(&project);
    let said = String::from_utf8_lossy(&gone.stderr).into_owned() + &String::from_utf8_lossy(&gone.stdout);
    assert_eq!(gone.status.code(), Some(7), "{said}");
    says(&said, &["going back now", "COMPLETE"]);
    // Once: whatever had come of it, the next decision is a person's.
    let window: serde_json::Value =
        serde_json::from_slice(&std::fs::read(project.state().join("watch/window.json")).unwrap()).unwrap();
    assert_eq!((&window["armed"], &window["going_back"]), (&json!(null), &json!(null)));
    assert_eq!(window["ladder"]["level"], "rollback", "{window}");
    assert_eq!(project.images(), first);
    assert!(project.get("/health/ready").unwrap().contains("200 OK"));

    let verdicts: Vec<_> = project.journal(3).into_iter().filter(|line| line["kind"] == "verdict").collect();
    let words: Vec<_> = verdicts.iter().map(|line| line["verdict"].clone()).collect();
    assert_eq!(words, [json!("WATCH"), json!("ROLLBACK-RECOMMENDED"), json!("ROLLBACK")]);
    let (document, _) = project.json(&["watch", "--once"]);
    assert!(document["armed"].is_null(), "{document}");
}
