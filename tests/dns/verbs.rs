//! The verbs as a person types them, against a real primary that takes signed updates, a secondary that lags, and a cache.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use cutover::adapter::dns::Dns;
use cutover::adapter::dns::tsig::{Digest, Key};
use cutover::adapter::dns::update::Exchange;
use cutover::dns::provider::{Credentials, Keeper, SetChange, SetSide};
use cutover::secret::Secret;
use cutover::step::World;
use cutover::step::switch_dns::SwitchDns;

use crate::lab::{Daemon, KEY, ZoneFile, at, free_port, knot, output, unbound};

/// Seconds that the secondary waits before it looks for a new serial.
const REFRESH: u32 = 2;

pub struct Site {
    pub directory: tempfile::TempDir,
    pub port: u16,
    _daemons: Vec<Daemon>,
}

/// The zone move.test: www is at the old place, and has an old AAAA record too.
pub fn site(records: &str) -> Site {
    site_heard_at(records, None)
}

/// The same, and the primary answers at one more address, for whoever cannot reach those of the lab.
pub fn site_heard_at(records: &str, more: Option<SocketAddr>) -> Site {
    let addresses: Vec<SocketAddr> = [1, 2, 11, 12, 21].iter().map(|last| at(*last, 0)).collect();
    let port = free_port(&addresses);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let zone = |name: &str, soa: u32, lines: &str| {
        format!("$ORIGIN {name}\n$TTL 300\n@ SOA ns1 admin 1 {soa} 1 86400 5\n{lines}")
    };
    let servers = "@ NS ns1\n@ NS ns2\nns1 A 127.53.0.11\nns2 A 127.53.0.12\n";
    let top = zone(".", 3600, "@ NS ns.test.\ntest. NS ns.test.\nns.test. A 127.53.0.2\n");
    let parent = "@ NS ns\nns A 127.53.0.2\nmove NS ns1.move\nmove NS ns2.move\nns1.move A 127.53.0.11\nns2.move A 127.53.0.12\n";
    let key = format!(
        "key:\n  - id: {0}.\n    algorithm: hmac-sha256\n    secret: {1}\n  - id: {0}-512.\n    algorithm: hmac-sha512\n    secret: {1}\n",
        KEY.0, KEY.1
    );
    let acl = format!(
        "{key}acl:\n  - id: changes\n    key: [{0}., {0}-512.]\n    action: update\n  - id: copies\n    address: 127.0.0.0/8\n    action: transfer\n",
        KEY.0
    );
    let more = more.map_or_else(String::new, |at| format!("server:\n  listen: {}@{}\n", at.ip(), at.port()));
    let acl = format!("{more}{acl}");
    let mut primary = ZoneFile::new("move.test", zone("move.test.", REFRESH, &format!("{servers}{records}")));
    primary.settings = "    acl: [changes, copies]\n".into();
    let mut secondary = ZoneFile::new("move.test", "");
    secondary.settings = "    master: first\n".into();
    let master = format!("remote:\n  - id: first\n    address: 127.53.0.11@{port}\n");
    let daemons = vec![
        knot(root, "root", at(1, port), &[ZoneFile::new("", top)], ""),
        knot(root, "parent", at(2, port), &[ZoneFile::new("test", zone("test.", 3600, parent))], ""),
        knot(root, "one", at(11, port), &[primary], &acl),
        knot(root, "two", at(12, port), &[secondary], &master),
        unbound(root, "cache", at(21, port), &[("move.test".into(), at(11, port)), ("test".into(), at(2, port))], ""),
    ];
    let site = Site { directory, port, _daemons: daemons };
    // The first transfer.
    output("/usr/bin/kdig", &["@127.53.0.12", "-p", &port.to_string(), "move.test", "SOA", "+short"], "ns1.move.test.");
    site.write_secret("tsig.txt", KEY.1);
    site
}

