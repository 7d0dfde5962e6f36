//! What stands in the document about people, rows, names, the watched window, backups and services. Plain data.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Tone;

/// A checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What a person types.
    pub signal: String,
    /// Title.
    pub title: String,
    /// What was built.
    pub built: Option<String>,
    /// What its gates said: title, answer, words.
    pub gates: Vec<(String, String, String)>,
    /// Statements, and who confirmed each; nobody, where it was not confirmed.
    pub statements: Vec<(String, Vec<String>)>,
    /// Who approved, or took it back.
    pub approvals: Vec<Approval>,
}

/// An approval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// When.
    pub at: String,
    /// Who.
    pub by: String,
    /// A remark.
    pub note: String,
    /// SHA-256 of the evidence that was shown.
    pub evidence_hash: Option<String>,
    /// Whether earlier ones are taken back.
    pub is_taken_back: bool,
}

/// What a step moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// The step.
    pub step: String,
    /// Its title.
    pub title: String,
    /// Seconds.
    pub seconds: f64,
    /// Tables: name, rows, bytes, digest where one is known.
    pub tables: Vec<MovedTable>,
    /// In words.
    pub notes: Vec<String>,
}

/// A table that was moved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MovedTable {
    /// Name.
    pub table: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Seconds.
    pub seconds: f64,
    /// Digest of its rows, where it was compared.
    pub digest: Option<String>,
}

/// A comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The step.
    pub step: String,
    /// How good it is.
    pub tone: Tone,
    /// In words.
    pub words: String,
    /// The report, where it could be read.
    pub report: Option<Value>,
    /// Where it lies.
    pub path: Option<String>,
}

/// What the prober saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// The step that left it.
    pub step: String,
    /// Requests.
    pub requests: u64,
    /// Failed ones.
    pub failed: u64,
    /// Longest stall, milliseconds.
    pub longest_ms: Option<u64>,
    /// In words.
    pub words: String,
    /// The route that was asked.
    #[serde(default)]
    pub url: Option<String>,
    /// What the first failure was.
    #[serde(default)]
    pub first_failure: Option<String>,
    /// Requests that met the page of a maintenance: neither good nor failed.
    #[serde(default)]
    pub behind_page: u64,
    /// Who answered after the switch, and when for the first time, milliseconds from the start.
    #[serde(default)]
    pub new_side: Option<(String, u64)>,
}

/// A record that was changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordChange {
    /// Name and type.
    pub about: String,
    /// As it was.
    pub from: String,
    /// As it is.
    pub to: String,
    /// Whether it was brought back.
    pub is_back: bool,
}

/// How the names looked at a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NameSight {
    /// When.
    pub at: String,
    /// The step.
    pub step: String,
    /// Authorities that have it right, of all.
    pub authority: Option<(u64, u64)>,
    /// Resolvers that have it right, of all.
    pub caches: Option<(u64, u64)>,
    /// In words.
    pub words: String,
    /// How good that is.
    pub tone: Tone,
}

/// The watched window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stabilization {
    /// The verdict's word.
    pub level: String,
    /// How good it is.
    pub tone: Tone,
    /// Why.
    pub why: String,
    /// Whether the window was accepted.
    pub is_accepted: bool,
    /// When it began.
    pub begun_at: String,
    /// Observed, needed and unknown minutes.
    pub minutes: (u64, u64, u64),
    /// Requests and failed ones.
    pub requests: (u64, u64),
    /// The decision's statistic over time: minute of Unix time, share of the alarm in millionths, requests, failed ones.
    pub trail: Vec<(i64, i64, u64, u64)>,
    /// Verdicts over time: milliseconds of Unix time, word.
    pub levels: Vec<(i64, String)>,
    /// What the rules say: name, verdict, evidence.
    pub rules: Vec<(String, String, String)>,
}

/// What was written since the cutover.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// The step.
    pub step: String,
    /// In words.
    pub words: String,
    /// Where the export lies.
    pub file: Option<String>,
    /// Its SHA-256.
    pub sha256: Option<String>,
    /// Tables: name, inserted, updated, deleted, file for people.
    pub tables: Vec<(String, u64, u64, u64, Option<String>)>,
}

/// A backup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Backup {
    /// The step.
    pub step: String,
    /// Its token, or the name of its file.
    pub token: String,
    /// What it is of.
    pub of: String,
    /// When it was taken.
    pub at: Option<String>,
    /// Length.
    pub bytes: Option<u64>,
    /// How it was proven.
    pub proof: String,
}

/// What happened to a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Name.
    pub service: String,
    /// What happened, in a word.
    pub change: String,
    /// Why.
    pub reasons: Vec<String>,
    /// Image before.
    pub image_from: Option<String>,
    /// Image after.
    pub image_to: Option<String>,
}
