//! The watcher as a service, and what it tells the dead man's switch: alive while all is well, down from HOLD on, and nothing
//! while it does not know.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cutover::adapter::clock::{self, Stopwatch};
use serde_json::{Value, json};

use crate::NEVER;
use crate::going_back::rehearsed;
use crate::support::receiver::{Answer, Receiver};

/// A directory whose configuration asks what is given here, and tells a push monitor and a webhook.
struct House {
    home: tempfile::TempDir,
    monitor: Receiver,
    hook: Receiver,
}

impl House {
    fn new(asks: &str) -> Self {
        let (home, monitor, hook) = (tempfile::tempdir().unwrap(), Receiver::plain(), Receiver::plain());
        monitor.says("{\"ok\":true}");
        let text = format!(
            "schema = \"cutover/v1\"\n[project]\nname = \"shop\"\nenvironment = \"test\"\n[state]\ndirectory = \"state\"\n\
             [preflight]\nmin_disk = \"0B\"\n{asks}\n[notify]\nallow_hosts = [\"localhost\"]\nattempts = 1\n\
             [[notify.channel]]\nname = \"alive\"\nkind = \"kuma\"\nurl_env = \"U0\"\n\
             [[notify.channel]]\nname = \"hook\"\nkind = \"webhook\"\nurl_env = \"U1\"\nevents = [\"verdicts\"]\n"
        );
        std::fs::write(home.path().join("cutover.toml"), text).unwrap();
        Self { home, monitor, hook }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.current_dir(self.home.path()).args(arguments).stdin(Stdio::null());
        command.env("U0", self.monitor.url("localhost", "/api/push/xyzzy?status=up&msg=OK&ping="));
        command.env("U1", self.hook.url("localhost", "/in"));
        command
    }

    /// One tick; gives the exit code and what was printed.
    fn once(&self, more: &[&str]) -> (i32, String) {
        let ran = self.command(&[&["watch", "--once"], more].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        (ran.status.code().unwrap(), said)
    }

    fn window(&self, change: impl Fn(&mut Value)) {
        let path = self.home.path().join("state/watch/window.json");
        let mut window: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut window);
        std::fs::write(&path, window.to_string()).unwrap();
    }

    /// As if its last minute had been judged a minute earlier.
    fn a_minute_passes(&self) {
        self.window(|window| window["grid_ms"] = json!(window["grid_ms"].as_i64().unwrap() - 60_000));
    }
}

