//! A real Caddy in a container: one forced reload, done once by a run, and the certificate that it serves afterwards.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cutover::adapter::docker::Docker;
use cutover::adapter::inside::Inside;
use cutover::adapter::process::Process;
use cutover::redact::Redactor;
use cutover::step::expect_certificate::ExpectCertificate;
use cutover::step::kick_caddy::KickCaddy;
use cutover::step::{Answer, RunTag, World};

use crate::issuance::until;

struct Project {
    directory: tempfile::TempDir,
    name: String,
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.compose(&["down", "--volumes", "--timeout", "0"]);
    }
}

impl Project {
    fn up() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(
            directory.path().join("Caddyfile"),
            "{\n\tadmin localhost:2019\n\tskip_install_trust\n\tpersist_config off\n}\nwww.move.test {\n\ttls internal\n\trespond hello\n}\n",
        )
        .unwrap();
        fs::write(
            directory.path().join("compose.yaml"),
            "services:\n  front:\n    image: cutover-lab/caddy:2\n    command: [caddy, run, --config, /etc/caddy/Caddyfile]\n    \
             ports: [\"127.0.0.1::443\"]\n    volumes: [\"./Caddyfile:/etc/caddy/Caddyfile:ro\"]\n",
        )
        .unwrap();
        let project = Self { directory, name: format!("cutover-kick-{}", std::process::id()) };
        project.compose(&["up", "--detach", "--wait"]);
        // It runs before it can be told anything.
        project.has_said("serving initial configuration");
        project
    }

    fn compose(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker")
            .args(["compose", "--project-name", &self.name])
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Until Caddy's log holds these words: the engine writes them down a little after they were said.
    fn has_said(&self, words: &str) {
        until(words, || self.compose(&["logs", "front"]).contains(words));
    }

    fn address(&self) -> SocketAddr {
        self.compose(&["port", "front", "443"]).trim().parse().unwrap()
    }
}

fn docker_program() -> PathBuf {
    ["/usr/bin/docker", "/usr/local/bin/docker"].iter().map(Path::new).find(|path| path.exists()).unwrap().to_owned()
}

#[tokio::test]
async fn caddy_is_kicked_once_and_then_serves_a_certificate() {
    let project = Project::up();
    let docker = Docker::new(None, Duration::from_secs(60)).unwrap().negotiate().await.unwrap();
    let environment =
        vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()), ("HOME".to_owned(), "/root".to_owned())];
    let inside = Inside::new(docker_program(), Process::new(environment, Redactor::default()));
    let run = RunTag { number: 7, epoch: 1, side: project.directory.path().to_owned() };
    let kick = KickCaddy { project: project.name.clone(), service: "front".into() };

    assert!(matches!(kick.check(&run).unwrap(), World::Before(_)));
    kick.run(&docker, &inside, &run, &|_| ()).await.unwrap();
    let World::After(said) = kick.check(&run).unwrap() else { panic!("it was done") };
    assert_eq!(said, "front was reloaded once by this run");
    // Caddy itself says that it was told to load.
    project.has_said("\"uri\":\"/load\"");

    let root = project.compose(&["exec", "-T", "front", "cat", "/data/caddy/pki/authorities/local/root.crt"]);
    let file = project.directory.path().join("root.crt");
    fs::write(&file, root).unwrap();
    let gate = |ca: Option<PathBuf>| ExpectCertificate {
        names: vec!["www.move.test".into()],
        addresses: vec![project.address().ip()],
        port: project.address().port(),
        ca_certificate: ca,
        interval_ms: 100,
        deadline_s: 60,
    };
    let seen = gate(Some(file.clone())).ask(&|_| ()).await.unwrap();
    assert_eq!(seen.answer, Answer::Passed, "{}", seen.words);
    assert!(seen.words.contains("certificate of Caddy Local Authority - ECC Intermediate, "), "{}", seen.words);
    let untrusted = ExpectCertificate { deadline_s: 0, ..gate(None) }.ask(&|_| ()).await.unwrap();
    assert_eq!(untrusted.answer, Answer::Refused);
    assert!(untrusted.words.contains("; Caddy has issued it itself: it has no public one yet."), "{}", untrusted.words);

    // A configuration that Caddy refuses is an error with its words, and it goes on with the one it has.
    fs::write(project.directory.path().join("Caddyfile"), "www.move.test {\n\tno_such_directive\n}\n").unwrap();
    let again = RunTag { number: 8, side: tempfile::tempdir().unwrap().keep(), ..run };
    let error = format!("{:#}", kick.run(&docker, &inside, &again, &|_| ()).await.unwrap_err());
    assert!(
        error.contains("it goes on with the configuration that it has") && error.contains("no_such_directive"),
        "{error}"
    );
    assert!(matches!(kick.check(&again).unwrap(), World::Before(_)));
    assert_eq!(gate(Some(file)).ask(&|_| ()).await.unwrap().answer, Answer::Passed);
    fs::remove_dir_all(again.side).unwrap();
}
