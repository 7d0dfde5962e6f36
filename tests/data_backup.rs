//! Backups: proven before they count, broken ones found out, restored beside the live database and exchanged with it.

#![expect(clippy::disallowed_methods, reason = "tests start servers and clients as a person would")]
#![allow(clippy::print_stdout, reason = "a test that is passed by says why")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use cutover::adapter::database::Place;
use cutover::adapter::process::Process;
use cutover::redact::Redactor;
use cutover::rows::backup::{
    BackupOptions, CommandBackup, Format, Freshness, Kind, RestoreOptions, Token, create, create_by_command, flip,
    is_fresh, let_go, list, read_token, restore, restore_by_command, sweep_scratch, sweep_unfinished, unflip, verify,
};
use cutover::rows::client_tools::{ToolPlaces, Tools, host_directories};
use cutover::rows::freeze::{FreezeOptions, freeze};
use cutover::rows::volumes::{VolumeOptions, back_up_volume, check_volume, restore_volume};
use cutover::secret::Secret;
use support::cluster::{Cluster, programs};
use support::live::says;
use support::migration::Migration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(60);

/// The server of all tests of this file; it ends with the last of them.
fn cluster() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::new(&["fsync=off"]));
        *shared = Arc::downgrade(&cluster);
        cluster
    })
}

fn process() -> Process {
    Process::new(vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())], Redactor::default())
}

async fn tools() -> Tools {
    let places = ToolPlaces { directories: host_directories("/usr/bin:/bin"), ..ToolPlaces::default() };
    Tools::find(&process(), &places, 15).await.unwrap()
}

/// A database whose owner is a plain role that may make databases, as on a managed server.
struct Project {
    cluster: Arc<Cluster>,
    directory: TempDir,
    name: String,
}

const SCHEMA: &str = r#"
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, mood mood, twice text GENERATED ALWAYS AS (name || name) STORED);
    CREATE TABLE part (item_id bigint REFERENCES item ON DELETE CASCADE, weight numeric, raw bytea);
    CREATE TABLE event (at date NOT NULL, what text) PARTITION BY RANGE (at);
    CREATE TABLE event_2025 PARTITION OF event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE SCHEMA "Odd ""schema";
    CREATE TABLE "Odd ""schema"."ta'ble" ("co""l" int);
    CREATE TABLE nothing ();
    CREATE SEQUENCE counter;
    CREATE MATERIALIZED VIEW names AS SELECT name FROM item;
    INSERT INTO item (name, mood) SELECT 'name ' || n, 'good' FROM generate_series(1, 2000) n;
    INSERT INTO part SELECT n, n / 7.0, decode(md5(n::text), 'hex') FROM generate_series(1, 2000) n;
    INSERT INTO event VALUES ('2025-05-05', E'tab\there');
    INSERT INTO "Odd ""schema"."ta'ble" VALUES (1), (1), (NULL);
    INSERT INTO nothing DEFAULT VALUES;
    SELECT nextval('counter'), lo_from_bytea(0, 'a large object');
"#;
/// Rows of all tables and large objects of it.
const ROWS: u64 = 2000 + 2000 + 1 + 3 + 1 + 1;

impl Project {
    fn new(label: &str, rights: &str) -> Self {
        let cluster = cluster();
        let name = cluster.database(label);
        let roles = "CREATE ROLE owner_NAME LOGIN PASSWORD 'o:w\\n' RIGHTS; CREATE ROLE app_NAME LOGIN PASSWORD 'a'; \
            GRANT pg_signal_backend TO owner_NAME; ALTER DATABASE NAME OWNER TO owner_NAME; \
            REVOKE CONNECT ON DATABASE NAME FROM PUBLIC; GRANT CONNECT ON DATABASE NAME TO app_NAME; \
            ALTER DATABASE NAME SET work_mem = '5MB'; ALTER ROLE app_NAME IN DATABASE NAME SET search_path = public, pg_catalog";
        cluster.sql("postgres", &roles.replace("NAME", &name).replace("RIGHTS", rights));
        cluster.sql(&name, &format!("ALTER SCHEMA public OWNER TO owner_{name}"));
        let project = Self { cluster, directory: TempDir::new().unwrap(), name };
        psql(&project.owner(&project.name), SCHEMA).unwrap();
        psql(
            &project.owner(&project.name),
            &format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO app_{}", project.name),
        )
        .unwrap();
        project
    }

