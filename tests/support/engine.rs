//! A private engine, for tests that restart or prune one. Law: no container, image or network of the host's engine is
//! within its reach: it has a root, a socket and a network namespace of its own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How a program gets to an engine and to the ports that it publishes.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Process whose network namespace the engine lives in, and the engine's socket.
    private: Option<(u32, PathBuf)>,
}

impl Reach {
    /// A command that talks to this engine.
    pub fn command(&self, program: &str) -> Command {
        let Some((keeper, socket)) = &self.private else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{keeper}/ns/net")).arg(program);
        command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        command
    }
}

/// The engine.
pub struct Engine {
    directory: tempfile::TempDir,
    /// Keeps the network namespace while the engine is away.
    keeper: Child,
    daemon: Option<Child>,
}

impl Engine {
    /// Starts it, with these images of the host's engine.
    pub fn start(images: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("cutover-engine-").tempdir().unwrap();
        // `cat` ends with its standard input, so it never outlives the test.
        let keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut keeper = keeper.expect("`unshare` makes a network namespace: run the tests as root");
        let mut line = [0_u8; 3];
        std::io::Read::read_exact(keeper.stdout.as_mut().unwrap(), &mut line).unwrap();
        let mut engine = Self { directory, keeper, daemon: None };
        engine.up();
        let mut save = Command::new("docker").arg("save").args(images).stdout(Stdio::piped()).spawn().unwrap();
        let mut load = engine.reach().command("docker");
        let loaded = load.arg("load").stdin(save.stdout.take().unwrap()).output().unwrap();
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        assert!(save.wait().unwrap().success(), "the host's engine has all of these: {images:?}");
        engine
    }

    /// How to get to it.
    pub fn reach(&self) -> Reach {
        Reach { private: Some((self.keeper.id(), self.directory.path().join("engine.sock"))) }
    }

    /// Starts the daemon and waits until it answers.
    pub fn up(&mut self) {
        let place = |name: &str| self.directory.path().join(name);
        let log = std::fs::File::create(place("log")).unwrap();
        // In a namespace of its own: told to do without a bridge on the host's network, it would remove the host's.
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.keeper.id())).arg("dockerd");
        command.arg("--data-root").arg(place("data")).arg("--exec-root").arg(place("exec"));
        command
            .arg("--pidfile")
            .arg(place("pid"))
            .arg("--host")
            .arg(format!("unix://{}", place("engine.sock").display()));
        self.daemon = Some(command.stdout(Stdio::null()).stderr(log).stdin(Stdio::null()).spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(240);
        while !self.reach().command("docker").args(["version", "--format", "ok"]).output().unwrap().status.success() {
            let log = std::fs::read_to_string(place("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the private engine does not answer; its log:\n{log}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends the daemon as `systemctl stop docker` does, and waits for its end.
    pub fn down(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        terminate(&daemon);
        daemon.wait().unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let ids = self.reach().command("docker").args(["ps", "--all", "--quiet"]).output().unwrap();
        let ids = String::from_utf8_lossy(&ids.stdout).into_owned();
        if !ids.trim().is_empty() {
            let gone = self.reach().command("docker").args(["rm", "--force"]).args(ids.lines()).output();
            drop(gone);
        }
        self.down();
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}

/// Asks a process to end.
fn terminate(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}
