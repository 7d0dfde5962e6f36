//! A schema with everything that makes moving rows hard, owned by a plain role; and ways to look at a database whole.

use std::process::Command;

use super::cluster::{Cluster, programs};

/// The plain role that owns everything.
pub const ROLE: &str = "app";
/// Its password.
pub const ROLE_PASSWORD: &str = "app-pw";

/// Makes the role, once per server.
pub fn make_role(cluster: &Cluster) {
    let make = format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE_PASSWORD}' NOSUPERUSER NOBYPASSRLS");
    cluster.sql("postgres", &make);
}

/// An empty database that belongs to the plain role.
pub fn database(cluster: &Cluster, label: &str) -> String {
    let name = cluster.database(label);
    cluster.sql("postgres", &format!("ALTER DATABASE \"{name}\" OWNER TO {ROLE}"));
    cluster.sql(&name, &format!("ALTER SCHEMA public OWNER TO {ROLE}"));
    name
}

/// Runs statements as the plain role, each in its own transaction, and gives what they print.
pub fn sql(cluster: &Cluster, database: &str, statements: &str) -> String {
    let file = tempfile::NamedTempFile::new_in(cluster.directory.path()).unwrap();
    std::fs::write(file.path(), statements).unwrap();
    let url = cluster.url_of(ROLE, ROLE_PASSWORD, database);
    let mut command = Command::new(programs().join("psql"));
    command.args(["--no-psqlrc", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", &url, "-f"]).arg(file.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// What pg_dump says of the schema, as text that can be compared.
pub fn schema_of(cluster: &Cluster, database: &str) -> String {
    let mut command = Command::new(programs().join("pg_dump"));
    let words = ["--schema-only", "--exclude-schema=_cutover", "-d", &cluster.url(database)];
    let output = command.args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // A number of its own in each dump, and settings that depend on what stands before.
    let is_kept = |line: &&str| {
        !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict") && !line.starts_with("SET default_")
    };
    String::from_utf8(output.stdout).unwrap().lines().filter(is_kept).map(|line| format!("{line}\n")).collect()
}

/// Every row of every table as text, sorted, each with its table; and where every sequence stands.
pub fn content_of(cluster: &Cluster, database: &str) -> String {
    let tables = cluster.sql(
        database,
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema', '_cutover') ORDER BY 1",
    );
    let mut all = String::new();
    for table in tables.lines() {
        let rows = format!("SET TimeZone = 'UTC'; SELECT t::text FROM ONLY {table} t ORDER BY t::text COLLATE \"C\"");
        all += &format!("== {table}\n{}\n", cluster.sql(database, &rows));
    }
    let sequences = "SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences ORDER BY 1";
    for sequence in cluster.sql(database, sequences).lines() {
        let stands = cluster.sql(database, &format!("SELECT last_value, is_called FROM {sequence}"));
        all += &format!("{sequence} {stands}\n");
    }
    all
}

/// Fails with the first lines that differ.
pub fn same(seen: &str, expected: &str) {
    let pairs = seen.lines().zip(expected.lines());
    let differing: Vec<_> = pairs.filter(|(seen, expected)| seen != expected).take(5).collect();
    assert!(
        seen == expected,
        "{} and {} bytes; the first lines that differ: {differing:#?}",
        seen.len(),
        expected.len()
    );
}

/// The schema.
pub const SCHEMA: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'ok', 'very "happy"');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE inner_pair AS (a int, b text);
CREATE TYPE pair AS (x inner_pair, y numeric[]);
CREATE SEQUENCE alone START 5 INCREMENT 3;
CREATE TABLE kinds (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s smallint, i int, b bigint, n numeric, r real, d float8, m money,
  t text, v varchar(10), c char(5), by bytea, ts timestamp, tz timestamptz, da date, ti time, tt timetz, iv interval,
  bo boolean, e mood, po positive, p pair, pt point, li line, ls lseg, bx box, pa path, pl polygon, ci circle,
  cd cidr, ip inet, ma macaddr, m8 macaddr8, bi bit(3), vb varbit, tv tsvector, tq tsquery, u uuid, x xml, j json, jb jsonb,
  jp jsonpath, ia int[], ta text[], ea mood[], ra int4range, nr numrange, tr tstzrange, mr int4multirange, ls2 pg_lsn,
  oi oid, na name, sn txid_snapshot,
  doubled int GENERATED ALWAYS AS (i * 2) STORED
);
INSERT INTO kinds (s,i,b,n,r,d,m,t,v,c,by,ts,tz,da,ti,tt,iv,bo,e,po,p,pt,li,ls,bx,pa,pl,ci,cd,ip,ma,m8,bi,vb,tv,tq,u,x,j,jb,jp,ia,ta,ea,ra,nr,tr,mr,ls2,oi,na,sn) VALUES
 (-32768, 2147483, 9223372036854775807, 'NaN', 'Infinity', '-0', '-92233720368547758.08', E'tab\t nl\n cr\r bs\\ \\N "q" ünï — 🙂 \b\v\f', 'v', 'c', '\x00ff0a5c',
  'infinity', '-infinity', '4713-01-01 BC', '24:00', '23:59:59.999999+15:59', '-178000000 years 3 mons -1.000001 s', true, 'very "happy"', 1,
  '("(1,""a,\\\\b"")","{1.10,NULL}")', '(1,2)', '{1,2,3}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(2,0))', '<(0,0),5>',
  '10.0.0.0/8', '::1/64', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'101', B'', '''a'':1A b', 'a & !b', '5bb8a0a5-0000-4000-8000-0000000000ff',
  '<a>x</a>', '{"a":1,  "a":2}', '{"n":123456789012345678901234567890.10, "t":"\\u00e9"}', '$.a[*]', '[0:1]={1,2}', '{"",NULL,"NULL","a,b","q\"\\"}',
  '{sad,NULL}', '[1,5)', '(,3.5]', '[2020-01-01 00:00+00,)', '{[1,3),[5,8)}', '16/B374D848', 4294967295, 'name', '10:20:10,14,15'),
 (NULL,NULL,NULL,('1' || repeat('0', 999) || '.5')::numeric,NULL,1e-320,NULL,'',NULL,'',''::bytea,'2020-01-01 00:00:00.000001','1999-12-31 23:59:59.999999-11',
  'infinity','00:00','00:00-15:59','00:00:00',false,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'','',NULL,'','null','null',
  NULL,'{}','{}','{}','empty','empty','empty','{}',NULL,NULL,NULL,NULL),
 (DEFAULT,DEFAULT,DEFAULT,'-0.000',DEFAULT,'NaN',DEFAULT,'\N',DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,
  DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,'"a string"','"{\"no\":1}"',DEFAULT,
  '[2:3][-1:0]={{1,2},{3,4}}',DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT,DEFAULT);
CREATE TABLE twins (a int, b text);
INSERT INTO twins VALUES (1, 'x'), (1, 'x'), (1, 'x'), (NULL, NULL), (NULL, NULL);
CREATE TABLE composite (a int, b text, c int, PRIMARY KEY (b, a));
INSERT INTO composite SELECT i % 7, 'k' || i, i FROM generate_series(1, 500) i;
COMMENT ON CONSTRAINT composite_pkey ON composite IS 'b first, it''s "sorted"';
CREATE TABLE tree (id serial PRIMARY KEY, up int REFERENCES tree (id) DEFERRABLE INITIALLY DEFERRED, code text, CONSTRAINT tree_code UNIQUE (code) DEFERRABLE);
INSERT INTO tree (up, code) SELECT CASE WHEN i > 1 THEN i / 2 END, 'n' || i FROM generate_series(1, 300) i;
CREATE TABLE hens (id int PRIMARY KEY, egg int);
CREATE TABLE eggs (id int PRIMARY KEY, hen int NOT NULL REFERENCES hens ON DELETE CASCADE);
INSERT INTO hens VALUES (1, NULL), (2, NULL); INSERT INTO eggs VALUES (1, 1), (2, 2); UPDATE hens SET egg = id;
ALTER TABLE hens ADD CONSTRAINT hens_egg FOREIGN KEY (egg) REFERENCES eggs (id) ON UPDATE CASCADE;
COMMENT ON CONSTRAINT hens_egg ON hens IS 'which came first';
CREATE TABLE measured (at date NOT NULL, site int NOT NULL, value numeric, PRIMARY KEY (at, site)) PARTITION BY RANGE (at);
CREATE TABLE measured_2024 PARTITION OF measured FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE measured_2025 PARTITION OF measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (site);
CREATE TABLE measured_2025_1 PARTITION OF measured_2025 FOR VALUES IN (1);
CREATE TABLE "measured 2025 rest" PARTITION OF measured_2025 DEFAULT;
CREATE INDEX measured_value ON measured (value DESC NULLS LAST) WHERE value > 0;
CREATE INDEX only_here ON measured_2024 (site);
ALTER TABLE measured ADD CONSTRAINT measured_site FOREIGN KEY (site) REFERENCES hens (id);
INSERT INTO measured SELECT date '2024-01-01' + i, 1 + i % 2, i FROM generate_series(0, 699) i;
CREATE TABLE notes (id int PRIMARY KEY, at date, site int, FOREIGN KEY (at, site) REFERENCES measured (at, site));
INSERT INTO notes VALUES (1, '2025-03-01', 2), (2, NULL, 1);
CREATE TABLE animals (id int PRIMARY KEY, name text);
CREATE TABLE dogs (barks boolean) INHERITS (animals);
CREATE UNIQUE INDEX dogs_name ON dogs (lower(name)) INCLUDE (id) WITH (fillfactor = 70);
ALTER INDEX dogs_name ALTER COLUMN 1 SET STATISTICS 500;
COMMENT ON INDEX dogs_name IS 'lower';
INSERT INTO animals VALUES (1, 'cat'); INSERT INTO dogs VALUES (1, 'Rex', true), (2, 'Fido', NULL);
CREATE TABLE booked (room int NOT NULL, during tsrange NOT NULL, mark text, EXCLUDE USING gist (during WITH &&));
CREATE UNIQUE INDEX booked_identity ON booked (room);
ALTER TABLE booked REPLICA IDENTITY USING INDEX booked_identity;
INSERT INTO booked VALUES (1, '[2024-01-01,2024-01-02)', 'a'), (2, '[2024-01-02,2024-01-03)', 'b');
ALTER TABLE tree CLUSTER ON tree_pkey;
CREATE TABLE "odd ""name"".x" ("a b" int PRIMARY KEY, "c""d" text, "Ü" text);
INSERT INTO "odd ""name"".x" VALUES (1, 'x', 'y');
CREATE VIEW grouped AS SELECT h.id, h.egg, count(*) FROM hens h GROUP BY h.id;
CREATE TABLE guarded (id int PRIMARY KEY, owner text);
INSERT INTO guarded VALUES (1, 'me'), (2, 'you');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON guarded USING (owner = current_user);
CREATE TABLE told (what text);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.told VALUES (TG_OP || TG_TABLE_NAME); RETURN NEW; END $$;
CREATE TRIGGER origin_only AFTER INSERT ON hens FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER always AFTER INSERT ON hens FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER replica AFTER INSERT ON hens FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER off AFTER INSERT ON hens FOR EACH ROW EXECUTE FUNCTION tell();
CREATE TRIGGER emptied BEFORE TRUNCATE ON eggs FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER parted AFTER INSERT ON measured FOR EACH ROW EXECUTE FUNCTION tell();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON eggs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tell();
ALTER TABLE hens ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER replica, DISABLE TRIGGER off;
ALTER TABLE ONLY measured_2024 DISABLE TRIGGER parted;
TRUNCATE told;
SELECT setval('alone', 41, false);
"#;

/// The schema without its rows, as a target has it; rows that the owner may see only under his own rules included.
pub fn make_target(cluster: &Cluster, source: &str, label: &str) -> String {
    let target = database(cluster, label);
    let file = cluster.directory.path().join(format!("{target}.sql"));
    std::fs::write(&file, schema_of(cluster, source)).unwrap();
    cluster.load(&target, &file);
    cluster.sql(&target, "ALTER TABLE guarded FORCE ROW LEVEL SECURITY");
    target
}
