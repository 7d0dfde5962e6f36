//! A verification for people: a line per table, then what differs, row by row. Decides nothing.

use super::style::{Mark, Paint, Style};
use super::table::{Cell, Table};
use super::text::{hang, harmless, lead};
use crate::data::verification::{Difference, Report, Status, What};

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
    for (name, table) in &report.tables {
        for difference in &table.differences {
            out.push_str(&hang("  ", &harmless(&format!("{name}: {}", difference_words(difference))), style.width));
        }
        let told = u64::try_from(table.differences.len()).unwrap_or(u64::MAX);
        let left = (table.missing + table.extra + table.different).saturating_sub(told);
        if left > 0 && told > 0 {
            out.push_str(&hang("  ", &harmless(&format!("{name}: and {}", counted_more(left))), style.width));
        }
        for note in &table.notes {
            out.push_str(&hang("  ", &harmless(&format!("{name}: {note}")), style.width));
        }
    }
    for check in report.checks.iter().filter(|check| check.status != Status::Pass) {
        let mark = style.painted(if check.status == Status::Fail { Mark::Failed } else { Mark::Warns });
        out.push_str(&hang(&format!("  {mark} "), &harmless(&format!("{}: {}", check.name, check.words)), style.width));
        for row in &check.seen {
            out.push_str(&hang("      ", &harmless(row), style.width));
        }
    }
    out
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
        "every row of every table is the same".to_owned()
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
    use crate::data::verification::{TableReport, Values};

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
}
