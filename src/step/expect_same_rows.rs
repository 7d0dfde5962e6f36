//! Expect same rows: every row of the target is the source's, user ids mapped; keys, sequences and assertions hold too.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, Databases, Say, Seen};
use crate::adapter::files;
use crate::data::patterns::Patterns;
use crate::data::verification::{Report, Status};
use crate::rows::verify::{self, Assert, Options, Source, Users};

/// What the target is compared with.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// A live database, as it is shown.
    Place(String),
    /// The directory of an export.
    Files(PathBuf),
}

/// The gate.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ExpectSameRows {
    /// What the target is compared with.
    pub against: Against,
    /// The target, as it is shown.
    pub target: String,
    /// `data.include`.
    pub include: Vec<String>,
    /// `data.exclude`.
    pub exclude: Vec<String>,
    /// Only these of them; all where it is empty.
    pub tables: Vec<String>,
    /// `data.user_columns`.
    pub user_columns: BTreeMap<String, Vec<String>>,
    /// `data.unmapped`.
    pub unmapped: BTreeMap<String, Vec<String>>,
    /// `data.users_table`.
    pub users_table: String,
    /// `user-mapping.json`, where ids were mapped.
    pub mapping: Option<PathBuf>,
    /// What must be true: in words, and the query that gives rows where it is not.
    pub asserts: Vec<(String, String)>,
    /// Connections to each side.
    pub workers: usize,
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
        let tables = Patterns::parse(&self.include, &self.exclude).and_then(|all| all.narrowed(&self.tables));
        let mapping = self.mapping.as_ref().map(|path| {
            files::read_json(path).with_context(|| format!("the mapping of user ids {} cannot be read", path.display()))
        });
        let asserts = self.asserts.iter().map(|(name, sql)| Assert { name: name.clone(), sql: sql.clone() });
        Ok(Options {
            users: Users::parse(&self.user_columns, &self.unmapped, &self.users_table)?,
            mapping: mapping.transpose()?,
            is_counting_only: self.is_counting_only,
            fails_fast: self.fails_fast,
            sample_percent: self.sample_percent,
            asserts: asserts.collect(),
            workers: self.workers,
            session_name: session.to_owned(),
            ..Options::new(tables.map_err(|error| anyhow!(error))?)
        })
    }

    /// Compares, and writes the report.
    ///
    /// # Errors
    /// When a side cannot be read: nothing is known then.
    pub async fn compare(&self, databases: &Databases, session: &str, say: Say<'_>) -> Result<Report> {
        let source = match &self.against {
            Against::Place(shown) => Source::Database(databases.shown(shown)?.clone()),
            Against::Files(directory) => Source::Files(directory.clone()),
        };
        let target = databases.shown(&self.target)?;
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
        (true, None) => format!("{rows} rows of {} tables were compared", report.tables.len()),
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
