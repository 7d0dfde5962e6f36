//! Verification on a real server: equal data passes, and every planted difference is named with its row and column.

#![expect(clippy::disallowed_methods, reason = "tests start servers as a person would")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use cutover::adapter::database::Place;
use cutover::data::catalog::TableName;
use cutover::data::mapping::{MappedUser, MappingFile};
use cutover::data::patterns::Patterns;
use cutover::data::verification::{Report, Status, TableReport, What};
use cutover::rows::verify::{Assert, Options, Source, verify};
use cutover::secret::Secret;
use support::cluster::{Cluster, shared};

struct Both {
    cluster: Arc<Cluster>,
    source: String,
    target: String,
    options: Options,
}

impl Both {
    /// Two databases with the same statements carried out in each.
    fn new(statements: &str) -> Self {
        let cluster = shared();
        let (source, target) = (cluster.database("source"), cluster.database("target"));
        let options = Options::new(Patterns::parse(&["public.*"], &[] as &[&str]).unwrap());
        let both = Self { cluster, source, target, options };
        both.at_source(statements);
        both.at_target(statements);
        both
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

    async fn verify(&self) -> Report {
        let source = Source::Database(self.place(&self.source));
        let report = verify(&source, &self.place(&self.target), &self.options, &|_| ()).await.unwrap();
        // What is written reads back.
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        report
    }

    async fn table(&self, name: &str) -> TableReport {
        self.verify().await.tables[name].clone()
    }
}

/// `kind key: column source > target, …` of every difference.
fn named(table: &TableReport) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().map_or("null".to_owned(), |value| format!("{value:?}"));
    let mut lines = Vec::new();
    for difference in &table.differences {
        let key: Vec<String> = difference.key.iter().map(|(_, value)| text(value)).collect();
        let columns: Vec<String> = difference
            .columns
            .iter()
            .map(|values| format!("{} {} > {}", values.column, text(&values.source), text(&values.target)))
            .collect();
        let kind = match difference.kind {
            What::Missing => "missing",
            What::Extra => "extra",
            What::Different => "different",
        };
        lines.push(format!("{kind} {}: {}", key.join("/"), columns.join(", ")));
    }
    lines
}

const ODD: &str = "CREATE TABLE odd (id int PRIMARY KEY, name text, at timestamptz, ratio float8, price numeric, data jsonb, \
    tags text[], twice int GENERATED ALWAYS AS (id * 2) STORED); \
    INSERT INTO odd SELECT i, 'name '||i, timestamptz '2026-01-01' + i * interval '1 second', i, i / 7.0, \
    jsonb_build_object('n', i), ARRAY['a', i::text] FROM generate_series(1, 2000) i;";

#[tokio::test]
async fn equal_data_passes_whatever_holds_it() {
    let both = Both::new(&format!(
        "{ODD} CREATE TABLE keyless (a int, b text); INSERT INTO keyless SELECT i % 3, 'x' FROM generate_series(1, 50) i; \
         CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE child (extra text) INHERITS (parent); \
         INSERT INTO parent VALUES (1, 'p'); INSERT INTO child VALUES (2, 'c', 'e'); \
         CREATE TABLE parts (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id); \
         CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10); \
         CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (1000); \
         INSERT INTO parts SELECT i, 'v'||i FROM generate_series(0, 500) i; CREATE TABLE empty (id int PRIMARY KEY); \
         CREATE TABLE \"Odd \"\"Name\" (\"Key 1\" text, \"k2\" text, v text, PRIMARY KEY (\"k2\", \"Key 1\")); \
         INSERT INTO \"Odd \"\"Name\" VALUES (E'a\\tb', E'\\\\N', NULL), ('', '', '')"
    ));
    let report = both.verify().await;
    let wrong: Vec<_> = report.tables.iter().filter(|(_, table)| table.status != Status::Pass).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(report.is_whole(), "{report:#?}");
    let counts: BTreeMap<&str, u64> =
        report.tables.iter().map(|(name, table)| (name.as_str(), table.target_count.unwrap())).collect();
    let expected = [("odd", 2000), ("keyless", 50), ("parent", 1), ("child", 1), ("parts", 501), ("empty", 0)];
    assert_eq!(counts, expected.into_iter().chain([("Odd \"Name", 2)]).collect());
}

