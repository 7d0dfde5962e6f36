//! A directory with a configuration and a runbook, and the program called in it, by this person or another.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The directory; gone with it.
pub struct Desk {
    /// Everything that it writes.
    pub directory: TempDir,
}

impl Desk {
    /// A configuration, and this runbook.
    pub fn new(runbook: &str) -> Self {
        let desk = Self { directory: TempDir::new().unwrap() };
        desk.write(
            "cutover.toml",
            "schema = \"cutover/v1\"\n[project]\nname = \"moving\"\nenvironment = \"test\"\n[state]\ndirectory = \"state\"\n",
        );
        desk.write("night.toml", runbook);
        desk
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The program as this person would call it.
    pub fn command(&self, person: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(arguments).current_dir(self.directory.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", "/usr/bin:/bin").env("USER", person).env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        command
    }

    /// Calls it as anna, wants this exit code, and gives both streams.
    #[track_caller]
    pub fn expect(&self, code: i32, arguments: &[&str]) -> String {
        self.expect_of("anna", code, arguments)
    }

    /// The same as another person.
    #[track_caller]
    pub fn expect_of(&self, person: &str, code: i32, arguments: &[&str]) -> String {
        let output = self.command(person, arguments).output().unwrap();
        judged(&output, code, arguments)
    }

    /// Calls it on a terminal, where a person types these lines.
    #[track_caller]
    pub fn expect_typed(&self, code: i32, arguments: &[&str], lines: &str) -> String {
        let words = std::iter::once(env!("CARGO_BIN_EXE_cutover")).chain(arguments.iter().copied());
        let line = words.map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let mut command = Command::new("script");
        command.args(["-qefc", &line, "/dev/null"]).current_dir(self.directory.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("USER", "anna").env("TERM", "dumb");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("`script` is needed: install util-linux or bsdutils");
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.as_bytes()).unwrap();
        judged(&child.wait_with_output().unwrap(), code, arguments)
    }

    /// Begins a run that waits at its checkpoints, and gives it once it stands at one.
    pub fn waiting(&self) -> Child {
        let mut command = self.command("anna", &["run", "night.toml", "--wait", "--yes"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        self.until("it waits", || self.lines(1).iter().any(|line| line["data"]["signal"].is_string()));
        child
    }

    /// Looks until it is so.
    #[track_caller]
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begin = std::time::Instant::now();
        while !is_so() {
            assert!(begin.elapsed().as_secs() < 60, "{what}: {:#?}", self.lines(1).last());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// The lines of a run's journal; a torn last one is left out.
    pub fn lines(&self, run: u32) -> Vec<Value> {
        let head = format!("{run:04}-");
        let files =
            std::fs::read_dir(self.path("state/runs")).into_iter().flatten().flatten().map(|entry| entry.path());
        let file = files.into_iter().find(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(&head) && name.ends_with(".jsonl")
        });
        let text = file.map(|path| std::fs::read_to_string(path).unwrap()).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The approvals of run 1: who, and what for.
    pub fn approvals(&self) -> Vec<Value> {
        self.lines(1).into_iter().filter(|line| line["kind"] == "approval").collect()
    }
}

#[track_caller]
fn judged(output: &Output, code: i32, arguments: &[&str]) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "cutover {}:\n{text}", arguments.join(" "));
    text
}