impl Site {
    pub fn write_secret(&self, name: &str, content: &str) {
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn configure(&self, provider: &str) {
        let port = self.port;
        let text = format!(
            "schema = \"cutover/v1\"\n[project]\nname = \"move\"\n[state]\ndirectory = \"state\"\n[dns]\n{provider}\n\
             roots = [\"127.53.0.1:{port}\"]\nresolvers = [\"127.53.0.21:{port}\"]\nquorum = 1\nport = {port}\nttl = \"60s\"\n\
             timeout = \"10s\"\ninterval = \"200ms\"\ndeadline = \"60s\"\n[[dns.record]]\nname = \"www.move.test\"\n\
             A = [\"192.0.2.10\"]\n[[dns.record]]\nname = \"app.move.test\"\nCNAME = \"www.move.test\"\n"
        );
        fs::write(self.directory.path().join("cutover.toml"), text).unwrap();
    }

    fn by_update(&self) {
        self.configure(&format!(
            "provider = \"rfc2136\"\nserver = \"127.53.0.11:{}\"\ntsig_name = \"{}\"\ntsig_secret_file = \"tsig.txt\"",
            self.port, KEY.0
        ));
    }

    pub fn call(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap()
    }

    /// What a rule of the watcher says now: verdict and evidence.
    pub fn watched(&self, rule: &str) -> (String, String) {
        let path = self.directory.path().join("cutover.toml");
        let text = fs::read_to_string(&path).unwrap();
        if !text.contains("[stabilize]") {
            fs::write(&path, text + "[stabilize]\nclose = \"2h\"\n").unwrap();
        }
        let output = self.call(&["--output", "json", "watch", "--once"]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let rules = json["rules"].as_array().unwrap();
        let said = rules.iter().find(|said| said["name"] == rule).unwrap_or_else(|| panic!("{json}"));
        let word = |key: &str| said[key].as_str().unwrap().to_owned();
        (word("verdict"), word("evidence"))
    }

    pub fn told(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.call(arguments);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), text.replace(&format!(":{}", self.port), ""))
    }

    /// Until the run has begun, which its journal shows.
    fn wait_for_start(&self) {
        let journal = self.directory.path().join("state/runs/0001-dns.jsonl");
        let since = std::time::Instant::now();
        while !fs::read_to_string(&journal).unwrap_or_default().contains("\"started\"") {
            assert!(since.elapsed().as_secs() < 60, "the run does not begin");
            std::thread::yield_now();
        }
    }

    /// Does what the instructions say.
    fn as_a_person(&self) {
        self.update(
            "update delete www.move.test. A\nupdate delete www.move.test. AAAA\nupdate add www.move.test. 60 A 192.0.2.10\n\
             update delete app.move.test. A\nupdate add app.move.test. 60 CNAME www.move.test.\n",
        );
    }

    /// Changes the zone as somebody else would.
    pub fn update(&self, lines: &str) {
        let file = self.directory.path().join("somebody");
        let head = format!("server 127.53.0.11 {}\nkey hmac-sha256:{} {}\nzone move.test.\n", self.port, KEY.0, KEY.1);
        fs::write(&file, format!("{head}{lines}send\n")).unwrap();
        output("/usr/bin/knsupdate", &[file.to_str().unwrap()], "");
    }

    /// What a server says, as `300 198.51.100.7`.
    pub fn dig(&self, last: u8, name: &str, kind: &str) -> String {
        let (server, port) = (format!("@127.53.0.{last}"), self.port.to_string());
        let text = output("/usr/bin/kdig", &[&server, "-p", &port, name, kind, "+noall", "+answer", "+nocomments"], "");
        let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let lines = text.lines().map(fields).filter(|fields| fields.len() >= 5);
        let mut lines: Vec<String> = lines.map(|fields| format!("{} {}", fields[1], fields[4])).collect();
        lines.sort();
        lines.join(", ")
    }
}

const OLD: &str = "www 4 A 198.51.100.7\nwww 4 AAAA 2001:db8:dead::7\napp 4 A 198.51.100.7\n";

