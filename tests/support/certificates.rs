//! Certificates of a test's own authority, made by openssl, and a server that shows them.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::cluster::Cluster;

/// How keys are made and with which hash certificates are signed.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    /// RSA, with this hash.
    Rsa(&'static str),
    /// Elliptic curves, with this hash.
    Curve(&'static str),
    /// Ed25519, which has its hash in it.
    Ed25519,
}

impl Keys {
    fn words(self) -> Vec<&'static str> {
        match self {
            Self::Rsa(_) => vec!["-newkey", "rsa:2048"],
            Self::Curve(_) => vec!["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
            Self::Ed25519 => vec!["-newkey", "ed25519"],
        }
    }

    fn hash(self) -> Vec<&'static str> {
        match self {
            Self::Rsa(hash) | Self::Curve(hash) => vec![hash],
            Self::Ed25519 => Vec::new(),
        }
    }
}

/// An authority.
pub struct Authority {
    directory: TempDir,
    keys: Keys,
}

impl Authority {
    /// A new one.
    pub fn new(keys: Keys) -> Self {
        let authority = Self { directory: TempDir::new().unwrap(), keys };
        let mut words = vec!["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=Authority", "-keyout", "ca.key"];
        words.extend(["-out", "ca.crt"]);
        words.extend(keys.words());
        words.extend(keys.hash());
        authority.openssl(&words);
        authority
    }

    /// Its own certificate.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// Makes a certificate for these names (`DNS:…`, `IP:…`) that is good for so many days, and gives certificate and key.
    pub fn sign(&self, names: &str, days: i32) -> (PathBuf, PathBuf) {
        let mut words =
            vec!["req", "-new", "-nodes", "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"];
        words.extend(self.keys.words());
        self.openssl(&words);
        std::fs::write(self.directory.path().join("names"), format!("subjectAltName={names}\n")).unwrap();
        let days = days.to_string();
        let mut words =
            vec!["x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"];
        words.extend(["-days", &days, "-extfile", "names", "-out", "server.crt"]);
        words.extend(self.keys.hash());
        self.openssl(&words);
        (self.directory.path().join("server.crt"), self.directory.path().join("server.key"))
    }

    /// A certificate signed by nobody but itself.
    pub fn self_signed(&self, names: &str) -> (PathBuf, PathBuf) {
        let names = format!("subjectAltName={names}");
        let mut words = vec!["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=server", "-addext", &names];
        words.extend(["-keyout", "alone.key", "-out", "alone.crt"]);
        words.extend(self.keys.words());
        words.extend(self.keys.hash());
        self.openssl(&words);
        (self.directory.path().join("alone.crt"), self.directory.path().join("alone.key"))
    }

    fn openssl(&self, words: &[&str]) {
        let output = Command::new("openssl").args(words).current_dir(self.directory.path()).output().unwrap();
        assert!(output.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Lets the server show this certificate from now on.
pub fn show(cluster: &Cluster, (certificate, key): &(PathBuf, PathBuf)) {
    let place = |name: &str| cluster.directory.path().join(name);
    for (from, to) in [(certificate, "server.crt"), (key, "server.key")] {
        std::fs::copy(from, place(to)).unwrap();
        own(&place(to));
    }
    let file = |name: &str| place(name).display().to_string();
    cluster.sql("postgres", &format!("ALTER SYSTEM SET ssl_cert_file = '{}'", file("server.crt")));
    cluster.sql("postgres", &format!("ALTER SYSTEM SET ssl_key_file = '{}'", file("server.key")));
    cluster.sql("postgres", "ALTER SYSTEM SET ssl = on");
    cluster.stop("fast");
    cluster.start();
}

/// The server takes a key that only it can read.
fn own(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    if rustix::process::geteuid().is_root() {
        assert!(Command::new("chown").arg("postgres:postgres").arg(file).status().unwrap().success());
    }
}
