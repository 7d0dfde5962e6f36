//! Watchers that cannot be asked: what is not known neither passes nor puts anything back.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::kill::{When, kill_at, trace as trace_of, was_killed};
use crate::support::live::says;
use crate::support::ports::free_port;
use crate::support::project::{Project, docker};

/// A real Prometheus without targets, gone when it is dropped.
struct Prometheus(String);

impl Prometheus {
    fn start(port: u16) -> Self {
        let name = format!("cutover-test-prometheus-{port}");
        let publish = format!("127.0.0.1:{port}:9090");
        let words = ["run", "--detach", "--rm", "--name", &name, "--publish", &publish, "cutover-lab/prometheus:2"];
        docker(&words);
        crate::support::live::until("Prometheus is ready", || {
            let url = format!("http://127.0.0.1:{port}/-/ready");
            std::process::Command::new("curl").args(["-sf", "-o", "/dev/null", &url]).status().unwrap().success()
        });
        Self(name)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.0]);
    }
}

#[test]
fn a_prometheus_that_cannot_be_asked_holds_the_run_and_when_it_answers_the_run_goes_on() {
    let project = Project::new("unasked");
    project.deploy("1");
    let old = project.images();
    let port = free_port();
    project.configure(&format!("[prometheus]\nurl = \"http://127.0.0.1:{port}\"\nerror_ratio = \"vector(0)\""));
    project.edit("cutover.toml", "start_deadline = \"2m\"", "start_deadline = \"20s\"");
    project.set("TAG", "2");

    let text = project.expect(4, &["deploy", "--yes", "--skip-checks"]);

    says(
        &text,
        &["HELD, NOT KNOWN", "could not be judged in expect_steady", "cannot ask Prometheus", "cutover resume"],
    );
    let new = project.images();
    assert_ne!(new["backend"], old["backend"], "nothing was put back");
    says(&project.expect(0, &["status"]), &["could not be judged in expect_steady"]);

    let _prometheus = Prometheus::start(port);
    says(&project.expect(0, &["resume"]), &["error ratio 0.0 %"]);
    assert_eq!(project.images()["backend"], new["backend"]);
}

/// An endpoint that answers what the test wants.
struct Endpoint {
    port: u16,
    is_well: Arc<AtomicBool>,
}

impl Endpoint {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Self { port: listener.local_addr().unwrap().port(), is_well: Arc::new(AtomicBool::new(true)) };
        let is_well = Arc::clone(&endpoint.is_well);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let code = if is_well.load(Ordering::SeqCst) { "200 OK" } else { "503 Service Unavailable" };
                let mut stream = stream;
                let mut asked = [0; 4096];
                drop(stream.read(&mut asked));
                drop(write!(stream, "HTTP/1.1 {code}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
            }
        });
        endpoint
    }

    fn set(&self, is_well: bool) {
        self.is_well.store(is_well, Ordering::SeqCst);
    }
}

#[test]
fn a_run_killed_between_its_failure_and_the_way_back_goes_back_when_it_is_resumed() {
    let project = Project::new("decided");
    let endpoint = Endpoint::start();
    project.configure(&format!(
        "[[health]]\nname = \"outside\"\nurl = \"http://127.0.0.1:{}/\"\nsuccesses = 1\ninterval = \"100ms\"\n\
         timeout = \"3s\"\ndeadline = \"61s\"",
        endpoint.port
    ));
    project.deploy("1");
    let old = project.images();
    project.set("TAG", "2");
    endpoint.set(false);
    // From now on it is given up soon: no answer is no good answer either.
    project.edit("cutover.toml", "deadline = \"61s\"", "deadline = \"3s\"");
    let trace = project.path("trace");
    let learnt = trace_of(&mut project.command(&["deploy", "--yes", "--skip-checks"]), &trace).output().unwrap();
    assert_eq!(learnt.status.code(), Some(7), "{}", String::from_utf8_lossy(&learnt.stderr));
    let place = project.journal(2).iter().position(|entry| entry["kind"] == "failed").unwrap();
    let syncs = std::fs::read_to_string(&trace).unwrap();
    let lines: Vec<&str> = syncs.lines().filter(|line| line.ends_with(".jsonl")).collect();
    let number: u32 = lines[place].split(' ').next().unwrap().parse().unwrap();

    let killed = kill_at(&mut project.command(&["deploy", "--yes", "--skip-checks"]), number, When::After).output();
    assert!(was_killed(killed.unwrap().status));
    assert_eq!(project.journal(3).last().unwrap()["kind"], "failed");
    endpoint.set(true);

    says(&project.expect(7, &["resume"]), &["FAILED AND ROLLED BACK", "r1 is back"]);
    assert_eq!(project.images(), old);
}