#[tokio::test]
async fn every_planted_difference_is_named_with_row_and_column() {
    let both = Both::new(ODD);
    both.at_source("UPDATE odd SET name = '' WHERE id = 1; UPDATE odd SET ratio = 0 WHERE id = 5");
    both.at_target(
        "UPDATE odd SET name = NULL WHERE id = 1; UPDATE odd SET name = name || ' ' WHERE id = 2; \
         UPDATE odd SET at = at + interval '1 microsecond' WHERE id = 3; UPDATE odd SET price = 4.10 WHERE id = 4; \
         UPDATE odd SET ratio = '-0' WHERE id = 5; DELETE FROM odd WHERE id = 6; INSERT INTO odd (id) VALUES (-7); \
         UPDATE odd SET tags = '[0:1]={a,8}' WHERE id = 8; UPDATE odd SET data = '{\"n\": 9.0}' WHERE id = 9; \
         UPDATE odd o SET name = (SELECT name FROM odd p WHERE p.id = 21 - o.id) WHERE id IN (10, 11)",
    );
    both.at_source("UPDATE odd SET price = 4.1 WHERE id = 4");
    let table = both.table("odd").await;
    assert_eq!(table.status, Status::Fail);
    assert_eq!((table.missing, table.extra, table.different), (1, 1, 9));
    let null = "ratio null > null";
    let lines = named(&table);
    let expected = [
        "extra \"-7\": id null > \"-7\", name null > null, at null > null, ratio null > null, price null > null, data null > null, tags null > null",
        "different \"1\": name \"\" > null",
        "different \"10\": name \"name 10\" > \"name 11\"",
        "different \"11\": name \"name 11\" > \"name 10\"",
        "different \"2\": name \"name 2\" > \"name 2 \"",
        "different \"3\": at \"2026-01-01 00:00:03+00\" > \"2026-01-01 00:00:03.000001+00\"",
        "different \"4\": price \"4.1\" > \"4.10\"",
        "different \"5\": ratio \"0\" > \"-0\"",
        "different \"8\": tags \"{a,8}\" > \"[0:1]={a,8}\"",
        "different \"9\": data \"{\\\"n\\\": 9}\" > \"{\\\"n\\\": 9.0}\"",
    ];
    for line in expected {
        assert!(lines.iter().any(|other| other == line), "{line} is not in {lines:#?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("missing \"6\"") && !line.contains(null)), "{lines:#?}");
    assert_eq!(lines.len(), 11);
}

#[tokio::test]
async fn rows_without_a_key_are_counted_one_by_one() {
    let both =
        Both::new("CREATE TABLE keyless (a int, b text); INSERT INTO keyless SELECT 1, 'x' FROM generate_series(1, 5)");
    both.at_source("INSERT INTO keyless VALUES (2, NULL), (2, NULL), (3, '')");
    both.at_target("INSERT INTO keyless VALUES (2, NULL), (3, ''), (3, ''), (3, '')");
    let table = both.table("keyless").await;
    assert_eq!((table.status, table.missing, table.extra, table.different), (Status::Fail, 1, 2, 0));
    assert_eq!(named(&table), ["missing \"2\"/null: ", "extra \"3\"/\"\": ", "extra \"3\"/\"\": "]);
}

#[tokio::test]
async fn the_columns_order_does_not_matter_and_what_is_not_there_cannot_pass() {
    let both =
        Both::new("CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE less (id int PRIMARY KEY, a text, b text)");
    both.at_source("CREATE TABLE turned (id int PRIMARY KEY, a text, b text); INSERT INTO turned VALUES (1, 'x', 'y')");
    both.at_target("CREATE TABLE turned (b text, id int, a text); INSERT INTO turned VALUES ('y', 1, 'x')");
    both.at_target("DROP TABLE gone; ALTER TABLE less DROP COLUMN b; ALTER TABLE less ADD c text");
    let report = both.verify().await;
    assert_eq!(report.tables["turned"].status, Status::Pass);
    assert_eq!(report.tables["gone"].status, Status::Fail);
    assert_eq!(report.tables["gone"].notes, ["the target has no such table"]);
    assert_eq!(report.tables["less"].notes, ["the target's table has no column b"]);
    assert!(!report.success);
    both.at_target("CREATE TABLE gone (id int PRIMARY KEY); ALTER TABLE less ADD b text");
    let report = both.verify().await;
    assert_eq!(report.tables["less"].status, Status::Warn, "{:?}", report.tables["less"]);
    assert!(report.success && !report.is_whole());
}

