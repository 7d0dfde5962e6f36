//! One throw-away project of the production stack on the lab's images. Law: it is removed again, also when a test fails.

use crate::cli::{output, root, stdout, want_image};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The images that take part; the demo's tag is the release that is served.
const IMAGES: [&str; 5] = [
    "cutover-lab/caddy:2",
    "cutover-lab/demo:1",
    "cutover-lab/postgres:15",
    "cutover-lab/prometheus:2",
    "cutover-lab/redis:7",
];

/// A running project; dropping it takes it down with its volumes.
pub struct Project {
    name: String,
    home: TempDir,
}

impl Project {
    /// Makes secrets and run files of its own and starts everything. Ports are chosen by the engine.
    pub fn up() -> Self {
        IMAGES.iter().for_each(|image| want_image(image));
        let home = tempfile::Builder::new().prefix("cutover-stack-").tempdir().expect("temporary directory");
        let unique = home.path().file_name().expect("name").to_string_lossy().to_lowercase();
        let project = Self { name: format!("cutover-test-{}", unique.replace('.', "")), home };
        let run = project.run_directory();
        std::fs::create_dir(&run).expect("run directory");
        project.put("app", "backend");
        project.put("id", "first");
        stdout(
            Command::new(root().join("scripts/make-secrets"))
                .arg("--directory")
                .arg(project.home.path().join("secrets")),
        );
        project.hasten_prometheus();
        stdout(project.compose().args(["up", "--detach", "--quiet-pull"]));
        project
    }

    /// The production configuration with one second instead of fifteen, so that the test need not wait for minutes.
    fn hasten_prometheus(&self) {
        let directory = self.home.path().join("prometheus");
        std::fs::create_dir(&directory).expect("directory");
        for file in ["prometheus.yml", "rules.yml"] {
            let text = crate::cli::text(&format!("compose/prometheus/{file}"));
            let faster =
                text.replace("_interval: 15s", "_interval: 1s").replace("scrape_timeout: 5s", "scrape_timeout: 1s");
            std::fs::write(directory.join(file), faster).expect("write");
        }
        let mount = format!(
            "# Faster questions for a test. Law: nothing else differs.\nservices:\n  prometheus:\n    volumes:\n      - {{ type: bind, source: {}, target: /etc/prometheus, read_only: true }}\n",
            directory.display()
        );
        std::fs::write(self.home.path().join("faster.yaml"), mount).expect("write");
    }

    /// The directory that stands at /run/cutover in Caddy.
    fn run_directory(&self) -> std::path::PathBuf {
        self.home.path().join("run")
    }

    /// Puts a run file in its place by rename, as a switch does.
    pub fn put(&self, name: &str, content: &str) {
        let aside = self.run_directory().join(format!(".{name}.new"));
        std::fs::write(&aside, format!("{content}\n")).expect("write");
        std::fs::rename(aside, self.run_directory().join(name)).expect("rename");
    }

    /// Takes a run file away.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.run_directory().join(name)).expect("remove");
    }

    /// `docker compose` for this project, with the three files a person would use and the faster questions.
    pub fn compose(&self) -> Command {
        let mut command = Command::new("docker");
        command
            .current_dir(root().join("compose"))
            .env("SECRETS_DIRECTORY", self.home.path().join("secrets"))
            .env("CUTOVER_RUN_DIRECTORY", self.run_directory())
            .args(["compose", "--project-name", &self.name, "--env-file", "lab.env"])
            .args(["-f", "compose.yaml", "-f", "compose.production.yaml", "-f", "compose.lab.yaml", "-f"])
            .arg(self.home.path().join("faster.yaml"));
        command
    }

    /// What a command in a running container prints.
    pub fn exec(&self, service: &str, arguments: &[&str]) -> String {
        stdout(self.compose().args(["exec", "-T", service]).args(arguments))
    }

    /// The address on loopback that the engine chose for a port of a service.
    pub fn address(&self, service: &str, port: u16) -> std::net::SocketAddr {
        let printed = stdout(self.compose().args(["port", service, &port.to_string()]));
        printed.trim().parse().unwrap_or_else(|why| panic!("{service} {port}: `{printed}`: {why}"))
    }

    /// A network of this project as the engine made it.
    pub fn network(&self, name: &str) -> Value {
        let network = format!("{}_{name}", self.name);
        let printed = stdout(Command::new("docker").args(["network", "inspect", &network]));
        serde_json::from_str::<Value>(&printed).expect("docker prints JSON")[0].take()
    }

    /// The containers as compose lists them.
    pub fn containers(&self) -> Vec<Value> {
        let printed = stdout(self.compose().args(["ps", "--all", "--format", "json"]));
        printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until every service is healthy; a service that ends on purpose must have ended with 0.
    pub fn wait_until_healthy(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let waiting: Vec<String> = self
                .containers()
                .iter()
                .filter(|container| {
                    let has_ended_well = container["State"] == "exited" && container["ExitCode"] == 0;
                    container["Health"] != "healthy" && !(container["Service"] == "migrate" && has_ended_well)
                })
                .map(|container| format!("{} is {} {}", container["Service"], container["State"], container["Health"]))
                .collect();
            if waiting.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "not healthy after {limit:?}: {}\n{}", waiting.join(", "), self.logs());
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// The last lines of every container, for a failure's message.
    fn logs(&self) -> String {
        let ran = output(self.compose().args(["logs", "--no-color", "--tail", "15"]));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// Where this project keeps its files.
    pub fn home(&self) -> &Path {
        self.home.path()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // No assertion here: a panic while unwinding would hide the failure that led here.
        let _ = self.compose().args(["down", "--volumes", "--remove-orphans", "--timeout", "5"]).output();
    }
}
