//! A certificate by ACME, from a real authority: a Caddy that issues, one that was started before the names led to it, the old
//! system that answers the challenge until then, and the switch that ends the back-off.
//!
//! The authority asks knot itself where a name leads, as the public ones do, so it sees what an outsider would.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cutover::dns::certificate::look;
use cutover::judge::certificate::judge;
use serde_json::Value;

use crate::verbs::{Site, site_heard_at};

/// What the front is before the switch: it waits a minute after the first failure, then two, and so on.
const FRONT: &str = "{
	admin localhost:2019
	persist_config off
}
NAME.move.test {
	tls {
		issuer acme {
			dir https://ca/acme/local/directory
			trusted_roots /ca/caddy/pki/authorities/local/root.crt
			timeout 2s
		}
	}
	respond new
}
";

/// The authority validates over HTTP on port 80, as Let's Encrypt does.
const AUTHORITY: &str = "{
	admin off
	skip_install_trust
}
ca {
	tls internal
	acme_server {
		challenges http-01
	}
}
";

/// The old system answers whatever it is asked, so the challenge meets the wrong words there. It closes every connection: this
/// authority would ask the next time over the one that it still has, without asking again where the name leads.
const OLD: &str = "{
	admin off
	auto_https off
}
http:// {
	header Connection close
	respond old
}
";

/// Containers on a network of their own; the host is its gateway, where knot answers on DNS's own port.
struct Town {
    directory: tempfile::TempDir,
    name: String,
    gateway: IpAddr,
}

impl Drop for Town {
    fn drop(&mut self) {
        let down = ["compose", "--project-name", &self.name, "--profile", "new", "down", "--volumes", "--timeout", "0"];
        let _ = Command::new("docker").args(down).current_dir(self.directory.path()).output();
        let _ = Command::new("docker").args(["network", "rm", &self.name]).output();
    }
}

impl Town {
    fn found() -> Self {
        let name = format!("cutover-acme-{}", std::process::id());
        docker(&["network", "create", &name]);
        let gateway = docker(&["network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", &name]);
        let town = Self { directory: tempfile::tempdir().unwrap(), gateway: gateway.parse().unwrap(), name };
        let service = |service: &str, file: &str, more: &str| {
            format!(
                "  {service}:\n    image: cutover-lab/caddy:2\n    command: [caddy, run, --config, /etc/caddy/Caddyfile]\n    \
                 networks: [town]\n    volumes: [\"./{file}:/etc/caddy/Caddyfile:ro\", \"ca:{}\"]\n{more}",
                if service == "ca" { "/data" } else { "/ca:ro" }
            )
        };
        let write = |name: &str, text: &str| fs::write(town.directory.path().join(name), text).unwrap();
        let own = "    profiles: [new]\n";
        let services = [
            service("ca", "ca.caddy", &format!("    dns: [\"{gateway}\"]\n")),
            service("old", "old.caddy", ""),
            service("front", "front.caddy", own),
            service("other", "other.caddy", own),
        ];
        let compose = format!(
            "services:\n{}volumes: {{ca: {{}}}}\nnetworks: {{town: {{external: true, name: {}}}}}\n",
            services.concat(),
            town.name
        );
        write("compose.yaml", &compose);
        write("ca.caddy", AUTHORITY);
        write("old.caddy", OLD);
        write("front.caddy", &FRONT.replace("NAME", "www"));
        write("other.caddy", &FRONT.replace("NAME", "app"));
        town.compose(&["up", "--detach", "ca", "old"]);
        town
    }

    fn compose(&self, arguments: &[&str]) -> String {
        let head = ["compose", "--project-name", &self.name, "--profile", "new"];
        run(Command::new("docker").args(head).args(arguments).current_dir(self.directory.path()))
    }

    /// The root certificate of the authority, once it has made it.
    fn root(&self, place: &Path) {
        let words = ["exec", "-T", "ca", "cat", "/data/caddy/pki/authorities/local/root.crt"];
        until("the authority has a root certificate", || {
            let head = ["compose", "--project-name", &self.name];
            let mut command = Command::new("docker");
            let output = command.args(head).args(words).current_dir(self.directory.path()).output().unwrap();
            output.status.success() && fs::write(place, output.stdout).is_ok()
        });
    }

    fn address(&self, service: &str) -> IpAddr {
        let container = self.compose(&["ps", "--quiet", service]);
        let network = format!("{{{{(index .NetworkSettings.Networks \"{}\").IPAddress}}}}", self.name);
        docker(&["inspect", "--format", &network, &container]).parse().unwrap()
    }

    /// What a Caddy has said about itself, in order.
    fn said(&self, service: &str) -> Vec<Value> {
        let logs = self.compose(&["logs", "--no-log-prefix", "--no-color", service]);
        logs.lines().filter_map(|line| serde_json::from_str(line.trim_start_matches("\u{1b}[2K")).ok()).collect()
    }

    /// Where in its log it first said this.
    fn place(&self, service: &str, message: &str) -> Option<usize> {
        self.said(service).iter().position(|line| line["msg"] == message || line["request"]["uri"] == message)
    }
}