#[tokio::test]
async fn what_differs_as_bytes_alone_is_decided_as_text() {
    let both = Both::new(
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE moods (id int PRIMARY KEY, now mood); \
         CREATE TABLE plain (id int PRIMARY KEY, v numeric, w float8)",
    );
    both.at_source("INSERT INTO moods VALUES (1, 'ok'); INSERT INTO plain VALUES (1, 1.50, 'NaN'), (2, 2, 2)");
    both.at_target(
        "INSERT INTO plain VALUES (2, 2, 2), (1, 1.50, 'NaN'); ALTER TYPE mood ADD VALUE 'new' BEFORE 'sad'",
    );
    both.at_target("INSERT INTO moods VALUES (1, 'ok')");
    let report = both.verify().await;
    assert!(report.tables.values().all(|table| table.status == Status::Pass), "{report:#?}");
    let checksum = |name: &str| report.tables[name].source_checksum.clone().unwrap();
    assert!(checksum("plain").starts_with("binary:2:"), "{}", checksum("plain"));
    assert!(checksum("moods").starts_with("1:"), "{}", checksum("moods"));
    both.at_target("UPDATE plain SET v = 1.5 WHERE id = 1");
    let table = both.table("plain").await;
    assert_eq!(named(&table), ["different \"1\": v \"1.50\" > \"1.5\""]);
    assert!(table.source_checksum.unwrap().starts_with("2:"));
}

fn mapping(pairs: &[(&str, &str)]) -> MappingFile {
    let user = |&(old, new): &(&str, &str)| MappedUser {
        supabase_user_id: old.into(),
        stack_auth_user_id: new.into(),
        email: None,
        migrated_at: "2026-01-23T00:00:00Z".into(),
    };
    MappingFile {
        generated_at: "2026-01-23T00:00:00Z".into(),
        retain_until: "2026-04-23T00:00:00Z".into(),
        mappings: pairs.iter().map(user).collect(),
    }
}

#[tokio::test]
async fn user_columns_are_compared_by_what_their_ids_became() {
    let id = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
    let mut both = Both::new("CREATE TABLE profiles (user_id uuid PRIMARY KEY, friend uuid, name text)");
    both.at_source(&format!(
        "CREATE SCHEMA auth; CREATE TABLE auth.users (id uuid PRIMARY KEY); INSERT INTO auth.users VALUES ('{0}'), ('{1}'), ('{2}'); \
         ALTER TABLE profiles ADD FOREIGN KEY (user_id) REFERENCES auth.users (id); \
         INSERT INTO profiles VALUES ('{0}', '{1}', 'a'), ('{1}', NULL, 'b')",
        id(1),
        id(2),
        id(3)
    ));
    both.at_target(&format!("INSERT INTO profiles VALUES ('{0}', '{1}', 'a'), ('{1}', NULL, 'b')", id(11), id(12)));
    let (one, two, three) = ((id(1), id(11)), (id(2), id(12)), (id(3), id(13)));
    let pairs = [(&*one.0, &*one.1), (&*two.0, &*two.1), (&*three.0, &*three.1)];
    both.options.mapping = Some(mapping(&pairs));
    both.options.users.columns.insert(TableName::new("public", "profiles"), vec!["friend".into()]);
    let report = both.verify().await;
    assert!(report.is_whole(), "{report:#?}");

    both.at_target(&format!("UPDATE profiles SET friend = '{}' WHERE name = 'a'", id(13)));
    let table = both.table("profiles").await;
    assert_eq!(named(&table), [format!("different {:?}: friend {:?} > {:?}", id(11), id(12), id(13))]);

    both.at_target(&format!("UPDATE profiles SET friend = '{}' WHERE name = 'a'", id(2)));
    both.options.mapping = Some(mapping(&pairs[..1]));
    let table = both.table("profiles").await;
    assert_eq!(table.status, Status::Fail);
    assert!(table.notes.iter().any(|note| note.contains(&id(2)) && note.contains("no account")), "{table:#?}");
    both.options.users.unmapped.insert(TableName::new("public", "profiles"), vec!["friend".into(), "user_id".into()]);
    let table = both.table("profiles").await;
    assert_eq!(named(&table).len(), 2, "the second row's id stayed, and the target has another: {table:#?}");
    both.at_target(&format!("UPDATE profiles SET user_id = '{}' WHERE name = 'b'", id(2)));
    let table = both.table("profiles").await;
    assert_eq!(table.status, Status::Pass, "{table:#?}");
    both.options.users.unmapped.clear();
    let table = both.table("profiles").await;
    assert_eq!((table.status, table.differences.len()), (Status::Fail, 0), "an id without an account may not stay");
}

