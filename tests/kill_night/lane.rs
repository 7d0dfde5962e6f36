//! One night's own world: two databases, accounts, a project that is deployed, a name; and what all of it must be in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use cutover::data::users::legacy_id;

use crate::lab::KEY;
use crate::names::{NEW, Names, OLD};
use crate::support::cluster::{self, Cluster};
use crate::support::engine::Reach;
use crate::support::legacy;
use crate::support::project::Project;
use crate::support::stack_auth::{Double, Setup};
use crate::support::written::{SCHEMA, TABLES};

/// Rows of a database as text, by table, each as often as it is there.
pub type Rows = BTreeMap<(String, String), i64>;

/// What is written to the old side until it refuses; no part of the comparison with the night before.
const LOAD: &str = "CREATE TABLE load (n bigint PRIMARY KEY)";

/// What happened.
#[derive(Debug, Default)]
pub struct Tally {
    pub kills: usize,
    pub ended: usize,
    pub undone: usize,
    pub places: BTreeMap<String, usize>,
}

pub struct Lane {
    pub number: usize,
    pub dice: Dice,
    pub project: Project,
    pub tally: Tally,
    pub cluster: Arc<Cluster>,
    pub source: String,
    pub target: String,
    pub nights: usize,
    /// What the configuration calls it.
    pub environment: &'static str,
    prefix: String,
    /// How long each act took and how often it waited for the disk, when nobody disturbed it.
    pub usual: BTreeMap<String, (u64, u32)>,
    /// What was done in this night, for whoever has to find out why it went wrong.
    pub story: Vec<String>,
    /// Images of the release that serves before the night.
    images: BTreeMap<String, String>,
    names: Arc<Names>,
    service: Double,
    load: Arc<Mutex<Load>>,
    service_setup: Setup,
}

/// Writes that came before the freeze: begun, and acknowledged.
#[derive(Debug, Default)]
struct Load {
    tried: BTreeSet<u64>,
    taken: BTreeSet<u64>,
}

/// Numbers that look random and are the same in every run of the test.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn up_to(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}

