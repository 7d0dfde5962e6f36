//! A verification's report as people read it: what failed comes first, and what was not looked at is never left out.

use super::verification::{Check, Difference, Report, Status, TableReport, What};

/// The report as lines; the first one says how it ended.
pub fn text(report: &Report) -> String {
    let mut lines =
        vec![verdict(report), format!("  source  {}", report.source), format!("  target  {}", report.target)];
    let mut tables: Vec<(&String, &TableReport)> = report.tables.iter().collect();
    tables.sort_by_key(|(name, table)| (std::cmp::Reverse(table.status), *name));
    for (name, table) in tables {
        table_lines(name, table, &mut lines);
    }
    let mut checks: Vec<&Check> = report.checks.iter().collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.status));
    for check in checks {
        lines.push(format!("{:4}  {}: {}", check.status.word(), check.name, check.words));
        lines.extend(check.seen.iter().map(|seen| format!("        {seen}")));
    }
    lines.join("\n") + "\n"
}

fn verdict(report: &Report) -> String {
    let summary = report.summary;
    let counts = format!("{} pass, {} warn, {} fail", summary.pass, summary.warn, summary.fail);
    let words = if report.stopped_early {
        "ended at the first failure: later tables were not looked at".to_owned()
    } else if !report.success {
        "source and target are NOT the same".to_owned()
    } else if !report.compared_rows {
        "nothing wrong was found, but rows were only counted".to_owned()
    } else if let Some(percent) = report.sample_percent {
        format!("nothing wrong was found in a sample of {percent} % of the keys")
    } else if report.is_whole() {
        "every row of every table is the same".to_owned()
    } else {
        "nothing wrong was found, but not everything could be compared".to_owned()
    };
    format!("{words} ({counts})")
}

fn table_lines(name: &str, table: &TableReport, lines: &mut Vec<String>) {
    let count = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let mut line = format!("{:4}  {name}: {} rows", table.status.word(), count(table.source_count));
    if table.source_count != table.target_count {
        line.push_str(&format!(" in the source, {} in the target", count(table.target_count)));
    }
    if table.status == Status::Fail && table.missing + table.extra + table.different > 0 {
        let TableReport { missing, extra, different, .. } = table;
        line.push_str(&format!("; {missing} missing, {extra} extra, {different} different"));
    }
    lines.push(line);
    lines.extend(table.notes.iter().map(|note| format!("        {note}")));
    lines.extend(table.differences.iter().map(|difference| format!("        {}", of_row(difference))));
    let named = table.differences.len() as u64;
    let all = table.missing + table.extra + table.different;
    if all > named {
        lines.push(format!("        and {} more", all - named));
    }
}

fn of_row(difference: &Difference) -> String {
    let show = |value: &Option<String>| value.as_ref().map_or("null".to_owned(), |value| format!("{value:?}"));
    let key: Vec<String> = difference.key.iter().map(|(column, value)| format!("{column}={}", show(value))).collect();
    let key = key.join(" ");
    match difference.kind {
        What::Missing => format!("{key} is missing in the target"),
        What::Extra => format!("{key} is in the target only"),
        What::Different => {
            let columns = difference.columns.iter();
            let columns: Vec<String> = columns
                .map(|one| format!("{} should be {}, is {}", one.column, show(&one.source), show(&one.target)))
                .collect();
            format!("{key}: {}", columns.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::verification::Values;

    #[test]
    fn what_failed_comes_first_and_a_count_is_not_called_the_same() {
        let mut report = Report { source: "a".into(), target: "b".into(), ..Report::default() };
        let counted = TableReport { source_count: Some(2), target_count: Some(2), ..TableReport::default() };
        report.tables.insert("a_counted".into(), counted);
        report.conclude();
        assert_eq!(
            text(&report).lines().next().unwrap(),
            "nothing wrong was found, but rows were only counted (0 pass, 1 warn, 0 fail)"
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
        let expected = "source and target are NOT the same (0 pass, 1 warn, 1 fail)\n  source  a\n  target  b\n\
            fail  z_wrong: 2 rows in the source, 3 in the target; 0 missing, 1 extra, 1 different\n        \
            id=\"7\": name should be \"\", is null\n        and 1 more\nwarn  a_counted: 2 rows\n";
        assert_eq!(text(&report), expected);
    }
}
