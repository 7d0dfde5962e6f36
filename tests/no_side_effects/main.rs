//! What only asks changes nothing: no file, no event of the engine, no writing request on its socket.
//!
//! The one request that is no GET is preflight's question to a running database, which goes through `docker exec`, in
//! a session that cannot write.

#![expect(clippy::disallowed_methods, reason = "tests start the program and ask the engine as a person would")]
#![expect(clippy::unwrap_used, reason = "what cannot be set up or read fails the test")]

mod socket;
#[path = "../support/mod.rs"]
mod support;
mod traces;

use socket::{Recorder, Request};
use support::kill::{When, kill_at, was_killed};
use support::project::Project;
use traces::{differences, events, now, tree};

/// Everything that only asks, with the word for it in text and for programs.
const ASKING: [&[&str]; 13] = [
    &["plan", "deploy"],
    &["plan", "deploy", "--output", "json"],
    &["deploy", "--dry-run"],
    &["deploy", "--dry-run", "--yes", "--skip-checks"],
    &["plan", "rollback"],
    &["rollback", "--dry-run"],
    &["rollback", "--to", "r1", "--dry-run"],
    &["status"],
    &["status", "--output", "json"],
    &["history"],
    &["history", "1"],
    &["releases"],
    &["config", "check"],
];

/// A project whose engine is behind a recorder.
struct Stage {
    project: Project,
    recorder: Recorder,
    /// The recorder's own directory, beside the project's.
    _directory: tempfile::TempDir,
}

/// What a command did.
struct Traces {
    requests: Vec<Request>,
    events: Vec<String>,
    files: Vec<String>,
    said: String,
}

impl Stage {
    fn new(label: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let recorder = Recorder::listen(directory.path().join("engine.sock"));
        Self { project: Project::new(label), recorder, _directory: directory }
    }

    fn call(&self, arguments: &[&str]) -> Traces {
        let root = self.project.path("");
        let (before, since) = (tree(&root), now());
        self.recorder.take();
        let output = self.project.command(arguments).env("DOCKER_HOST", self.recorder.host()).output().unwrap();
        Traces {
            requests: self.recorder.take(),
            events: events(&self.project.name, &since, &now()),
            files: differences(&before, &tree(&root)),
            said: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        }
    }

    /// Calls everything that only asks, and wants no trace of any of it.
    #[track_caller]
    fn asking_leaves_no_trace(&self) {
        let mut asked = 0;
        for arguments in ASKING {
            let traces = self.call(arguments);
            asked += traces.requests.len();
            traces.want_none(arguments, |_| false);
        }
        assert!(asked > ASKING.len(), "only {asked} requests came by: the recorder was passed by");
        for arguments in [&["preflight"][..], &["preflight", "--output", "json"]] {
            self.call(arguments).want_none(arguments, is_question_to_the_database);
        }
    }
}

impl Traces {
    #[track_caller]
    fn want_none(&self, arguments: &[&str], is_allowed: impl Fn(&Request) -> bool) {
        let line = arguments.join(" ");
        let writing: Vec<&Request> = self.requests.iter().filter(|one| !one.is_read() && !is_allowed(one)).collect();
        assert!(writing.is_empty(), "`cutover {line}` sent {writing:#?}\nand said {}", self.said);
        assert!(self.events.is_empty(), "`cutover {line}` made the engine tell of {:#?}", self.events);
        assert!(self.files.is_empty(), "`cutover {line}` changed {:#?}", self.files);
    }
}

/// A program in the database's container can only be started by POST. It connects read-only, and is told so where it
/// is started, not by what it sends later.
fn is_question_to_the_database(request: &Request) -> bool {
    let path = request.line.split('/').collect::<Vec<_>>();
    match path[..] {
        ["POST ", _, "exec", _, "start"] => true,
        ["POST ", _, "containers", _, "exec"] => request.body.contains("default_transaction_read_only=on"),
        _ => false,
    }
}

#[test]
fn before_anything_is_deployed_asking_leaves_no_trace() {
    Stage::new("ask-nothing").asking_leaves_no_trace();
}

#[test]
fn beside_a_deployment_asking_leaves_no_trace() {
    let stage = Stage::new("ask-deployed");
    stage.project.deploy("1");
    stage.project.set("TAG", "2");
    stage.asking_leaves_no_trace();
}

#[test]
fn beside_an_interrupted_run_asking_leaves_no_trace() {
    let stage = Stage::new("ask-open");
    stage.project.deploy("1");
    stage.project.set("TAG", "2");
    let is_begun = || {
        let journals = std::fs::read_dir(stage.project.state().join("runs")).unwrap();
        let journals = journals.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok());
        journals.filter(|text| text.contains('\n')).count() == 2
    };
    // The first fsync after the plan is on disk: the run is open, and nothing of it is still at work.
    let open = (1..40).find(|&nth| {
        let ended = kill_at(&mut stage.project.command(&["deploy", "--yes"]), nth, When::Before).output().unwrap();
        assert!(was_killed(ended.status), "the deployment ended by itself");
        is_begun()
    });
    assert!(open.is_some(), "no run was left open");
    assert!(stage.project.cutover(&["status"]).status.success());
    stage.asking_leaves_no_trace();
}

/// The control: what does change something is seen in all three places.
#[test]
fn a_deployment_is_seen_on_the_socket_in_the_events_and_in_the_files() {
    let stage = Stage::new("ask-control");
    stage.project.configure_deploy("", "[backup]\nenabled = false\n");
    let traces = stage.call(&["deploy", "--yes"]);
    assert!(traces.said.contains("r1"), "{}", traces.said);
    assert!(traces.requests.iter().any(|one| one.line.contains("/containers/create")), "{:#?}", traces.requests);
    assert!(traces.events.iter().any(|event| event.contains("\"create\"")), "{:#?}", traces.events);
    assert!(traces.files.iter().any(|file| file.contains("0001-deploy.jsonl")), "{:#?}", traces.files);
}
