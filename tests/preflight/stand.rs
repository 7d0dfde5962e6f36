//! One throw-away compose project with its cutover.toml. Law: its name is its own, and it is gone afterwards, also when a test fails.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cutover::adapter::docker::Docker;
use cutover::adapter::http::Http;
use cutover::adapter::process::Process;
use cutover::config::{self, Config, Environment};
use cutover::preflight::{self, Asked, Finding, Report, Verdict};
use cutover::redact::Redactor;
use tempfile::TempDir;

/// The smallest project: one service that waits to be stopped.
pub const BOX: &str = "services:\n  web:\n    image: cutover-lab/box:1\n    init: true\n    command: [sleep, '600']\n";

/// A project in a directory of its own.
pub struct Stand {
    /// Name of the compose project.
    pub name: String,
    home: TempDir,
    toml: String,
    /// Where the engine is asked.
    pub socket: Option<String>,
    /// The docker client.
    pub docker_cli: Option<PathBuf>,
    /// What the environment holds beside PATH.
    pub variables: Vec<(&'static str, &'static str)>,
    is_up: bool,
}

impl Stand {
    /// A project of one compose file; `toml` is added to the smallest cutover.toml.
    pub fn new(compose: &str, toml: &str) -> Self {
        want_image("cutover-lab/box:1");
        let home = tempfile::Builder::new().prefix("cutover-preflight-").tempdir().unwrap();
        let unique = home.path().file_name().unwrap().to_string_lossy().to_lowercase();
        std::fs::write(home.path().join("compose.yaml"), compose).unwrap();
        let docker_cli = Some(which::which("docker").unwrap());
        let toml = toml.to_owned();
        Self { name: unique, home, toml, socket: None, docker_cli, variables: Vec::new(), is_up: false }
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file of this mode into its directory.
    pub fn put(&self, name: &str, content: &str, mode: u32) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// What stands in cutover.toml beside the names; TOML tables.
    pub fn configure(&mut self, toml: &str) {
        self.toml = toml.to_owned();
    }

    /// The configuration as it would be read.
    pub fn config(&self) -> Config {
        let mut text = format!("schema = \"cutover/v1\"\n[project]\nname = {:?}\n", self.name);
        for (table, line) in [
            ("[state]", "directory = \"state\"\n"),
            ("[preflight]", "min_disk = \"1MiB\"\nmin_memory = \"1MiB\"\ndeadline = \"60s\"\n"),
        ] {
            if !self.toml.contains(table) {
                text += &format!("{table}\n{line}");
            }
        }
        text += &self.toml;
        config::parse(&text, &self.path("cutover.toml"), &Environment::default()).unwrap_or_else(|why| panic!("{why}"))
    }

    /// Asks these checks, or all when none is named.
    pub async fn ask(&self, only: &[&str]) -> Report {
        self.ask_without(only, &[]).await
    }

    /// Asks these checks, and not those.
    pub async fn ask_without(&self, only: &[&str], skip: &[&str]) -> Report {
        let config = self.config();
        let process_environment = Environment::of_process();
        let base =
            ["PATH", "HOME"].map(|name| (name.to_owned(), process_environment.get(name).unwrap_or("/").to_owned()));
        let environment = Environment::from_pairs(self.variables.iter().copied());
        let own = self.variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let redactor = Redactor::new(["hunter2-hunter2".to_owned()]);
        let asked = Asked {
            changed_switch: None,
            config: &config,
            environment: &environment,
            docker: Docker::new(self.socket.as_deref(), std::time::Duration::from_secs(60)),
            docker_cli: self.docker_cli.clone(),
            process: Process::new(base.into_iter().chain(own).collect(), redactor.clone()),
            http: Http::new().unwrap(),
            redactor,
            only: only.iter().map(|&id| id.to_owned()).collect(),
            skip: skip.iter().map(|&id| id.to_owned()).collect(),
        };
        preflight::run(&asked).await.unwrap()
    }

    /// Asks one check.
    pub async fn one(&self, id: &str) -> Finding {
        self.ask(&[id]).await.findings.remove(0)
    }

    /// `docker compose` for this project.
    pub fn compose(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("docker");
        command.current_dir(self.home.path()).args(["compose", "--project-name", &self.name]).args(arguments);
        command.output().unwrap()
    }

    /// Starts everything and waits until it is well.
    pub fn up(&mut self) {
        self.up_with(&["--wait"]);
    }

    /// Starts everything and waits for nothing.
    pub fn start(&mut self) {
        self.up_with(&[]);
    }

    fn up_with(&mut self, options: &[&str]) {
        self.is_up = true;
        let output = self.compose(&[&["up", "--detach", "--pull", "never"], options].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        if self.is_up {
            // By name alone: the compose file may be one that a test has broken.
            let output = Command::new("docker")
                .args(["compose", "--project-name", &self.name, "down", "--volumes", "--timeout", "0"])
                .output();
            if let Ok(output) = output
                && !output.status.success()
            {
                eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
}

/// The finding of a check.
pub fn of<'a>(report: &'a Report, id: &str) -> &'a Finding {
    report.findings.iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("{id} is not in the report"))
}

/// Holds a finding to a verdict and to words that it must say.
pub fn holds(finding: &Finding, verdict: Verdict, words: &[&str]) {
    assert_eq!(finding.verdict, verdict, "{}: {}", finding.id, finding.seen);
    for word in words {
        assert!(finding.seen.contains(word), "{} does not say {word:?}: {}", finding.id, finding.seen);
    }
    let needs_advice = matches!(verdict, Verdict::Warn | Verdict::Fail | Verdict::Unknown);
    assert_eq!(finding.advice.is_some(), needs_advice, "{}: {:?}", finding.id, finding.advice);
}

/// Fails with the way out, unless the engine runs and has this image.
pub fn want_image(image: &str) {
    let asked = Command::new("docker").args(["image", "inspect", "--format", "{{.Id}}", image]).output();
    let is_there = asked.is_ok_and(|output| output.status.success());
    assert!(is_there, "the engine does not answer or the image {image} is missing; run `scripts/lab images`");
}

/// Every file below a directory with its size, mode and times of change.
pub fn tree(directory: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(place) = open.pop() {
        let metadata = std::fs::symlink_metadata(&place).unwrap();
        let times = (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec());
        found.push(format!("{} {} {:o} {times:?}", place.display(), metadata.len(), metadata.mode()));
        if metadata.is_dir() {
            open.extend(std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}