#[test]
fn names_are_switched_by_a_signed_update_waited_for_and_brought_back() {
    let site = site(OLD);
    site.by_update();
    let (code, text) = site.told(&["dns", "check"]);
    assert_eq!(code, 4, "{text}");
    assert!(text.starts_with("NOT ARRIVED  authority 0/2, caches 0/1 (1 wanted)\n"), "{text}");
    assert!(text.contains("both authorities answer 2001:db8:dead::7, but no AAAA record is configured"), "{text}");
    let (code, text) = site.told(&["dns", "check", "--format", "nagios"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains(" | 'authorities'=0;2:;2:;0;2 'resolvers'=0;1:;;0;1 'old_values'=0s;;;0\n"), "{text}");

    let (code, plan) = site.told(&["dns", "switch", "--dry-run"]);
    assert_eq!(code, 0, "{plan}");
    for line in [
        "www.move.test A: 198.51.100.7 (TTL 4 s) → 192.0.2.10 (TTL 60 s)",
        "www.move.test AAAA: 2001:db8:dead::7 (TTL 4 s) → none",
    ] {
        assert!(plan.contains(line), "{line}\n{plan}");
    }
    assert_eq!(site.dig(11, "www.move.test", "A"), "4 198.51.100.7", "a dry run changes nothing");

    let (code, text) = site.told(&["dns", "switch", "--yes"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("COMPLETE"), "{text}");
    // The gate waited for the copy: both say it now.
    for last in [11, 12] {
        assert_eq!(site.dig(last, "www.move.test", "A"), "60 192.0.2.10");
        assert_eq!(site.dig(last, "www.move.test", "AAAA"), "");
        assert_eq!(site.dig(last, "app.move.test", "CNAME"), "60 www.move.test.");
    }
    names_on_the_page(&site);
    let (code, text) = site.told(&["dns", "wait"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("ARRIVED  authority 2/2, caches 1/1 (1 wanted)"), "{text}");
    let json: serde_json::Value =
        serde_json::from_slice(&site.call(&["--output", "json", "dns", "check"]).stdout).unwrap();
    assert_eq!((json["schema"].as_str(), json["has_arrived"].as_bool()), (Some("cutover/v1"), Some(true)));

    let (code, text) = site.told(&["dns", "switch", "--yes"]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("there is nothing to switch"), "{text}");
    let (verdict, evidence) = site.watched("names");
    assert_eq!((verdict.as_str(), evidence.ends_with("as configured")), ("ok", true), "{evidence}");

    let (code, text) = site.told(&["rollback", "--yes"]);
    assert_eq!(code, 0, "{text}");
    for last in [11, 12] {
        assert_eq!(site.dig(last, "www.move.test", "A"), "4 198.51.100.7", "the old TTL is back as well");
        assert_eq!(site.dig(last, "www.move.test", "AAAA"), "4 2001:db8:dead::7");
        assert_eq!(site.dig(last, "app.move.test", "CNAME"), "");
        assert_eq!(site.dig(last, "app.move.test", "A"), "4 198.51.100.7");
    }
    assert_eq!(site.watched("names"), ("ok".into(), "the names were not switched yet".into()), "they were taken back");
    no_secret_in(&site.directory.path().join("state"), KEY.1);
}

/// What the names were and are, and how they arrived, stands on the page of the run and in the document beside it.
fn names_on_the_page(site: &Site) {
    let (code, text) = site.told(&["report", "1", "--out", "names.html"]);
    assert_eq!(code, 0, "{text}");
    let read = |name: &str| fs::read_to_string(site.directory.path().join(name)).unwrap();
    let page = read("names.html");
    for words in [
        "<section id=\"names\"><h2>Names</h2>",
        "<td>www.move.test A</td><td><code>198.51.100.7 (TTL 4 s)</code></td><td><code>192.0.2.10 (TTL 60 s)</code></td>",
        "<td>www.move.test AAAA</td><td><code>2001:db8:dead::7 (TTL 4 s)</code></td><td><code>none</code></td>",
        "authorities</th><th class=\"num\" scope=\"col\">caches</th>",
        "<td class=\"num\">2/2</td>",
    ] {
        assert!(page.contains(words), "{words} is not in\n{page}");
    }
    let document: serde_json::Value = serde_json::from_str(&read("names.json")).unwrap();
    let last = document["names"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["authority"], &last["tone"]), (&serde_json::json!([2, 2]), &"good".into()), "{document:#}");
    // Each change of the two numbers on the way there is a line of its own.
    let journal = fs::read_to_string(site.directory.path().join("state/runs/0001-dns.jsonl")).unwrap();
    let lines = journal.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let trail = lines.filter_map(|line| Some(line["data"]["trail"].as_array()?.len())).sum::<usize>();
    let sights = document["names"].as_array().unwrap().iter().filter(|one| one["authority"].is_array()).count();
    assert!(trail > 0 && sights == trail, "{trail} changes, {sights} told");
}

fn no_secret_in(directory: &Path, secret: &str) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            no_secret_in(&path, secret);
        } else {
            assert!(!String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(secret), "{}", path.display());
        }
    }
}

