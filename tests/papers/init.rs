//! `init` on projects that were written for nobody's tool: each is read by compose, guessed at, and passes `config check`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::support::cluster;
use super::support::ports::free_port;
use super::support::project::Project;

/// A copy of a project in a directory of its own. Files that begin with a point are kept without it.
struct Copy {
    directory: tempfile::TempDir,
}

impl Copy {
    fn of(name: &str) -> Self {
        let copy = Self { directory: tempfile::tempdir().unwrap() };
        copy_all(&projects().join(name), &copy.path(name));
        let to = copy.path("project");
        std::fs::rename(copy.path(name), to).unwrap();
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn project(&self, name: &str) -> PathBuf {
        self.path("project").join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cutover"));
        command.args(arguments).current_dir(self.path("project")).env_remove("COMPOSE_FILE");
        command
    }

    fn cutover(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it, wants it to end well, and gives what it wrote.
    #[track_caller]
    fn init(&self, arguments: &[&str]) -> String {
        let output = self.cutover(&[&["init"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let file = std::fs::read_to_string(self.project("cutover.toml")).unwrap();
        let checked = self.cutover(&["config", "check"]);
        assert!(checked.status.success(), "{}\n{file}", String::from_utf8_lossy(&checked.stderr));
        let book = self.cutover(&["runbook", "check", "runbook.toml"]);
        assert!(book.status.success(), "{}", String::from_utf8_lossy(&book.stderr));
        file
    }
}

pub(super) fn projects() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/papers/projects")
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            copy_all(&path, &to.join(name));
            continue;
        }
        let hidden = name.strip_suffix(".txt").filter(|name| name.starts_with("env")).map(|name| format!(".{name}"));
        std::fs::copy(&path, to.join(hidden.as_deref().unwrap_or(name))).unwrap();
    }
}

#[track_caller]
pub(super) fn holds(file: &str, parts: &[&str]) {
    for part in parts {
        assert!(file.contains(part), "{part:?} is not in\n{file}");
    }
}

#[test]
fn wordpress_with_mariadb() {
    let file = Copy::of("wordpress").init(&["--name", "blog"]);
    holds(
        &file,
        &[
            "\nname = \"blog\"\n",
            "\n# compose takes docker-compose.yml by itself\nfiles = [\"docker-compose.yml\"]\n",
            "\n# [[health]]\n# name = \"wordpress\"\n",
            "\n# url = \"http://127.0.0.1:8000/\"\n",
            "\n# db is MariaDB. A deploy backs up PostgreSQL only",
            "\n# volumes = [\"db_data\"]\n",
        ],
    );
}

#[test]
fn node_with_postgres_and_redis() {
    let copy = Copy::of("node");
    let file = copy.init(&["--source-env", "OLD_DB_URL", "--target-file", "secrets/new_db_url.txt"]);
    holds(
        &file,
        &[
            "\n# the service api has NODE_ENV set to it\nenvironment = \"production\"\n",
            "\nenv_files = [\".env\"]\n",
            "\nbuild = [\"api\"]\n",
            "\nservices = [\"api\", \"worker\"]\n",
            "\n# package.json in project has the script \"db:migrate\"\nservice = \"api\"\n",
            "\ncommand = [\"pnpm\", \"db:migrate\"]\n",
            "\nurl = \"http://127.0.0.1:3000/healthz\"\n",
            "\nvariables = [\"DB_PASSWORD\"]\n",
            "\n[backup]\n",
            "\nservice = \"db\"\n",
            "\nurl_env = \"OLD_DB_URL\"\n",
            "\nurl_file = \"secrets/new_db_url.txt\"\n",
        ],
    );
    assert!(!file.contains("7Wm3bqzT0x"), "a value of .env got out");
    holds(&file, &["\n# Seen: .env shows secrets to every user of the host: chmod 600 .env.\n"]);
    let book = std::fs::read_to_string(copy.project("runbook.toml")).unwrap();
    holds(
        &book,
        &["\nstep = \"freeze\"\n", "\ngate = \"verify\"\n", "\ngate = \"health\"\n", "\ncheckpoint = \"exported\"\n"],
    );
}

#[test]
fn django_with_celery_and_nginx() {
    let file = Copy::of("django").init(&[]);
    holds(
        &file,
        &[
            "\n# .env.prod is named for it\nenvironment = \"production\"\n",
            "\nbuild = [\"celery\", \"celery-beat\", \"nginx\", \"web\"]\n",
            "\n# manage.py is there in app, which the image of web is built from\nservice = \"web\"\n",
            "\ncommand = [\"python\", \"manage.py\", \"migrate\", \"--noinput\"]\n",
            "\n# url = \"http://127.0.0.1:1337/\"\n",
            "\nservice = \"db\"\n",
        ],
    );
    assert!(!file.contains("env_files"), "the env files of services tell compose nothing:\n{file}");
}

#[test]
fn a_site_behind_caddy() {
    let file = Copy::of("site").init(&[]);
    holds(&file, &["\n[caddy]\n", "\nurl = \"http://127.0.0.1\"\n", "\nservice = \"caddy\"\n"]);
    holds(&file, &["\n# directory = \"/run/cutover/", "\n# for releases beside one another"]);
}

#[test]
fn prometheus_and_grafana() {
    let copy = Copy::of("monitoring");
    std::fs::create_dir(copy.project("secrets")).unwrap();
    std::fs::write(copy.project("secrets/grafana_admin.txt"), "kT81-vv0a-password\n").unwrap();
    let mode =
        |mode| std::fs::set_permissions(copy.project("secrets/grafana_admin.txt"), PermissionsExt::from_mode(mode));
    mode(0o644).unwrap();
    let open = copy.init(&[]);
    holds(
        &open,
        &["# grafana_admin.txt belongs here too, but it is not closed yet: it is open to others (mode 0644);\n\
             # chmod 600 secrets/grafana_admin.txt."],
    );
    std::fs::remove_file(copy.project("cutover.toml")).unwrap();
    std::fs::remove_file(copy.project("runbook.toml")).unwrap();
    mode(0o600).unwrap();
    let file = copy.init(&[]);
    holds(
        &file,
        &[
            "\nurl = \"http://127.0.0.1:3000/api/health\"\n",
            "\nurl = \"http://127.0.0.1:9090/-/ready\"\n",
            "\nurl = \"http://127.0.0.1:9093/-/ready\"\n",
            "\nrequired = [\"grafana_admin.txt\"]\n",
            "\n# [prometheus]\n",
        ],
    );
    assert!(!file.contains("kT81"), "a secret got out");
}

#[test]
fn several_files_profiles_extends_variables_and_an_init_container() {
    let copy = Copy::of("layers");
    let output = copy.cutover(&["init", "--output", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |table: &str, key: &str| {
        let guesses = told["guesses"].as_array().unwrap();
        guesses.iter().find(|guess| guess["table"] == table && guess["key"] == key).unwrap().clone()
    };
    assert_eq!(of("project", "name")["value"], "\"ledger\"");
    assert_eq!(of("compose", "files")["value"], "[\"docker-compose.yml\", \"docker-compose.prod.yml\"]");
    assert!(of("compose", "files")["why"].as_str().unwrap().contains("docker-compose.override.yml is left out"));
    assert_eq!(of("compose", "profiles")["value"], "[\"debug\", \"mail\"]");
    assert_eq!(of("compose", "profiles")["sure"], false);
    assert_eq!(of("deploy", "start_deadline")["value"], "\"6m\"");
    assert_eq!(of("health", "url")["value"], "\"http://127.0.0.1:8088/up\"");
    assert_eq!(of("secrets", "variables")["value"], "[\"LICENCE_KEY\"]");
    assert_eq!(of("backup", "service")["value"], "\"postgres\"");
    let every_guess_has_a_reason =
        |guess: &Value| guess["why"] != "" || guess["key"] == "name" || guess["sure"] == false;
    assert!(told["guesses"].as_array().unwrap().iter().all(every_guess_has_a_reason), "{told:#}");
    let remarks = told["remarks"].to_string();
    for part in ["the one of .env.example stood in", "REGION is not set anywhere", "init ends by itself"] {
        assert!(remarks.contains(part), "{remarks}");
    }
    assert!(copy.cutover(&["config", "check"]).status.success());
}

#[test]
fn nothing_is_overwritten_and_a_dry_run_writes_nothing() {
    let copy = Copy::of("site");
    let shown = copy.cutover(&["init", "--dry-run"]);
    assert!(shown.status.success() && !copy.project("cutover.toml").exists());
    let file = copy.init(&[]);
    let book = std::fs::read_to_string(copy.project("runbook.toml")).unwrap();
    holds(&String::from_utf8_lossy(&shown.stdout), &[&file, &book]);
    assert!(!book.contains("freeze"), "no databases were named:\n{book}");
    std::fs::remove_file(copy.project("cutover.toml")).unwrap();
    let refused = copy.cutover(&["init"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("runbook.toml is there already"));
    assert!(!copy.project("cutover.toml").exists(), "one is not written without the other");
    std::fs::write(copy.project("cutover.toml"), "mine\n").unwrap();
    let refused = copy.cutover(&["init"]);
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("cutover.toml is there already"), "{words}");
    assert_eq!(std::fs::read_to_string(copy.project("cutover.toml")).unwrap(), "mine\n");
}

#[test]
fn what_cannot_be_looked_at_is_refused_with_what_to_do() {
    let refused = |copy: &Copy, arguments: &[&str]| {
        let output = copy.cutover(&[&["init"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!copy.project("cutover.toml").exists());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let copy = Copy::of("site");
    let words = refused(&copy, &["--source-env", "postgres://u:hunter2@h/d"]);
    assert!(words.contains("not the connection string itself") && !words.contains("hunter2"), "{words}");
    std::fs::rename(copy.project("compose.yaml"), copy.project("stack.yaml")).unwrap();
    assert!(refused(&copy, &[]).contains("there is no compose file in"));
    std::fs::write(copy.project("compose.yaml"), "services:\n  web:\n    imagee: x\n").unwrap();
    assert!(refused(&copy, &[]).contains("imagee"));
    let copy = Copy::of("node");
    std::fs::rename(copy.project(".env"), copy.project(".env.example")).unwrap();
    assert!(refused(&copy, &[]).contains("a start may be `cp .env.example .env`"));
}

/// The lab stands in for the registries: images by the names that the lab gives them.
fn shop(label: &str) -> Project {
    let project = Project::new(label);
    std::fs::remove_file(project.path("cutover.toml")).unwrap();
    std::fs::remove_file(project.path("compose.yaml")).unwrap();
    let text = std::fs::read_to_string(projects().join("shop/docker-compose.yml")).unwrap();
    let lab = [
        ("caddy:2", "cutover-lab/caddy:2"),
        ("postgres:16", "cutover-lab/postgres:15"),
        ("shop/app", "cutover-lab/demo"),
    ];
    let text =
        lab.iter().fold(text, |text, (from, to)| text.replace(&format!("image: {from}"), &format!("image: {to}")));
    project.write("docker-compose.yml", &text);
    std::fs::rename(project.path("secrets/database_password.txt"), project.path("secrets/db_password.txt")).unwrap();
    std::fs::remove_file(project.path("release.env")).unwrap();
    project
}

#[test]
fn a_project_goes_from_init_to_a_deploy_and_back_with_few_edits() {
    let mut project = shop("init");
    let ports = (free_port(), free_port());
    let variables = |project: &Project, tag: &str| {
        project.write(".env", &format!("TAG={tag}\nHTTP_PORT={}\nAPP_PORT={}\n", ports.0, ports.1));
        std::fs::set_permissions(project.path(".env"), PermissionsExt::from_mode(0o600)).unwrap();
    };
    variables(&project, "1");
    project.expect(0, &["init", "--name", &project.name, "--environment", "test"]);
    let guessed = std::fs::read_to_string(project.path("cutover.toml")).unwrap();
    holds(
        &guessed,
        &[&format!("url = \"http://127.0.0.1:{}/health/ready\"", ports.1), "\n[caddy]\n", "\nservice = \"postgres\"\n"],
    );

    // What only this host wants: a state directory, a small disk, and shorter waits than a person's.
    let edits = "[state]\ndirectory = \"state\"\n[preflight]\nmin_disk = \"10MiB\"\nmin_memory = \"10MiB\"\n\
                 [deploy]\nstable_for = \"500ms\"\nobserve = \"500ms\"\n";
    assert!(edits.lines().count() <= 10 && !guessed.contains("[deploy]") && !guessed.contains("[state]"), "{guessed}");
    project.write("cutover.toml", &format!("{guessed}\n{edits}"));
    project.expect(0, &["config", "check"]);
    let plan = project.expect(0, &["run", "runbook.toml", "--dry-run"]);
    holds(&plan, &["env-ready", "cutover-complete"]);

    project.expect(0, &["deploy", "--yes"]);
    project.port = ports.0;
    let release = || {
        let page = project.get("/").unwrap_or_default().to_lowercase();
        page.lines().find_map(|line| line.strip_prefix("x-demo-release: ").map(str::to_owned))
    };
    let first = release();
    assert_eq!(first.as_deref(), Some("1"), "the proxy leads to the application");
    variables(&project, "2");
    project.expect(0, &["deploy", "--yes"]);
    assert_ne!(release(), first, "another release serves");
    project.expect(0, &["rollback", "--yes"]);
    assert_eq!(release(), first, "the first release serves again, through the proxy");
}

/// What a rehearsal of a project that `init` looked at needs beside the files that are written: databases to work on.
#[test]
fn from_a_configuration_that_init_wrote_a_copy_is_written_that_a_rehearsal_accepts() {
    let cluster = cluster::shared();
    let project = shop("copy");
    project.write(".env", &format!("TAG=1\nHTTP_PORT={}\nAPP_PORT={}\n", free_port(), free_port()));
    std::fs::set_permissions(project.path(".env"), PermissionsExt::from_mode(0o600)).unwrap();
    let databases = ["OLD", "NEW", "REHEARSAL_OLD", "REHEARSAL_NEW"].map(|name| {
        let database = cluster.database(&format!("copy_{}", name.to_lowercase()));
        (name, cluster.url(&database))
    });
    let expect = |code: i32, arguments: &[&str]| {
        let output = project.command(arguments).envs(databases.clone()).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(code), "cutover {}:\n{said}", arguments.join(" "));
        said
    };
    let named = ["--source-env", "OLD", "--target-env", "NEW", "--environment", "production"];
    expect(0, &[&["init", "--name", &project.name], &named[..]].concat());
    project.write("cutover.toml", &(read(&project, "cutover.toml") + "[state]\ndirectory = \"state\"\n"));
    let dry = ["rehearse", "runbook.toml", "--dry-run"];
    holds(&expect(2, &dry), &["rehearsal.toml, which [rehearsal] config names, is not there", "--write-configuration"]);
    let writes = ["rehearse", "runbook.toml", "--write-configuration"];
    expect(0, &[&writes[..], &["--dry-run"]].concat());
    assert!(!project.path("rehearsal.toml").exists(), "a dry run writes nothing");

    let said = expect(0, &writes);
    holds(
        &said,
        &["source.url_env: REHEARSAL_OLD", "target.url_env: REHEARSAL_NEW", "rehearse runbook.toml --dry-run"],
    );
    assert!(!said.contains("FILL IN"), "{said}");
    let (copy, over) = (read(&project, "rehearsal.toml"), read(&project, "rehearsal.compose.yaml"));
    holds(&expect(2, &writes), &["rehearsal.toml is there already, and nothing is overwritten"]);
    assert_eq!((copy, over), (read(&project, "rehearsal.toml"), read(&project, "rehearsal.compose.yaml")));
    expect(0, &["--config", "rehearsal.toml", "config", "check"]);
    let shown = expect(0, &dry);
    holds(&shown, &["source.url_env: \"REHEARSAL_OLD\" instead of \"OLD\"", "compose.proxy.ports: ", "4 services"]);

    // A database of the copy that cannot be had, or is production's, is told apart from nothing.
    let refused = |name: &str, value: Option<&str>| {
        let mut command = project.command(&dry);
        command.envs(databases.clone());
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    holds(
        &refused("REHEARSAL_NEW", None),
        &["is not apart from production", "the copy's database is not known", "REHEARSAL_NEW"],
    );
    holds(&refused("REHEARSAL_NEW", Some(&databases[1].1)), &["is production's"]);
    // A service of the copy that would write to production's database all the same.
    let led = read(&project, "docker-compose.yml").replace("postgres://shop@postgres:5432/shop", &databases[1].1);
    project.write("docker-compose.yml", &led);
    holds(&expect(2, &dry), &["DATABASE_URL of the service app leads to production's"]);
}

#[test]
fn the_directory_that_caddy_reads_is_found_by_its_mount_or_by_its_files_and_a_copy_gets_one_of_its_own() {
    for (mount, files, why) in [
        ("./switch:/run/cutover:ro", &[][..], "it is mounted where the snippet reads"),
        ("./switch:/srv/cutover:ro", &["app", "id"], "it is mounted into Caddy, and holds `app` and `id`"),
    ] {
        let copy = Copy::of("site");
        let compose = std::fs::read_dir(copy.path("project")).unwrap().flatten().map(|entry| entry.path());
        let compose =
            compose.into_iter().find(|path| path.extension().is_some_and(|end| end.to_string_lossy().starts_with('y')));
        let compose = compose.unwrap();
        let text = std::fs::read_to_string(&compose).unwrap();
        std::fs::write(
            &compose,
            text.replace("      - caddy_data:/data\n", &format!("      - {mount}\n      - caddy_data:/data\n")),
        )
        .unwrap();
        std::fs::create_dir(copy.project("switch")).unwrap();
        files.iter().for_each(|name| std::fs::write(copy.project(&format!("switch/{name}")), "web\n").unwrap());
        let place = copy.project("switch").canonicalize().unwrap().display().to_string();
        let file = copy.init(&["--environment", "production"]);
        holds(&file, &[&format!("\n# {why}\ndirectory = \"{place}\"\n")]);

        let state = "[state]\ndirectory = \"state\"\n[deploy]\nservices = [\"caddy\"]\n";
        std::fs::write(copy.project("cutover.toml"), file.split("[state]").next().unwrap().to_owned() + state).unwrap();
        let writes = ["rehearse", "runbook.toml", "--write-configuration"];
        assert!(copy.cutover(&[&writes[..], &["--dry-run"]].concat()).status.success());
        let theirs = copy.project("switch-rehearsal");
        assert!(!theirs.exists(), "a dry run makes nothing");
        let output = copy.cutover(&writes);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        holds(
            &String::from_utf8_lossy(&output.stdout),
            &["What the copy's Caddy reads:", "switch-rehearsal is there: app leads to caddy"],
        );
        assert_eq!(std::fs::read_to_string(theirs.join("app")).unwrap(), "caddy\n");
    }
}

#[test]
fn what_only_a_person_knows_of_a_copy_is_marked_and_refused_by_config_check_until_it_is_said() {
    let copy = Copy::of("site");
    let dns =
        "[dns]\n[[dns.record]]\nname = \"shop.example.com\"\nA = [\"192.0.2.1\"]\n[state]\ndirectory = \"state\"\n";
    let file = copy.init(&["--environment", "production"]);
    let file = file.split("[state]").next().unwrap().to_owned() + dns;
    std::fs::write(copy.project("cutover.toml"), file).unwrap();
    let run = |code: i32, arguments: &[&str]| {
        let output = copy.cutover(arguments);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(code), "cutover {}:\n{said}", arguments.join(" "));
        said
    };
    let told = run(0, &["rehearse", "runbook.toml", "--write-configuration"]);
    holds(
        &told,
        &["Left to you, marked FILL IN:", "dns.record[0].name: a name of the copy's own", "dns.record[0].A: "],
    );
    let check = ["--config", "rehearsal.toml", "config", "check"];
    let refused = run(2, &check);
    holds(&refused, &["dns.record[0].name: found a value that was left to you; allowed: a name of the copy's own"]);
    let written = std::fs::read_to_string(copy.project("rehearsal.toml")).unwrap();
    let lines = written.lines().map(|line| match line {
        line if line.starts_with("name = \"FILL IN") => "name = \"rehearsal.shop.example.com\"",
        line if line.starts_with("A = \"FILL IN") => "A = [\"192.0.2.2\"]",
        line => line,
    });
    let whole: String = lines.map(|line| format!("{line}\n")).collect();
    std::fs::write(copy.project("rehearsal.toml"), whole).unwrap();
    run(0, &check);
    holds(&run(0, &["rehearse", "runbook.toml", "--dry-run"]), &["dns.record[0].name: "]);
}

fn read(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.path(name)).unwrap()
}

#[test]
fn databases_that_are_named_are_looked_at_and_nothing_of_them_is_changed() {
    let cluster = cluster::shared();
    let (old, new) = (cluster.database("init_old"), cluster.database("init_new"));
    cluster.sql(
        &old,
        "CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY);
         CREATE TABLE profiles (id int PRIMARY KEY, user_id uuid REFERENCES auth.users);
         INSERT INTO profiles SELECT generate_series(1, 40); ANALYZE profiles",
    );
    let copy = Copy::of("site");
    let url = |database: &str| cluster.url(database);
    let init = |new: &str| {
        let mut command = copy.command(&["init", "--source-env", "OLD_DB_URL", "--target-env", "NEW_DB_URL"]);
        command.args(["--runbook", "night.toml"]).env("OLD_DB_URL", url(&old)).env("NEW_DB_URL", new);
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{said}");
        let file = std::fs::read_to_string(copy.project("cutover.toml")).unwrap();
        std::fs::remove_file(copy.project("cutover.toml")).unwrap();
        std::fs::remove_file(copy.project("night.toml")).unwrap();
        (file.replace("\n# ", " "), said)
    };
    let (file, said) = init(&url(&new));
    holds(
        &file,
        &["1 table with about 40 rows", "no table of the schema public", "Looked at when this was written: PostgreSQL"],
    );
    holds(&said, &["source: profiles.user_id leads to auth.users: [users] moves those accounts"]);
    let (file, said) = init("postgres://nobody@127.0.0.1:1/nothing");
    holds(&file, &["1 table with about 40 rows"]);
    holds(&said, &["target: connection: "]);
}
