//! A real compose project of a test: its own directory, name, port and state. Gone when it is dropped, also on failure.
//!
//! It runs on the engine of the host, or on a private one where a test does to an engine what no neighbour would bear.

use super::ports::free_port;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::engine::Reach;

/// A project from `tests/projects`.
pub struct Project {
    directory: tempfile::TempDir,
    /// Name of the compose project.
    pub name: String,
    /// Port of the backend on the host.
    pub port: u16,
    variables: std::cell::RefCell<BTreeMap<String, String>>,
    reach: Reach,
}

/// What a service's container is: enough to say that two states of a project are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Identifier of its image.
    pub image: String,
    /// Digest of its configuration.
    pub hash: String,
    /// `running` and so on.
    pub status: String,
}

impl Project {
    /// Makes the directory; nothing runs yet. `label` tells tests apart in `docker ps`.
    pub fn new(label: &str) -> Self {
        lab_is_up();
        Self::of("quick", label, Reach::default())
    }

    /// The same of another project, on another engine.
    pub fn of(kind: &str, label: &str, reach: Reach) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::Builder::new().prefix("cutover-test-").tempdir().unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ct-{label}-{}-{number}", std::process::id());
        let project = Self { directory, name, port: free_port(), variables: BTreeMap::default().into(), reach };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/projects").join(kind);
        std::fs::copy(source.join("compose.yaml"), project.path("compose.yaml")).unwrap();
        std::fs::create_dir(project.path("secrets")).unwrap();
        project.write("secrets/database_password.txt", "database-password-of-a-test\n");
        private(&project.path("secrets/database_password.txt"));
        project.set("PORT", &project.port.to_string());
        project.set("TAG", "1");
        project.configure("");
        project
    }

    /// A path in the project's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Replaces text in a file of the project; it must be there.
    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} does not hold {from:?}");
        self.write(name, &text.replace(from, to));
    }

    /// Adds a service to the compose file; `lines` are its keys, as YAML, without indentation.
    pub fn add_service(&self, name: &str, lines: &str) {
        let body: String = lines.lines().map(|line| format!("    {line}\n")).collect();
        self.edit("compose.yaml", "services:\n", &format!("services:\n  {name}:\n{body}\n"));
    }

    /// Sets a variable of the env file, such as `TAG`.
    pub fn set(&self, key: &str, value: &str) {
        let mut variables = self.variables.borrow_mut();
        variables.insert(key.to_owned(), value.to_owned());
        let text: String = variables.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        self.write("release.env", &text);
        private(&self.path("release.env"));
    }

    /// Takes a variable out of the env file.
    pub fn unset(&self, key: &str) {
        self.variables.borrow_mut().remove(key);
        let tag = self.variables.borrow()["TAG"].clone();
        self.set("TAG", &tag);
    }

    /// Writes cutover.toml: the usual one, and `more` after it (whole tables).
    pub fn configure(&self, more: &str) {
        self.configure_deploy("", more);
    }

    /// The same, with `deploy` inside the table `[deploy]`.
    pub fn configure_deploy(&self, deploy: &str, more: &str) {
        let Self { name, port, .. } = self;
        self.write(
            "cutover.toml",
            &format!(
                r#"schema = "cutover/v1"
[project]
name = "{name}"
environment = "test"
[compose]
files = ["compose.yaml"]
env_files = ["release.env"]
[state]
directory = "state"
[preflight]
min_disk = "10MiB"
min_memory = "10MiB"
[[health]]
name = "ready"
url = "http://127.0.0.1:{port}/health/ready"
expect = {{ status = 200, json = {{ "/ready" = true }} }}
successes = 1
interval = "100ms"
timeout = "10s"
deadline = "60s"
[deploy]
services = ["backend", "worker"]
migrate = {{ service = "backend", command = ["demo-backend", "migrate"] }}
stable_for = "300ms"
observe = "200ms"
start_deadline = "2m"
{deploy}
{more}
"#
            ),
        );
    }

    /// `cutover` with this project's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.reach.command(env!("CARGO_BIN_EXE_cutover"));
        command.args(arguments).current_dir(self.directory.path()).env("NO_COLOR", "1");
        command
    }

    /// Runs it to its end. `status` gives the engine half a second and then says so: it is asked again for a minute,
    /// because a busy machine has a busy engine.
    pub fn cutover(&self, arguments: &[&str]) -> Output {
        let is_late = |output: &Output| {
            let said = [output.stdout.as_slice(), &output.stderr].concat();
            String::from_utf8_lossy(&said).contains("the engine did not answer within")
        };
        let (is_short, deadline) = (arguments.first() == Some(&"status"), Instant::now() + Duration::from_secs(60));
        loop {
            let output = self.command(arguments).output().unwrap();
            if !(is_short && is_late(&output) && Instant::now() < deadline) {
                return output;
            }
        }
    }

    /// Runs it and wants this exit code; gives both streams.
    #[track_caller]
    pub fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.cutover(arguments);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(code), "`cutover {}` said:\n{text}", arguments.join(" "));
        text
    }

    /// Runs it with `--output json` and gives the document and the exit code.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> (serde_json::Value, i32) {
        let output = self.cutover(&[arguments, &["--output", "json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let document = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {text}\n{}", String::from_utf8_lossy(&output.stderr)));
        (document, output.status.code().unwrap())
    }

    /// Deploys a release and wants it to succeed.
    #[track_caller]
    pub fn deploy(&self, tag: &str) {
        self.set("TAG", tag);
        self.expect(0, &["deploy", "--yes"]);
    }

    /// The containers of the project, by service.
    pub fn containers(&self) -> BTreeMap<String, Container> {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let ids = self.docker(&["ps", "--all", "--quiet", "--filter", &filter]);
        let format = "{{index .Config.Labels \"com.docker.compose.service\"}}|{{.Image}}|\
                      {{index .Config.Labels \"com.docker.compose.config-hash\"}}|{{.State.Status}}|\
                      {{index .Config.Labels \"com.docker.compose.oneoff\"}}|{{.Name}}";
        let mut found = BTreeMap::new();
        for id in ids.lines() {
            let line = self.docker(&["inspect", "--format", format, id]);
            let fields: Vec<&str> = line.trim().split('|').collect();
            let [service, image, hash, status, one_off, name] = fields[..] else { continue };
            let key = if one_off == "True" { name.trim_start_matches('/').to_owned() } else { service.to_owned() };
            let container = Container { image: image.into(), hash: hash.into(), status: status.into() };
            assert!(found.insert(key.clone(), container).is_none(), "{key} has two containers");
        }
        found
    }

    /// Image of each service's container, without its digest of the configuration: what serves.
    pub fn images(&self) -> BTreeMap<String, String> {
        self.containers().into_iter().map(|(service, container)| (service, container.image)).collect()
    }

    /// Asks the backend.
    pub fn get(&self, path: &str) -> Option<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Runs `docker` on the project's engine.
    pub fn docker(&self, arguments: &[&str]) -> String {
        output_of(self.reach.command("docker").args(arguments))
    }

    /// The container of a service, as its identifier; empty when there is none.
    pub fn container(&self, service: &str) -> String {
        let project = format!("label=com.docker.compose.project={}", self.name);
        let service = format!("label=com.docker.compose.service={service}");
        self.docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &project, "--filter", &service]).trim().into()
    }

    /// Runs SQL in the project's database.
    pub fn sql(&self, sql: &str) -> String {
        let container = format!("{}-db-1", self.name);
        self.docker(&[
            "exec",
            &container,
            "psql",
            "-qtAX",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "demo",
            "-d",
            "demo",
            "-c",
            sql,
        ])
    }

    /// `docker compose` on this project, as an operator would call it.
    pub fn compose(&self, arguments: &[&str]) -> Output {
        let mut command = self.reach.command("docker");
        command.args(["compose", "--project-name", &self.name, "--file", "compose.yaml", "--env-file", "release.env"]);
        command.args(arguments).current_dir(self.directory.path()).output().unwrap()
    }
}