#[test]
fn an_update_with_a_wrong_key_is_refused_in_words_and_changes_nothing() {
    let site = site(OLD);
    site.by_update();
    site.write_secret("tsig.txt", "YW5vdGhlci1rZXktdGhhdC1uby1vbmUta25vd3M=");
    let (code, text) = site.told(&["dns", "switch", "--yes"]);
    assert_ne!(code, 0, "{text}");
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        plain.contains("the server does not take the signature (BADSIG): the key cutover-lab is another one there"),
        "{text}"
    );
    assert!(!text.contains("COMPLETE"), "{text}");
    assert_eq!(site.dig(11, "www.move.test", "A"), "4 198.51.100.7");
}

#[test]
fn records_that_somebody_else_changed_meanwhile_are_not_brought_back_over() {
    let site = site(OLD);
    site.by_update();
    let (code, text) = site.told(&["dns", "switch", "--yes"]);
    assert_eq!(code, 0, "{text}");
    site.update("update delete www.move.test. A\nupdate add www.move.test. 60 A 203.0.113.99\n");
    assert_eq!(site.dig(11, "www.move.test", "A"), "60 203.0.113.99");
    let (verdict, evidence) = site.watched("names");
    assert!(verdict == "breach" && evidence.contains("203.0.113.99"), "{verdict}: {evidence}");
    let (code, text) = site.told(&["rollback", "--yes"]);
    assert_ne!(code, 0, "{text}");
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(plain.contains("www.move.test A is 203.0.113.99, which is neither 198.51.100.7 nor 192.0.2.10"), "{text}");
    assert_eq!(site.dig(11, "www.move.test", "A"), "60 203.0.113.99");
}

