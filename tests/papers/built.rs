//! A project whose images are built here, from `init` to a deployed and rolled-back release: compose marks such images as its
//! own, and one of them is run by a service that has no `build`.

use std::os::unix::fs::PermissionsExt;

use super::init::{holds, projects};
use super::support::ports::free_port;
use super::support::project::{Project, docker};

struct Press {
    project: Project,
    ports: [u16; 2],
}

impl Press {
    fn new() -> Self {
        let project = Project::new("press");
        let from = projects().join("press");
        for name in ["cutover.toml", "compose.yaml", "release.env"] {
            std::fs::remove_file(project.path(name)).unwrap();
        }
        std::fs::remove_dir_all(project.path("secrets")).unwrap();
        std::fs::create_dir(project.path("pages")).unwrap();
        for name in ["docker-compose.yml", "Dockerfile", "pages/index.html"] {
            std::fs::copy(from.join(name), project.path(name)).unwrap();
        }
        let press = Self { ports: [free_port(), free_port()], project };
        let [web, api] = press.ports;
        let name = &press.project.name;
        press
            .project
            .write(".env", &format!("WEB_PORT={web}\nAPI_PORT={api}\nAPI_IMAGE={name}-api\nGREETING=example\n"));
        std::fs::set_permissions(press.project.path(".env"), PermissionsExt::from_mode(0o644)).unwrap();
        press
    }

    /// The release that each service answers with; the one without a port by its image.
    fn releases(&mut self) -> Vec<String> {
        let of = |page: &str| page.lines().find_map(|line| line.strip_prefix("x-demo-release: ").map(str::to_owned));
        let mut found = Vec::new();
        for port in self.ports {
            self.project.port = port;
            found.push(of(&self.project.get("/health").unwrap_or_default().to_lowercase()).unwrap_or_default());
        }
        let agent = self.project.container("agent");
        let environment = self.project.docker(&["inspect", "--format", "{{json .Config.Env}}", &agent]);
        found.push(environment.split("DEMO_RELEASE=").nth(1).and_then(|rest| rest.get(..1)).unwrap_or_default().into());
        found
    }
}

impl Drop for Press {
    fn drop(&mut self) {
        let name = &self.project.name;
        let images = docker(&[
            "image",
            "ls",
            "--format",
            "{{.Repository}}:{{.Tag}}",
            "--filter",
            &format!("reference={name}-*"),
        ]);
        images.lines().for_each(|image| drop(docker(&["image", "rm", "--force", image])));
    }
}

#[test]
fn what_is_built_here_goes_from_init_to_a_second_release_and_back() {
    let mut press = Press::new();
    let name = press.project.name.clone();
    press.project.expect(0, &["init", "--name", &name]);
    let guessed = std::fs::read_to_string(press.project.path("cutover.toml")).unwrap();
    holds(&guessed, &["\nbuild = [\"api\", \"web\"]\n", "\n# Seen: web: ./pages is mounted over /pages for writing"]);
    assert!(!guessed.contains("[secrets]"), "a greeting is no secret, and PWD is nobody's to set:\n{guessed}");

    let edits = "[state]\ndirectory = \"state\"\n[preflight]\nmin_disk = \"10MiB\"\nmin_memory = \"10MiB\"\n\
                 [deploy]\nstable_for = \"500ms\"\nobserve = \"500ms\"\n";
    assert!(edits.lines().count() <= 10 && !guessed.contains("[deploy]") && !guessed.contains("[state]"), "{guessed}");
    press.project.write("cutover.toml", &format!("{guessed}\n{edits}"));

    press.project.expect(0, &["deploy", "--yes"]);
    assert_eq!(press.releases(), ["1", "1", "1"]);
    let agent = press.project.container("agent");
    let mounts = press.project.docker(&["inspect", "--format", "{{range .Mounts}}{{.Source}}{{end}}", &agent]);
    let directory = press.project.path("pages").canonicalize().unwrap();
    assert_eq!(mounts.trim(), directory.display().to_string(), "$PWD is the project's directory, wherever one stands");

    press.project.edit("Dockerfile", "DEMO_RELEASE=1", "DEMO_RELEASE=2");
    let config = press.project.path("cutover.toml").display().to_string();
    let elsewhere = |arguments: &[&str]| {
        let arguments = [&["--config", &config], arguments].concat();
        let output = press.project.command(&arguments).current_dir("/").env("PWD", "/").output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{said}");
        said
    };
    holds(&elsewhere(&["plan", "deploy"]), &["is built anew", &format!("build {name}-api:dev, {name}-web  ")]);
    elsewhere(&["deploy", "--yes"]);
    assert_eq!(press.releases(), ["2", "2", "2"]);
    assert_eq!(press.project.containers().len(), 3, "what holds images is no container of the project");
    let ps = press.project.docker(&["compose", "--project-name", &name, "ps", "--all", "--format", "{{.Name}}"]);
    assert_eq!(ps.lines().count(), 3, "nor does compose take it for one:\n{ps}");

    press.project.expect(0, &["rollback", "--yes"]);
    assert_eq!(press.releases(), ["1", "1", "1"]);
}
