//! A PostgreSQL server of a test's own: made by initdb, stopped and removed when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tempfile::TempDir;

use super::ports::free_port;

/// The superuser's password.
pub const PASSWORD: &str = "cluster-superuser-pw";

/// A server.
pub struct Cluster {
    /// Where it keeps everything; also a good place for a test's files.
    pub directory: TempDir,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

/// The directory of the newest server programs on this host.
pub fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is not installed; scripts/lab postgres installs it")
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort_by_key(|path| path.parent().unwrap().file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap_or(0));
    found.pop().expect("no server programs; scripts/lab postgres installs them")
}

/// Runs a program as the user `postgres` where this is root: the server refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn must(output: std::io::Result<Output>, what: &str) -> String {
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A freshly made data directory, made once and copied for each server; it stays beside the build, where `cargo clean`
/// finds it.
fn template() -> PathBuf {
    let (programs, place) = (programs(), Path::new(env!("CARGO_TARGET_TMPDIR")));
    let major = programs.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let template = place.join(format!("cluster-{major}"));
    if template.exists() {
        return template;
    }
    let directory = TempDir::new().unwrap();
    open_to_postgres(directory.path());
    let password = directory.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let mut initdb = as_postgres(&programs.join("initdb"));
    initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]);
    initdb.arg("--no-sync").arg(format!("--pwfile={}", password.display()));
    must(initdb.arg(directory.path().join("data")).output(), "initdb");
    let aside = TempDir::new_in(place).unwrap();
    let copy = aside.path().join("data");
    must(Command::new("cp").arg("-a").arg(directory.path().join("data")).arg(&copy).output(), "cp");
    // Another test may have been first; then its directory is as good.
    if let Err(error) = std::fs::rename(&copy, &template) {
        assert!(template.exists(), "{}: {error}", template.display());
    }
    template
}

fn open_to_postgres(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    if rustix::process::geteuid().is_root() {
        must(Command::new("chown").arg("postgres:postgres").arg(directory).output(), "chown");
    }
}

/// The server that the tests of one binary share, each in a database of its own; not durable. It is stopped with the last
/// test that holds it: a `static` would never be dropped, and the server would stay.
pub fn shared() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::new(&["fsync = off", "full_page_writes = off", "synchronous_commit = off"]));
        *shared = Arc::downgrade(&cluster);
        cluster
    })
}

impl Cluster {
    /// Starts a server with these further settings, such as `fsync=off`.
    pub fn new(settings: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        open_to_postgres(directory.path());
        let data = directory.path().join("data");
        must(Command::new("cp").arg("-a").arg(template()).arg(&data).output(), "cp");
        let cluster = Self { directory, port: free_port() };
        let mut text = format!(
            "\nport = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nmax_connections = 200\n",
            cluster.port,
            cluster.directory.path().display()
        );
        text.extend(settings.iter().map(|setting| format!("{setting}\n")));
        let file = data.join("postgresql.conf");
        let old = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, old + &text).unwrap();
        cluster.start();
        cluster
    }

    /// Starts the server and waits until it answers.
    pub fn start(&self) {
        self.control(&["start", "-w", "-t", "60", "-l", &self.log().display().to_string()]);
    }

    /// Stops the server: `fast` ends sessions, `immediate` is a crash.
    pub fn stop(&self, mode: &str) {
        self.control(&["stop", "-w", "-m", mode]);
    }

    /// The server's log.
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn control(&self, words: &[&str]) {
        let mut command = as_postgres(&programs().join("pg_ctl"));
        // Nothing of ours may stay open in the server: whoever waits for our output would wait for the server.
        command.arg("-D").arg(self.directory.path().join("data")).args(words);
        let output = command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).output();
        must(output, "pg_ctl");
    }

    /// The connection string of a role.
    pub fn url_of(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgresql://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// The superuser's connection string.
    pub fn url(&self, database: &str) -> String {
        self.url_of("postgres", PASSWORD, database)
    }

    /// Runs statements with psql and gives what it prints, unaligned, tuples only.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut command = Command::new(programs().join("psql"));
        command.args(["--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", statements]);
        must(command.output(), statements)
    }

    /// Makes an empty database with a name that no other test uses, and gives it.
    pub fn database(&self, label: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{label}_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""));
        name
    }

    /// Loads a script with psql.
    pub fn load(&self, database: &str, file: &Path) {
        let mut command = Command::new(programs().join("psql"));
        command.args(["--no-psqlrc", "-qX", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-f"]).arg(file);
        must(command.output(), &file.display().to_string());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut command = as_postgres(&programs().join("pg_ctl"));
        command.arg("-D").arg(self.directory.path().join("data")).args(["stop", "-w", "-m", "immediate"]);
        drop(command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status());
    }
}
