//! What was written since the import is told apart exactly, and carried back to the source, on real servers.

#![expect(clippy::disallowed_methods, reason = "tests start servers as a person would")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use cutover::adapter::database::Place;
use cutover::data::catalog::TableName;
use cutover::data::change_file::Head;
use cutover::data::json_rows::Encoder;
use cutover::data::mapping::{MappedUser, MappingFile};
use cutover::data::patterns::Patterns;
use cutover::rows::apply::{Applied, ApplyOptions, State, apply, read, state};
use cutover::rows::diff::{Diff, DiffOptions, diff};
use cutover::rows::filling::Filling;
use cutover::rows::freeze::{self, FreezeOptions, FreezeState};
use cutover::rows::import;
use cutover::rows::verify::{Options, Source, Users, verify};
use cutover::secret::Secret;
use support::cluster::{Cluster, shared};
use support::slow_file::SlowFile;
use support::written::{MAP, SCHEMA, TABLES, WRITES};
use tempfile::TempDir;

struct World {
    cluster: Arc<Cluster>,
    source: String,
    target: String,
    directory: TempDir,
    mapping: MappingFile,
    users: Users,
}

impl World {
    /// A source, and a target that was imported from it: the same rows, users mapped.
    fn new() -> Self {
        let cluster = shared();
        let (source, target) = (cluster.database("source"), cluster.database("target"));
        let quiet = "ALTER TABLE sites DISABLE TRIGGER notes;";
        cluster.sql(&source, SCHEMA);
        cluster.sql(&target, &format!("{SCHEMA} {quiet} {MAP} ALTER TABLE sites ENABLE TRIGGER notes;"));
        let user = |n: u32| MappedUser {
            supabase_user_id: format!("00000000-0000-4000-8000-{n:012}"),
            stack_auth_user_id: format!("90000000-0000-4000-8000-{n:012}"),
            email: None,
            migrated_at: "2026-01-23T00:00:00Z".into(),
        };
        let mapping = MappingFile {
            generated_at: "2026-01-23T00:00:00Z".into(),
            retain_until: "2026-04-23T00:00:00Z".into(),
            mappings: (0..20).map(user).collect(),
        };
        let mut users = Users::default();
        for table in ["sites", "members", "log"] {
            users.columns.insert(TableName::new("public", table), vec!["owner".into()]);
        }
        Self { cluster, source, target, directory: TempDir::new().unwrap(), mapping, users }
    }

    fn at_source(&self, statements: &str) -> String {
        self.cluster.sql(&self.source, statements)
    }

    fn at_target(&self, statements: &str) -> String {
        self.cluster.sql(&self.target, statements)
    }

    fn place(&self, database: &str) -> Place {
        Place::parse(&Secret::new(self.cluster.url(database)), None).unwrap()
    }

    fn patterns() -> Patterns {
        Patterns::parse(&["public.*"], &[] as &[&str]).unwrap()
    }

    async fn try_diff(&self, baseline: &Source) -> anyhow::Result<Diff> {
        self.diff_saying(baseline, &|_| ()).await
    }

    async fn diff_saying(&self, baseline: &Source, say: &(dyn Fn(String) + Sync)) -> anyhow::Result<Diff> {
        let options = DiffOptions {
            tables: Self::patterns(),
            all: Self::patterns(),
            users: self.users.clone(),
            mapping: Some(self.mapping.clone()),
            sidecars: Some(self.directory.path().join("sidecars")),
            directory: self.directory.path().join("changes"),
            workers: 2,
            session_name: "cutover".into(),
        };
        diff(baseline, &self.place(&self.target), &options, say).await
    }

    async fn diff(&self) -> Diff {
        self.try_diff(&Source::Database(self.place(&self.source))).await.unwrap()
    }

    fn options(&self) -> ApplyOptions {
        ApplyOptions {
            file: self.directory.path().join("changes/changes.jsonl"),
            mapping: Some(self.mapping.clone()),
            users_table: TableName::new("auth", "users"),
            keeps_new_accounts: false,
            is_undo: false,
            session_name: "cutover".into(),
        }
    }

    async fn apply(&self) -> anyhow::Result<Applied> {
        apply(&self.place(&self.source), &self.options(), &|_| ()).await
    }

    async fn state(&self) -> State {
        state(&self.place(&self.source), &self.options()).await.unwrap()
    }

