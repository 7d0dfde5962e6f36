//! What stands around a switch: several routes at once, a schema that is migrated after it, a disk without room, an engine that
//! is restarted.

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::stage::{Stage, ask};
use crate::support::engine::Engine;
use crate::support::live::{says, until};

const TWO_ROUTES: &str = "{\n\tadmin off\n\tauto_https off\n}\nimport cutover.caddy\n:80 {\n\timport cutover_identity\n\t\
                          handle_path /api/* {\n\t\timport cutover_route api 3000\n\t}\n\thandle {\n\t\t\
                          import cutover_route app 3000\n\t}\n}\n";

/// The release that answers on a route.
fn release_at(port: u16, path: &str) -> String {
    let (status, body) = ask(port, path, None).expect("an answer");
    assert_eq!(status, 200, "{path}: {body}");
    let page: serde_json::Value = serde_json::from_str(&body).unwrap();
    page["release"].as_str().unwrap().to_owned()
}

#[test]
fn two_routes_switch_together_so_that_nobody_meets_a_mix() {
    let stage = Stage::new("routes");
    let project = &stage.project;
    project.write("Caddyfile", TWO_ROUTES);
    project.add_service(
        "api",
        "image: cutover-lab/demo:${TAG}\ncommand: [\"demo-backend\", \"serve\"]\nstop_grace_period: 2s\n\
         secrets: [database_password]\nenvironment:\n  DATABASE_URL: postgres://demo@db:5432/demo\n  \
         DATABASE_PASSWORD_FILE: /run/secrets/database_password",
    );
    project.edit("cutover.toml", "services = [\"backend\"]", "services = [\"backend\", \"api\"]");
    project.edit(
        "cutover.toml",
        "directory = \"run\"",
        "directory = \"run\"\nroutes = { app = \"backend\", api = \"api\" }",
    );
    project.deploy("1");

    // One question after the other: whoever met the new release on one route never meets the old one on the other.
    let (is_over, port, seen) = (AtomicBool::new(false), stage.http, Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let walk = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let both = ["/health", "/api/health"].map(|path| release_at(port, path));
                seen.lock().unwrap().extend(both);
            }
        });
        // Whoever walks may be slow: each side is left only after he was there.
        let meets = |release: &str| {
            until(&format!("the answer of {release}"), || {
                walk.is_finished() || seen.lock().unwrap().last().is_some_and(|last| last == release)
            });
        };
        let changed = catch_unwind(AssertUnwindSafe(|| {
            meets("1");
            project.set("TAG", "2");
            project.start(&["deploy", "--yes"]).expect(0);
            meets("2");
            project.expect(0, &["rollback", "--yes"]);
            meets("1");
        }));
        is_over.store(true, Ordering::Relaxed);
        walk.join().unwrap();
        changed.unwrap_or_else(|panic| resume_unwind(panic));
    });
    let seen = seen.into_inner().unwrap();
    let mut turns = seen.clone();
    turns.dedup();
    assert_eq!(turns, ["1", "2", "1"], "of {} answers", seen.len());
}

#[test]
fn a_schema_that_is_migrated_after_the_switch_is_migrated_after_it() {
    let stage = Stage::new("after");
    let project = &stage.project;
    project.deploy("1");
    project.edit("cutover.toml", "\"migrate\"] }", "\"migrate\"], when = \"after\" }");
    project.set("TAG", "2");
    says(&project.expect(0, &["plan", "deploy"]), &["the new release serves on the old schema until then"]);
    project.deploy("2");
    let at = |kind: &str, name: &str| {
        let lines = project.journal(2);
        lines.iter().position(|line| line["kind"] == kind && line["name"] == name).unwrap_or_else(|| panic!("{name}"))
    };
    assert!(at("done", "switch_upstream") < at("started", "migrate_schema"));
    assert!(at("done", "expect_drained") < at("started", "migrate_schema"), "the old release is not asked any more");
    assert!(at("done", "migrate_schema") < at("done", "record_release"));
    assert_eq!(stage.release(), "2");

    // The release before meets the new schema after a rollback, and lives with it.
    says(&project.expect(0, &["rollback", "--yes"]), &["r1 serves", "no row is lost"]);
    assert_eq!(stage.release(), "1");
}

