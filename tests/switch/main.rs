//! Blue-green on a real engine behind a real Caddy: no request is lost, the way back is a rename, and faults are told.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]

mod faults;
mod kills;
mod rehearsed;
mod routes;
mod stage;
#[path = "../support/mod.rs"]
mod support;
mod watched;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use stage::Stage;
use support::live::{says, until};

#[test]
fn a_switch_and_a_warm_way_back_lose_no_request() {
    let stage = Stage::new("switch");
    let project = &stage.project;
    project.edit("cutover.toml", "drain_timeout = \"4s\"", "drain_timeout = \"60s\"");
    project.deploy("1");
    assert_eq!((stage.release().as_str(), stage.identity()), ("1", format!("{}-r1", project.name)));
    let visitors = stage.visitors();
    until("people to be served", || visitors.asked() > 50);

    project.set("TAG", "2");
    let (result, code) = project.json(&["deploy", "--yes"]);
    assert_eq!(code, 0, "{result}");
    let route = &result["public_route"];
    assert!(route["asked"].as_u64() > Some(0) && route["failed"] == 0, "{route}");
    assert_eq!(route["new_side"], format!("{}-r2-backend", project.name));
    assert!(route["first_answer_ms"].is_u64() && route["longest_stall_ms"].is_u64(), "{route}");
    on_the_page(project, route);
    assert_eq!((stage.release().as_str(), stage.identity()), ("2", format!("{}-r2", project.name)));
    let warm: Vec<String> = stage.containers().into_iter().filter(|name| name.contains("-r1-")).collect();
    assert_eq!(warm.len(), 1, "the side before runs on: {:?}", stage.containers());

    // Somebody is in the middle of something: he is waited for, however long it takes him.
    let mut slow = half_sent(stage.http);
    let back = project.start(&["rollback", "--yes"]);
    back.await_words(&format!("1 connection to {}-r2", project.name));
    slow.write_all(b"half").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 200 OK"), "{answer}");
    says(&back.expect(0), &["COMPLETE", "r1 serves"]);
    assert_eq!(stage.release(), "1");
    visitors.all_were_served();
    assert_eq!(stage.sides(), ["r1"], "the release that was taken back is gone");
    let now: Vec<String> = stage.containers().into_iter().filter(|name| name.contains("-r1-")).collect();
    assert_eq!(now, warm, "nothing was started");

    project.deploy("2");
    stage.status_says(&["r1 is whole and warm"]);
    // What the engine did not answer in time is null, and asked again.
    let warm = [(1, true.into()), (2, false.into()), (3, false.into())];
    until("r1 alone to be warm", || kept(project, "is_warm") == warm);
    until("sizes", || kept(project, "image_bytes").iter().all(|(_, bytes)| bytes.as_u64() > Some(1_000_000)));
    says(&project.expect(4, &["releases", "prune", "--yes"]), &["--warm lets sides go now", "--keep N keeps fewer"]);
    project.expect(0, &["releases", "prune", "--warm", "--keep", "1", "--yes"]);
    assert_eq!(stage.sides(), ["r3"], "only what serves is left");
    let numbers: Vec<u64> = kept(project, "number").into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [1, 3], "a rollback needs r1, though it is older than r2");
    says(
        &project.expect(4, &["releases", "prune", "--keep", "0", "--yes"]),
        &["nothing to let go", "a rollback needs"],
    );
    stage.status_says(&["r1 is whole: "]);
    stage.status_says(&["OK: r3 serves", "backend-r3: running"]);
    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r1 serves"]);
    assert_eq!(stage.release(), "1", "started again from its record");
}

/// An upload of which one half is sent. Caddy has asked for the body, so it has led it to a side already.
fn half_sent(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let head = "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\nConnection: close\r\n\
                Expect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        said.extend(byte);
    }
    assert!(said.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&said));
    stream.write_all(b"half").unwrap();
    stream
}

/// What the prober met stands on the page of the run, and in the document beside it.
fn on_the_page(project: &support::project::Project, route: &serde_json::Value) {
    project.expect(0, &["report", "2", "--out", "run.html"]);
    let page = std::fs::read_to_string(project.path("run.html")).unwrap().replace('\u{202f}', "");
    let text = |key: &str| route[key].as_str().unwrap().to_owned();
    for words in [
        "<section id=\"gap\"><h2>The public route meanwhile</h2>".to_owned(),
        format!("<code>{}</code>", text("url")),
        format!("0 of {} requests failed", route["asked"]),
        "The longest time without a good answer was ".to_owned(),
        format!("The first answer of <b>{}</b> came ", text("new_side")),
    ] {
        assert!(page.contains(&words), "{words} is not in\n{page}");
    }
    let document: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(project.path("run.json")).unwrap()).unwrap();
    let gap = &document["gaps"][0];
    assert_eq!((&gap["requests"], &gap["failed"], &gap["url"]), (&route["asked"], &0.into(), &route["url"]), "{gap}");
    assert_eq!(gap["longest_ms"], route["longest_stall_ms"]);
}

/// A field of each kept release.
fn kept(project: &support::project::Project, field: &str) -> Vec<(u64, serde_json::Value)> {
    let (said, code) = project.json(&["releases"]);
    assert_eq!(code, 0, "{said}");
    let all = said["releases"].as_array().unwrap();
    all.iter().map(|one| (one["number"].as_u64().unwrap(), one[field].clone())).collect()
}