#[test]
fn by_hand_the_exact_records_are_said_and_the_world_is_waited_for() {
    let site = site(OLD);
    site.configure("provider = \"manual\"");
    let (code, plan) = site.told(&["dns", "switch", "--dry-run"]);
    assert_eq!(code, 0, "{plan}");
    for line in [
        "delete  www.move.test  A  198.51.100.7",
        "create  www.move.test  A  192.0.2.10  TTL 60 s",
        "delete  www.move.test  AAAA  2001:db8:dead::7",
        "create  app.move.test  CNAME  www.move.test  TTL 60 s",
    ] {
        assert!(
            plan.split_whitespace().collect::<Vec<_>>().join(" ").contains(&line.replace("  ", " ")),
            "{line}\n{plan}"
        );
    }
    let binary = env!("CARGO_BIN_EXE_cutover");
    let waiting = Command::new(binary)
        .args(["dns", "switch", "--yes"])
        .current_dir(site.directory.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    site.wait_for_start();
    site.as_a_person();
    let output = waiting.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(text.contains("COMPLETE"), "{text}");
}

#[test]
fn a_switch_by_hand_that_was_killed_is_gone_on_with() {
    let site = site(OLD);
    site.configure("provider = \"manual\"");
    let mut waiting = Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["--quiet", "dns", "switch", "--yes"])
        .current_dir(site.directory.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    site.wait_for_start();
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    let (code, text) = site.told(&["dns", "switch", "--yes"]);
    assert_eq!(code, 6, "an open run comes first: {text}");
    site.as_a_person();
    let (code, text) = site.told(&["resume", "--yes"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("COMPLETE"), "{text}");
}

#[test]
fn certificates_are_looked_at_where_it_is_asked_for() {
    let site = site(OLD);
    site.by_update();
    let file = site.directory.path().join("cutover.toml");
    let text = fs::read_to_string(&file).unwrap();
    // Nothing listens there.
    fs::write(
        &file,
        text.replace("quorum = 1\n", "quorum = 1\norigin = [\"127.53.0.99\"]\nhttp_port = 1\nhttps_port = 1\n"),
    )
    .unwrap();
    let (code, text) = site.told(&["dns", "check", "--certificates", "--name", "www.move.test"]);
    assert_eq!(code, 4, "{text}");
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "certificates at the new system unknown www.move.test at 127.53.0.99:1: no certificate was served: connection refused",
        "FAIL www.move.test at 127.53.0.99:1: port 1 does not answer: connection refused",
    ] {
        assert!(plain.contains(words), "{words}\n{text}");
    }
    let (code, text) = site.told(&["dns", "check", "--name", "nobody.move.test"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("[[dns.record]] has no such name; it has www.move.test, app.move.test"), "{text}");
}

#[test]
fn preflight_says_when_the_ttl_was_not_lowered() {
    let site = site("www 3600 A 198.51.100.7\napp 60 A 198.51.100.7\n");
    site.by_update();
    let (code, text) = site.told(&["dns", "check", "--before-switch"]);
    assert_eq!(code, 4, "{text}");
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        plain.contains("the TTL is 60 min, more than 60 s: after a switch some go to the old place for so long"),
        "{text}"
    );
    assert!(plain.contains("lower it to 60 s now, and switch after 20"), "{text}");
}

#[tokio::test]
async fn an_update_is_signed_conditional_and_refused_in_words() {
    let site = site(OLD);
    let dns = Dns { timeout: std::time::Duration::from_secs(30), attempts: 1 };
    let key = |name: &str, digest| Key { name: name.into(), digest, secret: Secret::new(KEY.1.into()) };
    let exchange = |before: &str, after: &str| Exchange {
        name: "www.move.test".into(),
        kind: "A".into(),
        before: vec![before.into()],
        after: vec![after.into()],
        ttl: 60,
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let server = at(11, site.port);
    let long = key("cutover-lab-512", Digest::Sha512);
    dns.update(server, "move.test", &[exchange("198.51.100.7", "192.0.2.11")], &long, now).await.unwrap();
    assert_eq!(site.dig(11, "www.move.test", "A"), "60 192.0.2.11");

    let told = async |zone: &str, exchange: Exchange, key: &Key, now: u64| {
        let error = dns.update(server, zone, &[exchange], key, now).await.unwrap_err().to_string();
        error.replace(&format!("127.53.0.11:{} refused the update ", site.port), "")
    };
    // Somebody was faster: nothing of it is done.
    assert_eq!(
        told("move.test", exchange("198.51.100.7", "192.0.2.12"), &long, now).await,
        "(NXRRSET): the records are not any more as they were when this was planned; nothing was changed, plan it again"
    );
    assert_eq!(
        told("move.test", exchange("192.0.2.11", "192.0.2.12"), &key("nobody", Digest::Sha256), now).await,
        "(NOTAUTH): the server does not know the key nobody with hmac-sha256 (BADKEY)"
    );
    assert_eq!(
        told("move.test", exchange("192.0.2.11", "192.0.2.12"), &long, now - 3_600).await,
        "(NOTAUTH): the server's clock and ours are too far apart (BADTIME); set the clocks"
    );
    let elsewhere = told(
        "other.test",
        Exchange { name: "www.other.test".into(), ..exchange("192.0.2.11", "192.0.2.12") },
        &long,
        now,
    );
    assert_eq!(
        elsewhere.await,
        "(NOTAUTH): it is no primary server of other.test, or does not know the key cutover-lab-512; look at dns.server and \
         dns.tsig_name"
    );
    assert_eq!(site.dig(11, "www.move.test", "A"), "60 192.0.2.11");
}

#[tokio::test]
async fn a_ttl_alone_is_a_change_too_and_comes_back() {
    let site = site(OLD);
    let side = |ttl| SetSide { values: ["198.51.100.7".to_owned()].into(), ttl, is_proxied: false };
    let change = SetChange { name: "www.move.test".into(), kind: "A".into(), from: side(4), to: side(60) };
    let switch = SwitchDns {
        zone: "move.test".into(),
        keeper: Keeper::Rfc2136(at(11, site.port)),
        changes: vec![change],
        deadline_s: 60,
    };
    let key = Key { name: KEY.0.into(), digest: Digest::Sha256, secret: Secret::new(KEY.1.into()) };
    let with =
        Credentials { key: Some(Ok(key)), timeout: std::time::Duration::from_secs(30), ..Credentials::default() };
    assert!(matches!(switch.check(&with).await.unwrap(), World::Before(_)));
    switch.run(&with, &|_| ()).await.unwrap();
    assert!(matches!(switch.check(&with).await.unwrap(), World::After(_)));
    assert_eq!(site.dig(11, "www.move.test", "A"), "60 198.51.100.7");
    switch.undo(&with, &|_| ()).await.unwrap();
    assert!(matches!(switch.check(&with).await.unwrap(), World::Before(_)));
    assert_eq!(site.dig(11, "www.move.test", "A"), "4 198.51.100.7");
}

#[test]
fn an_https_record_is_switched_with_its_hints_and_brought_back_bit_by_bit() {
    let site = site(&format!("{OLD}www 4 HTTPS 1 . ipv4hint=198.51.100.7 alpn=\"h3,h2\" key65280=\"a b\"\n"));
    site.by_update();
    // A hint that nobody configured would keep browsers at the old place: that is said before anything is changed.
    let (code, text) = site.told(&["dns", "switch", "--yes"]);
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, 4, "{text}");
    assert!(plain.contains("www.move.test HTTPS hints at 198.51.100.7, and browsers go to a hint before"), "{text}");
    assert_eq!(site.dig(11, "www.move.test", "A"), "4 198.51.100.7");

    let file = site.directory.path().join("cutover.toml");
    let whole = fs::read_to_string(&file).unwrap();
    let record = "A = [\"192.0.2.10\"]\nHTTPS = [\"1 . ipv4hint=192.0.2.10 alpn=\\\"h2,h3\\\"\", \"2 other.move.test. port=8443\"]\n";
    fs::write(&file, whole.replace("A = [\"192.0.2.10\"]\n", record)).unwrap();
    let wire = |last: u8| {
        let (server, port) = (format!("@127.53.0.{last}"), site.port.to_string());
        let words = [&server, "-p", &port, "www.move.test", "HTTPS", "+generic", "+noall", "+answer", "+nocomments"];
        let mut lines: Vec<String> = output("/usr/bin/kdig", &words, "").lines().map(str::to_owned).collect();
        lines.retain(|line| !line.is_empty());
        lines.sort();
        lines
    };
    let before = wire(11);
    assert_eq!(before.len(), 1, "{before:?}");
    let (code, text) = site.told(&["dns", "check"]);
    assert_eq!(code, 4, "{text}");
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(plain.contains("browsers follow the hint at 198.51.100.7 before they ask for the addresses"), "{text}");

    let (code, text) = site.told(&["dns", "switch", "--yes"]);
    assert_eq!(code, 0, "{text}");
    for last in [11, 12] {
        let after = wire(last);
        assert_eq!(after.len(), 2, "{after:?}");
        // 1 . alpn=h2,h3 ipv4hint=192.0.2.10 on the wire; knot itself has put it there.
        assert!(after[0].replace(' ', "").ends_with("0001000001000602683202683300040004C000020A"), "{after:?}");
    }
    let (code, text) = site.told(&["rollback", "--yes"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(wire(11), before, "the old record is back, with the parameter that nobody knows");
}

#[test]
fn an_https_record_at_digitalocean_is_refused_before_anything_is_asked_of_it() {
    let site = site(OLD);
    site.write_secret("token.txt", "token-of-the-lab");
    // Nothing listens there: the refusal comes first.
    site.configure("provider = \"digitalocean\"\ntoken_file = \"token.txt\"\napi_url = \"http://127.0.0.1:9\"");
    let file = site.directory.path().join("cutover.toml");
    let whole = fs::read_to_string(&file).unwrap();
    let record = "A = [\"192.0.2.10\"]\nHTTPS = [\"1 . alpn=h2,h3\"]\n";
    fs::write(&file, whole.replace("A = [\"192.0.2.10\"]\n", record)).unwrap();
    let (code, text) = site.told(&["dns", "switch", "--dry-run"]);
    assert_eq!(code, 2, "{text}");
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(plain.contains("www.move.test HTTPS: DigitalOcean keeps no HTTPS records; take HTTPS out of"), "{text}");
}
