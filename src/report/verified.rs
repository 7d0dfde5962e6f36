//! A verification for people: a line per table, then what differs, row by row. Decides nothing.

use super::style::{Mark, Paint, Style};
use super::table::{Cell, Table};
use super::text::{hang, harmless, lead};
use crate::data::plural::{counted, verb};
use crate::data::verification::{Check, Difference, Report, Status, TableReport, What};

/// How many differing rows of a table, and seen rows of a check, are shown.
const NAMED: usize = 10;
/// How many differing rows are shown in all.
const ROWS: usize = 40;
/// How many checks that did not pass are shown.
const CHECKS: usize = 20;

/// The page.
pub fn verified_text(report: &Report, style: &Style) -> String {
    let (word, paint) = match (report.success, report.is_whole()) {
        (false, _) => ("DIFFERENT", Paint::Bad),
        (true, true) => ("THE SAME", Paint::Good),
        (true, false) => ("NOT WHOLLY COMPARED", Paint::Careful),
    };
    let summary = report.summary;
    let words = format!(
        "{}; {} passed, {} not looked at whole, {} failed: {} against {}",
        how_it_ended(report),
        summary.pass,
        summary.warn,
        summary.fail,
        report.target,
        report.source
    );
    let mut out = lead(&format!("{}: ", style.paint(paint, word)), &harmless(&words), 2, style.width);
    out.push_str(&tables(report).text(style, 2));
    let is_empty = |table: &TableReport| matches!((table.source_count, table.target_count), (Some(1..), Some(0)));
    let empty: Vec<&str> =
        report.tables.iter().filter(|(_, table)| is_empty(table)).map(|(name, _)| name.as_str()).collect();
    if !empty.is_empty() {
        out.push_str(&hang("  ", &harmless(&emptiness(&empty)), style.width));
    }
    let mut room = ROWS;
    // Every row of an empty table is missing: to name some of them says nothing more.
    for (name, table) in report.tables.iter().filter(|(_, table)| !is_empty(table)) {
        for words in of_table(table, &mut room) {
            out.push_str(&hang("  ", &harmless(&format!("{name}: {words}")), style.width));
        }
    }
    let wrong: Vec<&Check> = report.checks.iter().filter(|check| check.status != Status::Pass).collect();
    for check in wrong.iter().take(CHECKS) {
        let mark = style.painted(if check.status == Status::Fail { Mark::Failed } else { Mark::Warns });
        out.push_str(&hang(&format!("  {mark} "), &harmless(&format!("{}: {}", check.name, check.words)), style.width));
        for row in check.seen.iter().take(NAMED) {
            out.push_str(&hang("      ", &harmless(row), style.width));
        }
    }
    if let Some(left) = wrong.len().checked_sub(CHECKS).filter(|left| *left > 0) {
        out.push_str(&hang("  ", &format!("and {} of the report", counted(left, "more check")), style.width));
    }
    out
}

/// What is wrong with a table, a line each: few enough for a screen. The report file names more of them.
fn of_table(table: &TableReport, room: &mut usize) -> Vec<String> {
    let named = table.differences.iter().take(NAMED.min(*room));
    let mut lines: Vec<String> = named.map(difference_words).collect();
    *room -= lines.len();
    let left = (table.missing + table.extra + table.different).saturating_sub(lines.len() as u64);
    if left > 0 && !table.differences.is_empty() {
        lines.push(if lines.is_empty() { counted_wrong(left) } else { format!("and {}", counted_more(left)) });
    }
    lines.extend(table.notes.iter().cloned());
    lines
}

fn emptiness(tables: &[&str]) -> String {
    let (named, more) = (tables[..tables.len().min(NAMED)].join(", "), tables.len().saturating_sub(NAMED));
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    match tables.len() {
        1 => format!("1 table of the target is empty, and must not be: {named}"),
        count => format!("{count} tables of the target are empty, and must not be: {named}{more}"),
    }
}

/// What the verdict may claim, and no more: rows that were only counted are not the same rows.
fn how_it_ended(report: &Report) -> String {
    if report.stopped_early {
        "ended at the first failure, later tables were not looked at".to_owned()
    } else if !report.success {
        "source and target are not the same".to_owned()
    } else if !report.compared_rows {
        "nothing wrong was found, but rows were only counted".to_owned()
    } else if let Some(percent) = report.sample_percent {
        format!("nothing wrong was found in a sample of {percent} % of the keys")
    } else if report.is_whole() {
        let count = report.tables.len();
        format!("every row of the {} that {} is the same", counted(count, "table"), verb(count, "moves", "move"))
    } else {
        "nothing wrong was found, but not everything could be compared".to_owned()
    }
}

