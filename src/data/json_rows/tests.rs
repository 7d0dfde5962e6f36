//! What the codec promises.

use proptest::prelude::*;

use super::*;
use crate::data::catalog::{Column, Kind};

fn column(name: &str, type_name: &str, kind: Kind) -> Column {
    Column {
        name: name.into(),
        type_name: type_name.into(),
        kind,
        is_required: false,
        is_generated: false,
        identity: None,
        default: None,
    }
}

fn texts(count: usize) -> Vec<Column> {
    (0..count).map(|at| column(&format!("c\"{at}"), "text", Kind::Text)).collect()
}

fn encoded(columns: &[Column], row: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(columns.iter().map(|column| column.name.as_str())).row(row, &mut out).unwrap();
    out
}

/// The whole file of these rows.
fn file(columns: &[Column], rows: &[Vec<u8>]) -> Vec<u8> {
    let rows: Vec<_> = rows.iter().map(|row| encoded(columns, row)).collect();
    if rows.is_empty() { EMPTY.to_vec() } else { [OPENING, &rows.join(BETWEEN), CLOSING].concat() }
}

/// Gives at most so many bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl std::io::Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn decoded(text: &[u8], columns: &[Column], reading: Reading) -> Result<Vec<String>, String> {
    let mut decoder = Decoder::new(Slow(text, 7), "t.json", columns, reading);
    let mut rows = Vec::new();
    loop {
        let mut row = Vec::new();
        match decoder.row(&mut row) {
            Ok(true) => rows.push(String::from_utf8(row).unwrap()),
            Ok(false) => return Ok(rows),
            Err(fault) => return Err(fault.to_string()),
        }
    }
}

/// One value of another tool in one column.
fn foreign(kind: Kind, type_name: &str, value: &str) -> Result<String, String> {
    let rows = decoded(format!("[{{\"a\": {value} }}]").as_bytes(), &[column("a", type_name, kind)], Reading::FOREIGN)?;
    Ok(rows.into_iter().next().unwrap())
}

fn field() -> impl Strategy<Value = Vec<u8>> {
    let odd = prop::sample::select(vec![
        "\\", "\"", "\t", "\n", "\r", "\u{b}", "\u{8}", "\u{c}", "\u{1}", "\u{1f}", "N", "😀",
    ]);
    let text = prop::collection::vec(prop_oneof![odd.prop_map(String::from), any::<String>()], 0..6);
    prop_oneof![
        1 => Just(copy_text::NULL.to_vec()),
        8 => text.prop_map(|parts| {
            let mut field = Vec::new();
            copy_text::escape(parts.concat().replace('\0', "").as_bytes(), &mut field);
            field
        }),
    ]
}

fn table() -> impl Strategy<Value = (usize, Vec<Vec<u8>>)> {
    (1_usize..6).prop_flat_map(|count| {
        let row = prop::collection::vec(field(), count).prop_map(|fields| fields.join(&b'\t'));
        (Just(count), prop::collection::vec(row, 0..8))
    })
}

