//! A migration's directory for tests: cutover.toml with a source and a target on a server of the test's own.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::cluster::Cluster;

/// The directory, and the two databases that it is about.
pub struct Migration {
    /// Everything it writes; gone with it.
    pub directory: TempDir,
    /// Name of the source database.
    pub source: String,
    /// Name of the target database.
    pub target: String,
    variables: Vec<(String, String)>,
}

impl Migration {
    /// Two empty databases of the cluster, and a configuration that names them by variables.
    pub fn new(cluster: &Cluster, label: &str) -> Self {
        let (source, target) = (cluster.database(&format!("{label}_old")), cluster.database(&format!("{label}_new")));
        let variables =
            vec![("SOURCE_URL".to_owned(), cluster.url(&source)), ("TARGET_URL".to_owned(), cluster.url(&target))];
        let migration = Self { directory: TempDir::new().unwrap(), source, target, variables };
        migration.configure("");
        migration
    }

    /// Writes cutover.toml: the usual one, and `more` after it (whole tables).
    pub fn configure(&self, more: &str) {
        let text = format!(
            "schema = \"cutover/v1\"\n[project]\nname = \"moving\"\nenvironment = \"test\"\n\
             [state]\ndirectory = \"state\"\n\
             [source]\nurl_env = \"SOURCE_URL\"\n[target]\nurl_env = \"TARGET_URL\"\n{more}\n"
        );
        std::fs::write(self.path("cutover.toml"), text).unwrap();
    }

    /// Sets a variable of the environment in which cutover is called.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `cutover` as a person would call it here, on a host without a container engine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(arguments).current_dir(self.directory.path()).env_clear();
        command
            .env("PATH", "/usr/bin:/bin")
            .env("USER", "tester")
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(std::process::Stdio::null());
        command
    }

    /// Runs it to its end.
    pub fn cutover(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it, wants this exit code, and gives both streams.
    #[track_caller]
    pub fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.cutover(arguments);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "cutover {}:\n{text}", arguments.join(" "));
        text
    }

    /// Runs it with `--output json` and gives the document and the exit code.
    pub fn json(&self, arguments: &[&str]) -> (Value, i32) {
        let mut all = vec!["--output", "json"];
        all.extend_from_slice(arguments);
        let output = self.cutover(&all);
        let document = serde_json::from_slice(&output.stdout);
        let document = document.unwrap_or_else(|error| {
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            panic!("{error}\n{out}\n{err}")
        });
        (document, output.status.code().unwrap())
    }

    /// The lines of a run's journal.
    pub fn journal(&self, run: u32) -> Vec<Value> {
        let runs = self.path("state/runs");
        let head = format!("{run:04}-");
        let file = std::fs::read_dir(runs).into_iter().flatten().flatten().map(|entry| entry.path()).find(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(&head) && name.ends_with(".jsonl")
        });
        let text = file.map(|path| std::fs::read_to_string(path).unwrap()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
