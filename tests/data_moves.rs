//! Export, import and copy on the command line: planned, journalled, taken up again after a kill, undone by a rollback.

#![expect(clippy::disallowed_methods, reason = "tests start the program as a person would")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

#[path = "data_moves/faults.rs"]
mod faults;
#[path = "data_moves/interchange.rs"]
mod interchange;

use std::sync::Arc;

use cutover::adapter::database::Place;
use cutover::rows::filling::Filling;
use cutover::secret::Secret;
use cutover::step::RunTag;
use cutover::step::import_rows::ImportRows;
use serde_json::{Value, json};
use support::cluster::{self, Cluster};
use support::live::says;
use support::migration::Migration;

const SCHEMA: &str = "CREATE TABLE people (id uuid PRIMARY KEY, name text NOT NULL); \
    CREATE TABLE units (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner uuid REFERENCES people, \
      label text NOT NULL, price numeric(12,4) CHECK (price >= 0)); CREATE INDEX units_label ON units (label);";
const ROWS: &str = "INSERT INTO people SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'person ' || n \
      FROM generate_series(1, 20) n; \
    INSERT INTO units (owner, label, price) SELECT ('00000000-0000-4000-8000-' || lpad((1 + n % 20)::text, 12, '0'))::uuid, \
      'unit ' || n, n / 3.0 FROM generate_series(1, 500) n;";

/// A source with rows, a target with the same tables and none.
struct Case {
    migration: Migration,
    cluster: Arc<Cluster>,
}

impl Case {
    fn new(label: &str) -> Self {
        let cluster = cluster::shared();
        let migration = Migration::new(&cluster, label);
        cluster.sql(&migration.source, &format!("{SCHEMA} {ROWS}"));
        cluster.sql(&migration.target, SCHEMA);
        Self { migration, cluster }
    }

    /// With a frozen source and its export.
    fn exported(label: &str) -> Self {
        let case = Self::new(label);
        case.expect(0, &["data", "freeze", "--yes"]);
        case.expect(0, &["data", "export", "--yes"]);
        case
    }

    #[track_caller]
    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        self.migration.expect(code, arguments)
    }

    fn sql(&self, statements: &str) -> String {
        self.cluster.sql(&self.migration.target, statements)
    }

    fn counts(&self) -> String {
        self.sql("SELECT (SELECT count(*) FROM people) || ' ' || (SELECT count(*) FROM units)")
    }

    /// Every row of both tables of a database, as text.
    fn rows(&self, database: &str) -> String {
        let query = "SELECT string_agg(p::text, E'\\n' ORDER BY id) FROM people p; \
                     SELECT string_agg(u::text, E'\\n' ORDER BY id) FROM units u";
        self.cluster.sql(database, query)
    }

    #[track_caller]
    fn holds_what_the_source_holds(&self) {
        assert_eq!(self.rows(&self.migration.target), self.rows(&self.migration.source));
        self.expect(0, &["data", "verify"]);
    }
}

#[test]
fn an_export_is_a_run_with_a_table_of_what_moved_and_its_files_stay_after_it() {
    let case = Case::new("export");
    let text = case.expect(0, &["data", "export", "--dry-run"]);
    says(&text, &["the export of postgres@127.0.0.1", "export 2 tables", "people", "units"]);
    assert!(!case.migration.path("migration-data").exists(), "a dry run writes nothing");

    let text = case.expect(0, &["data", "export", "--yes"]);
    says(
        &text,
        &[
            "COMPLETE: the export of",
            "holds 520 rows of 2 tables, of one snapshot",
            "What moved",
            "TABLE",
            "units",
            "total 520",
        ],
    );
    let (result, code) = case.migration.json(&["data", "export", "--yes", "--table", "people", "--table", "units"]);
    assert_eq!(code, 0, "{result}");
    assert_eq!(result["moved"][0]["rows"]["rows"], json!(520));
    assert_eq!(result["moved"][0]["rows"]["tables"].as_array().unwrap().len(), 2);
    says(&case.expect(4, &["rollback", "--yes"]), &["nothing to undo"]);
    assert!(case.migration.path("migration-data/metadata.json").exists());
}

