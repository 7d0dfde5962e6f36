//! The files of the old scripts come in, and theirs read ours: the same names, the same shapes.

use super::*;

/// A target for what a shop's scripts wrote.
const SHOP: &str = "CREATE TABLE profiles (user_id uuid PRIMARY KEY, name text, settings jsonb, joined timestamptz, born date); \
    CREATE TABLE event_logs (id serial PRIMARY KEY, actor_id uuid REFERENCES profiles, amount numeric, count bigint, ok boolean, \
      tags text[], raw bytea, took interval, at timestamp, score double precision);";

/// A directory as the scripts leave it: JSON.stringify with two blanks for one table, one row per line for the other.
fn theirs(migration: &Migration, metadata: &Value) {
    let directory = migration.path("migration-data");
    std::fs::create_dir_all(&directory).unwrap();
    let id = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
    let profiles = json!([
        { "user_id": id(1), "name": "Ana \"A\" \u{e9}\n\u{1f642}", "settings": { "theme": "dark", "n": 1.50, "list": [1, null] },
          "joined": "2026-01-23T10:11:12.123Z", "born": "1990-02-28" },
        { "user_id": id(2), "name": null, "settings": "a string", "joined": null, "born": null },
    ]);
    std::fs::write(directory.join("profiles.json"), serde_json::to_string_pretty(&profiles).unwrap()).unwrap();
    let events = format!(
        "[\n{{\"id\":1,\"actor_id\":\"{0}\",\"amount\":\"12345678901234567890.10\",\"count\":9007199254740993,\"ok\":true,\
         \"tags\":[\"a,b\",null,\"\"],\"raw\":{{\"type\":\"Buffer\",\"data\":[0,255]}},\"took\":{{\"hours\":1,\"seconds\":2}},\
         \"at\":\"2026-01-23T00:00:00.000Z\",\"score\":1e21}},\n\
         {{\"id\":7,\"actor_id\":null,\"amount\":0.1,\"count\":\"-5\",\"ok\":false,\"tags\":[],\"raw\":null,\"took\":null,\
         \"at\":null,\"score\":-0.5}}\n]\n",
        id(1)
    );
    std::fs::write(directory.join("event_logs.json"), events).unwrap();
    let user = |n: u32| {
        json!({ "supabaseUserId": id(n), "stackAuthUserId": id(n + 90), "email": format!("u{n}@example.com"),
                "migratedAt": "2026-01-23T00:00:00.000Z" })
    };
    let mapping = json!({ "generatedAt": "2026-01-23T00:00:00.000Z", "retainUntil": "2026-04-23T00:00:00.000Z",
                          "mappings": [user(1), user(2)] });
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    std::fs::write(directory.join("user-mapping.json"), pretty(&mapping)).unwrap();
    std::fs::write(directory.join("metadata.json"), pretty(metadata)).unwrap();
    for other in ["verification-report.json", "auth_users.json"] {
        std::fs::write(directory.join(other), "{}").unwrap();
    }
}

#[test]
fn what_the_old_scripts_wrote_comes_in_with_every_value_and_the_ids_mapped() {
    let cluster = cluster::shared();
    for (label, metadata) in [
        (
            "theirs",
            json!({ "exportedAt": "2026-01-23T00:00:00.000Z", "tables": { "profiles": { "rowCount": 2 }, "event_logs": { "rowCount": 2 } } }),
        ),
        (
            "listed",
            json!({ "exportedAt": "2026-01-23T00:00:00.000Z", "tables": [{ "name": "profiles", "rowCount": 2 }, { "name": "event_logs", "rowCount": 2 }] }),
        ),
        ("bare", json!({})),
    ] {
        let migration = Migration::new(&cluster, label);
        cluster.sql(&migration.target, SHOP);
        migration.configure("[data]\nuser_columns = { profiles = [\"user_id\"], event_logs = [\"actor_id\"] }\n");
        theirs(&migration, &metadata);
        let text = migration.expect(0, &["data", "import", "--yes", "--live-source"]);
        says(&text, &["COMPLETE", "no SHA-256 is known of it"]);
        let sql = |statements: &str| cluster.sql(&migration.target, statements);
        let id = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
        let profile = "SET TimeZone = 'UTC'; SELECT user_id, name = E'Ana \"A\" \\u00e9\\n\\U0001F642', settings, joined, born FROM profiles ORDER BY 1";
        assert_eq!(
            sql(profile),
            format!(
                "{}|t|{{\"n\": 1.5, \"list\": [1, null], \"theme\": \"dark\"}}|2026-01-23 10:11:12.123+00|1990-02-28\n{}||\"a string\"||",
                id(91),
                id(92)
            )
        );
        assert_eq!(
            sql("SELECT * FROM event_logs ORDER BY id"),
            format!(
                "1|{}|12345678901234567890.10|9007199254740993|t|{{\"a,b\",NULL,\"\"}}|\\x00ff|01:00:02|2026-01-23 00:00:00|1e+21\n7||0.1|-5|f|{{}}||||-0.5",
                id(91)
            )
        );
        assert_eq!(sql("SELECT nextval('event_logs_id_seq')"), "8", "the sequence stands behind the largest id");
    }
}

#[test]
fn a_count_that_their_metadata_does_not_confirm_is_refused() {
    let cluster = cluster::shared();
    let migration = Migration::new(&cluster, "miscounted");
    cluster.sql(&migration.target, SHOP);
    theirs(&migration, &json!({ "tables": { "event_logs": { "rowCount": 3 } } }));
    let text = migration.expect(4, &["data", "import", "--yes", "--live-source"]);
    says(&text, &["event_logs.json: holds 2 rows, but metadata.json says 3"]);
    assert_eq!(cluster.sql(&migration.target, "SELECT count(*) FROM profiles"), "0");
}