impl Project {
    /// Removes everything on the engine that goes by a project's name: this one's, or that of its copy for rehearsals.
    pub fn remove_all_of(&self, name: &str) {
        let labels = [format!("com.docker.compose.project={name}"), "dev.cutover.holds".into()];
        let own = self.docker(&["ps", "--all", "--quiet", "--filter", &format!("label={}", labels[0])]);
        let sides = self.docker(&["ps", "--all", "--quiet", "--filter", &format!("label=dev.cutover.side-of={name}")]);
        let prefix = format!("{name}-");
        let holders =
            self.docker(&["ps", "--all", "--format", "{{.Names}}", "--filter", &format!("label={}", labels[1])]);
        let holders = holders.lines().filter(|name| name.starts_with(&prefix));
        let gone: Vec<&str> = own.lines().chain(sides.lines()).chain(holders).collect();
        if !gone.is_empty() {
            self.docker(&[&["rm", "--force", "--volumes"], &gone[..]].concat());
        }
        let filter = format!("label={}", labels[0]);
        for kind in ["volume", "network"] {
            let names = self.docker(&[kind, "ls", "--quiet", "--filter", &filter]);
            names.lines().for_each(|name| drop(self.docker(&[kind, "rm", name])));
        }
        let all = self.docker(&["network", "ls", "--format", "{{.Name}}"]);
        let sides = all.lines().filter(|network| network.starts_with(&format!("0-{name}-r")));
        sides.for_each(|name| drop(self.docker(&["network", "rm", name])));
        let reference = format!("cutover.invalid/{name}/*");
        let images = self.docker(&[
            "image",
            "ls",
            "--format",
            "{{.Repository}}:{{.Tag}}",
            "--filter",
            &format!("reference={reference}"),
        ]);
        images.lines().for_each(|image| drop(self.docker(&["image", "rm", image])));
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.remove_all_of(&self.name);
    }
}

/// A copy for rehearsals, gone with this.
pub struct Rehearsed<'a>(pub &'a Project);

impl Drop for Rehearsed<'_> {
    fn drop(&mut self) {
        self.0.remove_all_of(&format!("{}-rehearsal", self.0.name));
    }
}

/// Runs `docker` and gives its output; what it says to stderr is shown when a test fails.
pub fn docker(arguments: &[&str]) -> String {
    output_of(Command::new("docker").args(arguments))
}

fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    if !output.status.success() {
        println!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Stops a test with a sentence where the lab is not there.
fn lab_is_up() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let found = docker(&["image", "ls", "--quiet", "cutover-lab/demo:2"]);
        assert!(
            !found.trim().is_empty(),
            "the engine or the lab's images are not there; run `scripts/lab images` first"
        );
    });
}

fn private(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
