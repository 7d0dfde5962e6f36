//! Files into the target, as a plain owner: every row arrives as it was, or the target stays as it was.

#![allow(clippy::disallowed_methods, reason = "tests start servers as a person would")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cutover::adapter::database::Place;
use cutover::adapter::files;
use cutover::data::catalog::{Catalog, TableName};
use cutover::data::digest::{self, Sum};
use cutover::data::json_rows::{BETWEEN, CLOSING, EMPTY, Encoder, OPENING};
use cutover::data::metadata::{Metadata, SCHEMA, TableMetadata};
use cutover::data::patterns::Patterns;
use cutover::rows::catalog;
use cutover::rows::filling::Filling;
use cutover::rows::import::{self, ImportState, Imported, Options};
use cutover::secret::Secret;
use support::cluster::Cluster;
use support::odd::{self, ROLE, ROLE_PASSWORD};
use support::slow_file::SlowFile;
use tempfile::TempDir;

/// Files, and a target for them.
struct Case {
    cluster: Arc<Cluster>,
    source: String,
    target: String,
    directory: TempDir,
}

/// What is compared to see that a target is as it was.
type Whole = (String, String);

impl Case {
    /// A source with this schema and rows, exported, and a target with the schema alone.
    async fn new(label: &str, schema: &str) -> Self {
        Self::on(odd::shared(), label, schema).await
    }

    async fn on(cluster: Arc<Cluster>, label: &str, schema: &str) -> Self {
        let source = odd::database(&cluster, label);
        odd::sql(&cluster, &source, schema);
        let target = odd::make_target(&cluster, &source, &format!("{label}_to"));
        let case = Self { cluster, source, target, directory: TempDir::new().unwrap() };
        std::fs::create_dir(case.files()).unwrap();
        case.export().await;
        case
    }

    fn files(&self) -> PathBuf {
        self.directory.path().join("migration-data")
    }

    fn place(&self, database: &str) -> Place {
        Place::parse(&Secret::new(self.cluster.url_of(ROLE, ROLE_PASSWORD, database)), None).unwrap()
    }

    fn options(&self) -> Options {
        let state = self.directory.path().join("state");
        std::fs::create_dir_all(&state).unwrap();
        Options { directory: self.files(), filling: Filling { state, workers: 3, ..Filling::default() }, checked: None }
    }

    async fn catalog(&self) -> Catalog {
        let session = self.place(&self.source).connect("test").await.unwrap();
        let patterns = Patterns::parse(&["public.*"], &[] as &[&str]).unwrap();
        catalog::read(&session, &patterns, &TableName::new("auth", "users")).await.unwrap()
    }

    /// Writes the files as an export does.
    async fn export(&self) {
        let catalog = self.catalog().await;
        let mut metadata =
            Metadata { schema: Some(SCHEMA.into()), sequences: catalog.sequences, ..Metadata::default() };
        for table in &catalog.tables {
            let pinned = cutover::adapter::database::PINNED.replace("row_security=off", "row_security=on");
            let copy = format!("{pinned}; COPY (SELECT {} FROM {}) TO STDOUT", table.column_list(), table.source());
            let text = self.cluster.sql(&self.source, &copy);
            let columns: Vec<String> = table.moved().map(|column| column.name.clone()).collect();
            let encoder = Encoder::new(columns.iter().map(String::as_str));
            let (mut json, mut sum) = (OPENING.to_vec(), Sum::default());
            for row in text.lines().filter(|_| !text.is_empty()) {
                if sum.rows > 0 {
                    json.extend_from_slice(BETWEEN);
                }
                encoder.row(row.as_bytes(), &mut json).unwrap();
                sum.add(digest::of_row(row.as_bytes()));
            }
            json.extend_from_slice(CLOSING);
            if sum.rows == 0 {
                json = EMPTY.to_vec();
            }
            let file = format!("{}.json", table.name.stem());
            std::fs::write(self.files().join(&file), &json).unwrap();
            let known = TableMetadata {
                table: Some(table.name.clone()),
                file: Some(file),
                row_count: Some(sum.rows),
                bytes: Some(json.len() as u64),
                sha256: Some(files::sha256(&json)),
                columns,
                export_method: Some("cutover copy".into()),
                digest: Some(sum),
                ..TableMetadata::default()
            };
            metadata.tables.insert(table.name.stem(), known);
        }
        self.write_metadata(&metadata);
    }

