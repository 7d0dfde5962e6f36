//! A run on paper: everything that its journal and the files beside it tell, gathered into one document. Decides nothing.
//!
//! Law: true to what was done. What the run does not have is not in it, what could not be read is said to be so, and no line
//! of an odd journal makes it fail.

mod gather;
mod moves;
mod names;
mod people;
mod shape;
mod spans;
mod stable;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use gather::{gather, tame};
pub use shape::{
    Approval, Backup, Changes, Checkpoint, Gap, Moved, MovedTable, NameSight, RecordChange, Service, Stabilization,
    Verification,
};
pub use stable::of as stabilization;

use crate::data::verification;
use crate::journal::{Entry, RunState};

/// What the document is made from.
#[derive(Debug, Default)]
pub struct Material<'a> {
    /// The run; always there.
    pub run: Option<&'a RunState>,
    /// Its lines.
    pub entries: &'a [Entry],
    /// What is wrong with the journal, where it could be read in part only.
    pub fault: Option<String>,
    /// The run that it undid.
    pub undone_run: Option<&'a RunState>,
    /// How long its steps were expected to take: names and milliseconds, and who says so.
    pub expected: Option<(String, Vec<(String, u64)>)>,
    /// Verification reports that steps left, by the item's index; words where one could not be read.
    pub verifications: Vec<(usize, Result<verification::Report, String>)>,
    /// The watched window after it, as `window.json` has it.
    pub window: Option<Value>,
    /// Files that the run keeps beside its journal.
    pub files: Vec<String>,
    /// What the prober wrote beside the journal.
    pub probed: Option<Value>,
    /// When the document is made, RFC 3339.
    pub made_at: String,
}

/// How good or bad something is; the page paints it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// As it should be.
    Good,
    /// To be thought about.
    Careful,
    /// Failed, or lost.
    Bad,
    /// Neither.
    #[default]
    Plain,
}

/// The document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Paper {
    /// `cutover/v1`.
    pub schema: String,
    /// `run-report`.
    pub document: String,
    /// When it was made.
    pub made_at: String,
    /// What is wrong with the journal itself.
    pub fault: Option<String>,
    /// The run.
    pub run: Head,
    /// How it ended.
    pub verdict: Verdict,
    /// When it began and ended, and how its steps lie in between.
    pub timeline: Option<Timeline>,
    /// Every item of the plan.
    pub steps: Vec<Step>,
    /// Checkpoints, and who passed them.
    pub checkpoints: Vec<Checkpoint>,
    /// What was moved.
    pub moved: Vec<Moved>,
    /// What was compared.
    pub verifications: Vec<Verification>,
    /// What the public route answered meanwhile.
    pub gaps: Vec<Gap>,
    /// Records that were changed.
    pub records: Vec<RecordChange>,
    /// How the names looked, one moment after another.
    pub names: Vec<NameSight>,
    /// The watched window.
    pub stabilization: Option<Stabilization>,
    /// What was written since the cutover, and where it lies.
    pub changes: Vec<Changes>,
    /// Backups and dumps.
    pub backups: Vec<Backup>,
    /// What happened to services.
    pub services: Vec<Service>,
    /// What went wrong.
    pub failures: Vec<Failure>,
    /// Where it went back: the rollback manifest.
    pub manifest: Option<Value>,
    /// What a person was told before it began.
    pub remarks: Vec<String>,
    /// Verdicts of the watcher, as it wrote them into the journal.
    pub verdicts: Vec<Note>,
    /// Everything else that was written down.
    pub notes: Vec<Note>,
    /// Files beside the journal.
    pub files: Vec<String>,
}

/// What the run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Number.
    pub number: u32,
    /// Kind.
    pub kind: String,
    /// What it does, in words.
    pub title: String,
    /// The same at length: the runbook's title, or what is undone.
    #[serde(default)]
    pub about: Option<String>,
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Who began it.
    pub by: String,
    /// Version of cutover.
    pub version: String,
    /// SHA-256 of the plan.
    pub plan_hash: String,
    /// Release before.
    pub release_from: Option<u32>,
    /// Release after.
    pub release_to: Option<u32>,
    /// The run that it undoes.
    pub undoes: Option<u32>,
    /// First line.
    pub began_at: Option<String>,
    /// Last line.
    pub last_at: Option<String>,
    /// From the first line to the last, milliseconds.
    pub lasted_ms: u64,
    /// Of that, waited for people, milliseconds.
    #[serde(default)]
    pub waited_ms: u64,
    /// Processes that wrote it.
    pub processes: u32,
    /// Exit code.
    pub exit: Option<u8>,
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How good that is.
    pub tone: Tone,
    /// The word that counts.
    pub word: String,
    /// In a sentence.
    pub words: String,
}

/// The whole time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Its begin, milliseconds of Unix time.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
    /// Who says how long the steps should take.
    pub expected_by: Option<String>,
}

/// What a stretch of time was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Done.
    Done,
    /// A question, answered.
    Asked,
    /// Waited for a person.
    Waited,
    /// Failed.
    Failed,
    /// Undone.
    Undone,
    /// It has no end: the process was interrupted.
    Cut,
}

/// A stretch of time of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// What it was.
    pub kind: SpanKind,
    /// From, milliseconds of Unix time.
    pub from_ms: i64,
    /// To.
    pub to_ms: i64,
}

/// An item of the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The phase of the runbook that begins with it.
    pub phase: Option<String>,
    /// Name.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// What kind of act.
    pub act: String,
    /// Whether it only asks.
    pub is_gate: bool,
    /// How it stands, in a word.
    pub standing: String,
    /// How good that is.
    pub tone: Tone,
    /// What was seen last.
    pub seen: String,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// How long it was expected to take.
    pub expected_ms: Option<u64>,
    /// How long it waited for a person, milliseconds.
    #[serde(default)]
    pub waited_ms: u64,
    /// When.
    pub spans: Vec<Span>,
}

/// Something that went wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// When.
    pub at: String,
    /// The step.
    pub step: String,
    /// Its title.
    pub title: String,
    /// Why, in full, with the last lines of a log where there were some.
    pub why: String,
    /// Whether it was on the way back.
    pub is_back: bool,
    /// Whether it is not known rather than wrong.
    pub is_unknown: bool,
}

/// A line worth keeping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: String,
    /// The words.
    pub text: String,
}
