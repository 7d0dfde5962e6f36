//! Expect same rows: every row of the target is the source's, user ids mapped; keys, sequences and assertions hold too.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::compared::{Compared, mapping};
use super::{Answer, Databases, Say, Seen};
use crate::adapter::files;
use crate::data::plural::{counted, verb};
use crate::data::verification::{Report, Status};
use crate::rows::verify::{self, Assert, Options};

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectSameRows {
    /// Both sides, and which of their rows.
    #[serde(flatten)]
    pub compared: Compared,
    /// What must be true: in words, and the query that gives rows where it is not.
    pub asserts: Vec<(String, String)>,
    /// Whether rows are only counted.
    pub is_counting_only: bool,
    /// Whether it ends at the first table that fails.
    pub fails_fast: bool,
    /// Percent of the keys that are compared.
    pub sample_percent: u8,
    /// Where the report goes.
    pub report: PathBuf,
}

impl ExpectSameRows {
    fn options(&self, session: &str) -> Result<Options> {
        let asserts = self.asserts.iter().map(|(name, sql)| Assert { name: name.clone(), sql: sql.clone() });
        Ok(Options {
            users: self.compared.users()?,
            mapping: mapping(self.compared.mapping.as_deref())?,
            is_counting_only: self.is_counting_only,
            fails_fast: self.fails_fast,
            sample_percent: self.sample_percent,
            asserts: asserts.collect(),
            workers: self.compared.workers,
            session_name: session.to_owned(),
            ..Options::new(self.compared.patterns()?)
        })
    }

    /// Compares, and writes the report.
    ///
    /// # Errors
    /// When a side cannot be read: nothing is known then.
    pub async fn compare(&self, databases: &Databases, session: &str, say: Say<'_>) -> Result<Report> {
        let source = self.compared.source(databases)?;
        let target = databases.shown(&self.compared.target)?;
        let report = verify::verify(&source, target, &self.options(session)?, say).await?;
        if let Some(directory) = self.report.parent() {
            files::make_private_directory(directory)?;
        }
        verify::write(&report, &self.report)?;
        Ok(report)
    }

    /// Compares; what was not looked at whole does not pass.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub async fn ask(&self, databases: &Databases, session: &str, say: Say<'_>) -> Result<Seen> {
        let report = self.compare(databases, session, say).await?;
        let answer = match (report.success, report.is_whole()) {
            (false, _) => Answer::Refused,
            (true, true) => Answer::Passed,
            // A person who asked for counts or a sample knows what he gets; the words say it again.
            (true, false) if self.is_counting_only || self.sample_percent < 100 => Answer::Passed,
            (true, false) => Answer::Unknown,
        };
        let words = format!("{}; the report is {}", summary(&report), self.report.display());
        Ok(Seen { answer, words, data: json!({ "summary": report.summary, "report": self.report }) })
    }
}

/// One line: what passed, and the names of what did not.
pub fn summary(report: &Report) -> String {
    let rows: u64 = report.tables.values().filter_map(|table| table.source_count).sum();
    let tables = report.tables.iter().map(|(name, table)| (name, table.status));
    let all = tables.chain(report.checks.iter().map(|check| (&check.name, check.status)));
    let named = |wanted: Status| {
        let names: Vec<&str> = all.clone().filter(|(_, status)| *status == wanted).map(|(name, _)| &**name).collect();
        let shown = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        let more = names.len().saturating_sub(5);
        if more == 0 { shown } else { format!("{shown} and {more} more") }
    };
    let how = match (report.compared_rows, report.sample_percent) {
        (false, _) => "rows were only counted".to_owned(),
        (true, Some(percent)) => format!("{percent} % of the rows were compared"),
        (true, None) => {
            let (all, tables) = (counted(rows, "row"), counted(report.tables.len(), "table"));
            format!("{all} of {tables} {} compared", verb(rows, "was", "were"))
        }
    };
    let mut parts = vec![how];
    for (status, word) in [(Status::Fail, "failed"), (Status::Warn, "not looked at whole")] {
        let names = named(status);
        if !names.is_empty() {
            parts.push(format!("{word}: {names}"));
        }
    }
    if report.success && report.is_whole() {
        parts.push("all are the same".to_owned());
    }
    if report.stopped_early {
        parts.push("ended at the first failure".to_owned());
    }
    parts.join("; ")
}
