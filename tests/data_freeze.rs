//! Freezing a database: nobody writes, whoever they are, and everything comes back exactly.

#![expect(clippy::disallowed_methods, reason = "tests start servers and clients as a person would")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

use std::process::Command;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use cutover::adapter::database::Place;
use cutover::data::catalog::TableName;
use cutover::rows::freeze::{FreezeOptions, FreezeState, Frozen, Phase, freeze, hold, prove, state, unfreeze};
use cutover::secret::Secret;
use cutover::step::World;
use cutover::step::freeze_source::FreezeSource;
use support::cluster::{Cluster, programs};
use tempfile::TempDir;

/// The server of all tests of this file; it ends with the last of them.
fn cluster() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::new(&["fsync=off", "max_prepared_transactions=5"]));
        *shared = Arc::downgrade(&cluster);
        cluster
    })
}

/// A database as a managed service gives it: its owner is a plain role, the application is another one.
struct Project {
    cluster: Arc<Cluster>,
    directory: TempDir,
    name: String,
}

const SCHEMA: &str = r#"
    CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, twice text GENERATED ALWAYS AS (name || name) STORED);
    CREATE TABLE part (item_id bigint REFERENCES item ON DELETE CASCADE, weight numeric);
    CREATE TABLE nothing ();
    CREATE TABLE event (at date NOT NULL, what text) PARTITION BY RANGE (at);
    CREATE TABLE event_2025 PARTITION OF event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE child (more int) INHERITS (part);
    CREATE SCHEMA "Odd ""schema";
    CREATE TABLE "Odd ""schema"."ta'ble" ("co""l" int);
    CREATE SEQUENCE counter;
    CREATE VIEW names AS SELECT name FROM item;
    CREATE FUNCTION add_item(text) RETURNS void LANGUAGE sql AS 'INSERT INTO public.item (name) VALUES ($1)';
    INSERT INTO item (name) VALUES ('one'), ('two');
    INSERT INTO part VALUES (1, 1.5), (2, 2.5);
    INSERT INTO event VALUES ('2025-05-05', 'made');
"#;

impl Project {
    fn new(label: &str, rights: &str) -> Self {
        Self::on(&cluster(), label, rights)
    }

    fn on(cluster: &Arc<Cluster>, label: &str, rights: &str) -> Self {
        let cluster = Arc::clone(cluster);
        let name = cluster.database(label);
        cluster.sql(
            "postgres",
            &format!(
                "CREATE ROLE owner_{name} LOGIN PASSWORD 'o' {rights}; CREATE ROLE app_{name} LOGIN PASSWORD 'a'; \
                 ALTER DATABASE {name} OWNER TO owner_{name}; REVOKE CONNECT ON DATABASE {name} FROM PUBLIC; \
                 GRANT CONNECT ON DATABASE {name} TO app_{name}"
            ),
        );
        cluster.sql(&name, &format!("ALTER SCHEMA public OWNER TO owner_{name}"));
        let project = Self { cluster, directory: TempDir::new().unwrap(), name };
        project.sql("owner", SCHEMA).unwrap();
        let grants = "GRANT ALL ON ALL TABLES IN SCHEMA public TO app_NAME; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app_NAME";
        project.sql("owner", &grants.replace("NAME", &project.name)).unwrap();
        project
    }

    fn managed(label: &str) -> Self {
        let project = Self::new(label, "CREATEROLE");
        project.cluster.sql("postgres", &format!("GRANT pg_signal_backend TO owner_{}", project.name));
        project
    }

    fn url(&self, role: &str) -> String {
        let password = &role[..1];
        self.cluster.url_of(&format!("{role}_{}", self.name), password, &self.name)
    }

    fn place(&self) -> Place {
        Place::parse(&Secret::new(self.url("owner")), None).unwrap()
    }

    fn options(&self) -> FreezeOptions {
        let required = ["item", "part", "event", "event_2025", "child"].map(|name| TableName::new("public", name));
        FreezeOptions {
            id: "run 7".into(),
            record: self.directory.path().join("freeze.json"),
            required: required.to_vec(),
            deadline_s: 20,
            session: "cutover run 7 epoch 1".into(),
        }
    }

