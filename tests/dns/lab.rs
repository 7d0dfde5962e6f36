//! Starts knot and unbound with files of its own, waits until they answer, and ends them when it is dropped.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub use super::ports::free_port_at as free_port;

/// The key that may update zones.
pub const KEY: (&str, &str) = ("cutover-lab", "Y3V0b3Zlci1sYWIta2V5LWZvci10ZXN0cy1vbmx5LTE=");

/// A server that is ours.
pub struct Daemon {
    child: Child,
    pub directory: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of the lab.
pub fn at(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(127, 53, 0, last).into(), port)
}

/// A zone of a knot server: its name, its text, and lines of its configuration.
pub struct ZoneFile {
    pub name: String,
    pub text: String,
    pub settings: String,
}

impl ZoneFile {
    pub fn new(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), settings: String::new() }
    }
}

/// Starts a knot server; `more` is configuration beside the zones.
pub fn knot(root: &Path, name: &str, address: SocketAddr, zones: &[ZoneFile], more: &str) -> Daemon {
    let directory = root.join(name);
    fs::create_dir_all(directory.join("run")).unwrap();
    fs::create_dir_all(directory.join("db")).unwrap();
    let shown = directory.display();
    let mut conf = format!(
        "server:\n  rundir: {shown}/run\n  listen: {}@{}\n  automatic-acl: off\nlog:\n  - target: stderr\n    any: info\n\
         database:\n  storage: {shown}/db\n{more}zone:\n",
        address.ip(),
        address.port()
    );
    for zone in zones {
        let file = directory.join(format!("{}.zone", zone.name));
        if !zone.text.is_empty() {
            fs::write(&file, &zone.text).unwrap();
        }
        let _ = writeln!(conf, "  - domain: {}.\n    file: {}\n    semantic-checks: off", zone.name, file.display());
        conf.push_str(&zone.settings);
    }
    let file = directory.join("knot.conf");
    fs::write(&file, conf).unwrap();
    let daemon = start("knotd", &["-c", file.to_str().unwrap()], directory);
    wait_for(&daemon, address);
    daemon
}

/// Starts a resolver that forwards each zone to the server given for it.
pub fn unbound(root: &Path, name: &str, address: SocketAddr, forwards: &[(String, SocketAddr)], more: &str) -> Daemon {
    let directory = root.join(name);
    fs::create_dir_all(&directory).unwrap();
    let mut conf = format!(
        "server:\n  interface: {0}\n  port: {1}\n  directory: \"{2}\"\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  \
         do-daemonize: no\n  use-syslog: no\n  logfile: \"\"\n  num-threads: 1\n  access-control: 127.0.0.0/8 allow\n  \
         do-not-query-localhost: no\n  module-config: \"validator iterator\"\n  local-zone: \"test.\" nodefault\n  \
         val-log-level: 2\n  qname-minimisation: no\n{more}",
        address.ip(),
        address.port(),
        directory.display()
    );
    for (zone, to) in forwards {
        let _ = write!(conf, "forward-zone:\n  name: \"{zone}.\"\n  forward-addr: {}@{}\n", to.ip(), to.port());
    }
    conf.push_str("remote-control:\n  control-enable: no\n");
    let file = directory.join("unbound.conf");
    fs::write(&file, conf).unwrap();
    let daemon = start("unbound", &["-d", "-c", file.to_str().unwrap()], directory);
    wait_for(&daemon, address);
    daemon
}

fn start(program: &str, arguments: &[&str], directory: PathBuf) -> Daemon {
    let log = fs::File::create(directory.join("log")).unwrap();
    let path = [Path::new("/usr/sbin"), Path::new("/usr/bin")].map(|place| place.join(program));
    let Some(path) = path.iter().find(|path| path.exists()) else {
        panic!("{program} is not installed; run `scripts/lab dns`");
    };
    let child = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    Daemon { child, directory }
}

/// Until it answers anything at all.
fn wait_for(daemon: &Daemon, address: SocketAddr) {
    let socket = UdpSocket::bind(if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let since = Instant::now();
    // A question for the root's SOA record, by hand.
    let question = [0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1];
    loop {
        let _ = socket.send_to(&question, address);
        let mut buffer = [0; 512];
        if socket.recv_from(&mut buffer).is_ok_and(|(length, _)| length >= 12) {
            return;
        }
        let log = || fs::read_to_string(daemon.directory.join("log")).unwrap_or_default();
        assert!(since.elapsed() < Duration::from_secs(60), "{address} does not answer:\n{}", log());
    }
}

/// What a program prints, once it holds `wanted`: a server does its first work after it answers.
pub fn output(program: &str, arguments: &[&str], wanted: &str) -> String {
    let since = Instant::now();
    loop {
        let output =
            Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() && text.contains(wanted) {
            return text;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{program} {arguments:?} does not say {wanted:?}: {text}{said}"
        );
    }
}