    /// How both sides are compared, users mapped.
    fn comparing(&self) -> Options {
        let mut options = Options::new(Self::patterns());
        options.users = self.users.clone();
        options.mapping = Some(self.mapping.clone());
        for table in ["sites", "members", "log"] {
            options.users.unmapped.insert(TableName::new("public", table), vec!["owner".into()]);
        }
        options
    }

    /// Source and target are the same, users mapped.
    async fn must_be_equal(&self) {
        let options = self.comparing();
        let source = Source::Database(self.place(&self.source));
        let report = verify(&source, &self.place(&self.target), &options, &|_| ()).await.unwrap();
        assert!(report.success, "{report:#?}");
        assert!(report.tables.values().all(|table| table.differences.is_empty()), "{report:#?}");
    }

    /// Every row of a database as text, by table, each as often as it is there.
    fn rows(&self, database: &str) -> BTreeMap<(String, String), i64> {
        let mut rows = BTreeMap::new();
        for table in TABLES {
            for row in self.cluster.sql(database, &format!("COPY (SELECT * FROM {table}) TO STDOUT")).lines() {
                *rows.entry((table.to_owned(), row.to_owned())).or_default() += 1;
            }
        }
        rows
    }

    /// The source as an export would write it.
    fn exported(&self) -> PathBuf {
        let directory = self.directory.path().join("export");
        std::fs::create_dir_all(&directory).unwrap();
        let mut tables = serde_json::Map::new();
        for table in TABLES {
            let columns = self.at_source(&format!(
                "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '{table}'::regclass \
                 AND attnum > 0 AND attgenerated = '' AND NOT attisdropped"
            ));
            let columns: Vec<&str> = columns.split(' ').collect();
            let rows = self.at_source(&format!("COPY (SELECT {} FROM {table}) TO STDOUT", columns.join(", ")));
            let encoder = Encoder::new(columns.iter().copied());
            let objects = rows.lines().map(|row| {
                let mut out = Vec::new();
                encoder.row(row.as_bytes(), &mut out).unwrap();
                String::from_utf8(out).unwrap()
            });
            let objects: Vec<String> = objects.collect();
            let text = if objects.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", objects.join(",\n")) };
            std::fs::write(directory.join(format!("{table}.json")), text).unwrap();
            let entry = serde_json::json!({"rowCount": objects.len(), "columns": columns, "exportMethod": "cutover"});
            tables.insert(table.to_owned(), entry);
        }
        let metadata =
            serde_json::json!({"schema": "cutover/v1", "exportedAt": "2026-01-23T00:00:00Z", "tables": tables});
        std::fs::write(directory.join("metadata.json"), metadata.to_string()).unwrap();
        directory
    }
}

fn counts(head: &Head, table: &str) -> (u64, u64, u64) {
    let table = head.tables.iter().find(|one| one.table.name == table).unwrap();
    (table.inserted, table.updated, table.deleted)
}

#[tokio::test]
async fn what_was_written_is_told_apart_and_carried_back_once() {
    let world = World::new();
    world.at_target(WRITES);
    let found = world.diff().await;
    assert_eq!(counts(&found.head, "sites"), (1, 2, 2));
    assert_eq!(counts(&found.head, "heads"), (1, 1, 0));
    assert_eq!(counts(&found.head, "members"), (1, 0, 3));
    assert_eq!(counts(&found.head, "log"), (2, 0, 2));
    assert_eq!(counts(&found.head, "parts"), (1, 2, 2));
    let csv = std::fs::read_to_string(world.directory.path().join("changes/sites.csv")).unwrap();
    assert!(csv.contains("update,name: site 10 -> site 11,10,site 11,"), "{csv}");

    let quiet = "SELECT tgenabled FROM pg_trigger WHERE tgname = 'notes'";
    assert_eq!(world.state().await, State::Before);
    let applied = world.apply().await.unwrap();
    assert_eq!((applied.written, applied.already), (found.head.all(), 0));
    world.must_be_equal().await;
    assert_eq!(world.at_source(quiet), "O");
    assert_eq!(world.state().await, State::After);
    let again = world.apply().await.unwrap();
    assert_eq!((again.written, again.already), (0, found.head.all()));
    assert_eq!(world.diff().await.head.all(), 0, "nothing is left to tell apart");

    let seen = world.at_source("INSERT INTO sites (name) VALUES ('after') RETURNING id");
    assert_eq!(seen, "62", "the sequence goes on behind the target's rows");
    assert_eq!(world.at_source("SELECT what FROM audit ORDER BY n DESC LIMIT 1"), "INSERT", "triggers fire again");
}

