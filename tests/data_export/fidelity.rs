//! Every built-in type with its odd values goes out to JSON and in again, and is the same, bit for bit.

use std::io::Cursor;

use cutover::data::json_rows::{Decoder, Reading};
use futures_util::SinkExt;

use crate::site::{Site, content};

/// Types, and values that somebody's tool once lost.
const VALUES: &[(&str, &[&str])] = &[
    ("boolean", &["true", "false"]),
    ("smallint", &["-32768", "32767"]),
    ("bigint", &["-9223372036854775808", "9007199254740993", "9223372036854775807"]),
    (
        "numeric",
        &[
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "0.00",
            "-0.000",
            "('1' || repeat('0', 999) || '.5')::numeric",
            "repeat('9', 1000)::numeric",
            "1e-500",
        ],
    ),
    ("numeric(6,2)", &["1.10", "-9999.99"]),
    ("real", &["'NaN'", "'-0'", "'-Infinity'", "1.17549435e-38", "3.4028235e38", "0.1"]),
    (
        "double precision",
        &["'NaN'", "'-0'", "'Infinity'", "5e-324", "1.7976931348623157e308", "0.1::float8 + 0.2::float8"],
    ),
    ("money", &["'-92233720368547758.08'", "'1234.5'"]),
    (
        "text",
        &[
            "''",
            "' '",
            r"'\N'",
            r"'\.'",
            r"E'\\\\'",
            r"E'tab\t nl\n cr\r vt\x0b ff\f bs\b del\x7f us\x1f one\x01'",
            "'\"quoted\"'",
            "'null'",
            "'ünïcödé — 🙂 👩‍👩‍👧 \u{202e}\u{feff}'",
            "E'a\u{2028}b'",
            "repeat('long ', 100000)",
        ],
    ),
    ("varchar(10)", &["''", "'0123456789'"]),
    ("char(5)", &["'a'", "''", "'abcde'"]),
    ("\"char\"", &["'x'", "''", r"'\377'"]),
    ("name", &["'a name'"]),
    ("bytea", &["''", r"'\x00ff0a5c22'", "decode(repeat('00', 1000), 'hex')"]),
    (
        "timestamp",
        &[
            "'infinity'",
            "'-infinity'",
            "'2020-01-01 00:00:00.000001'",
            "'0044-03-15 12:00:00 BC'",
            "'294276-12-31 23:59:59.999999'",
        ],
    ),
    (
        "timestamptz",
        &[
            "'infinity'",
            "'2020-06-01 00:00:00.123456-11'",
            "'1883-11-18 12:03:57 America/New_York'",
            "'4713-01-01 00:00:00+00 BC'",
        ],
    ),
    ("date", &["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'"]),
    ("time", &["'24:00'", "'00:00:00.000001'"]),
    ("timetz", &["'23:59:59.999999+15:59'", "'00:00-15:59'"]),
    ("interval", &["'-178000000 years 3 mons -1.000001 s'", "'0'", "'1 day -00:00:00.000001'", "'1 mon -1 day'"]),
    ("uuid", &["'5BB8A0A5-0000-4000-8000-0000000000FF'"]),
    (
        "json",
        &[
            r#"'{"a":1,  "a":2}'"#,
            "'null'",
            "'\"a string\"'",
            r#"'"\u0000"'"#,
            "'[1e400, -0]'",
            "E'{\\n\"k\" : \"\\\\n\"}'",
        ],
    ),
    (
        "jsonb",
        &[
            r#"'{"n":123456789012345678901234567890.10}'"#,
            "'null'",
            "'\"{}\"'",
            "'1e400'",
            "'-0.0'",
            "'[]'",
            r#"'{"":{"ü":"\u00e9\ud83d\ude00\"\\"}}'"#,
        ],
    ),
    ("jsonpath", &["'$.a[*] ? (@.b == \"x\")'"]),
    ("xml", &["'<a b=\"1\">x &amp; y</a>'", "''", "'just text'"]),
    ("inet", &["'::1/64'", "'10.0.0.1'", "'10.0.0.1/8'"]),
    ("cidr", &["'10.0.0.0/8'", "'::/0'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    ("bit(3)", &["B'101'", "B'000'"]),
    ("bit varying", &["B''", "B'10101010101'"]),
    ("tsvector", &["'''a b'':1A,2B c'", "''"]),
    ("tsquery", &["'a & !b <-> ''c d'''", "''"]),
    ("point", &["'(1,-0)'", "'(NaN,Infinity)'"]),
    ("line", &["'{1,2,3}'"]),
    ("lseg", &["'[(0,0),(1,1)]'"]),
    ("box", &["'(1,1),(0,0)'"]),
    ("path", &["'((0,0),(1,1),(2,0))'", "'[(0,0),(1,1)]'"]),
    ("polygon", &["'((0,0),(1,1),(2,0))'"]),
    ("circle", &["'<(0,0),5>'"]),
    ("pg_lsn", &["'16/B374D848'"]),
    ("oid", &["4294967295"]),
    ("txid_snapshot", &["'10:20:10,14,15'"]),
    ("int4range", &["'empty'", "'[1,5)'", "'(,)'"]),
    ("numrange", &["'(,3.50]'", "'[NaN,NaN]'"]),
    ("tstzrange", &["'[2020-01-01 00:00+00,infinity)'", "'(,\"2020-01-01 00:00:00.000001+00\"]'"]),
    ("textrange", &["'[\"a,b\",\"c\\\"d\"]'", "'[\"\",z)'"]),
    ("int4multirange", &["'{[1,3),[5,8)}'", "'{}'"]),
    ("int[]", &["'{}'", "'[0:1]={1,2}'", "'[2:3][-1:0]={{1,2},{3,4}}'", "'{NULL,1}'", "ARRAY[[[1]]]"]),
    ("text[]", &[r#"'{"",NULL,"NULL","a,b","q\"\\","{}"," "}'"#, "ARRAY[E'tab\\tnl\\n', 'ü']"]),
    ("bytea[]", &[r#"'{"\\x00ff",NULL}'"#]),
    ("jsonb[]", &[r#"ARRAY['{"a":[1,"\""]}', 'null', NULL]::jsonb[]"#]),
    ("mood[]", &[r#"ARRAY['very "happy"', NULL]::mood[]"#]),
    ("mood", &["'sad'", "'very \"happy\"'", "'a,b'"]),
    ("positive", &["1"]),
    ("posts", &["'{1,2}'"]),
    ("pair", &[r#"ROW(ROW(1, E'a,\\ "\t'), ARRAY[1.10, NULL])"#, "ROW(NULL, '{}')", "ROW(ROW(NULL, ''), NULL)"]),
    ("pair[]", &[r#"ARRAY[ROW(ROW(1, 'x"y'), '{}')::pair, NULL]"#]),
    ("citext", &["'MiXed'"]),
    ("hstore", &[r#"'"a b"=>"c\"d", e=>NULL, ""=>""'"#]),
    ("ltree", &["'Top.Science.a_b'", "''"]),
    ("vector", &["'[1,2.5,-0]'"]),
];

const TYPES: &str = r#"CREATE TYPE mood AS ENUM ('sad', 'ok', 'very "happy"', 'a,b');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN posts AS positive[];
    CREATE TYPE inner_pair AS (a int, b text); CREATE TYPE pair AS (x inner_pair, y numeric[]);
    CREATE TYPE textrange AS RANGE (subtype = text);"#;

fn extension(type_name: &str) -> bool {
    ["citext", "hstore", "ltree", "vector"].contains(&type_name)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_and_its_odd_values_come_back_the_same() {
    let site = Site::new(TYPES);
    let mut schema = String::new();
    let mut fill = String::new();
    let mut tables = 0;
    for (at, (type_name, values)) in VALUES.iter().enumerate() {
        if extension(type_name) {
            let there = site.cluster.sql(
                &site.database,
                &format!("SELECT count(*) FROM pg_available_extensions WHERE name = '{type_name}'"),
            );
            if there == "0" {
                println!("the extension {type_name} is not installed here; its type is left out");
                continue;
            }
            schema.push_str(&format!("CREATE EXTENSION {type_name};"));
        }
        tables += 1;
        // A second column shows that nothing spills over.
        schema.push_str(&format!("CREATE TABLE t{at} (v {type_name}, after text);"));
        for value in *values {
            fill.push_str(&format!("INSERT INTO t{at} VALUES ({value}, '|'), ({value}, NULL);"));
        }
        fill.push_str(&format!("INSERT INTO t{at} VALUES (NULL, '|');"));
    }
    site.cluster.sql(&site.database, &schema);
    site.cluster.sql(&site.database, &format!("SET extra_float_digits = 1; {fill}"));
    let target = Site::new(TYPES);
    target.cluster.sql(&target.database, &schema);
    for is_compressed in [false, true] {
        let mut options = site.options();
        options.is_compressed = is_compressed;
        let metadata = site.export(&options).await.unwrap();
        assert_eq!(metadata.tables.len(), tables);
        site.is_whole();
        for stem in metadata.tables.keys() {
            let rows = site.rows(stem);
            load(&target, stem, &rows).await;
            let table = format!("public.{stem}");
            let (before, after) = (content(&site.place(), &table).await, content(&target.place(), &table).await);
            assert!(before == after, "{:?} is not what it was", VALUES[stem[1..].parse::<usize>().unwrap()].0);
            assert!(!before.is_empty());
        }
    }
}

/// Fills a table anew by COPY.
async fn load(target: &Site, table: &str, rows: &[Vec<u8>]) {
    let session = target.place().connect("loader").await.unwrap();
    session.batch_execute(&format!("TRUNCATE public.{table}")).await.unwrap();
    let sink = session.copy_in::<_, Cursor<Vec<u8>>>(&format!("COPY public.{table} FROM STDIN")).await.unwrap();
    let mut sink = std::pin::pin!(sink);
    for row in rows {
        sink.send(Cursor::new([row.as_slice(), b"\n"].concat())).await.unwrap();
    }
    sink.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_50_megabytes_comes_back_the_same() {
    let site = Site::new(
        "CREATE TABLE large (id int, t text); INSERT INTO large VALUES (1, repeat(E'0123456789 \\\\ \"q\" \\n ü — ', 2500000)), (2, 'small')",
    );
    let target = Site::new("CREATE TABLE large (id int, t text)");
    let size = site.cluster.sql(&site.database, "SELECT octet_length(t) FROM large WHERE id = 1");
    assert!(size.parse::<u64>().unwrap() > 50_000_000, "{size}");
    site.export(&site.options()).await.unwrap();
    load(&target, "large", &site.rows("large")).await;
    let digest = "SELECT id, md5(t), length(t) FROM large ORDER BY id";
    assert_eq!(site.cluster.sql(&site.database, digest), target.cluster.sql(&target.database, digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_many_pieces_is_written_whole_with_one_comma_between_any_two_rows() {
    let site = Site::new(
        "CREATE TABLE many (id int, filler text); INSERT INTO many SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 30000) i;
         -- Pieces in the middle, at the beginning and at the end become empty.
         DELETE FROM many WHERE id < 6000 OR id BETWEEN 10000 AND 20000 OR id > 29000",
    );
    let expected = content(&site.place(), "public.many").await;
    for (workers, is_compressed) in [(1, false), (3, false), (16, true)] {
        let mut options = site.options();
        (options.workers, options.is_compressed) = (workers, is_compressed);
        site.export(&options).await.unwrap();
        site.is_whole();
        let mut rows = site.rows("many");
        rows.sort();
        assert!(rows == expected, "with {workers} workers");
    }
}

#[tokio::test]
async fn what_node_writes_is_taken_by_the_server_as_the_value_that_it_was() {
    let columns = "i interval, p point, c circle, b bytea, j jsonb, s jsonb, a text[], n int[], ja jsonb[], ba bytea[], f float8, t boolean, w timestamptz";
    let site = Site::new(&format!("CREATE TABLE node ({columns})"));
    let catalog = {
        let session = site.place().connect("reader").await.unwrap();
        let patterns = cutover::data::patterns::Patterns::parse(&["node"], &[""; 0]).unwrap();
        let users = cutover::data::catalog::TableName::new("auth", "users");
        cutover::rows::catalog::read(&session, &patterns, &users).await.unwrap()
    };
    let file = r#"[ {"i":{"years":1,"days":-2,"seconds":3,"milliseconds":4.5},"p":{"x":1,"y":-2.5},"c":{"x":0,"y":1,"radius":2},
        "b":{"type":"Buffer","data":[0,255,92]},"j":{"k":[1,"\"",null]},"s":"text","a":["x","q\"\\,{}",null,""],"n":[[1,2],[3,null]],
        "ja":[{"k":"v\\"},[1],"s"],"ba":[{"type":"Buffer","data":[1]}],"f":1e21,"t":true,"w":"2026-01-23T00:00:00.123Z"} ]"#;
    let mut decoder = Decoder::new(file.as_bytes(), "node.json", &catalog.tables[0].columns, Reading::FOREIGN);
    let mut row = Vec::new();
    assert!(decoder.row(&mut row).unwrap());
    load(&site, "node", &[row]).await;
    let same = r#"SELECT i = '1 year -2 days 3.0045 s' AND p ~= point(1,-2.5) AND c ~= circle '<(0,1),2>' AND b = '\x00ff5c' AND j = '{"k":[1,"\"",null]}'
        AND s = '"text"' AND a = ARRAY['x', 'q"\,{}', NULL, ''] AND n = '{{1,2},{3,NULL}}' AND ja = ARRAY['{"k":"v\\"}', '[1]', '"s"']::jsonb[]
        AND ba = ARRAY['\x01'::bytea] AND f = 1e21 AND t AND w = '2026-01-23 00:00:00.123+00' FROM node"#;
    assert_eq!(site.cluster.sql(&site.database, same), "t");
}
