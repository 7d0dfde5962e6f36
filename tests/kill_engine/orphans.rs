//! What a killed run leaves at work: it is named, waited for or ended, and never done twice. Each test stops the world at
//! the one moment that it is about, and kills when the world tells that it is there.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::events::Event;
use crate::points::title;
use crate::site::Site;
use crate::support::kill::{When, kill_at, was_killed};
use crate::trial::Act;

const PATIENCE: Duration = Duration::from_secs(120);
/// The time that an old container which is deaf to SIGTERM gets.
const GRACE: Duration = Duration::from_secs(12);

/// A site at release 1.
fn at_first(label: &str) -> Site {
    let mut site = Site::new(label);
    crate::learn(&mut site, Act::First);
    site.write_row();
    site
}

fn start(site: &Site, arguments: &[&str]) -> Child {
    site.project.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn kill(mut run: Child) {
    run.kill().unwrap();
    run.wait().unwrap();
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn deploy_refuses_naming(site: &Site, orphan: &str) {
    let said = site.project.expect(5, &["deploy", "--yes"]);
    assert!(said.contains("was killed") && said.contains(orphan), "the orphan is named: {said}");
}

fn end(site: &Site, code: i32, arguments: &[&str], at: u8) {
    let said = site.project.expect(code, arguments);
    site.judge(at).unwrap_or_else(|told| panic!("{told}\n{said}"));
}

/// Holds a lock that every dump waits for, until it is dropped.
struct Locked(Child);

impl Locked {
    fn table(site: &Site) -> Self {
        let sql = "BEGIN; LOCK TABLE items; SELECT pg_sleep(120)";
        let container = format!("{}-db-1", site.project.name);
        let holder = Command::new("docker")
            .args(["exec", "--env", "PGAPPNAME=holder", &container, "psql", "-qU", "demo", "-d", "demo", "-c", sql])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let count =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holder' AND wait_event = 'PgSleep'";
        wait_until("the table is locked", || site.project.sql(count).trim() == "1");
        Self(holder)
    }

    fn let_go(mut self, site: &Site) {
        site.project.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'");
        self.0.wait().unwrap();
    }
}

fn dumps_at_work(site: &Site) -> bool {
    let sql =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'cutover %' AND query LIKE 'LOCK TABLE%'";
    site.project.sql(sql).trim() == "1"
}

/// A run is killed while `pg_dump` waits inside the database's container.
fn killed_in_a_dump(site: &Site, arguments: &[&str]) {
    let locked = Locked::table(site);
    let run = start(site, arguments);
    wait_until("the dump is at work", || dumps_at_work(site));
    kill(run);
    assert!(dumps_at_work(site), "the dump outlives its run");
    deploy_refuses_naming(site, "pg_dump");
    locked.let_go(site);
}

#[test]
fn a_dump_that_outlives_its_deploy_is_ended_and_made_anew() {
    let site = at_first("orphan-dump");
    site.project.set("TAG", "2");
    killed_in_a_dump(&site, &["deploy", "--yes"]);
    end(&site, 0, &["resume", "--yes"], 2);
}

#[test]
fn a_rollback_of_a_deploy_that_only_dumped_ends_the_dump_and_closes_the_run() {
    let site = at_first("orphan-close");
    site.project.set("TAG", "2");
    let before = site.lives();
    killed_in_a_dump(&site, &["deploy", "--yes"]);
    end(&site, 0, &["rollback", "--yes"], 1);
    assert_eq!(site.lives(), before, "nothing was touched");
    end(&site, 0, &["deploy", "--yes"], 2);
}

/// A deploy is killed while its migration sleeps inside its transaction; gives the mark of its events.
fn killed_in_a_migration(site: &Site, sleep: &str) -> usize {
    site.unmigrate();
    site.project.set("TAG", "2");
    site.project.set("DEMO_FAULT_MIGRATE", sleep);
    let mark = site.events.mark();
    let run = start(site, &["deploy", "--yes"]);
    let is_started = |event: &Event| event.action == "start" && event.name.contains("-migrate-run-");
    assert!(site.events.wait(mark, PATIENCE, is_started), "the migration never began");
    kill(run);
    mark
}

#[test]
fn a_migration_that_outlives_its_deploy_is_waited_for_and_not_begun_twice() {
    let site = at_first("orphan-migrate");
    let mark = killed_in_a_migration(&site, "sleep:3");
    end(&site, 0, &["resume", "--yes"], 2);
    let starts = site.events.count(mark, |event| event.action == "start" && event.name.contains("-migrate-run-"));
    assert_eq!(starts, 1);
    assert_eq!(site.project.sql("SELECT count(*) FROM schema_migrations WHERE version = 2").trim(), "1");
}

#[test]
fn a_rollback_ends_a_migration_that_would_sleep_for_ever() {
    let site = at_first("orphan-sleep");
    let before = site.lives();
    killed_in_a_migration(&site, "sleep:600");
    end(&site, 0, &["rollback", "--yes"], 1);
    assert_eq!(site.lives(), before, "no service was touched");
    let ledger = site.project.sql("SELECT count(*) FROM schema_migrations WHERE version = 2");
    assert_eq!(
        ledger.trim(),
        "0",
        "its transaction was rolled back: had the export waited for its lock, it would be there"
    );
}

/// A deploy is killed while compose waits for the old backend, which is deaf to SIGTERM, to go down. Where a rollback has
/// brought the old one back before, it runs from the very model that it is brought back to again, so compose keeps it.
fn killed_while_the_old_one_is_stopping(label: &str, was_brought_back: bool) -> Site {
    let mut site = Site::new(label);
    let text = std::fs::read_to_string(site.project.path("compose.yaml")).unwrap();
    let longer = format!("stop_grace_period: {}s", GRACE.as_secs());
    site.project.write("compose.yaml", &text.replace("stop_grace_period: 2s", &longer));
    // Only release 1 is deaf: what the environment says now is frozen with it.
    site.project.set("DEMO_FAULT_IGNORE_SIGTERM", "1");
    crate::learn(&mut site, Act::First);
    site.project.unset("DEMO_FAULT_IGNORE_SIGTERM");
    site.write_row();
    if was_brought_back {
        crate::learn(&mut site, Act::Deploy);
        crate::learn(&mut site, Act::Rollback);
    }
    site.project.set("TAG", "2");
    let mark = site.events.mark();
    let run = start(&site, &["deploy", "--yes"]);
    let backend = format!("{}-backend-1", site.project.name);
    let is_asked = |event: &Event| event.action == "kill" && event.name == backend;
    assert!(site.events.wait(mark, PATIENCE, is_asked), "the old backend was never asked to stop");
    kill(run);
    site
}

#[test]
fn a_replacement_that_outlives_its_deploy_is_named_and_finished() {
    let site = killed_while_the_old_one_is_stopping("orphan-up", false);
    end(&site, 0, &["resume", "--yes"], 2);
}

#[test]
fn what_is_rolled_back_does_not_go_down_after_it_was_brought_up_again() {
    let site = killed_while_the_old_one_is_stopping("orphan-back", true);
    let begun = Instant::now();
    end(&site, 0, &["rollback", "--yes"], 1);
    // Until then the stop that the killed run had asked for can still take effect.
    std::thread::sleep((GRACE + Duration::from_secs(1)).saturating_sub(begun.elapsed()));
    site.judge(1).unwrap();
}

/// The fsyncs of the migration's step are those of `schema-before.json`, of its log and of `migrated.json`, each of the
/// file and of its directory: here the container has ended with 0 and `migrated.json` is about to be written.
const BEFORE_ITS_END_IS_WRITTEN: u32 = 5;

#[test]
fn a_migration_whose_end_was_not_written_down_is_not_done_twice_and_is_undone_by_a_rollback() {
    let mut site = at_first("orphan-undo");
    let text = std::fs::read_to_string(site.project.path("cutover.toml")).unwrap();
    let migrate = r#"command = ["demo-backend", "migrate"]"#;
    let undo = r#", on_rollback = "command", undo = ["demo-backend", "migrate"]"#;
    site.project.write("cutover.toml", &text.replace(migrate, &format!("{migrate}{undo}")));
    let (syncs, entries) = crate::learn(&mut site, Act::Deploy);
    let lines = syncs.iter().filter(|sync| sync.is_line).zip(&entries);
    let mut begun = lines.filter(|(_, entry)| title(&entry.fact) == "started migrate_schema");
    let (began, _) = begun.next().expect("a deploy migrates");
    crate::learn(&mut site, Act::Rollback);
    site.unmigrate();
    site.project.set("TAG", "2");

    let mark = site.events.mark();
    let mut deploy = site.project.command(&["deploy", "--yes"]);
    let output = kill_at(&mut deploy, began.number + BEFORE_ITS_END_IS_WRITTEN, When::Before).output().unwrap();
    assert!(was_killed(output.status));
    let named = |word: &str, event: &Event| event.action == "start" && event.name.contains(word);
    let has_ended = |event: &Event| event.action == "die" && event.name.contains("-migrate-run-");
    assert_eq!(site.events.count(mark, has_ended), 1, "the migration has ended");
    let run = site.runs().unwrap().pop().expect("the deploy was begun").number;
    let beside = site.project.state().join(format!("runs/{run:04}"));
    assert!(beside.join("migrate.log").exists() && !beside.join("migrated.json").exists(), "it dies in between");
    end(&site, 0, &["resume", "--yes"], 2);
    assert_eq!(site.events.count(mark, |event| named("-migrate-run-", event)), 1, "it is not done twice");
    end(&site, 0, &["rollback", "--yes"], 1);
    assert!(site.events.wait(mark, PATIENCE, |event| named(&format!("-undo-migrate-run-{run}"), event)), "undone");
}