#[test]
fn an_export_takes_the_flags_of_the_old_scripts() {
    let case = Case::new("flags");
    let text =
        case.expect(0, &["data", "export", "--yes", "--output-dir", "elsewhere", "--table", "units", "--compress"]);
    says(&text, &["COMPLETE", "holds 500 rows of 1 table"]);
    assert!(case.migration.path("elsewhere/units.json.zst").exists());
    assert!(!case.migration.path("elsewhere/people.json").exists());
    says(
        &case.expect(4, &["data", "export", "--yes", "--output-dir", "elsewhere", "--table", "nothing"]),
        &["nothing"],
    );
}

#[test]
fn a_purge_removes_what_cutover_wrote_and_wants_its_phrase_for_the_tables() {
    let case = Case::new("purge");
    case.expect(0, &["data", "export", "--yes"]);
    std::fs::write(case.migration.path("migration-data/auth_secrets.json"), "[]").unwrap();
    std::fs::write(case.migration.path("migration-data/mine.txt"), "mine").unwrap();
    says(&case.expect(2, &["data", "purge"]), &["--yes"]);
    says(&case.expect(0, &["data", "purge", "--dry-run"]), &["would be removed from", "auth_secrets.json"]);
    let text = case.expect(0, &["data", "purge", "--all", "--dry-run"]);
    says(&text, &["units.json", "metadata.json", "mine.txt stays"]);
    assert!(case.migration.path("migration-data/auth_secrets.json").exists(), "a dry run removes nothing");
    says(&case.expect(0, &["data", "purge", "--yes"]), &["removed from", "auth_secrets.json"]);
    assert!(case.migration.path("migration-data/units.json").exists());
    says(&case.expect(2, &["data", "purge", "--all", "--yes"]), &["--confirm \"purge test\""]);
    let text = case.expect(0, &["data", "purge", "--all", "--confirm", "purge test"]);
    says(&text, &["units.json", "metadata.json", "mine.txt stays: it is not of an export of cutover"]);
    assert!(!case.migration.path("migration-data/units.json").exists());
}

#[test]
fn an_import_is_a_run_that_fills_the_target_and_a_rollback_empties_it_again() {
    let case = Case::exported("import");
    let before =
        case.sql("SELECT string_agg(indexdef, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'");
    let text = case.expect(0, &["data", "import", "--dry-run"]);
    says(&text, &["import 2 tables (520 rows", "total 520", "undo gives back everything"]);
    assert_eq!(case.counts(), "0 0");

    let text = case.expect(0, &["data", "import", "--yes", "--disable-fk"]);
    says(
        &text,
        &[
            "COMPLETE: the import of",
            "writes attempted",
            "holds 520 rows of 2 tables",
            "What moved",
            "total 520",
            "foreign keys: are set aside in any case",
        ],
    );
    case.holds_what_the_source_holds();
    says(&case.expect(0, &["data", "import", "--yes"]), &["COMPLETE", "holds 520 rows"]);

    case.expect(0, &["rollback", "--yes"]);
    assert_eq!(case.counts(), "0 0");
    let after =
        case.sql("SELECT string_agg(indexdef, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'");
    assert_eq!(after, before);
    // The source takes writes again after a rollback, so what was exported before says nothing any more.
    says(&case.expect(4, &["data", "import", "--yes"]), &["still takes writes"]);
    case.expect(0, &["data", "freeze", "--yes"]);
    says(&case.expect(4, &["data", "import", "--yes"]), &["export again"]);
    case.expect(0, &["data", "export", "--yes"]);
    case.expect(0, &["data", "import", "--yes"]);
    case.holds_what_the_source_holds();
}

#[test]
fn the_baselines_of_an_import_lie_where_its_journal_says() {
    let case = Case::exported("baseline");
    case.expect(0, &["data", "import", "--yes"]);
    let journal = case.migration.journal(3);
    let items = journal[0]["plan"]["items"].as_array().unwrap();
    let step = items.iter().map(|item| &item["action"]).find(|act| act["act"] == "import_rows").unwrap();
    let directory = step["options"]["filling"]["baselines"].as_str().unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["people.sidecar", "units.sidecar"]);
}