#[tokio::test]
async fn the_export_files_are_a_baseline_like_the_source_itself_and_the_file_is_always_the_same() {
    let world = World::new();
    let export = world.exported();
    world.at_target(WRITES);
    let by_source = world.diff().await;
    let text = std::fs::read_to_string(&by_source.file).unwrap();
    world.at_source("TRUNCATE sites, units, members, heads, tails, log, parts");
    let by_files = world.try_diff(&Source::Files(export)).await.unwrap();
    assert_eq!(by_source.head.tables, by_files.head.tables);
    assert_eq!(by_source.head.sha256, by_files.head.sha256);
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&text), lines(&std::fs::read_to_string(&by_files.file).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_it_is_is_said_while_rows_are_told_apart_and_while_they_are_compared() {
    let world = World::new();
    let file = world.exported().join("tails.json");
    let (say, given) = SlowFile::instead_of(&file).after("rows read, ");
    let export = Source::Files(file.parent().unwrap().to_owned());
    world.diff_saying(&export, &say).await.unwrap();
    assert!(given.join().unwrap().contains("/s"));
    std::fs::remove_file(&file).unwrap();
    world.exported();
    let (say, given) = SlowFile::instead_of(&file).after("rows read on both sides, ");
    let report = verify(&export, &world.place(&world.target), &world.comparing(), &say).await.unwrap();
    assert!(report.success, "{report:#?}");
    assert!(given.join().unwrap().contains("/s"));
}

#[tokio::test]
async fn what_the_importer_left_beside_the_rows_is_the_baseline() {
    let world = World::new();
    let export = world.exported();
    let mapping = world.directory.path().join("user-mapping.json");
    std::fs::write(&mapping, serde_json::to_string(&world.mapping).unwrap()).unwrap();
    let empty = World { target: world.cluster.database("imported"), ..world };
    empty.at_target(&format!("{SCHEMA} TRUNCATE {}", TABLES.join(", ")));
    let columns = |table: &str| (table.to_owned(), vec!["owner".to_owned()]);
    let filling = Filling {
        user_columns: ["sites", "members", "log"].map(columns).into(),
        mapping: Some(mapping),
        workers: 2,
        state: empty.directory.path().to_owned(),
        baselines: Some(empty.directory.path().join("sidecars")),
        ..Filling::default()
    };
    std::fs::create_dir(empty.directory.path().join("sidecars")).unwrap();
    let options = import::Options { directory: export.clone(), filling, checked: None };
    import::import(&empty.place(&empty.target), &options, &|_| ()).await.unwrap();
    empty.must_be_equal().await;
    for table in TABLES {
        assert!(empty.directory.path().join(format!("sidecars/{table}.sidecar")).exists(), "{table}");
    }
    let files = Source::Files(export.clone());
    assert_eq!(empty.try_diff(&files).await.unwrap().head.all(), 0);

    empty.at_target(WRITES);
    let beside = empty.try_diff(&files).await.unwrap();
    let text = std::fs::read_to_string(&beside.file).unwrap();
    std::fs::rename(empty.directory.path().join("sidecars"), empty.directory.path().join("moved")).unwrap();
    let by_files = empty.try_diff(&files).await.unwrap();
    assert!(by_files.head.all() > 20);
    assert_eq!(by_files.head.sha256, beside.head.sha256);
    assert_eq!(text.lines().count() as u64, by_files.head.all() + 1);
    assert_eq!(empty.apply().await.unwrap().written, by_files.head.all());
    empty.must_be_equal().await;

    // A sidecar that was cut short is no baseline.
    std::fs::rename(empty.directory.path().join("moved"), empty.directory.path().join("sidecars")).unwrap();
    let broken = empty.directory.path().join("sidecars/sites.sidecar");
    let bytes = std::fs::read(&broken).unwrap();
    std::fs::write(&broken, &bytes[..bytes.len() - 40]).unwrap();
    let error = format!("{:#}", empty.try_diff(&files).await.unwrap_err());
    assert!(error.contains("sidecar of sites"), "{error}");
}

#[tokio::test]
async fn a_frozen_source_takes_the_changes_and_stays_frozen() {
    let world = World::new();
    world.at_target(WRITES);
    let found = world.diff().await;
    let place = world.place(&world.source);
    let options = FreezeOptions {
        id: "run 7".into(),
        record: world.directory.path().join("freeze.json"),
        required: vec![TableName::new("public", "sites"), TableName::new("public", "parts")],
        deadline_s: 30,
        session: "cutover".into(),
    };
    let frozen = freeze::freeze(&place, &options, &|_| ()).await.unwrap();
    let refused = "BEGIN READ WRITE; DO $$ BEGIN DELETE FROM public.sites; RAISE 'it wrote'; \
        EXCEPTION WHEN SQLSTATE '25006' THEN NULL; END $$; ROLLBACK";
    assert_eq!(world.state().await, State::Before);
    assert_eq!(world.apply().await.unwrap().written, found.head.all());
    assert_eq!(freeze::state(&place, Some(&frozen)).await.unwrap(), FreezeState::Frozen);
    world.at_source(refused);
    world.must_be_equal().await;
    freeze::unfreeze(&place, &options, &|_| ()).await.unwrap();
    assert_eq!(world.state().await, State::After);
}

#[tokio::test]
async fn the_owner_of_the_tables_needs_no_further_right() {
    let world = World::new();
    world.at_target(WRITES);
    let found = world.diff().await;
    let role = format!("owner_of_{}", world.source);
    world.at_source(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'pw'; ALTER SCHEMA public OWNER TO {role}; DO $$ DECLARE t regclass; BEGIN \
         FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') \
         LOOP EXECUTE format('ALTER TABLE %s OWNER TO {role}', t); END LOOP; END $$"
    ));
    let place = Place::parse(&Secret::new(world.cluster.url_of(&role, "pw", &world.source)), None).unwrap();
    let applied = apply(&place, &world.options(), &|_| ()).await.unwrap();
    assert_eq!(applied.written, found.head.all());
    world.must_be_equal().await;
}

