//! The seeds' runbooks as they are kept in the project: valid, rendered, and carried out against real databases.

use std::path::Path;
use std::sync::Arc;

use crate::support::cluster::{self, Cluster};
use crate::support::legacy;
use crate::support::live::says;
use crate::support::migration::Migration;
use crate::support::stack_auth;

const BOOKS: [&str; 6] = [
    "readiness",
    "freeze-export-users",
    "supabase-to-convex",
    "staging-and-production",
    "data-migration",
    "supabase-to-postgres",
];

fn book(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks").join(format!("{name}.toml")).display().to_string()
}

const TABLES: &str = "CREATE TABLE notes (id int PRIMARY KEY, user_id uuid NOT NULL, words text);";

struct Case {
    migration: Migration,
    cluster: Arc<Cluster>,
    service: stack_auth::Double,
}

impl Case {
    async fn new(label: &str) -> Self {
        let service = stack_auth::Double::start(stack_auth::Setup::default()).await;
        let cluster = cluster::shared();
        let mut migration = Migration::new(&cluster, label);
        cluster.sql(&migration.source, &format!(
            "{} {TABLES} INSERT INTO notes SELECT n, ('00000000-0000-4000-8000-' || lpad((1 + n % 5)::text, 12, '0'))::uuid, \
             'note ' || n FROM generate_series(1, 200) n",
            legacy::auth(1..=5)
        ));
        cluster.sql(&migration.target, TABLES);
        let setup = stack_auth::Setup::default();
        migration.configure(&format!(
            "[data]\nuser_columns = {{ notes = [\"user_id\"] }}\n[users]\nprovider = \"stack-auth\"\nbase_url = \"{}\"\n\
             project_id_env = \"PROJECT\"\nsecret_key_env = \"KEY\"\nrate = 1000\n",
            service.url
        ));
        migration.set("PROJECT", &setup.project);
        migration.set("KEY", &setup.key);
        Self { migration, cluster, service }
    }

    #[track_caller]
    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        self.migration.expect(code, arguments)
    }

    /// Passes a checkpoint and goes on.
    #[track_caller]
    fn pass(&self, signal: &str, confirms: &str, code: i32) -> String {
        self.expect(0, &["approve", signal, "--confirms", confirms]);
        self.expect(code, &["resume"])
    }

    fn source(&self, sql: &str) -> String {
        self.cluster.sql(&self.migration.source, sql)
    }

    fn target(&self, sql: &str) -> String {
        self.cluster.sql(&self.migration.target, sql)
    }
}