#[test]
fn a_copy_is_a_run_too_and_goes_back() {
    let case = Case::new("copy");
    says(&case.expect(4, &["data", "copy", "--yes"]), &["still takes writes", "cutover data freeze", "--live-source"]);
    let text = case.expect(0, &["data", "copy", "--dry-run"]);
    says(&text, &["it would be refused", "copy 2 tables"]);
    case.expect(0, &["data", "freeze", "--yes"]);
    let text = case.expect(0, &["data", "copy", "--yes"]);
    says(&text, &["COMPLETE: the copy of", "holds 520 rows of 2 tables", "What moved", "total 520"]);
    case.holds_what_the_source_holds();
    case.expect(0, &["rollback", "--yes"]);
    assert_eq!(case.counts(), "0 0");
}

#[test]
fn what_was_written_between_the_export_and_the_freeze_is_not_lost_in_silence() {
    let case = Case::new("older");
    case.expect(0, &["data", "export", "--yes"]);
    says(&case.expect(4, &["data", "import", "--yes"]), &["still takes writes", "--live-source"]);
    case.expect(0, &["data", "freeze", "--yes"]);
    says(&case.expect(4, &["data", "import", "--yes"]), &["before the source was frozen", "cutover data export"]);
    says(
        &case.expect(0, &["data", "import", "--yes", "--live-source"]),
        &["COMPLETE", "what is written there now is lost"],
    );
}

