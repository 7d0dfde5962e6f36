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
        "{} passed, {} not looked at whole, {} failed: {} against {}",
        summary.pass, summary.warn, summary.fail, report.target, report.source
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
            out.push_str(&hang("  ", &harmless(&format!("{name}: and {left} more rows")), style.width));
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
