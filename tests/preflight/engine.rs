//! The engine, the images and the containers. Law: an engine that is away makes things unknown, never ok.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use cutover::preflight::Verdict;

use crate::stand::{BOX, Stand, holds, of, tree};

#[tokio::test]
async fn an_engine_that_is_away_fails_its_check_and_leaves_the_others_unknown() {
    let mut stand = Stand::new(&format!("{BOX}    ports: ['127.0.0.1:1:1']\n"), "");
    stand.socket = Some(format!("unix://{}", stand.path("none.sock").display()));
    let report = stand.ask(&[]).await;
    holds(of(&report, "engine"), Verdict::Fail, &["does not answer", "none.sock", "systemctl status docker"]);
    for id in ["disk", "ports", "images", "containers", "database"] {
        holds(of(&report, id), Verdict::Unknown, &["is not known"]);
    }
    holds(of(&report, "model"), Verdict::Ok, &["web"]);
    assert_eq!(report.verdict(), Verdict::Fail);
}

#[tokio::test]
async fn an_engine_that_says_nothing_is_unknown_after_the_deadline_and_the_check_says_what_it_waited_for() {
    let mut stand = Stand::new(BOX, "[preflight]\nmin_disk = \"1MiB\"\ndeadline = \"300ms\"\n");
    let _silent = UnixListener::bind(stand.path("silent.sock")).unwrap();
    stand.socket = Some(format!("unix://{}", stand.path("silent.sock").display()));
    let report = stand.ask(&["engine", "containers", "disk"]).await;
    holds(of(&report, "engine"), Verdict::Unknown, &["no answer within 300 ms", "the engine's facts"]);
    holds(of(&report, "containers"), Verdict::Unknown, &["no answer within 300 ms", "the project's containers"]);
    assert_eq!(report.verdict(), Verdict::Unknown);
}

#[tokio::test]
async fn an_engine_and_a_compose_that_are_too_old_fail() {
    let stand = Stand::new(BOX, "[preflight]\nengine_min = \"99.0\"\ncompose_min = \"99.0\"\n");
    holds(&stand.one("engine").await, Verdict::Fail, &["older than 99.0"]);
    holds(&stand.one("compose").await, Verdict::Fail, &["older than 99.0"]);
}

#[tokio::test]
async fn too_little_disk_or_memory_fails_with_numbers() {
    let stand = Stand::new(BOX, "[preflight]\nmin_disk = \"1024TiB\"\nmin_memory = \"1024TiB\"\n");
    let disk = stand.one("disk").await;
    holds(&disk, Verdict::Fail, &["docker ", "state ", "backup ", "are needed"]);
    let labels: Vec<&str> = disk.perf.iter().map(|perf| perf.label.as_str()).collect();
    assert!(["disk_docker", "disk_state", "disk_backup"].iter().all(|label| labels.contains(label)), "{labels:?}");
    holds(&stand.one("memory").await, Verdict::Fail, &["are needed"]);
}

#[tokio::test]
async fn without_a_client_the_tools_fail_and_the_model_is_unknown() {
    let mut stand = Stand::new(BOX, "");
    stand.docker_cli = None;
    let report = stand.ask(&["tools", "compose", "model", "images"]).await;
    holds(of(&report, "tools"), Verdict::Fail, &["PATH"]);
    holds(of(&report, "compose"), Verdict::Fail, &[]);
    holds(of(&report, "model"), Verdict::Unknown, &["no docker command-line client"]);
    holds(of(&report, "images"), Verdict::Unknown, &[]);
}

#[tokio::test]
async fn an_image_that_is_nowhere_fails_whatever_the_pull_policy() {
    let compose = BOX.replace("cutover-lab/box:1", "127.0.0.1:1/cutover-preflight/none:1");
    let mut stand = Stand::new(&compose, "[compose]\npull = \"never\"\n");
    holds(&stand.one("images").await, Verdict::Fail, &["127.0.0.1:1/cutover-preflight/none:1 is not here", "never"]);
    stand.configure("[compose]\npull = \"missing\"\n");
    holds(&stand.one("images").await, Verdict::Fail, &["is not here and cannot be pulled", "refused"]);
}

#[tokio::test]
async fn an_image_that_is_here_is_enough_and_one_that_is_only_built_must_be_built() {
    let stand = Stand::new(BOX, "");
    holds(&stand.one("images").await, Verdict::Ok, &["cutover-lab/box:1 is here"]);
    let mut stand = Stand::new("services:\n  web:\n    build: ./app\n", "");
    holds(&stand.one("images").await, Verdict::Fail, &["not among the services that are built"]);
    stand.configure("[compose]\nbuild = [\"web\"]\n");
    holds(&stand.one("images").await, Verdict::Fail, &["no directory"]);
    stand.put("app/Dockerfile", "FROM scratch\n", 0o644);
    holds(&stand.one("images").await, Verdict::Ok, &["is built here"]);
}

#[tokio::test]
async fn a_container_that_ended_badly_is_a_warning_with_its_name() {
    let mut stand =
        Stand::new(&format!("{BOX}  sick:\n    image: cutover-lab/box:1\n    command: [sh, -c, 'exit 3']\n"), "");
    holds(&stand.one("containers").await, Verdict::Ok, &["not deployed yet"]);
    stand.start();
    docker(&["wait", &format!("{}-sick-1", stand.name)]);
    holds(&stand.one("containers").await, Verdict::Warn, &[&format!("{}-sick-1 ended with 3", stand.name)]);
}

#[tokio::test]
async fn what_several_checks_need_is_read_once() {
    let mut stand = Stand::new(BOX, "");
    let log = stand.path("calls.log");
    let docker = stand.docker_cli.take().unwrap();
    let mut script = std::fs::File::create(stand.path("docker")).unwrap();
    write!(script, "#!/bin/sh\necho \"$@\" >>{}\nexec {} \"$@\"\n", log.display(), docker.display()).unwrap();
    script.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(script);
    stand.docker_cli = Some(stand.path("docker"));
    let report = stand.ask(&[]).await;
    assert_eq!(report.count(Verdict::Unknown), 0, "{report:?}");
    let calls = std::fs::read_to_string(&log).unwrap();
    assert_eq!(calls.lines().filter(|line| line.contains(" config ")).count(), 1, "{calls}");
    assert_eq!(calls.lines().count(), 2, "the model and the version of compose: {calls}");
}

#[tokio::test]
async fn preflight_changes_nothing_on_the_engine_nor_on_disk() {
    let mut stand = Stand::new(&format!("{BOX}    ports: ['127.0.0.1::80']\n"), "");
    stand.put("secrets/token.txt", "hunter2-hunter2", 0o600);
    stand.up();
    let before = (tree(&stand.path("")), containers(&stand.name));
    let since = engine_time();
    let report = stand.ask(&[]).await;
    assert_eq!((tree(&stand.path("")), containers(&stand.name)), before, "{report:?}");
    assert!(!stand.path("state").exists(), "not even the state directory is made");
    let events = docker(&[
        "events",
        "--since",
        &since,
        "--until",
        &engine_time(),
        "--filter",
        &format!("label=com.docker.compose.project={}", stand.name),
    ]);
    assert_eq!(events, "", "the engine was told to do something");
}

fn containers(project: &str) -> String {
    docker(&[
        "ps",
        "--all",
        "--no-trunc",
        "--format",
        "{{.ID}} {{.Names}} {{.State}}",
        "--filter",
        &format!("name={project}"),
    ])
}

fn engine_time() -> String {
    docker(&["info", "--format", "{{.SystemTime}}"])
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