#[test]
fn a_target_with_rows_is_refused_and_emptied_only_under_a_fresh_backup_and_with_the_phrase() {
    let case = Case::exported("full");
    case.sql("INSERT INTO people VALUES ('10000000-0000-4000-8000-000000000001', 'somebody')");
    says(&case.expect(4, &["data", "import", "--yes"]), &["people holds rows", "--truncate-first"]);
    says(
        &case.expect(4, &["data", "import", "--yes", "--truncate-first"]),
        &["no verified backup", "cutover backup create"],
    );
    let (made, _) = case.migration.json(&["backup", "create"]);
    let id = made["backup"]["id"].as_str().unwrap().to_owned();
    says(&case.expect(2, &["data", "import", "--yes", "--truncate-first"]), &["--confirm \"data test\"", &id]);

    case.sql("INSERT INTO people VALUES ('10000000-0000-4000-8000-000000000002', 'somebody later')");
    let stale = ["data", "import", "--truncate-first", "--confirm", "data test"];
    let copy = ["data", "copy", "--truncate-first", "--confirm", "data test"];
    for ask in [&stale[..], &["data", "import", "--truncate-first", "--dry-run"], &copy] {
        says(&case.expect(4, ask), &["people has 2 rows, expected 1", "cutover backup create"]);
    }
    assert_eq!(case.counts(), "2 0", "nothing was removed");
    assert!(case.migration.journal(4).is_empty(), "no run was begun");

    case.expect(0, &["backup", "create", "--yes"]);
    says(&case.expect(0, &stale), &["COMPLETE"]);
    case.holds_what_the_source_holds();

    // The same again, over what was written since, is no more than the first time taken for done.
    case.sql("DELETE FROM people WHERE id = '10000000-0000-4000-8000-000000000001'; DELETE FROM units");
    let before = case.counts();
    let (made, _) = case.migration.json(&["backup", "create"]);
    let id = made["backup"]["id"].as_str().unwrap().to_owned();
    says(&case.expect(0, &stale), &["COMPLETE"]);
    case.holds_what_the_source_holds();
    let text = case.expect(0, &["rollback", "--confirm", "rollback test"]);
    says(&text, &["cutover backup restore", &id]);
    assert_eq!(case.counts(), "0 0");
    case.expect(0, &["backup", "restore", &id, "--yes"]);
    assert_eq!(case.counts(), before, "what was there before is there again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_written_between_the_plan_and_the_run_is_not_removed_under_the_backup_of_the_plan() {
    let case = Case::exported("between");
    case.expect(0, &["data", "import", "--yes"]);
    let runs = (1..9).flat_map(|run| case.migration.journal(run).into_iter().take(1));
    let items: Vec<Value> = runs.flat_map(|first| first["plan"]["items"].as_array().unwrap().clone()).collect();
    let act = items.iter().map(|item| &item["action"]).find(|act| act["act"] == "import_rows").unwrap();
    let step: ImportRows = serde_json::from_value(act.clone()).unwrap();
    // As it is when the plan is made, and one row more.
    case.sql("DELETE FROM units; DELETE FROM people WHERE id::text NOT LIKE '%07'");
    let (made, _) = case.migration.json(&["backup", "create"]);
    let backup_token = made["backup"]["id"].as_str().map(str::to_owned);
    let filling = &Filling { is_truncating_first: true, backup_token, ..step.options.filling.clone() };
    let side = tempfile::tempdir().unwrap();
    let run = RunTag { number: 9, epoch: 1, side: side.path().join("0009") };
    let place = Place::parse(&Secret::new(case.cluster.url(&case.migration.target)), None).unwrap();
    let identity = step.sides.identity.clone().unwrap();
    let begin = async || step.sides.begin(&place, filling, &run, "import_rows", identity.clone(), &|_| ()).await;
    case.sql("INSERT INTO people VALUES ('10000000-0000-4000-8000-000000000002', 'somebody later')");
    let error = begin().await.unwrap_err().to_string();
    assert!(error.contains("no longer holds what is there now: people has 2 rows, expected 1"), "{error}");
    case.sql("DELETE FROM people WHERE name = 'somebody later'");
    begin().await.unwrap();
}

#[test]
fn what_was_written_is_told_apart_after_an_import_of_some_tables_or_under_a_backup_as_well() {
    let case = Case::exported("baselines");
    case.expect(0, &["data", "import", "--yes", "--table", "people"]);
    case.sql(
        "UPDATE people SET name = 'changed' WHERE id::text LIKE '%07'; DELETE FROM people WHERE id::text LIKE '%08'",
    );
    let told = |case: &Case| {
        let (told, code) = case.migration.json(&["data", "diff"]);
        assert_eq!(code, 0, "{told}");
        let changes = &told["changes"];
        (changes["updated"].as_u64().unwrap(), changes["deleted"].as_u64().unwrap(), told["changes"].clone())
    };
    let (updated, deleted, changes) = told(&case);
    assert_eq!((updated, deleted, changes["tables"].as_array().unwrap().len()), (1, 1, 1), "{changes}");

    // The target records one filling: a second one of other tables would take the place of its record.
    let text = case.expect(4, &["data", "import", "--yes", "--table", "units"]);
    says(&text, &["an earlier import or copy filled people", "cutover rollback", "--table units,people"]);
    assert_eq!(case.counts(), "19 0");

    case.migration.json(&["backup", "create"]);
    case.expect(0, &["data", "import", "--truncate-first", "--confirm", "data test"]);
    says(&case.expect(0, &["data", "diff"]), &["NO CHANGES"]);
    case.sql("UPDATE units SET label = 'changed' WHERE id = 7; DELETE FROM units WHERE id = 8");
    // A table and a column that the baseline does not have are said and counted.
    case.sql(
        "CREATE TABLE extra (a int); INSERT INTO extra VALUES (1), (2); CREATE TABLE empty (a int); \
              ALTER TABLE people ADD note text; UPDATE people SET note = 'x' WHERE id::text LIKE '%03'",
    );
    let (updated, deleted, changes) = told(&case);
    assert_eq!((updated, deleted), (1, 1), "{changes}");
    let beside = changes["notInTheBaseline"].as_array().unwrap();
    let words: Vec<&str> = beside.iter().map(|one| one["words"].as_str().unwrap()).collect();
    assert_eq!(words.len(), 2, "{words:?}");
    let text = case.expect(0, &["data", "diff"]);
    says(
        &text,
        &["NOTE: the table extra of the target (2 rows) is not in the baseline", "(note; 1 row with something"],
    );
    let narrowed = case.expect(0, &["data", "diff", "--table", "units"]);
    assert!(!narrowed.contains("extra"), "{narrowed}");

    // A rollback does not pass them by in silence either.
    let text = case.expect(0, &["rollback", "--confirm", "rollback test"]);
    says(&text, &["What is left", "the table extra of the target (2 rows)", "the rows stay in the target"]);
    assert_eq!(case.sql("SELECT count(*) FROM extra"), "2");
}

#[test]
fn the_status_tells_what_is_frozen_what_was_filled_and_by_which_run() {
    let case = Case::exported("standing");
    let (source, target) = (&case.migration.source, &case.migration.target);
    says(
        &case.expect(0, &["status"]),
        &[&format!("{source} refuses every write since"), "by run 1", "cutover data unfreeze"],
    );
    case.expect(0, &["data", "import", "--yes"]);
    let text = case.expect(0, &["status"]);
    says(&text, &[&format!("{target} was filled, by run 3"), "cutover data diff"]);
    case.expect(0, &["rollback", "--yes"]);
    let (status, _) = case.migration.json(&["status"]);
    let rows = status["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{status}");
    assert_eq!((&rows[0]["what"], &rows[0]["run"]), (&json!("frozen"), &json!(4)), "{status}");
    assert!(rows[0]["place"].as_str().unwrap().ends_with(target), "{status}");
    says(&case.expect(0, &["status"]), &["cutover data unfreeze --of target"]);
}

#[test]
fn a_runbook_over_a_target_that_holds_rows_is_refused_before_the_source_is_frozen() {
    let case = Case::new("booked");
    let book = "schema = \"cutover/runbook/v1\"\nname = \"night\"\ntitle = \"A night\"\n[[phase]]\nname = \"one\"\n\
                title = \"One\"\n[[phase.entry]]\nstep = \"freeze\"\n";
    for entries in [
        "[[phase.entry]]\nstep = \"export\"\n[[phase.entry]]\nstep = \"import\"\n",
        "[[phase.entry]]\nstep = \"copy\"\n",
    ] {
        std::fs::write(case.migration.path("night.toml"), format!("{book}{entries}")).unwrap();
        case.sql(ROWS);
        let text = case.expect(4, &["run", "night.toml", "--yes"]);
        says(&text, &["the table people of the target", "holds rows", "cutover rollback", "--truncate-first"]);
        assert!(!case.migration.path("state/runs").exists(), "no run was begun");
        case.sql("TRUNCATE people, units");
        case.expect(0, &["run", "night.toml", "--dry-run"]);
    }
    let text = case.expect(0, &["data", "connections"]);
    assert!(!text.contains("only empty tables"), "{text}");
    case.sql(ROWS);
    says(&case.expect(0, &["data", "connections"]), &["people holds some, and only empty tables are filled"]);
}

#[test]
fn a_backup_whose_trial_the_role_may_not_make_is_refused_with_the_statement_that_lets_it() {
    let mut case = Case::new("weak");
    let (cluster, name) = (&case.cluster, case.migration.target.clone());
    cluster.sql(
        "postgres",
        &format!("CREATE ROLE weak_{name} LOGIN PASSWORD 'w'; ALTER DATABASE {name} OWNER TO weak_{name}"),
    );
    let url = cluster.url_of(&format!("weak_{name}"), "w", &name);
    case.migration.set("TARGET_URL", &url);
    says(&case.expect(4, &["backup", "create"]), &["ALTER ROLE", &format!("weak_{name}"), "CREATEDB"]);
    assert!(!case.migration.path("state/backups").exists(), "nothing was dumped");
    let book = "schema = \"cutover/runbook/v1\"\nname = \"night\"\ntitle = \"A night\"\n[[phase]]\nname = \"one\"\n\
                title = \"One\"\n[[phase.entry]]\nstep = \"backup\"\n";
    std::fs::write(case.migration.path("night.toml"), book).unwrap();
    says(&case.expect(4, &["run", "night.toml", "--yes"]), &["ALTER ROLE", "CREATEDB"]);
    assert!(!case.migration.path("state/runs").exists(), "no run was begun");
}

#[test]
fn a_row_that_the_target_refuses_leaves_it_as_it_was_and_the_run_says_so() {
    let case = Case::exported("refused");
    case.sql("ALTER TABLE units ADD CONSTRAINT cheap CHECK (price < 166)");
    let text = case.expect(7, &["data", "import", "--yes"]);
    says(&text, &["FAILED AND ROLLED BACK", "units.json, row 4", "cheap", "the target is as it was"]);
    assert_eq!(case.counts(), "0 0");
}

#[test]
fn ids_without_an_account_are_refused_and_pass_by_the_name_of_their_column() {
    let mut case = Case::exported("unmapped");
    let url = "http://127.0.0.1:9/";
    case.migration.configure(&format!(
        "[data]\nuser_columns = {{ people = [\"id\"], units = [\"owner\"] }}\n[users]\nprovider = \"stack-auth\"\n\
         base_url = \"{url}\"\nproject_id_env = \"P\"\nsecret_key_env = \"K\"\n"
    ));
    case.migration.set("P", "project");
    case.migration.set("K", "key-of-the-project");
    says(
        &case.expect(4, &["data", "import", "--yes"]),
        &["user-mapping.json", "cutover data users", "--without-mapping"],
    );
    let old = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
    let mapped: Vec<Value> = (1..20)
        .map(|n| json!({ "supabaseUserId": old(n), "stackAuthUserId": format!("90000000-0000-4000-8000-{n:012}"), "email": null, "migratedAt": "2026-11-21T00:00:00Z" }))
        .collect();
    let mapping =
        json!({ "generatedAt": "2026-11-21T00:00:00Z", "retainUntil": "2027-11-21T00:00:00Z", "mappings": mapped });
    std::fs::write(case.migration.path("migration-data/user-mapping.json"), mapping.to_string()).unwrap();
    for ask in [&["data", "import", "--yes"][..], &["data", "import", "--dry-run"]] {
        says(&case.expect(4, ask), &["people.json", "units.json", &old(20), "data.unmapped"]);
    }
    let allowed = ["data", "import", "--yes", "--allow-unmapped", "people.id,units.owner"];
    says(&case.expect(0, &allowed), &["COMPLETE", "keep an id without an account"]);
    assert_eq!(case.sql("SELECT count(*) FROM units WHERE owner::text LIKE '9%'"), "475");
}

#[test]
fn the_user_columns_that_an_export_wrote_down_are_used_by_import_and_verification_without_any_key() {
    let cluster = cluster::shared();
    let migration = Migration::new(&cluster, "columns");
    let id = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
    cluster.sql(
        &migration.source,
        &format!(
            "CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY, email text); \
             CREATE TABLE profiles (user_id uuid PRIMARY KEY REFERENCES auth.users, name text); \
             INSERT INTO auth.users VALUES ('{0}', 'a@example.com'); INSERT INTO profiles VALUES ('{0}', 'a')",
            id(1)
        ),
    );
    cluster.sql(&migration.target, "CREATE TABLE profiles (user_id uuid PRIMARY KEY, name text)");
    migration.expect(0, &["data", "freeze", "--yes"]);
    migration.expect(0, &["data", "export", "--yes"]);
    let user = json!({ "supabaseUserId": id(1), "stackAuthUserId": id(91), "email": "a@example.com",
                       "migratedAt": "2026-11-21T00:00:00Z" });
    let mapping =
        json!({ "generatedAt": "2026-11-21T00:00:00Z", "retainUntil": "2027-11-21T00:00:00Z", "mappings": [user] });
    std::fs::write(migration.path("migration-data/user-mapping.json"), mapping.to_string()).unwrap();
    migration.expect(0, &["data", "import", "--yes"]);
    assert_eq!(cluster.sql(&migration.target, "SELECT user_id FROM profiles"), id(91));
    says(&migration.expect(0, &["data", "verify", "--files"]), &["THE SAME"]);
    says(&migration.expect(0, &["data", "verify"]), &["THE SAME"]);
    cluster.sql(&migration.target, &format!("UPDATE profiles SET user_id = '{}'", id(1)));
    says(&migration.expect(4, &["data", "verify", "--files"]), &["DIFFERENT", &id(91)]);
}
