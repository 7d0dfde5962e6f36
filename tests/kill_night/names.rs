//! Name servers of the night: a root, a parent, and one authority with a zone for each lane.

use crate::lab::{Daemon, KEY, ZoneFile, at, free_port, knot, output};

/// What a name says before the night, and after it.
pub const OLD: &str = "30 127.0.0.77";
pub const NEW: &str = "60 127.0.0.1";

pub struct Names {
    pub port: u16,
    _directory: tempfile::TempDir,
    _daemons: Vec<Daemon>,
}

impl Names {
    pub fn start(lanes: usize) -> Self {
        let port = free_port(&[1, 2, 11].map(|last| at(last, 0)));
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let zone =
            |origin: &str, lines: &str| format!("$ORIGIN {origin}\n$TTL 30\n@ SOA ns1 admin 1 2 1 86400 5\n{lines}");
        let mut parent = "@ NS ns\nns A 127.53.0.2\n".to_owned();
        let mut zones = Vec::new();
        for lane in 0..lanes {
            parent += &format!("n{lane} NS ns1.n{lane}\nns1.n{lane} A 127.53.0.11\n");
            let lines = "@ NS ns1\nns1 A 127.53.0.11\napp A 127.0.0.77\n";
            let mut own = ZoneFile::new(&format!("n{lane}.test"), zone(&format!("n{lane}.test."), lines));
            own.settings = "    acl: changes\n".into();
            zones.push(own);
        }
        let top = zone(".", "@ NS ns.test.\ntest. NS ns.test.\nns.test. A 127.53.0.2\n");
        let acl = format!(
            "key:\n  - id: {0}.\n    algorithm: hmac-sha256\n    secret: {1}\nacl:\n  - id: changes\n    key: {0}.\n    action: update\n",
            KEY.0, KEY.1
        );
        let daemons = vec![
            knot(root, "root", at(1, port), &[ZoneFile::new("", top)], ""),
            knot(root, "parent", at(2, port), &[ZoneFile::new("test", zone("test.", &parent))], ""),
            knot(root, "nights", at(11, port), &zones, &acl),
        ];
        Self { port, _directory: directory, _daemons: daemons }
    }

    /// What the authority says of a lane's name.
    pub fn said(&self, lane: usize) -> String {
        let port = self.port.to_string();
        let name = format!("app.n{lane}.test");
        let answer = ["@127.53.0.11", "-p", &port, &name, "A", "+noall", "+answer", "+nocomments"];
        let text = output("/usr/bin/kdig", &answer, "IN");
        let fields: Vec<&str> = text.split_whitespace().collect();
        format!("{} {}", fields[1], fields[4])
    }

    /// The table [dns] of a lane.
    pub fn settings(&self, lane: usize) -> String {
        let port = self.port;
        format!(
            "[dns]\nprovider = \"rfc2136\"\nserver = \"127.53.0.11:{port}\"\ntsig_name = \"{}\"\ntsig_secret_file = \"tsig.txt\"\n\
             roots = [\"127.53.0.1:{port}\"]\nresolvers = []\nquorum = 0\nport = {port}\nttl = \"60s\"\ntimeout = \"2s\"\n\
             interval = \"100ms\"\ndeadline = \"60s\"\n[[dns.record]]\nname = \"app.n{lane}.test\"\nA = [\"127.0.0.1\"]\n",
            KEY.0
        )
    }
}
