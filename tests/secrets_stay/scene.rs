//! A compose project full of canaries, and a recording `docker` in front of the real one. Law: what was said and started is kept.

use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::canaries::*;
use crate::support::project::Project;

const COMPOSE: &str = include_str!("compose.yaml");

/// The project and everything that was heard.
pub struct Scene {
    pub project: Project,
    /// What was called, and both streams.
    heard: RefCell<Vec<(String, Vec<u8>)>>,
    path: String,
}

impl Scene {
    /// Writes the files; nothing runs yet.
    pub fn new(label: &str) -> Self {
        let project = Project::new(label);
        project.write("compose.yaml", &COMPOSE.replace("SESSION_KEY_CANARY", IN_SESSION_KEY));
        for (name, text) in [
            ("secrets/database_password.txt", IN_POSTGRES_FILE.to_owned()),
            ("secrets/api.txt", format!("{IN_SECRETS_DIRECTORY}\n")),
            ("private/mailer.txt", IN_COMPOSE_SECRET.to_owned()),
            (
                "private/key.pem",
                format!("-----BEGIN PRIVATE KEY-----\n{IN_PEM}\n{IN_PEM}\n-----END PRIVATE KEY-----\n"),
            ),
            ("app.env", format!("LOUD_TOKEN={IN_LOG}\nMIGRATION_PASSWORD={IN_MIGRATION}\n")),
        ] {
            private(&project.path(name), &text);
        }
        project.set("DATABASE_URL", &format!("postgres://app:{IN_DATABASE_URL}@db:5432/app"));
        project.set("SMTP_PASSWORD", &format!("\"{}\"", WITH_SIGNS.replace('"', "\\\"").replace('$', "\\$")));
        let scene = Self { path: recorder(&project), project, heard: RefCell::default() };
        scene.configure("", "");
        scene
    }

    /// Writes cutover.toml, with more in `[deploy]` and behind it.
    pub fn configure(&self, deploy: &str, more: &str) {
        let name = &self.project.name;
        self.project.write(
            "cutover.toml",
            &format!(
                r#"schema = "cutover/v1"
[project]
name = "{name}"
environment = "test"
[compose]
files = ["compose.yaml"]
env_files = ["release.env"]
[secrets]
directory = "secrets"
required = ["api.txt"]
variables = ["HANDED_PASSWORD"]
[state]
directory = "state"
[preflight]
min_disk = "10MiB"
min_memory = "10MiB"
[deploy]
services = ["app"]
migrate = {{ service = "app", command = ["sh", "/migrate.sh"] }}
stable_for = "200ms"
observe = "0s"
start_deadline = "2m"
{deploy}
{more}
"#
            ),
        );
    }

    /// Calls cutover, keeps what it said, and gives its exit code and stderr.
    pub fn call(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = self.project.command(arguments);
        command.env("PATH", &self.path).env("HANDED_PASSWORD", IN_PROCESS).env("OTHER_PASSWORD", IN_PROCESS);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let said = String::from_utf8_lossy(&[stderr.as_slice(), &stdout].concat()).into_owned();
        let mut heard = self.heard.borrow_mut();
        heard.push((format!("stdout of cutover {}", arguments.join(" ")), stdout));
        heard.push((format!("stderr of cutover {}", arguments.join(" ")), stderr));
        (status.code().unwrap(), said)
    }

    /// Calls it in text, in JSON, and with everything it can say; each has to end with this code.
    #[track_caller]
    pub fn call_in_every_way(&self, code: i32, arguments: &[&str]) {
        for more in [&[][..], &["--output", "json"], &["-vv"], &["-vv", "--output", "json"]] {
            self.expect(code, &[arguments, more].concat());
        }
    }

    /// Calls it and wants this exit code; gives what it said.
    #[track_caller]
    pub fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let (found, said) = self.call(arguments);
        assert_eq!(found, code, "`cutover {}` said:\n{said}", arguments.join(" "));
        said
    }

    /// Wants no canary in anything that was said on either stream.
    #[track_caller]
    pub fn nothing_was_said(&self) {
        let heard = self.heard.borrow();
        assert!(heard.iter().any(|(_, text)| !text.is_empty()), "nothing was heard at all");
        none(heard.iter().map(|(source, text)| (source.clone(), text.clone())));
    }

    /// Wants no canary in arguments and environments of the children.
    #[track_caller]
    pub fn nothing_was_handed_on(&self) {
        let record = std::fs::read(self.record()).unwrap();
        let text = String::from_utf8_lossy(&record);
        assert!(text.contains("argument: compose") && text.contains("PATH="), "the recorder saw nothing:\n{text}");
        none([("a child's arguments or environment".to_owned(), record)]);
    }

    /// What the recorder wrote.
    fn record(&self) -> PathBuf {
        self.project.path("recorder/seen")
    }
}

/// Wants no canary in any of these.
#[track_caller]
pub fn none(sources: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let found: Vec<String> = sources
        .into_iter()
        .flat_map(|(source, text)| found_in(&text).into_iter().map(move |hit| format!("{source}: {hit}")))
        .collect();
    assert!(found.is_empty(), "{} leaks:\n{}", found.len(), found.join("\n"));
}

/// Writes a file that only its owner can read.
pub fn private(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A `docker` that writes down how it was called and becomes the real one; gives the PATH that finds it first.
fn recorder(project: &Project) -> String {
    let real = which::which("docker").unwrap();
    let directory = project.path("recorder");
    let script = format!(
        "#!/bin/sh\n{{ for a in \"$@\"; do printf 'argument: %s\\n' \"$a\"; done; tr '\\0' '\\n' </proc/$$/environ; }} \
         >>{record} 2>&1\nexec {real} \"$@\"\n",
        record = directory.join("seen").display(),
        real = real.display()
    );
    private(&directory.join("docker"), &script);
    std::fs::set_permissions(directory.join("docker"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = std::env::var("PATH").unwrap();
    format!("{}:{path}", directory.display())
}