#[test]
fn every_runbook_of_the_project_is_valid_and_its_page_says_what_it_does() {
    let migration = Migration::new(&cluster::shared(), "pages");
    for name in BOOKS {
        says(&migration.expect(0, &["runbook", "check", &book(name)]), &["is valid"]);
        let page = migration.expect(0, &["runbook", "render", &book(name)]);
        says(&page, &["# ", "cutover run ", "cutover rollback", "Rendered from"]);
    }
    let page = migration.expect(0, &["runbook", "render", &book("data-migration")]);
    // What the seed wants to be found on the page.
    says(
        &page,
        &[
            "Migration runbook",
            "undone by `cutover rollback`: the source takes writes again",
            "undone by `cutover rollback`: nothing; the files stay",
            "it is held for a person",
            "where the environment is `production`, a rehearsal has to go through",
            "## Prerequisites",
            "## Environment setup",
            "SUPABASE_DB_URL",
            "## Step 2: freeze and export",
            "## Step 5: verify",
            "## Rollback procedure",
            "## Troubleshooting",
            "6543",
            "user-mapping.json",
            "90 days",
            "new password",
            "cutover approve migration-reviewed --confirms passwords,fallback",
            "- [ ] Supabase stays as it is",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_then_freeze_export_and_users_pass_their_five_checkpoints_and_are_undone() {
    let case = Case::new("seed29").await;
    let (ready, freeze) = (book("readiness"), book("freeze-export-users"));
    says(&case.expect(4, &["run", &freeze, "--yes"]), &["depends on readiness"]);
    says(&case.expect(3, &["run", &ready, "--yes"]), &["env-ready", "connections-now"]);
    says(&case.pass("env-ready", "schema", 3), &["cutover-ready"]);
    says(&case.pass("cutover-ready", "window,notices,ttl,criteria,contacts", 0), &["COMPLETE: the cutover readiness"]);

    says(&case.expect(3, &["run", &freeze, "--yes"]), &["frozen", "still-frozen"]);
    says(&case.pass("frozen", "notice", 3), &["exported", "metadata"]);
    says(&case.pass("exported", "", 3), &["users-mapped", "mapping"]);
    assert_eq!(case.service.users().len(), 5);
    says(&case.pass("users-mapped", "", 0), &["COMPLETE: the cutover freeze-export-users"]);

    case.expect(0, &["rollback", "--yes"]);
    assert_eq!(case.service.users().len(), 0, "accounts that the run made are deleted");
    case.source("INSERT INTO notes VALUES (900, '00000000-0000-4000-8000-000000000001', 'after')");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_migration_moves_maps_and_compares_and_its_rollback_carries_new_rows_back() {
    let case = Case::new("seed06").await;
    let file = book("data-migration");
    let plan = case.expect(0, &["plan", "run", &file]);
    says(&plan, &["Known only later", "import: what the files and the mapping hold", "Step 5: verify"]);
    for night in 1..=2 {
        says(&case.expect(3, &["run", &file, "--yes"]), &["migration-reviewed", "report", "still-frozen"]);
        says(&case.pass("migration-reviewed", "passwords,fallback", 0), &["COMPLETE: the cutover data-migration"]);
        assert_eq!(case.target("SELECT count(*) FROM notes"), (199 + night).to_string());
        let owner = case.target("SELECT user_id FROM notes WHERE id = 7");
        assert!(case.service.users().iter().any(|user| user["id"] == owner.as_str()), "{owner} is no account");
        // Written on the new side, by a user of the new service.
        case.target(&format!("INSERT INTO notes VALUES ({}, '{owner}', 'new side')", 1000 + night));
        let text = case.expect(0, &["rollback", "--yes"]);
        says(&text, &["COMPLETE: the undoing of the cutover data-migration"]);
        let back = case.source(&format!("SELECT user_id::text || words FROM notes WHERE id = {}", 1000 + night));
        assert_eq!(
            back, "00000000-0000-4000-8000-000000000003new side",
            "the row came back, its user's id mapped back"
        );
        assert_eq!(case.target("SELECT count(*) FROM notes"), "0");
        // The new side stays closed after a rollback, until a person opens it for another night.
        case.expect(0, &["data", "unfreeze", "--of", "target", "--yes"]);
        assert_eq!(case.service.users().len(), 0);
    }
}

const CASES: &str = "CREATE TABLE user_profiles (id uuid PRIMARY KEY, \"userId\" text, name text); \
     CREATE TABLE cases (id uuid PRIMARY KEY, \"userId\" text, title text); \
     INSERT INTO user_profiles SELECT gen_random_uuid(), 'legacy-' || n, 'user ' || n FROM generate_series(1, 4) n; \
     INSERT INTO cases SELECT gen_random_uuid(), 'legacy-' || (1 + n % 4), 'case ' || n FROM generate_series(1, 40) n;";

#[test]
fn convex_is_filled_by_commands_and_restored_from_its_backup_when_something_fails() {
    let cluster = cluster::shared();
    let mut migration = Migration::new(&cluster, "seed32");
    cluster.sql(&migration.source, CASES);
    cluster.sql(&migration.target, &CASES[..CASES.find("INSERT").unwrap()]);
    let data = migration.path("convex");
    std::fs::create_dir_all(data.join("tables")).unwrap();
    let before = "{\"_id\":\"cases-000001\",\"legacyId\":\"old\",\"userId\":\"none\"}\n";
    std::fs::write(data.join("tables/cases.jsonl"), before).unwrap();
    for (name, place) in [("CONVEX_DATA", "convex"), ("CONVEX_ROWS", "migration-data"), ("CONVEX_WORK", "work")] {
        let path = migration.path(place).display().to_string();
        migration.set(name, &path);
    }
    migration.set("CONVEX_DEPLOY_KEY", "prod:a-key-that-is-secret");
    let file = book("supabase-to-convex");
    let cases = || std::fs::read_to_string(data.join("tables/cases.jsonl")).unwrap();

    says(&migration.expect(3, &["run", &file, "--yes"]), &["convex-ready"]);
    migration.expect(0, &["approve", "convex-ready", "--confirms", "announced,scripts,way-back,team"]);
    // One document of a user that has no profile: the ids cannot be migrated, so all of it goes back.
    let sick = "INSERT INTO cases VALUES (gen_random_uuid(), 'legacy-nobody', 'lost')";
    cluster.sql(&migration.source, sick);
    says(&migration.expect(7, &["resume"]), &["FAILED AND ROLLED BACK", "migrate-ids"]);
    assert_eq!(cases(), before, "the backup was imported again");
    cluster.sql(&migration.source, "DELETE FROM cases WHERE title = 'lost'");

    migration.expect(3, &["run", &file, "--yes"]);
    migration.expect(0, &["approve", "convex-ready", "--confirms", "announced,scripts,way-back,team"]);
    says(&migration.expect(3, &["resume"]), &["test migration verified", "every case belongs to a profile"]);
    migration.expect(0, &["approve", "test migration verified", "--confirms", "dashboard,dates,editing"]);
    says(&migration.expect(0, &["resume"]), &["COMPLETE: the cutover supabase-to-convex"]);
    assert_eq!(cases().lines().count(), 40);
    assert!(cases().contains("\"userId\":\"user_profiles-00000"), "{}", cases());
    assert!(!std::fs::read_to_string(migration.path("state/runs/0002-cutover.jsonl")).unwrap().contains("a-key-that"));

    migration.expect(0, &["rollback", "--yes"]);
    assert_eq!(cases(), before);
}