    async fn freeze(&self) -> anyhow::Result<Frozen> {
        freeze(&self.place(), &self.options(), &|_| ()).await
    }

    async fn unfreeze(&self) -> anyhow::Result<()> {
        unfreeze(&self.place(), &self.options(), &|_| ()).await
    }

    /// Runs statements as a role, each with a transaction of its own unless they say otherwise.
    fn sql(&self, role: &str, statements: &str) -> Result<String, String> {
        psql(&self.url(role), statements)
    }

    fn as_superuser(&self, statements: &str) -> Result<String, String> {
        psql(&self.cluster.url(&self.name), statements)
    }

    /// All rows of every table, and every sequence.
    fn rows(&self) -> String {
        let sql = "SELECT string_agg(x, E'\\n' ORDER BY x) FROM (SELECT item::text AS x FROM item UNION ALL \
            SELECT part::text FROM part UNION ALL SELECT event::text FROM event) rows";
        self.as_superuser(sql).unwrap()
    }

    /// Everything that a freeze could leave behind.
    fn catalog(&self) -> String {
        let mut dump = Command::new(programs().join("pg_dump"));
        let output = dump.args(["--schema-only", "-d", &self.cluster.url(&self.name)]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let schema: String =
            text.lines().filter(|line| !line.contains("restrict")).flat_map(|line| [line, "\n"]).collect();
        let settings = format!(
            "SELECT setdatabase::regrole IS NOT NULL, setrole::regrole, setconfig FROM pg_db_role_setting \
             WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = '{0}')) \
             AND (setrole = 0 OR setrole::regrole::text LIKE '%{0}') ORDER BY 1, 2",
            self.name
        );
        let acls = "SELECT relnamespace::regnamespace, relname, relowner::regrole, relacl FROM pg_class WHERE oid >= 16384 ORDER BY 1, 2";
        let triggers = "SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger ORDER BY 1, 2";
        [settings.as_str(), acls, triggers]
            .iter()
            .fold(schema, |text, sql| text + &self.as_superuser(sql).unwrap() + "\n")
    }
}

fn psql(url: &str, statements: &str) -> Result<String, String> {
    let mut command = Command::new(programs().join("psql"));
    command.args(["--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", url]);
    for statement in statements.split('\u{1}') {
        command.args(["-c", statement]);
    }
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Writes of every kind that changes rows.
const WRITES: &[&str] = &[
    "INSERT INTO public.item (name) VALUES ('x')",
    "INSERT INTO public.item (name) VALUES ('x') ON CONFLICT (id) DO UPDATE SET name = 'x'",
    "UPDATE public.item SET name = 'x'",
    "DELETE FROM public.part",
    "DELETE FROM public.item",
    "TRUNCATE public.part",
    "TRUNCATE public.item CASCADE",
    "MERGE INTO public.part p USING public.item i ON p.item_id = i.id WHEN MATCHED THEN UPDATE SET weight = 0 WHEN NOT MATCHED THEN INSERT VALUES (i.id, 0)",
    "WITH gone AS (DELETE FROM public.part RETURNING *) SELECT count(*) FROM gone",
    "SELECT public.add_item('x')",
    "DO $$ BEGIN UPDATE public.part SET weight = 0; END $$",
    "INSERT INTO public.event VALUES ('2025-01-01', 'x')",
    "INSERT INTO public.event_2025 VALUES ('2025-01-01', 'x')",
    "UPDATE public.part SET weight = weight WHERE false",
    "UPDATE ONLY public.part SET weight = 0",
    "INSERT INTO public.child VALUES (1, 1, 1)",
    "INSERT INTO public.names VALUES ('x')",
    "SELECT public.add_item('x') FROM public.item FOR UPDATE",
];

#[tokio::test]
async fn no_write_of_any_kind_gets_through_whoever_sends_it() {
    let project = Project::managed("everyone");
    let before = project.rows();
    let frozen = project.freeze().await.unwrap();
    assert!(frozen.gaps.is_empty() && frozen.guarded == 7 && frozen.lsn.is_some(), "{frozen:?}");
    let copy = |begin: &str, url: &str| {
        psql(url, &format!("{begin}\u{1}\\copy public.part from program 'printf \"1\\t2\\n\"'\u{1}COMMIT"))
    };
    let urls = [
        ("app", project.url("app")),
        ("owner", project.url("owner")),
        ("superuser", project.cluster.url(&project.name)),
    ];
    for (who, url) in &urls {
        for begin in ["BEGIN", "BEGIN READ WRITE", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; BEGIN"] {
            for write in WRITES {
                let error = psql(url, &format!("{begin}\u{1}{write}\u{1}COMMIT"))
                    .expect_err(&format!("{who}: {begin}; {write}"));
                let is_refused =
                    error.contains("frozen") || error.contains("read-only") || error.contains("permission denied");
                assert!(is_refused, "{who}: {begin}; {write}: {error}");
            }
            let error = copy(begin, url).expect_err(who);
            assert!(error.contains("frozen") || error.contains("read-only"), "{who}: {error}");
        }
    }
    // A superuser who quiets ordinary triggers does not quiet these.
    let quiet = "SET session_replication_role = replica; BEGIN READ WRITE; UPDATE public.item SET name = 'x'; COMMIT";
    assert!(project.as_superuser(quiet).unwrap_err().contains("frozen"));
    // Asking for nothing else, nobody changes the schema or a sequence either.
    for write in
        ["SELECT nextval('counter')", "CREATE TABLE more ()", "ALTER TABLE item ADD more int", "DROP TABLE part"]
    {
        assert!(project.sql("owner", write).unwrap_err().contains("read-only"), "{write}");
    }
    project.sql("app", "SELECT * FROM item").unwrap();
    assert_eq!(project.rows(), before);
    let proof = prove(&project.place(), &frozen, &|_| ()).await.unwrap();
    assert!(proof.is_frozen() && proof.tables == 7 && proof.attempts == 42, "{proof:?}");
}

#[tokio::test]
async fn what_no_layer_stops_is_seen_by_the_counters() {
    for write in [
        "BEGIN READ WRITE; SELECT nextval('counter'); COMMIT",
        "BEGIN READ WRITE; SELECT lo_from_bytea(0, 'x'); COMMIT",
        "BEGIN READ WRITE; CREATE TABLE more (); COMMIT",
        "BEGIN READ WRITE; ALTER TABLE item ADD more int; COMMIT",
        "BEGIN READ WRITE; ALTER TABLE part DISABLE TRIGGER _cutover_refuse_writes; TRUNCATE ONLY part; COMMIT",
    ] {
        let project = Project::managed("counted");
        let frozen = project.freeze().await.unwrap();
        project.sql("owner", write).unwrap();
        let proof = prove(&project.place(), &frozen, &|_| ()).await.unwrap();
        assert!(!proof.moved.is_empty(), "{write}: {proof:?}");
        let found = state(&project.place(), Some(&frozen)).await.unwrap();
        let is_layer_gone = write.contains("DISABLE") || write.contains("CREATE");
        assert_eq!(matches!(found, FreezeState::Partial(_)), is_layer_gone, "{write}: {found:?}");
    }
}

#[tokio::test]
async fn the_proof_finds_a_layer_that_is_not_there() {
    let project = Project::managed("hollow");
    let frozen = project.freeze().await.unwrap();
    project.sql("owner", "BEGIN READ WRITE; DROP TRIGGER _cutover_refuse_writes ON part; COMMIT").unwrap();
    let mut shorter = frozen.clone();
    shorter.gaps.clear();
    let found = state(&project.place(), Some(&shorter)).await.unwrap();
    assert_eq!(found, FreezeState::Partial("writes are not refused by part".into()));
    let again = project.freeze().await.unwrap();
    assert_eq!(state(&project.place(), Some(&again)).await.unwrap(), FreezeState::Frozen);
    let before = project.rows();
    project.sql("owner", "BEGIN READ WRITE; CREATE OR REPLACE FUNCTION _cutover.refuse_writes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; COMMIT").unwrap();
    let proof = prove(&project.place(), &again, &|_| ()).await.unwrap();
    assert_eq!(proof.accepted.len(), 21, "{proof:?}");
    assert_eq!(project.rows(), before, "an attempt changes nothing even where it is accepted");
}

#[tokio::test]
async fn everything_comes_back_exactly_as_it_was() {
    let project = Project::managed("exact");
    let name = &project.name;
    project.cluster.sql(
        "postgres",
        &format!(
            "ALTER DATABASE {name} SET work_mem = '5MB'; ALTER DATABASE {name} SET default_transaction_read_only = 'false'; \
             ALTER DATABASE {name} SET statement_timeout = '2min'; \
             ALTER ROLE app_{name} SET default_transaction_read_only = off; \
             CREATE ROLE loud_{name} LOGIN PASSWORD 'l'; GRANT CONNECT ON DATABASE {name} TO loud_{name}; ALTER ROLE loud_{name} IN DATABASE {name} SET work_mem = '6MB'; \
             ALTER ROLE loud_{name} IN DATABASE {name} SET default_transaction_read_only = '0'"
        ),
    );
    let (before, rows) = (project.catalog(), project.rows());
    let frozen = project.freeze().await.unwrap();
    assert_eq!(frozen.default_before.as_deref(), Some("false"));
    assert_eq!(frozen.roles.len(), 2, "{frozen:?}");
    assert_ne!(project.catalog(), before);
    for role in ["app", "loud"] {
        assert_eq!(project.sql(role, "SHOW transaction_read_only").unwrap(), "on", "{role}");
    }
    assert_eq!(state(&project.place(), Some(&frozen)).await.unwrap(), FreezeState::Frozen);
    project.unfreeze().await.unwrap();
    assert_eq!(project.catalog(), before);
    assert_eq!(project.rows(), rows);
    assert_eq!(state(&project.place(), Some(&frozen)).await.unwrap(), FreezeState::Open);
    project.sql("app", "INSERT INTO item (name) VALUES ('three')").unwrap();
    project.unfreeze().await.unwrap();
}

#[tokio::test]
async fn whoever_was_writing_is_ended_and_his_rows_are_not_there() {
    let project = Project::managed("writers");
    let before = project.rows();
    let writer = Place::parse(&Secret::new(project.url("app")), None).unwrap().connect("shop").await.unwrap();
    writer.batch_execute("BEGIN; INSERT INTO public.item (name) VALUES ('late')").await.unwrap();
    let reader = Place::parse(&Secret::new(project.url("app")), None).unwrap().connect("idle").await.unwrap();
    let frozen = project.freeze().await.unwrap();
    assert_eq!(frozen.ended, 2);
    assert!(writer.batch_execute("COMMIT").await.is_err() && reader.batch_execute("SELECT 1").await.is_err());
    assert_eq!(project.rows(), before);
    // Whoever connects now stays read-only, so the unfreeze ends it: a pool comes back with sessions that write.
    let pooled = Place::parse(&Secret::new(project.url("app")), None).unwrap().connect("shop").await.unwrap();
    assert!(pooled.batch_execute("DELETE FROM public.part").await.is_err());
    project.unfreeze().await.unwrap();
    assert!(pooled.batch_execute("SELECT 1").await.is_err());
}

#[tokio::test]
async fn sessions_that_may_not_be_ended_are_named_and_stopped_all_the_same() {
    let project = Project::new("weak", "");
    let writer = Place::parse(&Secret::new(project.url("app")), None).unwrap().connect("shop").await.unwrap();
    let name = &project.name;
    project.cluster.sql("postgres", &format!("ALTER ROLE app_{name} SET default_transaction_read_only = off"));
    let frozen = project.freeze().await.unwrap();
    let gaps: Vec<_> = frozen.gaps.iter().map(|gap| gap.kind.as_str()).collect();
    assert_eq!(gaps, ["role", "session"], "{frozen:?}");
    let error = writer.batch_execute("UPDATE public.item SET name = 'x'").await.unwrap_err();
    assert!(format!("{:?}", error.as_db_error()).contains("is frozen"), "{error:?}");
    assert_eq!(state(&project.place(), Some(&frozen)).await.unwrap(), FreezeState::Frozen);
    // An open transaction of somebody who may not be ended holds the freeze up; that is said, and it can be undone.
    project.unfreeze().await.unwrap();
    writer.batch_execute("BEGIN; UPDATE public.item SET name = 'x'").await.unwrap();
    let options = FreezeOptions { deadline_s: 8, ..project.options() };
    let said = Mutex::new(Vec::new());
    let say = |line: String| said.lock().unwrap().push(line);
    let error = freeze(&project.place(), &options, &say).await.unwrap_err().to_string();
    assert!(error.contains("stay locked by app_weak") && error.contains("shop"), "{error}");
    let said: Vec<String> = said.into_inner().unwrap();
    let waited: Vec<&String> = said.iter().filter(|line| line.starts_with("waiting ")).collect();
    assert_eq!(waited.len(), 1, "a line for each change, and nothing changed: {said:#?}");
    assert!(
        waited[0].contains("for transactions that write: app_weak") && waited[0].contains("(shop, pid "),
        "{waited:?}"
    );
    writer.batch_execute("ROLLBACK").await.unwrap();
    project.unfreeze().await.unwrap();
}

#[tokio::test]
async fn tables_of_others_are_named_and_required_ones_refuse_the_freeze() {
    let project = Project::managed("others");
    project.as_superuser("CREATE TABLE foreign_one (a int)").unwrap();
    project
        .as_superuser(&format!("CREATE TABLE lent (a int); GRANT TRIGGER ON lent TO owner_{}", project.name))
        .unwrap();
    let before = project.catalog();
    let frozen = project.freeze().await.unwrap();
    assert_eq!(frozen.gaps.len(), 1, "{frozen:?}");
    assert!(frozen.gaps[0].about == "foreign_one" && frozen.gaps[0].words.contains("belongs to postgres"));
    assert!(
        project.as_superuser("BEGIN READ WRITE; INSERT INTO lent VALUES (1); COMMIT").unwrap_err().contains("frozen")
    );
    let holder = hold(&project.place(), &frozen, "cutover").await.unwrap();
    assert_eq!(holder.locked(), 7, "the lent one may not be locked");
    drop(holder);
    // What the freeze could not reach moves; that is said, and is no fault of what it could reach.
    project.as_superuser("BEGIN READ WRITE; INSERT INTO foreign_one VALUES (1); COMMIT").unwrap();
    let proof = prove(&project.place(), &frozen, &|_| ()).await.unwrap();
    assert!(proof.is_frozen() && proof.moved_in_gaps.len() == 1, "{proof:?}");
    project.unfreeze().await.unwrap();
    assert_eq!(project.catalog(), before, "the trigger on the lent table is gone, too");
    let mut options = project.options();
    options.required.push(TableName::new("public", "foreign_one"));
    let error = freeze(&project.place(), &options, &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("cannot be made to refuse writes: foreign_one") && error.contains("postgres"), "{error}");
    project.unfreeze().await.unwrap();
    assert_eq!(project.catalog(), before);
}

#[tokio::test]
async fn a_prepared_transaction_and_somebody_elses_freeze_are_refused() {
    let project = Project::managed("refused");
    project.sql("owner", "BEGIN; INSERT INTO item (name) VALUES ('x'); PREPARE TRANSACTION 'later'").unwrap();
    let error = project.freeze().await.unwrap_err().to_string();
    assert!(error.contains("later") && error.contains("COMMIT PREPARED"), "{error}");
    project.sql("owner", "ROLLBACK PREPARED 'later'").unwrap();
    let frozen = project.freeze().await.unwrap();
    let other =
        FreezeOptions { id: "run 8".into(), record: project.directory.path().join("8.json"), ..project.options() };
    let error = freeze(&project.place(), &other, &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("already frozen by run 7"), "{error}");
    assert!(unfreeze(&project.place(), &other, &|_| ()).await.unwrap_err().to_string().contains("run 7"));
    assert!(matches!(state(&project.place(), None).await.unwrap(), FreezeState::Foreign(_)));
    // Without its file, the copy in the database is enough.
    std::fs::remove_file(project.options().record).unwrap();
    let again = project.freeze().await.unwrap();
    assert_eq!((again.phase, &again.lsn), (frozen.phase, &frozen.lsn));
    std::fs::remove_file(project.options().record).unwrap_or_default();
    project.unfreeze().await.unwrap();
}

#[tokio::test]
async fn the_holder_keeps_the_layers_from_being_taken_away_and_knows_when_it_is_gone() {
    let project = Project::managed("held");
    let frozen = project.freeze().await.unwrap();
    let holder = hold(&project.place(), &frozen, "cutover").await.unwrap();
    assert!(holder.is_held().await && holder.locked() == 7);
    let drop = "SET lock_timeout = '100ms'; BEGIN READ WRITE; DROP TRIGGER _cutover_refuse_writes ON item; COMMIT";
    assert!(project.sql("owner", drop).unwrap_err().contains("lock timeout"));
    let proof = prove(&project.place(), &frozen, &|_| ()).await.unwrap();
    assert!(proof.is_frozen(), "{proof:?}");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE mode = 'ShareLock' AND pid <> pg_backend_pid() \
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    project.as_superuser(end).unwrap();
    assert!(!holder.is_held().await);
    project.unfreeze().await.unwrap();
}

#[tokio::test]
async fn a_freeze_outlives_the_server_and_the_counters_do_not() {
    let own = Arc::new(Cluster::new(&[]));
    let project = Project::on(&own, "restart", "CREATEROLE");
    let frozen = project.freeze().await.unwrap();
    for mode in ["fast", "immediate"] {
        own.stop(mode);
        own.start();
        assert_eq!(state(&project.place(), Some(&frozen)).await.unwrap(), FreezeState::Frozen);
        let error = prove(&project.place(), &frozen, &|_| ()).await.unwrap_err().to_string();
        assert!(error.contains("started again") && error.contains("unknown"), "{error}");
        assert!(project.sql("app", "BEGIN READ WRITE; DELETE FROM part; COMMIT").unwrap_err().contains("frozen"));
    }
    project.unfreeze().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_was_cut_off_anywhere_goes_on_and_comes_back_exactly() {
    let project = Project::managed("cut");
    let before = project.catalog();
    let mut finished = 0;
    // A busy machine takes more polls; the end comes when it was reached twice.
    for (round, polls) in (0..20_000).step_by(5).enumerate() {
        let (place, options) = (project.place(), project.options());
        let done = cut_off(freeze(&place, &options, &|_| ()), polls).await;
        if round % 2 == 0 {
            let frozen = project.freeze().await.unwrap_or_else(|error| panic!("{polls}: {error:#}"));
            assert_eq!(state(&place, Some(&frozen)).await.unwrap(), FreezeState::Frozen, "{polls}");
            let undone = cut_off(unfreeze(&place, &options, &|_| ()), polls / 2).await;
            drop(undone);
        }
        project.unfreeze().await.unwrap_or_else(|error| panic!("{polls}: {error:#}"));
        if round % 4 == 0 || done.is_some() {
            assert_eq!(project.catalog(), before, "after {polls} polls");
        }
        std::fs::remove_file(&options.record).unwrap_or_default();
        finished += usize::from(done.is_some());
        if finished == 2 {
            return;
        }
    }
    panic!("the freeze never came to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_was_killed_before_it_wrote_down_its_end_is_not_done_and_can_be_proven_after_it_went_on() {
    let project = Project::managed("unwritten");
    let (place, options) = (project.place(), project.options());
    let mut frozen = project.freeze().await.unwrap();
    (frozen.phase, frozen.frozen_at, frozen.lsn, frozen.counters) = (Phase::Guards, None, None, None);
    std::fs::write(&options.record, serde_json::to_string(&frozen).unwrap()).unwrap();
    let step = FreezeSource { place: place.shown().to_owned(), options };
    let world = step.check(&place).await.unwrap();
    assert!(matches!(world, World::Between(_)), "{world:?}");
    let frozen = project.freeze().await.unwrap();
    assert!(matches!(step.check(&place).await.unwrap(), World::After(_)));
    assert!(prove(&place, &frozen, &|_| ()).await.unwrap().is_frozen());
}

/// Drives a future for so many polls and drops it there, as a kill would.
async fn cut_off<T>(work: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut work = Box::pin(work);
    let mut left = polls;
    std::future::poll_fn(move |context: &mut Context<'_>| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}