/// Ended when the value is dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the service manager hears next.
fn heard(ear: &UnixDatagram) -> String {
    let mut buffer = [0; 2000];
    let length = ear.recv(&mut buffer).expect("the service manager hears nothing");
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn a_service_is_ready_alive_round_by_round_and_ends_when_it_is_asked_to_with_its_window_kept() {
    // Nothing listens there: the errors cannot be judged.
    let house = House::new("[prometheus]\nurl = \"http://127.0.0.1:9\"\n[stabilize]\nwindow = \"1h\"\n");
    let place = house.home.path().join("manager");
    let ear = UnixDatagram::bind(&place).unwrap();
    ear.set_read_timeout(Some(NEVER)).unwrap();
    let mut command = house.command(&["watch"]);
    command.env("NOTIFY_SOCKET", &place).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut daemon = Daemon(command.spawn().unwrap());
    assert_eq!(heard(&ear), "READY=1");
    let first = heard(&ear);
    assert!(first.starts_with("WATCHDOG=1\nSTATUS=OK as far as is known since "), "{first}");
    assert!(first.ends_with("observed 0 min of 1 h 00 min"), "{first}");
    // The work loop comes round again, also where no minute is over.
    let begun = Stopwatch::start();
    while heard(&ear) != "WATCHDOG=1" {
        assert!(begun.left(NEVER).is_some(), "it is alive only when it judges");
    }
    assert_eq!(house.once(&[]).0, 5, "it judges: a second one is turned away");
    rustix::process::kill_process(rustix::process::Pid::from_child(&daemon.0), rustix::process::Signal::TERM).unwrap();
    let mut last = heard(&ear);
    while last.starts_with("WATCHDOG=1") {
        last = heard(&ear);
    }
    assert_eq!(last, "STOPPING=1");
    let status = daemon.0.wait().unwrap();
    assert_eq!(status.code(), Some(0), "a verdict of OK, and an end that was asked for");
    let mut said = String::new();
    std::io::Read::read_to_string(daemon.0.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert!(said.starts_with("OK as far as is known since "), "the whole is told at the first tick: {said}");
    assert!(said.contains("the window is kept, and goes on when it is started again"), "{said}");
    assert!(Path::new(&house.home.path().join("state/watch/window.json")).exists());
    assert!(house.monitor.rest().is_empty(), "what is not known is no sign of life");
}

#[test]
fn the_monitor_hears_up_while_all_is_well_and_down_from_hold_on() {
    let route = Receiver::plain();
    let probe = route.url("127.0.0.1", "/");
    let house = House::new(&format!("[stabilize]\nwindow = \"1h\"\nprobe = \"{probe}\"\n"));
    let (code, said) = house.once(&["--format", "nagios"]);
    assert_eq!(code, 0, "{said}");
    let up = house.monitor.next().target;
    assert!(up.starts_with("/api/push/xyzzy?status=up&msg=test%3A+OK+since+"), "{up}");
    assert!(house.hook.rest().is_empty(), "all is well: nobody is told anything");

    route.then(&[const { Answer::Status(503, "ill") }; 6]);
    for _ in 0..5 {
        assert_eq!(house.once(&["--format", "nagios"]).0, 1);
        assert!(house.monitor.next().target.contains("?status=up&msg=test%3A+WATCH+"));
    }
    let (code, said) = house.once(&["--format", "nagios"]);
    assert_eq!(code, 2, "{said}");
    let down = house.monitor.next().target;
    assert!(down.starts_with("/api/push/xyzzy?status=down&msg=test%3A+HOLD+since+"), "{down}");
    let told: Vec<Value> = house.hook.rest().iter().map(|asked| asked.json()["facts"]["verdict"].clone()).collect();
    assert_eq!(told, ["WATCH", "HOLD"]);
}

#[test]
fn a_monitor_that_is_away_is_told_of_once_and_once_more_when_it_is_back() {
    let route = Receiver::plain();
    let house = House::new(&format!("[stabilize]\nwindow = \"1h\"\nprobe = \"{}\"\n", route.url("127.0.0.1", "/")));
    house.once(&[]);
    assert_eq!(house.once(&[]), (0, String::new()), "all is well");
    house.monitor.then(&[const { Answer::Status(503, "busy") }; 3]);
    let (code, said) = house.once(&[]);
    assert_eq!((code, said.lines().count()), (0, 1), "{said}");
    assert!(said.starts_with("cutover: alive (kuma) was not told: localhost"), "{said}");
    // Cron would send a letter every minute otherwise.
    (0..2).for_each(|_| assert_eq!(house.once(&[]), (0, String::new()), "it was said"));
    let (code, said) = house.once(&[]);
    assert_eq!((code, said.lines().count()), (0, 1), "{said}");
    assert!(said.starts_with("cutover: alive (kuma) is told again: localhost"), "{said}");
    assert_eq!(house.once(&[]), (0, String::new()));
}

#[test]
fn a_window_that_is_accepted_is_told_once_with_what_may_be_done_now() {
    let route = Receiver::plain();
    let probe = route.url("127.0.0.1", "/");
    let house = House::new(&format!("[stabilize]\nwindow = \"1h\"\nprobe = \"{probe}\"\n"));
    house.once(&["--format", "nagios"]);
    house.window(|window| window["evidence"] = json!({ "observed_min": 60, "requests": 1000, "errors": 0 }));
    house.a_minute_passes();
    let (code, said) = house.once(&[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the window is accepted"), "{said}");
    let told = house.hook.next().json();
    assert_eq!((&told["event"], &told["severity"]), (&json!("window_accepted"), &json!("good")));
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("the old system may be let go; until then it can be gone back to"), "{text}");
    let status = house.command(&["status", "--output", "json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!((&document["watch"]["verdict"], &document["watch"]["is_accepted"]), (&json!("OK"), &json!(true)));
    house.a_minute_passes();
    assert_eq!(house.once(&[]), (0, String::new()), "once");
    assert!(house.hook.rest().is_empty());
    // As a service it has nothing to do any more, and ends with what it found.
    let mut daemon = Daemon(house.command(&["watch"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let begun = Stopwatch::start();
    let status = loop {
        if let Some(status) = daemon.0.try_wait().unwrap() {
            break status;
        }
        assert!(begun.left(NEVER).is_some(), "it goes on");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(0));
    let mut said = String::new();
    std::io::Read::read_to_string(daemon.0.stdout.as_mut().unwrap(), &mut said).unwrap();
    assert!(said.contains("  accepted: at most "), "{said}");
}

/// Reads a request, and answers that all is well.
fn answer(stream: TcpStream) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|length| length > 2) {
        line.clear();
    }
    let all = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    stream.get_mut().write_all(all.as_bytes()).unwrap();
}

#[test]
fn a_window_that_cannot_be_written_is_told_once_and_told_again_when_it_can() {
    let route = TcpListener::bind("127.0.0.1:0").unwrap();
    let probe = format!("http://{}/", route.local_addr().unwrap());
    let house = House::new(&format!("[stabilize]\nwindow = \"1h\"\nprobe = \"{probe}\"\n"));
    let daemon = Daemon(house.command(&["watch"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    // The window is begun, and the first tick waits for the route: then its place is taken.
    let (asked, _) = route.accept().unwrap();
    let window = house.home.path().join("state/watch/window.json");
    std::fs::remove_file(&window).unwrap();
    std::fs::create_dir_all(window.join("in the way")).unwrap();
    answer(asked);
    std::thread::spawn(move || route.incoming().flatten().for_each(answer));
    // On a busy machine the route may have been answered too late, and a verdict has changed: of that nothing is asked here.
    let next = || {
        let told = std::iter::repeat_with(|| house.hook.next().json());
        told.into_iter().find(|told| told["event"].as_str().unwrap().starts_with("watch_")).unwrap()
    };
    let told = next();
    assert_eq!((&told["event"], &told["severity"]), (&json!("watch_not_kept"), &json!("bad")), "{told}");
    let text = told["text"].as_str().unwrap();
    for part in ["cannot write it down: ", "window.json", "\nSince: ", "does not go back by itself meanwhile", "df -h "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    std::fs::remove_dir_all(&window).unwrap();
    let told = next();
    assert_eq!((&told["event"], &told["severity"]), (&json!("watch_kept_again"), &json!("good")), "once: {told}");
    house
        .window(|window| assert!(window["rules"]["outage"].is_object(), "what was judged meanwhile is kept: {window}"));
    drop(daemon);
}

#[test]
fn a_verdict_that_cannot_stand_in_the_journal_is_told_once_and_gets_its_line_later() {
    let route = Receiver::plain();
    let probe = route.url("127.0.0.1", "/");
    let house = House::new(&format!("[stabilize]\nwindow = \"1h\"\nprobe = \"{probe}\"\n"));
    let state = house.home.path().join("state");
    rehearsed(&state);
    // Who cannot take the host's lock cannot write to a journal.
    std::fs::create_dir(state.join("lock")).unwrap();
    let told = || {
        let mut told: Vec<Value> = house.hook.rest().iter().map(|asked| asked.json()).collect();
        told.sort_by_key(|one| one["event"].to_string());
        told
    };
    route.then(&[const { Answer::Status(503, "ill") }; 2]);
    assert_eq!(house.once(&["--format", "nagios"]).0, 1);
    let [changed, unwritten] = &told()[..] else { panic!("two notices") };
    assert_eq!((&changed["event"], &unwritten["event"]), (&json!("verdict_changed"), &json!("verdict_not_written")));
    let text = unwritten["text"].as_str().unwrap();
    for part in ["the verdict WATCH on ", "is not in the journal of run 1: ", "\nSince: ", "cutover history 1\n"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(house.once(&["--format", "nagios"]).0, 1);
    assert_eq!(told(), [json!(null); 0], "it was told");
    std::fs::remove_dir(state.join("lock")).unwrap();
    house.once(&["--format", "nagios"]);
    let journal = std::fs::read_to_string(state.join("runs/0001-rehearsal.jsonl")).unwrap();
    let last: Value = serde_json::from_str(journal.lines().last().unwrap()).unwrap();
    assert_eq!((&last["kind"], &last["verdict"]), (&json!("verdict"), &json!("WATCH")), "{last}");
}

#[test]
fn who_looks_while_it_counts_down_sees_how_long_there_is_to_stop_it() {
    let route = Receiver::plain();
    let probe = route.url("127.0.0.1", "/");
    let house = House::new(&format!(
        "[caddy]\nurl = \"{probe}\"\ndirectory = \"led\"\n[stabilize]\nwindow = \"1h\"\nprobe = \"{probe}\"\n"
    ));
    let state = house.home.path().join("state");
    rehearsed(&state);
    // Nobody can write yet: then it may go back.
    std::fs::create_dir(house.home.path().join("led")).unwrap();
    std::fs::write(house.home.path().join("led/maintenance"), "").unwrap();
    house.once(&[]);
    let (boot, boot_ms) = (clock::boot_id(), u64::try_from(clock::since_boot().as_millis()).unwrap());
    house.window(|window| {
        window["ladder"]["level"] = json!("rollback-recommended");
        window["armed"] = json!({ "by": "me", "until": { "boot": boot, "boot_ms": boot_ms + 7_200_000 } });
        window["going_back"] = json!({ "boot": boot, "boot_ms": boot_ms + 3_600_000 });
    });
    let (code, said) = house.once(&["--output", "json"]);
    assert_eq!(code, 4, "{said}");
    let left =
        said.split("going back by itself in ").nth(1).and_then(|rest| rest.split(" s; to stop it: touch ").next());
    assert!(left.unwrap().parse::<u64>().is_ok_and(|left| (1..=3600).contains(&left)), "{said}");
    assert!(said.contains("\"goingBackInS\":3"), "{said}");
    std::fs::write(state.join("watch/hold"), "").unwrap();
    let (code, said) = house.once(&[]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("does not go back by itself: a hold file is there"), "{said}");
    assert_eq!(house.hook.next().json()["event"], "not_going_back");
    assert!(!house.once(&[]).1.contains("going back by itself in"), "it is off, until somebody takes the file away");
}