fn tables(report: &Report) -> Table {
    let mut table = Table::new(&["TABLE", "STATUS", "SOURCE", "TARGET", "MISSING", "EXTRA", "DIFFERENT"]);
    let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let wrong = |count: u64| if count == 0 { String::new() } else { count.to_string() };
    for (name, one) in &report.tables {
        let paint = match one.status {
            Status::Pass => Paint::Good,
            Status::Warn => Paint::Careful,
            Status::Fail => Paint::Bad,
        };
        table.row(vec![
            harmless(name).into(),
            Cell::painted(paint, one.status.word()),
            count(one.source_count).into(),
            count(one.target_count).into(),
            wrong(one.missing).into(),
            wrong(one.extra).into(),
            wrong(one.different).into(),
        ]);
    }
    table
}

fn counted_wrong(wrong: u64) -> String {
    if wrong == 1 { "1 row differs".to_owned() } else { format!("{wrong} rows differ") }
}

fn counted_more(left: u64) -> String {
    if left == 1 { "1 more row".to_owned() } else { format!("{left} more rows") }
}

/// `id=7 is different: name is "a", should be "b"`.
fn difference_words(difference: &Difference) -> String {
    let key: Vec<String> = difference.key.iter().map(|(column, value)| format!("{column}={}", shown(value))).collect();
    let key = key.join(", ");
    match difference.kind {
        What::Missing => format!("{key} is missing in the target"),
        What::Extra => format!("{key} is in the target and not in the source"),
        What::Different => {
            let columns: Vec<String> = difference
                .columns
                .iter()
                .map(|value| {
                    format!("{} is {}, should be {}", value.column, shown(&value.target), shown(&value.source))
                })
                .collect();
            format!("{key} is different: {}", columns.join("; "))
        }
    }
}

fn shown(value: &Option<String>) -> String {
    value.as_ref().map_or_else(|| "null".to_owned(), |value| format!("{value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::verification::Values;

    #[test]
    fn a_count_is_not_called_the_same_and_what_differs_is_named_with_how_much_is_left_out() {
        let mut report = Report { source: "a".into(), target: "b".into(), ..Report::default() };
        let counted = TableReport { source_count: Some(2), target_count: Some(2), ..TableReport::default() };
        report.tables.insert("a_counted".into(), counted);
        report.conclude();
        let text = verified_text(&report, &Style::plain(200));
        assert!(
            text.starts_with("NOT WHOLLY COMPARED: nothing wrong was found, but rows were only counted; "),
            "{text}"
        );
        let values = Values { column: "name".into(), source: Some(String::new()), target: None };
        let difference =
            Difference { kind: What::Different, key: vec![("id".into(), Some("7".into()))], columns: vec![values] };
        let wrong = TableReport {
            status: Status::Fail,
            source_count: Some(2),
            target_count: Some(3),
            different: 1,
            extra: 1,
            differences: vec![difference],
            ..TableReport::default()
        };
        report.tables.insert("z_wrong".into(), wrong);
        report.conclude();
        let expected = "\
DIFFERENT: source and target are not the same; 0 passed, 1 not looked at whole, 1 failed: b against a
  TABLE      STATUS  SOURCE  TARGET  EXTRA  DIFFERENT
  a_counted  warn    2       2
  z_wrong    fail    2       3       1      1
  z_wrong: id=\"7\" is different: name is null, should be \"\"
  z_wrong: and 1 more row
";
        assert_eq!(verified_text(&report, &Style::plain(200)), expected);
    }

    #[test]
    fn an_empty_target_is_one_line_a_table_and_many_differing_rows_are_bounded_in_all() {
        let missing = |id: usize| Difference {
            kind: What::Missing,
            key: vec![("id".into(), Some(id.to_string()))],
            columns: Vec::new(),
        };
        let of = |count: usize, target: u64| TableReport {
            status: Status::Fail,
            source_count: Some(500 + target),
            target_count: Some(target),
            missing: 500,
            differences: (0..count).map(missing).collect(),
            ..TableReport::default()
        };
        let mut report = Report { source: "a".into(), target: "b".into(), ..Report::default() };
        report.tables = (0..30).map(|number| (format!("empty_{number:02}"), of(20, 0))).collect();
        report.conclude();
        let text = verified_text(&report, &Style::plain(200));
        assert!(text.contains("30 tables of the target are empty, and must not be: empty_00, empty_01"), "{text}");
        assert!(text.contains("empty_09 and 20 more\n"), "{text}");
        assert!(!text.contains("is missing in the target"), "{text}");

        let check = Check { status: Status::Fail, name: "c".into(), words: "w".into(), seen: Vec::new() };
        report.tables = (0..30).map(|number| (format!("part_{number:02}"), of(20, 7))).collect();
        report.checks = (0..25).map(|_| check.clone()).collect();
        report.conclude();
        let text = verified_text(&report, &Style::plain(200));
        assert_eq!(text.matches("is missing in the target").count(), ROWS, "{text}");
        assert!(text.contains("part_00: and 490 more rows\n"), "{text}");
        assert!(text.contains("part_29: 500 rows differ\n"), "{text}");
        assert!(text.contains("  and 5 more checks of the report\n"), "{text}");
        assert!(text.lines().count() < 130, "{text}");
    }
}