#[tokio::test]
async fn undoing_brings_the_old_rows_back() {
    let world = World::new();
    let before = world.rows(&world.source);
    world.at_target(WRITES);
    world.diff().await;
    world.apply().await.unwrap();
    assert_ne!(world.rows(&world.source), before);
    let options = ApplyOptions { is_undo: true, ..world.options() };
    assert_eq!(state(&world.place(&world.source), &options).await.unwrap(), State::Before);
    apply(&world.place(&world.source), &options, &|_| ()).await.unwrap();
    assert_eq!(world.rows(&world.source), before);
    assert_eq!(world.state().await, State::Before);
}

#[tokio::test]
async fn an_export_that_is_not_what_it_was_is_no_baseline() {
    let world = World::new();
    let path = world.exported().join("tails.json");
    let export = Source::Files(path.parent().unwrap().to_owned());
    let (whole, about) = (std::fs::read_to_string(&path).unwrap(), path.parent().unwrap().join("metadata.json"));
    let first = whole.lines().nth(1).unwrap();
    std::fs::write(&path, whole.replacen(&format!("{first}\n"), "", 1)).unwrap();
    let error = format!("{:#}", world.try_diff(&export).await.unwrap_err());
    assert!(error.contains("tails.json holds 19 rows, but metadata.json says 20; export again"), "{error}");
    let mut metadata: serde_json::Value = serde_json::from_slice(&std::fs::read(&about).unwrap()).unwrap();
    metadata["tables"]["tails"]["sha256"] = cutover::adapter::files::sha256(whole.as_bytes()).into();
    std::fs::write(&about, metadata.to_string()).unwrap();
    std::fs::write(&path, whole.replacen("\"head\":\"7\"", "\"head\":\"8\"", 1)).unwrap();
    let error = format!("{:#}", world.try_diff(&export).await.unwrap_err());
    assert!(error.contains("tails.json is not the file that was exported"), "{error}");
    assert!(!world.options().file.exists(), "there is no change file");
    std::fs::write(&path, &whole).unwrap();
    world.try_diff(&export).await.unwrap();
}

