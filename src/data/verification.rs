//! `verification-report.json`: what was compared, and what was found. The seeds' shape, and more.
//!
//! Law: what was not compared is never a pass; a report that misses something cannot be a success without saying so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The verdict on a table or a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every row was compared and is the same.
    Pass,
    /// Nothing wrong was found, but not everything was looked at.
    #[default]
    Warn,
    /// Something is wrong, or could not be compared.
    Fail,
}

impl Status {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// How many tables and checks have which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Passed.
    pub pass: u64,
    /// Not looked at whole.
    pub warn: u64,
    /// Wrong.
    pub fail: u64,
}

/// What is the matter with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The target has it not (or has it fewer times).
    Missing,
    /// The source has it not (or has it fewer times).
    Extra,
    /// Both have it, with other values.
    Different,
}

/// A column with two values, as text, shortened; none is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    /// Column.
    pub column: String,
    /// The value that should be: the source's, user ids mapped.
    pub source: Option<String>,
    /// The value that is.
    pub target: Option<String>,
}

/// A row that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What is the matter.
    pub kind: What,
    /// The key's columns and values; all columns where the table has no key.
    pub key: Vec<(String, Option<String>)>,
    /// The columns that differ.
    pub columns: Vec<Values>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableReport {
    /// Verdict.
    pub status: Status,
    /// Rows in the source.
    pub source_count: Option<u64>,
    /// Rows in the target.
    pub target_count: Option<u64>,
    /// Digest of the source's rows (mapped).
    pub source_checksum: Option<String>,
    /// Digest of the target's rows.
    pub target_checksum: Option<String>,
    /// Rows that the target lacks.
    pub missing: u64,
    /// Rows that only the target has.
    pub extra: u64,
    /// Rows with other values.
    pub different: u64,
    /// The first of them, named.
    pub differences: Vec<Difference>,
    /// What else is to be known, such as why it was not compared.
    pub notes: Vec<String>,
}

/// Something else that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What it is about, such as `foreign key readings_unit_id_fkey`.
    pub name: String,
    /// Verdict.
    pub status: Status,
    /// What was seen, and what to do.
    pub words: String,
    /// The first rows or values that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// `cutover/v1`.
    pub schema: String,
    /// When it was finished, RFC 3339.
    pub verified_at: String,
    /// The source, without its password.
    pub source: String,
    /// The target, without its password.
    pub target: String,
    /// Where the target's log stood when its snapshot was taken.
    pub target_lsn: Option<String>,
    /// How many tables have which verdict.
    pub summary: Summary,
    /// The tables.
    pub tables: BTreeMap<String, TableReport>,
    /// Keys, sequences, assertions, indexes.
    pub checks: Vec<Check>,
    /// The share of the rows that was compared, in percent, where it was not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_percent: Option<u8>,
    /// Whether rows were compared, and not just counted.
    pub compared_rows: bool,
    /// Whether it was ended at the first failure, so that later tables were not looked at.
    #[serde(default)]
    pub stopped_early: bool,
    /// How long it took.
    pub duration_ms: u64,
    /// Whether nothing failed. With warnings this says no more than they do.
    pub success: bool,
}

impl Report {
    /// Counts the verdicts again and decides.
    pub fn conclude(&mut self) {
        let mut summary = Summary::default();
        let checks = self.checks.iter().map(|check| check.status);
        for status in self.tables.values().map(|table| table.status).chain(checks.clone()) {
            match status {
                Status::Pass => summary.pass += 1,
                Status::Warn => summary.warn += 1,
                Status::Fail => summary.fail += 1,
            }
        }
        self.summary = summary;
        self.success = summary.fail == 0 && !self.stopped_early && !self.tables.is_empty();
    }

    /// Whether every row of every table was compared and is the same, and every check passed.
    pub fn is_whole(&self) -> bool {
        self.success && self.summary.warn == 0 && self.compared_rows && self.sample_percent.is_none()
    }
}

/// At most this many bytes of a value are shown.
const SHOWN: usize = 120;

/// A value as people see it: the part around `at` (the first byte that differs) when it is long.
pub fn shortened(value: &[u8], at: usize) -> String {
    if value.len() <= SHOWN {
        return String::from_utf8_lossy(value).into_owned();
    }
    let is_boundary = |at: usize| at >= value.len() || value[at] & 0xC0 != 0x80;
    let mut from = at.min(value.len()).saturating_sub(SHOWN / 3);
    let mut until = (from + SHOWN).min(value.len());
    from = if until == value.len() { until - SHOWN } else { from };
    while !is_boundary(from) {
        from += 1;
    }
    while !is_boundary(until) {
        until -= 1;
    }
    let dots = |is_cut: bool| if is_cut { "…" } else { "" };
    let shown = String::from_utf8_lossy(&value[from..until]);
    format!("{}{shown}{} ({} bytes, from byte {from})", dots(from > 0), dots(until < value.len()), value.len())
}

/// The columns in which two rows (COPY text) differ, with both values.
pub fn differing(columns: &[String], old: &[u8], new: &[u8]) -> Vec<Values> {
    let fields = super::copy_text::fields(old).zip(super::copy_text::fields(new));
    let differing = columns.iter().zip(fields).filter(|(_, (old, new))| old != new);
    differing
        .map(|(column, (old, new))| {
            let (old, new) = (value(old), value(new));
            let common = match (&old, &new) {
                (Some(old), Some(new)) => old.iter().zip(new).take_while(|(old, new)| old == new).count(),
                _ => 0,
            };
            let show = |value: Option<Vec<u8>>| value.map(|value| shortened(&value, common));
            Values { column: column.clone(), source: show(old), target: show(new) }
        })
        .collect()
}

/// A field's value; none is null.
pub fn value(field: &[u8]) -> Option<Vec<u8>> {
    (!super::copy_text::is_null(field)).then(|| {
        let mut value = Vec::with_capacity(field.len());
        super::copy_text::unescape(field, &mut value);
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_shape_is_written() {
        let mut report = Report { schema: "cutover/v1".into(), ..Report::default() };
        let table =
            TableReport { status: Status::Pass, source_count: Some(2), target_count: Some(2), ..Default::default() };
        report.tables.insert("profiles".into(), table);
        report.conclude();
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["tables"]["profiles"]["status"], "pass");
        assert_eq!(json["tables"]["profiles"]["sourceCount"], 2);
        assert_eq!(json["summary"]["pass"], 1);
        assert_eq!(json["success"], true);
        assert!(!report.is_whole(), "rows were only counted");
    }

    #[test]
    fn nothing_compared_is_no_success() {
        let mut report = Report::default();
        report.conclude();
        assert!(!report.success);
        report.tables.insert("a".into(), TableReport { status: Status::Pass, ..Default::default() });
        report.stopped_early = true;
        report.conclude();
        assert!(!report.success);
    }

    #[test]
    fn null_and_empty_are_told_apart_and_long_values_are_cut_around_what_differs() {
        let columns = ["a".to_owned(), "b".into(), "c".into()];
        let (old, new) = (format!("\\N\t1\t{}x", "ü".repeat(500)), format!("\t1\t{}y", "ü".repeat(500)));
        let values = differing(&columns, old.as_bytes(), new.as_bytes());
        assert_eq!((values[0].source.clone(), values[0].target.clone()), (None, Some(String::new())));
        assert_eq!(values[1].column, "c");
        assert!(values[1].source.as_ref().unwrap().contains("x (1001 bytes"), "{values:?}");
        assert!(values[1].target.as_ref().unwrap().len() < 300);
    }
}
