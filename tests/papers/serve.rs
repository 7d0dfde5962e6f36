//! `serve`: what a browser gets, and what it does not get.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use super::report::{State, collection, is_whole};

/// A server that ends with the test.
struct Server {
    child: Child,
    place: String,
}

impl Server {
    fn start(state: &State, listen: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(["serve", "--listen", listen]).current_dir(state.path("")).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let place = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("it says {line:?}")).to_owned();
        Self { child, place }
    }

    /// Asks, and gives head and body.
    fn ask(&self, method: &str, path: &str, host: &str) -> (String, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let mut text = String::new();
        match self.place.strip_prefix("unix:") {
            Some(path) => exchange(UnixStream::connect(path).unwrap(), &request, &mut text),
            None => {
                let address = self.place.trim_start_matches("http://").trim_end_matches('/');
                exchange(TcpStream::connect(address).unwrap(), &request, &mut text);
            }
        }
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> (String, String) {
        self.ask("GET", path, "localhost")
    }
}

fn exchange(mut stream: impl Read + Write, request: &str, text: &mut String) {
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_to_string(text).unwrap();
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn state() -> State {
    let state = State::new();
    for (number, path) in (1..).zip(collection()) {
        let kind = if path.to_string_lossy().contains("rollback") { "rollback" } else { "deploy" };
        state.journal(number, kind, std::fs::read(path).unwrap());
    }
    state
}

#[test]
fn it_shows_how_it_stands_and_every_run_and_lets_nothing_else_in() {
    let state = state();
    let server = Server::start(&state, "127.0.0.1:0");
    let (head, page) = server.get("/");
    is_whole(&page);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    for header in [
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(head.contains(header), "{header} is not in\n{head}");
    }
    assert!(page.contains("http-equiv=\"refresh\"") && page.contains("href=\"/runs/1\""), "{page}");
    for part in ["<script", "<form", "onclick", " style="] {
        assert!(!page.contains(part), "{part} is in the page");
    }
    let (_, run) = server.get("/runs/2");
    is_whole(&run);
    assert!(run.contains("Run 2: "));
    let (head, document) = server.get("/runs/2.json");
    assert!(head.contains("application/json") && document.contains("\"run-report\""), "{head}");
    let (head, numbers) = server.get("/metrics");
    assert!(head.contains("text/plain; version=0.0.4") && numbers.contains("cutover_run_number{"), "{numbers}");
    assert!(numbers.contains("project=\"freshtrack\""), "{numbers}");
}

#[test]
fn strangers_and_whoever_wants_to_change_something_are_refused() {
    let state = state();
    let before = state.list();
    let server = Server::start(&state, "127.0.0.1:0");
    let status = |method, path, host| server.ask(method, path, host).0.split(' ').nth(1).unwrap().to_owned();
    for (method, path, host, expected) in [
        ("GET", "/", "evil.example", "421"),
        ("GET", "/metrics", "localhost.evil.example", "421"),
        ("GET", "/", "127.0.0.1:9180", "200"),
        ("GET", "/", "LOCALHOST:80", "200"),
        ("POST", "/", "localhost", "405"),
        ("DELETE", "/runs/1", "localhost", "405"),
        ("GET", "/runs/99", "localhost", "404"),
        ("GET", "/runs/../../etc/passwd", "localhost", "404"),
        ("GET", "/runs/%2e%2e/1", "localhost", "404"),
        ("GET", "/healthz", "localhost", "200"),
    ] {
        assert_eq!(status(method, path, host), expected, "{method} {path} for {host}");
    }
    drop(server);
    assert_eq!(state.list(), before, "looking changed nothing");
}

#[test]
fn a_unix_socket_is_for_its_owner_and_outlives_no_killed_server() {
    use std::os::unix::fs::PermissionsExt;
    let state = state();
    let path = state.path("serve.sock");
    let listen = format!("unix:{}", path.display());
    for _ in 0..2 {
        // The first one is killed and leaves its socket behind.
        let server = Server::start(&state, &listen);
        assert!(server.get("/healthz").0.starts_with("http/1.1 200"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    }
}

#[test]
fn the_world_is_not_listened_to() {
    let state = State::new();
    for listen in ["0.0.0.0:9180", "203.0.113.5:80", "nowhere"] {
        let output = state.cutover(&["serve", "--listen", listen]);
        assert_eq!(output.status.code(), Some(2), "{listen}");
    }
}

#[test]
fn a_damaged_journal_is_said_and_does_not_hide_the_others() {
    let state = state();
    let mut bytes = std::fs::read(&collection()[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    state.journal(1, "deploy", bytes);
    let server = Server::start(&state, "127.0.0.1:0");
    let (head, run) = server.get("/runs/1");
    assert!(head.starts_with("http/1.1 200") && run.contains("This journal is damaged."), "{head}\n{run}");
    assert!(server.get("/runs/2").0.starts_with("http/1.1 200"));
}
