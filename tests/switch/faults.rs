//! Faults around a switch: a release that is ill, files that somebody changed, a proxy that is restarted.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::stage::Stage;
use crate::support::live::{says, until};
use crate::support::ports::free_port;

#[test]
fn a_release_that_does_not_become_healthy_never_gets_a_request() {
    let stage = Stage::new("crash");
    let project = &stage.project;
    project.deploy("1");
    stage.both();
    let visitors = stage.visitors();
    project.set("DEMO_FAULT_CRASH_AT_START", "1");
    project.set("TAG", "2");
    says(&project.expect(7, &["deploy", "--yes"]), &["FAILED AND ROLLED BACK", "expect_side"]);
    visitors.all_were_served();
    assert_eq!((stage.release().as_str(), stage.sides()), ("1", vec!["r1".to_owned()]));
    assert!(!project.docker(&["network", "ls"]).contains(&format!("0-{}-r2", project.name)));
}

/// A way through the application that is asked as health, and is ill when the test says so.
struct Journey {
    port: u16,
    is_ill: Arc<AtomicBool>,
}

impl Journey {
    fn begin() -> Self {
        let (port, is_ill) = (free_port(), Arc::new(AtomicBool::new(false)));
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let told = Arc::clone(&is_ill);
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let _ = stream.read(&mut [0; 4096]);
                let status = if told.load(Ordering::Relaxed) { "503 Service Unavailable" } else { "200 OK" };
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Self { port, is_ill }
    }
}

#[test]
fn a_release_that_falls_ill_after_the_switch_is_put_back_by_itself() {
    let stage = Stage::new("ill");
    let project = &stage.project;
    let journey = Journey::begin();
    let toml = std::fs::read_to_string(project.path("cutover.toml")).unwrap();
    let asked = format!("[[health]]\nname = \"journey\"\nurl = \"http://127.0.0.1:{}/\"\n", journey.port);
    project.write("cutover.toml", &format!("{toml}{asked}successes = 1\ninterval = \"100ms\"\n"));
    project.deploy("1");
    // It is watched until something happens.
    project.edit("cutover.toml", "observe = \"200ms\"", "observe = \"10m\"");
    let visitors = stage.visitors();
    project.set("TAG", "2");
    let run = project.start(&["deploy", "--yes"]);
    project.await_fact(2, "started", "expect_steady");
    assert_eq!(stage.release(), "2");
    journey.is_ill.store(true, Ordering::Relaxed);
    project.await_fact(2, "undoing", "switch_upstream");
    journey.is_ill.store(false, Ordering::Relaxed);
    says(&run.expect(7), &["FAILED AND ROLLED BACK", "expect_steady", "r1 is back"]);
    visitors.all_were_served();
    assert_eq!((stage.release().as_str(), stage.sides()), ("1", vec!["r1".to_owned()]));

    // One whose container dies is put back too, where nothing is asked about health at all.
    let toml =
        std::fs::read_to_string(project.path("cutover.toml")).unwrap().replace("observe = \"10m\"", "observe = \"2m\"");
    let mut is_health = false;
    let is_kept = |line: &&str| {
        is_health = if line.starts_with('[') { *line == "[[health]]" } else { is_health };
        !is_health
    };
    project.write("cutover.toml", &toml.lines().filter(is_kept).map(|line| format!("{line}\n")).collect::<String>());
    let run = project.start(&["deploy", "--yes"]);
    project.await_fact(3, "started", "expect_steady");
    let dead = format!("{}-r2-backend-r2-1", project.name);
    project.docker(&["kill", &dead]);
    says(&run.expect(7), &["FAILED AND ROLLED BACK", "expect_steady", &dead, "r1 is back"]);
    assert_eq!((stage.release().as_str(), stage.sides()), ("1", vec!["r1".to_owned()]));
}