#[test]
fn a_project_that_was_deployed_in_place_goes_over_and_back_without_a_gap() {
    let stage = Stage::new("over");
    let project = &stage.project;
    stage.both();
    project.edit("cutover.toml", "strategy = \"blue-green\"", "strategy = \"recreate\"");
    project.write("run/app", "backend\n");
    project.deploy("1");
    let first = stage.containers();
    let visitors = stage.visitors();
    until("people to be served", || visitors.asked() > 50);
    project.edit("cutover.toml", "strategy = \"recreate\"", "strategy = \"blue-green\"");
    project.deploy("2");
    assert_eq!(stage.release(), "2");
    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r1 serves"]);
    visitors.all_were_served();
    assert_eq!(stage.containers(), first, "every container is the one it was");

    // And further: the old ones are let go by the deployment after, and come back by name.
    project.deploy("2");
    project.deploy("2");
    assert_eq!(stage.sides(), ["r3", "r4"]);
    assert!(project.container("backend").is_empty());
    says(&project.expect(0, &["rollback", "--yes", "--to", "r1"]), &["COMPLETE", "r1 serves"]);
    assert_eq!((stage.release().as_str(), stage.sides().len()), ("1", 0));
    project.edit("cutover.toml", "strategy = \"blue-green\"", "strategy = \"recreate\"");
    says(&project.expect(0, &["plan", "deploy"]), &["Deploy"]);
}

#[test]
fn a_side_that_was_let_go_is_started_again_from_its_record() {
    let stage = Stage::new("cold");
    let project = &stage.project;
    stage.configure("keep_warm = \"0s\"");
    project.deploy("1");
    project.deploy("2");
    assert_eq!(stage.sides(), ["r2"], "nothing is kept warm");
    project.edit("cutover.toml", "strategy = \"blue-green\"", "strategy = \"recreate\"");
    says(&project.expect(2, &["deploy", "--yes"]), &["serves beside the project"]);

    // Its image is gone: that is told before anybody needs it, and nothing is begun.
    let image = format!("cutover.invalid/{}/backend:r1", project.name);
    project.docker(&["rm", "--force", &format!("{}-backend-held-by-cutover-r1", project.name)]);
    project.docker(&["image", "rm", &image]);
    stage.status_says(&["r1 is not whole: the image of backend"]);
    says(&project.expect(4, &["rollback", "--yes"]), &["r1 cannot be brought back, images are gone"]);
    assert_eq!((stage.release().as_str(), stage.sides()), ("2", vec!["r2".to_owned()]));
    project.docker(&["tag", "cutover-lab/demo:1", &image]);
    says(&project.expect(0, &["rollback", "--yes"]), &["COMPLETE", "r1 serves"]);
    assert_eq!((stage.release().as_str(), stage.sides()), ("1", vec!["r1".to_owned()]));
}

#[test]
fn maintenance_is_a_page_with_503_and_goes_off_again() {
    let stage = Stage::new("page");
    let project = &stage.project;
    project.deploy("1");
    let on = project.expect(0, &["maintenance", "on", "--message", "Back at <ten>", "--yes"]);
    says(&on, &["COMPLETE", "get 503 with the page", "next: cutover maintenance off"]);
    assert!(!on.contains("cutover rollback"), "{on}");
    stage.status_says(&["MAINTENANCE: visitors get 503 with the page; r1", "cutover maintenance off"]);
    let (status, body) = stage.ask("/").unwrap();
    assert!(status == 503 && body.contains("Back at &lt;ten&gt;"), "{status} {body}");
    assert_eq!(stage.identity(), format!("{}-r1", project.name), "the identity is told all the time");
    says(&project.expect(4, &["maintenance", "on", "--message", "Back at <ten>", "--yes"]), &["on already"]);

    // Health is asked at the containers, so a deployment goes on behind the page; a rollback undoes that, not the page.
    project.deploy("2");
    assert_eq!(stage.ask("/").unwrap().0, 503);
    project.expect(0, &["maintenance", "off", "--yes"]);
    assert_eq!(stage.release(), "2");
    says(&project.expect(0, &["rollback", "--yes"]), &["is passed by", "r1 serves"]);
    assert_eq!(stage.release(), "1");

    // A file in its place is no page: where Caddy does not run, or does not read it, nothing is claimed and it goes back.
    let caddy = project.container("caddy");
    project.docker(&["stop", &caddy]);
    let failed = project.expect(7, &["maintenance", "on", "--yes"]);
    says(&failed, &["FAILED AND ROLLED BACK", "nothing answers at", "import cutover PORT"]);
    assert!(!project.path("run/maintenance").exists() && !failed.contains("COMPLETE"), "{failed}");
    project.docker(&["start", &caddy]);
    until("Caddy answers again", || stage.ask("/").is_some());

    // Who changed the switch is told by what he wrote, and what visitors get is asked.
    let app = std::fs::read_link(project.path("run/app")).unwrap();
    std::fs::remove_file(project.path("run/app")).unwrap();
    project.write("run/app", "nowhere\n");
    stage.status_says(&["UNWELL: r1", "/app says \"nowhere\" instead of"]);
    says(&project.expect(0, &["preflight", "--only", "caddy"]), &["/app says \"nowhere\" instead of"]);
    std::fs::remove_file(project.path("run/app")).unwrap();
    std::os::unix::fs::symlink(app, project.path("run/app")).unwrap();
    stage.status_says(&["OK: r1 serves", "visitors get 200"]);
}
