//! Exporting rows from a real server: nothing is lost or bent, one snapshot, and no file that claims more than it holds.

#![expect(clippy::disallowed_methods, reason = "tests start servers and programs as a person would")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

#[path = "data_export/faults.rs"]
mod faults;
#[path = "data_export/fidelity.rs"]
mod fidelity;
#[path = "data_export/kills.rs"]
mod kills;
#[path = "data_export/site.rs"]
mod site;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cutover::data::catalog::TableName;
use cutover::data::metadata::Metadata;
use cutover::rows::export::{Listed, list};
use serde_json::{Value, json};
use site::Site;

fn file(site: &Site, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(site.data().join(name)).unwrap()).unwrap()
}

fn names(metadata: &Metadata) -> Vec<&str> {
    metadata.tables.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn the_files_are_arrays_of_rows_that_any_tool_reads() {
    let site = Site::new(
        "CREATE TABLE profiles (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, twice text GENERATED ALWAYS AS (name || name) STORED);
         INSERT INTO profiles (name) VALUES ('Ann'), (NULL), (E'two\\nlines');
         CREATE TABLE nothing (a int); CREATE TABLE metadata (key text); INSERT INTO metadata VALUES ('mine');
         CREATE SCHEMA other; CREATE TABLE other.kept_out (a int)",
    );
    let metadata = site.export(&site.options()).await.unwrap();
    let text = std::fs::read_to_string(site.data().join("profiles.json")).unwrap();
    assert_eq!(
        text,
        "[\n{\"id\":\"1\",\"name\":\"Ann\"},\n{\"id\":\"2\",\"name\":null},\n{\"id\":\"3\",\"name\":\"two\\nlines\"}\n]\n"
    );
    assert_eq!(file(&site, "nothing.json"), json!([]));
    assert_eq!(file(&site, "public.metadata.json"), json!([{"key": "mine"}]));
    assert_eq!(names(&metadata), ["metadata", "nothing", "profiles"]);
    let written: Metadata = serde_json::from_value(file(&site, "metadata.json")).unwrap();
    assert_eq!(written, metadata);
    site.is_whole();
    let profiles = metadata.of(&TableName::new("public", "profiles")).unwrap();
    assert_eq!((profiles.row_count, profiles.bytes), (Some(3), Some(text.len() as u64)));
    assert_eq!(profiles.columns, ["id", "name"]);
    assert!(profiles.is_ours() && metadata.lsn.is_some() && metadata.snapshot.is_some());
    assert_eq!((metadata.sequences.len(), metadata.sequences[0].last_value), (1, Some(3)));
    let words = std::fs::read_to_string(site.data().join("metadata.json")).unwrap();
    assert!(!words.contains(support::cluster::PASSWORD), "a password is in {words}");
    assert!(metadata.source.unwrap().starts_with("postgres@127.0.0.1:"));
}

#[tokio::test]
async fn everything_is_readable_by_its_owner_alone() {
    let site = Site::new(&format!("CREATE TABLE t (a int); {}", site::AUTH));
    std::fs::create_dir(site.data()).unwrap();
    std::fs::set_permissions(site.data(), std::fs::Permissions::from_mode(0o755)).unwrap();
    site.export(&site.options()).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&site.data()), 0o700);
    for name in site.files() {
        assert_eq!(mode(&site.data().join(&name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn users_come_with_their_passwords_apart_and_without_their_tokens() {
    let site = Site::new(&format!("CREATE TABLE t (a int); {}", site::AUTH));
    let metadata = site.export(&site.options()).await.unwrap();
    assert_eq!(
        site.files(),
        ["auth_identities.json", "auth_secrets.json", "auth_users.json", "metadata.json", "t.json"]
    );
    let first = json!({"id": "00000000-0000-0000-0000-000000000001", "email": "ann@example.com", "raw_user_meta_data": "{\"n\": 1}",
        "confirmed_at": "2026-01-01 00:00:00+00"});
    assert_eq!(file(&site, "auth_users.json")[0], first);
    let secrets = json!([{"id": "00000000-0000-0000-0000-000000000001", "encrypted_password": "$2a$10$secret"}]);
    assert_eq!(file(&site, "auth_secrets.json"), secrets);
    assert_eq!(file(&site, "auth_identities.json")[0]["provider"], "google");
    for name in site.files().iter().filter(|name| *name != "auth_secrets.json") {
        let text = std::fs::read_to_string(site.data().join(name)).unwrap();
        assert!(!text.contains("$2a$") && !text.contains("recovery"), "{name}");
    }
    let users = metadata.users.unwrap();
    assert_eq!((users.row_count, users.table), (2, TableName::new("auth", "users")));
    let mut options = site.options();
    options.has_users = false;
    assert_eq!(site.export(&options).await.unwrap().users, None);
    assert_eq!(site.files(), ["metadata.json", "t.json"], "what an earlier export wrote of users is gone");
}

#[tokio::test]
async fn only_the_named_tables_are_exported_and_never_over_a_whole_export() {
    let site = Site::new("CREATE TABLE a (x int); CREATE TABLE b (x int)");
    let mut options = site.options();
    options.tables = vec!["a".into()];
    assert_eq!(names(&site.export(&options).await.unwrap()), ["a"]);
    assert_eq!(names(&site.export(&site.options()).await.unwrap()), ["a", "b"]);
    let error = site.export(&options).await.unwrap_err();
    assert!(format!("{error:#}").contains("with 1 more tables (b.json…), and this one would replace it"), "{error:#}");
    site.is_whole();
    options.tables = vec!["no_such_table".into()];
    assert!(format!("{:#}", site.export(&options).await.unwrap_err()).contains("no_such_table"));
}

#[tokio::test]
async fn a_large_table_is_left_out_on_request_and_named() {
    let site = Site::new(
        "CREATE TABLE large (x text); INSERT INTO large SELECT repeat(md5(i::text), 10) FROM generate_series(1, 5000) i;
         CREATE TABLE small (x int)",
    );
    let mut options = site.options();
    options.skip_large = Some(1 << 20);
    let metadata = site.export(&options).await.unwrap();
    assert_eq!(names(&metadata), ["small"]);
    assert_eq!(metadata.skipped[0].table, TableName::new("public", "large"));
    assert!(metadata.skipped[0].why.contains("--skip-large leaves out what has 1.0 MiB or more"));
}

#[tokio::test]
async fn a_list_names_tables_and_estimates_and_writes_nothing() {
    let site = Site::new(
        "CREATE TABLE t (x int); INSERT INTO t SELECT generate_series(1, 1000); ANALYZE t; CREATE VIEW v AS SELECT 1",
    );
    let listing = list(&site.place(), &site.options()).await.unwrap();
    let expected = Listed {
        table: TableName::new("public", "t"),
        rows_estimate: 1000,
        bytes: listing.tables[0].bytes,
        is_skipped: false,
    };
    assert_eq!((listing.tables, listing.is_blocked), (vec![expected], false));
    assert!(!site.data().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tables_are_of_one_moment_however_much_is_written_meanwhile() {
    let site = Site::new(
        "CREATE TABLE a (id int PRIMARY KEY, money int); CREATE TABLE b (id int PRIMARY KEY, money int, filler text);
         INSERT INTO a SELECT i, 100 FROM generate_series(1, 20000) i;
         INSERT INTO b SELECT i, 100, repeat('x', 500) FROM generate_series(1, 20000) i",
    );
    // How often money was moved.
    let (moved, mut moves) = tokio::sync::watch::channel(0_u64);
    let place = site.place();
    let writer = tokio::spawn(async move {
        let session = place.connect("writer").await.unwrap();
        while !moved.is_closed() {
            let id = *moved.borrow() % 20000 + 1;
            let both = format!(
                "BEGIN; UPDATE public.a SET money = money - 7 WHERE id = {id}; UPDATE public.b SET money = money + 7 WHERE id = {id}; COMMIT"
            );
            session.batch_execute(&both).await.unwrap();
            moved.send_modify(|moves| *moves += 1);
        }
    });
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        // Something was moved since the last export, so that two of them are never alike.
        moves.mark_unchanged();
        moves.changed().await.unwrap();
        site.export(&site.options()).await.unwrap();
        let sum = |name: &str| -> i64 {
            let rows = file(&site, name);
            rows.as_array().unwrap().iter().map(|row| row["money"].as_str().unwrap().parse::<i64>().unwrap()).sum()
        };
        let (a, b) = (sum("a.json"), sum("b.json"));
        assert_eq!(a + b, 4_000_000);
        seen.insert(a);
    }
    drop(moves);
    writer.await.unwrap();
    assert_eq!(seen.len(), 3, "nothing was written meanwhile: {seen:?}");
}

#[tokio::test]
async fn partitions_come_once_and_children_by_inheritance_for_themselves() {
    let site = Site::new(
        "CREATE TABLE m (at date, v int, filler text) PARTITION BY RANGE (at);
         CREATE TABLE m1 PARTITION OF m FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
         CREATE TABLE m2 (filler text, v int, at date); ALTER TABLE m ATTACH PARTITION m2 DEFAULT;
         INSERT INTO m SELECT date '2024-06-01' + i, i, repeat('y', 400) FROM generate_series(0, 9999) i;
         CREATE TABLE animals (name text); CREATE TABLE dogs (barks bool) INHERITS (animals);
         INSERT INTO animals VALUES ('cat'); INSERT INTO dogs VALUES ('Rex', true)",
    );
    let metadata = site.export(&site.options()).await.unwrap();
    assert_eq!(names(&metadata), ["animals", "dogs", "m"]);
    assert_eq!(file(&site, "animals.json"), json!([{"name": "cat"}]));
    assert_eq!(file(&site, "dogs.json"), json!([{"name": "Rex", "barks": "t"}]));
    let rows = file(&site, "m.json");
    let days: std::collections::BTreeSet<&str> =
        rows.as_array().unwrap().iter().map(|row| row["v"].as_str().unwrap()).collect();
    assert_eq!((days.len(), rows.as_array().unwrap().len()), (10_000, 10_000));
    assert!(rows[0]["at"].as_str().unwrap().starts_with("20"));
}

#[tokio::test]
async fn a_directory_that_git_would_pick_up_is_refused() {
    let site = Site::new("CREATE TABLE t (a int)");
    let git = |words: &[&str]| {
        let output = Command::new("git").arg("-C").arg(site.root()).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    git(&["init", "-q"]);
    let error = format!("{:#}", site.export(&site.options()).await.unwrap_err());
    assert!(
        error.contains("and not ignored there") && error.contains("add the line `/migration-data/` to "),
        "{error}"
    );
    assert!(!site.data().exists());
    // A pattern that means some files is not enough: the passwords might be another.
    std::fs::write(site.root().join(".gitignore"), "*.json\n").unwrap();
    assert!(site.export(&site.options()).await.is_err());
    std::fs::write(site.root().join(".gitignore"), "/migration-data/\n").unwrap();
    site.export(&site.options()).await.unwrap();
    let mut options = site.options();
    options.directory = site.root();
    assert!(format!("{:#}", site.export(&options).await.unwrap_err()).contains("is the root of a git work tree"));
}

#[tokio::test]
async fn what_another_tool_exported_is_not_replaced() {
    let site = Site::new("CREATE TABLE t (a int)");
    std::fs::create_dir(site.data()).unwrap();
    std::fs::write(site.data().join("metadata.json"), r#"{"exportedAt":"2026-01-01","tables":{"t":{"rowCount":1}}}"#)
        .unwrap();
    let error = format!("{:#}", site.export(&site.options()).await.unwrap_err());
    assert!(error.contains("was written by another tool"), "{error}");
    assert_eq!(site.files(), ["metadata.json"]);
}