#[tokio::test]
async fn a_table_that_is_read_in_pieces_is_read_whole_and_once() {
    // Each row fills a block: three pieces.
    let both = Both::new(
        "CREATE TABLE wide (id int PRIMARY KEY, v text, m money); ALTER TABLE wide ALTER v SET STORAGE PLAIN; \
         CREATE TABLE plain (id int PRIMARY KEY, v text); ALTER TABLE plain ALTER v SET STORAGE PLAIN; \
         INSERT INTO wide SELECT i, rpad(i::text, 7000, 'x') FROM generate_series(1, 16390) i; \
         INSERT INTO plain SELECT id, v FROM wide WHERE id < 8200",
    );
    let report = both.verify().await;
    let count = |name: &str| (report.tables[name].status, report.tables[name].target_count);
    assert_eq!([count("wide"), count("plain")], [(Status::Pass, Some(16390)), (Status::Pass, Some(8199))]);
    both.at_target("UPDATE wide SET m = 1 WHERE id IN (1, 8192, 8193, 16384, 16385, 16390)");
    let table = both.table("wide").await;
    assert_eq!((table.different, table.missing, table.extra, table.differences.len()), (6, 0, 0, 6));
}

#[tokio::test]
async fn counting_and_sampling_are_no_pass() {
    let mut both = Both::new(ODD);
    both.at_target("UPDATE odd SET name = 'changed' WHERE id = 77");
    both.options.is_counting_only = true;
    let report = both.verify().await;
    assert_eq!(report.tables["odd"].status, Status::Warn);
    assert!(report.success && !report.is_whole() && !report.compared_rows);
    both.options.is_counting_only = false;
    let mut found = Vec::new();
    for percent in [1, 10, 50, 99, 100] {
        both.options.sample_percent = percent;
        let report = both.verify().await;
        assert_eq!(report.tables["odd"].source_count, Some(2000));
        found.push(report.tables["odd"].status);
    }
    // The row 77 is in no sample of 1 %, and in every larger one that a smaller one has it in.
    assert_eq!(found[0], Status::Warn, "rows outside of the sample are not compared: {found:?}");
    assert!(found.is_sorted_by_key(|status| *status == Status::Fail), "{found:?}");
    assert_eq!(found.last(), Some(&Status::Fail));
    both.at_target("UPDATE odd SET name = 'name 77' WHERE id = 77");
    both.options.sample_percent = 10;
    let report = both.verify().await;
    assert_eq!(report.tables["odd"].status, Status::Warn);
    let whole = both.table("odd").await.source_checksum;
    both.options.sample_percent = 100;
    assert_ne!(both.table("odd").await.source_checksum, whole, "the sum of a sample is that of some rows");
    both.at_target("UPDATE odd SET name = name || '!'");
    both.options.sample_percent = 10;
    let table = both.table("odd").await;
    assert!((20..400).contains(&table.different), "a tenth of 2,000 rows, not {}", table.different);
    both.options.sample_percent = 1;
    both.at_target("UPDATE odd SET name = 'name ' || id");
    both.at_target("DELETE FROM odd WHERE id = 77");
    assert_eq!(both.verify().await.tables["odd"].status, Status::Fail, "counts differ");
}

#[tokio::test]
async fn the_first_failure_ends_it_where_that_was_asked_for() {
    let mut both = Both::new("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)");
    both.at_target("INSERT INTO a VALUES (1)");
    both.options.fails_fast = true;
    let report = both.verify().await;
    assert_eq!(report.tables.keys().collect::<Vec<_>>(), ["a"]);
    assert!(report.stopped_early && !report.success);
}

