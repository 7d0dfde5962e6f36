//! Projects as people publish them, from `init` to a second release and back with at most ten lines: anchors, `extends`, profiles,
//! waited-for services and variables with defaults; and nothing of all that, with a service on the host's network.

use std::os::unix::fs::PermissionsExt;

use super::init::{holds, projects};
use super::support::ports::free_port;
use super::support::project::{Project, docker};

/// What only a host of tests wants: a state directory, a small disk, and shorter waits than a person's.
const EDITS: &str = "[state]\ndirectory = \"state\"\n[preflight]\nmin_disk = \"10MiB\"\nmin_memory = \"10MiB\"\n\
                     [deploy]\nstable_for = \"500ms\"\nobserve = \"500ms\"\n";

/// A published project whose images are the lab's, under names of its own.
struct Public {
    project: Project,
    tags: Vec<String>,
}

impl Public {
    fn new(kind: &str, files: &[&str]) -> Self {
        let project = Project::new(kind);
        for name in ["cutover.toml", "compose.yaml", "release.env"] {
            std::fs::remove_file(project.path(name)).unwrap();
        }
        for name in files {
            let hidden = name.strip_suffix(".txt").map_or_else(|| (*name).to_owned(), |name| format!(".{name}"));
            std::fs::copy(projects().join(kind).join(name), project.path(&hidden)).unwrap();
            std::fs::set_permissions(project.path(&hidden), PermissionsExt::from_mode(0o644)).unwrap();
        }
        Self { project, tags: Vec::new() }
    }

    /// Lets an image of the lab go by this name.
    fn tag(&mut self, lab: &str, name: &str) {
        docker(&["tag", lab, name]);
        self.tags.push(name.to_owned());
    }

    fn environment(&self, text: &str) {
        self.project.write(".env", text);
        std::fs::set_permissions(self.project.path(".env"), PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// `init`, the few edits, `config check`, and a plan; gives what was guessed.
    fn begin(&self) -> String {
        self.project.expect(0, &["init", "--name", &self.project.name, "--environment", "test"]);
        let guessed = std::fs::read_to_string(self.project.path("cutover.toml")).unwrap();
        let has_own = |table: &str| guessed.lines().any(|line| line == table);
        assert!(EDITS.lines().count() <= 10 && !has_own("[deploy]") && !has_own("[state]"), "{guessed}");
        self.project.write("cutover.toml", &format!("{guessed}\n{EDITS}"));
        self.project.expect(0, &["config", "check"]);
        self.project.expect(0, &["plan", "deploy"]);
        guessed
    }

    /// The release that answers on a port.
    fn release(&mut self, port: u16) -> String {
        self.project.port = port;
        let page = self.project.get("/health").unwrap_or_default().to_lowercase();
        page.lines().find_map(|line| line.strip_prefix("x-demo-release: ").map(str::to_owned)).unwrap_or_default()
    }
}

impl Drop for Public {
    fn drop(&mut self) {
        self.project.remove_all_of(&self.project.name);
        self.tags.iter().for_each(|tag| drop(docker(&["image", "rm", "--force", tag])));
    }
}

#[test]
fn anchors_extends_profiles_conditions_and_defaults_go_from_init_to_a_second_release_and_back() {
    let mut public = Public::new("library", &["docker-compose.yml", "common.yml", "env.app.txt"]);
    let registry = public.project.name.clone();
    for (lab, name) in [
        ("cutover-lab/demo:1", "library:1"),
        ("cutover-lab/demo:2", "library:2"),
        ("cutover-lab/postgres:15", "postgres:16"),
        ("cutover-lab/redis:7", "redis:7-alpine"),
    ] {
        public.tag(lab, &format!("{registry}/{name}"));
    }
    for image in ["postgres:${POSTGRES_VERSION:-16}", "redis:7-alpine"] {
        public.project.edit("docker-compose.yml", &format!("image: {image}"), &format!("image: {registry}/{image}"));
    }
    let from = public.project.path("secrets/database_password.txt");
    std::fs::rename(from, public.project.path("secrets/db_password.txt")).unwrap();
    let port = free_port();
    let release = |public: &Public, tag: u8| {
        public.environment(&format!("REGISTRY={registry}\nTAG={tag}\nWEB_PORT={port}\n"));
    };
    release(&public, 1);
    let guessed = public.begin();
    holds(
        &guessed,
        &[
            &format!("\nurl = \"http://127.0.0.1:{port}/health/ready\"\n"),
            "\n[backup]\n",
            "\nservice = \"db\"\n",
            "\n# profiles = [\"debug\", \"schedule\"]\n",
            "\n# Seen: .env.app shows secrets to every user of the host: chmod 600 .env.app.\n",
            "the service migrate migrates when it starts",
        ],
    );
    public.project.expect(0, &["deploy", "--yes"]);
    assert_eq!(public.release(port), "1");
    release(&public, 2);
    public.project.expect(0, &["deploy", "--yes"]);
    assert_eq!(public.release(port), "2");
    public.project.expect(0, &["rollback", "--yes"]);
    assert_eq!(public.release(port), "1");
}

#[test]
fn a_project_without_health_checks_with_nginx_and_the_hosts_network_goes_to_a_second_release_and_back() {
    let mut public = Public::new("chat", &["docker-compose.yml"]);
    let name = public.project.name.clone();
    for (lab, tag) in [
        ("cutover-lab/demo:1", "chat-api:1"),
        ("cutover-lab/demo:2", "chat-api:2"),
        ("cutover-lab/caddy:2", "nginx:1.27-alpine"),
    ] {
        public.tag(lab, &format!("{name}/{tag}"));
    }
    for image in ["chat-api:", "nginx:"] {
        public.project.edit("docker-compose.yml", &format!("image: {image}"), &format!("image: {name}/{image}"));
    }
    // The lab has no nginx: what stands in for it reads the same file in its own words.
    let stand_in =
        "restart: always\n    command: [caddy, run, --adapter, caddyfile, --config, /etc/nginx/nginx.conf]\n    ports:";
    public.project.edit("docker-compose.yml", "restart: always\n    ports:", stand_in);
    public.project.write("nginx.conf", "{\n\tadmin off\n\tauto_https off\n}\n:80 {\n\treverse_proxy api:3000\n}\n");
    let (http, presence) = (free_port(), free_port());
    let release = |public: &Public, tag: u8| {
        public.environment(&format!("NAME={name}\nTAG={tag}\nHTTP_PORT={http}\nPRESENCE_PORT={presence}\n"));
    };
    release(&public, 1);
    let guessed = public.begin();
    holds(&guessed, &[&format!("\n# url = \"http://127.0.0.1:{http}/\"\n")]);
    public.project.expect(0, &["deploy", "--yes"]);
    assert_eq!([public.release(http), public.release(presence)], ["1", "1"]);
    release(&public, 2);
    public.project.expect(0, &["deploy", "--yes"]);
    assert_eq!([public.release(http), public.release(presence)], ["2", "2"]);
    public.project.expect(0, &["rollback", "--yes"]);
    assert_eq!([public.release(http), public.release(presence)], ["1", "1"]);
}