#[tokio::test]
async fn a_key_that_the_source_has_twice_stops_everything() {
    let world = World::new();
    world.at_target("UPDATE tails SET head = NULL WHERE id = 5");
    world.diff().await;
    world.at_source(
        "ALTER TABLE heads DROP CONSTRAINT heads_tail; ALTER TABLE tails DROP CONSTRAINT tails_pkey; \
         INSERT INTO tails VALUES (5, 5)",
    );
    let before = world.rows(&world.source);
    let error = world.apply().await.unwrap_err().to_string();
    assert!(error.contains("tails id=5 is neither the old nor the new row"), "{error}");
    assert_eq!(world.rows(&world.source), before);
}

#[tokio::test]
async fn what_the_source_does_otherwise_than_it_was_told_is_found_out_and_nothing_is_kept() {
    let world = World::new();
    world.at_target("DELETE FROM members WHERE site = 9; DELETE FROM log WHERE ctid = '(0,1)'; UPDATE parts SET v = '1' WHERE id = 1");
    world.diff().await;
    world.at_source("CREATE RULE kept AS ON DELETE TO members DO INSTEAD NOTHING");
    let before = world.rows(&world.source);
    let error = world.apply().await.unwrap_err().to_string();
    assert!(error.contains("the proof does not hold: of 3 changes, 2 in the source"), "{error}");
    assert_eq!(world.rows(&world.source), before);
    world.at_source("DROP RULE kept ON members");
    world.apply().await.unwrap();
    world.must_be_equal().await;
}

#[tokio::test]
async fn a_row_that_stands_otherwise_stops_everything() {
    let world = World::new();
    world.at_target(WRITES);
    world.diff().await;
    world.at_source("UPDATE sites SET name = 'meanwhile' WHERE id = 11");
    let before = world.rows(&world.source);
    let error = world.apply().await.unwrap_err().to_string();
    assert!(error.contains("sites id=11 is neither the old nor the new row"), "{error}");
    assert_eq!(world.rows(&world.source), before);
    assert!(
        matches!(world.state().await, State::Neither(conflicts) if conflicts.iter().any(|words| words.contains("id=11")))
    );
}

#[tokio::test]
async fn accounts_of_the_new_service_alone_are_in_the_way_unless_their_ids_may_stay() {
    let world = World::new();
    world.at_target("INSERT INTO sites (name, owner) VALUES ('n', '77777777-0000-4000-8000-000000000001')");
    world.diff().await;
    let before = world.rows(&world.source);
    let error = world.apply().await.unwrap_err().to_string();
    assert!(error.contains("1 account exists") && error.contains("77777777"), "{error}");
    assert_eq!(world.rows(&world.source), before);
    let options = ApplyOptions { keeps_new_accounts: true, ..world.options() };
    let applied = apply(&world.place(&world.source), &options, &|_| ()).await.unwrap();
    assert_eq!(applied.kept_accounts, ["77777777-0000-4000-8000-000000000001"]);
    world.must_be_equal().await;
}

/// A source whose users are a table that its logs, which have no key, point to; and writes there of two new accounts.
fn with_new_accounts_in_a_table_without_a_key() -> (World, [String; 2]) {
    let world = World::new();
    let id = |n: u32| format!("77777777-0000-4000-8000-{n:012}");
    world.at_source(
        "CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY); \
         INSERT INTO auth.users SELECT ('00000000-0000-4000-8000-000000000'||lpad(i::text, 3, '0'))::uuid FROM generate_series(0, 19) i; \
         ALTER TABLE log ADD FOREIGN KEY (owner) REFERENCES auth.users",
    );
    world.at_target(&format!(
        "{WRITES} INSERT INTO log VALUES ('k0', '2026-01-01', '{0}'), ('k0', '2026-01-01', '{0}'), ('k1', '2026-01-02', '{1}')",
        id(1),
        id(2)
    ));
    (world, [id(1), id(2)])
}