#[tokio::test]
async fn keys_sequences_indexes_and_assertions_are_asked() {
    let mut both = Both::new(
        "CREATE TABLE sites (id serial PRIMARY KEY, name text); CREATE TABLE units (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
         site int CONSTRAINT units_site REFERENCES sites); INSERT INTO sites (name) VALUES ('a'), ('b'); \
         INSERT INTO units (site) VALUES (1), (NULL)",
    );
    both.options.asserts = vec![
        Assert { name: "all have a name".into(), sql: "SELECT id, name FROM sites WHERE name IS NULL".into() },
        Assert { name: "nonsense".into(), sql: "SELECT nothing FROM nowhere".into() },
        Assert { name: "writes".into(), sql: "DELETE FROM units".into() },
    ];
    let status = |report: &Report, name: &str| {
        let check =
            report.checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{name}: {report:#?}"));
        (check.status, check.words.clone(), check.seen.clone())
    };
    let report = both.verify().await;
    assert_eq!(status(&report, "foreign key units_site of units").0, Status::Pass);
    assert_eq!(status(&report, "sequence sites_id_seq").0, Status::Pass);
    assert_eq!(status(&report, "constraints and indexes").0, Status::Pass);
    assert_eq!(status(&report, "assertion all have a name").0, Status::Pass);
    assert_eq!(status(&report, "assertion nonsense").0, Status::Fail);
    assert!(status(&report, "assertion writes").1.contains("read-only"), "{report:#?}");
    assert_eq!(both.at_target("SELECT count(*) FROM units"), "2");

    both.options.asserts.truncate(1);
    both.at_target(
        "ALTER TABLE units DROP CONSTRAINT units_site; INSERT INTO units (site) VALUES (99); \
         ALTER TABLE units ADD CONSTRAINT units_site FOREIGN KEY (site) REFERENCES sites NOT VALID; \
         SELECT setval('sites_id_seq', 1); INSERT INTO sites (id, name) VALUES (77, NULL); \
         CREATE UNIQUE INDEX broken ON sites (name); \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass",
    );
    let report = both.verify().await;
    let (verdict, words, seen) = status(&report, "foreign key units_site of units");
    assert_eq!((verdict, seen), (Status::Fail, vec!["id=3".to_owned()]));
    assert_eq!(words, "1 row of units points to rows of sites that are not there");
    assert!(status(&report, "constraint units_site of units").1.contains("VALIDATE CONSTRAINT"));
    assert!(status(&report, "index broken of sites").1.contains("REINDEX"));
    let (verdict, words, _) = status(&report, "sequence sites_id_seq");
    assert_eq!(verdict, Status::Fail);
    assert!(words.contains("already holds 77") && words.contains("behind"), "{words}");
    let (verdict, _, seen) = status(&report, "assertion all have a name");
    assert_eq!((verdict, seen), (Status::Fail, vec!["id=77 name=null".to_owned()]));
}

/// Not a test but a measurement: `cargo test --release --test data_verify -- --ignored --nocapture`, with the script that
/// fills a database in the variable ROWS_SCRIPT.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of the set of one gigabyte, which is elsewhere"]
async fn the_speed_of_comparing_two_large_databases() {
    let script = std::env::var("ROWS_SCRIPT").unwrap();
    let cluster = shared();
    let (source, target) = (cluster.database("source"), "large_copy".to_owned());
    cluster.load(&source, std::path::Path::new(&script));
    cluster.sql("postgres", &format!("CREATE DATABASE {target} TEMPLATE {source}"));
    let options = Options::new(Patterns::parse(&["public.*"], &[] as &[&str]).unwrap());
    let both = Both { cluster, source, target, options };
    for _ in 0..4 {
        let source = Source::Database(both.place(&both.source));
        let watch = cutover::adapter::clock::Stopwatch::start();
        let say = |line: String| println!("{:5} ms {line}", watch.elapsed().as_millis());
        let report = verify(&source, &both.place(&both.target), &both.options, &say).await.unwrap();
        assert!(report.is_whole(), "{report:#?}");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
}