#[test]
fn what_cutover_writes_is_read_by_whoever_reads_the_shapes_of_the_old_scripts() {
    let case = Case::exported("ours");
    let read = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(case.migration.path("migration-data").join(name)).unwrap()).unwrap()
    };
    // metadata.json: exportedAt, and for each table its rowCount.
    let metadata = read("metadata.json");
    assert!(metadata["exportedAt"].as_str().unwrap().ends_with('Z'), "{metadata}");
    let counts: Vec<(&str, u64)> = metadata["tables"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, table)| (&**name, table["rowCount"].as_u64().unwrap()))
        .collect();
    assert_eq!(counts, [("people", 20), ("units", 500)]);
    // TABLE.json: an array of objects, every column by its name, one row per line.
    let units = read("units.json");
    let rows = units.as_array().unwrap();
    assert_eq!(rows.len(), 500);
    let keys: Vec<&str> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["id", "owner", "label", "price"]);
    let text = std::fs::read_to_string(case.migration.path("migration-data/units.json")).unwrap();
    assert_eq!(text.lines().count(), 502, "a line for each row, and the brackets");
    // A driver hands such values to the server as its texts: they mean what they meant.
    case.sql("CREATE TABLE again (LIKE units)");
    let insert = format!("INSERT INTO again SELECT * FROM json_populate_recordset(NULL::again, $j${text}$j$)");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), insert).unwrap();
    case.cluster.load(&case.migration.target, file.path());
    let same = "SELECT md5(string_agg(t::text, ',' ORDER BY id))";
    let (here, there) = (
        case.sql(&format!("{same} FROM again t")),
        case.cluster.sql(&case.migration.source, &format!("{same} FROM units t")),
    );
    assert_eq!(here, there);

    case.expect(0, &["data", "import", "--yes"]);
    case.expect(0, &["data", "verify"]);
    let report = read("verification-report.json");
    assert_eq!(report["tables"]["units"]["status"], "pass");
}

/// What a script of old does with our files: reads each as a whole, believes `metadata.json` for the counts, and writes the
/// rows as scripts do.
const SCRIPT: &str = r#"
const fs = require('fs'), path = require('path');
const [from, to] = process.argv.slice(2);
const metadata = JSON.parse(fs.readFileSync(path.join(from, 'metadata.json'), 'utf8'));
if (Number.isNaN(Date.parse(metadata.exportedAt))) throw new Error('exportedAt is no date');
fs.mkdirSync(to);
const tables = {};
for (const [name, table] of Object.entries(metadata.tables)) {
  const rows = JSON.parse(fs.readFileSync(path.join(from, `${name}.json`), 'utf8'));
  if (!Array.isArray(rows) || rows.length !== table.rowCount) throw new Error(`${name}: ${rows.length} rows`);
  for (const row of rows)
    for (const value of Object.values(row))
      if (value !== null && typeof value !== 'string') throw new Error(`${name}: a ${typeof value} could be rounded`);
  // In files of theirs a string in a column of JSON is a JSON string, so a value of ours is parsed as a driver would.
  for (const row of rows) if ('j' in row) row.j = JSON.parse(row.j);
  fs.writeFileSync(path.join(to, `${name}.json`), JSON.stringify(rows, null, 2));
  tables[name] = { rowCount: rows.length, exportedAt: new Date().toISOString() };
}
fs.writeFileSync(path.join(to, 'metadata.json'), JSON.stringify({ exportedAt: new Date().toISOString(), tables }, null, 2));
"#;

#[test]
fn what_cutover_exports_node_reads_and_what_node_writes_cutover_imports_without_losing_a_value() {
    let is_there = std::process::Command::new("node").arg("--version").output().is_ok_and(|said| said.status.success());
    if !is_there {
        println!("this host has no node; this test needs one, and its shapes alone are held by the others");
        return;
    }
    let case = Case::new("node");
    let odd = "CREATE TABLE odd (id int PRIMARY KEY, n numeric, b bigint, t timestamptz, f double precision, j jsonb, r bytea, \
               a text[], x text, i interval, p int4range);";
    case.sql(odd);
    let rows = r#"INSERT INTO odd VALUES (1, 1234567890123456789012345678901234567890.000100, 9223372036854775807,
        '2026-01-23 10:11:12.123456+00', 'NaN', '{"k": [1.5, null, "\u2028"], "n": {"": false}}', '\x00ff5c',
        '[0:1]={"a,b",NULL}', E'line\nquote" back\\slash \u00e9 \U0001F642', '1 year -2 days 00:00:00.000001', '[1,5)'),
        (2, 'NaN', -9223372036854775808, 'infinity', '-Infinity', '[1, "two"]', '', '{}', '', '-1 mon', 'empty'),
        (3, NULL, NULL, '-infinity', -0.0, '"text"', NULL, '{"", "NULL"}', ' ', NULL, NULL)"#;
    case.cluster.sql(&case.migration.source, &format!("{odd} {rows}"));
    case.expect(0, &["data", "freeze", "--yes"]);
    case.expect(0, &["data", "export", "--yes"]);
    let (ours, theirs) = (case.migration.path("migration-data"), case.migration.path("theirs"));
    let script = case.migration.path("script.js");
    std::fs::write(&script, SCRIPT).unwrap();
    let said = std::process::Command::new("node").args([&script, &ours, &theirs]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let text = case.expect(0, &["data", "import", "--yes", "--input-dir", "theirs"]);
    says(&text, &["COMPLETE", "523 rows of 3 tables"]);
    let whole = "SELECT string_agg(o::text, E'\\n' ORDER BY id) FROM odd o";
    assert_eq!(case.sql(whole), case.cluster.sql(&case.migration.source, whole));
    case.holds_what_the_source_holds();
}