    fn plain(label: &str) -> Self {
        Self::new(label, "CREATEDB")
    }

    /// The owner's password holds what a password file must escape.
    fn owner(&self, database: &str) -> String {
        self.cluster.url_of(&format!("owner_{}", self.name), "o%3Aw%5Cn", database)
    }

    fn app(&self) -> String {
        self.cluster.url_of(&format!("app_{}", self.name), "a", &self.name)
    }

    fn place(&self) -> Place {
        Place::parse(&Secret::new(self.owner(&self.name)), None).unwrap()
    }

    fn backups(&self) -> PathBuf {
        self.directory.path().join("backups")
    }

    fn options(&self, id: &str) -> BackupOptions {
        BackupOptions {
            id: id.into(),
            directory: self.backups(),
            format: Format::Custom,
            exclude_schemas: Vec::new(),
            jobs: 2,
            deadline_s: 120,
            session: "cutover run 3 epoch 1".into(),
        }
    }

    async fn create(&self, id: &str) -> anyhow::Result<Token> {
        create(&self.place(), None, &tools().await, &self.options(id), &|_| ()).await
    }

    async fn verify(&self, id: &str) -> anyhow::Result<Token> {
        verify(&self.place(), &tools().await, &self.options(id), &|_| ()).await
    }

    fn sql(&self, statements: &str) -> String {
        psql(&self.owner(&self.name), statements).unwrap()
    }

    fn databases(&self) -> String {
        self.cluster.sql("postgres", &format!("SELECT string_agg(datname, ' ' ORDER BY 1) FROM pg_database WHERE pg_get_userbyid(datdba) = 'owner_{}'", self.name))
    }

