//! A project behind Caddy, and people who use it: what they were answered, and by whom.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::engine::Reach;
use crate::support::ports::free_port;
use crate::support::project::Project;

const CADDYFILE: &str =
    "{\n\tadmin off\n\tauto_https off\n\tmetrics\n}\nimport cutover.caddy\n:80 {\n\timport cutover 3000\n}\n";

/// The project.
pub struct Stage {
    pub project: Project,
    pub http: u16,
}

impl Stage {
    /// Prepared; nothing runs yet.
    pub fn new(label: &str) -> Self {
        Self::on(label, Reach::default())
    }

    /// The same on another engine.
    pub fn on(label: &str, reach: Reach) -> Self {
        let project = Project::of("switch", label, reach);
        let http = free_port();
        project.write("Caddyfile", CADDYFILE);
        let snippet = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("caddy/cutover.caddy");
        let snippet = std::fs::read_to_string(snippet).unwrap();
        // A side is idle when Caddy lets its own idle connections go: a test need not wait two seconds for that each time.
        let (long, short) = ("keepalive 2s", "keepalive 300ms");
        assert!(snippet.contains(long), "{snippet}");
        project.write("cutover.caddy", &snippet.replace(long, short));
        std::fs::create_dir(project.path("run")).unwrap();
        project.set("HTTP_PORT", &http.to_string());
        let stage = Self { project, http };
        stage.configure("");
        stage
    }

    /// Writes cutover.toml, with more keys of `[deploy]`.
    pub fn configure(&self, deploy: &str) {
        let Self { project, http } = self;
        let port = project.port;
        let deploy = format!("strategy = \"blue-green\"\ndrain_timeout = \"4s\"\n{deploy}");
        let more = format!(
            r#"[caddy]
url = "http://127.0.0.1:{http}"
service = "caddy"
directory = "run"
[[health]]
name = "alive"
url = "http://127.0.0.1:{port}/health"
expect = {{ status = 200, json = {{ "/status" = "healthy" }} }}
successes = 1
interval = "100ms"
deadline = "60s"
"#
        );
        project.configure_deploy(&deploy, &more);
        // One service beside, so that a side needs no network of its own: an engine has few.
        self.services("[\"backend\"]");
    }

    /// What runs beside the release before.
    pub fn services(&self, list: &str) {
        self.project.edit("cutover.toml", "services = [\"backend\", \"worker\"]", &format!("services = {list}"));
    }

    /// The same: both services.
    pub fn both(&self) {
        self.project.edit("cutover.toml", "services = [\"backend\"]", "services = [\"backend\", \"worker\"]");
    }

    /// Asks through Caddy; status and body.
    pub fn ask(&self, path: &str) -> Option<(u16, String)> {
        ask(self.http, path, None).ok()
    }

    /// The release that answers.
    #[track_caller]
    pub fn release(&self) -> String {
        let (status, body) = self.ask("/").expect("an answer");
        assert_eq!(status, 200, "{body}");
        let page: serde_json::Value = serde_json::from_str(&body).unwrap();
        page["release"].as_str().unwrap().to_owned()
    }

    /// Wants these words of `status`. It gives its verdict without an engine that takes longer than half a second, so on a busy
    /// machine it is asked until it was answered.
    #[track_caller]
    pub fn status_says(&self, words: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let text = self.project.expect(0, &["status"]);
            let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if words.iter().all(|word| flat.contains(word)) {
                return;
            }
            assert!(Instant::now() < deadline, "status does not say {words:?}:\n{text}");
        }
    }

    /// Who serves, as Caddy tells it.
    pub fn identity(&self) -> String {
        self.ask("/.well-known/cutover-id").map(|(_, body)| body).unwrap_or_default()
    }

    /// Names of all containers of the project and its sides.
    pub fn containers(&self) -> Vec<String> {
        let name = &self.project.name;
        let own = format!("label=com.docker.compose.project={name}");
        let sides = format!("label=dev.cutover.side-of={name}");
        let mut names: Vec<String> = [own, sides]
            .iter()
            .flat_map(|filter| {
                let text = self.project.docker(&["ps", "--all", "--format", "{{.ID}} {{.Names}}", "--filter", filter]);
                text.lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        names.sort();
        names
    }

    /// Releases whose sides have containers.
    pub fn sides(&self) -> Vec<String> {
        let filter = format!("label=dev.cutover.side-of={}", self.project.name);
        let format = "{{.Label \"dev.cutover.release\"}}";
        let text = self.project.docker(&["ps", "--all", "--format", format, "--filter", &filter]);
        let mut sides: Vec<String> = text.lines().map(|release| format!("r{release}")).collect();
        sides.sort();
        sides.dedup();
        sides
    }

    /// People begin to use it.
    pub fn visitors(&self) -> Visitors {
        let is_over = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicU64::new(0));
        let failures = Arc::new(Mutex::new(Vec::new()));
        let kinds = [("/", true), ("/", true), ("/", false), ("/slow?ms=40", false), ("/slow?ms=40", true)];
        let threads = kinds.map(|(path, is_kept)| {
            let (is_over, asked, failures) = (Arc::clone(&is_over), Arc::clone(&asked), Arc::clone(&failures));
            let http = self.http;
            std::thread::spawn(move || {
                let mut kept = None;
                while !is_over.load(Ordering::Relaxed) {
                    let answer = match is_kept {
                        true => ask(http, path, Some(&mut kept)),
                        false => ask(http, path, None),
                    };
                    asked.fetch_add(1, Ordering::Relaxed);
                    match answer {
                        Ok((200, _)) => {}
                        Ok((status, body)) => failures.lock().unwrap().push(format!("{path}: {status} {body}")),
                        Err(error) => {
                            kept = None;
                            failures.lock().unwrap().push(format!("{path}: {error}"));
                        }
                    }
                }
            })
        });
        Visitors { is_over, asked, failures, threads: threads.into() }
    }
}

/// People at work.
pub struct Visitors {
    is_over: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Visitors {
    /// How many were answered so far.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// They go; nobody was refused anything.
    #[track_caller]
    pub fn all_were_served(mut self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        std::mem::take(&mut self.threads).into_iter().for_each(|thread| thread.join().unwrap());
        let failures = self.failures.lock().unwrap();
        let asked = self.asked.load(Ordering::Relaxed);
        assert!(failures.is_empty(), "{} of {asked} failed, such as {:?}", failures.len(), &failures[..1]);
        asked
    }
}

impl Drop for Visitors {
    /// They go also where a test fails: nobody else is kept from work.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// One request, on a kept connection or on a new one.
pub fn ask(port: u16, path: &str, kept: Option<&mut Option<TcpStream>>) -> std::io::Result<(u16, String)> {
    let open = || -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let mut own = None;
    let (place, connection) = match kept {
        Some(kept) => (kept, "keep-alive"),
        None => (&mut own, "close"),
    };
    if place.is_none() {
        *place = Some(open()?);
    }
    let Some(stream) = place.as_mut() else { unreachable!("it was opened") };
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n")?;
    let mut bytes = Vec::new();
    let mut piece = [0_u8; 4096];
    loop {
        if let Some(answer) = whole(&bytes) {
            return Ok(answer);
        }
        let count = stream.read(&mut piece)?;
        if count == 0 {
            return Err(std::io::Error::other(format!("cut off after {:?}", String::from_utf8_lossy(&bytes))));
        }
        bytes.extend_from_slice(&piece[..count]);
    }
}

fn whole(bytes: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let length: usize = length.unwrap_or(0);
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    (body.len() >= length).then(|| (status, body.to_owned()))
}