#[tokio::test]
async fn rows_of_accounts_that_the_source_lacks_stay_aside_in_a_table_without_a_key_until_those_users_are_there() {
    let (world, [one, other]) = with_new_accounts_in_a_table_without_a_key();
    let found = world.diff().await;
    let before = world.rows(&world.source);
    let error = world.apply().await.unwrap_err().to_string();
    assert!(error.contains("2 accounts exist") && error.contains(&one), "{error}");
    assert_eq!(world.rows(&world.source), before);

    let options = ApplyOptions { keeps_new_accounts: true, ..world.options() };
    let place = world.place(&world.source);
    let log = TableName::new("public", "log");
    let applied = apply(&place, &options, &|_| ()).await.unwrap();
    assert_eq!((applied.written, applied.aside.len()), (found.head.all() - 3, 3));
    assert_eq!(applied.aside.tables, BTreeMap::from([(log.clone(), 3)]));
    assert_eq!(applied.aside.accounts, [one.clone(), other.clone()].into());
    // Everybody else's are there, each as often as on the target; a second call finds them.
    assert_eq!(world.at_source("SELECT count(*) FROM log WHERE kind = 'new'"), "1");
    assert_eq!(world.at_source("SELECT count(*) FROM log"), "40");
    let again = apply(&place, &options, &|_| ()).await.unwrap();
    assert_eq!((again.written, again.already), (0, found.head.all() - 3));
    assert_eq!(state(&place, &options).await.unwrap(), State::After);

    // One of the users is made: his rows follow, both of them, and nothing comes twice.
    world.at_source(&format!("INSERT INTO auth.users VALUES ('{one}')"));
    assert_eq!(state(&place, &options).await.unwrap(), State::Between);
    let applied = apply(&place, &options, &|_| ()).await.unwrap();
    assert_eq!((applied.written, applied.aside.len()), (2, 1));
    assert_eq!(world.at_source("SELECT count(*) FROM log"), "42");
    world.at_source(&format!("INSERT INTO auth.users VALUES ('{other}')"));
    assert_eq!(apply(&place, &options, &|_| ()).await.unwrap().written, 1);
    world.must_be_equal().await;
    assert_eq!(apply(&place, &options, &|_| ()).await.unwrap().written, 0);
}

#[tokio::test]
async fn what_was_applied_without_the_rows_that_stay_aside_is_undone_to_what_it_was() {
    let (world, [one, _]) = with_new_accounts_in_a_table_without_a_key();
    world.diff().await;
    let before = world.rows(&world.source);
    let place = world.place(&world.source);
    let options = ApplyOptions { keeps_new_accounts: true, ..world.options() };
    let back = ApplyOptions { is_undo: true, ..options.clone() };
    apply(&place, &options, &|_| ()).await.unwrap();
    // Somebody else's row in the same table is no row of ours to take away, and is not taken for one.
    world.at_source("INSERT INTO log VALUES ('other', '2026-02-02', NULL)");
    assert!(matches!(state(&place, &back).await.unwrap(), State::Neither(_)));
    let error = apply(&place, &back, &|_| ()).await.unwrap_err().to_string();
    assert!(error.contains("log without a key is neither as it was before"), "{error}");
    world.at_source("DELETE FROM log WHERE kind = 'other'");
    world.at_source(&format!("INSERT INTO auth.users VALUES ('{one}')"));
    apply(&place, &back, &|_| ()).await.unwrap();
    assert_eq!(world.rows(&world.source), before);
    assert_eq!(apply(&place, &back, &|_| ()).await.unwrap().written, 0);
}