    fn write_metadata(&self, metadata: &Metadata) {
        files::write_json(&self.files().join("metadata.json"), metadata, 0o600).unwrap();
    }

    /// Changes a file's text, and `metadata.json` with it, as if it had been exported so.
    fn edit(&self, stem: &str, rows: i64, edit: impl Fn(String) -> String) {
        let path = self.files().join(format!("{stem}.json"));
        let text = edit(std::fs::read_to_string(&path).unwrap());
        std::fs::write(&path, &text).unwrap();
        let mut metadata: Metadata = files::read_json(&self.files().join("metadata.json")).unwrap();
        let known = metadata.tables.get_mut(stem).unwrap();
        known.sha256 = Some(files::sha256(text.as_bytes()));
        known.bytes = Some(text.len() as u64);
        known.digest = None;
        known.row_count = known.row_count.map(|count| count.checked_add_signed(rows).unwrap());
        self.write_metadata(&metadata);
    }

    async fn import(&self, options: &Options) -> anyhow::Result<Imported> {
        self.import_saying(options, &|_| {}).await
    }

    async fn import_saying(&self, options: &Options, say: &(dyn Fn(String) + Sync)) -> anyhow::Result<Imported> {
        import::import(&self.place(&self.target), options, say).await
    }

    async fn state(&self, options: &Options) -> ImportState {
        let identity = import::identity(options, &|_| ()).await.unwrap();
        import::state(&self.place(&self.target), &options.filling, &identity).await.unwrap()
    }

    async fn undo(&self, options: &Options) {
        import::undo(&self.place(&self.target), &options.filling, &|_| {}).await.unwrap();
    }

    fn whole(&self) -> Whole {
        (odd::schema_of(&self.cluster, &self.target), odd::content_of(&self.cluster, &self.target))
    }

    /// Sees that the target is as it was, and holds nothing of ours.
    fn is_as_it_was(&self, before: &Whole) {
        let after = self.whole();
        odd::same(&after.0, &before.0);
        odd::same(&after.1, &before.1);
        assert_eq!(self.cluster.sql(&self.target, "SELECT to_regnamespace('_cutover') IS NULL"), "t");
    }

    fn holds_what_the_source_holds(&self, schema: &str) {
        let after = self.whole();
        odd::same(&after.1, &odd::content_of(&self.cluster, &self.source));
        odd::same(&after.0, schema);
    }

    /// An import that must fail and leave the target as it was.
    async fn fails(&self, options: &Options) -> String {
        let before = self.whole();
        let error = format!("{:#}", self.import(options).await.unwrap_err());
        self.is_as_it_was(&before);
        error
    }
}

/// Two tables and a foreign key, with rows enough for several chunks.
const SHOP: &str = "CREATE TABLE guarded (id int);
    CREATE TABLE shops (id int PRIMARY KEY, owner uuid, name text NOT NULL);
    CREATE TABLE sales (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shop int NOT NULL REFERENCES shops,
      what text, price numeric(8,2) CONSTRAINT price_is_paid CHECK (price > 0), CONSTRAINT once UNIQUE (shop, what));
    CREATE INDEX sales_what ON sales (what);
    INSERT INTO shops SELECT i, CASE WHEN i % 5 > 0 THEN ('00000000-0000-4000-8000-' || lpad((i % 3)::text, 12, '0'))::uuid END, 'shop ' || i
      FROM generate_series(1, 40) i;
    INSERT INTO sales (shop, what, price) SELECT 1 + i % 40, 'thing ' || i || repeat('x', 300), 1 + i % 9 FROM generate_series(1, 30000) i;";