/// Somebody who writes.
pub struct Writer {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    pub fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

fn is_taken(url: &str, statements: &str) -> bool {
    let mut command = Command::new(cluster::programs().join("psql"));
    command.args(["--no-psqlrc", "-qtAX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statements]);
    command.output().unwrap().status.success()
}

impl Lane {
    /// Release 1 runs, the old database holds rows of every kind, the name leads to the old place.
    pub fn new(number: usize, seed: u64, names: Arc<Names>, service: Double) -> Self {
        Self::of(number, seed, names, service, ("supabase-to-postgres", ""))
    }

    /// The same with another runbook, and with this before the names of its variables.
    pub fn of(number: usize, seed: u64, names: Arc<Names>, service: Double, (book, prefix): (&str, &str)) -> Self {
        let cluster = cluster::shared();
        let project = Project::of("quick", &format!("night{number}"), Reach::default());
        let (source, target) =
            (cluster.database(&format!("night{number}_old")), cluster.database(&format!("night{number}_new")));
        cluster.sql(&source, &format!("{SCHEMA} {LOAD}; {}", legacy::auth(0..=19)));
        cluster.sql(&target, &format!("{SCHEMA} {LOAD}; TRUNCATE {} RESTART IDENTITY", TABLES.join(", ")));
        project.write("tsig.txt", KEY.1);
        std::fs::set_permissions(project.path("tsig.txt"), std::fs::Permissions::from_mode(0o600)).unwrap();
        project.configure(&format!(
            "[source]\nurl_env = \"{prefix}SOURCE_URL\"\n[target]\nurl_env = \"{prefix}TARGET_URL\"\n[data]\nworkers = 2\n\
             user_columns = {{ sites = [\"owner\"], members = [\"owner\"], log = [\"owner\"] }}\n\
             [users]\nprovider = \"stack-auth\"\nbase_url = \"{}\"\nproject_id_env = \"PROJECT\"\nsecret_key_env = \"KEY\"\n\
             rate = 1000\nsettle = \"100ms\"\n{}",
            service.url,
            names.settings(number)
        ));
        let book = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("runbooks/{book}.toml"));
        let book = std::fs::read_to_string(book).unwrap();
        // The night as it is; the day after it, which is only watched, is left out.
        let watch = "gate = \"stabilized\"";
        assert!(book.contains(watch));
        project.write("night.toml", &book.replace(watch, "gate = \"command\"\ncommand = [\"true\"]"));
        project.deploy("1");
        let images = project.images();
        project.set("TAG", "2");
        Self {
            number,
            dice: Dice(seed),
            project,
            tally: Tally::default(),
            cluster,
            source,
            target,
            nights: 0,
            environment: "test",
            prefix: prefix.to_owned(),
            usual: BTreeMap::new(),
            story: Vec::new(),
            images,
            names,
            service,
            load: Arc::default(),
            service_setup: Setup::default(),
        }
    }

    /// The program as a person would call it here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.project.command(arguments);
        command.envs(self.variables());
        command.env("PROJECT", &self.service_setup.project).env("KEY", &self.service_setup.key).env("USER", "anna");
        command.stdin(std::process::Stdio::null());
        command
    }

    /// The variables that its configuration names.
    pub fn variables(&self) -> [(String, String); 2] {
        let name = |word: &str| format!("{}{word}", self.prefix);
        [("SOURCE_URL", &self.source), ("TARGET_URL", &self.target)]
            .map(|(word, database)| (name(word), self.cluster.url(database)))
    }

    /// Somebody writes to the old side until it refuses, or until he is told to end.
    pub fn begin_to_write(&self) -> Writer {
        let (url, load) = (self.cluster.url(&self.source), Arc::clone(&self.load));
        let first = self.nights as u64 * 100_000;
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            for number in first.. {
                load.lock().unwrap().tried.insert(number);
                if ends.load(Ordering::Relaxed) || !is_taken(&url, &format!("INSERT INTO load VALUES ({number})")) {
                    return;
                }
                load.lock().unwrap().taken.insert(number);
            }
        });
        Writer { is_over, thread }
    }

    /// Every row of the old side.
    pub fn source_rows(&self) -> Rows {
        self.rows(&self.source, &BTreeMap::new())
    }

    /// Every row of the new side, with the old service's ids of its users.
    pub fn target_rows(&self) -> Rows {
        self.rows(&self.target, &self.old_ids())
    }

    fn old_ids(&self) -> BTreeMap<String, String> {
        let id = |user: &serde_json::Map<String, serde_json::Value>| user["id"].as_str().unwrap().to_owned();
        self.service.users().iter().map(|user| (id(user), legacy_id(&user["server_metadata"]).unwrap())).collect()
    }

    /// An account of the new service.
    pub fn somebody(&self) -> String {
        self.old_ids().into_keys().next().unwrap()
    }

    fn rows(&self, database: &str, ids: &BTreeMap<String, String>) -> Rows {
        let mut rows = BTreeMap::new();
        for table in TABLES {
            let columns = format!(
                "SELECT string_agg(attname::text, ', ' ORDER BY attname) FROM pg_attribute \
                 WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped"
            );
            let columns = self.cluster.sql(database, &columns);
            let text = self.cluster.sql(database, &format!("COPY (SELECT {columns} FROM {table}) TO STDOUT"));
            for row in text.lines() {
                let row = row.split('\t').map(|field| ids.get(field).map_or(field, String::as_str));
                *rows.entry((table.to_owned(), row.collect::<Vec<_>>().join("\t"))).or_default() += 1;
            }
        }
        rows
    }

    /// Whether a database takes a row.
    fn takes_writes(&self, database: &str) -> bool {
        is_taken(&self.cluster.url(database), "BEGIN; INSERT INTO load VALUES (-1); ROLLBACK")
    }

    fn loaded(&self, database: &str) -> BTreeSet<u64> {
        self.cluster.sql(database, "SELECT n FROM load").lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Every write that was acknowledged is there, and none that nobody wrote.
    fn judge_load(&self, where_: &str) {
        let (load, found) = (self.load.lock().unwrap(), self.loaded(&self.source));
        let lost: Vec<_> = load.taken.difference(&found).collect();
        let odd: Vec<_> = found.difference(&load.tried).collect();
        assert!(lost.is_empty() && odd.is_empty(), "{where_}: lost {lost:?}, odd {odd:?}");
    }

    /// After the night: the new side is what the old one was, and alone takes writes.
    pub fn judge_end(&self, wanted: &Rows, where_: &str) {
        same(&self.target_rows(), wanted, &format!("{where_}: rows of the new side"));
        same(&self.source_rows(), wanted, &format!("{where_}: rows of the old side"));
        self.judge_load(where_);
        assert_eq!(self.loaded(&self.target), self.loaded(&self.source), "{where_}: what came before the freeze");
        let people: Vec<String> = self.old_ids().into_values().collect();
        let each: BTreeSet<&String> = people.iter().collect();
        assert_eq!((people.len(), each.len(), self.service.users().len()), (20, 20, 20), "{where_}: each user once");
        assert_eq!(self.names.said(self.number), NEW, "{where_}");
        let writers = (self.takes_writes(&self.source), self.takes_writes(&self.target));
        assert_eq!(writers, (false, true), "{where_}: whether old and new take writes");
        self.judge_release("2", where_);
    }

    /// After the way back: the old side has what it had and what was written since, and alone takes writes.
    pub fn judge_way_back(&self, wanted: &Rows, where_: &str) {
        same(&self.source_rows(), wanted, &format!("{where_}: rows of the old side"));
        self.judge_load(where_);
        assert_eq!(self.service.users().len(), 0, "{where_}: accounts");
        assert_eq!(self.names.said(self.number), OLD, "{where_}");
        assert!(self.takes_writes(&self.source), "{where_}: the old side takes writes");
        self.judge_release("1", where_);
    }

    /// A new side that rows were brought to is closed after the way back.
    pub fn judge_closed(&self, where_: &str) {
        assert!(!self.takes_writes(&self.target), "{where_}: the new side must not take writes");
    }

    fn judge_release(&self, release: &str, where_: &str) {
        let containers = self.project.containers();
        let up = |name: &str| containers.get(name).is_some_and(|one| one.status == "running");
        assert!(["db", "backend", "worker"].into_iter().all(up), "{where_}: {containers:#?}");
        if release == "1" {
            assert_eq!(self.project.images(), self.images, "{where_}: images of the release before");
        }
        let answer = self.project.get("/").unwrap_or_default();
        assert!(answer.contains(&format!("\"release\":\"{release}\"")), "{where_}: {answer}");
    }
}

/// Names the first rows that differ, not thousands.
#[track_caller]
fn same(found: &Rows, wanted: &Rows, what: &str) {
    let missing: Vec<_> = wanted.iter().filter(|(row, times)| found.get(*row) != Some(times)).take(5).collect();
    let odd: Vec<_> = found.iter().filter(|(row, times)| wanted.get(*row) != Some(times)).take(5).collect();
    assert!(missing.is_empty() && odd.is_empty(), "{what}: missing {missing:#?}, too many {odd:#?}");
}