#[test]
fn a_file_that_somebody_edited_is_told_and_left_as_it_is() {
    let stage = Stage::new("edited");
    let project = &stage.project;
    project.deploy("1");
    project.deploy("2");
    let app = project.path("run/app");
    std::fs::remove_file(&app).unwrap();
    says(&project.expect(4, &["rollback", "--yes"]), &["run/app is gone", "--to r1"]);
    let by_hand = format!("{}-r1-backend", project.name);
    std::fs::write(&app, "elsewhere").unwrap();
    says(&project.expect(4, &["rollback", "--yes"]), &["says \"elsewhere\", which is neither"]);
    assert_eq!(std::fs::read_to_string(&app).unwrap(), "elsewhere");
    says(&project.expect(0, &["plan", "deploy"]), &["the switch was changed by hand", "app leads to elsewhere"]);

    // A plan that names what it takes the place of goes on.
    std::fs::write(&app, &by_hand).unwrap();
    says(&project.expect(0, &["rollback", "--yes", "--to", "r1"]), &["COMPLETE", "r1 serves"]);
    assert_eq!(stage.release(), "1");
}

#[test]
fn a_caddy_that_is_restarted_in_the_middle_comes_back_with_what_the_file_says() {
    let stage = Stage::new("restart");
    let project = &stage.project;
    project.deploy("1");
    project.set("TAG", "2");
    let run = project.start(&["deploy", "--yes"]);
    project.await_fact(2, "done", "switch_upstream");
    project.docker(&["restart", "--time", "0", &format!("{}-caddy-1", project.name)]);
    run.expect(0);
    // The run may have been over before Caddy went away.
    until("Caddy to be back", || stage.ask("/").is_some());
    assert_eq!(stage.release(), "2");
}

#[test]
fn a_warm_side_that_somebody_took_away_with_its_network_is_brought_up_anew() {
    let stage = Stage::new("taken");
    let project = &stage.project;
    stage.both();
    project.deploy("1");
    project.deploy("2");
    let network = format!("0-{}-r1", project.name);
    assert!(project.docker(&["network", "ls"]).contains(&network));
    let gone: Vec<String> = stage.containers().into_iter().filter(|name| name.contains("-r1-")).collect();
    gone.iter().for_each(|line| drop(project.docker(&["rm", "--force", line.split(' ').next().unwrap()])));
    project.docker(&["network", "rm", &network]);
    project.expect(0, &["rollback", "--yes"]);
    assert_eq!((stage.release().as_str(), stage.sides()), ("1", vec!["r1".to_owned()]));
}

#[test]
fn what_cannot_run_twice_is_named_before_anything_is_started() {
    let stage = Stage::new("twice");
    let project = &stage.project;
    stage.both();
    project.edit(
        "compose.yaml",
        "    command: [\"demo-backend\", \"worker\"]\n",
        "    command: [\"demo-backend\", \"worker\"]\n    volumes: [\"queue:/queue\"]\n",
    );
    project.edit("compose.yaml", "volumes:\n  database:\n", "volumes:\n  queue:\n  database:\n");
    let text = project.expect(2, &["deploy", "--yes"]);
    says(&text, &["worker cannot simply run twice: it writes to the volume queue", "[deploy.services.worker]"]);
    assert!(stage.containers().is_empty());

    let names = "services = [\"backend\", \"worker\"]";
    project.edit("cutover.toml", names, "services = { backend = \"together\", worker = \"stop-first\" }");
    project.deploy("1");
    assert_eq!(stage.sides(), ["r1"]);
    let worker = || project.images()["worker"].clone();
    let first = worker();
    project.deploy("2");
    assert_ne!(worker(), first, "it was replaced in place");
    project.expect(0, &["rollback", "--yes"]);
    assert_eq!((worker(), stage.release().as_str()), (first, "1"));
    until("one worker", || {
        project.docker(&["ps", "--format", "{{.Names}}"]).matches(&format!("{}-worker", project.name)).count() == 1
    });
}