proptest! {
    #[test]
    fn rows_come_back_byte_for_byte_and_any_json_reader_agrees((count, rows) in table(), step in 1_usize..40) {
        let columns = texts(count);
        let text = file(&columns, &rows);
        let mut decoder = Decoder::new(Slow(&text, step), "t.json", &columns, Reading::OURS);
        let mut back = Vec::new();
        loop {
            let mut row = Vec::new();
            if !decoder.row(&mut row).unwrap() { break; }
            back.push(row);
        }
        prop_assert_eq!(&back, &rows);
        let values: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(&text).unwrap();
        for (value, row) in values.iter().zip(&rows) {
            for (column, field) in columns.iter().zip(copy_text::fields(row)) {
                let mut plain = Vec::new();
                copy_text::unescape(field, &mut plain);
                let expected = if copy_text::is_null(field) { serde_json::Value::Null } else { String::from_utf8(plain).unwrap().into() };
                prop_assert_eq!(&value[&column.name], &expected);
            }
        }
    }

    #[test]
    fn a_file_that_another_writer_indented_and_reordered_means_the_same((count, rows) in table()) {
        let columns = texts(count);
        let values: serde_json::Value = serde_json::from_slice(&file(&columns, &rows)).unwrap();
        let mut turned = values.as_array().unwrap().clone();
        for row in &mut turned {
            let object = row.as_object_mut().unwrap();
            *object = std::mem::take(object).into_iter().rev().collect();
        }
        let expected: Vec<_> = rows.iter().map(|row| String::from_utf8(row.clone()).unwrap()).collect();
        let pretty = serde_json::to_vec_pretty(&turned).unwrap();
        prop_assert_eq!(decoded(&pretty, &columns, Reading::OURS).unwrap(), expected.clone());
        let dense = serde_json::to_vec(&turned).unwrap();
        prop_assert_eq!(decoded(&dense, &columns, Reading::FOREIGN).unwrap(), expected);
    }

    #[test]
    fn a_file_cut_off_anywhere_is_never_taken_for_a_whole_one((count, rows) in table(), at in any::<prop::sample::Index>()) {
        let columns = texts(count);
        let text = file(&columns, &rows);
        let whole = text.len() - 1; // The last line end is no part of the array.
        let cut = &text[..at.index(whole)];
        let error = decoded(cut, &columns, Reading::OURS).unwrap_err();
        prop_assert!(error.contains("cut off") || error.contains("is empty"), "{}", error);
    }

    #[test]
    fn any_bytes_give_rows_or_an_error(text in prop::collection::vec(any::<u8>(), 0..200), ours in any::<bool>()) {
        let columns = [column("a", "jsonb", Kind::Json), column("b", "int[]", Kind::Array), column("c", "bytea", Kind::Bytes)];
        let reading = Reading { is_ours: ours, is_missing_null: true };
        let _either = decoded(&text, &columns, reading);
        let _either = decoded(&[b"[{\"a\":", text.as_slice(), b"}]"].concat(), &columns, reading);
    }

    #[test]
    fn json_of_any_shape_stays_its_own_text(value in json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let mut plain = Vec::new();
            let field = foreign(Kind::Json, "jsonb", &text).unwrap();
            if !value.is_null() {
                copy_text::unescape(field.as_bytes(), &mut plain);
                prop_assert_eq!(String::from_utf8(plain).unwrap(), text);
            }
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[^\0]*".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(5, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::vec(("[^\0]{0,4}", inner), 0..5)
                .prop_map(|pairs| pairs.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

#[test]
fn our_form_is_one_row_per_line() {
    let columns = texts(2);
    let rows = [b"1\t\\N".to_vec(), b"a\\tb\"\\v\x01\t\\\\N".to_vec()];
    let expected =
        "[\n{\"c\\\"0\":\"1\",\"c\\\"1\":null},\n{\"c\\\"0\":\"a\\tb\\\"\\u000b\\u0001\",\"c\\\"1\":\"\\\\N\"}\n]\n";
    assert_eq!(String::from_utf8(file(&columns, &rows)).unwrap(), expected);
    assert_eq!(file(&columns, &[]), EMPTY);
    let mut out = Vec::new();
    RowDecoder::new(&columns, Reading::OURS).line(expected.lines().nth(1).unwrap().as_bytes(), &mut out).unwrap();
    assert_eq!(out, rows[0]);
}

#[test]
fn a_table_without_columns_keeps_its_number_of_rows() {
    assert_eq!(encoded(&[], b""), b"{}");
    assert_eq!(decoded(b"[\n{},\n{}\n]\n", &[], Reading::OURS).unwrap(), ["", ""]);
}

#[test]
fn a_row_with_another_number_of_fields_is_an_error() {
    let encoder = Encoder::new(["a", "b"]);
    for row in [&b"1"[..], b"1\t2\t3", b"\\N", b"", b"\\N\t\\N\t\\N"] {
        assert!(encoder.row(row, &mut Vec::new()).is_err(), "{row:?}");
    }
    encoder.row(b"\t", &mut Vec::new()).unwrap();
}

#[test]
fn a_million_rows_come_back_as_they_went() {
    // A cheap generator: what matters is every pair of neighbours of odd and plain bytes, many times over.
    const PARTS: [&str; 12] =
        ["plain text", "\\\\", "\"", "\\n", "é", "\\t", "😀", "", "\u{1}", "0123456789abcdef", "\\v", "x"];
    let columns = texts(3);
    let encoder = Encoder::new(columns.iter().map(|column| column.name.as_str()));
    let mut rows = RowDecoder::new(&columns, Reading::OURS);
    let (mut state, mut row, mut text, mut back) = (1_u64, Vec::new(), Vec::new(), Vec::new());
    for _ in 0..1_000_000 {
        row.clear();
        text.clear();
        back.clear();
        for at in 0..3 {
            if at > 0 {
                row.push(b'\t');
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = state >> 33;
            if random % 13 == 0 {
                row.extend_from_slice(copy_text::NULL);
                continue;
            }
            for part in 0..random % 4 {
                row.extend_from_slice(PARTS[(random >> (4 + part * 5)) as usize % PARTS.len()].as_bytes());
            }
        }
        encoder.row(&row, &mut text).unwrap();
        rows.line(&text, &mut back).unwrap();
        assert_eq!(back, row);
    }
}

#[test]
fn a_value_of_50_megabytes_goes_there_and_back() {
    let mut row = "0123456789 \\n \" ü ".repeat(50_000_000 / 18).into_bytes();
    row.extend_from_slice(b"\t\\N");
    let columns = texts(2);
    let text = file(&columns, &[row.clone(), b"a\tb".to_vec()]);
    let mut decoder = Decoder::new(Slow(&text, 1 << 16), "t.json", &columns, Reading::OURS);
    let mut back = Vec::new();
    assert!(decoder.row(&mut back).unwrap());
    assert!(back == row, "the large row is not the same");
    assert!(decoder.row(&mut back).unwrap() && !decoder.row(&mut back).unwrap());
}

#[test]
fn values_of_other_tools_are_taken_by_the_kind_of_the_column() {
    let ok = |kind, type_name, value, expected: &str| {
        assert_eq!(foreign(kind, type_name, value).as_deref(), Ok(expected), "{value} in {type_name}");
    };
    ok(Kind::Number, "numeric", "12345678901234567890.123456789000", "12345678901234567890.123456789000");
    ok(Kind::Number, "double precision", "-1.5e+300", "-1.5e+300");
    ok(Kind::Number, "bigint", "\"9007199254740993\"", "9007199254740993");
    ok(Kind::Bool, "boolean", "true", "t");
    ok(Kind::Bool, "boolean", "false", "f");
    ok(Kind::Bool, "boolean", "null", "\\N");
    ok(Kind::Text, "text", "true", "true");
    ok(Kind::Text, "text", "\"a\\\"b\\\\c\\/\\u00e9\\ud83d\\ude00\\u000b\"", "a\"b\\\\c/é😀\\v");
    ok(Kind::Json, "jsonb", "{ \"a\" : [1e400, -0, \"x\\ny\"] }", "{ \"a\" : [1e400, -0, \"x\\\\ny\"] }");
    ok(Kind::Json, "jsonb", "\"text\"", "\"text\"");
    ok(Kind::Json, "json", "true", "true");
    ok(Kind::Json, "json", "12.50", "12.50");
    ok(Kind::Bytes, "bytea", "{\"type\":\"Buffer\",\"data\":[0,1,255]}", "\\\\x0001ff");
    ok(Kind::Bytes, "bytea", "\"\\\\x00ff\"", "\\\\x00ff");
    ok(
        Kind::Array,
        "text[]",
        "[\"a\",null,\"NULL\",\"q\\\"\\\\\",\"\",\"x,y\"]",
        r#"{"a",NULL,"NULL","q\\"\\\\","","x,y"}"#,
    );
    ok(Kind::Array, "integer[]", "[[1, 2],[3,4]]", "{{1,2},{3,4}}");
    ok(Kind::Array, "boolean[]", "[true,false]", "{t,f}");
    ok(Kind::Array, "integer[]", "[ ]", "{}");
    ok(Kind::Array, "text[]", "\"{a,b}\"", "{a,b}");
    ok(Kind::Array, "jsonb[]", "[{\"a\":[1]},[2],null,\"s\"]", r#"{"{\\"a\\":[1]}","[2]",NULL,"\\"s\\""}"#);
    ok(Kind::Array, "bytea[]", "[{\"type\":\"Buffer\",\"data\":[1]}]", r#"{"\\\\x01"}"#);
    ok(Kind::Text, "interval", "{\"days\":-1,\"milliseconds\":0.5}", " -1 days 0.5 milliseconds");
    ok(Kind::Text, "interval", "{}", "0");
    ok(Kind::Text, "point", "{\"x\":1,\"y\":2.5}", "(1,2.5)");
}

#[test]
fn values_that_fit_no_column_say_so() {
    let error = |kind, type_name, value, expected: &str| {
        let error = foreign(kind, type_name, value).unwrap_err();
        assert!(error.starts_with("t.json, row 1, column a: ") && error.contains(expected), "{error}");
    };
    error(Kind::Text, "text", "{\"a\":1}", "an object for a column of the type text");
    error(Kind::Text, "text", "[1]", "an array for a column of the type text");
    error(Kind::Text, "text", "\"a\\u0000b\"", "NUL character");
    error(Kind::Json, "jsonb", "{\"k\":\"a\\u0000b\"}", "NUL character");
    error(Kind::Text, "text", "\"\\ud800\"", "half of a character");
    error(Kind::Text, "text", "\"\\udc00\"", "half of a character");
    error(Kind::Text, "text", "\"a\nb\"", "raw control character");
    error(Kind::Bytes, "bytea", "\"aGFsbG8=\"", "base64");
    error(Kind::Number, "integer", "01", "is no number");
    error(Kind::Number, "integer", "nul1", "expected `null`");
    error(Kind::Json, "json", "{\"a\":[1}", "expected `,` or `]`");
    error(Kind::Json, "json", "{\"a\":1,}", "expected a key");
}

#[test]
fn a_json_column_that_may_not_be_null_holds_the_json_null() {
    let mut required = column("a", "jsonb", Kind::Json);
    required.is_required = true;
    assert_eq!(decoded(b"[{\"a\":null}]", &[required], Reading::FOREIGN).unwrap(), ["null"]);
    assert_eq!(foreign(Kind::Json, "jsonb", "null").unwrap(), "\\N");
}

#[test]
fn strings_that_look_like_json_text_stay_strings_and_are_counted() {
    let columns = [column("a", "jsonb", Kind::Json)];
    let text: &[u8] = br#"[{"a":"{\"b\":1}"},{"a":"[not"},{"a":"[1] "}]"#;
    let mut decoder = Decoder::new(text, "t.json", &columns, Reading::FOREIGN);
    while decoder.row(&mut Vec::new()).unwrap() {}
    let doubts = decoder.doubts();
    assert_eq!(doubts.len(), 1);
    assert!(doubts[0].starts_with("t.json, column a: 2 strings"), "{doubts:?}");
    let ours = decoded(br#"[{"a":"{\"b\":1}"}]"#, &columns, Reading::OURS).unwrap();
    assert_eq!(ours, ["{\"b\":1}"]);
}

#[test]
fn keys_that_are_missing_unknown_or_twice_are_named() {
    let mut columns = texts(0);
    columns.extend([column("a", "text", Kind::Text), column("b", "text", Kind::Text)]);
    let lenient = Reading { is_ours: false, is_missing_null: true };
    assert_eq!(decoded(b"[{\"b\":\"1\"},{}]", &columns, lenient).unwrap(), ["\\N\t1", "\\N\t\\N"]);
    let error = |text: &[u8]| decoded(text, &columns, Reading::FOREIGN).unwrap_err();
    assert_eq!(error(b"[{\"a\":\"1\",\"b\":null},{\"b\":\"1\"}]"), "t.json, row 2, column a: the row does not name it");
    assert_eq!(error(b"[{\"z\":\"1\"}]"), "t.json, row 1: the table has no column \"z\"; it has a, b");
    assert_eq!(error(b"[{\"a\":\"1\",\"a\":\"1\"}]"), "t.json, row 1, column a: the row names it twice");
    columns[0].is_generated = true;
    assert_eq!(decoded(b"[{\"a\":{\"x\":[]},\"b\":\"1\"}]", &columns, Reading::FOREIGN).unwrap(), ["1"]);
}

#[test]
fn what_is_no_array_of_objects_is_refused_with_its_place() {
    let columns = [column("a", "text", Kind::Text)];
    let error = |text: &str| decoded(text.as_bytes(), &columns, Reading::OURS).unwrap_err();
    assert_eq!(error(""), "t.json: the file is empty; without rows it would hold `[]`");
    assert!(error("{\"a\":\"1\"}").starts_with("t.json: expected `[`"));
    assert!(error("[1]").starts_with("t.json, row 1: expected an object"));
    assert!(error("[{\"a\":\"1\"},]").starts_with("t.json, row 2: expected an object"));
    assert!(error("[{\"a\":\"1\"} {\"a\":\"1\"}]").starts_with("t.json: expected `,` or `]` after row 1"));
    assert!(error("[{\"a\":\"1\"}] []").ends_with("behind the closing `]`"));
    assert!(error("[{\"a\":1}]").contains("the file was edited"));
    let cut = "t.json, row 2: the file is cut off: it ends after 1 whole rows, without its closing `]`";
    assert_eq!(error("[{\"a\":\"1\"},{\"a\":\"2"), cut);
    assert_eq!(error("[{\"a\":\"1\"}\n"), cut);
    assert_eq!(decoded("\u{feff}[]".as_bytes(), &columns, Reading::FOREIGN).unwrap(), Vec::<String>::new());
    let wrong = decoded(b"[{\"a\":\"\xff\"}]", &columns, Reading::OURS).unwrap_err();
    assert_eq!(wrong, "t.json, row 1: byte 7 of the row is not UTF-8");
}