#[tokio::test]
async fn what_the_source_refuses_leaves_it_as_it_was() {
    let world = World::new();
    world.at_target("ALTER TABLE members DROP CONSTRAINT members_site_fkey; INSERT INTO members VALUES (999, '90000000-0000-4000-8000-000000000001', 'x')");
    world.diff().await;
    let before = world.rows(&world.source);
    let error = format!("{:#}", world.apply().await.unwrap_err());
    assert!(error.contains("do not fit the source's foreign keys"), "{error}");
    assert_eq!(world.rows(&world.source), before);
    assert_eq!(world.at_source("SELECT count(*) FROM pg_constraint WHERE conname = 'members_site_fkey'"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_in_the_middle_leaves_nothing_and_a_second_call_does_it_all() {
    let world = World::new();
    world.at_target(WRITES);
    let found = world.diff().await;
    let before = world.rows(&world.source);
    // The rows of `parts` come last; a trigger of the server's own kind cannot be quieted, a constraint can wait.
    world.at_source(
        "CREATE FUNCTION slow(int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN true; END $$; \
         ALTER TABLE tails ADD CONSTRAINT slow CHECK (public.slow(id)) NOT VALID",
    );
    let holder = world.place(&world.source).connect("holder").await.unwrap();
    holder.batch_execute("SELECT pg_advisory_lock(42)").await.unwrap();
    let (place, options) = (world.place(&world.source), world.options());
    let running = tokio::spawn(async move { apply(&place, &options, &|_| ()).await });
    let waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cutover' \
         AND wait_event = 'advisory' AND datname = current_database()";
    while holder.query(waiting, &[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(running.await.unwrap().is_err());
    holder.batch_execute("SELECT pg_advisory_unlock(42)").await.unwrap();
    assert_eq!(world.rows(&world.source), before);
    assert_eq!(world.state().await, State::Before);
    assert_eq!(world.apply().await.unwrap().written, found.head.all());
    world.must_be_equal().await;
}

/// A generator of numbers that is the same everywhere.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

fn random_statement(dice: &mut Dice) -> String {
    let id = dice.up_to(110);
    let owner = format!("'90000000-0000-4000-8000-{:012}'", dice.up_to(20));
    match dice.up_to(14) {
        0 => format!(
            "INSERT INTO sites (name, owner) VALUES ('new {}', {owner}) ON CONFLICT DO NOTHING",
            dice.up_to(1000)
        ),
        1 => format!("UPDATE sites SET owner = {owner} WHERE id = {id}"),
        2 => format!("UPDATE sites SET name = name || E'\\t' WHERE id = {id}"),
        3 => format!("UPDATE units SET name = NULL, parent = NULL WHERE id = {id}"),
        4 => format!("UPDATE units SET parent = NULL WHERE parent = {id}; DELETE FROM units WHERE id = {id}"),
        5 => "INSERT INTO units (site, name) SELECT id, E'a\\\\b' FROM sites ORDER BY id DESC LIMIT 2".to_owned(),
        6 => format!("DELETE FROM members WHERE site = {id}"),
        7 => format!("INSERT INTO members SELECT id, {owner}, 'x' FROM sites WHERE id = {id} ON CONFLICT DO NOTHING"),
        8 => format!("UPDATE heads SET tail = NULL WHERE tail = {id}; DELETE FROM tails WHERE id = {id}"),
        9 => format!("INSERT INTO log VALUES ('k{}', '2026-01-01', {owner})", id % 5),
        10 => format!("DELETE FROM log WHERE ctid = (SELECT ctid FROM log WHERE kind = 'k{}' LIMIT 1)", id % 5),
        11 => format!("UPDATE parts SET v = jsonb_build_object('n', {}) WHERE id = {id}", dice.up_to(3)),
        12 => format!("DELETE FROM parts WHERE id = {id}"),
        _ => format!("INSERT INTO parts VALUES ({id}, '{{\"n\": {id}}}') ON CONFLICT DO NOTHING"),
    }
}

#[tokio::test]
async fn random_writes_are_told_apart_as_their_net_effect_and_carried_back() {
    for seed in 1..=6 {
        let world = World::new();
        let before = world.rows(&world.target);
        let mut dice = Dice(seed);
        let statements: Vec<String> = (0..150).map(|_| random_statement(&mut dice)).collect();
        world.at_target(&statements.join(";\n"));
        let after = world.rows(&world.target);
        let mut expected: BTreeMap<(String, String), i64> = after;
        for (row, times) in before {
            *expected.entry(row).or_default() -= times;
        }
        expected.retain(|(table, _), times| *times != 0 && table != "units");

        let found = world.diff().await;
        let mut seen: BTreeMap<(String, String), i64> = BTreeMap::new();
        read(&found.file, |table, change| {
            let mut add = |row: &Option<Vec<u8>>, times: i64| {
                if let Some(row) = row {
                    let row = String::from_utf8(row.clone()).unwrap();
                    *seen.entry((table.table.name.clone(), row)).or_default() += times;
                }
            };
            add(&change.old, -1);
            add(&change.new, 1);
            Ok(())
        })
        .unwrap();
        seen.retain(|(table, _), _| table != "units");
        assert_eq!(seen, expected, "seed {seed}");
        assert_eq!(world.apply().await.unwrap().written, found.head.all(), "seed {seed}");
        world.must_be_equal().await;
        assert_eq!(world.apply().await.unwrap().written, 0, "seed {seed}");
    }
}