/// What was done, without how long it took: a number of seconds may lose its last bit in a record.
fn timeless(imported: &Imported) -> Imported {
    let mut imported = imported.clone();
    imported.seconds = 0.0;
    imported.tables.iter_mut().for_each(|table| table.seconds = 0.0);
    imported
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_schema_comes_back_from_its_files_row_for_row() {
    let case = Case::new("odd", &format!("{} SELECT setval('alone', 41);", odd::SCHEMA)).await;
    let (schema, _) = case.whole();
    let imported = case.import(&case.options()).await.unwrap();
    case.holds_what_the_source_holds(&schema);
    assert!(
        matches!(case.state(&case.options()).await, ImportState::Complete { imported: done, .. } if timeless(&done) == timeless(&imported))
    );
    assert_eq!(case.import(&case.options()).await.unwrap(), imported);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_taken_back_leaves_the_target_as_it_was() {
    let case = Case::new("back", odd::SCHEMA).await;
    let before = case.whole();
    case.import(&case.options()).await.unwrap();
    case.undo(&case.options()).await;
    case.is_as_it_was(&before);
    assert_eq!(case.state(&case.options()).await, ImportState::Untouched);
    case.undo(&case.options()).await;
    case.import(&case.options()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_value_in_the_last_row_is_named_and_takes_everything_back() {
    let case = Case::new("last", SHOP).await;
    case.edit("sales", 0, |text| {
        let at = text.rfind("\"price\":\"").unwrap();
        let end = at + text[at + 9..].find('"').unwrap() + 9;
        format!("{}\"price\":\"dear{}", &text[..at], &text[end..])
    });
    let error = case.fails(&case.options()).await;
    assert!(
        error.contains("sales.json, row 30000, column price: invalid input syntax for type numeric: \"dear\""),
        "{error}"
    );
    assert!(error.contains("the target is as it was"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_violated_constraint_is_named_whether_it_is_seen_while_loading_or_when_it_comes_back() {
    let case = Case::new("constraint", SHOP).await;
    let original = std::fs::read_to_string(case.files().join("sales.json")).unwrap();
    let with_last = |row: &str| original.replace("\n]\n", &format!(",\n{row}\n]\n"));
    let bad = |id: &str, shop: &str, what: &str, price: &str| {
        format!(r#"{{"id":"{id}","shop":{shop},"what":"{what}","price":"{price}"}}"#)
    };
    for (row, expected) in [
        (bad("30001", "\"1\"", "a", "-1"), vec!["row 30001", "price_is_paid"]),
        (bad("30001", "null", "a", "1"), vec!["row 30001", "shop", "null value"]),
        (bad("7", "\"1\"", "a", "1"), vec!["primary key sales_pkey of sales", "(id) = (7) stands 2 times"]),
        (
            bad("30001", "\"77\"", "a", "1"),
            vec!["foreign key sales_shop_fkey of sales", "(shop) = (77) is not in shops"],
        ),
    ] {
        let text = with_last(&row);
        case.edit("sales", 0, |_| text.clone());
        let mut metadata: Metadata = files::read_json(&case.files().join("metadata.json")).unwrap();
        metadata.tables.get_mut("sales").unwrap().row_count = Some(30_001);
        case.write_metadata(&metadata);
        let error = case.fails(&case.options()).await;
        assert!(expected.iter().all(|part| error.contains(part)), "{expected:?} in {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_off_or_edited_is_refused_before_anything_changes() {
    let case = Case::new("edited", SHOP).await;
    let path = case.files().join("sales.json");
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    let error = case.fails(&case.options()).await;
    assert!(error.contains("sales.json: is") && error.contains("cut off or edited"), "{error}");
    let edited = String::from_utf8(text.clone()).unwrap().replacen("thing 7", "thing 8", 1);
    std::fs::write(&path, edited).unwrap();
    let error = case.fails(&case.options()).await;
    assert!(error.contains("sales.json: was edited since it was exported"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = case.fails(&case.options()).await;
    assert!(error.contains("names sales, but its file is missing"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_it_is_is_said_while_files_are_checked() {
    let case = Case::new("slow", SHOP).await;
    let (say, given) = SlowFile::instead_of(&case.files().join("shops.json")).after(" checked, ");
    import::checked(&case.place(&case.target), &case.options(), &say).await.unwrap();
    let line = given.join().unwrap();
    assert!(line.contains(" %, ") && line.ends_with(" left"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_it_is_is_said_while_files_of_other_tools_are_told_from_others() {
    let case = Case::new("foreign", SHOP).await;
    // Nothing says what is in the files, as with other tools.
    std::fs::remove_file(case.files().join("metadata.json")).unwrap();
    let known = import::identity(&case.options(), &|_| ()).await.unwrap();
    let path = case.files().join("shops.json");
    let (say, given) = SlowFile::instead_of(&path).after(" read to know the files again, ");
    assert_eq!(import::identity(&case.options(), &say).await.unwrap(), known, "the same files are known by the same");
    let line = given.join().unwrap();
    assert!(line.contains(" %, ") && line.ends_with(" left"), "{line}");
}

fn mapping(case: &Case, ids: &[u32]) -> PathBuf {
    let id = |number: u32, kind: u32| format!("0000000{kind}-0000-4000-8000-{number:012}");
    let users: Vec<_> = ids
        .iter()
        .map(|number| serde_json::json!({"supabaseUserId": id(*number, 0).to_uppercase(), "stackAuthUserId": id(*number, 9), "migratedAt": ""}))
        .collect();
    let file = serde_json::json!({"generatedAt": "", "retainUntil": "", "mappings": users});
    let path = case.files().join("user-mapping.json");
    files::write_json(&path, &file, 0o600).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn user_ids_are_mapped_and_one_without_an_account_is_refused_unless_its_column_allows_it() {
    let case = Case::new("mapped", SHOP).await;
    let mut options = case.options();
    options.filling.user_columns = BTreeMap::from([("shops".into(), vec!["owner".into()])]);
    options.filling.mapping = Some(mapping(&case, &[0, 1]));
    let error = case.fails(&options).await;
    let expected =
        "shops.json: column owner: 10 rows with an id that has no account (00000000-0000-4000-8000-000000000002 …)";
    assert!(error.contains(expected), "{error}");
    options.filling.unmapped = options.filling.user_columns.clone();
    case.import(&options).await.unwrap();
    let counts = "SELECT left(owner::text, 8), count(*) FROM shops GROUP BY 1 ORDER BY 1";
    assert_eq!(case.cluster.sql(&case.target, counts), "00000000|10\n00000009|22\n|8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_holds_rows_is_refused_and_emptied_only_with_a_backup() {
    let case = Case::new("full", SHOP).await;
    odd::sql(
        &case.cluster,
        &case.target,
        "INSERT INTO shops VALUES (1, NULL, 'old'); INSERT INTO sales (shop) VALUES (1)",
    );
    let (mut options, (schema, _)) = (case.options(), case.whole());
    let error = case.fails(&options).await;
    assert!(error.contains("the target's table s") && error.contains("holds rows"), "{error}");
    options.filling.is_truncating_first = true;
    let error = case.fails(&options).await;
    assert!(error.contains("token of a verified backup"), "{error}");
    options.filling.backup_token = Some("seen".into());
    // A row of another table that came after the plan was made.
    odd::sql(
        &case.cluster,
        &case.target,
        "CREATE TABLE visits (id int, shop int REFERENCES shops); INSERT INTO visits VALUES (1, 1)",
    );
    let error = case.fails(&options).await;
    assert!(error.contains("is to be emptied, and visits holds rows: name it too"), "{error}");
    odd::sql(&case.cluster, &case.target, "DROP TABLE visits");
    case.import(&options).await.unwrap();
    case.holds_what_the_source_holds(&schema);
}

// The first one holds a thread of the runtime while the second one is asked: on a machine of one core, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_import_at_the_same_time_is_refused_and_told_who_is_there() {
    let case = Case::new("two", SHOP).await;
    let mut options = case.options();
    options.filling.session = "cutover run 7 epoch 1".into();
    let (told, hears) = std::sync::mpsc::channel();
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let waits = std::sync::Mutex::new(waits);
    let say = move |line: String| {
        if line.starts_with("shops: 40 rows") {
            told.send(()).unwrap();
            waits.lock().unwrap().recv().unwrap();
        }
    };
    let (target, one) = (case.place(&case.target), options.clone());
    let first = tokio::spawn(async move { import::import(&target, &one, &say).await });
    tokio::task::spawn_blocking(move || hears.recv().unwrap()).await.unwrap();
    options.filling.session = "cutover".into();
    let error = format!("{:#}", case.import(&options).await.unwrap_err());
    assert!(error.contains("is under way: \"cutover run 7 epoch 1\" from 127.0.0.1"), "{error}");
    go_on.send(()).unwrap();
    first.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_not_those_that_were_told_take_everything_back() {
    let case = Case::new("told", SHOP).await;
    // The file is whole, and yet its rows are not what metadata.json says of them.
    case.edit("shops", 1, |text| text);
    let error = case.fails(&case.options()).await;
    assert!(error.contains("shops.json: 40 rows came in, but metadata.json says 41"), "{error}");
    case.edit("shops", -1, |text| text);
    let mut metadata: Metadata = files::read_json(&case.files().join("metadata.json")).unwrap();
    let mut others = Sum::default();
    (0..30_000).for_each(|_| others.add(7));
    metadata.tables.get_mut("sales").unwrap().digest = Some(others);
    case.write_metadata(&metadata);
    let error = case.fails(&case.options()).await;
    let expected = "sales.json: the digest of the rows that came in is not that of metadata.json";
    assert!(error.contains(expected), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_somebody_else_writes_meanwhile_is_found_out_and_takes_everything_back() {
    let case = Case::new("meanwhile", SHOP).await;
    let before = case.whole();
    let row = "INSERT INTO shops VALUES (1000, NULL, 'somebody')";
    let say = once(|| drop(case.cluster.sql(&case.target, row)));
    let error = format!("{:#}", case.import_saying(&case.options(), &say).await.unwrap_err());
    assert!(error.contains("shops holds 41 rows after 40 were loaded: somebody else writes"), "{error}");
    case.is_as_it_was(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_came_to_point_to_an_import_keep_it_from_being_taken_back() {
    let case = Case::new("pointed", SHOP).await;
    let before = case.whole();
    case.import(&case.options()).await.unwrap();
    let visits = "CREATE TABLE visits (id int, shop int REFERENCES shops); INSERT INTO visits VALUES (1, 1)";
    odd::sql(&case.cluster, &case.target, visits);
    let filled = case.whole();
    let undone = import::undo(&case.place(&case.target), &case.options().filling, &|_| {}).await;
    let error = format!("{:#}", undone.unwrap_err());
    assert!(error.contains("cannot empty the tables of the target"), "{error}");
    let after = case.whole();
    odd::same(&after.1, &filled.1);
    odd::same(&after.0, &filled.0);
    odd::sql(&case.cluster, &case.target, "DROP TABLE visits");
    case.undo(&case.options()).await;
    case.is_as_it_was(&before);
}

/// Says that something is to be done once, when the rows of `shops` are in, the last table.
fn once(what: impl Fn() + Sync) -> impl Fn(String) + Sync {
    let is_done = std::sync::atomic::AtomicBool::new(false);
    move |line| {
        if line.starts_with("shops: 40 rows") && !is_done.swap(true, std::sync::atomic::Ordering::SeqCst) {
            what();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_connections_were_cut_goes_on_or_is_taken_back() {
    let case = Case::new("cut", SHOP).await;
    let (options, before) = (case.options(), case.whole());
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'cutover' AND datname = current_database()";
    for is_taken_back in [true, false] {
        let say = once(|| drop(case.cluster.sql(&case.target, cut)));
        let error = case.import_saying(&options, &say).await.unwrap_err();
        assert!(import::is_interrupted(&error), "{error:#}");
        assert_eq!(case.state(&options).await, ImportState::Partial);
        if is_taken_back {
            case.undo(&options).await;
            case.is_as_it_was(&before);
        } else {
            let imported = case.import(&options).await.unwrap();
            assert_eq!(imported.tables.iter().map(|table| table.rows).sum::<u64>(), 30_040);
            case.holds_what_the_source_holds(&before.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_after_the_server_crashed_in_its_middle() {
    let own = Arc::new(Cluster::new(&[]));
    odd::make_role(&own);
    let case = Case::on(Arc::clone(&own), "crash", SHOP).await;
    let (options, before) = (case.options(), case.whole());
    // A crash makes a sequence skip values, also that of the source.
    let expected = odd::content_of(&own, &case.source);
    let say = once(|| {
        own.stop("immediate");
        own.start();
    });
    let error = case.import_saying(&options, &say).await.unwrap_err();
    assert!(import::is_interrupted(&error), "{error:#}");
    case.import(&options).await.unwrap();
    odd::same(&case.whole().1, &expected);
    odd::same(&case.whole().0, &before.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_reads_everything_and_changes_nothing() {
    let case = Case::new("dry", SHOP).await;
    let (mut options, before) = (case.options(), case.whole());
    options.filling.is_dry_run = true;
    let planned = case.import(&options).await.unwrap();
    assert_eq!(planned.tables.iter().map(|table| table.rows).sum::<u64>(), 30_040);
    case.is_as_it_was(&before);
    case.edit("shops", 0, |text| text.replacen("\"name\":\"shop 3\"", "\"nam\":\"shop 3\"", 1));
    let error = case.fails(&options).await;
    assert!(error.contains("shops.json, row 3") && error.contains("nam"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_tools_are_imported_and_what_was_not_checked_is_said() {
    let case = Case::new("foreign", "CREATE TABLE guarded (id int); CREATE TABLE units (id serial PRIMARY KEY, n numeric, ok boolean, tags text[], data jsonb, at timestamptz);").await;
    for entry in std::fs::read_dir(case.files()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let rows = r#"[
      {"id": 1, "n": 12345678901234567890.10, "ok": true, "tags": ["a,b", null], "data": {"x": [1, 2]}, "at": "2026-01-23T00:00:00.123Z"},
      {"id": 7, "n": null, "ok": false, "tags": [], "data": "text", "at": null}
    ]"#;
    std::fs::write(case.files().join("units.json"), rows).unwrap();
    std::fs::write(
        case.files().join("metadata.json"),
        r#"{"exportedAt":"2026-01-23T00:00:00Z","tables":{"units":{"rowCount":2}}}"#,
    )
    .unwrap();
    let imported = case.import(&case.options()).await.unwrap();
    let seen = "SET TimeZone = 'UTC'; SELECT * FROM units ORDER BY id; SELECT nextval('units_id_seq')";
    let expected =
        "1|12345678901234567890.10|t|{\"a,b\",NULL}|{\"x\": [1, 2]}|2026-01-23 00:00:00.123+00\n7||f|{}|\"text\"|\n8";
    assert_eq!(case.cluster.sql(&case.target, seen), expected);
    assert!(imported.concerns.iter().any(|line| line.contains("no SHA-256 is known of it")), "{:?}", imported.concerns);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_baseline_holds_every_row_once_also_after_an_interruption() {
    let case = Case::new("baseline", SHOP).await;
    let mut options = case.options();
    let directory = case.directory.path().join("baseline");
    std::fs::create_dir(&directory).unwrap();
    options.filling.baselines = Some(directory.clone());
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'cutover' AND datname = current_database()";
    let say = once(|| drop(case.cluster.sql(&case.target, cut)));
    assert!(import::is_interrupted(&case.import_saying(&options, &say).await.unwrap_err()));
    let imported = case.import(&options).await.unwrap();
    for table in &imported.tables {
        assert_eq!(baseline(&directory, &table.table), table.digest.unwrap());
        let file = std::fs::File::open(directory.join(format!("{}.sidecar", table.table.stem()))).unwrap();
        let key = cutover::data::sidecar::Reader::new(file).unwrap().heading.key.clone();
        let has_key = table.table.name != "guarded";
        assert_eq!(key.len(), usize::from(has_key), "keys are set aside while it goes on, and are keys all the same");
    }
}

fn baseline(directory: &Path, table: &TableName) -> Sum {
    let file = std::fs::File::open(directory.join(format!("{}.sidecar", table.stem()))).unwrap();
    let mut reader = cutover::data::sidecar::Reader::new(file).unwrap();
    while reader.next_pair().unwrap().is_some() {}
    reader.sum()
}