/// The example of docs/migrations.md: release 2 added the column with a default, so that release 1 could go on writing; once
/// nobody goes back beyond release 2, the default is taken away.
#[test]
fn a_schema_is_expanded_before_a_switch_and_contracted_after_a_later_one() {
    let stage = Stage::new("contract");
    let project = &stage.project;
    project.deploy("1");
    let visitors = stage.visitors();
    until("people to be served", || visitors.asked() > 50);
    project.deploy("2");
    let default = "SELECT count(column_default) FROM information_schema.columns WHERE column_name = 'note'";
    assert_eq!(project.sql(default).trim(), "1");
    project.edit(
        "cutover.toml",
        "migrate = { service = \"backend\", command = [\"demo-backend\", \"migrate\"] }",
        "migrate = { service = \"db\", when = \"after\", command = [\"sh\", \"-c\", \"\"\"
         PGPASSWORD=$(cat /run/secrets/database_password) psql -h db -U demo -d demo -c 'ALTER TABLE items ALTER COLUMN note \
         DROP DEFAULT'\"\"\"] }",
    );
    project.deploy("2");
    assert_eq!(project.sql(default).trim(), "0");
    says(&project.expect(0, &["rollback", "--yes"]), &["r2 serves"]);
    assert_eq!((stage.release().as_str(), project.sql(default).trim()), ("2", "0"));
    visitors.all_were_served();
}

/// A disk of its own at a directory, until it is dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn at(path: std::path::PathBuf) -> Self {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=128k", "small"]).arg(&path).status();
        assert!(mount.unwrap().success(), "run the tests as root");
        Self(path)
    }

    fn fill(&self) {
        let mut filler = File::create(self.0.join("filler")).unwrap();
        for size in [65536, 4096, 512, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[test]
fn a_switch_without_room_on_the_disk_leaves_everybody_where_they_are() {
    let stage = Stage::new("full");
    let project = &stage.project;
    let disk = SmallDisk::at(project.path("run"));
    project.deploy("1");
    let visitors = stage.visitors();
    until("people to be served", || visitors.asked() > 50);
    disk.fill();
    project.set("TAG", "2");
    says(&project.expect(7, &["deploy", "--yes"]), &["FAILED AND ROLLED BACK", "switch_upstream", "No space left"]);
    assert_eq!((stage.release().as_str(), stage.sides()), ("1", vec!["r1".to_owned()]));
    std::fs::remove_file(project.path("run/filler")).unwrap();
    project.deploy("2");
    assert_eq!(stage.release(), "2");
    visitors.all_were_served();
}

#[test]
fn a_warm_side_that_comes_back_with_its_engine_gets_no_request_and_is_still_the_way_back() {
    let images = ["cutover-lab/demo:1", "cutover-lab/demo:2", "cutover-lab/caddy:2", "cutover-lab/postgres:15"];
    let mut engine = Engine::start(&images);
    let stage = Stage::on("reboot", engine.reach());
    let project = &stage.project;
    project.edit(
        "compose.yaml",
        "    stop_grace_period: 5s\n",
        "    stop_grace_period: 5s\n    restart: unless-stopped\n",
    );
    project.deploy("1");
    project.deploy("2");
    let before = stage.containers();
    engine.down();
    engine.up();
    assert_eq!(stage.containers(), before);
    let reach = engine.reach();
    let served_by = || {
        let asks = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{}; printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3",
            stage.http
        );
        let answer = reach.command("bash").args(["-c", &asks]).output().unwrap();
        let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
        let page: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        page["release"].as_str().map(str::to_owned)
    };
    until("Caddy to be back", || served_by().is_some());
    assert_eq!(served_by().as_deref(), Some("2"), "the file names who serves, not the engine");
    stage.status_says(&["OK: r2 serves"]);
    stage.status_says(&["r1 is whole and warm"]);
    project.expect(0, &["rollback", "--yes"]);
    assert_eq!(served_by().as_deref(), Some("1"));

    // What the rollback took away does not come back with the engine.
    engine.down();
    engine.up();
    until("Caddy to be back", || served_by().is_some());
    assert_eq!((served_by().as_deref(), stage.sides()), (Some("1"), vec!["r1".to_owned()]));
}