    /// What stands in the directory of backups.
    fn shelf(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.backups()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn psql(url: &str, statements: &str) -> Result<String, String> {
    let mut command = Command::new(programs().join("psql"));
    command.args(["--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statements]);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < WAIT, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_backup_is_restored_and_compared_before_it_counts() {
    let project = Project::plain("whole");
    for (id, format) in [("one", Format::Custom), ("two", Format::Directory)] {
        let options = BackupOptions { format, ..project.options(id) };
        let token = create(&project.place(), None, &tools().await, &options, &|_| ()).await.unwrap();
        assert_eq!(token.verified.as_ref().unwrap().rows, ROWS, "{token:?}");
        assert_eq!(token.contents.sequences["counter"], Some(1));
        assert_eq!(read_token(&project.backups(), id).unwrap(), token);
        assert_eq!(token.files.len() > 1, format == Format::Directory);
        let again = create(&project.place(), None, &tools().await, &options, &|_| ()).await.unwrap();
        assert_eq!(again, token, "the same call gives what is there");
        project.verify(id).await.unwrap();
    }
    assert_eq!(project.shelf(), ["one", "two"]);
    assert_eq!(project.databases(), project.name, "no scratch database is left");
    let text = std::fs::read_to_string(project.backups().join("one/token.json")).unwrap();
    assert!(!text.contains("o:w") && text.contains("cutover/v1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_the_dump_runs_does_not_stand_in_its_way() {
    let project = Project::plain("busy");
    let written = AtomicBool::new(false);
    // The first line comes when the snapshot stands and the dump begins; the second when it is there.
    let say = |line: String| {
        let rows = "INSERT INTO item (name) VALUES ('more'); \
                    DELETE FROM part WHERE item_id IN (SELECT item_id FROM part LIMIT 3)";
        psql(&project.owner(&project.name), rows).unwrap();
        written.fetch_or(line.starts_with("dumping "), Ordering::Relaxed);
    };
    let token = create(&project.place(), None, &tools().await, &project.options("one"), &say).await.unwrap();
    assert!(written.load(Ordering::Relaxed), "rows were written while the dump ran");
    let found = is_fresh(&token, &project.place(), 2, "cutover", &|_| ()).await.unwrap();
    assert!(matches!(found, Freshness::Stale(why) if why.contains("item has")), "it is not what is there now");
}

#[tokio::test]
async fn a_backup_is_fresh_until_one_row_is_another() {
    let project = Project::plain("fresh");
    let token = project.create("one").await.unwrap();
    assert_eq!(is_fresh(&token, &project.place(), 2, "cutover", &|_| ()).await.unwrap(), Freshness::Fresh);
    project.sql("UPDATE part SET weight = 0 WHERE item_id = 77");
    let stale = is_fresh(&token, &project.place(), 2, "cutover", &|_| ()).await.unwrap();
    assert!(matches!(&stale, Freshness::Stale(why) if why.contains("part has rows that differ")), "{stale:?}");
    project.sql("UPDATE part SET weight = 77 / 7.0 WHERE item_id = 77; CREATE TABLE more (a int)");
    assert!(matches!(is_fresh(&token, &project.place(), 2, "cutover", &|_| ()).await.unwrap(), Freshness::Stale(_)));
    let other = Token { verified: None, ..token };
    assert!(matches!(is_fresh(&other, &project.place(), 2, "cutover", &|_| ()).await.unwrap(), Freshness::Stale(_)));
}

#[tokio::test]
async fn a_backup_that_was_cut_or_edited_is_found_out() {
    let project = Project::plain("broken");
    project.create("one").await.unwrap();
    let file = project.backups().join("one/database.dump");
    let whole = std::fs::read(&file).unwrap();
    let mut edited = whole.clone();
    let middle = edited.len() / 2;
    edited[middle] ^= 1;
    for bytes in [&whole[..whole.len() - 1], &edited, b""] {
        std::fs::write(&file, bytes).unwrap();
        let error = project.verify("one").await.unwrap_err().to_string();
        assert!(error.contains("the backup one is broken: database.dump"), "{error}");
    }
    // Even with a token that was made to fit, the restore tells: pg_restore --list would not.
    let mut token = read_token(&project.backups(), "one").unwrap();
    let reseal = |token: &mut Token, bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        token.files[0].sha256 = cutover::adapter::files::sha256(bytes);
        token.files[0].bytes = bytes.len() as u64;
        cutover::adapter::files::write_json(&project.backups().join("one/token.json"), token, 0o600).unwrap();
    };
    reseal(&mut token, &whole[..whole.len() * 3 / 4]);
    let error = format!("{:#}", project.verify("one").await.unwrap_err());
    assert!(error.contains("cannot be restored"), "{error}");
    // A dump of other rows, under a token of these.
    project.sql("UPDATE item SET name = 'another' WHERE id = 5");
    project.create("two").await.unwrap();
    reseal(&mut token, &std::fs::read(project.backups().join("two/database.dump")).unwrap());
    let error = format!("{:#}", project.verify("one").await.unwrap_err());
    assert!(error.contains("item has rows that differ"), "{error}");
    std::fs::remove_file(&file).unwrap();
    assert!(project.verify("one").await.unwrap_err().to_string().contains("is not there"));
    assert_eq!(project.databases(), project.name);
}

#[tokio::test]
async fn a_connection_that_is_cut_under_the_dump_leaves_nothing() {
    let project = Project::plain("cut");
    let blocker = project.place().connect("blocker").await.unwrap();
    blocker.batch_execute("BEGIN; LOCK TABLE public.part IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (options, place, tools) = (project.options("one"), project.place(), tools().await);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
         AND query LIKE 'LOCK TABLE%public.part%' AND datname = current_database()";
    let end = waiting.replace("count(*)", "pg_terminate_backend(pid)");
    let cut = async {
        eventually("the dump waits for the lock", || project.cluster.sql(&project.name, waiting) == "1").await;
        project.cluster.sql(&project.name, &end);
    };
    let (outcome, ()) = tokio::join!(create(&place, None, &tools, &options, &|_| ()), cut);
    let error = format!("{:#}", outcome.unwrap_err());
    assert!(error.contains("the dump failed") && error.contains("terminat"), "{error}");
    assert!(project.shelf().is_empty(), "{:?}", project.shelf());
    blocker.batch_execute("ROLLBACK").await.unwrap();
    project.create("one").await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing_that_could_be_taken_for_a_backup() {
    let project = Project::plain("full");
    let small = SmallDisk::new("64k");
    let options = BackupOptions { directory: small.0.path().join("backups"), ..project.options("one") };
    let error = create(&project.place(), None, &tools().await, &options, &|_| ()).await.unwrap_err();
    assert!(format!("{error:#}").contains("No space left on device"), "{error:#}");
    assert!(list(&options.directory).unwrap().is_empty());
    assert_eq!(std::fs::read_dir(&options.directory).unwrap().count(), 0);
}

struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(size: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "small"]).arg(directory.path()).status();
        assert!(status.unwrap().success());
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0.path()).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_backup_left_is_swept() {
    let project = Project::plain("killed");
    let scratch = format!("cutover_scratch_k_{}_", project.name);
    let id = format!("k_{}", project.name);
    let is_there = || project.databases().contains(&scratch);
    let (place, tools, options) = (project.place(), tools().await, project.options(&id));
    for sweeps in [true, false] {
        // Dropped as a kill would have it, as soon as the scratch database is there.
        tokio::select! {
            outcome = create(&place, None, &tools, &options, &|_| ()) => panic!("too fast: {outcome:?}"),
            () = eventually("the trial begins", is_there) => {}
        }
        assert!(is_there() && project.shelf() == [format!(".making-{id}")], "{:?}", project.shelf());
        assert!(list(&project.backups()).unwrap().is_empty(), "it is no backup");
        if sweeps {
            assert_eq!(sweep_unfinished(&project.backups()).unwrap(), [id.as_str()]);
            assert!(!sweep_scratch(&place, "another place", &options).await.unwrap() && is_there());
            assert!(sweep_scratch(&place, place.shown(), &options).await.unwrap());
            assert!(!is_there());
        }
    }
    create(&place, None, &tools, &options, &|_| ()).await.unwrap();
    assert!(!is_there() && project.shelf() == [id]);
}

#[tokio::test]
async fn a_role_that_may_not_make_databases_needs_another_server_for_the_trial() {
    let project = Project::new("norights", "");
    let error = project.create("one").await.unwrap_err().to_string();
    assert!(error.contains("ALTER ROLE") && error.contains("CREATEDB"), "{error}");
    let other = Cluster::new(&["fsync=off"]);
    let scratch = Place::parse(&Secret::new(other.url("postgres")), None).unwrap();
    let token =
        create(&project.place(), Some(&scratch), &tools().await, &project.options("one"), &|_| ()).await.unwrap();
    assert_eq!(token.verified.unwrap().scratch, scratch.shown());
    assert_eq!(other.sql("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'cutover%'"), "0");
}

#[tokio::test]
async fn programs_that_are_older_than_the_server_are_passed_by() {
    let directory = TempDir::new().unwrap();
    let fake = |name: &str, version: &str| {
        use std::os::unix::fs::PermissionsExt;
        let bin = directory.path().join(name);
        std::fs::create_dir(&bin).unwrap();
        for program in ["pg_dump", "pg_restore"] {
            std::fs::write(bin.join(program), format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n")).unwrap();
            std::fs::set_permissions(bin.join(program), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        bin
    };
    let (old, newer, newest) =
        (fake("old", "9.6.24"), fake("newer", "16.4 (Debian 16.4-1)"), fake("newest", "18beta1"));
    let find = |directories: &[&Path], server: u32| {
        let directories = directories.iter().map(|path| path.to_path_buf()).collect();
        let places = ToolPlaces { directories, ..ToolPlaces::default() };
        async move { Tools::find(&process(), &places, server).await }
    };
    let error = find(&[&old], 15).await.unwrap_err().to_string();
    assert!(error.contains("version 15 or later (found: 9.6.24)") && error.contains("postgresql-client-15"), "{error}");
    assert!(find(&[], 15).await.unwrap_err().to_string().contains("found: none"));
    let found = find(&[&old, &newest, &newer, &programs()], 15).await.unwrap();
    assert!(found.shown().starts_with("15."), "{}", found.shown());
    assert!(find(&[&newest, &newer], 16).await.unwrap().shown().starts_with("16.4"));
    assert!(find(&[&newest, &newer], 17).await.unwrap().shown().starts_with("18beta1"));
}

#[tokio::test]
async fn a_restore_goes_beside_the_live_database_and_names_are_exchanged_and_exchanged_back() {
    let project = Project::new("flip", "CREATEDB CREATEROLE");
    let (place, name) = (project.place(), project.name.clone());
    project.cluster.sql(
        "postgres",
        &format!("COMMENT ON DATABASE {name} IS 'the shop'; ALTER DATABASE {name} CONNECTION LIMIT 90"),
    );
    let settings = |database: &str| {
        project.cluster.sql("postgres", &format!(
        "SELECT pg_get_userbyid(datdba), datconnlimit, (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(datacl) x), \
         shobj_description(d.oid, 'pg_database'), (SELECT string_agg(setrole::regrole || setconfig::text, ',' ORDER BY setrole) \
         FROM pg_db_role_setting WHERE setdatabase = d.oid) FROM pg_database d WHERE datname = '{database}'"))
    };
    project.create("one").await.unwrap();
    project.sql("DELETE FROM part; INSERT INTO item (name) VALUES ('after')");
    let before = settings(&name);
    let options = RestoreOptions { backup: project.options("one"), keeps_owners: true };
    restore(&place, &tools().await, &options, &|_| ()).await.unwrap();
    // Until it is in use it may be restored anew.
    let restored = restore(&place, &tools().await, &options, &|_| ()).await.unwrap();
    assert_eq!((restored.database.as_str(), restored.rows), (format!("{name}_restored_one").as_str(), ROWS));
    assert_eq!(project.sql("SELECT count(*) FROM part"), "0", "the live one is not touched");

    let clients = Clients::start(&project.app());
    eventually("clients come", || clients.seen("0")).await;
    let idle = Place::parse(&Secret::new(project.app()), None).unwrap().connect("shop").await.unwrap();
    let aside = format!("{name}_before_one");
    let flipped = flip(&place, &restored.database, &aside, "cutover", WAIT, &|_| ()).await.unwrap();
    assert!(idle.batch_execute("SELECT 1").await.is_err(), "whoever stays is sent away");
    eventually("clients see the restored rows", || clients.seen("2000")).await;
    assert_eq!(settings(&name), before, "owner, limit, grants, comment and settings are the old one's");
    assert_eq!(project.sql("SELECT count(*) FROM part"), "2000");
    assert_eq!(psql(&project.owner(&aside), "SELECT count(*) FROM item").unwrap(), "2001", "the old one is kept");
    assert_eq!(flip(&place, &restored.database, &aside, "cutover", WAIT, &|_| ()).await.unwrap().aside, aside);
    unflip(&place, &flipped, "cutover", WAIT, &|_| ()).await.unwrap();
    clients.forget();
    eventually("clients see the old rows", || clients.seen("0")).await;
    assert_eq!(settings(&name), before);
    let error = flip(&place, "nowhere", "x", "cutover", WAIT, &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("both must be there"), "{error}");
    drop(clients);
}

/// Applications that connect, ask how many parts there are, and come again at once.
struct Clients {
    is_over: Arc<AtomicBool>,
    answers: Arc<Mutex<Vec<String>>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Clients {
    fn start(url: &str) -> Self {
        let (is_over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let threads = (0..2).map(|_| {
            let (url, is_over, answers) = (url.to_owned(), Arc::clone(&is_over), Arc::clone(&answers));
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let answer = psql(&url, "SELECT count(*) FROM public.part; SELECT pg_sleep(0.05)");
                    answers.lock().unwrap().push(answer.map_or_else(|error| error, |text| text.trim().to_owned()));
                }
            })
        });
        let threads = threads.collect();
        Self { is_over, answers, threads }
    }

    fn seen(&self, what: &str) -> bool {
        self.answers.lock().unwrap().iter().any(|answer| answer == what)
    }

    fn forget(&self) {
        self.answers.lock().unwrap().clear();
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

#[tokio::test]
async fn a_database_that_is_not_ours_is_never_dropped_by_a_restore() {
    let project = Project::plain("taken");
    project.create("one").await.unwrap();
    let name = format!("{}_restored_one", project.name);
    psql(&project.owner("postgres"), &format!("CREATE DATABASE {name}")).unwrap();
    let options = RestoreOptions { backup: project.options("one"), keeps_owners: false };
    let error = restore(&project.place(), &tools().await, &options, &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("was not restored by cutover"), "{error}");
    assert!(project.databases().contains(&name));
}

#[tokio::test]
async fn a_backup_of_a_frozen_database_restores_to_one_that_takes_writes() {
    let project = Project::plain("frozen");
    let options = FreezeOptions {
        id: "run 3".into(),
        record: project.directory.path().join("freeze.json"),
        required: Vec::new(),
        deadline_s: 20,
        session: "cutover".into(),
    };
    freeze(&project.place(), &options, &|_| ()).await.unwrap();
    let token = project.create("one").await.unwrap();
    assert_eq!(is_fresh(&token, &project.place(), 1, "cutover", &|_| ()).await.unwrap(), Freshness::Fresh);
    let options = RestoreOptions { backup: project.options("one"), keeps_owners: true };
    let restored = restore(&project.place(), &tools().await, &options, &|_| ()).await.unwrap();
    assert!(restored.left.len() == 1 && restored.left[0].contains("search_path"), "{restored:?}");
    psql(&project.owner(&restored.database), "INSERT INTO item (name) VALUES ('x')").unwrap();
}

#[tokio::test]
async fn the_oldest_backups_go_but_never_the_newest_proven_one_nor_one_that_is_needed() {
    let project = Project::plain("keep");
    let place = project.place().shown().to_owned();
    let token = project.create("b1").await.unwrap();
    for (id, at, is_verified) in [("b2", 2, true), ("b3", 3, false), ("b4", 4, false), ("other", 5, true)] {
        let directory = project.backups().join(id);
        std::fs::create_dir(&directory).unwrap();
        let verified = token.verified.clone().filter(|_| is_verified);
        let place = if id == "other" { "x@y:1/z".to_owned() } else { place.clone() };
        let token =
            Token { id: id.into(), place, taken_at: format!("2099-01-0{at}T00:00:00.000Z"), verified, ..token.clone() };
        cutover::adapter::files::write_json(&directory.join("token.json"), &token, 0o600).unwrap();
    }
    std::fs::create_dir(project.backups().join("broken")).unwrap();
    std::fs::create_dir(project.backups().join(".gone-old")).unwrap();
    let listed: Vec<String> = list(&project.backups()).unwrap().into_iter().map(|listed| listed.id).collect();
    assert_eq!(listed, ["other", "b4", "b3", "b2", "b1", "broken"]);
    assert_eq!(let_go(&project.backups(), &place, 1, &["b3".into()]).unwrap(), ["b1"]);
    assert_eq!(let_go(&project.backups(), &place, 1, &[]).unwrap(), ["b3"]);
    assert_eq!(let_go(&project.backups(), &place, 0, &[]).unwrap(), ["b4"]);
    assert_eq!(project.shelf(), ["b2", "broken", "other"]);
}

#[tokio::test]
async fn other_systems_are_backed_up_by_their_command() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    std::fs::write(&data, "rows").unwrap();
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let copy = format!("cp {} \"$1\"", data.display());
    let options = CommandBackup {
        id: "one".into(),
        directory: directory.path().join("backups"),
        of: "convex".into(),
        command: words(&["/bin/sh", "-c", &copy, "sh", "{file}"]),
        restore: words(&["/bin/sh", "-c", &format!("cat > {}", data.display())]),
        working_directory: None,
        deadline_s: 20,
    };
    let token = create_by_command(&process(), &options, Vec::new(), &|_| ()).await.unwrap();
    assert_eq!((token.kind, token.bytes, token.verified.as_ref()), (Kind::Command, 4, None));
    std::fs::write(&data, "lost").unwrap();
    restore_by_command(&process(), &options, Vec::new(), &|_| ()).await.unwrap();
    assert_eq!(std::fs::read_to_string(&data).unwrap(), "rows");
    std::fs::write(directory.path().join("backups/one/backup"), "else").unwrap();
    let error = restore_by_command(&process(), &options, Vec::new(), &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("is broken") && std::fs::read_to_string(&data).unwrap() == "rows", "{error}");
    for (command, words_of_it) in [("true", "did not write"), (": > \"$1\"", "is empty"), ("exit 3", "exited 3")] {
        let command = words(&["/bin/sh", "-c", command, "sh", "{file}"]);
        let options = CommandBackup { id: "two".into(), command, ..options.clone() };
        let error = create_by_command(&process(), &options, Vec::new(), &|_| ()).await.unwrap_err();
        assert!(format!("{error:#}").contains(words_of_it), "{error:#}");
        assert_eq!(std::fs::read_dir(&options.directory).unwrap().count(), 1);
    }
}

fn docker(words: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(words).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Whether the engine answers and has this image; said where it is not so.
fn has_image(image: &str) -> bool {
    let is_there = docker(&["image", "inspect", image]).is_ok();
    if !is_there {
        println!("passed by: no engine with the image {image}; scripts/lab makes it");
    }
    is_there
}

fn docker_path() -> PathBuf {
    ["/usr/local/bin/docker", "/usr/bin/docker"].iter().map(PathBuf::from).find(|path| path.exists()).unwrap()
}

#[tokio::test]
async fn without_programs_on_the_host_those_of_an_image_are_used() {
    let image = "cutover-lab/postgres:15";
    if !has_image(image) {
        return;
    }
    let places = ToolPlaces { directories: Vec::new(), docker: Some(docker_path()), image: Some(image.into()) };
    let tools = Tools::find(&process(), &places, 15).await.unwrap();
    let project = Project::plain("image");
    let options = BackupOptions { format: Format::Directory, ..project.options("one") };
    let token = create(&project.place(), None, &tools, &options, &|_| ()).await.unwrap();
    assert!(token.tool.contains(image) && token.verified.is_some(), "{token:?}");
    let error = Tools::find(&process(), &places, 16).await.unwrap_err().to_string();
    assert!(error.contains("in the image cutover-lab/postgres:15"), "{error}");
}

#[tokio::test]
async fn a_volume_is_read_into_a_file_and_back_into_a_new_volume() {
    let image = "cutover-lab/box:1";
    if !has_image(image) {
        return;
    }
    let directory = TempDir::new().unwrap();
    let volume = Volume(format!("cutover-test-{}", std::process::id()));
    let copy = Volume(format!("cutover-test-{}-copy", std::process::id()));
    docker(&["volume", "create", &volume.0]).unwrap();
    let mount = format!("{}:/v", volume.0);
    let make = "cd /v && mkdir -p 'a b/c' && echo text > 'a b/c/file' && ln -s file 'a b/c/link' && head -c 300000 /dev/urandom > big && chmod 600 big && chown 12:34 big";
    docker(&["run", "--rm", "-v", &mount, "--entrypoint", "sh", image, "-c", make]).unwrap();
    let options = VolumeOptions {
        volume: volume.0.clone(),
        image: image.into(),
        docker: docker_path(),
        directory: directory.path().join("volumes"),
        deadline_s: 60,
    };
    let backup = back_up_volume(&process(), &options, &|_| ()).await.unwrap();
    assert!(backup.entries == 6 && backup.was_still, "{backup:?}");
    restore_volume(&process(), &options, &copy.0, &|_| ()).await.unwrap();
    restore_volume(&process(), &options, &copy.0, &|_| ()).await.unwrap();
    let again = VolumeOptions { volume: copy.0.clone(), directory: directory.path().join("again"), ..options.clone() };
    assert_eq!(back_up_volume(&process(), &again, &|_| ()).await.unwrap().contents, backup.contents);
    let error = restore_volume(&process(), &options, &volume.0, &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("is there; restore into a new one"), "{error}");
    let nowhere = VolumeOptions { volume: "cutover-test-nowhere".into(), ..options.clone() };
    let error = back_up_volume(&process(), &nowhere, &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("there is no volume cutover-test-nowhere"), "{error}");
    let file = options.directory.join(&backup.file);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 512]).unwrap();
    assert!(check_volume(&options).unwrap_err().to_string().contains("is not what was written"));
}

#[test]
fn volumes_are_backed_up_proven_listed_and_brought_back_from_the_command_line() {
    let image = "cutover-lab/box:1";
    if !has_image(image) {
        return;
    }
    let cluster = cluster();
    let mut migration = Migration::new(&cluster, "volume");
    migration.set("DOCKER_HOST", "unix:///var/run/docker.sock");
    migration.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    let volume = Volume(format!("cutover-test-{}-cli", std::process::id()));
    let copy = Volume(format!("cutover-test-{}-cli-copy", std::process::id()));
    docker(&["volume", "create", &volume.0]).unwrap();
    let mount = format!("{}:/v", volume.0);
    docker(&["run", "--rm", "-v", &mount, "--entrypoint", "sh", image, "-c", "echo kept > /v/file"]).unwrap();

    let text = migration.expect(2, &["backup", "create", "--volume", &volume.0]);
    says(&text, &["no container uses the volume", "--image IMAGE"]);
    let (made, code) = migration.json(&["backup", "create", "--volume", &volume.0, "--image", image]);
    assert_eq!((code, &made["backup"]["verified"]["rows"]), (0, &serde_json::json!(2)), "{made}");
    let id = made["backup"]["id"].as_str().unwrap();
    says(&migration.expect(0, &["backup", "list"]), &[id, "volume cutover-test", "2 entries"]);
    says(&migration.expect(0, &["backup", "verify", id, "--image", image]), &["restored on trial, 2 entries the same"]);
    let left = docker(&["volume", "ls", "--quiet", "--filter", &format!("name=cutover-trial-{id}")]).unwrap();
    assert_eq!(left.trim(), "", "a trial leaves no volume");

    let text = migration.expect(0, &["backup", "restore", id, "--image", image, "--into", &copy.0]);
    says(&text, &["is brought back into the new volume", "was compared"]);
    let mount = format!("{}:/v:ro", copy.0);
    let read = docker(&["run", "--rm", "-v", &mount, "--entrypoint", "sh", image, "-c", "cat /v/file"]).unwrap();
    assert_eq!(read.trim(), "kept");
    let text = migration.expect(1, &["backup", "restore", id, "--image", image, "--into", &volume.0]);
    says(&text, &["is there; restore into a new one"]);
}

struct Volume(String);

impl Drop for Volume {
    fn drop(&mut self) {
        drop(docker(&["volume", "rm", "--force", &self.0]));
    }
}
