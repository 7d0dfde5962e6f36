//! A compose project of one test on the real engine. Law: it has a name of its own and leaves nothing behind.
#![expect(clippy::disallowed_methods, reason = "a test drives docker itself, to see the engine without our adapters")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bollard::models::{ContainerInspectResponse, ImageInspect};
use serde_json::Value;

/// A project, its directory, and what it was given by way of variables.
pub struct Project {
    pub name: String,
    pub directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
    extra: Vec<[&'static str; 2]>,
}

impl Project {
    pub fn new(kind: &str, images: &[&str]) -> Self {
        for image in images {
            let found = Command::new("docker").args(["image", "inspect", image]).output();
            let is_there = found.is_ok_and(|found| found.status.success());
            assert!(
                is_there,
                "the engine or its image {image} is missing; run `scripts/lab engine`, then `scripts/lab images`"
            );
        }
        let name = format!("reconstruct-{kind}-{}", std::process::id());
        let directory = tempfile::tempdir().unwrap();
        let mut project = Self { name, directory, variables: Vec::new(), extra: Vec::new() };
        project.set("PROJECT", &project.name.clone());
        project
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A volume or network that is not the project's own.
    pub fn add(&mut self, what: &'static str, suffix: &'static str) {
        docker(&[what, "create", &format!("{}-{suffix}", self.name)]);
        self.extra.push([what, suffix]);
    }

    /// Calls compose on a file; gives everything it said.
    pub fn compose(&self, file: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("docker");
        command.args(["compose", "--env-file", "/dev/null", "-p", &self.name, "-f"]).arg(file).args(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let ran = command.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "compose {arguments:?} of {}: {said}", file.display());
        said + &String::from_utf8_lossy(&ran.stdout)
    }

    /// What the engine says about every container, by name.
    pub fn containers(&self) -> BTreeMap<String, Value> {
        let ids = self.labelled(&["ps", "--all"]);
        let ids: Vec<&str> = ["inspect"].into_iter().chain(ids.iter().map(String::as_str)).collect();
        let all: Vec<Value> = serde_json::from_str(&docker(&ids)).unwrap();
        all.into_iter().map(|one| (one["Name"].as_str().unwrap().to_owned(), one)).collect()
    }

    /// Names of the project's own networks and volumes.
    pub fn belongings(&self) -> [Vec<String>; 2] {
        [self.labelled(&["network", "ls"]), self.labelled(&["volume", "ls"])]
    }

    /// Volumes that nobody named; never fails, because it is asked while a test fails.
    fn unnamed_volumes(&self) -> Vec<String> {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let format = "{{.Mounts}}";
        let list = ["ps", "--all", "--no-trunc", "--filter", &label, "--format", format];
        let text = Command::new("docker").args(list).output().map(|ran| ran.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let names = text.split([',', '\n']).filter(|name| name.len() == 64 && !name.contains('/'));
        names.map(str::to_owned).collect()
    }

    fn labelled(&self, list: &[&str]) -> Vec<String> {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let text = docker(&[list, &["--quiet", "--filter", &label]].concat());
        let mut found: Vec<String> = text.lines().map(str::to_owned).collect();
        found.sort();
        found
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let down = ["compose", "-p", &self.name, "down", "--volumes", "--remove-orphans", "--timeout", "0"];
        let directory = self.directory.path();
        let volumes = self.unnamed_volumes();
        let _ = Command::new("docker").args(down).current_dir(directory).output();
        for volume in volumes {
            // One that was handed on has a name to the engine, which then keeps it.
            let _ = Command::new("docker").args(["volume", "rm", &volume]).output();
        }
        for [what, suffix] in &self.extra {
            let _ = Command::new("docker").args([what, "rm", &*format!("{}-{suffix}", self.name)]).output();
        }
    }
}

/// Calls docker, which has to succeed; gives what it printed.
pub fn docker(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = Command::new("docker").args(arguments).output().unwrap();
    assert!(status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Containers and images as the library takes them.
pub fn read(seen: &BTreeMap<String, Value>) -> (Vec<ContainerInspectResponse>, BTreeMap<String, ImageInspect>) {
    let mut images = BTreeMap::new();
    for container in seen.values() {
        let id = container["Image"].as_str().unwrap();
        let all: Vec<ImageInspect> = serde_json::from_str(&docker(&["image", "inspect", id])).unwrap();
        images.insert(id.to_owned(), all.into_iter().next().unwrap());
    }
    (seen.values().map(|one| serde_json::from_value(one.clone()).unwrap()).collect(), images)
}
