//! Models read back from containers, on the real engine. Law: brought up again from them, every container is as it was.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

#[path = "support/ports.rs"]
mod ports;
#[path = "reconstruct/project.rs"]
mod project;
#[path = "reconstruct/told.rs"]
mod told;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cutover::release::reconstruct::{self, Reconstruction};
use project::{Project, docker, read};
use serde_json::Value;
use told::{differences, told};

const BOX: &str = "cutover-lab/box:1";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reconstruct").join(name)
}

/// Reads a project back and writes the model down.
fn read_back(project: &Project) -> (Reconstruction, PathBuf) {
    let (containers, images) = read(&project.containers());
    let read = reconstruct::model(&project.name, &containers, &images).unwrap();
    let path = project.write("model.json", &serde_json::to_string_pretty(&read.model).unwrap());
    (read, path)
}

/// Without containers of `compose run`, which stay as they are.
fn services_of(project: &Project) -> Value {
    let mut seen = project.containers();
    seen.retain(|_, one| one["Config"]["Labels"]["com.docker.compose.oneoff"] != "True");
    let list = docker(&["network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}}"]);
    let networks = list.lines().filter_map(|line| line.split_once(' '));
    told(&seen, &networks.map(|(id, name)| (id.to_owned(), name.to_owned())).collect())
}

fn is_same(before: &Value, after: &Value) {
    let mut found = Vec::new();
    differences(before, after, "", &mut found);
    assert!(found.is_empty(), "the containers changed:\n{}", found.join("\n"));
}

fn ids(project: &Project) -> Vec<String> {
    project.containers().values().map(|one| one["Id"].as_str().unwrap().to_owned()).collect()
}

fn rich() -> Project {
    let mut project = Project::new("rich", &[BOX]);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    project.set("SUBNET", &format!("10.213.{low}"));
    project.set("LOOPBACK", &format!("127.213.{high}.{low}"));
    for port in ["WEB_PORT", "FIRST_PORT", "SECOND_PORT"] {
        project.set(port, &ports::free_port().to_string());
    }
    project.add("network", "outside");
    project.add("volume", "elsewhere");
    project.write("file.txt", "a file\n");
    project.write("token.txt", "a token\n");
    std::fs::copy(fixture("rich.yaml"), project.directory.path().join("compose.yaml")).unwrap();
    project
}

#[test]
fn a_rich_project_comes_back_from_its_containers_as_it_was() {
    let project = rich();
    let file = project.directory.path().join("compose.yaml");
    project.compose(&file, &["up", "-d", "--pull", "never"]);
    project.compose(&file, &["run", "-d", "--no-deps", "many", "sleep", "1000"]);
    let db = format!("{}-db-1", project.name);
    docker(&["exec", &db, "sh", "-c", "echo kept > /data/x"]);
    let (before, belongings) = (services_of(&project), project.belongings());

    let (read, model) = read_back(&project);
    let said = project.compose(&model, &["up", "-d", "--pull", "never"]);
    assert!(!said.contains("level=warning") && !said.contains("Creating\n"), "{said}");
    is_same(&before, &services_of(&project));
    assert_eq!(project.belongings(), belongings);
    assert_eq!(docker(&["exec", &db, "cat", "/data/x"]), "kept\n");
    let begin: Vec<&str> = read.remarks.iter().filter_map(|remark| remark.split(" is ").next()).collect();
    assert_eq!(begin, ["app: /anonymous", "db: its hardware address 02:42:ac:11:65:43"]);

    let second = ids(&project);
    project.compose(&model, &["up", "-d", "--pull", "never"]);
    assert_eq!(ids(&project), second, "a second `up` found something to change");
    let mut again = read_back(&project).0;
    again.model["services"]["db"]["mac_address"] = read.model["services"]["db"]["mac_address"].clone();
    let mut found = Vec::new();
    differences(&read.model, &again.model, "", &mut found);
    assert!(found.is_empty(), "what came back is read differently:\n{}", found.join("\n"));
}

#[test]
fn containers_that_were_never_started_come_back_as_they_were() {
    let project = Project::new("stopped", &[BOX]);
    project.compose(&fixture("stopped.yaml"), &["create", "--pull", "never"]);
    let (before, first) = (services_of(&project), ids(&project));
    let (read, model) = read_back(&project);
    assert_eq!(read.remarks, [""; 0]);
    project.compose(&model, &["create", "--pull", "never", "--force-recreate"]);
    assert_ne!(ids(&project), first);
    is_same(&before, &services_of(&project));
}

#[test]
fn the_demo_project_comes_back_with_its_rows() {
    let images = ["cutover-lab/demo:1", "cutover-lab/postgres:15", "cutover-lab/caddy:2", "cutover-lab/prometheus:2"];
    let mut project = Project::new("demo", &images);
    let directory = project.directory.path().to_owned();
    for variable in ["DEMO_BACKEND_PORT", "DEMO_HTTP_PORT", "DEMO_PROMETHEUS_PORT"] {
        project.set(variable, &ports::free_port().to_string());
    }
    project.write("database_password.txt", "a-password-of-one-test");
    project.set("DEMO_SECRETS_DIRECTORY", directory.to_str().unwrap());
    std::fs::create_dir(directory.join("run")).unwrap();
    project.set("DEMO_RUN_DIRECTORY", directory.join("run").to_str().unwrap());
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose/demo/compose.yaml");
    project.compose(&demo, &["up", "-d", "--pull", "never"]);
    wait_for_the_seed(&project);
    let psql = |words: &str| {
        let db = format!("{}-db-1", project.name);
        docker(&["exec", &db, "psql", "-qAtX", "-U", "demo", "-d", "demo", "-c", words])
    };
    psql("CREATE TABLE kept AS SELECT 42 AS answer");
    let (before, belongings) = (services_of(&project), project.belongings());

    let (read, model) = read_back(&project);
    let said = project.compose(&model, &["up", "-d", "--pull", "never"]);
    assert!(!said.contains("level=warning"), "{said}");
    wait_for_the_seed(&project);
    is_same(&before, &services_of(&project));
    assert_eq!(project.belongings(), belongings);
    assert_eq!(psql("SELECT answer FROM kept"), "42\n");
    let anonymous = "seed: /var/lib/postgresql/data is an anonymous volume";
    assert!(read.remarks.len() == 1 && read.remarks[0].starts_with(anonymous), "{:?}", read.remarks);
}

fn wait_for_the_seed(project: &Project) {
    let seed = format!("/{}-seed-1", project.name);
    for _ in 0..1200 {
        if project.containers()[&seed]["State"]["Status"] == "exited" {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{seed} does not end");
}