fn docker(arguments: &[&str]) -> String {
    run(Command::new("docker").args(arguments))
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until it is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn configure(site: &Site, town: &Town, front: IpAddr) {
    let port = site.port;
    let text = format!(
        "schema = \"cutover/v1\"\n[project]\nname = \"move\"\n[compose]\nfiles = [\"{}\"]\nproject_name = \"{}\"\n[state]\n\
         directory = \"state\"\n[caddy]\nurl = \"http://{front}/\"\nservice = \"front\"\n[dns]\nprovider = \"rfc2136\"\n\
         server = \"127.53.0.11:{port}\"\ntsig_name = \"cutover-lab\"\ntsig_secret_file = \"tsig.txt\"\n\
         roots = [\"127.53.0.1:{port}\"]\nresolvers = [\"127.53.0.21:{port}\"]\nquorum = 1\nport = {port}\nttl = \"60s\"\n\
         timeout = \"10s\"\ninterval = \"200ms\"\ndeadline = \"60s\"\nca_certificate = \"root.crt\"\n\
         [[dns.record]]\nname = \"www.move.test\"\nA = [\"{front}\"]\n",
        town.directory.path().join("compose.yaml").display(),
        town.name
    );
    fs::write(site.directory.path().join("cutover.toml"), text).unwrap();
}

async fn served(site: &Site, name: &str, at: IpAddr) -> String {
    let root = site.directory.path().join("root.crt");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    judge(&look(name, SocketAddr::new(at, 443), Some(&root)).await.unwrap(), now).words
}

#[tokio::test]
async fn the_switch_ends_the_back_off_and_the_name_is_served_with_a_certificate() {
    let town = Town::found();
    let old = town.address("old");
    let records = format!("www 2 A {old}\napp 2 A {old}\n");
    let site = site_heard_at(&records, Some(SocketAddr::new(town.gateway, 53)));
    town.root(&site.directory.path().join("root.crt"));
    // The trap: started before the names lead to them, both have failed once and wait now.
    town.compose(&["up", "--detach", "front", "other"]);
    let (front, other) = (town.address("front"), town.address("other"));
    for service in ["front", "other"] {
        until("Caddy backs off", || town.place(service, "will retry").is_some());
    }
    configure(&site, &town, front);

    let (code, text) = site.told(&["dns", "check", "--certificates"]);
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, 4, "{text}");
    for words in [
        format!("warn www.move.test at {front}: TLS is answered, but there is no certificate for this name"),
        "nobody issues a certificate for a name that leads elsewhere".to_owned(),
        format!("www.move.test at {front}:80: /.well-known/acme-challenge/ is answered by Caddy (308)"),
    ] {
        assert!(plain.contains(&words), "{words}\n{text}");
    }

    // Preflight asks the same without being told: a challenge would reach Caddy, and it says where none would.
    let (code, text) = site.told(&["preflight", "--only", "dns"]);
    assert!(code == 0 && text.contains("the names can be switched"), "{code}: {text}");
    let file = site.directory.path().join("cutover.toml");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, whole.replace("timeout = ", "http_port = 81\ntimeout = ")).unwrap();
    let (code, text) = site.told(&["preflight", "--only", "dns"]);
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, 0, "{text}");
    for words in [
        format!("ms www.move.test at {front}:81: port 81 does not answer: connection refused"),
        "open the port to everybody: without it there is no certificate over HTTP".to_owned(),
    ] {
        assert!(plain.contains(&words), "{words}\n{text}");
    }
    fs::write(&file, whole).unwrap();

    // The other name is led to its new place too, by somebody who kicks nobody.
    site.update(&format!("update delete app.move.test. A\nupdate add app.move.test. 60 A {other}\n"));
    let (code, text) = site.told(&["dns", "switch", "--yes"]);
    assert_eq!(code, 0, "{text}\n{:#?}", town.said("front"));
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(plain.contains("each name is served with a good certificate"), "{text}");

    let words = served(&site, "www.move.test", front).await;
    let issued =
        format!("www.move.test at {front}: certificate of Caddy Local Authority - ECC Intermediate, 12 h left");
    assert!(words.starts_with(&issued), "{words}");
    // It was the kick: Caddy was told to load, and only after that it had a certificate.
    let obtained = "certificate obtained successfully";
    until("Caddy's log tells of the certificate", || town.place("front", obtained).is_some());
    let (kick, issue) = (town.place("front", "received request"), town.place("front", obtained));
    assert!(kick.is_some() && kick < issue, "{kick:?} {issue:?} {:#?}", town.said("front"));
    let loads = town.said("front").iter().filter(|line| line["uri"] == "/load").count();
    assert_eq!(loads, 1, "issuers count failures, so it is kicked once");

    // Who was not kicked serves nothing, although everything else is the same; unless this took so long that its minute was over.
    let words = served(&site, "app.move.test", other).await;
    if !words.contains("TLS is answered, but there is no certificate for this name") {
        assert!(words.contains("certificate of Caddy Local Authority"), "{words}");
        let attempts = || town.said("other").iter().filter(|line| line["msg"] == "obtaining certificate").count();
        until("it has tried again by itself", || attempts() > 1);
    }

    let (code, text) = site.told(&["dns", "wait"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = site.told(&["dns", "check", "--certificates"]);
    assert_eq!(code, 0, "{text}");

    // From now on the watcher looks at it: it is good for half a day, and judged by that. Without its Caddy it is gone.
    let (verdict, evidence) = site.watched("certificates");
    assert_eq!(verdict, "ok", "{evidence}");
    assert!(evidence.starts_with("the first to end is that of www.move.test, in 1"), "{evidence}");
    town.compose(&["stop", "--timeout", "0", "front"]);
    let (verdict, evidence) = site.watched("certificates");
    assert_eq!(verdict, "breach", "{evidence}");
    assert!(evidence.contains(&format!("www.move.test at {front}:80: port 80 does not answer")), "{evidence}");
}
